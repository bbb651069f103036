"""Configurations survive the crossing to tensors and back."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.inputs.encoding import Encoding
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter, DiscreteParameter
from orchestrator.domain.parameters.composition import on_lattice, on_simplex
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput
from tests import strategies

MIXED = SearchSpace(
    parameters=(
        ContinuousParameter(name="T", unit="degC", min=100, max=300),
        DiscreteParameter(name="volume", unit="mL", values=(0.1, 0.3, 0.7)),
        CategoricalParameter(name="solvent", categories=("water", "DMF", "THF")),
        CompositionParameter(name="alloy", components=("Ni", "Fe"), step=0.1),
    )
)


@settings(deadline=None)
@given(data=st.data())
def test_a_configuration_comes_back_from_its_inputs(data: st.DataObject) -> None:
    space = data.draw(strategies.open_spaces())
    encoding = Encoding(space)
    configuration = data.draw(strategies.configurations(space))
    back = encoding.decode(encoding.encode([configuration])[0])
    assert list(back) == list(space.columns)
    for parameter in space.parameters:
        for column in parameter.columns:
            before, after = configuration[column], back[column]
            if isinstance(before, str) or isinstance(parameter, DiscreteParameter):
                assert after == before
            else:
                assert isinstance(after, float)
                assert after == pytest.approx(before, rel=1e-9, abs=1e-6)


@settings(deadline=None)
@given(data=st.data())
def test_any_point_of_the_cube_decodes_to_a_legal_configuration(data: st.DataObject) -> None:
    space = data.draw(strategies.open_spaces())
    encoding = Encoding(space)
    values = data.draw(st.lists(st.floats(-0.5, 1.5), min_size=encoding.width, max_size=encoding.width))
    inside = [min(max(value, 0.0), 1.0) for value in values]
    assert space.complaint(encoding.decode(torch.tensor(inside, dtype=torch.float64))) is None


@settings(deadline=None)
@given(data=st.data())
def test_lattice_fractions_are_the_declared_multiples_bit_for_bit(data: st.DataObject) -> None:
    parameter = data.draw(strategies.composition_parameters("alloy").filter(lambda one: one.step is not None))
    encoding = Encoding(SearchSpace(parameters=(parameter,)))
    configuration = dict(zip(parameter.columns, data.draw(strategies.fractions(parameter)), strict=True))
    noise = data.draw(st.lists(st.floats(-1e-10, 1e-10), min_size=encoding.width, max_size=encoding.width))
    back = encoding.decode(encoding.encode([configuration])[0] + torch.tensor(noise, dtype=torch.float64))
    assert back == configuration


@settings(deadline=None)
@given(amounts=st.lists(st.floats(-1, 10), min_size=2, max_size=8), parts=st.integers(1, 100))
def test_fractions_sum_to_one_on_the_simplex_and_on_the_lattice(amounts: list[float], parts: int) -> None:
    fractions = on_simplex(amounts)
    assert math.fsum(fractions) == pytest.approx(1, abs=1e-12)
    assert sum(round(fraction * parts) for fraction in on_lattice(fractions, parts)) == parts


def test_numbers_are_scaled_categories_one_hot_and_fractions_as_they_are() -> None:
    configuration: Configuration = {"T": 150.0, "volume": 0.3, "solvent": "DMF", "alloy.Ni": 0.4, "alloy.Fe": 0.6}
    row = Encoding(MIXED).encode([configuration])[0].tolist()
    assert row == pytest.approx([0.25, (0.3 - 0.1) / 0.6, 0, 1, 0, 0.4, 0.6])


def test_a_measured_value_beyond_its_bounds_is_extrapolated() -> None:
    configuration: Configuration = {"T": 310.0, "volume": 0.31, "solvent": "DMF", "alloy.Ni": 0.41, "alloy.Fe": 0.6}
    assert Encoding(MIXED).encode([configuration])[0, 0].item() == pytest.approx(1.05)


def test_an_unknown_category_is_refused_by_name() -> None:
    configuration: Configuration = {"T": 150.0, "volume": 0.3, "solvent": "xylene", "alloy.Ni": 0.4, "alloy.Fe": 0.6}
    with pytest.raises(BadInput, match="solvent = 'xylene' is none of water, DMF, THF"):
        Encoding(MIXED).encode([configuration])


def test_text_where_a_number_belongs_is_refused_by_name() -> None:
    configuration: Configuration = {"T": "hot", "volume": 0.3, "solvent": "DMF", "alloy.Ni": 0.4, "alloy.Fe": 0.6}
    with pytest.raises(BadInput, match="T = 'hot' is not a number"):
        Encoding(MIXED).encode([configuration])


def test_numeric_columns_come_back_in_their_units_with_gradients() -> None:
    encoding = Encoding(MIXED)
    X = torch.full((3, encoding.width), 0.5, dtype=torch.float64, requires_grad=True)
    numbers = encoding.numbers(X)
    assert numbers["T"].tolist() == [200.0] * 3
    (gradient,) = torch.autograd.grad(numbers["T"].sum(), X)
    assert gradient[:, 0].tolist() == [200.0] * 3


@settings(deadline=None)
@given(space=strategies.open_spaces())
def test_each_numeric_column_is_affine_in_one_input_but_for_a_log_scale(space: SearchSpace) -> None:
    encoding = Encoding(space)
    X = torch.rand(4, encoding.width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    numbers = encoding.numbers(X)
    assert set(encoding.affine) == {column for column in space.numeric_columns if not space.owners[column].on_log_scale}
    for column, (index, offset, factor) in encoding.affine.items():
        torch.testing.assert_close(numbers[column], offset + factor * X[:, index])


def test_no_configurations_are_an_empty_table() -> None:
    assert Encoding(MIXED).encode([]).shape == (0, 7)
