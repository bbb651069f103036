"""All configurations of a space that has finitely many, and few."""

import math
from collections.abc import Iterator
from itertools import combinations, product
from typing import Final, assert_never

from models.inputs.encoding import Encoding
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter, DiscreteParameter, Parameter
from orchestrator.domain.values import Configuration
from policies.constraints import within

MOST_ROWS: Final = 20_000
"""Beyond it local search is quicker than looking at every point."""


def enumerated(encoding: Encoding) -> tuple[dict[str, float | str], ...] | None:
    """Return all feasible configurations; None where there are infinitely or too many."""
    sizes = [size(parameter) for parameter in encoding.region.space.parameters]
    if math.prod(sizes) > MOST_ROWS:
        return None
    rows = [
        {column: value for part in parts for column, value in part.items()}
        for parts in product(*(list(values_of(parameter)) for parameter in encoding.region.space.parameters))
    ]
    return tuple(within(encoding, rows))


def size(parameter: Parameter) -> float:
    """Return how many values a parameter has; infinite where it varies continuously."""
    match parameter:
        case ContinuousParameter():
            return math.inf
        case DiscreteParameter():
            return len(parameter.values)
        case CategoricalParameter():
            return len(parameter.categories)
        case CompositionParameter():
            return _lattice_size(parameter)
    assert_never(parameter)


def _lattice_size(parameter: CompositionParameter) -> float:
    if parameter.fixed is not None:
        return 1
    if parameter.step is None:
        return math.inf
    width, parts = len(parameter.components), round(1 / parameter.step)
    most = min(parameter.max_components or width, parts)
    return sum(math.comb(width, present) * math.comb(parts - 1, present - 1) for present in range(1, most + 1))


def values_of(parameter: Parameter) -> Iterator[Configuration]:
    """Iterate over all values of a parameter that has finitely many."""
    match parameter:
        case ContinuousParameter():
            return
        case DiscreteParameter():
            yield from ({parameter.name: value} for value in parameter.values)
        case CategoricalParameter():
            yield from ({parameter.name: category} for category in parameter.categories)
        case CompositionParameter():
            yield from (dict(zip(parameter.columns, point, strict=True)) for point in lattice(parameter))
        case _:
            assert_never(parameter)


def lattice(parameter: CompositionParameter) -> Iterator[tuple[float, ...]]:
    """Iterate over all fractions that are whole multiples of the step, with at most `max_components` present."""
    if parameter.fixed is not None:
        yield parameter.fixed
        return
    assert parameter.step is not None
    width, parts = len(parameter.components), round(1 / parameter.step)
    for present in range(1, min(parameter.max_components or width, parts) + 1):
        for members in combinations(range(width), present):
            for cuts in combinations(range(1, parts), present - 1):
                shares = [after - before for before, after in zip((0, *cuts), (*cuts, parts), strict=True)]
                counts = dict(zip(members, shares, strict=True))
                yield tuple(counts.get(index, 0) / parts for index in range(width))
