"""The leakage audit: whether a prior has seen what it is to be judged on.

A task counts as seen by its name, by its content, by its declared group, or because many of its measurements are among
the sources'. Equal configurations alone are no leak: tasks of one design share them all.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor

from models.tasks import Scale, TaskData
from orchestrator.errors import BadInput

_DIGITS: Final = 9
"""Encoded inputs and values are rounded to so many significant digits before they are hashed: float noise is no difference."""
_NEAR: Final = 1e-3
"""Rows this near in every encoded input, and in the value in units of the sources' spread, are the same measurement written
with fewer digits, or its replicate."""
COPIED: Final = 0.5
"""Share of judged measurements found among one source's from which the source is a copy: kin tasks of one design share some
(yields of zero), a copy shares nearly all."""
SHORT: Final = 16
"""Hexadecimal digits kept of a row's hash: collisions among a million rows stay below one in ten million."""


@dataclass(frozen=True, slots=True)
class TaskMark:
    """What identifies one source task of one target."""

    name: str
    group: str | None
    content: str
    """Hash over all rows, whatever their order."""
    rows: tuple[str, ...]
    """Hash of each measurement, sorted."""
    places: tuple[str, ...]
    """Hash of each configuration, sorted."""

    @staticmethod
    def of(document: dict[str, Any]) -> "TaskMark":
        """Restore a mark."""
        return TaskMark(**{**document, "rows": tuple(document["rows"]), "places": tuple(document["places"])})


def mark(task: TaskData) -> TaskMark:
    """Hash a task's rows."""
    places = [_hash(row) for row in task.X.tolist()]
    rows = sorted(_hash([*row, value]) for row, value in zip(task.X.tolist(), task.Y.tolist(), strict=True))
    return TaskMark(task.name, task.group, hashlib.sha256("".join(rows).encode()).hexdigest(), tuple(rows), tuple(sorted(places)))


def _hash(values: Iterable[float]) -> str:
    text = " ".join(f"{value + 0.0:.{_DIGITS}g}" if abs(value) > 10.0**-_DIGITS else "0" for value in values)
    return hashlib.sha256(text.encode()).hexdigest()[:SHORT]


@dataclass(frozen=True, slots=True)
class Overlap:
    """What a judged task has in common with one source."""

    source: str
    group: str | None
    same: int
    """Judged measurements found there: configuration and value."""
    near: int
    """Judged measurements found there within `_NEAR`, the same ones included."""
    places: int
    """Judged configurations found there."""
    of: int
    """Judged rows."""

    @property
    def copied(self) -> bool:
        """Whether so many measurements are shared that the source is a copy."""
        return self.of > 0 and max(self.same, self.near) > COPIED * self.of


def overlaps(judged: TaskData, sources: Sequence[TaskData], scale: Scale) -> tuple[Overlap, ...]:
    """Compare a judged task with each source, both in the prior's encoding; those with nothing in common are left out.

    Args:
        judged: The task to be judged on.
        sources: What the prior was trained on.
        scale: The sources' level and spread.
    """
    own = mark(judged)
    found = tuple(_overlap(own, judged, source, scale) for source in sources)
    return tuple(one for one in found if one.same or one.near or one.places)


def _overlap(own: TaskMark, judged: TaskData, source: TaskData, scale: Scale) -> Overlap:
    theirs = mark(source)
    rows, places = set(theirs.rows), set(theirs.places)
    same = sum(row in rows for row in own.rows)
    near = int(_near(_stacked(judged, scale), _stacked(source, scale)).sum())
    return Overlap(source.name, source.group, same, max(same, near), sum(place in places for place in own.places), len(judged.Y))


def _stacked(task: TaskData, scale: Scale) -> Float[Tensor, "n c"]:
    return torch.cat([task.X, scale.standard(task.Y).unsqueeze(-1)], dim=-1)


def _near(rows: Float[Tensor, "n c"], others: Float[Tensor, "m c"]) -> Tensor:
    """Say of each row whether another one is within `_NEAR` in every column."""
    return torch.stack([((others - row).abs() <= _NEAR).all(dim=-1).any() for row in rows]) if len(rows) else torch.zeros(0)


def refuse_if_seen(
    marks: Sequence[TaskMark], *, prior: str, name: str | None = None, group: str | None = None, judged: TaskData | None = None
) -> None:
    """Refuse to score a prior on what it was trained on.

    Args:
        marks: What the prior saw.
        prior: Its name, for the message.
        name: The judged task's name.
        group: The judged task's declared group.
        judged: Its rows, in the prior's encoding, where there are any.

    Raises:
        BadInput: The prior saw the task, its group, or a copy of it.
    """
    for one in marks:
        if name is not None and _plain(one.name) == _plain(name):
            raise BadInput(f"prior {prior} was trained on task {one.name}; it cannot be scored on it")
        if group is not None and one.group is not None and _plain(one.group) == _plain(group):
            raise BadInput(f"prior {prior} was trained on task {one.name} of group {group}; it cannot be scored on that group")
    if judged is not None and len(judged.Y):
        _refuse_copies(marks, prior, mark(judged))


def _refuse_copies(marks: Sequence[TaskMark], prior: str, own: TaskMark) -> None:
    for one in marks:
        rows = set(one.rows)
        shared = sum(row in rows for row in own.rows)
        if shared > COPIED * len(own.rows):
            raise BadInput(
                f"prior {prior} was trained on task {one.name}, which holds {shared} of the {len(own.rows)} measurements "
                f"to be judged; it cannot be scored on them"
            )


def _plain(name: str) -> str:
    return name.strip().casefold()
