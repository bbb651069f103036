"""How far apart two configurations are, each parameter over its own range."""

from collections.abc import Iterable
from typing import assert_never

from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter, DiscreteParameter, Parameter
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration


def distance(space: SearchSpace, one: Configuration, other: Configuration) -> float:
    """Return the mean of the parameters' differences, from 0 (equal) to 1 (opposite corners) [Gower1971].

    A number's difference is over its range, a category's 0 or 1, a composition's the part of the mixture that differs:
    the same distance, on plain values, as `models.proximity` computes on encoded ones.
    """
    return sum(_difference(parameter, one, other) for parameter in space.parameters) / len(space.parameters)


def nearest(space: SearchSpace, one: Configuration, others: Iterable[Configuration]) -> float | None:
    """Return the distance to the nearest of some configurations; None where there is none."""
    return min((distance(space, one, other) for other in others), default=None)


def _difference(parameter: Parameter, one: Configuration, other: Configuration) -> float:
    match parameter:
        case ContinuousParameter() | DiscreteParameter():
            width = (parameter.max - parameter.min) or 1.0
            return abs(float(one[parameter.name]) - float(other[parameter.name])) / width
        case CategoricalParameter():
            return float(one[parameter.name] != other[parameter.name])
        case CompositionParameter():
            return sum(abs(float(one[column]) - float(other[column])) for column in parameter.columns) / 2
    assert_never(parameter)
