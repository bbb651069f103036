"""What may be varied, one parameter at a time.

A configuration is flat: one entry per column. A continuous, discrete or categorical parameter is one column with its
name; a composition `alloy` of Ni and Fe is the columns `alloy.Ni` and `alloy.Fe`.
"""

import math
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from orchestrator.domain.values import Configuration, Frozen
from orchestrator.units import parse, parse_difference, unit

RELATIVE_TOLERANCE: Final = 1e-9
"""Bounds and equalities are compared within this part of a column's range or level: float noise, not a licence."""
SPACING: Final = 1e-3
"""And, where legal values lie close together, within this part of their spacing: what lies between them stays illegal."""
RESOLVED: Final = 0.01
"""Part of a parameter's range that a bench tells apart where `resolution` says nothing else."""
_WRITTEN: Final = ".12g"
"""How a legal value is written: in full but for float noise, since what is read here is typed there."""


def _bounds(data: Any) -> Any:
    """Convert `min` and `max` given as text with units to the parameter's unit."""
    if not isinstance(data, dict):
        return data
    name, unit_text = data.get("name", "?"), data.get("unit", "")
    converted = {key: parse(data[key], unit_text, what=f"parameter {name}, {key}") for key in ("min", "max") if key in data}
    return {**data, **converted, **_resolution(data, unit_text)}


def _resolution(data: dict[str, Any], unit_text: str) -> dict[str, float]:
    """Convert `resolution`, a difference, to the parameter's unit."""
    if data.get("resolution") is None:
        return {}
    what = f"parameter {data.get('name', '?')}, resolution"
    value = parse_difference(data["resolution"], unit_text, what=what)
    if value <= 0:
        raise ValueError(f"{what}: {data['resolution']!r} is not above 0")
    return {"resolution": value}


def _fractions(data: Any) -> Any:
    return {**data, **_resolution(data, "")} if isinstance(data, dict) else data


class ContinuousParameter(Frozen):
    """A real number between two bounds."""

    kind: Literal["continuous"] = "continuous"
    name: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]
    """The column's name."""
    unit: str = ""
    """Unit of the bounds and of every value of this parameter."""
    min: float
    """Lower bound, inclusive."""
    max: float
    """Upper bound, inclusive."""
    resolution: float | None = None
    """Least difference that the bench tells apart, in `unit`; None for 1 % of the range."""

    _convert = model_validator(mode="before")(_bounds)

    @model_validator(mode="after")
    def _check(self) -> Self:
        unit(self.unit)
        if not self.min < self.max:
            raise ValueError(f"parameter {self.name}: min {self.min:g} must be below max {self.max:g} {self.unit}")
        if self.resolution is not None and self.resolution > self.max - self.min:
            raise ValueError(f"parameter {self.name}, resolution: {self.resolution:g} {self.unit} is more than the range {self.legal}")
        return self

    @property
    def resolved(self) -> float:
        """The least difference that the bench tells apart, in `unit`."""
        return RESOLVED * (self.max - self.min) if self.resolution is None else self.resolution

    @property
    def legal(self) -> str:
        """What a value may be, in a line."""
        return f"{self.min:{_WRITTEN}} to {self.max:{_WRITTEN}} {self.unit}".rstrip()

    @property
    def columns(self) -> tuple[str, ...]:
        """The configuration's entries that this parameter owns."""
        return (self.name,)

    @property
    def slack(self) -> float:
        """How far a value may miss a legal one: what a conversion of units loses."""
        return RELATIVE_TOLERANCE * (self.max - self.min)

    def complaint(self, configuration: Configuration) -> str | None:
        """Say what is wrong with this parameter's value, if anything is."""
        value = configuration[self.name]
        if isinstance(value, str) or not self.min - self.slack <= value <= self.max + self.slack:
            return f"{self.name} = {value} is outside {self.legal}"
        return None


class DiscreteParameter(Frozen):
    """One of a few numbers."""

    kind: Literal["discrete"] = "discrete"
    name: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]
    unit: str = ""
    values: Annotated[tuple[float, ...], Field(min_length=1)]
    """The legal values, made unique and sorted."""

    @model_validator(mode="before")
    @classmethod
    def _convert(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("values"), list | tuple):
            return data
        what = f"parameter {data.get('name', '?')}, values"
        return {**data, "values": tuple(sorted({parse(raw, data.get("unit", ""), what=what) for raw in data["values"]}))}

    @model_validator(mode="after")
    def _check(self) -> Self:
        unit(self.unit)
        return self

    @property
    def legal(self) -> str:
        """What a value may be, in a line."""
        return f"one of {', '.join(f'{value:{_WRITTEN}}' for value in self.values)} {self.unit}".rstrip()

    @property
    def columns(self) -> tuple[str, ...]:
        """The configuration's entries that this parameter owns."""
        return (self.name,)

    @property
    def min(self) -> float:
        """The smallest legal value."""
        return self.values[0]

    @property
    def max(self) -> float:
        """The largest legal value."""
        return self.values[-1]

    @property
    def slack(self) -> float:
        """How far a value may miss a legal one: what a conversion of units loses."""
        gaps = (above - below for below, above in pairwise(self.values))
        return min(RELATIVE_TOLERANCE * max(abs(self.min), abs(self.max)), SPACING * min(gaps, default=math.inf))

    def complaint(self, configuration: Configuration) -> str | None:
        """Say what is wrong with this parameter's value, if anything is."""
        value = configuration[self.name]
        if isinstance(value, str) or not any(abs(value - legal) <= self.slack for legal in self.values):
            return f"{self.name} = {value} is none of {self.legal.removeprefix('one of ')}"
        return None


class CategoricalParameter(Frozen):
    """One of a few names."""

    kind: Literal["categorical"] = "categorical"
    name: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]
    categories: Annotated[tuple[str, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.categories)) < len(self.categories):
            raise ValueError(f"parameter {self.name}: a category is listed twice in {list(self.categories)}")
        return self

    @property
    def legal(self) -> str:
        """What a value may be, in a line."""
        return f"one of {', '.join(self.categories)}"

    @property
    def columns(self) -> tuple[str, ...]:
        """The configuration's entries that this parameter owns."""
        return (self.name,)

    def complaint(self, configuration: Configuration) -> str | None:
        """Say what is wrong with this parameter's value, if anything is."""
        value = configuration[self.name]
        if value not in self.categories:
            return f"{self.name} = {value!r} is none of {', '.join(self.categories)}"
        return None


class CompositionParameter(Frozen):
    """Fractions of named components that sum to one."""

    kind: Literal["composition"] = "composition"
    name: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]
    components: Annotated[tuple[str, ...], Field(min_length=2)]
    step: Annotated[float, Field(gt=0, le=1)] | None = None
    """Fractions are whole multiples of it, where given; one over it is a whole number."""
    max_components: Annotated[int, Field(ge=1)] | None = None
    """At most so many fractions differ from zero."""
    tolerance: Annotated[float, Field(gt=0, le=0.05)] = 1e-6
    """How far the sum may be from one."""
    fixed: tuple[float, ...] | None = None
    """The only fractions that are legal, in the order of the components; None where they vary."""
    resolution: float | None = None
    """Least part of the mixture whose exchange the bench tells apart; None for 0.01, and on a lattice for any move."""

    _convert = model_validator(mode="before")(_fractions)

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
    def slack(self) -> float:
        """How far a fraction may miss a bound: float noise."""
        return RELATIVE_TOLERANCE

    @property
    def resolved(self) -> float:
        """The least part of the mixture whose exchange the bench tells apart."""
        if self.resolution is not None:
            return self.resolution
        return RESOLVED if self.step is None else 0.0

    @property
    def legal(self) -> str:
        """What a fraction may be, in a line."""
        step = f", in steps of {self.step:{_WRITTEN}}" if self.step else ""
        return f"fraction, 0 to 1{step}; those of {self.name} sum to 1"

    @property
    def legal_mixtures(self) -> str:
        """What all fractions may be together, in a line."""
        step = f", in steps of {self.step:{_WRITTEN}}" if self.step else ""
        most = f", at most {self.max_components} at once" if self.max_components else ""
        return f"fractions of {', '.join(self.components)}{step}{most}"

    @property
    def columns(self) -> tuple[str, ...]:
        """The configuration's entries that this parameter owns."""
        return tuple(f"{self.name}.{component}" for component in self.components)

    def complaint(self, configuration: Configuration) -> str | None:
        """Say what is wrong with the fractions, if anything is."""
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


Parameter = Annotated[ContinuousParameter | DiscreteParameter | CategoricalParameter | CompositionParameter, Field(discriminator="kind")]


def legal_values(parameter: Parameter) -> str:
    """Say in a line what a whole parameter may be."""
    return parameter.legal_mixtures if isinstance(parameter, CompositionParameter) else parameter.legal
