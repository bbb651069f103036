"""The part of a search space in which proposals may lie now: the space itself, less what people took out of it."""

from dataclasses import dataclass
from functools import cached_property

from orchestrator.domain.distance import distance
from orchestrator.domain.parameters import Parameter
from orchestrator.domain.restriction import Restriction
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
        gone = self.whole.absent(measured)
        owners = ((self.whole.owners[column], allowed, measured[column]) for column, allowed in restriction.columns.items())
        return all(owner.name in gone or owner.nears(allowed, value) for owner, allowed, value in owners)

    def check_columns(self, configuration: Configuration) -> None:
        """Refuse what a person writes outside restricted columns; what is only avoided they may ask for.

        Raises:
            BadInput: Names the restriction, the column, the value and what is left.
        """
        gone = self.whole.absent(configuration)
        for one in self.restrictions:
            for column, allowed in one.columns.items():
                if self.whole.owners[column].name in gone:
                    continue
                if not self.whole.owners[column].holds(allowed, configuration[column]):
                    shown = allowed.shown(self.whole.units.get(column, ""))
                    raise BadInput(
                        f"{column} = {configuration[column]} is outside restriction {one.number} ({column} = {shown}, by {one.author}); "
                        f"`athanor constrain --lift {one.number}` takes it away"
                    )


def _narrowed(space: SearchSpace, restriction: Restriction) -> SearchSpace:
    what = f"restriction {restriction.number}" if restriction.number else "the restriction"
    unknown = [column for column in restriction.columns if column not in space.columns]
    if unknown:
        raise BadInput(f"{what}: there is no parameter {unknown[0]!r}; there are {', '.join(space.columns)}")
    own = [{column: restriction.columns[column] for column in one.columns if column in restriction.columns} for one in space.parameters]
    try:
        parameters = tuple(one.narrowed(mine) if mine else one for one, mine in zip(space.parameters, own, strict=True))
    except BadInput as error:
        raise BadInput(f"{what}: {error}") from error
    parameters = _still_there(parameters, space.conditional)
    shares = (share for one, mine in zip(space.parameters, own, strict=True) for share in one.shares(mine))
    return SearchSpace(parameters=parameters, constraints=(*space.constraints, *shares))


def _still_there(parameters: tuple[Parameter, ...], conditional: tuple[Parameter, ...]) -> tuple[Parameter, ...]:
    """Take categories that are no longer legal out of the conditions; a condition that nothing meets any more has none left."""
    left = {one.name: set(one.names) for one in parameters}
    found = {one.name: one for one in parameters}
    for one in conditional:
        when = {name: tuple(category for category in names if category in left[name]) for name, names in one.when.items()}
        if when != one.when:
            found[one.name] = found[one.name].evolve(when=when)
        if not all(when.values()):
            left[one.name] = set()
    return tuple(found.values())
