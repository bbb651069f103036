"""A prior that is small enough to check by hand: it expects a bump where its family had one, and a second model that does not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from models.base import Surrogate
from models.gaussian_processes.conditioning import Adapted, Conditioned, GaussianProcess
from models.inputs.encoding import Encoding
from models.inputs.lift import lift
from models.meta_learning.adapted import AdaptedLearner
from models.tasks import Prior, Scale, TaskData
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import ContinuousParameter
from orchestrator.domain.space import SearchSpace

WIDE = SearchSpace(
    parameters=(
        ContinuousParameter(name="T", unit="degC", min=0, max=400),
        ContinuousParameter(name="t", unit="s", min=0, max=100),
    )
)
NARROW = SearchSpace(
    parameters=(
        ContinuousParameter(name="t", unit="min", min=0.2, max=1.5),
        ContinuousParameter(name="T", unit="degC", min=100, max=300),
    )
)
YIELD = Objective(targets=(Target(name="y", unit="%", goal="maximise"),))
SCALE = Scale(50.0, 20.0)
NOISE = 0.01


@dataclass(frozen=True)
class Bump(GaussianProcess):
    """A known mean and a kernel of squared distances."""

    height: float
    centre: tuple[float, float] = (0.5, 0.4)

    @override
    def mean(self, X: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b n"]:
        away = (X - torch.tensor(self.centre, dtype=X.dtype)).square().sum(dim=-1)
        return self.height * torch.exp(-8 * away)

    @override
    def covariance(self, X: Float[Tensor, "*b n d"], Z: Float[Tensor, "*b m d"]) -> Float[Tensor, "*b n m"]:
        return torch.exp(-4 * (X.unsqueeze(-2) - Z.unsqueeze(-3)).square().sum(dim=-1))

    @override
    def variance(self, X: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b n"]:
        return torch.ones_like(X[..., 0])

    @override
    def noise(self, X: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b n"]:
        return torch.full_like(X[..., 0], NOISE)


@dataclass(frozen=True)
class BumpPrior(Prior):
    """Half trust in the bump before the first measurement; afterwards by likelihood."""

    height: float = 2.0
    calls: tuple[list[int], ...] = ()
    """Where the sizes of the data are noted that it was adapted to."""

    @override
    def adapt(self, task: TaskData, *, generator: torch.Generator) -> Surrogate:
        for noted in self.calls:
            noted.append(len(task.Y))
        X, z = task.X, SCALE.standard(task.Y)
        models = [Conditioned(Bump(height), X, z, torch.full_like(z, NOISE), scale=SCALE) for height in (self.height, 0.0)]
        evidence = torch.tensor([-0.5 * float((z - Bump(height).mean(X)).square().sum()) for height in (self.height, 0.0)])
        kin, alien = torch.softmax(evidence, dim=0).tolist()
        notes = {"trust": round(kin, 4), "weights": {"bump": round(kin, 4), "fresh": round(alien, 4)}}
        return Adapted("bump/1", ((kin, models[0]), (alien, models[1])), notes=notes)

    @override
    def state(self) -> dict[str, Any]:
        return {"height": self.height}


def learner(space: SearchSpace = NARROW, priors: Mapping[str, Prior] | None = None) -> AdaptedLearner:
    return AdaptedLearner(
        priors=priors or {"y": BumpPrior()},
        lift=lift(space, WIDE, what="prior bump"),
        task=torch.zeros(0, dtype=torch.float64),
        origin={"name": "bump", "sha256": "ab" * 32, "origin": "simulated"},
    )


def encoding() -> Encoding:
    return Encoding(NARROW)
