"""What meta-learned surrogates are compared with, behind the same interface.

`random` and `fresh-gp` use no history; `copy` ranks the candidates once by what the sources say and never adapts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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

from models.base import Model, OneModel, Posterior, Surrogate
from models.peers.multi_task import MultiTaskLearner
from models.peers.rgpe import RankingPrior
from models.peers.source_gps import Pointwise, SourceGPs, SourcesLearner, SourcesPrior
from models.reproducible import drawn_seed, repeatable
from models.tasks import Family, MetaLearner, Prior, ReportProgress, Scale, TaskData

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


class RandomPrior(Prior):
    """Adapts to nothing."""

    @override
    def adapt(self, task: TaskData, *, generator: torch.Generator) -> Surrogate:
        return NoModel()

    @override
    def state(self) -> dict[str, Any]:
        return {}


class FreshPrior(RandomPrior):
    """At random as long as there is no support, then BoTorch's SingleTaskGP with its defaults, fitted to that alone."""

    @override
    def adapt(self, task: TaskData, *, generator: torch.Generator) -> Surrogate:
        if not len(task.Y):
            return NoModel()
        with repeatable(drawn_seed(generator)):
            return OneModel("fresh-gp/1", fresh_gp(task.X, task.Y))


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

    prior: Prior

    @override
    def meta_train(
        self, tasks: Sequence[TaskData], family: Family, *, generator: torch.Generator, report: ReportProgress | None = None
    ) -> Prior:
        return self.prior


class CopiedMean(Pointwise):
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


class CopyPrior(SourcesPrior):
    """Its surrogate does not depend on the support."""

    @override
    def adapt(self, task: TaskData, *, generator: torch.Generator) -> Surrogate:
        return OneModel("copy/1", CopiedMean(self.sources, self.scale))


BASELINES: Final[Mapping[str, Callable[[], MetaLearner]]] = {
    "random": lambda: Without(RandomPrior()),
    "copy": lambda: SourcesLearner(CopyPrior),
    "fresh-gp": lambda: Without(FreshPrior()),
    "multi-task-gp": MultiTaskLearner,
    "rgpe": lambda: SourcesLearner(RankingPrior),
}
"""Name -> what makes the learner."""
