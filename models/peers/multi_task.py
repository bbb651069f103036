"""BoTorch's multi-task Gaussian process over a few source rows and the target's own."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from botorch import fit_gpytorch_mll
from botorch.models import MultiTaskGP
from botorch.models.model import Model as BotorchModel
from botorch.posteriors import GPyTorchPosterior
from botorch.settings import validate_input_scaling
from gpytorch.distributions import MultivariateNormal
from gpytorch.mlls import ExactMarginalLogLikelihood
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from models.base import Model, Posterior, Prior, Surrogate
from models.meta_learning.protocols import MetaLearner, OneModel, drawn_seed
from models.meta_learning.tasks import Family, Scale, TaskData, family_scale
from models.peers.source_gps import drawn_rows, fitted, own_scale
from models.reproducible import repeatable

SOURCE_ROWS: Final = 100
"""Rows of all sources together: a fit with all of them takes minutes a proposal."""
ITERATIONS: Final = 25
"""L-BFGS steps of a fit, from scratch at each proposal."""
RANK: Final = 2
"""Rank of the tasks' covariance."""


class Rescaled(BotorchModel):  # type: ignore[misc]  # botorch is untyped here
    """A model in standard units, in the target's."""

    def __init__(self, model: Model, scale: Scale) -> None:
        super().__init__()
        self.model, self.scale = model, scale

    @property
    @override
    def num_outputs(self) -> int:
        return 1

    @property
    @override
    def batch_shape(self) -> torch.Size:
        return torch.Size()

    @override
    def posterior(
        self,
        X: Float[Tensor, "*b q d"],
        output_indices: list[int] | None = None,
        observation_noise: bool | Tensor = False,
        posterior_transform: Any = None,
    ) -> Posterior:
        """Return the posterior in the target's unit."""
        found = self.model.posterior(X, observation_noise=observation_noise).distribution
        spread = self.scale.spread
        normal = MultivariateNormal(self.scale.level + spread * found.mean, spread**2 * found.covariance_matrix)
        scaled = GPyTorchPosterior(normal)
        return scaled if posterior_transform is None else posterior_transform(scaled)


@dataclass(frozen=True, slots=True)
class MultiTaskPrior(Prior):
    """The drawn source rows, each source in its own standard units."""

    tasks: tuple[TaskData, ...]
    scale: Scale

    @property
    @override
    def name(self) -> str:
        return "multi-task-gp/1"

    @override
    def adapt(
        self,
        X: Float[Tensor, "n d"],
        Y: Float[Tensor, " n"],
        Yvar: Float[Tensor, " n"] | None,
        task: Float[Tensor, " k"],
        *,
        generator: torch.Generator,
    ) -> Surrogate:
        scale = own_scale(Y, self.scale)
        with repeatable(drawn_seed(generator)), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse invariant checks", UserWarning)  # linear_operator's business
            model = self._fit(X, scale.standard(Y)) if len(Y) else self._pooled()
        return OneModel(self.name, Rescaled(model, scale))

    def _fit(self, X: Float[Tensor, "n d"], Y: Float[Tensor, " n"]) -> Model:
        number = len(self.tasks)
        inputs = torch.cat([*(_tagged(one.X, index) for index, one in enumerate(self.tasks)), _tagged(X, number)])
        values = torch.cat([*(one.Y for one in self.tasks), Y]).unsqueeze(-1)
        with validate_input_scaling(False):  # values are standard task by task, not together
            model = MultiTaskGP(inputs, values, task_feature=-1, output_tasks=[number], rank=min(RANK, number + 1), outcome_transform=None)
        mll = ExactMarginalLogLikelihood(model.likelihood, model)
        fit_gpytorch_mll(mll, optimizer_kwargs={"options": {"maxiter": ITERATIONS}})
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

    @property
    @override
    def name(self) -> str:
        return "multi-task-gp"

    @override
    def meta_train(self, tasks: Sequence[TaskData], family: Family, *, generator: torch.Generator) -> Prior:
        scale, share = family_scale(tasks), max(1, SOURCE_ROWS // len(tasks))
        kept = [drawn_rows(_standard(task, scale), share, generator) for task in tasks[:SOURCE_ROWS]]
        return MultiTaskPrior(tuple(kept), scale)


def _standard(task: TaskData, scale: Scale) -> TaskData:
    return TaskData(name=task.name, X=task.X, Y=own_scale(task.Y, scale).standard(task.Y))


def _tagged(X: Float[Tensor, "n d"], index: int) -> Float[Tensor, "n d1"]:
    return torch.cat([X, torch.full((len(X), 1), float(index), dtype=X.dtype)], dim=-1)
