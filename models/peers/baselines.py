"""What meta-learned surrogates are compared with, behind the same interface.

`random` and `fresh-gp` use no history; `copy` ranks the candidates once by what the sources say and never adapts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from botorch import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.transforms import Standardize
from botorch.settings import validate_input_scaling
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.settings import lazily_evaluate_kernels
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from models.base import Model, Posterior, Prior, Surrogate
from models.meta_learning.protocols import MetaLearner, OneModel, drawn_seed
from models.meta_learning.tasks import Family, Scale, TaskData, family_scale
from models.peers.multi_task import MultiTaskLearner
from models.peers.rgpe import RankingLearner
from models.peers.source_gps import Pointwise, SourceGPs
from models.reproducible import repeatable

WITHOUT_HISTORY: Final = frozenset({"random", "fresh-gp"})
"""Names of baselines whose priors do not look at their sources."""


@dataclass(frozen=True, slots=True)
class NoModel(Surrogate):
    """Knows nothing: has no components, so that whoever asks must choose at random."""

    name: str = "random/1"

    @override
    def posterior(self, X: Float[Tensor, "*b q d"]) -> Posterior:
        raise NotImplementedError("random choice predicts nothing")

    @override
    def variance_parts(self, X: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "n 1"], Float[Tensor, "n 1"]]:
        raise NotImplementedError("random choice predicts nothing")

    @override
    def components(self) -> tuple[tuple[float, Model], ...]:
        return ()

    @override
    def description(self) -> Mapping[str, Any]:
        return {}


@dataclass(frozen=True, slots=True)
class RandomPrior(Prior):
    """Adapts to nothing."""

    name: str = "random/1"

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
        return NoModel()

    @override
    def state(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True, slots=True)
class FreshPrior(Prior):
    """BoTorch's SingleTaskGP with its defaults, fitted to the support alone."""

    name: str = "fresh-gp/1"

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
        if not len(Y):
            return NoModel()
        with repeatable(drawn_seed(generator)):
            return OneModel(self.name, fresh_gp(X, Y))

    @override
    def state(self) -> dict[str, Any]:
        return {}


def fresh_gp(X: Float[Tensor, "n d"], Y: Float[Tensor, " n"]) -> Model:
    """Fit BoTorch's default model; call it within `repeatable`."""
    with validate_input_scaling(False):  # it warns of one row and of equal values; both occur in the first experiments
        model = SingleTaskGP(X, Y.unsqueeze(-1), outcome_transform=Standardize(m=1))
    with lazily_evaluate_kernels(False):  # the same numbers to the last bit, a quarter sooner
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    return model.eval()


@dataclass(frozen=True, slots=True)
class Without(MetaLearner):
    """A baseline that does not look at the sources."""

    name: str = field()  # explicit: else the protocol's property is taken for a default
    prior: Prior

    @override
    def meta_train(self, tasks: Sequence[TaskData], family: Family, *, generator: torch.Generator) -> Prior:
        return self.prior


class Copied(Pointwise):
    """The mean of the standardised sources' predictions, the same whatever was measured."""

    def __init__(self, sources: SourceGPs, scale: Scale) -> None:
        super().__init__(scale)
        self.sources = sources

    @override
    def moments(self, X: Float[Tensor, "n d"]) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        """Return means, and one variance for all: improvements then rank candidates as their means do."""
        means, _ = self.sources.moments(X)
        return means.mean(dim=0), torch.ones(len(X), dtype=X.dtype)

    @override
    def noise(self) -> float:
        return float(self.sources.noise.mean())


@dataclass(frozen=True, slots=True)
class CopyPrior(Prior):
    """Fitted sources; its surrogate does not depend on the support."""

    sources: SourceGPs
    scale: Scale

    @property
    @override
    def name(self) -> str:
        return "copy/1"

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
        return OneModel(self.name, Copied(self.sources, self.scale))

    @override
    def state(self) -> dict[str, Any]:
        return {"level": self.scale.level, "spread": self.scale.spread, "sources": self.sources.state}


@dataclass(frozen=True, slots=True)
class CopyLearner(MetaLearner):
    """Fits the sources once."""

    @property
    @override
    def name(self) -> str:
        return "copy"

    @override
    def meta_train(self, tasks: Sequence[TaskData], family: Family, *, generator: torch.Generator) -> Prior:
        scale = family_scale(tasks)
        with repeatable(drawn_seed(generator)):
            return CopyPrior(SourceGPs.fit(tasks, scale, generator), scale)


BASELINES: Final[Mapping[str, Callable[[], MetaLearner]]] = {
    "random": lambda: Without("random", RandomPrior()),
    "copy": CopyLearner,
    "fresh-gp": lambda: Without("fresh-gp", FreshPrior()),
    "multi-task-gp": MultiTaskLearner,
    "rgpe": RankingLearner,
}
"""Name -> what makes the learner."""
