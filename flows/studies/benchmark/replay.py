"""One campaign replayed on a pool: adapt, choose, measure, again."""

import hashlib
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from botorch.acquisition import LogExpectedImprovement
from jaxtyping import Float
from torch import Tensor

from flows.studies.benchmark.judging import Judgement, judge_surrogate
from flows.studies.benchmark.pools import ReplayPool
from models.base import Surrogate
from models.reproducible import repeatable
from models.tasks import Prior, TaskData
from orchestrator.errors import Fault

OPENING: Final = 3
"""Random rows with which a surrogate without history opens where no initial rows are given."""
JUDGED_AT: Final = (5, 10, 20)
"""Numbers of support points at which predictions are judged."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay gave."""

    chosen: tuple[int, ...]
    """Candidates in the order of the experiments, the initial ones included."""
    latencies: tuple[float, ...]
    """Wall seconds of each proposal that a surrogate made: adaptation and choice."""
    processor: tuple[float, ...]
    """Processor seconds likewise: what a busy machine does not blur."""
    judgements: Mapping[int, Judgement]
    """Of the predictions of all unmeasured candidates, by number of support points."""


@dataclass(frozen=True, slots=True)
class ReplayCourse:
    """How a replay goes."""

    seed: int
    initial: int
    budget: int
    batch: int = 1


def initial_candidates(task: str, seed: int, *, of: int, count: int) -> list[int]:
    """Draw the first experiments: a function of task and seed alone, equal for all surrogates."""
    return random.Random(f"{task}/{seed}").sample(range(of), count)


def generator_for(task: str, seed: int, number: int, purpose: str = "proposal") -> torch.Generator:
    """Return the generator of one step, a function of its arguments alone."""
    drawn = int(hashlib.sha256(f"{task}/{seed}/{number}/{purpose}".encode()).hexdigest()[:15], 16)
    return torch.Generator().manual_seed(drawn)


def replay_pool(prior: Prior, pool: ReplayPool, course: ReplayCourse) -> Replay:
    """Replay a campaign until its budget is used up.

    A prior whose state is empty has no history: without initial rows it opens with random ones.
    """
    size, values = len(pool.candidates), pool.measured(course.seed)
    opening = course.initial or (0 if prior.state() else OPENING)
    chosen = initial_candidates(pool.name, course.seed, of=size, count=opening)
    latencies: list[float] = []
    processor: list[float] = []
    judgements: dict[int, Judgement] = {}
    while len(chosen) < course.budget:
        generator = generator_for(pool.name, course.seed, len(chosen))
        count = min(course.batch, course.budget - len(chosen))
        began, began_cpu = time.perf_counter(), time.process_time()
        surrogate = adapted(prior, pool, values, chosen, generator)
        picked = choose(surrogate, pool.X, values, chosen, count=count, generator=generator)
        latencies.append(time.perf_counter() - began)
        processor.append(time.process_time() - began_cpu)
        if len(chosen) in JUDGED_AT:
            judgements |= _judged(surrogate, pool, values, chosen)
        chosen += picked
    if len(chosen) in JUDGED_AT:
        last = adapted(prior, pool, values, chosen, generator_for(pool.name, course.seed, len(chosen)))
        judgements |= _judged(last, pool, values, chosen)
    return Replay(tuple(chosen), tuple(latencies), tuple(processor), judgements)


def judge_random_support(prior: Prior, pool: ReplayPool, *, seed: int) -> dict[int, Judgement]:
    """Judge predictions from randomly chosen support points, the same ones for all surrogates."""
    order = random.Random(f"{pool.name}/{seed}/support").sample(range(len(pool.candidates)), min(max(JUDGED_AT), len(pool.candidates)))
    values = pool.measured(seed)
    found: dict[int, Judgement] = {}
    for count in JUDGED_AT:
        if count < len(pool.candidates):
            generator = generator_for(pool.name, seed, count, "support")
            found |= _judged(adapted(prior, pool, values, order[:count], generator), pool, values, order[:count])
    return found


def adapted(prior: Prior, pool: ReplayPool, values: Float[Tensor, " N"], chosen: list[int], generator: torch.Generator) -> Surrogate:
    """Adapt a prior to what was measured."""
    return prior.adapt(TaskData(pool.name, pool.X[chosen], values[chosen]), generator=generator)


def choose(
    surrogate: Surrogate,
    X: Float[Tensor, "N d"],
    values: Float[Tensor, " N"],
    chosen: list[int],
    *,
    count: int,
    generator: torch.Generator,
) -> list[int]:
    """Return the best candidates that are left, ties broken by the generator; random ones of a surrogate without components.

    The whole pool is scored and used rows are masked, so that models may keep what they know of each row.
    """
    if count > len(X) - len(chosen):
        raise Fault(f"{surrogate.name}: {count} candidates wanted, {len(X) - len(chosen)} are left")
    order = torch.randperm(len(X), generator=generator)
    scores = torch.zeros(len(X), dtype=torch.float64)
    if surrogate.components():
        best = float(values[chosen].max()) if chosen else None
        scores = log_improvement(surrogate, X, best)
    scores[chosen] = -torch.inf
    ranked = torch.argsort(scores[order], descending=True, stable=True)
    return [int(index) for index in order[ranked[:count]]]


def log_improvement(surrogate: Surrogate, X: Float[Tensor, "N d"], best: float | None) -> Float[Tensor, " N"]:
    """Compute log expected improvement over the best measured value, averaged over components in log space.

    Without a measured value the best prior mean stands in.
    """
    points = X.unsqueeze(-2)
    with torch.no_grad(), repeatable(0):
        parts = []
        for weight, model in surrogate.components():
            level = float(model.posterior(points).mean.max()) if best is None else best
            scores = LogExpectedImprovement(model, best_f=level)(points)
            parts.append(scores + torch.tensor(weight, dtype=torch.float64).log())
        total = torch.logsumexp(torch.stack(parts), dim=0)
    if torch.isnan(total).any():
        raise Fault(f"{surrogate.name}: log expected improvement is not a number at {int(torch.isnan(total).sum())} candidates")
    return total


def _judged(surrogate: Surrogate, pool: ReplayPool, values: Float[Tensor, " N"], chosen: list[int]) -> dict[int, Judgement]:
    left = torch.ones(len(pool.candidates), dtype=torch.bool)
    left[chosen] = False
    if not surrogate.components() or not left.any():
        return {}
    return {len(chosen): judge_surrogate(surrogate, pool.X, values, left)}
