"""The part of a search space in which proposals may lie now: the space itself, less what people took out of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar, assert_never

from orchestrator.domain.constraints import LinearConstraint
from orchestrator.domain.distance import distance
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter, DiscreteParameter, Parameter
from orchestrator.domain.restriction import Allowed, Restriction
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput


@dataclass(frozen=True)
class Region:
    """A search space and the restrictions that bind now; columns and scales are the whole space's."""

    whole: SearchSpace
    restrictions: tuple[Restriction, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nothing was taken out."""
        return not self.restrictions

    @property
    def avoided(self) -> tuple[Restriction, ...]:
        """The restrictions around a configuration."""
        return tuple(one for one in self.restrictions if one.around)

    @cached_property
    def space(self) -> SearchSpace:
        """The space with narrower parameters, without a candidate table; what is avoided is not taken out of it.

        Raises:
            BadInput: Nothing is left of a column; names the restriction.
        """
        space = self.whole
        for one in self.restrictions:
            if one.columns:
                space = _narrowed(space, one)
        return space

    def complaint(self, configuration: Configuration) -> str | None:
        """Say what is wrong with a configuration, if anything is."""
        if (complaint := self.whole.complaint(configuration)) or self.is_whole:
            return complaint
        return self.space.complaint(configuration, membership=False) or self._avoided(configuration)

    def _avoided(self, configuration: Configuration) -> str | None:
        for one in self.avoided:
            apart = distance(self.whole, configuration, one.around)
            if apart < one.radius:
                return f"{apart:.3g} from what restriction {one.number} avoids; expected at least {one.radius:g}"
        return None

    def admits(self, measured: Configuration) -> bool:
        """Say whether a measured configuration lies where proposals may now, as near as the bench tells apart.

        Constraints of the whole space are not looked at: readbacks miss them by what the bench misses.
        """
        return all(self._keeps_to(one, measured) for one in self.restrictions)

    def _keeps_to(self, restriction: Restriction, measured: Configuration) -> bool:
        if restriction.around:
            return distance(self.whole, measured, restriction.around) >= restriction.radius
        owners = {column: parameter for parameter in self.whole.parameters for column in parameter.columns}
        return all(_near(owners[column], allowed, measured[column]) for column, allowed in restriction.columns.items())

    def check_columns(self, configuration: Configuration) -> None:
        """Refuse what a person writes outside restricted columns; what is only avoided they may ask for.

        Raises:
            BadInput: Names the restriction, the column, the value and what is left.
        """
        owners = {column: parameter for parameter in self.whole.parameters for column in parameter.columns}
        for one in self.restrictions:
            for column, allowed in one.columns.items():
                if not _holds(owners[column], allowed, configuration[column]):
                    shown = allowed.shown(self.whole.units.get(column, ""))
                    raise BadInput(
                        f"{column} = {configuration[column]} is outside restriction {one.number} ({column} = {shown}, by {one.author}); "
                        f"`athanor constrain --lift {one.number}` takes it away"
                    )


def _holds(parameter: Parameter, allowed: Allowed, value: float | str) -> bool:
    if isinstance(parameter, CategoricalParameter) or allowed.names or isinstance(value, str):
        return value in allowed.names
    low, high, slack = allowed.min, allowed.max, parameter.slack
    return (low is None or value >= low - slack) and (high is None or value <= high + slack)


def _near(parameter: Parameter, allowed: Allowed, value: float | str) -> bool:
    """Say whether a readback stands for something that is left: the nearest legal value, or one within the resolution."""
    if isinstance(value, str) or isinstance(parameter, CategoricalParameter):
        return _holds(parameter, allowed, value)
    if isinstance(parameter, DiscreteParameter):
        return _holds(parameter, allowed, min(parameter.values, key=lambda legal: abs(legal - value)))
    low = value if allowed.min is None else allowed.min
    high = value if allowed.max is None else allowed.max
    room = parameter.resolved
    if isinstance(parameter, CompositionParameter) and parameter.step is not None:
        room = max(room, parameter.step / 2)  # the nearest point of the lattice
    return _holds(parameter, allowed, value) or low - room <= value <= high + room


def _narrowed(space: SearchSpace, restriction: Restriction) -> SearchSpace:
    what = f"restriction {restriction.number}" if restriction.number else "the restriction"
    unknown = [column for column in restriction.columns if column not in space.columns]
    if unknown:
        raise BadInput(f"{what}: there is no parameter {unknown[0]!r}; there are {', '.join(space.columns)}")
    try:
        parameters = tuple(_left_of(parameter, restriction.columns) for parameter in space.parameters)
    except BadInput as error:
        raise BadInput(f"{what}: {error}") from error
    shares = tuple(constraint for parameter in space.parameters for constraint in _shares(parameter, restriction.columns))
    return SearchSpace(parameters=parameters, constraints=(*space.constraints, *shares))


def _left_of(parameter: Parameter, columns: Mapping[str, Allowed]) -> Parameter:
    """Return what is left of a parameter."""
    mine = {column: columns[column] for column in parameter.columns if column in columns}
    if not mine:
        return parameter
    match parameter:
        case ContinuousParameter():
            return _range(parameter, mine[parameter.name])
        case DiscreteParameter():
            left = [value for value in parameter.values if _holds(parameter, mine[parameter.name], value)]
            return parameter.evolve(values=_some(left, parameter, mine[parameter.name]))
        case CategoricalParameter():
            names = [name for name in parameter.categories if name in mine[parameter.name].names]
            return parameter.evolve(categories=_some(names, parameter, mine[parameter.name]))
        case CompositionParameter():
            return _mixture(parameter, mine)
    assert_never(parameter)


_Left = TypeVar("_Left", float, str)


def _some(left: Sequence[_Left], parameter: DiscreteParameter | CategoricalParameter, allowed: Allowed) -> tuple[_Left, ...]:
    strangers = [] if isinstance(parameter, DiscreteParameter) else [name for name in allowed.names if name not in parameter.categories]
    if strangers or not left:
        asked = strangers[0] if strangers else allowed.shown()
        raise BadInput(f"{parameter.name} = {asked}: expected some of {parameter.legal.removeprefix('one of ')}")
    return tuple(left)


def _range(parameter: ContinuousParameter, allowed: Allowed) -> Parameter:
    low = parameter.min if allowed.min is None else allowed.min
    high = parameter.max if allowed.max is None else allowed.max
    if allowed.names or low > high or any(parameter.complaint({parameter.name: end}) for end in (low, high)):
        raise BadInput(f"{parameter.name} = {allowed.shown(parameter.unit)}: expected {parameter.legal}")
    if low == high:
        return DiscreteParameter(name=parameter.name, unit=parameter.unit, values=(low,))
    return parameter.evolve(min=low, max=high, resolution=None)  # what the bench tells apart is the whole space's affair


def _mixture(parameter: CompositionParameter, mine: Mapping[str, Allowed]) -> Parameter:
    """Hold a whole mixture; ranges of fractions become constraints."""
    fixed = {column: float(allowed.min or 0.0) for column, allowed in mine.items() if allowed.is_fixed and not allowed.names}
    if not fixed and not any(allowed.names for allowed in mine.values()):
        return parameter
    if len(fixed) < len(parameter.columns):
        raise BadInput(f"{', '.join(mine)}: expected a value for each of {', '.join(parameter.columns)}, or ranges")
    fractions = tuple(fixed[column] for column in parameter.columns)
    if complaint := parameter.complaint(fixed):
        raise BadInput(complaint)
    return parameter.evolve(fixed=fractions)


def _shares(parameter: Parameter, columns: Mapping[str, Allowed]) -> Iterator[LinearConstraint]:
    if isinstance(parameter, CompositionParameter):
        for column in parameter.columns:
            if column in columns and not columns[column].is_fixed:
                yield LinearConstraint(coefficients={column: 1.0}, min=columns[column].min, max=columns[column].max)
