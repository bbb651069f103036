"""How far apart two configurations are, each parameter over its own range, and whether a bench tells them apart."""

from collections.abc import Iterable

from orchestrator.domain.parameters import Parameter
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration


def distance(space: SearchSpace, one: Configuration, other: Configuration) -> float:
    """Return the mean of the parameters' differences, from 0 (equal) to 1 (opposite corners) [Gower1971].

    A number's difference is over its range, a category's 0 or 1, a composition's the part of the mixture that differs:
    the same distance, on plain values, as `models.inputs.proximity` computes on encoded ones. A parameter that either
    configuration lacks is not counted, as Gower leaves out what cannot be compared: its absence is the difference of another.
    """
    both = _in_both(space, one, other)
    return sum(parameter.difference(one, other) for parameter in both) / len(both)


def _in_both(space: SearchSpace, one: Configuration, other: Configuration) -> tuple[Parameter, ...]:
    gone = space.absent(one) | space.absent(other)
    return tuple(parameter for parameter in space.parameters if parameter.name not in gone) if gone else space.parameters


def nearest(space: SearchSpace, one: Configuration, others: Iterable[Configuration]) -> float | None:
    """Return the distance to the nearest of some configurations; None where there is none."""
    return min((distance(space, one, other) for other in others), default=None)


def alike(space: SearchSpace, one: Configuration, other: Configuration) -> bool:
    """Say whether two configurations are one experiment: closer in every parameter than the bench tells apart."""
    return all(parameter.difference(one, other) < parameter.least_difference for parameter in _in_both(space, one, other))


def unlike(space: SearchSpace, one: Configuration, others: Iterable[Configuration]) -> bool:
    """Say whether the bench tells a configuration apart from all others."""
    return not any(alike(space, one, other) for other in others)
