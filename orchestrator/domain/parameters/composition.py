"""Fractions of named components that sum to one."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, permutations, product
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, WithJsonSchema, model_validator
from typing_extensions import override

from orchestrator.domain.constraints import LinearConstraint
from orchestrator.domain.parameters.kind import EXACT, RELATIVE_TOLERANCE, RESOLVED, WRITTEN, ParameterKind, with_resolution
from orchestrator.domain.restriction import Allowed
from orchestrator.domain.values import Configuration
from orchestrator.domain.written import Number, Whole, quantity_schema
from orchestrator.errors import BadInput
from orchestrator.intervals import Interval
from orchestrator.units import parse

PRESENT: Final = 1e-6
"""A fraction above it belongs to a component that is there, as the space counts by default."""
_ABSENT: Final = 1e-9
"""An amount below it is float noise."""
_ROUNDING: Final = 1e-9
"""A fraction this little below a multiple (float noise) is that multiple."""
_MOST_LEAST: Final = 0.5
"""With as much or more, two components would have no room beside each other but in equal parts."""


class CompositionParameter(ParameterKind):
    """Fractions of named components that sum to one."""

    kind: Literal["composition"] = "composition"
    components: Annotated[tuple[str, ...], Field(min_length=2)]
    """Names of the components; each is a column `name.component`."""
    step: Annotated[Number, Field(gt=0, le=1)] | None = None
    """Fractions are whole multiples of it, where given; one over it is a whole number."""
    max_components: Annotated[Whole, Field(ge=1)] | None = None
    """At most so many fractions differ from zero."""
    min_present: Annotated[
        float | None,
        Field(exclude_if=lambda share: share is None),
        WithJsonSchema(quantity_schema("fraction", "5 %", exclusiveMinimum=0, exclusiveMaximum=_MOST_LEAST)),
    ] = None
    """A component is absent, or has at least this share; None for any share."""
    tolerance: Annotated[Number, Field(gt=0, le=0.05)] = 1e-6
    """How far the sum may be from one."""
    fixed: tuple[Number, ...] | None = None
    """The only fractions that are legal, in the order of the components; None where they vary."""
    resolution: Annotated[float, WithJsonSchema(quantity_schema("fraction", "2 %", exclusiveMinimum=0, maximum=1))] | None = None
    """Least part of the mixture whose exchange the bench tells apart; None for 0.01, and on a lattice for any move."""

    @model_validator(mode="before")
    @classmethod
    def _convert(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data = with_resolution(data, "")
        if data.get("min_present") is None:
            return data
        return {**data, "min_present": parse(data["min_present"], "", what=f"parameter {data.get('name', '?')}, min_present")}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.components)) < len(self.components):
            raise ValueError(f"parameter {self.name}: a component is listed twice in {list(self.components)}")
        if self.step is not None and abs(1 / self.step - round(1 / self.step)) > RELATIVE_TOLERANCE / self.step:
            raise ValueError(f"parameter {self.name}: step {self.step:g} does not divide one")
        if self.max_components is not None and self.max_components > len(self.components):
            raise ValueError(f"parameter {self.name}: max_components {self.max_components} exceeds {len(self.components)} components")
        if self.fixed is not None and len(self.fixed) != len(self.components):
            raise ValueError(f"parameter {self.name}: {len(self.fixed)} fixed fractions for {len(self.components)} components")
        if self.resolution is not None and self.resolution > 1:
            raise ValueError(f"parameter {self.name}, resolution: {self.resolution:g} is more than the whole mixture")
        if self.min_present is not None:
            self._check_least(self.min_present)
        return self

    def _check_least(self, share: float) -> None:
        what = f"parameter {self.name}, min_present"
        if not 0 < share < _MOST_LEAST or self.least >= _MOST_LEAST:
            steps = f"; in steps of {self.step:{WRITTEN}} that is {self.least:{WRITTEN}}" if self.step and 0 < share < _MOST_LEAST else ""
            raise ValueError(f"{what}: {share:g}{steps}; expected more than 0 and less than {_MOST_LEAST:g}, so that two can be mixed")
        if share <= 2 * self.tolerance:
            raise ValueError(f"{what}: {share:g} is lost in the tolerance, {self.tolerance:g}; expected more than twice as much")
        if self.max_components is not None and self.max_components > _fitting(self.least):
            raise ValueError(
                f"{what}: {self.max_components} components (max_components) of {self.least:{WRITTEN}} at least are more than the whole; "
                f"expected at most {_fitting(self.least)}"
            )

    @property
    @override
    def columns(self) -> tuple[str, ...]:
        return tuple(f"{self.name}.{component}" for component in self.components)

    @property
    @override
    def units(self) -> dict[str, str]:
        return dict.fromkeys(self.columns, "")

    @property
    @override
    def names(self) -> tuple[str, ...]:
        return self.components

    @property
    @override
    def freedom(self) -> int:
        return len(self.components) - 1

    @property
    def parts(self) -> int | None:
        """Into how many parts the mixture is divided; None where fractions vary continuously."""
        return None if self.step is None else round(1 / self.step)

    @property
    def most(self) -> int:
        """How many components may be there at once."""
        most = self.max_components or len(self.components)
        return min(most, _fitting(self.least)) if self.least else most

    @property
    def least(self) -> float:
        """What a component that is there has at least, on the lattice where there is one; 0 where any share will do."""
        if self.min_present is None or self.parts is None:
            return self.min_present or 0.0
        return self._least_parts / self.parts

    @property
    def _least_parts(self) -> int:
        """Of how many parts a component that is there has at least."""
        return max(1, math.ceil((self.min_present or 0.0) * (self.parts or 0) - _ROUNDING))

    def point(self, fractions: Sequence[float]) -> dict[str, float | str]:
        """Return the columns of some fractions."""
        return dict(zip(self.columns, fractions, strict=True))

    @property
    @override
    def absence(self) -> dict[str, float | str]:
        return dict.fromkeys(self.columns, 0.0) if self.when else {}

    @override
    def filled(self, part: float) -> Configuration:
        """Return equal parts of all components, or as much as may be of one of them."""
        chosen = min(int(part * (1 + len(self.components))), len(self.components))
        amounts = [1.0 if chosen in (0, place) else 0.0 for place in range(1, 1 + len(self.components))]
        return self.point(self.nearest(amounts))

    # ----------------------------------------------------------------- what is legal

    @property
    @override
    def legal(self) -> str:
        some = f"0 or {self.least:{WRITTEN}} to 1" if self.least else "0 to 1"
        return f"fraction, {some}{self._steps}; those of {self.name} sum to 1"

    @property
    @override
    def legal_values(self) -> str:
        most = f", at most {self.max_components} at once" if self.max_components else ""
        least = f", each 0 or at least {self.least:{WRITTEN}}" if self.least else ""
        return f"fractions of {', '.join(self.components)}{self._steps}{most}{least}"

    @property
    def _steps(self) -> str:
        return f", in steps of {self.step:{WRITTEN}}" if self.step else ""

    @override
    def complaint(self, configuration: Configuration) -> str | None:
        fractions = [configuration[column] for column in self.columns]
        numbers = [value for value in fractions if not isinstance(value, str)]
        if len(numbers) < len(fractions) or any(not -self.tolerance <= value <= 1 + self.tolerance for value in numbers):
            return f"{self.name}: fractions {fractions} must be numbers from 0 to 1"
        if abs(sum(numbers) - 1) > self.tolerance:
            return f"{self.name}: fractions sum to {sum(numbers):.6g}; expected 1 within {self.tolerance:g}"
        if self.step is not None and any(
            abs(value / self.step - round(value / self.step)) * self.step > self.tolerance for value in numbers
        ):
            return f"{self.name}: fractions {numbers} are no multiples of {self.step:g}"
        if self.fixed is not None and any(abs(value - only) > self.tolerance for value, only in zip(numbers, self.fixed, strict=True)):
            return f"{self.name}: fractions {numbers} must be {list(self.fixed)}"
        present = sum(value > self.tolerance for value in numbers)
        if self.max_components is not None and present > self.max_components:
            return f"{self.name}: {present} components are present; at most {self.max_components} may be"
        return None if self.min_present is None else self._too_little(numbers, self.min_present)

    def _too_little(self, fractions: Sequence[float], share: float) -> str | None:
        for column, value in zip(self.columns, fractions, strict=True):
            if self.tolerance < value < share - self.tolerance:
                return f"{column} = {value:.6g} is too little; expected 0, or at least {share:{WRITTEN}}"
        return None

    @property
    @override
    def intervals(self) -> dict[str, Interval]:
        return dict.fromkeys(self.columns, Interval(0.0, 1.0))

    @property
    @override
    def size(self) -> float:
        if self.fixed is not None:
            return 1
        if self.parts is None:
            return math.inf
        counts = ((present, self.parts - present * (self._least_parts - 1)) for present in range(1, min(self.most, self.parts) + 1))
        return sum(math.comb(len(self.components), present) * math.comb(parts - 1, present - 1) for present, parts in counts)

    @override
    def choices(self) -> Iterator[Configuration]:
        """Iterate over all fractions that are whole multiples of the step, with as many and as much present as may be."""
        if self.fixed is not None or self.parts is None:
            yield from () if self.fixed is None else (self.point(self.fixed),)
            return
        width, given = len(self.components), self._least_parts - 1
        for present in range(1, min(self.most, self.parts) + 1):
            parts = self.parts - present * given  # to be handed out, one at least to each that is there
            for members in combinations(range(width), present):
                for cuts in combinations(range(1, parts), present - 1):
                    shares = [given + after - before for before, after in zip((0, *cuts), (*cuts, parts), strict=True)]
                    counts = dict(zip(members, shares, strict=True))
                    yield self.point([counts.get(index, 0) / self.parts for index in range(width)])

    @override
    def neighbours(self, configuration: Configuration) -> Iterator[Configuration]:
        """Move amounts from one component to another; not where a continuous search reaches every fraction by itself."""
        if self.fixed is not None or (self.step is None and self.most == len(self.components) and not self.least):
            return
        fractions = [float(configuration[column]) for column in self.columns]
        if self.least:
            yield from (self.point(self._exact(moved)) for moved in self._steps_of_least(fractions) if self._is_apart(moved))
            return
        for source, sink in permutations(range(len(fractions)), 2):
            if fractions[source] <= PRESENT:
                continue
            # half or all of it changes which components are present
            for amount in {self.step or fractions[source] / 2, fractions[source]}:
                moved = list(fractions)
                moved[source], moved[sink] = moved[source] - amount, moved[sink] + amount
                yield self.point(self._exact(moved))

    def _steps_of_least(self, fractions: Sequence[float]) -> Iterator[list[float]]:
        """Iterate over moves along the face of what is there, and to the faces beside it, legal or not."""
        there = [index for index, fraction in enumerate(fractions) if fraction > PRESENT]
        for source, sink in product(there, range(len(fractions))):
            if source == sink:
                continue
            amount = fractions[source]
            # all of it drops a component, the least share brings one in
            for part in dict.fromkeys((self.step or amount / 2, amount, amount - self.least, self.least)):
                if part > _ABSENT:
                    moved = list(fractions)
                    moved[source], moved[sink] = amount - part, moved[sink] + part
                    yield moved
        for index in range(len(fractions)):
            # from all or to all of the others, who keep their proportions above the least share
            others = [place for place in there if place != index]
            if others and (index in there or (len(there) + 1) * self.least <= 1 + _ABSENT):
                yield on_face(fractions, others if index in there else sorted([*there, index]), self.least)

    def _is_apart(self, fractions: Sequence[float]) -> bool:
        """Say whether all components are absent or have their share, and no more of them are there than may be."""
        there = [fraction for fraction in fractions if abs(fraction) > _ABSENT]
        return len(there) <= self.most and all(fraction >= self.least - _ABSENT for fraction in there)

    def _exact(self, fractions: list[float]) -> list[float]:
        """Take float noise out."""
        if self.least:
            return self.nearest(fractions)
        return on_simplex(fractions) if self.parts is None else [round(fraction * self.parts) / self.parts for fraction in fractions]

    def nearest(self, amounts: Sequence[float]) -> list[float]:
        """Return the legal fractions that amounts stand for: what is legal stays as it is."""
        if self.fixed is not None:
            return list(self.fixed)
        fractions = on_simplex(amounts, self.most, self.least)
        return fractions if self.parts is None else on_lattice(fractions, self.parts)

    # ----------------------------------------------------------------- what is told apart

    @property
    @override
    def slack(self) -> float:
        return RELATIVE_TOLERANCE

    @property
    @override
    def resolved(self) -> float:
        if self.resolution is not None:
            return self.resolution
        return RESOLVED if self.step is None else 0.0

    @property
    @override
    def told_apart(self) -> str:
        return f"{self.resolved or self.step:g}"

    @property
    @override
    def least_difference(self) -> float:
        return max(self.resolved * (1 - EXACT), EXACT)

    @override
    def difference(self, one: Configuration, other: Configuration) -> float:
        return sum(abs(float(one[column]) - float(other[column])) for column in self.columns) / 2

    # ----------------------------------------------------------------- what is left in mid-campaign

    @override
    def narrowed(self, allowed: Mapping[str, Allowed]) -> "CompositionParameter":
        """Hold a whole mixture; ranges of fractions become constraints."""
        fixed = {column: float(one.min or 0.0) for column, one in allowed.items() if one.is_fixed and not one.names}
        if self.when and len(fixed) < len(self.columns):
            raise BadInput(f"{', '.join(allowed)}: {self.name} is not always there; expected a value for each of {', '.join(self.columns)}")
        if not fixed and not any(one.names for one in allowed.values()):
            return self
        if len(fixed) < len(self.columns):
            raise BadInput(f"{', '.join(allowed)}: expected a value for each of {', '.join(self.columns)}, or ranges")
        if complaint := self.complaint(fixed):
            raise BadInput(complaint)
        return self.evolve(fixed=tuple(fixed[column] for column in self.columns))

    @override
    def shares(self, allowed: Mapping[str, Allowed]) -> Iterator[LinearConstraint]:
        ranges = ((column, one) for column, one in allowed.items() if not one.is_fixed)
        return (LinearConstraint(coefficients={column: 1.0}, min=one.min, max=one.max) for column, one in ranges)

    @override
    def nears(self, allowed: Allowed, value: float | str) -> bool:
        return super().nears(allowed, value) or self._lies(allowed, value, (self.step or 0.0) / 2)  # the nearest point of a lattice


def on_simplex(amounts: Sequence[float], most: int | None = None, least: float = 0.0) -> list[float]:
    """Scale amounts to fractions that sum to one.

    Only the `most` largest are kept, and of these what is nearer to the `least` share than to nothing, the largest in any case.
    """
    kept = sorted(range(len(amounts)), key=lambda index: -amounts[index])[: most or len(amounts)]
    if least:
        return on_face(amounts, [index for index in kept if amounts[index] >= least / 2] or kept[:1], least)
    positive = [amount if index in kept and amount > _ABSENT else 0.0 for index, amount in enumerate(amounts)]
    total = math.fsum(positive)
    if total <= 0:
        return [float(index == kept[0]) for index in range(len(amounts))]
    return [amount / total for amount in positive]


def on_face(amounts: Sequence[float], members: Sequence[int], least: float) -> list[float]:
    """Scale what amounts of some components have above the `least` share, so that all sum to one; the others are absent."""
    above = [max(0.0, amounts[index] - least) for index in members]
    if (total := math.fsum(above)) <= _ABSENT:
        above, total = [1.0] * len(members), float(len(members))
    room = max(0.0, 1 - len(members) * least)
    shares = {index: least + room * one / total for index, one in zip(members, above, strict=True)}
    return [shares.get(index, 0.0) for index in range(len(amounts))]


def on_lattice(fractions: Sequence[float], parts: int) -> list[float]:
    """Take the nearest fractions that are whole multiples of 1/parts and sum to one (largest remainders go up)."""
    exact = [fraction * parts for fraction in fractions]
    counts = [math.floor(value + _ROUNDING) for value in exact]
    order = sorted(range(len(exact)), key=lambda index: counts[index] - exact[index])
    for index in order[: parts - sum(counts)]:
        counts[index] += 1
    return [count / parts for count in counts]


def _fitting(least: float) -> int:
    """Return how many components have room beside each other."""
    return math.floor(1 / least + _ROUNDING)
