"""One Gaussian process per source task, fitted once: what the baselines that use history are made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from botorch import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.settings import validate_input_scaling
from gpytorch.mlls import ExactMarginalLogLikelihood
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from models.base import Model, Posterior, spread_of
from models.gaussian_processes.conditioning import in_units
from models.gaussian_processes.plain_model import PlainModel
from models.gaussian_processes.table_memory import TableMemory
from models.reproducible import drawn_seed, repeatable
from models.tasks import Family, MetaLearner, Prior, ReportProgress, Scale, TaskData, family_scale

_ROWS: Final = 200
"""So many rows of a source at most, drawn at random: more cost cubically and change its mean little."""
_FIT_ITERATIONS: Final = 50
"""L-BFGS steps of a fit: the likelihood is flat beyond, and a proposal waits for it."""


def default_gp(X: Float[Tensor, "n d"], Y: Float[Tensor, " n"]) -> SingleTaskGP:
    """Return BoTorch's default model, not yet fitted, of values in standard units."""
    with validate_input_scaling(False):  # it warns of one row, and of values that are standard in other units
        return SingleTaskGP(X, Y.unsqueeze(-1), outcome_transform=None)


def fitted(X: Float[Tensor, "n d"], Y: Float[Tensor, " n"]) -> Model:
    """Fit BoTorch's default model to values in standard units; call it within `repeatable`."""
    model = default_gp(X, Y)
    mll = ExactMarginalLogLikelihood(model.likelihood, model)
    fit_gpytorch_mll(mll, optimizer_kwargs={"options": {"maxiter": _FIT_ITERATIONS}})
    return model.eval()


def own_scale(Y: Float[Tensor, " n"], family: Scale) -> Scale:
    """Return the values' own mean and standard deviation, the family's spread while they do not vary, its level while there are none."""
    if not len(Y):
        return family
    return Scale(float(Y.mean()), spread_of(Y) or family.spread)


def drawn_rows(task: TaskData, most: int, generator: torch.Generator) -> TaskData:
    """Return at most so many rows, in their order."""
    if len(task.Y) <= most:
        return task
    return task.rows(torch.randperm(len(task.Y), generator=generator)[:most].sort().values)


@dataclass(frozen=True, slots=True)
class SourceGPs:
    """Fitted models of the sources, each in its own standard units."""

    models: tuple[Model, ...]
    _memory: TableMemory = field(default_factory=TableMemory)

    @classmethod
    def fit(cls, tasks: Sequence[TaskData], scale: Scale, generator: torch.Generator) -> "SourceGPs":
        """Fit one model per task; call it within `repeatable`."""
        kept = [drawn_rows(task, _ROWS, generator) for task in tasks]
        return cls(tuple(fitted(task.X, own_scale(task.Y, scale).standard(task.Y)) for task in kept))

    def moments(self, X: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "T n"], Float[Tensor, "T n"]]:
        """Return means and variances of each source's function, in its own standard units."""
        means, variances = self._memory.get(X, self._moments).mT.contiguous().chunk(2)
        return means, variances

    def _moments(self, X: Float[Tensor, "n d"]) -> Float[Tensor, "n 2T"]:
        found = [model.posterior(X.unsqueeze(-2)) for model in self.models]
        return torch.stack([*(one.mean.reshape(-1) for one in found), *(one.variance.reshape(-1) for one in found)], dim=-1)

    @property
    def noise(self) -> Float[Tensor, " T"]:
        """Variance of a measurement of each source, in its own standard units."""
        return torch.stack([model.likelihood.noise.detach().mean() for model in self.models])

    @property
    def state(self) -> dict[str, Any]:
        """Fitted hyperparameters and rows, from which the models can be made again."""
        return {str(number): dict(model.state_dict()) for number, model in enumerate(self.models)}


class Pointwise(PlainModel):
    """A model of one target that knows means, variances and noise point by point; joint points count as independent."""

    def __init__(self, scale: Scale) -> None:
        super().__init__()
        self.scale = scale

    def moments(self, X: Float[Tensor, "n d"]) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        """Return means and variances in standard units."""
        raise NotImplementedError

    def noise(self) -> float:
        """Return the variance of one measurement, in standard units."""
        raise NotImplementedError

    @override
    def predict(self, X: Float[Tensor, "*b q d"], *, noisy: bool) -> Posterior:
        mean, variance = (part.reshape(X.shape[:-1]) for part in self.moments(X.reshape(-1, X.shape[-1])))
        return in_units(self.scale, mean, torch.diag_embed(variance + self.noise() if noisy else variance))


@dataclass(frozen=True, slots=True)
class SourcesPrior(Prior):
    """Fitted sources, whatever is made of them."""

    sources: SourceGPs
    scale: Scale

    @override
    def state(self) -> dict[str, Any]:
        return {"level": self.scale.level, "spread": self.scale.spread, "sources": self.sources.state}


@dataclass(frozen=True, slots=True)
class SourcesLearner(MetaLearner):
    """Fits the sources once."""

    prior: Callable[[SourceGPs, Scale], Prior]

    @override
    def meta_train(
        self, tasks: Sequence[TaskData], family: Family, *, generator: torch.Generator, report: ReportProgress | None = None
    ) -> Prior:
        scale = family_scale(tasks)
        with repeatable(drawn_seed(generator)):
            return self.prior(SourceGPs.fit(tasks, scale, generator), scale)
