"""What must hold between the columns of a configuration."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from orchestrator.domain.values import Frozen
from orchestrator.domain.written import InOwnUnit, Number, own_unit
from orchestrator.expressions import Expression
from orchestrator.units import parse, unit

CONSTRAINT_TOLERANCE: Final = 1e-6
"""A linear constraint holds within this part of its own scale."""

_BOUNDED: Final[JsonDict] = {"anyOf": [{"required": ["min"]}, {"required": ["max"]}]}
"""For editors: one bound at least."""


class LinearConstraint(Frozen):
    """`min <= sum of coefficient * column <= max`, in the columns' own units."""

    model_config = ConfigDict(json_schema_extra=_BOUNDED)

    kind: Literal["linear"] = "linear"
    """Plain from `coefficients`; may be left out."""
    coefficients: Annotated[dict[str, Number], Field(min_length=1)]
    """Column -> factor of its number, in the columns' own units."""
    min: Number | None = None
    """Least legal sum."""
    max: Number | None = None
    """Greatest legal sum; equal bounds hold the sum at one number."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_range(self.min, self.max, f"linear constraint on {', '.join(self.coefficients)}")
        return self

    @property
    def is_equality(self) -> bool:
        """Whether the bounds are one number, but for rounding."""
        if self.min is None or self.max is None:
            return False
        return self.max - self.min <= CONSTRAINT_TOLERANCE * max(abs(self.min), abs(self.max))

    @property
    def label(self) -> str:
        """What a message calls it."""
        return " + ".join(f"{factor:g} {column}" for column, factor in self.coefficients.items())

    @property
    def shown(self) -> str:
        """The whole constraint in a line."""
        return f"{self.label}: {between(self.min, self.max)}"

    def value(self, configuration: Mapping[str, Any]) -> Any:
        """Compute the sum from floats, arrays or tensors."""
        return sum(factor * configuration[column] for column, factor in self.coefficients.items())

    def size(self, configuration: Mapping[str, Any]) -> Any:
        """Compute the sum of the terms' absolute values."""
        return sum(abs(factor * configuration[column]) for column, factor in self.coefficients.items())


class ExpressionConstraint(Frozen):
    """`min <= expression <= max`, unit-checked; `constants` are bound beside the columns."""

    model_config = ConfigDict(json_schema_extra=_BOUNDED)

    kind: Literal["expression"] = "expression"
    """Plain from `expression`; may be left out."""
    expression: str
    """Numbers and columns with `+ - * / **`, for example `tau * ratio`."""
    unit: str = ""
    """Unit of the expression's value and of the bounds."""
    min: InOwnUnit | None = None
    """Least legal value."""
    max: InOwnUnit | None = None
    """Greatest legal value."""
    constants: dict[str, tuple[Number, str]] = Field(default_factory=dict)
    """Value and unit of further names, such as stocks' concentrations."""

    @model_validator(mode="before")
    @classmethod
    def _convert(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        what, unit_text = f"constraint {data.get('expression', '?')!r}", own_unit(data)
        given = {key: data[key] for key in ("min", "max") if data.get(key) is not None}
        return {**data, **{key: parse(raw, unit_text, what=f"{what}, {key}") for key, raw in given.items()}}

    @model_validator(mode="after")
    def _check(self) -> Self:
        unit(self.unit)
        _check_range(self.min, self.max, f"constraint {self.expression!r}")
        return self

    @cached_property
    def parsed(self) -> Expression:
        """The expression, checked."""
        return Expression(self.expression)

    @property
    def label(self) -> str:
        """What a message calls it."""
        return self.expression

    @property
    def shown(self) -> str:
        """The whole constraint in a line."""
        return f"{self.label}: {self.allowed}"

    @property
    def allowed(self) -> str:
        """The legal range with its unit."""
        return f"{between(self.min, self.max)} {self.unit}".rstrip()

    def value(self, configuration: Mapping[str, Any], units: Mapping[str, str]) -> Any:
        """Compute the expression in `unit` from floats, arrays or tensors."""
        names = {**{name: pair[0] for name, pair in self.constants.items()}, **configuration}
        all_units = {**{name: pair[1] for name, pair in self.constants.items()}, **units}
        return self.parsed.evaluate(names, all_units, self.unit)


def _check_range(low: float | None, high: float | None, what: str) -> None:
    if low is None and high is None:
        raise ValueError(f"{what}: neither min nor max is given")
    if low is not None and high is not None and low > high:
        raise ValueError(f"{what}: min {low:g} is above max {high:g}")


Constraint = Annotated[LinearConstraint | ExpressionConstraint, Field(discriminator="kind")]


def between(low: float | None, high: float | None) -> str:
    """Say a range for people."""
    if low is None:
        return f"at most {high:g}"
    if low == high:
        return f"exactly {low:g}"
    return f"at least {low:g}" if high is None else f"{low:g} to {high:g}"
