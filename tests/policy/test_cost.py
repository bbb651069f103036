"""The worth of an experiment is weighed against what it costs, exactly where points are compared."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
import torch
from scipy.interpolate import RBFInterpolator
from typing_extensions import override

from models.inputs.encoding import Encoding
from models.reproducible import repeatable
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter, DiscreteParameter
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput
from orchestrator.ports import Cost, Knowledge, Observation
from orchestrator.suggestions import COST
from policies.acquisition import build_acquisition
from policies.bayesian import BayesianPolicy
from policies.cost import EVERY, LEAST, Spline, charge
from policies.initial import SobolPolicy
from policies.registry import build_policy
from policies.settings import BayesianSettings
from tests.policy.test_bayesian import PLANE, QUICK, YIELD, bump

TABLE = SearchSpace(
    parameters=PLANE.parameters, candidates=tuple({"T": 100.0 + 20 * i, "t": 10.0 + 16 * j} for i in range(11) for j in range(6))
)
SETTINGS = {"initial": 0, **QUICK}


@dataclass(frozen=True)
class Told(Cost):
    """A price that rises with T, or is one for all; and a way from the T before it."""

    rise: float = 0.0
    way: float = 0.0
    left_over: float = 1.0
    asked: list[Configuration | None] = field(default_factory=list, compare=False)

    unit = "EUR"

    @override
    def amounts(self, batch: Sequence[Configuration], after: Configuration | None) -> tuple[float, ...]:
        self.asked.append(after)
        start = 100.0 if after is None else float(after["T"])
        return tuple(2.3 * math.exp(self.rise * (float(one["T"]) - 200) / 100) + self.way * abs(float(one["T"]) - start) for one in batch)

    @override
    def left(self, carried: Sequence[Configuration]) -> float:
        return self.left_over


def known(*places: tuple[float, float]) -> Knowledge:
    rows = [{"T": T, "t": t} for T, t in places or ((120.0, 20.0), (160.0, 80.0), (280.0, 70.0), (260.0, 20.0))]
    return Knowledge(observations=tuple(Observation(row, bump(row)) for row in rows), excluded=tuple(rows[:-1]), carried=tuple(rows))


def policy(cost: Cost | None, space: SearchSpace = PLANE) -> BayesianPolicy:
    settings = BayesianSettings.model_validate({**SETTINGS, **({} if cost is None else {"cost": "money"})})
    return BayesianPolicy(space, YIELD, settings, cost=cost)


@pytest.mark.parametrize("space", [PLANE, TABLE])
def test_one_cost_for_all_changes_nothing_to_the_last_bit(space: SearchSpace) -> None:
    free, flat = (policy(one, space).propose(known(), count=2, seed=4) for one in (None, Told()))
    assert [(one.configuration, one.acquisition) for one in free] == [(one.configuration, one.acquisition) for one in flat]
    assert [one.details[COST]["subtracted"] for one in flat] == [0.0, 0.0]


def test_the_row_of_a_table_is_the_best_of_all_by_what_is_written() -> None:
    cost, facts, seed = Told(rise=1.5, way=0.01, left_over=0.7), known(), 4
    (chosen,) = policy(cost, TABLE).propose(facts, count=1, seed=seed)
    plain = policy(None, TABLE)
    rows = [row for row in TABLE.candidates or () if row not in [one.configuration for one in facts.observations]]
    question = plain.question(facts, seed)
    with repeatable(seed), torch.no_grad():
        worth = build_acquisition(question)(Encoding(TABLE).encode(rows).unsqueeze(-2)).tolist()
    amounts = cost.amounts(rows, facts.carried[-1])
    scores = [value - 0.7 * math.log(amount) for value, amount in zip(worth, amounts, strict=True)]
    assert chosen.configuration == rows[scores.index(max(scores))]
    told = chosen.details[COST]
    assert told["amount"] == pytest.approx(cost.amounts([chosen.configuration], facts.carried[-1])[0])
    assert told["subtracted"] == pytest.approx(0.7 * math.log(told["amount"] / told["typical"]))
    assert chosen.acquisition == pytest.approx(worth[rows.index(chosen.configuration)] - told["subtracted"])
    (other,) = plain.propose(facts, count=1, seed=seed)
    assert other.configuration != chosen.configuration, "the test would show nothing"


def test_a_search_of_an_open_space_ends_no_worse_than_a_close_look_everywhere() -> None:
    cost, facts, seed = Told(rise=2.0, way=0.02), known(), 4
    asked = policy(cost)
    (chosen,) = asked.propose(facts, count=1, seed=seed)
    grid = [{"T": 100.0 + 2 * i, "t": 10.0 + 2 * j} for i in range(101) for j in range(41)]
    question = policy(None).question(facts, seed)
    with repeatable(seed), torch.no_grad():
        worth = build_acquisition(question)(Encoding(PLANE).encode(grid).unsqueeze(-2))
    amounts, typical = torch.tensor(cost.amounts(grid, facts.carried[-1])), chosen.details[COST]["typical"]
    assert chosen.acquisition is not None
    assert chosen.acquisition > float((worth - (amounts / typical).log()).max()) - 0.02
    (free,) = policy(None).propose(facts, count=1, seed=seed)
    assert float(chosen.configuration["T"]) < float(free.configuration["T"]) - 5


def test_every_fifth_proposal_leaves_cost_out() -> None:
    facts = known()
    facts = replace(facts, excluded=(*facts.excluded, {"T": 110.0, "t": 85.0}))
    first, fifth = facts.excluded[:3], facts.excluded
    assert len(fifth) == EVERY - 1
    (free,) = policy(None).propose(facts, count=1, seed=4)
    (dear,) = policy(Told(rise=3.0)).propose(facts, count=1, seed=4)
    assert (dear.configuration, dear.acquisition, dear.details[COST]["share"]) == (free.configuration, free.acquisition, 0.0)
    batch = policy(Told(rise=3.0, left_over=0.4)).propose(replace(facts, excluded=first), count=3, seed=4)
    assert [one.details[COST]["share"] for one in batch] == [0.4, 0.0, 0.4]


def test_each_of_a_batch_comes_after_the_one_before_it() -> None:
    cost = Told(way=0.05)
    batch = policy(cost).propose(known(), count=3, seed=4)
    states = [one for index, one in enumerate(cost.asked) if index == 0 or one != cost.asked[index - 1]]
    assert states == [known().carried[-1], batch[0].configuration, batch[1].configuration]


def test_an_explanation_asks_no_bench_about_points_that_nobody_proposes() -> None:
    cost, facts = Told(rise=2.0), known()
    asked = policy(cost)
    batch = [one.configuration for one in asked.propose(facts, count=1, seed=4)]
    cost.asked.clear()
    (found,) = asked.explain(facts, batch, seed=4)
    assert len(cost.asked) == 1, "the points that the spline goes through"
    assert all(math.isfinite(value) for value in found.effects["acquisition"])


def test_what_the_bench_refuses_is_not_proposed() -> None:
    class Refusing(Told):
        @override
        def amounts(self, batch: Sequence[Configuration], after: Configuration | None) -> tuple[float, ...]:
            return tuple(math.inf if float(one["T"]) > 180 else 1.0 for one in batch)

    (chosen,) = policy(Refusing()).propose(known(), count=1, seed=4)
    assert float(chosen.configuration["T"]) <= 180


def test_what_costs_nothing_is_worth_a_hundred_times_its_worth_and_no_more() -> None:
    class Gift(Told):
        @override
        def amounts(self, batch: Sequence[Configuration], after: Configuration | None) -> tuple[float, ...]:
            return tuple(0.0 if float(one["T"]) < 101 else 5.0 for one in batch)

    encoding = Encoding(PLANE)
    taken = charge(Gift(), encoding, encoding.encode(({"T": 150.0, "t": 20.0}, {"T": 250.0, "t": 50.0})), number=1, carried=())
    with torch.no_grad():
        found = taken(encoding.encode(({"T": 100.0, "t": 20.0}, {"T": 200.0, "t": 50.0})).unsqueeze(-2))
    assert found.tolist() == [pytest.approx(math.log(LEAST)), 0.0]


def test_the_spline_is_that_of_scipy() -> None:
    generator = torch.Generator().manual_seed(1)
    X, Z = (torch.rand(count, 3, dtype=torch.float64, generator=generator) for count in (40, 25))
    values = (X[:, 0] * 3).sin() + (X[:, 1] - 0.4).abs() * X[:, 2]
    reference = RBFInterpolator(X.numpy(), values.numpy(), kernel="cubic", degree=1)(Z.numpy())
    assert Spline.through(X, values)(Z).tolist() == pytest.approx(reference.tolist(), abs=1e-9)


def test_the_spline_goes_through_its_points_also_where_inputs_sum_to_one() -> None:
    space = SearchSpace(
        parameters=(
            CompositionParameter(name="mix", components=("A", "B", "C")),
            CategoricalParameter(name="base", categories=("x", "y")),
            ContinuousParameter(name="T", min=0, max=1),
        )
    )
    X = BayesianPolicy(space, YIELD)._search(Knowledge()).everywhere(3)[:60]
    values = X @ torch.arange(1.0, X.shape[1] + 1, dtype=torch.float64)
    spline = Spline.through(torch.cat([X, X[:1]]), torch.cat([values, values[:1]]))
    assert spline(X).tolist() == pytest.approx(values.tolist(), abs=1e-8)
    moved = 0.5 * (X[:-1] + X[1:])
    assert spline(moved).tolist() == pytest.approx((0.5 * (values[:-1] + values[1:])).tolist(), abs=1e-7), "what is affine stays affine"


def test_the_slope_that_a_climb_follows_is_that_of_the_spline() -> None:
    encoding, cost = Encoding(PLANE), Told(rise=1.0, way=0.01)
    everywhere = policy(cost)._search(Knowledge()).everywhere(1)
    taken = charge(cost, encoding, everywhere, number=1, carried=known().carried)
    points = everywhere[:5].clone().unsqueeze(-2).requires_grad_()
    assert torch.autograd.gradcheck(taken, (points,))
    with torch.no_grad():
        assert torch.allclose(taken(everywhere[:5].unsqueeze(-2)), taken(points), atol=1e-9), "knots are exact"


def test_a_cost_that_nobody_knows_is_refused() -> None:
    with pytest.raises(BadInput, match=r'policy\.cost = "time" belongs to a campaign that a bench carries out'):
        build_policy("bayesian", PLANE, YIELD, {"cost": "time"})
    with pytest.raises(BadInput, match=r"cost.*'money'"):
        build_policy("bayesian", PLANE, YIELD, {"cost": "euros"})


@pytest.mark.parametrize("space", [PLANE, TABLE])
def test_a_design_takes_the_cheapest_of_three_points_and_each_fifth_time_the_next(space: SearchSpace) -> None:
    settings = BayesianSettings.model_validate({**QUICK, "initial": 6, "cost": "money"})
    cost, plain = Told(rise=1.0, way=0.02), SobolPolicy(space)
    facts = Knowledge(excluded=known().excluded, carried=known().carried)
    drawn = [one.configuration for one in plain.propose(facts, count=9, seed=2)]
    batch = [one.configuration for one in BayesianPolicy(space, YIELD, settings, cost=cost).propose(facts, count=3, seed=2)]
    after, left, wanted = facts.carried[-1], list(drawn), []
    for number in (4, 5, 6):
        amounts = cost.amounts(left, after)
        after = left.pop(0 if number % EVERY == 0 else amounts.index(min(amounts)))
        wanted.append(after)
    assert batch == wanted
    assert batch != drawn[:3], "the test would show nothing"
    flat = BayesianPolicy(space, YIELD, settings, cost=Told()).propose(facts, count=3, seed=2)
    assert [one.configuration for one in flat] == drawn[:3]


def test_a_design_of_all_that_there_is_needs_no_choice() -> None:
    few = SearchSpace(parameters=PLANE.parameters, candidates=(TABLE.candidates or ())[:4])
    settings = BayesianSettings.model_validate({**QUICK, "initial": 4, "cost": "money"})
    batch = BayesianPolicy(few, YIELD, settings, cost=Told(rise=1.0)).propose(Knowledge(), count=4, seed=2)
    assert len({tuple(one.configuration.values()) for one in batch}) == 4


def test_a_design_repeats_nothing_however_cheap_while_anything_is_new() -> None:
    five = SearchSpace(parameters=(DiscreteParameter(name="T", unit="degC", values=(100, 150, 200, 250, 300)),))
    rows = tuple({"T": float(T)} for T in (100, 150, 200))
    facts = Knowledge(observations=tuple(Observation(row, {"yield": 1.0}) for row in rows), excluded=rows, carried=rows)
    settings = BayesianSettings.model_validate({**QUICK, "initial": 5, "cost": "money"})
    (one,) = BayesianPolicy(five, YIELD, settings, cost=Told(rise=1.0)).propose(facts, count=1, seed=2)
    assert one.configuration["T"] in (250.0, 300.0)
