"""A bench's twin at work in a campaign: each target that it predicts has it as a prior, and all targets are joined.

What the twin says is asked for when the first surrogate is: until then nobody waits for a simulation.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from typing_extensions import override

from models.base import Learner, TargetData
from models.inputs.encoding import Encoding
from models.inputs.features import Features
from models.meta_learning.adapted import AdaptedLearner, AdaptedTargets
from models.source_basis.guarded import DefaultPrior
from models.source_basis.twinned import Predictions, guard_alone, shaken, twin_prior
from models.tasks import Prior

_DIGITS = 12
"""Of a hash: what a generator is seeded with."""


@dataclass(frozen=True)
class TwinLearner(Learner):
    """Adapts the twin to what was measured."""

    encoding: Encoding
    targets: tuple[str, ...]
    predicted: tuple[str, ...]
    """Targets that the twin predicts; of others a value is needed before there is a surrogate."""
    origin: Mapping[str, Any]
    """Name, hash and origin of the twin."""
    ask: Callable[[], Mapping[str, Predictions]]
    """Says what the twin predicts, by target."""
    guard: bool = True

    @property
    @override
    def needs_measurements(self) -> bool:
        return bool(set(self.targets) - set(self.predicted))

    @property
    @override
    def identity(self) -> Mapping[str, Any]:
        return self.origin

    @override
    def fit(self, data: Sequence[TargetData], *, seed: int) -> AdaptedTargets:
        """Adapt to what was measured, if anything; the result depends on the data and the twin alone, not on the seed.

        Raises:
            BadInput: The twin predicts too little.
        """
        priors = {one.name: self._trusted(one) for one in data}
        key = tuple(one.trust for one in priors.values() if isinstance(one, DefaultPrior))
        if key not in self._learners:
            self._learners.clear()
            self._learners[key] = AdaptedLearner(priors, lambda X: X, torch.zeros(0, dtype=torch.float64), self.origin)
        return self._learners[key].fit(data, seed=seed)

    def _trusted(self, data: TargetData) -> Prior:
        prior = self._priors[data.name]
        return shaken(prior, self._said[data.name], len(data.Y), data.silent) if isinstance(prior, DefaultPrior) else prior

    @cached_property
    def _learners(self) -> dict[tuple[float, ...], AdaptedLearner]:
        """The last one, by how far its priors are trusted: it remembers what it adapted."""
        return {}

    @cached_property
    def _said(self) -> Mapping[str, Predictions]:
        return self.ask()

    @cached_property
    def _priors(self) -> Mapping[str, Prior]:
        said, features = self._said, Features(self.encoding)
        generator = torch.Generator().manual_seed(int(str(self.origin["sha256"])[:_DIGITS], 16))
        return {
            name: twin_prior(said[name], features, guard=self.guard, generator=generator) if name in said else guard_alone(features)
            for name in self.targets
        }
