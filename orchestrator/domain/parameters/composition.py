"""Fractions of named components that sum to one."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, permutations
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

PRESENT: Final = 1e-6
"""A fraction above it belongs to a component that is there, as the space counts by default."""
_ABSENT: Final = 1e-9
"""An amount below it is float noise."""


class CompositionParameter(ParameterKind):
    """Fractions of named components that sum to one."""

    kind: Literal["composition"] = "composition"
    components: Annotated[tuple[str, ...], Field(min_length=2)]
    """Names of the components; each is a column `name.component`."""
    step: Annotated[Number, Field(gt=0, le=1)] | None = None
    """Fractions are whole multiples of it, where given; one over it is a whole number."""
    max_components: Annotated[Whole, Field(ge=1)] | None = None
    """At most so many fractions differ from zero."""
    tolerance: Annotated[Number, Field(gt=0, le=0.05)] = 1e-6
    """How far the sum may be from one."""
    fixed: tuple[Number, ...] | None = None
    """The only fractions that are legal, in the order of the components; None where they vary."""
    resolution: Annotated[float, WithJsonSchema(quantity_schema("fraction", "2 %", exclusiveMinimum=0, maximum=1))] | None = None
    """Least part of the mixture whose exchange the bench tells apart; None for 0.01, and on a lattice for any move."""

    @model_validator(mode="before")
    @classmethod
    def _convert(cls, data: Any) -> Any:
        return with_resolution(data, "") if isinstance(data, dict) else data

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
        return self

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
        return self.max_components or len(self.components)

    def point(self, fractions: Sequence[float]) -> dict[str, float | str]:
        """Return the columns of some fractions."""
        return dict(zip(self.columns, fractions, strict=True))

    # ----------------------------------------------------------------- what is legal

    @property
    @override
    def legal(self) -> str:
        return f"fraction, 0 to 1{self._steps}; those of {self.name} sum to 1"

    @property
    @override
    def legal_values(self) -> str:
        most = f", at most {self.max_components} at once" if self.max_components else ""
        return f"fractions of {', '.join(self.components)}{self._steps}{most}"

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
        most = min(self.most, self.parts)
        return sum(math.comb(len(self.components), present) * math.comb(self.parts - 1, present - 1) for present in range(1, most + 1))

    @override
    def choices(self) -> Iterator[Configuration]:
        """Iterate over all fractions that are whole multiples of the step, with at most `max_components` present."""
        if self.fixed is not None or self.parts is None:
            yield from () if self.fixed is None else (self.point(self.fixed),)
            return
        width, parts = len(self.components), self.parts
        for present in range(1, min(self.most, parts) + 1):
            for members in combinations(range(width), present):
                for cuts in combinations(range(1, parts), present - 1):
                    shares = [after - before for before, after in zip((0, *cuts), (*cuts, parts), strict=True)]
                    counts = dict(zip(members, shares, strict=True))
                    yield self.point([counts.get(index, 0) / parts for index in range(width)])

    @override
    def neighbours(self, configuration: Configuration) -> Iterator[Configuration]:
        """Move amounts from one component to another; not where a continuous search reaches every fraction by itself."""
        if self.fixed is not None or (self.step is None and self.most == len(self.components)):
            return
        fractions = [float(configuration[column]) for column in self.columns]
        for source, sink in permutations(range(len(fractions)), 2):
            if fractions[source] <= PRESENT:
                continue
            # half or all of it changes which components are present
            for amount in {self.step or fractions[source] / 2, fractions[source]}:
                moved = list(fractions)
                moved[source], moved[sink] = moved[source] - amount, moved[sink] + amount
                yield self.point(self._exact(moved))

    def _exact(self, fractions: list[float]) -> list[float]:
        """Take float noise out."""
        return on_simplex(fractions) if self.parts is None else [round(fraction * self.parts) / self.parts for fraction in fractions]

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


def on_simplex(amounts: Sequence[float], most: int | None = None) -> list[float]:
    """Scale amounts to fractions that sum to one, keeping only the `most` largest."""
    kept = sorted(range(len(amounts)), key=lambda index: -amounts[index])[: most or len(amounts)]
    positive = [amount if index in kept and amount > _ABSENT else 0.0 for index, amount in enumerate(amounts)]
    total = math.fsum(positive)
    if total <= 0:
        return [float(index == kept[0]) for index in range(len(amounts))]
    return [amount / total for amount in positive]
