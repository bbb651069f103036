"""Configurations one discrete move away: the steps of the local search over values, categories and lattices."""

from collections.abc import Iterator
from itertools import permutations
from typing import Final, assert_never

from models.inputs.encoding import on_simplex
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter, DiscreteParameter, Parameter
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration

MOST_VALUES: Final = 20
"""A discrete parameter with more values moves to the nearest ones only, on either side."""
PRESENT: Final = 1e-6
"""A fraction above it belongs to a component that is there, as the space counts by default."""


def neighbours(space: SearchSpace, configuration: Configuration) -> Iterator[dict[str, float | str]]:
    """Iterate over configurations that differ in one discrete choice; constraints are not looked at."""
    for parameter in space.parameters:
        for change in _changes(parameter, configuration):
            yield {**configuration, **change}


def _changes(parameter: Parameter, configuration: Configuration) -> Iterator[Configuration]:
    match parameter:
        case ContinuousParameter():
            return
        case DiscreteParameter():
            yield from ({parameter.name: value} for value in _values(parameter, configuration[parameter.name]))
        case CategoricalParameter():
            others = (category for category in parameter.categories if category != configuration[parameter.name])
            yield from ({parameter.name: category} for category in others)
        case CompositionParameter():
            yield from _compositions(parameter, configuration)
        case _:
            assert_never(parameter)


def _values(parameter: DiscreteParameter, value: float | str) -> Iterator[float]:
    others = [legal for legal in parameter.values if legal != value]
    assert not isinstance(value, str)
    yield from sorted(others, key=lambda legal: abs(legal - value))[:MOST_VALUES]


def _compositions(parameter: CompositionParameter, configuration: Configuration) -> Iterator[Configuration]:
    """Move amounts from one component to another; none where the continuous search reaches every fraction by itself."""
    is_free = parameter.step is None and parameter.max_components in (None, len(parameter.components))
    if is_free or parameter.fixed is not None:
        return
    fractions = [float(configuration[column]) for column in parameter.columns]
    for source, sink in permutations(range(len(fractions)), 2):
        if fractions[source] <= PRESENT:
            continue
        for amount in _amounts(parameter, fractions[source]):
            moved = list(fractions)
            moved[source], moved[sink] = moved[source] - amount, moved[sink] + amount
            yield dict(zip(parameter.columns, _exact(parameter, moved), strict=True))


def _amounts(parameter: CompositionParameter, fraction: float) -> set[float]:
    # half or all of it changes which components are present
    return {fraction / 2, fraction} if parameter.step is None else {parameter.step, fraction}


def _exact(parameter: CompositionParameter, fractions: list[float]) -> list[float]:
    """Take float noise out."""
    if parameter.step is None:
        return on_simplex(fractions)
    parts = round(1 / parameter.step)
    return [round(fraction * parts) / parts for fraction in fractions]
