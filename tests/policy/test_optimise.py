"""The search finds the best legal configuration of known landscapes."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.inputs.encoding import Encoding
from orchestrator.domain.constraints import ExpressionConstraint, LinearConstraint
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter, DiscreteParameter, Parameter
from orchestrator.domain.space import SearchSpace
from policies.batched import BatchedSearch
from policies.enumeration import enumerated
from policies.optimise import Found, Search, best_row
from policies.pool import blocks
from tests import strategies

X1 = ContinuousParameter(name="x", min=0, max=10)
Y1 = ContinuousParameter(name="y", min=0, max=10)
FREE = CompositionParameter(name="alloy", components=("Ni", "Fe", "Co"))
SEARCHES = (Search, BatchedSearch)
NOWHERE = torch.zeros(0, 0, dtype=torch.float64)


def peak(*centre: float) -> Callable[[Tensor], Tensor]:
    """A landscape that falls off with the distance from a point of the encoded cube."""
    return lambda X: -(X.squeeze(-2) - torch.tensor(centre, dtype=X.dtype)).square().sum(dim=-1)


def found(space: SearchSpace, landscape: Callable[[Tensor], Tensor], seed: int = 0) -> Found:
    one_by_one, together = (kind(Encoding(space), restarts=2, raw_samples=64).best(landscape, NOWHERE, seed=seed) for kind in SEARCHES)
    assert one_by_one is not None
    assert together is not None
    assert together.value >= one_by_one.value - 1e-4
    return together


def test_a_free_maximum_is_found() -> None:
    row = found(SearchSpace(parameters=(X1, Y1)), peak(0.3, 0.8)).row
    assert row == pytest.approx({"x": 3.0, "y": 8.0}, abs=1e-3)


def test_a_maximum_beyond_a_bound_is_found_at_the_bound_exactly() -> None:
    assert found(SearchSpace(parameters=(X1, Y1)), peak(1.5, -0.4)).row == {"x": 10.0, "y": 0.0}


def test_a_linear_constraint_is_followed_to_its_edge() -> None:
    space = SearchSpace(parameters=(X1, Y1), constraints=(LinearConstraint(coefficients={"x": 1, "y": 1}, max=8),))
    assert found(space, peak(0.8, 0.8)).row == pytest.approx({"x": 4.0, "y": 4.0}, abs=1e-3)


def test_an_expression_constraint_is_followed_to_its_edge() -> None:
    space = SearchSpace(parameters=(X1, Y1), constraints=(ExpressionConstraint(expression="x * y", max=9),))
    best = found(space, peak(0.9, 0.9))
    edge = [(0.001 * step, 90 / step) for step in range(90, 1001)]
    assert best.value == pytest.approx(max(-((x - 0.9) ** 2) - (y - 0.9) ** 2 for x, y in edge), abs=1e-4)
    assert space.complaint(best.row) is None


@pytest.mark.parametrize("seed", range(8))
def test_an_expressions_limit_is_missed_by_rounding_at_most(seed: int) -> None:
    constraint = ExpressionConstraint(expression="x * y / 450", min=0.02)
    space = SearchSpace(parameters=(X1, Y1), constraints=(constraint,))
    row = found(space, peak(0.1 + 0.01 * seed, 0.1), seed).row
    value = space.constraint_value(constraint, row)
    assert value == pytest.approx(0.02, rel=1e-3)
    assert value >= 0.02 * (1 - 1e-9)


def test_a_range_between_two_curves_is_kept() -> None:
    constraint = ExpressionConstraint(expression="x ** 2 + y ** 2", min=24, max=26)
    space = SearchSpace(parameters=(X1, Y1), constraints=(constraint,))
    row = found(space, peak(1.0, 0.0)).row
    assert row["x"] == pytest.approx(math.sqrt(26), abs=1e-2)


def test_fractions_stay_on_the_simplex() -> None:
    row = found(SearchSpace(parameters=(FREE,)), peak(0.6, 0.3, 0.1)).row
    assert row == pytest.approx({"alloy.Ni": 0.6, "alloy.Fe": 0.3, "alloy.Co": 0.1}, abs=1e-3)
    assert sum(map(float, row.values())) == pytest.approx(1.0, abs=1e-12)


def test_the_right_components_are_chosen_where_few_may_be_present() -> None:
    space = SearchSpace(parameters=(FREE.evolve(max_components=2),))
    row = found(space, peak(0.1, 0.4, 0.5)).row
    assert row == pytest.approx({"alloy.Ni": 0.0, "alloy.Fe": 0.45, "alloy.Co": 0.55}, abs=1e-3)


def test_mixed_spaces_are_searched_in_all_their_parts() -> None:
    space = SearchSpace(
        parameters=(
            X1,
            DiscreteParameter(name="n", values=(0, 1, 2, 4, 8)),
            CategoricalParameter(name="solvent", categories=("water", "DMF", "THF")),
            CompositionParameter(name="alloy", components=("Ni", "Fe", "Co"), step=0.05, max_components=2),
        ),
        constraints=(LinearConstraint(coefficients={"x": 1, "n": 1}, max=6),),
    )
    row = found(space, peak(0.25, 0.5, 0, 0, 1, 0.0, 0.31, 0.69)).row
    assert row["x"] == pytest.approx(2.0, abs=0.51)
    assert (row["n"], row["solvent"]) == (4.0, "THF")
    assert (row["alloy.Ni"], row["alloy.Fe"], row["alloy.Co"]) == (0.0, 0.3, 0.7)


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_small_finite_space_is_listed_completely(data: st.DataObject) -> None:
    discrete = st.one_of(strategies.discrete_parameters("a"), strategies.categorical_parameters("a"))
    parameters: tuple[Parameter, ...] = (
        data.draw(discrete),
        data.draw(strategies.composition_parameters("b").filter(lambda one: one.step is not None and one.step > 0.1)),
    )
    space = SearchSpace(parameters=parameters)
    rows = enumerated(Encoding(space))
    assert rows is not None
    assert len(rows) == math.prod(parameter.size for parameter in parameters)
    assert len({space.key(row) for row in rows}) == len(rows)
    assert space.key(data.draw(strategies.configurations(space))) in {space.key(row) for row in rows}


def test_a_lattice_of_three_components_in_tenths_has_66_points() -> None:
    assert len(list(FREE.evolve(step=0.1).choices())) == 66


def test_infinite_and_huge_spaces_are_not_listed() -> None:
    assert enumerated(Encoding(SearchSpace(parameters=(X1,)))) is None
    wide = CompositionParameter(name="alloy", components=tuple("abcdefgh"), step=0.01)
    assert enumerated(Encoding(SearchSpace(parameters=(wide,)))) is None


def test_a_lattice_too_large_to_list_is_climbed_without_rounding() -> None:
    wide = CompositionParameter(name="alloy", components=tuple("abcdef"), step=0.02)
    space = SearchSpace(parameters=(wide,))
    assert enumerated(Encoding(space)) is None
    target = (0.32, 0.2, 0.0, 0.08, 0.4, 0.0)
    assert tuple(found(space, peak(*target)).row.values()) == target


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_neighbours_differ_in_one_parameter_and_are_whole_configurations(data: st.DataObject) -> None:
    space = data.draw(strategies.open_spaces())
    row = data.draw(strategies.configurations(space))
    for other in space.neighbours(row):
        changed = [one.name for one in space.parameters if any(row[column] != other[column] for column in one.columns)]
        assert len(changed) == 1
        assert set(other) == set(space.columns)


def test_ties_are_broken_by_the_seed_not_by_the_order_of_rows() -> None:
    X = torch.rand(40, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def level(points: Tensor) -> Tensor:
        return torch.zeros(len(points), dtype=points.dtype)

    chosen = {best_row(level, blocks(X), range(40), torch.Generator().manual_seed(seed))[0] for seed in range(20)}
    assert len(chosen) > 5
    assert best_row(level, blocks(X), range(40), torch.Generator().manual_seed(3)) == best_row(
        level, blocks(X), range(40), torch.Generator().manual_seed(3)
    )


def test_a_row_without_a_score_is_never_the_best() -> None:
    X = torch.tensor([[0.0], [0.5], [1.0]], dtype=torch.float64)

    def broken(points: Tensor) -> Tensor:
        return torch.where(points[:, 0, 0] < 0.7, torch.nan, -5.0)

    assert best_row(broken, blocks(X), range(3), torch.Generator().manual_seed(0))[0] == 2
