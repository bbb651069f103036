"""Pairs of prediction and measurement check themselves."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from models.twin.pairs import Channel, Coefficient, Columns, Pairs
from orchestrator.errors import BadInput
from tests.discrepancy.making import conditions, pairs

NOTHING = torch.nan


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: Columns(("T",), (Channel("T"),)), "'T' names 2 columns of a twin's pairs; expected a name for each"),
        (
            lambda: Columns(("T",), constants=(Coefficient("k", 0.0),)),
            "k has a prior's standard deviation of 0; expected a positive number",
        ),
        (
            lambda: replace(conditions(), controls=torch.zeros(48, 2, dtype=torch.float64)),
            r"controls of a twin's pairs have the shape \(48, 2\); expected \(48, 3\)",
        ),
        (
            lambda: replace(conditions(), environment=torch.full((48, 3), NOTHING, dtype=torch.float64)),
            "environment of a twin's pairs have a missing or infinite value in row 0",
        ),
        (lambda: replace(conditions(), lots=("a",)), "1 lots of a twin's pairs; expected one for each of 48 rows, or none"),
        (lambda: Pairs(conditions(), torch.zeros(3)), "3 measured values beside 48 predictions; expected one for each"),
        (lambda: Pairs(conditions(6), conditions(6).mean), "6 pairs of prediction and measurement; expected at least 8"),
        (lambda: Pairs(conditions(), conditions().mean + 1), "all measured values differ from the twin's predictions by the same amount"),
        (lambda: replace(pairs(), samples=("a", "b")), "2 samples of a twin's pairs; expected one for each of 48 rows, or none"),
    ],
)
def test_what_does_not_fit_is_said_in_a_line(made: Callable[[], object], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        made()


def test_repeats_and_readings_are_told_from_labels() -> None:
    assert (pairs().repeated, pairs().read_twice) == (True, False)
    assert (pairs(readings=2).repeated, pairs(readings=2).read_twice) == (True, True)
    alone = replace(pairs(), repeats=())
    assert (alone.repeated, alone.read_twice) == (False, False)
    assert not replace(pairs(readings=2), repeats=()).repeated  # readings of one sample are no repeated run
