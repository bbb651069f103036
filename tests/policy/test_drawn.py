"""The acquisition function over draws is BoTorch's, for each combination of components, and the faster processes are the slower ones."""

import math
from collections.abc import Callable
from functools import lru_cache

import pytest
import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.objective import GenericMCObjective
from botorch.sampling.normal import SobolQMCNormalSampler
from jaxtyping import Float
from torch import Tensor

from models.base import Learner, Surrogate
from models.gaussian_processes.single_task import GaussianProcessLearner
from models.gaussian_processes.stack import Stack
from models.inputs.encoding import Encoding
from models.inputs.features import Features
from models.inputs.training_data import training_data
from models.meta_learning.adapted import AdaptedLearner
from models.pinned import JointFunctions
from models.reproducible import repeatable
from models.source_basis.guarded import DefaultLearner
from models.tasks import Family, TaskData
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import CategoricalParameter, ContinuousParameter
from orchestrator.domain.space import SearchSpace
from orchestrator.ports import Observation
from policies.drawn import drawn_improvement
from policies.score import Score
from tests.surrogate.family import BumpPrior

SPACE = SearchSpace(parameters=(ContinuousParameter(name="x", min=0, max=4), CategoricalParameter(name="c", categories=("a", "b", "d"))))
OBJECTIVE = Objective(
    targets=(Target(name="up", goal="maximise", low=0, high=2), Target(name="near", goal="match", value=1, tolerance=0.4, weight=2))
)
ENCODING = Encoding(SPACE)
ROWS: tuple[dict[str, float | str], ...] = tuple({"x": 0.3 + 0.9 * index, "c": "abd"[index % 3]} for index in range(5))
SAMPLES, SEED, SCALE = 64, 3, 0.2
REPEATS = 16
"""Seeds of which the scatter of a value is known."""


def respond(row: dict[str, float | str], shift: float = 0.0) -> dict[str, float]:
    x = float(row["x"]) + shift
    return {"up": math.sin(x) + (row["c"] == "b"), "near": 0.5 * x + 0.2 * math.cos(3 * x)}


def data(*, missing: bool = False) -> tuple[Observation, ...]:
    found = [Observation(row, respond(row)) for row in ROWS]
    if missing:
        found[1] = Observation(ROWS[1], {"up": found[1].values["up"]})
    return tuple(found)


@lru_cache(maxsize=1)
def guarded() -> AdaptedLearner:
    """Adapt priors of two sources each, with guards."""
    generator = torch.Generator().manual_seed(0)
    rows: list[dict[str, float | str]] = [{"x": 0.1 + 0.25 * index, "c": "abd"[index % 3]} for index in range(15)]
    priors = {}
    for target in OBJECTIVE.targets:
        tasks = [
            TaskData(
                f"s{shift}", ENCODING.encode(rows), torch.tensor([respond(row, shift)[target.name] for row in rows], dtype=torch.float64)
            )
            for shift in (0.1, -0.2)
        ]
        priors[target.name] = DefaultLearner().meta_train(tasks, Family(Features(ENCODING), target.name, ""), generator=generator)
    return AdaptedLearner(priors, lambda X: X, torch.zeros(0, dtype=torch.float64), {"name": "two"})


LEARNERS: dict[str, Callable[[], Learner]] = {"fresh": GaussianProcessLearner, "prior": guarded}


def fitted(kind: str, *, missing: bool = True) -> tuple[Surrogate, Score]:
    known = training_data(ENCODING, OBJECTIVE, data(missing=missing))
    return LEARNERS[kind]().fit(known, seed=0), Score(OBJECTIVE, tuple(one.unit for one in known))


def points(count: int) -> Float[Tensor, "n d"]:
    return ENCODING.encode([{"x": 0.2 + 0.37 * index, "c": "dab"[index % 3]} for index in range(count)])


def botorchs(
    surrogate: Surrogate, score: Score, baseline: Float[Tensor, "n d"], X: Float[Tensor, "b d"], *, samples: int, seed: int
) -> Float[Tensor, " b"]:
    """Return BoTorch's log improvements over all of a baseline, averaged over combinations."""
    parts = []
    for weight, model in surrogate.components():
        with repeatable(0), torch.no_grad():
            theirs = qLogNoisyExpectedImprovement(
                model,
                baseline,
                sampler=SobolQMCNormalSampler(torch.Size([samples]), seed=seed),
                objective=GenericMCObjective(lambda samples, X=None: score(samples) / SCALE),  # noqa: ARG005 - botorch's
                prune_baseline=False,
                cache_root=False,
            )
            parts.append(math.log(weight) + theirs(X.unsqueeze(-2)))
    return torch.logsumexp(torch.stack(parts), dim=0)


@pytest.mark.parametrize("kind", LEARNERS)
def test_improvements_over_draws_are_botorchs_averaged_over_combinations(kind: str) -> None:
    surrogate, score = fitted(kind)
    pins, X = ENCODING.encode(ROWS[:4]), points(7)
    ours = drawn_improvement(
        surrogate.functions(),
        score,
        measured=pins[:0],
        pending=pins,
        expected=None,
        scale=SCALE,
        samples=SAMPLES,
        seed=SEED,
    )(X.unsqueeze(-2))
    theirs = botorchs(surrogate, score, pins, X, samples=SAMPLES, seed=SEED)
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("kind", LEARNERS)
def test_few_draws_at_what_is_left_of_the_measured_points_expect_what_many_at_all_of_them_do(kind: str) -> None:
    surrogate, score = fitted(kind)
    functions, measured = surrogate.functions(), ENCODING.encode(ROWS)
    X = ENCODING.encode([{"x": 0.3 * index, "c": category} for index in range(14) for category in "abd"])

    def drawn(seed: int) -> Float[Tensor, " b"]:
        return drawn_improvement(
            functions, score, measured=measured, pending=measured[:0], expected=None, scale=SCALE, samples=256, seed=seed
        )(X.unsqueeze(-2))

    found, error = repeated(drawn)
    # one scrambling, however long, errs by more than many short ones say
    wanted, their_error = repeated(lambda seed: botorchs(surrogate, score, measured, X, samples=2**12, seed=1000 + seed))
    likely = wanted > 0.05
    both = (error.square() + their_error.square()).sqrt()
    assert int(likely.sum()) >= 10
    assert bool((both < 0.05 * wanted)[likely].all())  # else anything would do
    assert bool(((found - wanted).abs() < 4.0 * both)[likely].all())


def repeated(values: Callable[[int], Float[Tensor, " b"]]) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
    """Return the mean improvement over seeds and its standard error."""
    with torch.no_grad():
        found = torch.stack([values(seed).exp() for seed in range(REPEATS)])
    return found.mean(dim=0), found.std(dim=0) / REPEATS**0.5


@pytest.mark.parametrize("kind", LEARNERS)
def test_a_stack_says_what_its_processes_say_one_by_one(kind: str) -> None:
    surrogate, _ = fitted(kind)
    stack = surrogate.functions()
    assert isinstance(stack, Stack)
    pins, X = ENCODING.encode(ROWS[:2]), points(4)
    mean, along, apart = stack.pinned(pins).beside(X)
    roots = stack.pinned(pins).roots
    for (weight, model), known, which in zip(surrogate.components(), stack.weights, stack.functions, strict=True):
        assert weight == pytest.approx(known)
        joint = model.posterior(torch.cat([pins.expand(4, -1, -1), X.unsqueeze(1)], dim=1)).distribution
        for target, function in enumerate(which):
            # not interleaved: all points of one target, then all of the next
            block = joint.covariance_matrix[:, 3 * target : 3 * target + 3, 3 * target : 3 * target + 3]
            torch.testing.assert_close(mean[function], joint.mean[:, 2, target])
            across = along[function] @ roots[function].mT
            torch.testing.assert_close(across, block[:, 2, :2], atol=1e-7, rtol=1e-6)
            torch.testing.assert_close(
                along[function].square().sum(dim=-1) + apart[function].square(), block[:, 2, 2], atol=1e-7, rtol=1e-6
            )


def test_models_of_another_kind_are_asked_for_joint_posteriors() -> None:
    learner = AdaptedLearner({"up": BumpPrior()}, lambda X: X[..., :2], torch.zeros(0, dtype=torch.float64), {"name": "bump"})
    one = Objective(targets=OBJECTIVE.targets[:1])
    surrogate = learner.fit(training_data(ENCODING, one, data()), seed=0)
    functions = surrogate.functions()
    assert isinstance(functions, JointFunctions)
    pins, X = ENCODING.encode(ROWS[:2]), points(3)
    pinned = functions.pinned(pins)
    mean, along, apart = pinned.beside(X)
    for (_, model), (which,) in zip(surrogate.components(), functions.functions, strict=True):
        alone = model.posterior(X.unsqueeze(-2))
        torch.testing.assert_close(mean[which], alone.mean.flatten())
        torch.testing.assert_close(
            along[which].square().sum(dim=-1) + apart[which].square(), alone.variance.flatten(), atol=1e-9, rtol=1e-6
        )


@pytest.mark.parametrize("kind", LEARNERS)
def test_slopes_are_those_of_differences(kind: str) -> None:
    surrogate, score = fitted(kind)
    pins = ENCODING.encode(ROWS)
    function = drawn_improvement(
        surrogate.functions(), score, measured=pins, pending=pins[:0], expected=None, scale=SCALE, samples=SAMPLES, seed=SEED
    )
    X = points(3).unsqueeze(-2).requires_grad_()
    (slope,) = torch.autograd.grad(function(X).sum(), X)
    step = torch.zeros_like(X)
    step[..., 0] = 1e-5
    with torch.no_grad():
        difference = (function(X + step) - function(X - step)) / 2e-5
    torch.testing.assert_close(slope[:, 0, 0], difference, atol=1e-3, rtol=1e-3)
