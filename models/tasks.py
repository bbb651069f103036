"""Tasks (tensors of one target) and the family that they belong to; what learns from them, and what it learns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from models.base import Surrogate
from models.inputs.features import Features
from orchestrator.domain.objective import varies
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

    def stated(self, task: TaskData) -> Float[Tensor, " n"]:
        """Return a task's known variances in these units; zeros where nobody knows."""
        return torch.zeros_like(task.Y) if task.Yvar is None else task.Yvar / self.spread**2


class Prior(Protocol):
    """What a meta-learner has learned from a family of tasks: adapts to a new task, of one target."""

    def adapt(self, task: TaskData, *, generator: torch.Generator) -> Surrogate:
        """Return a surrogate of the target in its own unit.

        Args:
            task: What was measured, and what is known about the task; no row is legal, their order does not matter.
            generator: Where anything is drawn.
        """
        ...

    def state(self) -> dict[str, Any]:
        """Return tensors, numbers, strings, lists and dicts of them, from which the prior is restored."""
        ...


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """How far a training is."""

    step: int
    steps: int
    training_loss: float
    """Mean negative log density of query rows since the last report, in standard units."""
    held_out_loss: float
    """The same on episodes of held-out tasks (of held-out rows, where there are few tasks)."""


ReportProgress = Callable[[TrainingProgress], None]


class MetaLearner(Protocol):
    """Makes priors from source tasks."""

    def meta_train(
        self, tasks: Sequence[TaskData], family: Family, *, generator: torch.Generator, report: ReportProgress | None = None
    ) -> Prior:
        """Learn from tasks of a family, reporting steps where there are any; larger targets are better.

        Raises:
            BadInput: No task, or nothing that varies.
        """
        ...


def exemplary(tasks: Sequence[TaskData]) -> tuple[int, ...]:
    """Return which tasks stand for the new one: the measured ones where there are several, else all."""
    measured = tuple(index for index, task in enumerate(tasks) if task.fidelity == "measured")
    return measured if len(measured) > 1 else tuple(range(len(tasks)))


def family_scale(tasks: Sequence[TaskData]) -> Scale:
    """Compute the mean of the exemplary tasks' means and the root of their mean variance around it.

    Raises:
        BadInput: No task, or all values are equal.
    """
    if not tasks:
        raise BadInput("a prior needs at least one source task; there is none")
    tasks = [tasks[index] for index in exemplary(tasks)]
    level = float(torch.stack([task.Y.mean() for task in tasks]).mean())
    spread = float(torch.stack([(task.Y - level).square().mean() for task in tasks]).mean().sqrt())
    if not varies(min(float(task.Y.min()) for task in tasks), max(float(task.Y.max()) for task in tasks)):
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


SAME_CONFIGURATION: Final = 1e-4
"""Encoded inputs nearer than this are one configuration: below what benches dose and above float noise."""


@dataclass(frozen=True, slots=True)
class Replicates:
    """Repeated configurations, `r` of them: what the same experiment gave several times, in the target's unit."""

    means: Float[Tensor, " r"]
    variances: Float[Tensor, " r"]
    """Of each configuration's values around their mean, unbiased."""
    freedom: Float[Tensor, " r"]
    """Values less one, of each configuration."""


def replicates(tasks: Sequence[TaskData]) -> Replicates:
    """Collect the configurations that a task measured more than once."""
    found = [_replicates(task) for task in tasks]
    return Replicates(*(torch.cat(column) for column in zip(*found, strict=True)))


def _replicates(task: TaskData) -> tuple[Tensor, Tensor, Tensor]:
    keys = (task.X / SAME_CONFIGURATION).round()
    _, where, counts = torch.unique(keys, dim=0, return_inverse=True, return_counts=True)
    means = torch.zeros_like(counts, dtype=task.Y.dtype).index_add_(0, where, task.Y) / counts
    squares = torch.zeros_like(means).index_add_(0, where, (task.Y - means[where]).square())
    kept = counts > 1
    freedom = (counts[kept] - 1).to(task.Y.dtype)
    return means[kept], squares[kept] / freedom, freedom
