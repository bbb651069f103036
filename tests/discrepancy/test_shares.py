"""Shares of the variance are what was planted, and what repeats cannot tell is said."""

from dataclasses import replace

import pytest
import torch

from models.twin.groups import Group
from models.twin.model import Problem, model
from models.twin.shares import CONSTANTS, DIVERGENCE, _drawn, split
from tests.discrepancy.making import pairs

HUMIDITY = Group("humidity", channel=0)


def test_shares_are_what_was_planted() -> None:
    found = split(model(Problem.of(pairs(effect=2.0, readings=2, rows=96, rate=0.0), "additive"), (HUMIDITY,)))
    by_name = {one.name: one for one in found.parts}
    # of humidity 4, of run and readout 1 each
    assert by_name["readout"].median == pytest.approx(1 / 6, abs=0.06)
    assert by_name["run to run"].median == pytest.approx(1 / 6, abs=0.08)
    assert by_name[DIVERGENCE].median == pytest.approx(4 / 6, abs=0.12)
    assert by_name[CONSTANTS].median < 0.05
    assert all(one.lower < one.median < one.upper for one in found.parts)
    assert [one.name for one in found.divergence] == ["humidity", "unexplained"]


def test_in_each_draw_the_parts_sum_to_one() -> None:
    drawn = _drawn(model(Problem.of(pairs(readings=2), "additive"), (HUMIDITY,)), torch.Generator().manual_seed(0))
    assert set(drawn) == {"readout", "run to run", "unexplained", "humidity", CONSTANTS}
    found = split(model(Problem.of(pairs(readings=2), "additive"), (HUMIDITY,)))
    assert sum(one.median for one in found.parts) == pytest.approx(1.0, abs=0.05)


def test_sentences_say_what_would_help() -> None:
    said = split(model(Problem.of(pairs(effect=2.0, readings=2), "additive"), (HUMIDITY,))).sentences
    assert [line.partition(" would remove ")[0].strip(",") for line in said] == [
        "a better readout",
        "constants known exactly",
        "humidity held still, or in the twin",
    ]
    assert said[0].endswith("of the variance")


def test_what_cannot_be_told_apart_is_said() -> None:
    alone = replace(pairs(), repeats=())
    assert split(model(Problem.of(alone, "additive"))).sentences[-2:] == (
        "readout and run to run cannot be told apart: no sample was read twice",
        "noise and a divergence that nothing recorded explains cannot be told apart: no run was repeated",
    )
    assert split(model(Problem.of(pairs(readings=2), "additive"))).sentences[-1].startswith("constants known exactly")
