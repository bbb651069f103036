"""How far apart two configurations are, each parameter over its own range, and whether a bench tells them apart."""

from collections.abc import Iterable
from typing import Final, assert_never

from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter, DiscreteParameter, Parameter
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration

EXACT: Final = 1e-9
"""Differences within this part of a resolution below it count as that resolution, and smaller ones as none: float noise."""


def distance(space: SearchSpace, one: Configuration, other: Configuration) -> float:
    """Return the mean of the parameters' differences, from 0 (equal) to 1 (opposite corners) [Gower1971].

    A number's difference is over its range, a category's 0 or 1, a composition's the part of the mixture that differs:
    the same distance, on plain values, as `models.inputs.proximity` computes on encoded ones.
    """
    return sum(_difference(parameter, one, other) for parameter in space.parameters) / len(space.parameters)


def nearest(space: SearchSpace, one: Configuration, others: Iterable[Configuration]) -> float | None:
    """Return the distance to the nearest of some configurations; None where there is none."""
    return min((distance(space, one, other) for other in others), default=None)


def alike(space: SearchSpace, one: Configuration, other: Configuration) -> bool:
    """Say whether two configurations are one experiment: closer in every parameter than the bench tells apart."""
    return all(_difference(parameter, one, other) < least_difference(parameter) for parameter in space.parameters)


def unlike(space: SearchSpace, one: Configuration, others: Iterable[Configuration]) -> bool:
    """Say whether the bench tells a configuration apart from all others."""
    return not any(alike(space, one, other) for other in others)


def least_difference(parameter: Parameter) -> float:
    """Return the least difference, over the parameter's range, that the bench tells apart; of values and names any."""
    match parameter:
        case ContinuousParameter():
            return parameter.resolved / (parameter.max - parameter.min) * (1 - EXACT)
        case DiscreteParameter() | CategoricalParameter():
            return EXACT
        case CompositionParameter():
            return max(parameter.resolved * (1 - EXACT), EXACT)
    assert_never(parameter)


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
