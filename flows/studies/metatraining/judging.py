"""How a learner does on tasks it has not seen: error and score against the number of measurements, beside baselines.

Each fold of source tasks is left out once; the learner is trained on the others and adapted to random rows of each task
left out. Baselines see the same rows: `scratch` (a fresh GP on the support alone), `pooled` (all source rows and the
support as one task), `fine-tuned` (the pooled mean, and a GP on what it misses).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import torch
from botorch import fit_gpytorch_mll
from gpytorch.mlls import ExactMarginalLogLikelihood
from jaxtyping import Float
from torch import Tensor
from torch.distributions import MixtureSameFamily

from flows.studies.predicted import normal_mixture, predicted_parts
from models.base import Model
from models.peers.baselines import FreshPrior, fresh_gp
from models.peers.source_gps import default_gp
from models.reproducible import drawn_seed, repeatable
from models.tasks import Prior, TaskData, family_scale

SHOTS: Final = (0, 3, 5, 10, 20)
"""Numbers of measurements at which learners are judged."""
MOST_QUERIES: Final = 200
"""Rows on which a task is judged: more change a figure in its third digit."""
LEAST_QUERIES: Final = 5
"""Fewer rows left over give no figure."""
POOLED_ROWS: Final = 300
"""Source rows that the pooled baseline sees, drawn evenly over tasks: an exact GP on thousands takes minutes."""
_TAIL: Final = 0.05
"""Below and above the nominal 90 % interval."""
LEAST_SD: Final = 1e-9
"""Least predicted standard deviation, as a part of the family's spread: a density stays finite."""


class Predictor(Protocol):
    """Predicts new measurements of one task from some of its rows."""

    def predict(self, support: TaskData, X: Float[Tensor, "q d"], generator: torch.Generator) -> MixtureSameFamily | None:
        """Predict at `X`; None where nothing can be said."""
        ...


def _figures(mixture: MixtureSameFamily, Y: Float[Tensor, " q"]) -> dict[str, float | None]:
    """Return root-mean-square error, mean log density, share within the 90 % interval, mean deviation."""
    below = mixture.cdf(Y)  # type: ignore[no-untyped-call]  # torch's own
    figures = {
        "rmse": (Y - mixture.mean).square().mean().sqrt(),
        "log_score": mixture.log_prob(Y).mean(),  # type: ignore[no-untyped-call]  # torch's own
        "coverage": ((below >= _TAIL) & (below <= 1 - _TAIL)).double().mean(),
        "sd": mixture.stddev.mean(),
    }
    return {name: float(f"{value:.5g}") if math.isfinite(value) else None for name, value in figures.items()}


@dataclass(frozen=True, slots=True)
class Adapting:
    """A prior, adapted to the support."""

    prior: Prior
    least: float
    """Least standard deviation, in the target's unit."""

    def predict(self, support: TaskData, X: Float[Tensor, "q d"], generator: torch.Generator) -> MixtureSameFamily | None:
        """Predict with the adapted surrogate."""
        adapted = self.prior.adapt(support, generator=generator)
        if not adapted.components():
            return None
        weights, means, deviations = predicted_parts(adapted, X)
        return normal_mixture(weights, means, deviations.clamp_min(self.least))


class Pooled:
    """One GP on rows of all sources, in the family's standard units; the support joins them."""

    def __init__(self, tasks: Sequence[TaskData], generator: torch.Generator) -> None:
        self.scale = family_scale(tasks)
        each = max(1, POOLED_ROWS // len(tasks))
        chosen = [task.rows(torch.randperm(len(task.Y), generator=generator)[:each]) for task in tasks]
        self.X = torch.cat([task.X for task in chosen])
        self.Y = torch.cat([self.scale.standard(task.Y) for task in chosen])
        self.model = default_gp(self.X, self.Y)
        with repeatable(drawn_seed(generator)):
            fit_gpytorch_mll(ExactMarginalLogLikelihood(self.model.likelihood, self.model))
        self.model.eval()

    def predict(self, support: TaskData, X: Float[Tensor, "q d"], generator: torch.Generator) -> MixtureSameFamily | None:  # noqa: ARG002  # draws nothing
        """Predict from sources and support together."""
        model = default_gp(torch.cat([self.X, support.X]), torch.cat([self.Y, self.scale.standard(support.Y)]))
        model.load_state_dict(self.model.state_dict())
        return normal_mixture(torch.ones(1, dtype=X.dtype), *self.moments(X, model.eval()))

    def moments(self, X: Float[Tensor, "q d"], model: Model) -> tuple[Float[Tensor, "1 q"], Float[Tensor, "1 q"]]:
        """Return means and standard deviations of new measurements, in the target's unit."""
        mean, sd = _moments(model, X)
        return self.scale.level + self.scale.spread * mean, self.scale.spread * sd.clamp_min(LEAST_SD)


def _moments(model: Model, X: Float[Tensor, "q d"]) -> tuple[Float[Tensor, "1 q"], Float[Tensor, "1 q"]]:
    with torch.no_grad():
        posterior = model.posterior(X.unsqueeze(-2), observation_noise=True)
    return posterior.mean.reshape(1, -1), posterior.variance.reshape(1, -1).sqrt()


@dataclass(frozen=True, slots=True)
class FineTuned:
    """The pooled mean, and a GP on what it misses."""

    pooled: Pooled

    def predict(self, support: TaskData, X: Float[Tensor, "q d"], generator: torch.Generator) -> MixtureSameFamily | None:
        """Predict the sources' mean plus the residual."""
        mean, sd = self.pooled.moments(X, self.pooled.model)
        if len(support.Y):
            missed = support.Y - self.pooled.moments(support.X, self.pooled.model)[0][0]
            with repeatable(drawn_seed(generator)), torch.enable_grad():
                more, sd = _moments(fresh_gp(support.X, missed), X)
            mean, sd = mean + more, sd.clamp_min(LEAST_SD * self.pooled.scale.spread)
        return normal_mixture(torch.ones(1, dtype=mean.dtype), mean, sd)


def baselines(tasks: Sequence[TaskData], generator: torch.Generator) -> dict[str, Predictor]:
    """Prepare the baselines from the sources of one fold."""
    pooled = Pooled(tasks, generator)
    least = LEAST_SD * pooled.scale.spread
    return {"scratch": Adapting(FreshPrior(), least), "pooled": pooled, "fine-tuned": FineTuned(pooled)}


def judge_predictors(task: TaskData, predictors: Mapping[str, Predictor], generator: torch.Generator) -> list[dict[str, Any]]:
    """Judge predictors on one task that none of them has seen: one row per number of shots and predictor."""
    order = torch.randperm(len(task.Y), generator=generator)
    query = task.rows(order[max(SHOTS) :][:MOST_QUERIES]) if len(order) >= max(SHOTS) + LEAST_QUERIES else None
    rows: list[dict[str, Any]] = []
    for shots in SHOTS:
        left = query if query is not None else task.rows(order[shots:])
        if len(left.Y) < LEAST_QUERIES:
            break
        for name, one in predictors.items():
            found = one.predict(task.rows(order[:shots]), left.X, generator)
            if found is not None:
                rows.append({"task": task.name, "group": task.group, "shots": shots, "learner": name, **_figures(found, left.Y)})
    return rows
