"""Real numbers between two bounds, and one of a few numbers."""

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator
from typing_extensions import override

from orchestrator.domain.parameters.kind import (
    EXACT,
    FIELD_DIGITS,
    RELATIVE_TOLERANCE,
    RESOLVED,
    WRITTEN,
    FormField,
    ParameterKind,
    check_otherwise,
    with_resolution,
)
from orchestrator.domain.restriction import Allowed
from orchestrator.domain.values import Configuration
from orchestrator.domain.written import InOwnDifference, InOwnUnit, own_unit
from orchestrator.errors import BadInput
from orchestrator.intervals import Interval
from orchestrator.units import parse, unit

_SPACING: Final = 1e-3
"""Where legal values lie close together, a value may miss one by this part of their spacing: what lies between them stays illegal."""
_MOST_MOVES: Final = 20
"""A discrete parameter with more values moves to the nearest ones only, on either side."""
_MOST_CHOICES: Final = 30
"""More legal numbers than these are typed and not chosen from a list."""
AxisScale = Literal["linear", "log"]


class NumberParameter(ParameterKind):
    """Shared by both kinds of number."""

    unit: str = ""
    """Unit of the bounds and of every value of this parameter."""
    scale: Annotated[AxisScale, Field(exclude_if=lambda scale: scale == "linear")] = "linear"
    """What counts as even: the numbers or their logarithms; left out where it is not said, as files of before have no such key."""

    otherwise: Annotated[InOwnUnit | None, Field(exclude_if=lambda value: value is None)] = None
    """With `when`: what a configuration has, and a bench is sent, where the parameter is absent; it need not be a legal value."""

    @model_validator(mode="before")
    @classmethod
    def _convert_otherwise(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("otherwise") is None:
            return data
        return {**data, "otherwise": parse(data["otherwise"], own_unit(data), what=f"parameter {data.get('name', '?')}, otherwise")}

    @model_validator(mode="after")
    def _check_scale(self) -> Self:
        unit(self.unit)
        check_otherwise(f"parameter {self.name}", self.when, self.otherwise)
        if self.on_log_scale and self.ends[0] <= 0:
            raise ValueError(
                f'parameter {self.name}: scale = "log" needs numbers above 0; the least is {self.ends[0]:g} {self.unit}'.rstrip()
            )
        return self

    @property
    @abstractmethod
    def ends(self) -> tuple[float, float]:
        """The least and the greatest legal value."""

    @property
    @override
    def on_log_scale(self) -> bool:
        return self.scale == "log"

    @property
    def axis(self) -> tuple[float, float]:
        """Where the range begins on its axis, and its length there; 1 where there is a single value."""
        low, high = map(math.log, self.ends) if self.on_log_scale else self.ends
        return low, (high - low) or 1.0

    @override
    def place(self, value: float) -> float:
        """Return where a number stands on its axis: the number, or its logarithm.

        What has no logarithm, as a readback of 0, and what lies farther below the range, stands a whole range below it.
        """
        if not self.on_log_scale:
            return value
        low, span = self.axis
        return max(math.log(value), low - span) if value > 0 else low - span

    @property
    def _marked(self) -> str:
        return "log scale: " if self.on_log_scale else ""

    @property
    @override
    def units(self) -> dict[str, str]:
        return {self.name: self.unit}

    @property
    @override
    def intervals(self) -> dict[str, Interval]:
        return {self.name: Interval(*self.ends)}

    @property
    @override
    def absence(self) -> dict[str, float | str]:
        return {} if self.otherwise is None else {self.name: self.otherwise}

    @override
    def difference(self, one: Configuration, other: Configuration) -> float:
        return abs(self.place(float(one[self.name])) - self.place(float(other[self.name]))) / self.axis[1]


class ContinuousParameter(NumberParameter):
    """A real number between two bounds."""

    kind: Literal["continuous"] = "continuous"
    min: InOwnUnit
    """Lower bound, inclusive."""
    max: InOwnUnit
    """Upper bound, inclusive."""
    resolution: InOwnDifference | None = None
    """Least difference that the bench tells apart, in `unit`; on a log scale a part of the value. None for 1 % of the range."""

    @model_validator(mode="before")
    @classmethod
    def _convert(cls, data: Any) -> Any:
        """Convert what is given as text with units to the parameter's unit."""
        if not isinstance(data, dict):
            return data
        name, unit_text = data.get("name", "?"), own_unit(data)
        bounds = {key: parse(data[key], unit_text, what=f"parameter {name}, {key}") for key in ("min", "max") if key in data}
        return {**with_resolution(data, "" if data.get("scale") == "log" else unit_text), **bounds}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.min < self.max:
            raise ValueError(f"parameter {self.name}: min {self.min:g} must be below max {self.max:g} {self.unit}")
        if self.resolution is not None and self.resolved > self.axis[1]:
            told = self.told_apart if self.on_log_scale else f"{self.resolution:g} {self.unit}"
            raise ValueError(f"parameter {self.name}, resolution: {told} is more than the range {self._range}")
        return self

    @property
    @override
    def ends(self) -> tuple[float, float]:
        return self.min, self.max

    @property
    @override
    def resolved(self) -> float:
        if self.resolution is None:
            return RESOLVED * self.axis[1]
        return math.log1p(self.resolution) if self.on_log_scale else self.resolution

    @property
    @override
    def told_apart(self) -> str:
        return f"{100 * math.expm1(self.resolved):.3g} %" if self.on_log_scale else super().told_apart

    @property
    @override
    def least_difference(self) -> float:
        return self.resolved / self.axis[1] * (1 - EXACT)

    @property
    @override
    def legal(self) -> str:
        return f"{self._marked}{self._range}"

    @property
    def _range(self) -> str:
        return f"{self.min:{WRITTEN}} to {self.max:{WRITTEN}} {self.unit}".rstrip()

    @property
    @override
    def slack(self) -> float:
        return RELATIVE_TOLERANCE * self.axis[1]

    @override
    def complaint(self, configuration: Configuration) -> str | None:
        value = configuration[self.name]
        low, high = map(self.place, self.ends)
        if isinstance(value, str) or not low - self.slack <= self.place(value) <= high + self.slack:
            return f"{self.name} = {value} is outside {self._range}"
        return None

    @override
    def filled(self, part: float) -> Configuration:
        low, span = self.axis
        value = math.exp(low + part * span) if self.on_log_scale else low + part * span
        return {self.name: min(max(value, self.min), self.max)}

    @override
    def narrowed(self, allowed: Mapping[str, Allowed]) -> "ContinuousParameter | DiscreteParameter":
        mine = allowed[self.name]
        low = self.min if mine.min is None else mine.min
        high = self.max if mine.max is None else mine.max
        if mine.names or low > high or any(self.complaint({self.name: end}) for end in (low, high)):
            raise BadInput(f"{self.name} = {mine.shown(self.unit)}: expected {self._range}")
        if low == high:
            condition = {"when": self.when, "otherwise": self.otherwise} if self.when else {}
            return DiscreteParameter.model_validate(
                {"name": self.name, "unit": self.unit, "scale": self.scale, "values": (low,), **condition}
            )
        return self.evolve(min=low, max=high, resolution=None)  # what the bench tells apart is the whole space's affair

    @override
    def shown(self, value: float | str) -> str:
        if isinstance(value, str) or self.resolution is None or self.on_log_scale:
            return super().shown(value)
        coarse = f"{value:.{max(0, -math.floor(math.log10(self.resolution)))}f}"
        return coarse if self.complaint({self.name: float(coarse)}) is None else super().shown(value)


class DiscreteParameter(NumberParameter):
    """One of a few numbers."""

    kind: Literal["discrete"] = "discrete"
    values: Annotated[tuple[InOwnUnit, ...], Field(min_length=1)]
    """The legal values, made unique and sorted."""

    @model_validator(mode="before")
    @classmethod
    def _convert(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("values"), list | tuple):
            return data
        what = f"parameter {data.get('name', '?')}, values"
        return {**data, "values": tuple(sorted({parse(raw, own_unit(data), what=what) for raw in data["values"]}))}

    @property
    @override
    def ends(self) -> tuple[float, float]:
        return self.values[0], self.values[-1]

    @property
    @override
    def legal(self) -> str:
        return f"{self._marked}one of {self._listed}"

    @property
    def _listed(self) -> str:
        return f"{', '.join(f'{value:{WRITTEN}}' for value in self.values)} {self.unit}".rstrip()

    @property
    @override
    def slack(self) -> float:
        gaps = (above - below for below, above in pairwise(map(self.place, self.values)))
        size = 1.0 if self.on_log_scale else max(map(abs, self.ends))
        return min(RELATIVE_TOLERANCE * size, _SPACING * min(gaps, default=math.inf))

    @override
    def complaint(self, configuration: Configuration) -> str | None:
        value = configuration[self.name]
        if isinstance(value, str) or not self._away(self.nearest(value), value) <= self.slack:
            return f"{self.name} = {value} is none of {self._listed}"
        return None

    @property
    @override
    def size(self) -> float:
        return len(self.values)

    @override
    def choices(self) -> Iterator[Configuration]:
        return ({self.name: value} for value in self.values)

    @override
    def neighbours(self, configuration: Configuration) -> Iterator[Configuration]:
        value = float(configuration[self.name])
        others = sorted((legal for legal in self.values if legal != value), key=lambda legal: self._away(legal, value))
        return ({self.name: other} for other in others[:_MOST_MOVES])

    def nearest(self, value: float) -> float:
        """Return the legal value nearest to another."""
        return min(self.values, key=lambda legal: self._away(legal, value))

    def _away(self, one: float, other: float) -> float:
        return abs(self.place(one) - self.place(other))

    @override
    def narrowed(self, allowed: Mapping[str, Allowed]) -> "DiscreteParameter":
        mine = allowed[self.name]
        left = [value for value in self.values if self.holds(mine, value)]
        if not left:
            raise BadInput(f"{self.name} = {mine.shown()}: expected some of {self._listed}")
        return self.evolve(values=left)

    @override
    def nears(self, allowed: Allowed, value: float | str) -> bool:
        return self.holds(allowed, value if isinstance(value, str) else self.nearest(value))

    @override
    def shown(self, value: float | str) -> str:
        if isinstance(value, str):
            return value
        short, nearest = f"{self.nearest(value):.{FIELD_DIGITS}g}", self.nearest(value)
        return short if float(short) == nearest else repr(nearest)

    @property
    @override
    def field(self) -> FormField:
        return FormField(self.legal, tuple(map(self.shown, self.values)) if len(self.values) <= _MOST_CHOICES else None)
