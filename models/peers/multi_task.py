"""BoTorch's multi-task Gaussian process over a few source rows and the target's own."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from botorch import fit_gpytorch_mll
from botorch.models import MultiTaskGP
from botorch.settings import validate_input_scaling
from gpytorch.mlls import ExactMarginalLogLikelihood
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from models.base import Model, OneModel, Posterior, Surrogate
from models.gaussian_processes.conditioning import in_units
from models.gaussian_processes.plain_model import PlainModel
from models.peers.source_gps import drawn_rows, fitted, own_scale
from models.reproducible import drawn_seed, repeatable
from models.tasks import Family, MetaLearner, Prior, ReportProgress, Scale, TaskData, family_scale

SOURCE_ROWS: Final = 100
"""Rows of all sources together: a fit with all of them takes minutes a proposal."""
_ITERATIONS: Final = 25
"""L-BFGS steps of a fit, from scratch at each proposal."""
RANK: Final = 2
"""Rank of the tasks' covariance."""


class Rescaled(PlainModel):
    """A model in standard units, in the target's."""

    def __init__(self, model: Model, scale: Scale) -> None:
        super().__init__()
        self.model, self.scale = model, scale

    @override
    def predict(self, X: Float[Tensor, "*b q d"], *, noisy: bool) -> Posterior:
        found = self.model.posterior(X, observation_noise=noisy).distribution
        return in_units(self.scale, found.mean, found.covariance_matrix)


@dataclass(frozen=True, slots=True)
class MultiTaskPrior(Prior):
    """The drawn source rows, each source in its own standard units."""

    tasks: tuple[TaskData, ...]
    scale: Scale

    @override
    def adapt(self, task: TaskData, *, generator: torch.Generator) -> Surrogate:
        scale = own_scale(task.Y, self.scale)
        with repeatable(drawn_seed(generator)), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse invariant checks", UserWarning)  # linear_operator's business
            model = self._fit(task.X, scale.standard(task.Y)) if len(task.Y) else self._pooled()
        return OneModel("multi-task-gp/1", Rescaled(model, scale))

    def _fit(self, X: Float[Tensor, "n d"], Y: Float[Tensor, " n"]) -> Model:
        number = len(self.tasks)
        inputs = torch.cat([*(_tagged(one.X, index) for index, one in enumerate(self.tasks)), _tagged(X, number)])
        values = torch.cat([*(one.Y for one in self.tasks), Y]).unsqueeze(-1)
        with validate_input_scaling(False):  # values are standard task by task, not together
            model = MultiTaskGP(inputs, values, task_feature=-1, output_tasks=[number], rank=min(RANK, number + 1), outcome_transform=None)
        mll = ExactMarginalLogLikelihood(model.likelihood, model)
        fit_gpytorch_mll(mll, optimizer_kwargs={"options": {"maxiter": _ITERATIONS}})
        return model.eval()

    def _pooled(self) -> Model:
        """Fit all sources as one task: without measurements of its own, nothing tells the judged task from them."""
        return fitted(torch.cat([one.X for one in self.tasks]), torch.cat([one.Y for one in self.tasks]))

    @override
    def state(self) -> dict[str, Any]:
        tensors = {f"{one.name}/{key}": value for one in self.tasks for key, value in (("X", one.X), ("Y", one.Y))}
        return {"level": self.scale.level, "spread": self.scale.spread, **tensors}


@dataclass(frozen=True, slots=True)
class MultiTaskLearner(MetaLearner):
    """Draws the source rows."""

    @override
    def meta_train(
        self, tasks: Sequence[TaskData], family: Family, *, generator: torch.Generator, report: ReportProgress | None = None
    ) -> Prior:
        scale, share = family_scale(tasks), max(1, SOURCE_ROWS // len(tasks))
        kept = [drawn_rows(_standard(task, scale), share, generator) for task in tasks[:SOURCE_ROWS]]
        return MultiTaskPrior(tuple(kept), scale)


def _standard(task: TaskData, scale: Scale) -> TaskData:
    return TaskData(name=task.name, X=task.X, Y=own_scale(task.Y, scale).standard(task.Y))


def _tagged(X: Float[Tensor, "n d"], index: int) -> Float[Tensor, "n d1"]:
    return torch.cat([X, torch.full((len(X), 1), float(index), dtype=X.dtype)], dim=-1)
