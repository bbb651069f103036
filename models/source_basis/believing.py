"""A guard's fresh model with the beliefs that campaigns without a history begin with.

The process of `models.gaussian_processes.beliefs` in the family's standard units, laid into a component process of which
one component is there. Only what is varied has a length scale: properties of elements have none, and categories that have
descriptors are as far apart as these say.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from models.gaussian_processes.beliefs import LEAST_NOISE, LEVEL_VARIANCE, Belief, Beliefs, Density, most_probable
from models.gaussian_processes.conditioning import Conditioned, canonical_order
from models.gaussian_processes.kernels import FamilyKernel, Layout, neutral_kernel
from models.gaussian_processes.noise import NoiseModel
from models.inputs.features import Features
from models.source_basis import process
from models.source_basis.basis import Basis
from models.source_basis.process import REACHES, ComponentProcess, Skeleton
from models.tasks import Scale, TaskData
from orchestrator.domain.parameters import CompositionParameter

ABSENT: Final = 50.0
"""Logarithm of a length scale that is endless, and less the one of a variance that is none, to rounding."""
LEAST_SUPPORT: Final = 2
"""From so many measurements on the numbers move."""


@dataclass(frozen=True)
class BelievingFresh:
    """What adapts to a new task without its sources."""

    features: Features
    beliefs: Beliefs
    """In the family's standard units."""
    scale: Scale

    def conditioned(self, task: TaskData) -> tuple[Conditioned, float]:
        """Return the adapted process and the log likelihood of the support in standard units, its numbers integrated out."""
        task = task.rows(canonical_order(task.X, task.Y))
        y, stated = self.scale.standard(task.Y), self.scale.stated(task)
        density = self._density(task.X, y, stated)
        theta, likelihood = density.locations, 0.0
        if len(y) >= LEAST_SUPPORT:
            numbers = most_probable(density)
            theta = np.log([*numbers.lengths, numbers.variance, numbers.noise])
            likelihood = density.integrated(theta)
        noise = math.exp(theta[-1])
        rows = torch.clamp_min(stated, noise)
        model = Conditioned(self._process(theta), task.X, y, rows, scale=self.scale, aleatoric=lambda mean: torch.full_like(mean, noise))
        return model, likelihood

    def _density(self, X: Float[Tensor, "n d"], y: Float[Tensor, " n"], stated: Float[Tensor, " n"]) -> Density:
        varied = self.features(X)[:, [feature for feature, length in enumerate(self._blocks) if length is not None]].numpy()
        each = np.eye(len(self._kinds))[[length for length in self._blocks if length is not None]]
        squared = np.asarray((varied[:, None, :] - varied[None, :, :]) ** 2 @ each)
        least = max([LEAST_NOISE, *stated.mean(dim=0, keepdim=True).tolist()]) if len(y) else LEAST_NOISE
        return Density(squared, y.numpy(), *self.beliefs.over(self._kinds), least)

    def _process(self, theta: "np.ndarray[Any, np.dtype[np.float64]]") -> ComponentProcess:
        """Return the component process of logarithms of lengths, variance and noise."""
        neutral = neutral_kernel(self._layout)
        lengths = torch.full_like(neutral.log_lengths, ABSENT)
        for block, length in zip(self._layout.blocks, self._blocks, strict=True):
            if length is not None:
                lengths[block] = theta[length] + 0.5 * math.log(len(self._kinds))
        skeleton = Skeleton(self.features, FamilyKernel(self._layout, lengths, neutral.shares), Basis(self.features, (), ()))
        logs = torch.full((len(skeleton.names),), -ABSENT, dtype=torch.float64)
        logs[REACHES.index(1.0)], logs[-1] = theta[-2], theta[-1]
        level = torch.full((1,), math.sqrt(LEVEL_VARIANCE), dtype=torch.float64)
        return ComponentProcess(skeleton, process.Beliefs(torch.zeros_like(level), level, logs, torch.zeros_like(logs)), logs)

    @cached_property
    def _layout(self) -> Layout:
        return Layout.of(self.features)

    @cached_property
    def _lengths(self) -> tuple[tuple[int | None, ...], tuple[str, ...]]:
        """Return feature -> length scale, if it has one, and length scale -> kind."""
        blocks: list[int | None] = []
        kinds: list[str] = []
        for code, where in zip(self.features.encoding.codes, self.features.groups, strict=True):
            count = where.stop - where.start
            if code.one_hot:
                blocks += [len(kinds)] * count
                kinds.append("category")
            else:
                composed = isinstance(code.parameter, CompositionParameter)
                blocks += [*range(len(kinds), len(kinds) + code.width), *[None] * (count - code.width)]
                kinds += ["composition" if composed else "number"] * code.width
        return tuple(blocks), tuple(kinds)

    @property
    def _blocks(self) -> tuple[int | None, ...]:
        return self._lengths[0]

    @property
    def _kinds(self) -> tuple[str, ...]:
        return self._lengths[1]

    def state(self) -> dict[str, Any]:
        """Return what it is restored from, beside the family's features and scale."""
        return {name: [belief.location, belief.scale] for name, belief in self.beliefs.numbers.items()}


def believing_fresh(
    features: Features, scale: Scale, noise: NoiseModel, learned: Beliefs, *, variance_deviation: float, noise_deviation: float
) -> BelievingFresh:
    """Return the fresh model of a family.

    Args:
        features: Of the family.
        scale: Of the family.
        noise: Of the family; where replicates have told it, it stands for what is believed of noise in general.
        learned: Beliefs in a task's own standard units.
        variance_deviation: Of the logarithm of the variance, since tasks of a family differ in their spread.
        noise_deviation: Of the logarithm of the noise's variance where replicates have told it.
    """
    numbers = {**learned.numbers, "variance": replace(learned.numbers["variance"], scale=variance_deviation)}
    if noise.origin == "replicates":
        told = float(noise.variance(torch.zeros(1, dtype=torch.float64)))
        numbers["noise"] = Belief(math.log(told), noise_deviation)
    return BelievingFresh(features, Beliefs(numbers), scale)


def restore_believing(state: Mapping[str, Sequence[float]], features: Features, scale: Scale) -> BelievingFresh:
    """Return the fresh model of a state."""
    return BelievingFresh(features, Beliefs.read(state), scale)
