"""Trade-offs are searched for by BoTorch's criteria, on the same draws."""

import math
from functools import lru_cache
from itertools import product

import pytest
import torch
from botorch.acquisition.multi_objective import logei
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.objective import GenericMCMultiOutputObjective
from botorch.sampling.normal import SobolQMCNormalSampler
from botorch.utils.multi_objective.hypervolume import Hypervolume
from botorch.utils.multi_objective.pareto import is_non_dominated
from botorch.utils.multi_objective.scalarization import get_chebyshev_scalarization
from jaxtyping import Float
from torch import Tensor

from models.base import Surrogate
from models.gaussian_processes.single_task import GaussianProcessLearner
from models.inputs.encoding import Encoding
from models.inputs.training_data import training_data
from models.reproducible import repeatable
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import ContinuousParameter
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.ports import Knowledge, Observation
from policies.bayesian import BayesianPolicy
from policies.fronts import ChebyshevAim, HypervolumeAim, VolumeAim
from policies.pareto import DrawnTradeOff, Utilities, chance_to_join, drawn_trade_off
from policies.registry import build_policy
from policies.score import Score
from policies.settings import BayesianSettings
from tests.policy import test_drawn as with_prior
from tests.policy.test_outlook import Bell, Flat

SPACE = SearchSpace(parameters=(ContinuousParameter(name="x", min=0, max=1), ContinuousParameter(name="y", min=0, max=1)))
ENCODING = Encoding(SPACE)
TARGETS = tuple(Target(name=name, goal="maximise", low=0, high=1) for name in ("left", "right", "up", "near"))
TWO = Objective(targets=TARGETS[:2], kind="pareto", reference={"left": 0.2})
THREE = Objective(targets=TARGETS[:3], kind="pareto")
FOUR = Objective(targets=TARGETS, kind="pareto")
OBJECTIVES = {2: TWO, 3: THREE, 4: FOUR}
ROWS = tuple({"x": 0.1 + 0.2 * index, "y": (0.37 * index) % 1} for index in range(5))
SAMPLES, SEED = 64, 3


def respond(row: dict[str, float]) -> dict[str, float]:
    x, y = row["x"], row["y"]
    return {"left": 1 - 2 * (x - 0.2) ** 2 - (y - 0.5) ** 2, "right": 1 - 2 * (x - 0.8) ** 2 - (y - 0.5) ** 2, "up": y, "near": 1 - x * y}


def measured(objective: Objective) -> tuple[Observation, ...]:
    return tuple(Observation(row, {name: respond(row)[name] for name in objective.names}) for row in ROWS)


@lru_cache(maxsize=3)
def fitted(count: int) -> tuple[Surrogate, Score]:
    objective = OBJECTIVES[count]
    known = training_data(ENCODING, objective, measured(objective))
    return GaussianProcessLearner().fit(known, seed=0), Score(objective, tuple(one.unit for one in known))


def points(count: int) -> Float[Tensor, "n d"]:
    return ENCODING.encode([{"x": (0.23 + 0.31 * index) % 1, "y": (0.71 * index) % 1} for index in range(count)])


def trade_off(surrogate: Surrogate, score: Score, pins: Float[Tensor, "n d"], *, pending: bool = True) -> DrawnTradeOff:
    with torch.no_grad():
        posterior = surrogate.posterior(pins.unsqueeze(-2))
        mean, sd = posterior.mean.squeeze(-2), posterior.variance.sqrt().squeeze(-2)
    utilities = Utilities.among(score, mean, sd)
    known = utilities.all(mean)
    none = pins[:0]
    return drawn_trade_off(
        surrogate.functions(),
        utilities,
        known,
        measured=none if pending else pins,
        pending=pins if pending else none,
        expected=None,
        listed=True,
        samples=SAMPLES,
        seed=SEED,
    )


@pytest.mark.parametrize(("count", "size"), [(2, 9), (3, 0), (3, 1), (3, 12)])
def test_what_a_point_adds_to_a_front_is_the_difference_of_botorchs_hypervolumes(count: int, size: int) -> None:
    generator, volume = torch.Generator().manual_seed(1), Hypervolume(torch.zeros(count, dtype=torch.float64))
    fronts = torch.rand(count, 2, 6, size, generator=generator, dtype=torch.float64) * 1.4 - 0.2
    fronts[:, 1] = (8 * fronts[:, 1]).round() / 8  # and with ties
    new = torch.rand(count, 2, 6, 20, generator=generator, dtype=torch.float64) * 1.6 - 0.2
    found = (HypervolumeAim(1.0) if count == 2 else VolumeAim(1.0)).gain(fronts)(new)
    for component, draw, place in product(range(2), range(6), range(20)):
        known = fronts[:, component, draw].T
        before, after = (
            volume.compute(points[is_non_dominated(points)]) if len(points) else 0.0
            for points in (known, torch.cat([known, new[:, component, draw, [place]].T]))
        )
        assert float(found[component, draw, place]) == pytest.approx(after - before, abs=1e-5)


def test_three_targets_take_two_boxes_for_each_point_of_a_front_and_one() -> None:
    front = torch.rand(3, 1, 8, 15, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    front = front / front.norm(dim=0)
    assert VolumeAim(1.0).leaders(front).all()
    assert VolumeAim(1.0).gain(front).boxes.shape == (5, 1, 8, 31, 1)


def test_the_leaders_of_a_draw_are_its_front_above_the_reference_point() -> None:
    U = torch.tensor([[[[0.9, 0.5, 0.4, 0.2, -0.1]]], [[[0.1, 0.6, 0.5, -0.2, 2.0]]]], dtype=torch.float64)
    assert HypervolumeAim(1.0).leaders(U).tolist() == [[[True, True, False, False, False]]]
    assert VolumeAim(1.0).leaders(torch.cat([U, torch.full_like(U[:1], 0.5)])).tolist() == [[[True, True, False, False, False]]]
    assert VolumeAim(1.0).leaders(torch.cat([U, U[:1].flip(-1)])).tolist() == [[[False, True, True, False, False]]]


@pytest.mark.parametrize("kind", ["fresh", "three", "prior"])
def test_gains_over_draws_are_botorchs_averaged_over_combinations(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logei, "_load_attempted", True)  # else it compiles its kernel in C++
    if kind != "prior":
        (surrogate, score), pins, X = fitted(3 if kind == "three" else 2), ENCODING.encode(ROWS), points(12)
    else:
        (surrogate, score), pins, X = with_prior.fitted("prior"), with_prior.ENCODING.encode(with_prior.ROWS[:2]), with_prior.points(24)
    ours = trade_off(surrogate, score, pins)
    utilities, parts = ours.utilities, []
    targets = range(len(utilities.scales))
    for weight, model in surrogate.components():
        with repeatable(0), torch.no_grad():
            theirs = qLogNoisyExpectedHypervolumeImprovement(
                model,
                [0.0] * len(targets),
                pins,
                sampler=SobolQMCNormalSampler(torch.Size([2048]), seed=SEED),
                objective=GenericMCMultiOutputObjective(
                    lambda samples, X=None: torch.stack([utilities.one(index, samples[..., index]) for index in targets], dim=-1)  # noqa: ARG005
                ),
                prune_baseline=False,
                cache_root=False,
            )
            parts.append(math.log(weight) + theirs(X.unsqueeze(-2)))
    wanted, found = torch.logsumexp(torch.stack(parts), dim=0).exp(), ours(X.unsqueeze(-2)).exp()
    likely = wanted > 0.05 * wanted.max()
    assert int(likely.sum()) >= 3
    torch.testing.assert_close(found[likely], wanted[likely], rtol=0.15, atol=0.01 * float(wanted.max()))


def test_the_scalarisation_is_botorchs() -> None:
    generator = torch.Generator().manual_seed(5)
    Y = torch.rand(3, 10, generator=generator, dtype=torch.float64)
    aim = ChebyshevAim.drawn(Y, 4)
    weights = aim.weights.flatten() * (Y.amax(dim=1) - Y.amin(dim=1))
    assert float(weights.sum()) == pytest.approx(1.0)
    theirs = get_chebyshev_scalarization(weights, Y.T)
    torch.testing.assert_close(aim.worth(Y[:, None, None])[0, 0] * aim.scale, theirs(Y.T))


def test_what_is_not_better_than_the_reference_point_is_no_level_for_a_scalarisation_and_no_gain() -> None:
    U = torch.tensor([[0.9, 0.4], [0.9, 0.4], [-0.1, 0.4]], dtype=torch.float64)[:, None, None]
    aim = ChebyshevAim.drawn(torch.rand(3, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64), 4)
    assert aim.leaders(U).tolist() == [[[False, True]]]
    assert not aim.leaders(U[..., :1]).any()
    new = torch.tensor([[0.9, 0.6], [0.9, 0.6], [-0.1, 0.6]], dtype=torch.float64)[:, None, None]
    outside, inside = aim.gain(U)(new)[0, 0].tolist()
    assert 0.0 < outside < 1e-3 * inside


def test_weights_are_drawn_by_the_seed() -> None:
    Y = points(4).T.repeat(2, 1)[:3]
    assert torch.equal(ChebyshevAim.drawn(Y, 1).weights, ChebyshevAim.drawn(Y, 1).weights)
    assert not torch.equal(ChebyshevAim.drawn(Y, 1).weights, ChebyshevAim.drawn(Y, 2).weights)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_slopes_are_those_of_differences(count: int) -> None:
    surrogate, score = fitted(count)
    function = trade_off(surrogate, score, ENCODING.encode(ROWS), pending=False)
    X = points(3).unsqueeze(-2).requires_grad_()
    (slope,) = torch.autograd.grad(function(X).sum(), X)
    step = torch.zeros_like(X)
    step[..., 0] = 1e-6
    with torch.no_grad():
        difference = (function(X + step) - function(X - step)) / 2e-6
    torch.testing.assert_close(slope[:, 0, 0], difference, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("objective", [TWO, THREE, FOUR])
def test_proposals_are_the_same_again_and_keep_from_what_is_pending(objective: Objective) -> None:
    policy = build_policy("bayesian", SPACE, objective, {"raw_samples": 32, "restarts": 2})
    assert policy.name == "bayesian/2"
    known = Knowledge(observations=measured(objective))
    first, second = policy.propose(known, count=2, seed=1)
    assert [one.configuration for one in policy.propose(known, count=2, seed=1)] == [first.configuration, second.configuration]
    assert first.configuration != second.configuration
    assert first.details["acquisition"] == ("log-nehvi" if objective is TWO else "log-nparego")
    waiting = Knowledge(observations=measured(objective), pending=(first.configuration,))
    (other,) = policy.propose(waiting, count=1, seed=2)
    assert max(abs(float(other.configuration[name]) - float(first.configuration[name])) for name in "xy") > 0.01


def test_in_a_table_a_front_of_three_targets_is_improved_on_by_its_hypervolume() -> None:
    for objective, criterion in ((THREE, "log-nehvi"), (FOUR, "log-nparego")):
        policy = build_policy("bayesian", SearchSpace(parameters=SPACE.parameters, candidates=(*ROWS, {"x": 0.5, "y": 0.5})), objective, {})
        (found,) = policy.propose(Knowledge(observations=measured(objective), excluded=ROWS), count=1, seed=1)
        assert found.details["acquisition"] == criterion
        assert found.configuration == {"x": 0.5, "y": 0.5}


def test_in_a_table_all_that_the_front_lacks_is_found() -> None:
    rows = tuple({"x": x / 8, "y": 0.5} for x in range(9))
    space = SearchSpace(parameters=SPACE.parameters, candidates=rows)
    policy, asked = build_policy("bayesian", space, TWO, {"initial": 2}), [dict(rows[0]), dict(rows[8])]
    while len(asked) < 6:
        observations = tuple(Observation(row, {name: respond(row)[name] for name in TWO.names}) for row in asked)
        (found,) = policy.propose(Knowledge(observations=observations, excluded=tuple(asked)), count=1, seed=len(asked))
        asked.append({name: float(value) for name, value in found.configuration.items()})
    # the front runs from x = 0.2 to 0.8; what lies outside was measured at first
    assert all(0.2 < row["x"] < 0.8 for row in asked[2:])


def test_without_measurements_in_what_is_allowed_it_improves_on_what_is_expected() -> None:
    surrogate, score = fitted(2)
    with torch.no_grad():
        mean = surrogate.posterior(points(4).unsqueeze(-2)).mean.squeeze(-2)
    utilities = Utilities.among(score, mean, torch.zeros_like(mean))
    none = points(0)
    found = drawn_trade_off(
        surrogate.functions(),
        utilities,
        utilities.all(mean),
        measured=none,
        pending=none,
        expected=points(4),
        listed=True,
        samples=SAMPLES,
        seed=SEED,
    )
    assert bool(found(points(9).unsqueeze(-2)).isfinite().all())


def test_the_chance_to_join_a_front_is_that_of_independent_normal_measurements() -> None:
    surrogate = Flat(((1.0, Bell((0.5, 0.1), (0.5, 0.2))),))
    score = Score(Objective(targets=TARGETS[:2], kind="pareto"), (1.0, 1.0))
    attained = torch.tensor([[0.5, 0.7]], dtype=torch.float64)
    # it is bettered where the first is below 0.5 and the second below 0.7, one sd above its mean; below zero lie 0.6 %
    wanted = 1 - 0.5 * 0.8413
    assert chance_to_join(surrogate, score, torch.zeros(1, 1, dtype=torch.float64), attained) == pytest.approx(wanted, abs=0.01)  # type: ignore[arg-type]  # a stand-in


def test_a_decision_page_gets_what_is_meaningful() -> None:
    policy = BayesianPolicy(SPACE, TWO, BayesianSettings(raw_samples=32, restarts=2))
    known = Knowledge(observations=measured(TWO))
    good, bad = policy.outlook(known, [{"x": 0.5, "y": 0.5}, {"x": 0.1, "y": 0.0}])
    assert good.better is not None
    assert bad.better is not None
    assert good.better > 0.8 > 0.2 > bad.better
    (explained,) = policy.explain(known, [{"x": 0.5, "y": 0.5}], seed=0)
    assert explained.exploit is None
    assert explained.alternatives


def test_exact_improvement_of_one_target_is_no_criterion_for_a_front() -> None:
    with pytest.raises(BadInput, match="log-ei"):
        build_policy("bayesian", SPACE, TWO, {"acquisition": "log-ei"})


def test_fewer_samples_are_the_default_of_a_front_alone() -> None:
    assert build_policy("bayesian", SPACE, TWO, {}).settings["mc_samples"] == 64
    assert build_policy("bayesian", SPACE, TWO, {"mc_samples": 128}).settings["mc_samples"] == 128
    assert build_policy("bayesian", SPACE, Objective(targets=TARGETS[:2]), {}).settings["mc_samples"] == 256
