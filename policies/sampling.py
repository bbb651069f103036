"""Feasible configurations from points of the unit cube: the common ground of Sobol and random designs."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Final, Protocol, assert_never

import torch
from jaxtyping import Float
from torch import Tensor
from torch.quasirandom import SobolEngine
from typing_extensions import override

from models.encoding import Encoding, on_lattice, on_simplex
from orchestrator.domain.space import (
    CategoricalParameter,
    CompositionParameter,
    ContinuousParameter,
    DiscreteParameter,
    Parameter,
    SearchSpace,
)
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput
from policies.constraints import within

logger = logging.getLogger(__name__)

MOST_DRAWS: Final = 2**16
"""Points looked at before a space counts as infeasible or too small to be found by chance."""
BLOCK: Final = 256
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


def latent_width(space: SearchSpace) -> int:
    """Return how many uniform numbers `configuration_at` takes."""
    return sum(_latent(parameter) for parameter in space.parameters)


def _latent(parameter: Parameter) -> int:
    # a composition: one number chooses the components, one per component their amounts
    return 1 + len(parameter.components) if isinstance(parameter, CompositionParameter) else 1


def configuration_at(space: SearchSpace, point: Sequence[float]) -> dict[str, float | str]:
    """Map a point of the unit cube to a configuration that is legal but for constraints.

    Fractions are uniform on the simplex of the chosen components (normalised exponentials), then put on the lattice.
    """
    numbers = iter(point)
    configuration: dict[str, float | str] = {}
    for parameter in space.parameters:
        configuration |= _value_at(parameter, list(islice(numbers, _latent(parameter))))
    return configuration


def _value_at(parameter: Parameter, u: Sequence[float]) -> dict[str, float | str]:
    match parameter:
        case ContinuousParameter():
            return {parameter.name: min(parameter.min + u[0] * (parameter.max - parameter.min), parameter.max)}
        case DiscreteParameter():
            return {parameter.name: parameter.values[_index(u[0], len(parameter.values))]}
        case CategoricalParameter():
            return {parameter.name: parameter.categories[_index(u[0], len(parameter.categories))]}
        case CompositionParameter():
            return dict(zip(parameter.columns, _fractions_at(parameter, u), strict=True))
    assert_never(parameter)


def _index(u: float, count: int) -> int:
    return min(int(u * count), count - 1)


def _fractions_at(parameter: CompositionParameter, u: Sequence[float]) -> list[float]:
    width = len(parameter.components)
    amounts = (-torch.log1p(-torch.tensor(u[1:], dtype=torch.float64))).tolist()
    present = _subset_at(u[0], width, parameter.max_components or width)
    fractions = on_simplex([amount if index in present else 0.0 for index, amount in enumerate(amounts)], len(present))
    return fractions if parameter.step is None else on_lattice(fractions, round(1 / parameter.step))


def _subset_at(u: float, width: int, most: int) -> tuple[int, ...]:
    """Choose which components are present: every subset of at most `most` is as likely; all where all may be."""
    if most == width:
        return tuple(range(width))
    sizes = range(1, most + 1)
    rank = _index(u, sum(math.comb(width, size) for size in sizes))
    for size in sizes:
        if rank < math.comb(width, size):
            return _combination(rank, width, size)
        rank -= math.comb(width, size)
    raise AssertionError("the rank is below the number of subsets")


def _combination(rank: int, width: int, size: int) -> tuple[int, ...]:
    """Return the combination of a rank in lexicographic order."""
    chosen: list[int] = []
    for index in range(width):
        with_it = math.comb(width - index - 1, size - len(chosen) - 1) if len(chosen) < size else 0
        if rank < with_it:
            chosen.append(index)
        else:
            rank -= with_it
    return tuple(chosen)


def feasible(encoding: Encoding, points: Points, *, most: int = MOST_DRAWS) -> Iterator[dict[str, float | str]]:
    """Iterate over the feasible configurations among the first `most` points.

    Raises:
        BadInput: None of them is feasible.
    """
    found, space = 0, encoding.space
    for _ in range(max(1, most // BLOCK)):
        rows = [configuration_at(space, point) for point in points.draw(BLOCK).tolist()]
        for row in within(encoding, rows):
            found += 1
            yield row
    if not found:
        labels = "; ".join(constraint.label for constraint in space.constraints)
        raise BadInput(f"infeasible constraints: {labels}: none of {most} points within the bounds meets all of them")
    logger.debug("%d of %d points are feasible", found, most)


def too_narrow(space: SearchSpace, count: int) -> BadInput:
    """Say that chance finds too few feasible points."""
    labels = "; ".join(constraint.label for constraint in space.constraints)
    return BadInput(
        f"constraints too narrow: {labels}: fewer than {count} of {MOST_DRAWS} points within the bounds meet all of them"
    )


def distinct(
    rows: Iterable[dict[str, float | str]], key: Callable[[Configuration], object], known: Iterable[Configuration], count: int
) -> list[dict[str, float | str]]:
    """Take `count` rows, new ones before repeats of known ones or of each other; fewer where the rows run out."""
    seen = {key(row) for row in known}
    new: list[dict[str, float | str]] = []
    repeats: list[dict[str, float | str]] = []
    for row in rows:
        fresh = key(row) not in seen
        seen.add(key(row))
        (new if fresh else repeats).append(row)
        if len(new) == count or len(repeats) > _PATIENCE * count:
            break
    return (new + repeats)[:count]


_PATIENCE: Final = 64
"""Repeats per wanted row after which a space counts as used up."""
