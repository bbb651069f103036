"""Hypothesis strategies for the domain's values."""

import math
from typing import Any

from hypothesis import strategies as st

from orchestrator.domain.constraints import ExpressionConstraint, LinearConstraint
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter, DiscreteParameter, Parameter
from orchestrator.domain.parameters.number import AxisScale
from orchestrator.domain.space import SearchSpace
from orchestrator.ports import Observation

UNITS = ("", "mL", "s", "mL/min", "degC")
PRODUCT_UNITS = ("", "mL", "s", "mL/min")
"""Units that may be multiplied; degC has an offset."""
SCALES: tuple[AxisScale, ...] = ("linear", "log")
ELEMENTS = ("Ni", "Fe", "Co", "Mn", "Ce")
SHARES = (0.02, 0.07, 0.1, 0.2, 0.3)
SOLVENTS = ("water", "DMF", "toluene", "THF", "ODE")


def numbers(low: float = -1e3, high: float = 1e3) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False, allow_infinity=False).map(lambda value: round(value, 3))


@st.composite
def continuous_parameters(draw: st.DrawFn, name: str = "x") -> ContinuousParameter:
    low = draw(numbers())
    scale = draw(st.sampled_from(SCALES)) if low > 0 else "linear"
    return ContinuousParameter(name=name, unit=draw(st.sampled_from(UNITS)), scale=scale, min=low, max=low + draw(numbers(0.01, 500)))


@st.composite
def discrete_parameters(draw: st.DrawFn, name: str = "x") -> DiscreteParameter:
    values = draw(st.lists(numbers(), min_size=1, max_size=6, unique=True))
    scale = draw(st.sampled_from(SCALES)) if min(values) > 0 else "linear"
    return DiscreteParameter(name=name, unit=draw(st.sampled_from(UNITS)), scale=scale, values=tuple(values))


@st.composite
def categorical_parameters(draw: st.DrawFn, name: str = "x") -> CategoricalParameter:
    count = draw(st.integers(1, len(SOLVENTS)))
    return CategoricalParameter(name=name, categories=SOLVENTS[:count])


@st.composite
def composition_parameters(draw: st.DrawFn, name: str = "x") -> CompositionParameter:
    count = draw(st.integers(2, len(ELEMENTS)))
    step = draw(st.sampled_from((None, 0.5, 0.25, 0.1, 0.05, 1 / 3)))
    most = draw(st.none() | st.integers(1, count))
    least = draw(st.sampled_from([None, *(share for share in SHARES if _has_room(share, step, most))]))
    return CompositionParameter(name=name, components=ELEMENTS[:count], step=step, max_components=most, min_present=least)


def _has_room(share: float, step: float | None, most: int | None) -> bool:
    least = share if step is None else math.ceil(share / step) * step
    return least < 0.45 and (most or 1) * least <= 1


def parameters(name: str = "x") -> st.SearchStrategy[Parameter]:
    return st.one_of(continuous_parameters(name), discrete_parameters(name), categorical_parameters(name), composition_parameters(name))


@st.composite
def open_spaces(draw: st.DrawFn, *, most: int = 4) -> SearchSpace:
    """Spaces without constraints or candidates."""
    count = draw(st.integers(1, most))
    return SearchSpace(parameters=tuple(draw(parameters(f"p{index}")) for index in range(count)))


def _value(draw: st.DrawFn, parameter: Parameter) -> dict[str, float | str]:
    match parameter:
        case ContinuousParameter():
            return {parameter.name: draw(st.floats(parameter.min, parameter.max))}
        case DiscreteParameter():
            return {parameter.name: draw(st.sampled_from(parameter.values))}
        case CategoricalParameter():
            return {parameter.name: draw(st.sampled_from(parameter.categories))}
        case CompositionParameter():
            return dict(zip(parameter.columns, draw(fractions(parameter)), strict=True))


@st.composite
def fractions(draw: st.DrawFn, parameter: CompositionParameter) -> list[float]:
    """Legal fractions: parts of a whole number of parts, handed out among the components that are present."""
    width = len(parameter.components)
    parts = 1000 if parameter.step is None else round(1 / parameter.step)
    least = math.ceil(parameter.least * parts)
    present = draw(st.permutations(range(width)))[: draw(st.integers(1, parameter.most)) if least else parameter.most]
    counts = {index: least if index in present else 0 for index in range(width)}
    for position, index in enumerate(present):
        left = parts - sum(counts.values())
        counts[index] += left if position == len(present) - 1 else draw(st.integers(0, left))
    return [counts[index] / parts for index in range(width)]


@st.composite
def configurations(draw: st.DrawFn, space: SearchSpace) -> dict[str, float | str]:
    """Configurations within all parameters' own limits; constraints are not looked at."""
    return {column: value for parameter in space.parameters for column, value in _value(draw, parameter).items()}


@st.composite
def linear_constraints(draw: st.DrawFn, space: SearchSpace, within: dict[str, float | str]) -> LinearConstraint:
    """A bound on a weighted sum that the configuration `within` meets."""
    columns = draw(st.lists(st.sampled_from(space.numeric_columns), min_size=1, max_size=3, unique=True))
    coefficients = {column: draw(st.sampled_from((-2.0, -1.0, 0.5, 1.0))) for column in columns}
    value = LinearConstraint(coefficients=coefficients, min=0).value(within)
    room = draw(st.sampled_from((1.0, 50.0)))
    return LinearConstraint(coefficients=coefficients, **draw(_bounds(value, room)))


@st.composite
def expression_constraints(draw: st.DrawFn, space: SearchSpace, within: dict[str, float | str]) -> ExpressionConstraint:
    """A bound on a product of two columns, units and all, that the configuration `within` meets."""
    columns = tuple(column for column in space.numeric_columns if space.units[column] in PRODUCT_UNITS)
    left, right = draw(st.sampled_from(columns)), draw(st.sampled_from(columns))
    unit = " * ".join(text for text in (space.units[left], space.units[right]) if text)
    constraint = ExpressionConstraint(expression=f"{left} * {right}", unit=unit, min=0)
    value = constraint.value(space.numbers(within), space.units)
    room = draw(st.sampled_from((1.0, 50.0)))
    return ExpressionConstraint(expression=constraint.expression, unit=unit, **draw(_bounds(value, room)))


@st.composite
def _bounds(draw: st.DrawFn, value: float, room: float) -> dict[str, Any]:
    sides = draw(st.sampled_from(("min", "max", "both")))
    low, high = {"min": value - room}, {"max": value + room}
    return low if sides == "min" else high if sides == "max" else {**low, **high}


@st.composite
def spaces(draw: st.DrawFn, *, most: int = 4) -> SearchSpace:
    """Spaces with up to two constraints that at least one configuration meets."""
    space = draw(open_spaces(most=most))
    inside = draw(configurations(space))
    linear, product = draw(st.booleans()), draw(st.booleans())
    constraints: list[LinearConstraint | ExpressionConstraint] = []
    if space.numeric_columns and linear:
        constraints.append(draw(linear_constraints(space, inside)))
    if any(space.units[column] in PRODUCT_UNITS for column in space.numeric_columns) and product:
        constraints.append(draw(expression_constraints(space, inside)))
    return space.evolve(constraints=tuple(constraint.model_dump() for constraint in constraints))


@st.composite
def tables(draw: st.DrawFn, *, most: int = 12) -> SearchSpace:
    """Spaces with a table of candidates, with and without repeated rows."""
    space = draw(open_spaces(most=3))
    rows = draw(st.lists(configurations(space), min_size=1, max_size=most))
    return space.evolve(candidates=tuple(rows))


@st.composite
def targets(draw: st.DrawFn, name: str = "y", *, scaled: bool = False) -> Target:
    goal = draw(st.sampled_from(("maximise", "minimise", "match")))
    if goal == "match":
        return Target(name=name, goal="match", value=draw(numbers()), tolerance=draw(numbers(0.1, 100)))
    low = draw(numbers())
    if not (scaled or draw(st.booleans())):
        return Target(name=name, goal=goal)
    return Target(name=name, goal=goal, low=low, high=low + draw(numbers(0.1, 100)), weight=draw(numbers(0.1, 10)))


@st.composite
def objectives(draw: st.DrawFn, *, most: int = 3) -> Objective:
    count = draw(st.integers(1, most))
    return Objective(targets=tuple(draw(targets(f"y{index}", scaled=count > 1)) for index in range(count)))


@st.composite
def observations(draw: st.DrawFn, space: SearchSpace, objective: Objective, *, complete: bool = True) -> Observation:
    """A measurement anywhere in the space; where not `complete`, targets may be missing."""
    names = [name for name in objective.names if complete or draw(st.booleans())]
    uncertain = [name for name in names if draw(st.booleans())]
    return Observation(
        configuration=draw(configurations(space)),
        values={name: draw(numbers()) for name in names},
        uncertainties={name: draw(numbers(0, 10)) for name in uncertain},
    )
