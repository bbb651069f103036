"""Tasks as meta-learners see them: tensors of one target, and the family that they belong to."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from models.base import CONSTANT
from models.features import Features
from orchestrator.errors import BadInput

Fidelity = Literal["measured", "simulated"]

LEAST_ROWS: Final = 2
"""A task with fewer rows says nothing about a spread."""


@dataclass(frozen=True, slots=True)
class TaskData:
    """One task of a family: what was measured of one target.

    Shapes: `n` rows, `d` inputs of the family's encoding, `k` task descriptors.
    """

    name: str
    X: Float[Tensor, "n d"]
    """Measured configurations in the encoding of the family's space."""
    Y: Float[Tensor, " n"]
    """In the target's unit."""
    Yvar: Float[Tensor, " n"] | None = None
    """Known variances of the measurements, in the unit squared; None where nobody knows."""
    group: str | None = None
    """Declared kinship: tasks of one group are left out together."""
    descriptors: Float[Tensor, " k"] = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))
    """What is known about the task itself."""
    fidelity: Fidelity = "measured"

    def rows(self, index: Sequence[int] | Tensor) -> "TaskData":
        """Return the task with some of its rows."""
        kept = torch.as_tensor(index, dtype=torch.long)
        return replace(self, X=self.X[kept], Y=self.Y[kept], Yvar=None if self.Yvar is None else self.Yvar[kept])


@dataclass(frozen=True, slots=True)
class Family:
    """What all tasks share: inputs, and the target."""

    features: Features
    target: str
    unit: str = ""

    @property
    def width(self) -> int:
        """Number of inputs of the encoding, d."""
        return self.features.encoding.width


@dataclass(frozen=True, slots=True)
class Scale:
    """Level and spread by which a family's targets are made standard; never taken from a few points of a new task."""

    level: float
    spread: float

    def standard(self, Y: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Return values in the family's standard units."""
        return (Y - self.level) / self.spread


def family_scale(tasks: Sequence[TaskData]) -> Scale:
    """Compute the mean of the tasks' means and the root of their mean variance around it.

    Raises:
        BadInput: No task, or all values are equal.
    """
    if not tasks:
        raise BadInput("a prior needs at least one source task; there is none")
    level = float(torch.stack([task.Y.mean() for task in tasks]).mean())
    spread = float(torch.stack([(task.Y - level).square().mean() for task in tasks]).mean().sqrt())
    size = max(float(task.Y.abs().max()) for task in tasks)
    if spread <= CONSTANT * size or spread == 0.0:
        raise BadInput(f"the source tasks' values are all {level:g}; there is nothing to learn from them")
    return Scale(level, spread)


def folds(tasks: Sequence[TaskData], most: int = 5) -> tuple[tuple[int, ...], ...]:
    """Split tasks for leave-one-source-out: by declared groups where all have one, else into at most `most` parts.

    Returns:
        Indices of the tasks that each fold leaves out; each task is in exactly one.
    """
    groups = [task.group for task in tasks]
    if all(group is not None for group in groups) and len(set(groups)) > 1:
        return tuple(tuple(index for index, group in enumerate(groups) if group == one) for one in dict.fromkeys(groups))
    count = min(most, len(tasks))
    return tuple(tuple(range(start, len(tasks), count)) for start in range(count))
