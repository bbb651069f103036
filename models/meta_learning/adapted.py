"""Priors at work in a campaign: each target's prior is adapted to what was measured, and all targets are joined.

Adaptation depends on the data alone: the random numbers that it may draw are seeded by the data's hash. So what is
learned when results arrive is what a proposal finds, and what a replay computes again.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Final

import torch
from botorch.posteriors import GPyTorchPosterior
from gpytorch.distributions import MultitaskMultivariateNormal, MultivariateNormal
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from models.base import Learner, Model, Posterior, Surrogate, TargetData
from models.gaussian_processes.plain_model import PlainModel
from models.meta_learning.checkpoint import PriorFile
from models.pinned import Functions, JointFunctions
from models.source_basis.guarded import DefaultPrior
from models.source_basis.stacked import stacked
from models.tasks import Prior, TaskData
from orchestrator.domain.objective import Measured
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.surrogate_spec import SurrogateSpec
from orchestrator.errors import BadInput

_LEAST_WEIGHT: Final = 1e-3
"""Products of components that weigh less are left out: they change no choice and each costs an acquisition function."""

Lifting = Callable[[Tensor], Tensor]
"""From rows of the campaign's encoding to rows of the prior's, differentiably."""


class Joined(PlainModel):
    """Independent models of all targets, over the campaign's encoding, in multiples of the targets' units."""

    def __init__(self, models: Sequence[Model], units: Sequence[float], lifting: Lifting) -> None:
        super().__init__()
        self.models, self.units, self.lifting = tuple(models), tuple(units), lifting

    @property
    @override
    def num_outputs(self) -> int:
        return len(self.models)

    @override
    def predict(self, X: Float[Tensor, "*b q d"], *, noisy: bool) -> Posterior:
        Z = self.lifting(X)
        return joined((model.posterior(Z, observation_noise=noisy) for model in self.models), self.units)


def joined(posteriors: Iterable[Posterior], units: Sequence[float]) -> Posterior:
    """Join posteriors of single targets, each in its unit, to one of all, in multiples of the given units."""
    pairs = ((one.distribution, unit) for one, unit in zip(posteriors, units, strict=True))
    scaled = [MultivariateNormal(normal.mean / unit, normal.covariance_matrix / unit**2) for normal, unit in pairs]
    return GPyTorchPosterior(scaled[0] if len(scaled) == 1 else MultitaskMultivariateNormal.from_independent_mvns(scaled))


@dataclass(frozen=True, slots=True)
class AdaptedTargets(Surrogate):
    """The adapted surrogates of all targets."""

    targets: tuple[str, ...]
    parts: tuple[Surrogate, ...]
    """One per target, in the target's unit and the prior's encoding."""
    units: tuple[float, ...]
    """How much of each target's unit one is in what comes out."""
    lifting: Lifting

    @property
    @override
    def name(self) -> str:
        return "adapted/1"

    @override
    def posterior(self, X: Float[Tensor, "*b q d"]) -> Posterior:
        """Return the joint posterior; of mixtures the Gaussian of the same moments, for people and plots alone."""
        Z = self.lifting(X)
        return joined((part.posterior(Z) for part in self.parts), self.units)

    @override
    def variance_parts(self, X: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "n m"], Float[Tensor, "n m"]]:
        Z = self.lifting(X)
        found = [part.variance_parts(Z) for part in self.parts]
        squares = torch.tensor([unit**2 for unit in self.units], dtype=X.dtype)
        epistemic, aleatoric = (torch.cat(columns, dim=-1) / squares for columns in zip(*found, strict=True))
        return epistemic, aleatoric

    @override
    def functions(self) -> Functions:
        """Return each component of each target once, side by side where they are of one kind."""
        models = [model for part in self.parts for _, model in part.components()]
        scales = [1.0 / unit for part, unit in zip(self.parts, self.units, strict=True) for _ in part.components()]
        weights = [weight for part in self.parts for weight, _ in part.components()]
        combined = [(math.prod(weights[index] for index in one), one) for one in product(*self._places())]
        heavy = [(weight, one) for weight, one in combined if weight >= _LEAST_WEIGHT]
        total = math.fsum(weight for weight, _ in heavy)
        combinations = [(weight / total, one) for weight, one in heavy]
        if (found := stacked(models, scales, combinations, self.lifting)) is not None:
            return found
        weights_of, places = (tuple(column) for column in zip(*combinations, strict=True))
        return JointFunctions(models, scales, weights_of, places, self.lifting)

    def _places(self) -> list[range]:
        """Return where the components of each target stand among all."""
        sizes = [len(part.components()) for part in self.parts]
        return [range(sum(sizes[:index]), sum(sizes[: index + 1])) for index in range(len(sizes))]

    @override
    def components(self) -> tuple[tuple[float, Model], ...]:
        """Combine each component of a target with each of the others; what weighs next to nothing is left out."""
        combinations = list(product(*(part.components() for part in self.parts)))
        weighed = [(math.prod(weight for weight, _ in one), [model for _, model in one]) for one in combinations]
        heavy = [(weight, models) for weight, models in weighed if weight >= _LEAST_WEIGHT]
        total = math.fsum(weight for weight, _ in heavy)
        return tuple((weight / total, Joined(models, self.units, self.lifting)) for weight, models in heavy)

    @override
    def description(self) -> Mapping[str, Any]:
        return {target: dict(part.description()) for target, part in zip(self.targets, self.parts, strict=True)}

    @override
    def without_prior(self) -> "AdaptedTargets | None":
        """Return the guards of all targets; None where a target has none."""
        guards = tuple(guard for part in self.parts if (guard := part.without_prior()) is not None)
        return replace(self, parts=guards) if len(guards) == len(self.parts) else None


@dataclass(frozen=True)
class AdaptedLearner(Learner):
    """Adapts one prior per target; needs no measurement."""

    priors: Mapping[str, Prior]
    """By target."""
    lift: Lifting
    task: Float[Tensor, " k"]
    """What is known about the task, as the priors were told it."""
    origin: Mapping[str, Any]
    """Name, hash and origin of the file that the priors come from."""
    factors: Mapping[str, float] = field(default_factory=dict)
    """Target -> how much of the prior's unit the campaign's is; 1 where it is left out."""
    _last: dict[str, tuple[str, Surrogate]] = field(default_factory=dict, init=False, compare=False, repr=False)
    """Target -> hash of the data and what came of them."""

    @property
    @override
    def needs_measurements(self) -> bool:
        return False

    @property
    @override
    def identity(self) -> Mapping[str, Any]:
        return self.origin

    @override
    def fit(self, data: Sequence[TargetData], *, seed: int) -> AdaptedTargets:
        """Adapt to what was measured, if anything; the result depends on the data alone, not on the seed.

        Raises:
            BadInput: A target that the prior does not know.
        """
        parts = tuple(self._adapted(target) for target in data)
        return AdaptedTargets(tuple(one.name for one in data), parts, tuple(self._size(one) for one in data), self.lift)

    def _size(self, data: TargetData) -> float:
        """Return how much of the prior's unit one is in the data."""
        return data.unit * self.factors.get(data.name, 1.0)

    def _adapted(self, data: TargetData) -> Surrogate:
        content = fingerprint(data)
        known = self._last.get(data.name)
        if known is None or known[0] != content:
            known = self._last[data.name] = (content, self._adapt(data, int(content[:12], 16)))
        return known[1]

    def _adapt(self, data: TargetData, seed: int) -> Surrogate:
        if data.name not in self.priors:
            raise BadInput(f"the prior has no target {data.name!r}; it has {', '.join(self.priors)}")
        size, generator = self._size(data), torch.Generator().manual_seed(seed)
        variances = None if data.Yvar is None else data.Yvar * size**2
        task = TaskData(data.name, self.lift(data.X), data.Y * size, variances, descriptors=self.task)
        return self.priors[data.name].adapt(task, generator=generator)


def adapted_learner(file: PriorFile, space: SearchSpace, targets: Sequence[Measured], spec: SurrogateSpec) -> AdaptedLearner:
    """Build the learner of a campaign from a prior.

    Args:
        file: The prior.
        space: The campaign's space.
        targets: The campaign's targets.
        spec: The campaign's surrogate: what is known about its task, and whether the guard takes part.

    Raises:
        BadInput: The prior does not fit: a parameter, category, target, unit or descriptor.
    """
    fit = file.fit(space, targets, spec.task)
    return AdaptedLearner(
        priors={target.name: _guarded(file.prior(target.name), spec.guard) for target in targets},
        lift=fit.lift,
        task=fit.task,
        origin={"name": file.name, "sha256": file.sha256, "origin": file.origin},
        factors=fit.factors,
    )


def _guarded(prior: Prior, guard: bool) -> Prior:
    """Leave the guard out where that is wanted; priors of other learners have none."""
    return replace(prior, guard=guard) if isinstance(prior, DefaultPrior) else prior


def fingerprint(data: TargetData) -> str:
    """Return a hash of all that adaptation to one target depends on, whatever the order of the rows."""
    rows = torch.cat([data.X, (data.Y * data.unit).unsqueeze(-1)], dim=-1)
    known = rows if data.Yvar is None else torch.cat([rows, (data.Yvar * data.unit**2).unsqueeze(-1)], dim=-1)
    text = repr((data.name, data.Yvar is None, sorted(known.tolist())))
    return hashlib.sha256(text.encode()).hexdigest()
