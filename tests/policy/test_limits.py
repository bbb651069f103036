"""Limits on what comes out, held against BoTorch's constraints, against brute force, and against what a person would do."""

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np
import pytest
import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.objective import GenericMCObjective
from botorch.acquisition.utils import compute_best_feasible_objective
from botorch.sampling.normal import SobolQMCNormalSampler
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from models.base import Surrogate
from models.gaussian_processes.single_task import GaussianProcessLearner
from models.inputs.encoding import Encoding
from models.inputs.training_data import training_data
from models.reproducible import repeatable
from orchestrator.domain.objective import Objective, Outcome, Target
from orchestrator.domain.parameters import ContinuousParameter, DiscreteParameter
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput
from orchestrator.ports import Knowledge, Observation
from orchestrator.suggestions import KEPT
from policies.bayesian import BayesianPolicy
from policies.drawn import drawn_improvement
from policies.limits import ETA, chances, limits_at
from policies.score import Score
from policies.settings import BayesianSettings, policy_choice
from tests.policy import test_drawn as priors

SPACE = SearchSpace(parameters=(ContinuousParameter(name="x", min=0, max=4),))
ENCODING = Encoding(SPACE)
UP = Target(name="up", goal="maximise")
LIMITED = Objective(targets=(UP,), outcomes=(Outcome(name="heat", min=-0.6, max=0.4), Outcome(name="up", max=0.95)))
MEASURED = (0.2, 0.9, 1.7, 2.4, 3.1, 3.8)
SCALE, SAMPLES, SEED = 0.3, 256, 5
QUICK = BayesianSettings(initial=0, restarts=1, raw_samples=64, mc_samples=64)


def respond(x: float) -> dict[str, float]:
    return {"up": math.sin(1.3 * x), "heat": math.cos(2.0 * x) - 0.1 * x}


def observed(places: Sequence[float] = MEASURED) -> tuple[Observation, ...]:
    return tuple(Observation({"x": place}, respond(place)) for place in places)


def fitted(objective: Objective = LIMITED) -> tuple[Surrogate, Score]:
    data = training_data(ENCODING, objective, observed())
    return GaussianProcessLearner().fit(data, seed=0), Score(objective, tuple(one.unit for one in data))


class Floored(qLogNoisyExpectedImprovement):  # type: ignore[misc]  # botorch is untyped here
    """BoTorch's, told what is worse than any: its own guess is drawn at random."""

    floor: Tensor

    @override
    def _compute_best_feasible_objective(self, samples: Tensor, obj: Tensor) -> Tensor:
        best: Tensor = compute_best_feasible_objective(samples=samples, obj=obj, constraints=self._constraints, infeasible_obj=self.floor)
        return best


def constraints(score: Score, spreads: Sequence[float]) -> tuple[list[Callable[[Tensor], Tensor]], Tensor]:
    """Write the limits as BoTorch has them, negative where they are kept, with a width each."""
    heat, up = score.units[1], score.units[0]
    sides: list[Callable[[Tensor], Tensor]] = [
        lambda Y: -0.6 - heat * Y[..., 1],
        lambda Y: heat * Y[..., 1] - 0.4,
        lambda Y: up * Y[..., 0] - 0.95,
    ]
    widths = [ETA * heat * spreads[0], ETA * heat * spreads[0], ETA * up * spreads[1]]
    return sides, torch.tensor(widths, dtype=torch.float64)


def test_limited_improvements_over_draws_are_botorchs_with_constraints() -> None:
    surrogate, score = fitted()
    pins = ENCODING.encode([{"x": place} for place in (0.55, 2.0, 2.75)])  # between the measured: some draws keep nothing
    X = ENCODING.encode([{"x": 0.1 + 0.3 * index} for index in range(13)])
    limits = limits_at(surrogate, score, pins[:0], pins)
    assert limits is not None
    ours = drawn_improvement(
        surrogate.functions(),
        score,
        measured=pins[:0],
        pending=pins,
        expected=None,
        scale=SCALE,
        samples=SAMPLES,
        seed=SEED,
        limits=limits,
    )
    assert bool((ours.best == limits.floor).any())
    assert bool((ours.best > limits.floor).any())
    sides, widths = constraints(score, [one.spread for one in limits.each])
    (_, model), *_ = surrogate.components()
    with repeatable(0), torch.no_grad():
        theirs = Floored(
            model,
            pins,
            sampler=SobolQMCNormalSampler(torch.Size([SAMPLES]), seed=SEED),
            objective=GenericMCObjective(lambda samples, X=None: score(samples) / SCALE),  # noqa: ARG005 - botorch's
            constraints=sides,
            eta=widths,
            fat=True,
            prune_baseline=False,
            cache_root=False,
            incremental=False,
        )
        theirs.floor = torch.tensor(limits.floor / SCALE, dtype=torch.float64)
        wanted = theirs(X.unsqueeze(-2))
        found = ours(X.unsqueeze(-2))
    torch.testing.assert_close(found, wanted, atol=5e-3, rtol=5e-3)


def test_chances_are_those_of_a_new_measurement_noise_included() -> None:
    surrogate, score = fitted()
    X = ENCODING.encode([{"x": 0.55}, {"x": 1.2}])
    each, whole = chances(surrogate, score, X)
    policy = BayesianPolicy(SPACE, LIMITED, BayesianSettings(initial=3))
    for row, one in enumerate(policy.predict(Knowledge(observations=observed()), [{"x": 0.55}, {"x": 1.2}])):
        heat, up = (NormalDist(one[name].mean, one[name].sd) for name in ("heat", "up"))
        wanted = (heat.cdf(0.4) - heat.cdf(-0.6), up.cdf(0.95))
        assert each[row].tolist() == pytest.approx(wanted, abs=1e-6)
        assert float(whole[row]) == pytest.approx(wanted[0] * wanted[1], abs=1e-6)


def brute_force(pool: Sequence[Configuration], known: Knowledge, seed: int) -> list[float]:
    """Return, per row, the mean over joint draws of all rows and measured points of what it adds to the best that keeps the limits."""
    data = training_data(ENCODING, LIMITED, known.observations)
    surrogate = GaussianProcessLearner().fit(data, seed=seed)
    units = [one.unit for one in data]
    X = ENCODING.encode([*(one.configuration for one in known.observations), *pool])
    with torch.no_grad():
        joint = surrogate.posterior(X)
        covariance = joint.distribution.covariance_matrix.reshape(2, len(X), 2, len(X))  # all points of one quantity, then the other's
        generator = np.random.default_rng(0)
        up, heat = (
            units[index]
            * torch.from_numpy(
                generator.multivariate_normal(joint.mean[:, index].numpy(), covariance[index, :, index].numpy(), 4096, method="svd")
            )
            for index in range(2)
        )
        floor = float((joint.mean[:, 0] - 6 * joint.variance[:, 0].clamp_min(0).sqrt())[: len(known.observations)].min()) * units[0]
    kept = (heat >= -0.6) & (heat <= 0.4) & (up <= 0.95)
    worth: Float[Tensor, "s n"] = torch.where(kept, up, floor)
    count = len(known.observations)
    gained = (worth[:, count:] - worth[:, :count].max(dim=1, keepdim=True).values).clamp_min(0.0)
    return gained.mean(dim=0).tolist()


@pytest.mark.parametrize("places", [MEASURED, (0.2, 0.9, 2.4, 3.8), (1.6, 3.1, 3.3)])
def test_of_a_small_pool_the_row_is_proposed_that_all_joint_draws_favour(places: tuple[float, ...]) -> None:
    rows = [{"x": 0.25 * index} for index in range(17)]
    space = SearchSpace(parameters=SPACE.parameters, candidates=tuple(rows))
    known = Knowledge(observations=observed(places))
    policy = BayesianPolicy(space, LIMITED, BayesianSettings(initial=0))
    (found,) = policy.propose(known, count=1, seed=SEED)
    worth = brute_force(rows, known, SEED)
    chosen = worth[rows.index(dict(found.configuration))]  # type: ignore[arg-type]  # floats both
    assert chosen > 0.9 * max(worth)


def test_with_nothing_that_keeps_the_limits_the_chance_to_keep_them_leads() -> None:
    target, limit = Target(name="up", goal="maximise"), Outcome(name="heat", max=0.3)
    objective = Objective(targets=(target,), outcomes=(limit,))
    known = tuple(Observation({"x": x}, {"up": x, "heat": x}) for x in (1.0, 1.5, 2.0, 2.5))  # better and hotter to the right
    policy = BayesianPolicy(SPACE, objective, BayesianSettings(initial=0))
    (found,) = policy.propose(Knowledge(observations=known), count=1, seed=SEED)
    assert float(found.configuration["x"]) < 0.5
    free = BayesianPolicy(SPACE, Objective(targets=(target,)), BayesianSettings(initial=0, search="together"))
    (other,) = free.propose(Knowledge(observations=known), count=1, seed=SEED)
    assert float(other.configuration["x"]) > 2.0


def test_what_counts_as_kept_is_the_outcomes_own_probability() -> None:
    surrogate, score = fitted()
    measured = ENCODING.encode([{"x": 0.9}])
    (heat, up), _ = (part[0] for part in chances(surrogate, score, measured))
    for least, met in ((0.5, True), (1 - 1e-9, False)):
        outcomes = tuple(one.model_copy(update={"probability": least}) for one in LIMITED.outcomes)
        strict = Score(Objective(targets=(UP,), outcomes=outcomes), score.units)
        found = limits_at(surrogate, strict, measured, measured)
        assert found is not None
        assert found.is_met is met
    assert min(float(heat), float(up)) > 0.5


def test_a_batch_keeps_to_limits_beside_what_is_pending() -> None:
    policy = BayesianPolicy(SPACE, LIMITED, QUICK)
    known = Knowledge(observations=observed(), pending=({"x": 1.05},))
    batch = policy.propose(known, count=2, seed=SEED)
    assert len({float(one.configuration["x"]) for one in batch}) == 2
    for one in batch:
        told = one.details[KEPT]
        assert list(told["limits"]) == ["heat", "up"]
        assert 0.0 <= told["probability"] <= min(told["limits"].values()) <= 1.0
    again = policy.propose(known, count=2, seed=SEED)
    assert batch == again


def test_where_no_row_that_is_left_improves_one_that_keeps_the_limits_is_proposed() -> None:
    rows = tuple({"x": float(index)} for index in range(5))
    space = SearchSpace(parameters=(DiscreteParameter(name="x", values=tuple(range(5))),), candidates=rows)
    objective = Objective(targets=(Target(name="up", goal="maximise"),), outcomes=(Outcome(name="heat", max=0.5),))
    values = {0.0: (10.0, 0.0), 1.0: (0.0, 0.0), 2.0: (0.1, 0.0), 3.0: (9.0, 5.0)}
    known = tuple(Observation({"x": x}, {"up": up, "heat": heat}) for x, (up, heat) in values.items())
    (found,) = BayesianPolicy(space, objective, BayesianSettings(initial=0)).propose(Knowledge(observations=known), count=1, seed=0)
    assert found.configuration == {"x": 4.0}  # the only one left


def test_the_outlook_beats_the_best_only_where_limits_are_kept() -> None:
    policy = BayesianPolicy(SPACE, LIMITED, QUICK)
    known = Knowledge(observations=observed())
    (limited,) = policy.outlook(known, [{"x": 1.2}])
    free = BayesianPolicy(SPACE, Objective(targets=(UP,)), BayesianSettings(initial=0))
    (other,) = free.outlook(known, [{"x": 1.2}])
    assert other.kept is None
    assert limited.kept is not None
    assert limited.better is not None
    assert limited.better <= limited.kept.probability + 0.01


def test_before_any_run_keeps_the_limits_there_is_no_best_to_beat() -> None:
    policy = BayesianPolicy(SPACE, LIMITED, QUICK)
    (found,) = policy.outlook(Knowledge(observations=observed((1.6, 3.1))), [{"x": 1.2}])
    assert found.better is None


def test_explanations_stay_within_their_range() -> None:
    policy = BayesianPolicy(SPACE, LIMITED, QUICK)
    known = Knowledge(observations=observed())
    batch = [one.configuration for one in policy.propose(known, count=1, seed=SEED)]
    (found,) = policy.explain(known, batch, seed=SEED)
    assert set(found.effects) == {"mean up", "mean heat", "sd up", "sd heat", "acquisition"}
    assert found.exploit is None or 0.0 <= found.exploit <= 1.0
    assert found.alternatives


def test_limits_are_always_searched_together_and_never_by_the_closed_form() -> None:
    assert policy_choice("bayesian", SPACE, LIMITED, {}).name == "bayesian/2"
    assert BayesianPolicy(SPACE, LIMITED).name == "bayesian/2"
    with pytest.raises(BadInput, match=r"'log-ei' knows no limits on what comes out \(heat, up\); expected 'log-nei'"):
        policy_choice("bayesian", SPACE, LIMITED, {"acquisition": "log-ei"})
    assert policy_choice("sobol", SPACE, LIMITED, {}).name == "sobol/1"


def test_with_a_prior_limits_are_kept_from_the_first_experiment_on() -> None:
    up, near = priors.OBJECTIVE.targets
    objective = Objective(targets=(up,), outcomes=(Outcome(name=near.name, max=0.8),))
    policy = BayesianPolicy(priors.SPACE, objective, BayesianSettings(mc_samples=64, restarts=1, raw_samples=32), priors.guarded())
    known = Knowledge()
    for number in range(2):
        (found,) = policy.propose(known, count=1, seed=number)
        assert found.details[KEPT]["probability"] > 0.3
        assert set(found.predicted) == {"up", "near"}
        row = found.configuration
        known = Knowledge(observations=(*known.observations, Observation(row, priors.respond(row))), excluded=(*known.excluded, row))
    assert any(one.values["near"] <= 0.8 for one in known.observations)
