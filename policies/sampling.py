"""Feasible configurations from points of the unit cube: the common ground of Sobol and random designs."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

import torch
from jaxtyping import Float
from torch import Tensor
from torch.quasirandom import SobolEngine
from typing_extensions import override

from models.inputs.encoding import Encoding
from orchestrator.domain.distance import unlike
from orchestrator.errors import BadInput
from orchestrator.ports import Knowledge
from policies.constraints import linear_constraints, meets_constraints
from policies.planes import EXTRA, Planes
from policies.pool import is_new, used

logger = logging.getLogger(__name__)

MOST_DRAWS: Final = 2**16
"""Points looked at before a space counts as infeasible or too small to be found by chance."""
_BLOCK: Final = 256
"""Points drawn at a time; a power of two keeps Sobol's balance."""
SEED_LIMIT: Final = 2**31
"""Sobol's scrambling takes seeds below it."""


class Points(Protocol):
    """A stream of points of the unit cube."""

    def draw(self, count: int) -> Float[Tensor, "n k"]:
        """Return the next points."""
        ...


@dataclass(frozen=True)
class SobolPoints(Points):
    """A scrambled Sobol sequence (Owen, Matoušek)."""

    width: int
    seed: int

    @cached_property
    def _engine(self) -> SobolEngine:
        return SobolEngine(self.width, scramble=True, seed=self.seed % SEED_LIMIT)  # type: ignore[no-untyped-call]  # torch is partly untyped

    @override
    def draw(self, count: int) -> Float[Tensor, "n k"]:
        return self._engine.draw(count, dtype=torch.float64)


@dataclass(frozen=True, slots=True)
class RandomPoints(Points):
    """Independent uniform points."""

    width: int
    generator: torch.Generator

    @override
    def draw(self, count: int) -> Float[Tensor, "n k"]:
        return torch.rand(count, self.width, dtype=torch.float64, generator=self.generator)


def drawn_width(encoding: Encoding) -> int:
    """Return how many uniform numbers `feasible` takes for a point."""
    return encoding.latent + (EXTRA if Planes(encoding).exist else 0)


def feasible(encoding: Encoding, points: Points, *, most: int = MOST_DRAWS) -> Iterator[dict[str, float | str]]:
    """Iterate over the feasible configurations among the first `most` points.

    Raises:
        BadInput: None of them is feasible.
    """
    found, region, planes = 0, encoding.region, Planes(encoding)
    if planes.exist and planes.is_empty():
        shown = "; ".join(one.shown for one in linear_constraints(encoding))
        raise BadInput(f"infeasible constraints: {shown}: no point within the bounds meets all of them")
    for _ in range(max(1, most // _BLOCK)):
        X = _legal_at(encoding, planes, points.draw(_BLOCK))
        for x in X[meets_constraints(encoding, X)]:
            row = encoding.decode(x)
            if region.complaint(row) is None:
                found += 1
                yield row
    if not found:
        raise BadInput(f"infeasible constraints: {_labels(encoding)}: none of {most} points within the bounds meets all of them")
    logger.debug("%d of %d points are feasible", found, most)


def _legal_at(encoding: Encoding, planes: Planes, U: Float[Tensor, "n k"]) -> Float[Tensor, "n d"]:
    """Return the configurations at points of the unit cube, on the planes where there are any."""
    if not planes.exist:
        return encoding.drawn(U)
    X, there = planes.placed(encoding.drawn(U[:, : encoding.latent]), U[:, encoding.latent :])
    return X[there]


def too_narrow(encoding: Encoding, count: int) -> BadInput:
    """Say that chance finds too few feasible points."""
    return BadInput(
        f"constraints too narrow: {_labels(encoding)}: fewer than {count} of {MOST_DRAWS} points within the bounds meet all of them"
    )


def _labels(encoding: Encoding) -> str:
    constraints = (constraint.label for constraint in encoding.space.constraints)
    return "; ".join([*constraints, *(f"restriction {one.number}" for one in encoding.restrictions)])


@dataclass
class Counted:
    """Rows, and how many of them were looked at."""

    rows: Iterable[dict[str, float | str]]
    count: int = 0

    def __iter__(self) -> Iterator[dict[str, float | str]]:
        for row in self.rows:
            self.count += 1
            yield row


def distinct(rows: Iterable[dict[str, float | str]], encoding: Encoding, knowledge: Knowledge, count: int) -> list[dict[str, float | str]]:
    """Take rows that the bench tells apart from each other and from what is running: new ones before repeats of what was done.

    Returns:
        `count` rows, fewer where there are no more such.
    """
    space, known = encoding.space, encoding.encode(used(knowledge))
    new: list[dict[str, float | str]] = []
    repeats: list[dict[str, float | str]] = []
    idle = 0
    for row in rows:
        if unlike(space, row, new) and is_new(encoding, row, known):
            new.append(row)
        else:
            idle += 1
            if unlike(space, row, (*knowledge.pending, *repeats)):
                repeats.append(row)
        if len(new) == count or idle > _PATIENCE * count:
            break
    for row in repeats:
        if len(new) < count and unlike(space, row, new):
            new.append(row)
    return new


_PATIENCE: Final = 64
"""Repeats per wanted row after which a space counts as used up."""
