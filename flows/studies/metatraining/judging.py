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
from botorch.models import SingleTaskGP
from botorch.settings import validate_input_scaling
from gpytorch.mlls import ExactMarginalLogLikelihood
from jaxtyping import Float
from torch import Tensor

from models.base import Model, Surrogate
from models.peers.baselines import FreshPrior, fresh_gp
from models.reproducible import repeatable
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

    def predict(self, support: TaskData, X: Float[Tensor, "q d"], generator: torch.Generator) -> "NormalMixture | None":
        """Predict at `X`; None where nothing can be said."""
        ...


@dataclass(frozen=True, slots=True)
class NormalMixture:
    """Predicted density of new measurements: weighted normal distributions, of `k` components at `q` points."""

    weights: Float[Tensor, " k"]
    mean: Float[Tensor, "k q"]
    sd: Float[Tensor, "k q"]

    def figures(self, Y: Float[Tensor, " q"]) -> dict[str, float]:
        """Return root-mean-square error, mean log density, share within the 90 % interval, mean deviation."""
        mean = self.weights @ self.mean
        second = self.weights @ (self.sd.square() + self.mean.square())
        z = (Y - self.mean) / self.sd
        density = -0.5 * z.square() - self.sd.log() - 0.5 * math.log(2 * math.pi)
        score = torch.logsumexp(self.weights.log().unsqueeze(-1) + density, dim=0)
        below = self.weights @ torch.special.ndtr(z)
        return {
            "rmse": float((Y - mean).square().mean().sqrt()),
            "log_score": float(score.mean()),
            "coverage": float(((below >= _TAIL) & (below <= 1 - _TAIL)).double().mean()),
            "sd": float((second - mean.square()).clamp_min(0.0).sqrt().mean()),
        }


def _mixture(surrogate: Surrogate, X: Float[Tensor, "q d"], least: float) -> NormalMixture | None:
    parts = surrogate.components()
    if not parts:
        return None
    with torch.no_grad():
        found = [(weight, model.posterior(X.unsqueeze(-2), observation_noise=True)) for weight, model in parts if weight > 0]
        mean = torch.stack([posterior.mean.reshape(-1) for _, posterior in found])
        sd = torch.stack([posterior.variance.reshape(-1).sqrt() for _, posterior in found]).clamp_min(least)
    weights = torch.tensor([weight for weight, _ in found], dtype=mean.dtype)
    return NormalMixture(weights / weights.sum(), mean, sd)


@dataclass(frozen=True, slots=True)
class Adapting:
    """A prior, adapted to the support."""

    prior: Prior
    least: float
    """Least standard deviation, in the target's unit."""

    def predict(self, support: TaskData, X: Float[Tensor, "q d"], generator: torch.Generator) -> NormalMixture | None:
        """Predict with the adapted surrogate."""
        adapted = self.prior.adapt(support, generator=generator)
        return _mixture(adapted, X, self.least)


class Pooled:
    """One GP on rows of all sources, in the family's standard units; the support joins them."""

    def __init__(self, tasks: Sequence[TaskData], generator: torch.Generator) -> None:
        self.scale = family_scale(tasks)
        each = max(1, POOLED_ROWS // len(tasks))
        chosen = [task.rows(torch.randperm(len(task.Y), generator=generator)[:each]) for task in tasks]
        self.X = torch.cat([task.X for task in chosen])
        self.Y = torch.cat([self.scale.standard(task.Y) for task in chosen])
        self.model = self._model(self.X, self.Y)
        with repeatable(int(torch.randint(2**31, (1,), generator=generator))):
            fit_gpytorch_mll(ExactMarginalLogLikelihood(self.model.likelihood, self.model))
        self.model.eval()

    def _model(self, X: Tensor, Y: Tensor) -> Model:
        with validate_input_scaling(False):  # the values are in the family's units, not in these rows' own
            return SingleTaskGP(X, Y.unsqueeze(-1), outcome_transform=None)

    def predict(self, support: TaskData, X: Float[Tensor, "q d"], generator: torch.Generator) -> NormalMixture | None:  # noqa: ARG002  # draws nothing
        """Predict from sources and support together."""
        model = self._model(torch.cat([self.X, support.X]), torch.cat([self.Y, self.scale.standard(support.Y)]))
        model.load_state_dict(self.model.state_dict())
        return self._mixture(model.eval(), X)

    def _mixture(self, model: Model, X: Tensor) -> NormalMixture:
        with torch.no_grad():
            posterior = model.posterior(X.unsqueeze(-2), observation_noise=True)
        mean = self.scale.level + self.scale.spread * posterior.mean.reshape(1, -1)
        sd = self.scale.spread * posterior.variance.reshape(1, -1).sqrt().clamp_min(LEAST_SD)
        return NormalMixture(torch.ones(1, dtype=mean.dtype), mean, sd)

    def sources_alone(self, X: Float[Tensor, "q d"]) -> NormalMixture:
        """Predict from the sources."""
        return self._mixture(self.model, X)


@dataclass(frozen=True, slots=True)
class FineTuned:
    """The pooled mean, and a GP on what it misses."""

    pooled: Pooled

    def predict(self, support: TaskData, X: Float[Tensor, "q d"], generator: torch.Generator) -> NormalMixture | None:
        """Predict the sources' mean plus the residual."""
        base = self.pooled.sources_alone(X)
        if not len(support.Y):
            return base
        missed = support.Y - self.pooled.sources_alone(support.X).mean[0]
        with repeatable(int(torch.randint(2**31, (1,), generator=generator))), torch.enable_grad():
            model = fresh_gp(support.X, missed)
        with torch.no_grad():
            posterior = model.posterior(X.unsqueeze(-2), observation_noise=True)
        sd = posterior.variance.reshape(1, -1).sqrt().clamp_min(LEAST_SD * self.pooled.scale.spread)
        return NormalMixture(base.weights, base.mean + posterior.mean.reshape(1, -1), sd)


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
                rows.append({"task": task.name, "group": task.group, "shots": shots, "learner": name, **_rounded(found.figures(left.Y))})
    return rows


def _rounded(figures: Mapping[str, float]) -> dict[str, float | None]:
    return {name: float(f"{value:.5g}") if math.isfinite(value) else None for name, value in figures.items()}
