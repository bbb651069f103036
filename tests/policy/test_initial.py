"""Designs without a model fill the space, go on where they stopped, and say when they cannot."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.inputs.encoding import Encoding
from orchestrator.domain.constraints import ExpressionConstraint, LinearConstraint
from orchestrator.domain.parameters import CompositionParameter, ContinuousParameter, DiscreteParameter
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.ports import Infeasible, Knowledge, Observation
from policies.initial import SobolPolicy
from policies.pool import spread_out
from policies.random_search import RandomPolicy
from policies.sampling import SobolPoints
from tests import strategies

SQUARE = SearchSpace(parameters=(ContinuousParameter(name="x", min=0, max=1), ContinuousParameter(name="y", min=0, max=1)))


def test_a_sobol_design_puts_one_point_into_every_cell() -> None:
    points = [one.configuration for one in SobolPolicy(SQUARE).propose(Knowledge(), count=16, seed=3)]
    cells = {(int(float(point["x"]) * 4), int(float(point["y"]) * 4)) for point in points}
    assert len(cells) == 16


def test_a_campaign_that_asks_twice_goes_on_with_the_same_sequence() -> None:
    whole = [one.configuration for one in SobolPolicy(SQUARE).propose(Knowledge(), count=8, seed=3)]
    rest = SobolPolicy(SQUARE).propose(Knowledge(excluded=tuple(whole[:5])), count=3, seed=3)
    assert [one.configuration for one in rest] == whole[5:]


@pytest.mark.parametrize("policy", [SobolPolicy, RandomPolicy])
def test_other_seeds_give_other_designs(policy: type[SobolPolicy] | type[RandomPolicy]) -> None:
    first, again, other = (policy(SQUARE).propose(Knowledge(), count=2, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("policy", [SobolPolicy, RandomPolicy])
def test_constraints_that_nothing_meets_are_named(policy: type[SobolPolicy] | type[RandomPolicy]) -> None:
    space = SQUARE.evolve(constraints=({"kind": "linear", "coefficients": {"x": 1, "y": 1}, "min": 3},))
    with pytest.raises(BadInput, match=r"infeasible constraints: 1 x \+ 1 y: none of 65536 points"):
        policy(space).propose(Knowledge(), count=1, seed=0)


def test_a_region_too_small_for_the_design_is_named() -> None:
    space = SQUARE.evolve(constraints=(ExpressionConstraint(expression="x * y", max=2e-6).model_dump(),))
    with pytest.raises(BadInput, match=r"constraints too narrow: x \* y"):
        SobolPolicy(space).propose(Knowledge(), count=100, seed=0)


def test_a_division_by_zero_at_a_point_rules_that_point_out() -> None:
    grid = DiscreteParameter(name="n", values=(0, 1, 2))
    space = SearchSpace(parameters=(grid,), constraints=(ExpressionConstraint(expression="1 / n", min=0.1),))
    rows = SobolPolicy(space).propose(Knowledge(), count=2, seed=0)
    assert {one.configuration["n"] for one in rows} == {1.0, 2.0}


@pytest.mark.parametrize("policy", [SobolPolicy, RandomPolicy])
def test_a_batch_holds_each_point_of_a_small_space_once_and_a_later_one_repeats_what_is_done(policy: type[SobolPolicy]) -> None:
    space = SearchSpace(parameters=(DiscreteParameter(name="n", values=(1, 2, 3)),))
    rows = [one.configuration["n"] for one in policy(space).propose(Knowledge(), count=5, seed=0)]
    assert sorted(rows) == [1.0, 2.0, 3.0]
    known = Knowledge(observations=(Observation({"n": 1.0}, {"y": 1.0}),), pending=({"n": 2.0},))
    assert [one.configuration["n"] for one in policy(space).propose(known, count=5, seed=0)] == [3.0, 1.0]


def test_few_components_are_present_where_few_may_be_and_each_set_of_them_is_drawn() -> None:
    alloy = CompositionParameter(name="alloy", components=("Ni", "Fe", "Co"), max_components=2)
    space = SearchSpace(parameters=(alloy,))
    encoding = Encoding(space)
    X = encoding.drawn(SobolPoints(encoding.latent, seed=0).draw(256))
    present = {tuple((row > 0).tolist()) for row in X}
    assert len(present) == 6
    assert all(1 <= sum(mask) <= 2 for mask in present)


def test_fractions_are_uniform_on_the_simplex() -> None:
    space = SearchSpace(parameters=(CompositionParameter(name="alloy", components=("Ni", "Fe", "Co")),))
    encoding = Encoding(space)
    X = encoding.drawn(SobolPoints(encoding.latent, seed=0).draw(4096))
    assert X.mean(dim=0).tolist() == pytest.approx([1 / 3] * 3, abs=0.01)
    # a flat Dirichlet over three: variance 2 / (9 * 4)
    assert X.var(dim=0).tolist() == pytest.approx([1 / 18] * 3, rel=0.05)


def test_a_space_filling_draw_from_a_table_leaves_no_corner_empty() -> None:
    X = torch.rand(400, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    chosen = spread_out(X, X[:0], range(400), count=24, generator=torch.Generator().manual_seed(1))
    assert len(set(chosen)) == 24
    assert len({(int(x * 2), int(y * 2)) for x, y in X[chosen].tolist()}) == 4
    nearest = (X.unsqueeze(1) - X[chosen].unsqueeze(0)).norm(dim=-1).amin(dim=1)
    assert nearest.max() < 0.4


def test_rows_equal_to_known_ones_are_drawn_last() -> None:
    X = torch.tensor([[0.0], [0.0], [0.0], [1.0]], dtype=torch.float64)
    chosen = spread_out(X, X[:1], [1, 2, 3], count=3, generator=torch.Generator().manual_seed(0))
    assert chosen[0] == 3
    assert sorted(chosen) == [1, 2, 3]


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_pending_and_infeasible_rows_of_a_table_are_left_alone(data: st.DataObject) -> None:
    space = data.draw(strategies.tables())
    assert space.candidates is not None
    rows = [data.draw(st.sampled_from(space.candidates)) for _ in range(4)]
    knowledge = Knowledge(
        observations=(Observation(rows[0], {"y": 1.0}),), pending=(rows[1],), infeasible=(Infeasible(rows[2]),), excluded=(rows[3],)
    )
    for policy in (SobolPolicy(space), RandomPolicy(space)):
        proposed = {space.key(one.configuration) for one in policy.propose(knowledge, count=3, seed=0)}
        assert not proposed & {space.key(row) for row in rows}


def test_linear_constraints_bind_fractions_too() -> None:
    alloy = CompositionParameter(name="alloy", components=("Ni", "Fe", "Co"), step=0.1)
    space = SearchSpace(parameters=(alloy,), constraints=(LinearConstraint(coefficients={"alloy.Ni": 1, "alloy.Fe": -1}, min=0, max=0),))
    for one in SobolPolicy(space).propose(Knowledge(), count=3, seed=0):
        assert one.configuration["alloy.Ni"] == one.configuration["alloy.Fe"]
