"""The map between two encodings is exact, and what it cannot map it names."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.inputs.encoding import Encoding
from models.inputs.lift import lift
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter, DiscreteParameter, Parameter
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.units import convert
from tests import strategies

OTHER_UNITS = {"": "", "mL": "L", "s": "min", "mL/min": "L/hour", "degC": "kelvin"}


def _widened(draw: st.DrawFn, own: Parameter) -> Parameter:
    """The same parameter as a prior may have it: other bounds and unit, more names in another order."""
    if isinstance(own, CategoricalParameter):
        return CategoricalParameter(name=own.name, categories=tuple(draw(st.permutations((*own.categories, "acetone")))))
    if isinstance(own, CompositionParameter):
        return CompositionParameter(name=own.name, components=tuple(draw(st.permutations((*own.components, "Zn")))))
    unit = OTHER_UNITS[own.unit] if draw(st.booleans()) else own.unit
    low = convert(own.ends[0], own.unit, unit) - draw(strategies.numbers(-5, 5))
    return ContinuousParameter(name=own.name, unit=unit, min=low, max=low + draw(strategies.numbers(0.1, 500)))


@st.composite
def prior_spaces(draw: st.DrawFn, own: SearchSpace) -> SearchSpace:
    return SearchSpace(parameters=tuple(_widened(draw, one) for one in draw(st.permutations(own.parameters))))


def _translated(own: SearchSpace, goal: SearchSpace, configuration: dict[str, float | str]) -> dict[str, float | str]:
    found = dict(configuration)
    for column, unit in own.units.items():
        found[column] = convert(float(configuration[column]), unit, goal.units[column])
    return {column: found.get(column, 0.0) for column in goal.columns}


@settings(deadline=None)
@given(data=st.data())
def test_a_lifted_configuration_is_the_one_that_the_prior_would_encode(data: st.DataObject) -> None:
    own = data.draw(strategies.open_spaces())
    goal = data.draw(prior_spaces(own))
    configuration = data.draw(strategies.configurations(own))
    lifted = lift(own, goal, what="prior p")(Encoding(own).encode([configuration]))
    expected = Encoding(goal).encode([_translated(own, goal, configuration)])
    assert torch.allclose(lifted, expected, rtol=1e-9, atol=1e-9 * float(expected.abs().max().clamp_min(1.0)))


@settings(deadline=None)
@given(data=st.data())
def test_a_space_is_lifted_to_itself_unchanged(data: st.DataObject) -> None:
    own = data.draw(strategies.open_spaces())
    X = Encoding(own).encode([data.draw(strategies.configurations(own))])
    assert torch.allclose(lift(own, own, what="prior p")(X), X, atol=1e-12)


def test_gradients_pass_through() -> None:
    own = SearchSpace(parameters=(ContinuousParameter(name="T", unit="degC", min=0, max=100),))
    goal = SearchSpace(parameters=(ContinuousParameter(name="T", unit="kelvin", min=273.15, max=473.15),))
    X = torch.tensor([[0.25]], dtype=torch.float64, requires_grad=True)
    Z = lift(own, goal, what="prior p")(X)
    Z.sum().backward()  # type: ignore[no-untyped-call]  # torch is untyped here
    assert Z.item() == pytest.approx(0.125)
    assert X.grad is not None
    assert X.grad.item() == pytest.approx(0.5)


def test_elements_are_the_same_however_they_are_written() -> None:
    own = SearchSpace(parameters=(CompositionParameter(name="metals", components=("ni", "FE")),))
    goal = SearchSpace(parameters=(CompositionParameter(name="metals", components=("Fe", "Co", "Ni")),))
    assert lift(own, goal, what="prior p").matrix.tolist() == [[0, 0, 1], [1, 0, 0]]


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        (ContinuousParameter(name="P", min=0, max=1), "prior p needs parameter 'T', which the campaign does not have; it has P"),
        (ContinuousParameter(name="T", unit="mL", min=0, max=1), "parameter T is in degC there and in mL in the campaign"),
        (CategoricalParameter(name="T", categories=("a",)), "parameter T is continuous there and categorical in the campaign"),
    ],
)
def test_a_parameter_that_does_not_fit_is_named(parameter: Parameter, message: str) -> None:
    goal = SearchSpace(parameters=(ContinuousParameter(name="T", unit="degC", min=0, max=100),))
    with pytest.raises(BadInput, match=message):
        lift(SearchSpace(parameters=(parameter,)), goal, what="prior p")


def test_an_extra_parameter_and_an_unknown_name_are_refused() -> None:
    T, s = ContinuousParameter(name="T", min=0, max=1), CategoricalParameter(name="s", categories=("a", "b"))
    metals = CompositionParameter(name="m", components=("Ni", "Cu"))
    refused: tuple[tuple[tuple[Parameter, ...], Parameter, str], ...] = (
        ((T, s), T, "knows nothing of parameter 's'; it knows T"),
        ((s,), CategoricalParameter(name="s", categories=("a", "c")), "parameter s: category 'b' is unknown to it; it knows a, c"),
        ((metals,), CompositionParameter(name="m", components=("Ni", "Fe")), "component 'cu' is unknown"),
    )
    for own, goal, message in refused:
        with pytest.raises(BadInput, match=message):
            lift(SearchSpace(parameters=own), SearchSpace(parameters=(goal,)), what="prior p")


def test_a_discrete_parameter_of_one_value_is_lifted_too() -> None:
    own = SearchSpace(parameters=(DiscreteParameter(name="v", unit="mL", values=(5.0,)),))
    goal = SearchSpace(parameters=(ContinuousParameter(name="v", unit="L", min=0, max=0.01),))
    assert lift(own, goal, what="prior p")(Encoding(own).encode([{"v": 5.0}])).item() == pytest.approx(0.5)
