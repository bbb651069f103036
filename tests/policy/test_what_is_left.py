"""What is still allowed sets the level to improve on, and a batch holds only experiments that the bench tells apart."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from models.inputs.encoding import Encoding
from orchestrator.domain.distance import unlike
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter, DiscreteParameter, Parameter
from orchestrator.domain.region import Region
from orchestrator.domain.restriction import Allowed, Restriction
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput
from orchestrator.ports import Knowledge, Observation
from policies.bayesian import BayesianPolicy
from policies.pool import told_apart
from policies.registry import build_policy
from policies.settings import BayesianSettings

T = ContinuousParameter(name="T", unit="degC", min=200, max=280)
TAU = ContinuousParameter(name="tau", unit="s", min=20, max=180)
SPACE = SearchSpace(parameters=(T, TAU))
YIELD = Objective(targets=(Target(name="y", goal="maximise"),))
QUICK = BayesianSettings(initial=0, restarts=2, raw_samples=64, mc_samples=64)
POLICY = BayesianPolicy(SPACE, YIELD, QUICK)
LOST = -20.0
"""Log improvements below it are BoTorch's smoothing: no sample improves."""


def restriction(columns: dict[str, Allowed] | None = None, around: Configuration | None = None, radius: float = 0.0) -> Restriction:
    return Restriction(
        restriction_id="1", campaign="c", number=1, author="Ada", columns=columns or {}, around=dict(around or {}), radius=radius
    )


COLD = restriction({"T": Allowed(max=240)})


def truth(row: Configuration) -> float:
    """A summit at 274 degC, so high that nothing below 240 degC comes near it."""
    warm, slow = (float(row["T"]) - 274) / 30, (float(row["tau"]) - 110) / 60
    return 100 * math.exp(-(warm**2) - slow**2)


def measured(*points: tuple[float, float]) -> tuple[Observation, ...]:
    rows = [{"T": temperature, "tau": time} for temperature, time in points]
    return tuple(Observation(row, {"y": truth(row)}) for row in rows)


HOT = measured((274, 110), (265, 70), (278, 150), (262, 120), (250, 40), (255, 160))


def test_a_batch_in_what_a_restriction_leaves_aims_at_its_best_and_no_alternative_is_worth_more() -> None:
    known = Knowledge(observations=HOT, restrictions=(COLD,))
    batch = POLICY.propose(known, count=4, seed=1)
    rows = [one.configuration for one in batch]
    assert len(batch) == 4
    assert all(unlike(SPACE, row, rows[:index]) for index, row in enumerate(rows))
    worth = [one.acquisition or -math.inf for one in batch]
    assert min(worth) > LOST
    assert all(later <= earlier + 0.1 for earlier, later in pairwise(worth))  # each is what one more experiment adds
    assert max(float(row["T"]) for row in rows) == pytest.approx(240, abs=8)
    pages = POLICY.explain(known, rows, seed=1)
    for one, page in zip(batch, pages, strict=True):
        others = [other.acquisition or 0.0 for other in page.alternatives]
        assert len(others) == 3
        assert max(others) <= (one.acquisition or 0.0) + 1e-6
        assert page.base["acquisition"] + sum(page.effects["acquisition"]) == pytest.approx(one.acquisition, abs=1e-6)
        assert all(Region(SPACE, (COLD,)).complaint(other.configuration) is None for other in page.alternatives)
    assert POLICY.explain(known, rows, seed=1, only=[2]) == (pages[2],)
    assert POLICY.propose(known, count=4, seed=1) == batch


def test_what_is_measured_where_proposals_may_lie_is_what_is_improved_on() -> None:
    inside = measured((230, 100), (215, 60))
    known = Knowledge(observations=(*HOT, *inside), restrictions=(COLD,))
    (one,) = POLICY.propose(known, count=1, seed=1)
    assert one.acquisition is not None
    assert one.acquisition > LOST
    assert POLICY.question(known, 1).measured.equal(Encoding(SPACE).encode(row.configuration for row in inside))
    whole = replace(known, restrictions=())
    assert len(POLICY.question(whole, 1).measured) == len(known.observations)


def test_a_running_experiment_that_would_not_be_allowed_now_does_not_raise_the_level() -> None:
    known = Knowledge(observations=HOT, restrictions=(COLD,))
    hot = replace(known, pending=({"T": 273.0, "tau": 109.0}, {"T": 275.0, "tau": 112.0}))
    alone, beside = (POLICY.propose(one, count=1, seed=1)[0] for one in (known, hot))
    assert beside == alone


def test_a_refused_surrounding_takes_its_measurements_out_of_the_level() -> None:
    refused = restriction(around={"T": 272.0, "tau": 112.0}, radius=0.2)
    known = Knowledge(observations=HOT, restrictions=(refused,))
    (one,) = POLICY.propose(known, count=1, seed=1)
    assert one.acquisition is not None
    assert one.acquisition > LOST
    assert not Region(SPACE, (refused,)).admits(HOT[0].configuration)


@pytest.mark.parametrize(
    ("parameter", "allowed", "value", "counts"),
    [
        (T, Allowed(min=220, max=220), 220.7, True),
        (T, Allowed(min=220, max=220), 221.0, False),
        (T.evolve(resolution="2 K"), Allowed(max=220), 221.9, True),
        (DiscreteParameter(name="n", values=(1, 2, 4)), Allowed(max=2), 2.2, True),
        (DiscreteParameter(name="n", values=(1, 2, 4)), Allowed(max=2), 3.9, False),
        (CategoricalParameter(name="s", categories=("DMF", "THF")), Allowed(names=("THF",)), "DMF", False),
    ],
)
def test_a_readback_counts_as_allowed_as_near_as_the_bench_tells_apart(
    parameter: Parameter, allowed: Allowed, value: float | str, counts: bool
) -> None:
    region = Region(SearchSpace(parameters=(parameter,)), (restriction({parameter.name: allowed}),))
    assert region.admits({parameter.name: value}) is counts


def test_a_readback_counts_as_the_nearest_point_of_a_lattice() -> None:
    space = SearchSpace(parameters=(CompositionParameter(name="a", components=("Ni", "Fe"), step=0.1),))
    region = Region(space, (restriction({"a.Ni": Allowed(max=0.3)}),))
    assert region.admits({"a.Ni": 0.34, "a.Fe": 0.66})
    assert not region.admits({"a.Ni": 0.36, "a.Fe": 0.64})


@pytest.mark.parametrize("kind", ["sobol", "random", "bayesian"])
def test_where_too_little_is_left_for_a_batch_fewer_are_proposed(kind: str) -> None:
    policy = POLICY if kind == "bayesian" else build_policy(kind, SPACE, YIELD, {})
    corner = restriction({"T": Allowed(min=200, max=200.5), "tau": Allowed(min=50, max=52)})
    known = Knowledge(observations=HOT, restrictions=(corner,))
    rows = [one.configuration for one in policy.propose(known, count=4, seed=1)]
    assert 1 <= len(rows) <= 2  # 0.8 degC and 1.6 s are told apart
    assert all(unlike(SPACE, row, rows[:index]) for index, row in enumerate(rows))
    point = restriction({"T": Allowed(min=200, max=200), "tau": Allowed(min=50, max=50)})
    known = replace(known, restrictions=(point,))
    assert len(policy.propose(known, count=4, seed=1)) == 1
    assert policy.propose(replace(known, pending=({"T": 200.0, "tau": 50.0},)), count=4, seed=1) == ()
    done = (*HOT, Observation({"T": 200.1, "tau": 50.2}, {"y": 0.1}))
    assert len(policy.propose(replace(known, observations=done), count=4, seed=1)) == 1  # a repeat, in a later batch


def test_a_coarse_bench_keeps_the_proposals_of_a_batch_and_running_ones_far_apart() -> None:
    space = SearchSpace(parameters=(T.evolve(resolution="30 degC"), TAU.evolve(resolution="1 min")))
    running: list[Configuration] = [{"T": 270.0, "tau": 110.0}]
    batch = BayesianPolicy(space, YIELD, QUICK).propose(Knowledge(observations=HOT, pending=tuple(running)), count=3, seed=1)
    rows = [*running, *(one.configuration for one in batch)]
    assert len(batch) == 3
    for index, row in enumerate(rows):
        for other in rows[:index]:
            apart = (abs(float(row["T"]) - float(other["T"])) / 30, abs(float(row["tau"]) - float(other["tau"])) / 60)
            assert max(apart) >= 1 - 1e-6


def test_a_table_with_nothing_better_left_is_searched_by_what_its_rows_promise() -> None:
    """Every row but poor ones is measured: which of those may be best is asked, not which may beat the best of all."""
    grid = [(200.0 + 8 * column, 20.0 + 32 * line) for column in range(11) for line in range(6)]
    space = SPACE.evolve(candidates=tuple({"T": a, "tau": b} for a, b in grid))
    warm = measured(*(one for one in grid if one[0] > 215))
    known = Knowledge(observations=warm, excluded=tuple(one.configuration for one in warm))
    batch = BayesianPolicy(space, YIELD, QUICK).propose(known, count=2, seed=1)
    assert all(one.acquisition is not None and one.acquisition > LOST for one in batch)
    pages = BayesianPolicy(space, YIELD, QUICK).explain(known, [one.configuration for one in batch], seed=1)
    used = {space.key(one) for one in known.excluded}
    for one, page in zip(batch, pages, strict=True):
        assert not used & {space.key(other.configuration) for other in page.alternatives}
        assert all((other.acquisition or 0.0) <= (one.acquisition or 0.0) + 1e-6 for other in page.alternatives)


@pytest.mark.parametrize("kind", ["sobol", "random", "bayesian"])
def test_rows_of_a_table_that_the_bench_cannot_tell_apart_share_a_batch_only_when_no_others_are_left(kind: str) -> None:
    rows = tuple({"T": 210.0 + 10 * index + shift, "tau": 100.0} for index in range(3) for shift in (0.0, 0.1))
    space = SPACE.evolve(candidates=rows)
    policy = BayesianPolicy(space, YIELD, QUICK) if kind == "bayesian" else build_policy(kind, space, YIELD, {})
    batch = [one.configuration for one in policy.propose(Knowledge(observations=HOT), count=3, seed=2)]
    assert sorted(int(float(row["T"]) / 10) for row in batch) == [21, 22, 23]
    assert len(policy.propose(Knowledge(observations=HOT), count=6, seed=2)) == 6


def test_a_restriction_that_leaves_no_row_of_a_table_leaves_nothing_to_propose() -> None:
    space = SPACE.evolve(candidates=tuple(dict(one.configuration) for one in HOT))
    with pytest.raises(BadInput, match="none of 6 configurations keeps to the restrictions"):
        BayesianPolicy(space, YIELD, QUICK).propose(Knowledge(observations=HOT, restrictions=(COLD,)), count=1, seed=0)


def test_encoded_rows_are_told_apart_as_configurations_are() -> None:
    space = SearchSpace(
        parameters=(
            T.evolve(resolution=0.5),
            DiscreteParameter(name="n", values=(1, 1.001)),
            CategoricalParameter(name="s", categories=("DMF", "THF")),
            CompositionParameter(name="a", components=("Ni", "Fe", "Co")),
        )
    )
    base: dict[str, float | str] = {"T": 240.0, "n": 1.0, "s": "DMF", "a.Ni": 0.5, "a.Fe": 0.3, "a.Co": 0.2}
    others: list[dict[str, float | str]] = [
        {**base, "T": 240.49},
        {**base, "T": 240.5},
        {**base, "n": 1.001},
        {**base, "s": "THF"},
        {**base, "a.Ni": 0.509, "a.Fe": 0.291},
        {**base, "a.Ni": 0.51, "a.Fe": 0.29},
        dict(base),
    ]
    expected = [False, True, True, True, False, True, False]
    assert [unlike(space, base, [other]) for other in others] == expected
    encoding = Encoding(space)
    assert told_apart(encoding, encoding.encode(others), encoding.encode([base])).tolist() == expected
    assert told_apart(encoding, encoding.encode(others), torch.zeros(0, encoding.width)).all()
