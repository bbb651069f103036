"""A search space says exactly what is legal, and says what is not."""

import copy
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.domain.constraints import ExpressionConstraint, LinearConstraint
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter, DiscreteParameter
from orchestrator.domain.parameters.kind import FormField
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput
from orchestrator.units import convert
from tests import strategies

T = ContinuousParameter(name="T", unit="degC", min=100, max=300)
TAU = ContinuousParameter(name="tau", unit="s", min=10, max=90)
ALLOY = CompositionParameter(name="alloy", components=("Ni", "Fe", "Co"), step=0.1, max_components=2)
SPACE = SearchSpace(
    parameters=(
        T,
        TAU,
        DiscreteParameter(name="n", values=(1, 2, 4)),
        CategoricalParameter(name="solvent", categories=("ODE", "DMF")),
        ALLOY,
    )
)
GOOD: dict[str, float | str] = {
    "T": 200.0,
    "tau": 30.0,
    "n": 2.0,
    "solvent": "ODE",
    "alloy.Ni": 0.3,
    "alloy.Fe": 0.7,
    "alloy.Co": 0.0,
}


def test_bounds_with_units_are_converted() -> None:
    parameter = ContinuousParameter.model_validate({"name": "T", "unit": "degC", "min": "300 K", "max": "250 degC"})
    assert parameter.min == pytest.approx(26.85)
    assert parameter.max == 250.0


def test_discrete_values_are_sorted_unique_and_converted() -> None:
    parameter = DiscreteParameter.model_validate({"name": "V", "unit": "mL", "values": ["1 L", 5, "5 mL", 2]})
    assert parameter.values == (2.0, 5.0, 1000.0)


@pytest.mark.parametrize(
    ("model", "fields", "message"),
    [
        (ContinuousParameter, {"name": "T", "min": 3, "max": 3}, "min 3 must be below max 3"),
        (ContinuousParameter, {"name": "3T", "min": 1, "max": 3}, "pattern"),
        (CategoricalParameter, {"name": "s", "categories": ["a", "a"]}, "listed twice"),
        (CategoricalParameter, {"name": "s", "categories": []}, "at least 1"),
        (DiscreteParameter, {"name": "n", "values": []}, "at least 1"),
        (CompositionParameter, {"name": "a", "components": ["Ni", "Ni"]}, "listed twice"),
        (CompositionParameter, {"name": "a", "components": ["Ni"]}, "at least 2"),
        (CompositionParameter, {"name": "a", "components": ["Ni", "Fe"], "step": 0.3}, "does not divide one"),
        (CompositionParameter, {"name": "a", "components": ["Ni", "Fe"], "max_components": 3}, "exceeds 2 components"),
        (
            CompositionParameter,
            {"name": "a", "components": ["Ni", "Fe"], "min_present": "-5 %"},
            "min_present: -0.05; expected more than 0",
        ),
        (
            CompositionParameter,
            {"name": "a", "components": ["Ni", "Fe"], "min_present": 0.5},
            "0.5; expected more than 0 and less than 0.5",
        ),
        (
            CompositionParameter,
            {"name": "a", "components": ["Ni", "Fe"], "step": 0.25, "min_present": 0.3},
            "0.3; in steps of 0.25 that is 0.5",
        ),
        (CompositionParameter, {"name": "a", "components": ["Ni", "Fe"], "tolerance": 0.01, "min_present": 0.02}, "lost in the tolerance"),
        (
            CompositionParameter,
            {"name": "a", "components": ["Ni", "Fe", "Co"], "max_components": 3, "min_present": "40 %"},
            r"3 components \(max_components\) of 0.4 at least are more than the whole; expected at most 2",
        ),
        (LinearConstraint, {"coefficients": {"a": 1}}, "neither min nor max"),
        (ExpressionConstraint, {"expression": "a", "min": 2, "max": 1}, "min 2 is above max 1"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(model: type[Any], fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        model.model_validate(fields)


@pytest.mark.parametrize("bound", ["10 mL", [1], None, True, "warm"])
def test_a_bound_that_is_no_temperature_is_refused_by_name(bound: object) -> None:
    with pytest.raises(BadInput, match="parameter T, min"):
        ContinuousParameter.model_validate({"name": "T", "unit": "degC", "min": bound, "max": 300})


def test_columns_and_units_follow_the_parameters() -> None:
    assert SPACE.columns == ("T", "tau", "n", "solvent", "alloy.Ni", "alloy.Fe", "alloy.Co")
    assert SPACE.units == {"T": "degC", "tau": "s", "n": "", "alloy.Ni": "", "alloy.Fe": "", "alloy.Co": ""}


def test_a_legal_configuration_has_no_complaint() -> None:
    assert SPACE.complaint(GOOD) is None
    SPACE.check(GOOD)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"T": 300.1}, "T = 300.1 is outside 100 to 300 degC"),
        ({"T": math.nan}, "T = nan is outside"),
        ({"T": "hot"}, "T = hot is outside"),
        ({"n": 3.0}, "n = 3.0 is none of 1, 2, 4"),
        ({"n": math.nan}, "n = nan is none of"),
        ({"solvent": "water"}, "solvent = 'water' is none of ODE, DMF"),
        ({"solvent": 1.0}, "solvent = 1.0 is none of"),
        ({"alloy.Ni": 0.5}, "fractions sum to 1.2; expected 1 within 1e-06"),
        ({"alloy.Ni": 0.35, "alloy.Fe": 0.65}, "are no multiples of 0.1"),
        ({"alloy.Ni": 0.2, "alloy.Co": 0.1}, "3 components are present; at most 2 may be"),
        ({"alloy.Ni": -0.1, "alloy.Co": 0.4}, "must be numbers from 0 to 1"),
        ({"alloy.Ni": "much"}, "must be numbers from 0 to 1"),
        ({"alloy.Ni": math.nan}, "must be numbers from 0 to 1"),
    ],
)
def test_each_illegal_value_is_named_with_what_is_legal(change: dict[str, float | str], message: str) -> None:
    complaint = SPACE.complaint({**GOOD, **change})
    assert complaint is not None
    assert message in complaint
    with pytest.raises(BadInput):
        SPACE.check({**GOOD, **change})


def test_a_share_below_the_least_is_named_and_one_that_misses_it_by_the_tolerance_is_none() -> None:
    inks = CompositionParameter.model_validate({"name": "ink", "components": ["Ni", "Fe", "Co"], "min_present": "5 %", "tolerance": 1e-3})
    assert inks.complaint({"ink.Ni": 0.97, "ink.Fe": 0.03, "ink.Co": 0.0}) == "ink.Fe = 0.03 is too little; expected 0, or at least 0.05"
    assert inks.complaint({"ink.Ni": 0.9505, "ink.Fe": 0.0495, "ink.Co": 0.0}) is None
    assert inks.complaint({"ink.Ni": 0.9995, "ink.Fe": 0.0005, "ink.Co": 0.0}) is None
    assert inks.legal_values == "fractions of Ni, Fe, Co, each 0 or at least 0.05"
    assert inks.field.description == "fraction, 0 or 0.05 to 1; those of ink sum to 1"


def test_a_key_that_is_not_there_is_not_written() -> None:
    assert "min_present" not in ALLOY.model_dump(mode="json")
    inks = ALLOY.evolve(min_present="20 %")
    assert inks.model_dump(mode="json")["min_present"] == 0.2
    assert CompositionParameter.model_validate(inks.model_dump(mode="json")) == inks


def test_missing_and_unknown_columns_are_both_named() -> None:
    configuration = {column: value for column, value in GOOD.items() if column != "T"}
    complaint = SPACE.complaint({**configuration, "pressure": 1.0})
    assert complaint is not None
    assert "missing ['T'], unknown ['pressure']" in complaint


def test_float_noise_at_a_bound_is_no_violation() -> None:
    assert SPACE.complaint({**GOOD, "T": 300.0 + 1e-10, "n": 2.0 + 1e-12, "alloy.Ni": 0.1 + 0.2}) is None


def test_a_linear_constraint_is_kept_in_the_columns_units() -> None:
    space = SPACE.evolve(constraints=(LinearConstraint(coefficients={"T": 1, "tau": -2}, min=0, max=150).model_dump(),))
    assert space.complaint(GOOD) is None
    complaint = space.complaint({**GOOD, "tau": 10.0})
    assert complaint == "constraint '1 T + -2 tau' = 180; expected 0 to 150"


def test_a_sum_that_is_zero_but_for_float_noise_meets_a_bound_of_zero() -> None:
    assert 0.1 + 0.2 - 0.3 != 0
    space = SearchSpace(
        parameters=tuple(ContinuousParameter(name=name, min=0, max=1) for name in "abc"),
        constraints=(LinearConstraint(coefficients={"a": 1, "b": 1, "c": -1}, min=0, max=0),),
    )
    assert space.complaint({"a": 0.1, "b": 0.2, "c": 0.3}) is None
    assert space.complaint({"a": 0.1, "b": 0.2, "c": 0.3001}) is not None


def test_an_expression_constraint_binds_constants_and_units() -> None:
    constraint = ExpressionConstraint.model_validate(
        {"expression": "V / tau", "unit": "mL/min", "max": "6 mL/min", "constants": {"V": [2.0, "mL"]}}
    )
    space = SPACE.evolve(constraints=(constraint.model_dump(),))
    assert space.complaint(GOOD) is None
    assert space.complaint({**GOOD, "tau": 10.0}) == "constraint 'V / tau' = 12; expected at most 6"


def test_a_constraint_without_a_value_is_not_met() -> None:
    space = SearchSpace(
        parameters=(ContinuousParameter(name="x", min=-1, max=1),),
        constraints=(ExpressionConstraint(expression="1 / x", max=5), ExpressionConstraint(expression="x ** 0.5", max=5)),
    )
    assert "division by zero" in (space.complaint({"x": 0.0}) or "")
    assert "root of a negative number" in (space.complaint({"x": -1.0}) or "")


@pytest.mark.parametrize(
    ("constraint", "error", "message"),
    [
        ({"kind": "linear", "coefficients": {"solvent": 1}, "min": 0}, ValidationError, "'solvent' is no numeric column"),
        ({"kind": "linear", "coefficients": {"pH": 1}, "min": 0}, ValidationError, "'pH' is no numeric column"),
        ({"kind": "expression", "expression": "pH * 2", "min": 0}, BadInput, "unknown name 'pH'"),
        ({"kind": "expression", "expression": "T / tau", "unit": "mL", "min": 0}, BadInput, "expected a quantity in mL"),
        (
            {"kind": "expression", "expression": "tau", "unit": "s", "min": 0, "constants": {"tau": [1.0, "s"]}},
            ValidationError,
            "constant 'tau' has the name of a column",
        ),
    ],
)
def test_a_constraint_on_what_is_not_there_is_refused(constraint: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        SPACE.evolve(constraints=(constraint,))


def test_two_parameters_of_one_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="parameter T is declared twice"):
        SearchSpace(parameters=(T, T))


def test_a_table_is_the_only_place_to_propose_from() -> None:
    space = SearchSpace(parameters=(T,), candidates=({"T": 150.0}, {"T": 250.0}))
    assert space.complaint({"T": 150.0 + 1e-12}) is None
    assert space.complaint({"T": 200.0}) == "not in the candidate table"
    assert space.complaint({"T": 200.0}, membership=False) is None


@pytest.mark.parametrize(
    ("rows", "message"), [((), "candidate table is empty"), (({"T": 150.0}, {"T": 400.0}), "row 2: T = 400.0 is outside")]
)
def test_a_table_with_illegal_rows_is_refused_by_row(rows: tuple[Configuration, ...], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SearchSpace.model_validate({"parameters": [T], "candidates": rows})


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_configuration_drawn_within_a_space_is_legal_there(data: st.DataObject) -> None:
    space = data.draw(strategies.open_spaces())
    configuration = data.draw(strategies.configurations(space))
    assert space.complaint(configuration) is None
    assert space.key(configuration) == space.key(copy.deepcopy(configuration))


@settings(max_examples=40, deadline=None)
@given(space=strategies.spaces())
def test_a_space_survives_being_written_as_json(space: SearchSpace) -> None:
    assert SearchSpace.model_validate_json(space.model_dump_json()) == space


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_changed_key_means_a_changed_configuration(data: st.DataObject) -> None:
    space = data.draw(strategies.open_spaces())
    left, right = data.draw(strategies.configurations(space)), data.draw(strategies.configurations(space))
    if space.key(left) == space.key(right):
        assert all(left[column] == pytest.approx(right[column], rel=1e-11, abs=0) for column in space.numeric_columns)


def test_values_are_listed_wherever_people_read_what_is_legal() -> None:
    few = DiscreteParameter(name="n", unit="mL", values=(1, 2, 4))
    assert (few.legal, few.legal_values, few.field) == (listed := "one of 1, 2, 4 mL", listed, FormField(listed, ("1", "2", "4")))
    many = DiscreteParameter(name="n", values=tuple(range(31)))
    assert (many.field.choices, many.legal) == (None, f"one of {', '.join(map(str, range(31)))}")


@pytest.mark.parametrize(
    ("unit", "legal", "between"),
    [
        ("L", (1e-9, 2e-9, 5e-9), 1.5e-9),
        ("m", (1e-10, 5e-10), 3e-10),
        ("mol/L", (1e-6, 2e-6), 1.0005e-6),
        ("mol", (1e-15, 3e-15), 0.0),
        ("Hz", (1e9, 1e9 + 1), 1e9 + 0.5),
        ("", (0.0, 1e-12), 5e-13),
        ("", (2e-9,), 2.1e-9),
    ],
)
def test_what_lies_between_legal_values_is_illegal_at_any_scale(unit: str, legal: tuple[float, ...], between: float) -> None:
    parameter = DiscreteParameter(name="d", unit=unit, values=legal)
    assert "is none of" in (parameter.complaint({"d": between}) or "")
    assert all(parameter.complaint({"d": value}) is None for value in legal)


@given(value=st.floats(1e-3, 1e3), pair=st.sampled_from([("nL", "L"), ("mL", "L"), ("hour", "s"), ("nm", "m"), ("mmol/L", "mol/L")]))
def test_a_legal_value_that_went_through_another_unit_stays_legal(value: float, pair: tuple[str, str]) -> None:
    inside = convert(value, *pair)
    parameter = DiscreteParameter(name="d", unit=pair[1], values=(inside, 2 * inside))
    assert parameter.complaint({"d": convert(convert(inside, *reversed(pair)), *pair)}) is None


@pytest.mark.parametrize(("step", "divides"), [(0.1, True), (1e-7, True), (3.333333333333e-7, True), (0.3, False), (2.0000001e-7, False)])
def test_a_composition_step_divides_one_or_does_not_however_small_it_is(step: float, divides: bool) -> None:
    fields = {"name": "m", "components": ("a", "b"), "step": step}
    if divides:
        assert CompositionParameter(**fields).step == step
    else:
        with pytest.raises(ValidationError, match="does not divide one"):
            CompositionParameter(**fields)
