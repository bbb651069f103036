"""A surrogate that is one BoTorch model, and what makes priors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from models.base import Model, Posterior, Prior, Surrogate
from models.meta_learning.tasks import Family, TaskData
from models.networks.training import Report


class MetaLearner(Protocol):
    """Makes priors from source tasks."""

    @property
    def name(self) -> str:
        """Name by which it is asked for."""
        ...

    def meta_train(self, tasks: Sequence[TaskData], family: Family, *, generator: torch.Generator) -> Prior:
        """Learn from tasks of a family; larger targets are better."""
        ...


class Trainable(MetaLearner, Protocol):
    """A meta-learner whose training can be watched."""

    @override
    def meta_train(self, tasks: Sequence[TaskData], family: Family, *, generator: torch.Generator, report: Report | None = None) -> Prior:
        """Learn from tasks of a family, reporting steps where there are any."""
        ...


def drawn_seed(generator: torch.Generator) -> int:
    """Draw a seed for library code that has its own generator."""
    return int(torch.randint(2**31, (1,), generator=generator))


@dataclass(frozen=True, slots=True)
class OneModel(Surrogate):
    """A surrogate of one target that is one BoTorch model."""

    name: str = field()  # explicit: else the protocol's property is taken for a default
    model: Model

    @override
    def posterior(self, X: Float[Tensor, "*b q d"]) -> Posterior:
        return self.model.posterior(X)

    @override
    def variance_parts(self, X: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "n 1"], Float[Tensor, "n 1"]]:
        epistemic = self.model.posterior(X.unsqueeze(-2)).variance.squeeze(-2)
        total = self.model.posterior(X.unsqueeze(-2), observation_noise=True).variance.squeeze(-2)
        return epistemic, (total - epistemic).clamp_min(0.0)

    @override
    def components(self) -> tuple[tuple[float, Model], ...]:
        return ((1.0, self.model),)

    @override
    def description(self) -> Mapping[str, Any]:
        return {}
