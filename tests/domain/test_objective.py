"""Targets are scored on one scale, larger is better."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.domain.objective import Objective, Target
from orchestrator.errors import BadInput
from tests import strategies

MATCH = Target(name="w", unit="nm", goal="match", value=540, tolerance=5)


def test_quantities_with_units_are_converted() -> None:
    target = Target.model_validate(
        {"name": "T", "unit": "degC", "goal": "match", "value": "300 K", "tolerance": "2 delta_degC", "low": "0 degC"}
    )
    assert target.value == pytest.approx(26.85)
    assert (target.tolerance, target.low) == (2.0, 0.0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"goal": "match"}, "match needs a value and a tolerance above 0"),
        ({"goal": "match", "value": 1, "tolerance": 0}, "match needs a value and a tolerance above 0"),
        ({"goal": "maximise", "value": 1}, "value and tolerance belong to goal"),
        ({"goal": "maximise", "low": 2, "high": 1}, "low 2 must be below high 1"),
        ({"goal": "maximise", "weight": 0}, "greater than 0"),
        ({"goal": "maximize"}, "maximise"),
    ],
)
def test_a_target_that_makes_no_sense_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Target.model_validate({"name": "y", **fields})


def test_a_value_in_another_dimension_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match="target w, value"):
        Target.model_validate({"name": "w", "unit": "nm", "goal": "match", "value": "540 s", "tolerance": 1})


def test_a_match_is_worth_one_at_its_value_and_half_at_its_tolerance() -> None:
    assert MATCH.utility(540) == 1.0
    assert MATCH.utility(545) == MATCH.utility(535) == 0.5
    assert (MATCH.within(545), MATCH.within(545.1), Target(name="y", goal="maximise").within(1.0)) == (True, False, None)


def test_low_and_high_are_worth_nothing_and_one() -> None:
    up, down = (Target(name="y", goal=goal, low=10, high=30) for goal in ("maximise", "minimise"))
    assert (up.utility(10), up.utility(30), up.utility(20)) == (0, 1, 0.5)
    assert (down.utility(10), down.utility(30), down.utility(35)) == (1, 0, -0.25)


def test_one_target_without_a_scale_is_scored_as_it_is() -> None:
    assert Objective(targets=(Target(name="y", goal="maximise"),)).score({"y": 7.0}) == 7.0
    assert Objective(targets=(Target(name="y", goal="minimise"),)).score({"y": 7.0}) == -7.0


def test_several_targets_need_a_common_scale() -> None:
    with pytest.raises(ValidationError, match="target b: several targets are combined on one scale; give it low and high"):
        Objective(targets=(MATCH, Target(name="b", goal="maximise", low=0)))


def test_a_target_declared_twice_is_refused() -> None:
    with pytest.raises(ValidationError, match="declared twice"):
        Objective(targets=(MATCH, MATCH))


@given(objective=strategies.objectives(), data=st.data())
def test_floats_arrays_and_tensors_score_alike(objective: Objective, data: st.DataObject) -> None:
    rows = {name: data.draw(st.lists(strategies.numbers(), min_size=3, max_size=3)) for name in objective.names}
    singly = [objective.score({name: rows[name][index] for name in objective.names}) for index in range(3)]
    arrays = objective.score({name: np.array(values) for name, values in rows.items()})
    tensors = objective.score({name: torch.tensor(values, dtype=torch.float64) for name, values in rows.items()})
    assert arrays == pytest.approx(singly)
    assert tensors.tolist() == pytest.approx(singly)


@given(objective=strategies.objectives(), data=st.data())
def test_a_better_value_never_scores_worse(objective: Objective, data: st.DataObject) -> None:
    values = {name: data.draw(strategies.numbers()) for name in objective.names}
    target = data.draw(st.sampled_from(objective.targets))
    step = data.draw(st.floats(0.01, 100))
    here = values[target.name]
    better = {"maximise": here + step, "minimise": here - step, "match": target.value}[target.goal]
    assert objective.score({**values, target.name: better}) >= objective.score(values) - 1e-12


def test_a_measurement_that_lacks_a_target_has_no_score() -> None:
    objective = Objective(targets=(MATCH, Target(name="b", goal="maximise", low=0, high=1, weight=3)))
    assert objective.score_measured({"w": 540.0}) is None
    assert objective.score_measured({"w": 540.0, "b": 0.5, "other": 1.0}) == pytest.approx(0.25 * 1 + 0.75 * 0.5)


@pytest.mark.parametrize("values", [(540.0, 540.0), (1e-12, 1e-12 * (1 + 1e-15), 1e-12), (0.0, 0.0), (1e9, 1e9 + 0.1)])
def test_a_target_that_differs_by_float_noise_is_said_to_be_constant(values: tuple[float, ...]) -> None:
    (note,) = Objective(targets=(MATCH,)).constant({"w": value} for value in values)
    assert note.startswith(f"w is constant: {len(values)} values of {values[0]:.6g} nm")


@pytest.mark.parametrize("values", [(), (5.0,), (1e-12, 1.1e-12), (0.0, 1e-300), (540.0, 540.00001), (-1e-15, 1e-15)])
def test_a_spread_is_real_however_small_its_unit_makes_it(values: tuple[float, ...]) -> None:
    assert Objective(targets=(MATCH,)).constant({"w": value} for value in values) == ()
