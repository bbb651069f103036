"""Fronts and hypervolumes in plain arithmetic, against BoTorch's."""

import random

import pytest
import torch
from botorch.utils.multi_objective.hypervolume import Hypervolume
from botorch.utils.multi_objective.pareto import is_non_dominated
from pydantic import ValidationError

from orchestrator.domain.front import corner, covered_share, front, hypervolume
from orchestrator.domain.objective import Objective, ObjectiveKind, Target

YIELD = Target.model_validate({"name": "yield", "unit": "percent", "goal": "maximise", "low": "0 %", "high": "100 %"})
COST = Target(name="cost", goal="minimise", low=0, high=10)
HUE = Target(name="hue", unit="nm", goal="match", value=600, tolerance=10)
TRADED = Objective.model_validate({"targets": (YIELD, COST), "kind": "pareto", "reference": {"yield": "20 %"}})


def cloud(count: int, width: int, seed: int) -> list[tuple[float, ...]]:
    draw = random.Random(seed)
    return [tuple(round(draw.uniform(-0.3, 1.2), 2) for _ in range(width)) for _ in range(count)]


@pytest.mark.parametrize("width", [2, 3, 4])
def test_hypervolumes_are_botorchs(width: int) -> None:
    for seed in range(5):
        points = cloud(25, width, seed)
        theirs = Hypervolume(torch.zeros(width, dtype=torch.float64)).compute(torch.tensor(points, dtype=torch.float64))
        assert hypervolume(points) == pytest.approx(theirs, rel=1e-9)


def test_what_is_not_above_the_reference_point_in_all_targets_covers_nothing() -> None:
    assert hypervolume([(0.5, -0.1), (0.0, 3.0)]) == 0.0
    assert hypervolume([]) == 0.0


def test_a_front_is_what_botorch_calls_not_dominated_above_the_reference_point() -> None:
    rows = {str(index): {"yield": 100 * a, "cost": 10 - 10 * b} for index, (a, b) in enumerate(cloud(40, 2, 7))}
    above = {key: row for key, row in rows.items() if row["yield"] > 20 and row["cost"] < 10}
    Y = torch.tensor([[row["yield"], -row["cost"]] for row in above.values()], dtype=torch.float64)
    theirs = {key for key, good in zip(above, is_non_dominated(Y, deduplicate=False).tolist(), strict=True) if good}
    found = front(TRADED, rows)
    assert set(found) == theirs
    assert len(found) >= 3
    assert [rows[key]["yield"] for key in found] == sorted((rows[key]["yield"] for key in found), reverse=True)


def test_equal_measurements_are_both_on_the_front_and_incomplete_ones_are_not() -> None:
    rows = {"a": {"yield": 50.0, "cost": 5.0}, "b": {"yield": 50.0, "cost": 5.0}, "c": {"yield": 90.0}}
    assert front(TRADED, rows) == ("a", "b")


def test_the_share_is_that_of_the_box_between_reference_point_and_the_scales_ends() -> None:
    assert corner(TRADED) == pytest.approx((0.2, 0.0))
    assert covered_share(TRADED, [{"yield": 60.0, "cost": 5.0}]) == pytest.approx(0.4 * 0.5 / 0.8)
    assert covered_share(TRADED, [{"yield": 10.0, "cost": 5.0}]) == 0.0
    assert covered_share(TRADED, [{"yield": 60.0}]) is None


def test_a_match_is_traded_off_by_its_utility() -> None:
    objective = Objective(targets=(YIELD, HUE), kind="pareto")
    assert covered_share(objective, [{"yield": 100.0, "hue": 610.0}]) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("kind", "targets", "reference", "complaint"),
    [
        ("pareto", (YIELD,), {}, "at least two targets"),
        ("pareto", (YIELD, COST), {"cost": 0.0}, "leaves nothing to find"),
        ("pareto", (YIELD, COST), {"speed": 1.0}, "names no target"),
        ("explore", (YIELD,), {"yield": 1.0}, "belongs to kind"),
        ("level", (YIELD,), {}, "needs one target and its level"),
    ],
)
def test_an_objective_that_makes_no_sense_is_refused(
    kind: ObjectiveKind, targets: tuple[Target, ...], reference: dict[str, float], complaint: str
) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Objective(targets=targets, kind=kind, reference=reference)


def test_where_nothing_is_best_no_measurement_has_a_score() -> None:
    assert Objective(targets=(YIELD,), kind="explore").score_measured({"yield": 50.0}) is None
    assert TRADED.score_measured({"yield": 50.0, "cost": 5.0}) == pytest.approx(0.5)
