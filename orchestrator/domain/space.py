"""What may be varied, and how far: parameters, constraints, candidate tables and the search space of them all.

A configuration is flat: one entry per column. A continuous, discrete or categorical parameter is one column with its
name; a composition `alloy` of Ni and Fe is the columns `alloy.Ni` and `alloy.Fe`.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from orchestrator.domain.values import Configuration, Frozen
from orchestrator.errors import BadInput
from orchestrator.expressions import Expression
from orchestrator.units import parse, unit

RELATIVE_TOLERANCE: Final = 1e-9
"""Bounds and equalities are compared within this part of a column's range: float noise, not a licence."""
CONSTRAINT_TOLERANCE: Final = 1e-6
"""A linear constraint holds within this part of its own scale."""


def _bounds(data: Any) -> Any:
    """Convert `min` and `max` given as text with units to the parameter's unit."""
    if not isinstance(data, dict):
        return data
    name, unit_text = data.get("name", "?"), data.get("unit", "")
    converted = {key: parse(data[key], unit_text, what=f"parameter {name}, {key}") for key in ("min", "max") if key in data}
    return {**data, **converted}


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

    _convert = model_validator(mode="before")(_bounds)

    @model_validator(mode="after")
    def _check(self) -> Self:
        unit(self.unit)
        if not self.min < self.max:
            raise ValueError(f"parameter {self.name}: min {self.min:g} must be below max {self.max:g} {self.unit}")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The configuration's entries that this parameter owns."""
        return (self.name,)

    def complaint(self, configuration: Configuration) -> str | None:
        """Say what is wrong with this parameter's value, if anything is."""
        value = configuration[self.name]
        slack = RELATIVE_TOLERANCE * (self.max - self.min)
        if isinstance(value, str) or not self.min - slack <= value <= self.max + slack:
            return f"{self.name} = {value} is outside {self.min:g} to {self.max:g} {self.unit}"
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

    def complaint(self, configuration: Configuration) -> str | None:
        """Say what is wrong with this parameter's value, if anything is."""
        value = configuration[self.name]
        slack = RELATIVE_TOLERANCE * max(1.0, self.max - self.min)
        if isinstance(value, str) or not any(abs(value - legal) <= slack for legal in self.values):
            return f"{self.name} = {value} is none of {', '.join(f'{legal:g}' for legal in self.values)} {self.unit}"
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

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.components)) < len(self.components):
            raise ValueError(f"parameter {self.name}: a component is listed twice in {list(self.components)}")
        if self.step is not None and abs(1 / self.step - round(1 / self.step)) > RELATIVE_TOLERANCE:
            raise ValueError(f"parameter {self.name}: step {self.step:g} does not divide one")
        if self.max_components is not None and self.max_components > len(self.components):
            raise ValueError(f"parameter {self.name}: max_components {self.max_components} exceeds {len(self.components)} components")
        return self

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
        present = sum(value > self.tolerance for value in numbers)
        if self.max_components is not None and present > self.max_components:
            return f"{self.name}: {present} components are present; at most {self.max_components} may be"
        return None


Parameter = Annotated[ContinuousParameter | DiscreteParameter | CategoricalParameter | CompositionParameter, Field(discriminator="kind")]


class LinearConstraint(Frozen):
    """`min <= sum of coefficient * column <= max`, in the columns' own units."""

    kind: Literal["linear"] = "linear"
    coefficients: Annotated[dict[str, float], Field(min_length=1)]
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_range(self.min, self.max, f"linear constraint on {', '.join(self.coefficients)}")
        return self

    @property
    def label(self) -> str:
        """What a message calls it."""
        return " + ".join(f"{factor:g} {column}" for column, factor in self.coefficients.items())

    @property
    def shown(self) -> str:
        """The whole constraint in a line."""
        return f"{self.label}: {_between(self.min, self.max)}"

    def value(self, configuration: Mapping[str, Any]) -> Any:
        """Compute the sum from floats, arrays or tensors."""
        return sum(factor * configuration[column] for column, factor in self.coefficients.items())

    def size(self, configuration: Mapping[str, Any]) -> Any:
        """Compute the sum of the terms' absolute values."""
        return sum(abs(factor * configuration[column]) for column, factor in self.coefficients.items())


class ExpressionConstraint(Frozen):
    """`min <= expression <= max`, unit-checked; `constants` are bound beside the columns."""

    kind: Literal["expression"] = "expression"
    expression: str
    unit: str = ""
    """Unit of the expression's value and of the bounds."""
    min: float | None = None
    max: float | None = None
    constants: dict[str, tuple[float, str]] = Field(default_factory=dict)
    """Value and unit of further names, such as stocks' concentrations."""

    @model_validator(mode="before")
    @classmethod
    def _convert(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        what, unit_text = f"constraint {data.get('expression', '?')!r}", data.get("unit", "")
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
        return f"{_between(self.min, self.max)} {self.unit}".rstrip()

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


class SearchSpace(Frozen):
    """All parameters, the constraints between them and, where given, the finite table of candidates."""

    parameters: Annotated[tuple[Parameter, ...], Field(min_length=1)]
    constraints: tuple[Constraint, ...] = ()
    candidates: tuple[dict[str, float | str], ...] | None = None
    """The only configurations that may be proposed; None where the whole space is open."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [parameter.name for parameter in self.parameters]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"parameter {twice[0]} is declared twice")
        for constraint in self.constraints:
            self._check_constraint(constraint)
        if self.candidates is not None:
            self._check_candidates(self.candidates)
        return self

    def _check_constraint(self, constraint: LinearConstraint | ExpressionConstraint) -> None:
        if isinstance(constraint, LinearConstraint):
            unknown = sorted(set(constraint.coefficients) - set(self.numeric_columns))
            if unknown:
                raise ValueError(
                    f"constraint {constraint.label!r}: {unknown[0]!r} is no numeric column; known: {', '.join(self.numeric_columns)}"
                )
            return
        shadowed = sorted(set(constraint.constants) & set(self.columns))
        if shadowed:
            raise ValueError(f"constraint {constraint.label!r}: the constant {shadowed[0]!r} has the name of a column")
        units = {**{name: pair[1] for name, pair in constraint.constants.items()}, **self.units}
        constraint.parsed.check(units, constraint.unit)

    def _check_candidates(self, rows: Sequence[Mapping[str, float | str]]) -> None:
        if not rows:
            raise ValueError("the candidate table is empty")
        for number, row in enumerate(rows, start=1):
            if complaint := self.complaint(row, membership=False):
                raise ValueError(f"candidate table, row {number}: {complaint}")

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """All entries of a configuration, in order."""
        return tuple(column for parameter in self.parameters for column in parameter.columns)

    @cached_property
    def units(self) -> dict[str, str]:
        """Unit of each numeric column."""
        return {
            column: "" if isinstance(parameter, CompositionParameter) else parameter.unit
            for parameter in self.parameters
            if not isinstance(parameter, CategoricalParameter)
            for column in parameter.columns
        }

    @cached_property
    def numeric_columns(self) -> tuple[str, ...]:
        """The columns that hold numbers."""
        return tuple(self.units)

    def numbers(self, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """Return the numeric part of a configuration."""
        return {column: configuration[column] for column in self.numeric_columns}

    def complaint(self, configuration: Configuration, *, membership: bool = True) -> str | None:
        """Say what is wrong with a configuration: columns, bounds, constraints, membership of the candidate table."""
        if set(configuration) != set(self.columns):
            missing, unknown = set(self.columns) - set(configuration), set(configuration) - set(self.columns)
            return f"missing {sorted(missing)}, unknown {sorted(unknown)}; expected {', '.join(self.columns)}"
        for parameter in self.parameters:
            if complaint := parameter.complaint(configuration):
                return complaint
        for violation in self._violations(configuration):
            return violation
        if membership and self.candidates is not None and not self._is_candidate(configuration):
            return "not in the candidate table"
        return None

    def check(self, configuration: Configuration) -> None:
        """Refuse a configuration that is not of this space.

        Raises:
            BadInput: Names the column or the constraint, the value and what is legal.
        """
        if complaint := self.complaint(configuration):
            raise BadInput(complaint)

    def constraint_value(self, constraint: LinearConstraint | ExpressionConstraint, configuration: Mapping[str, Any]) -> Any:
        """Compute a constraint's left-hand side from floats, arrays or tensors."""
        if isinstance(constraint, LinearConstraint):
            return constraint.value(configuration)
        return constraint.value(self.numbers(configuration), self.units)

    def slack(self, constraint: LinearConstraint | ExpressionConstraint, configuration: Mapping[str, Any]) -> Any:
        """Return how far beyond its bounds a constraint's value still counts as within: float noise, not a licence."""
        scale = max(abs(bound) for bound in (constraint.min, constraint.max) if bound is not None)
        if isinstance(constraint, ExpressionConstraint):  # setpoints' limits among them: nothing is legal that a bench would refuse
            return RELATIVE_TOLERANCE * scale
        # bounds of 0 have no scale of their own: the terms' rounding errors have
        return CONSTRAINT_TOLERANCE * scale + RELATIVE_TOLERANCE * constraint.size(configuration)

    def _violations(self, configuration: Configuration) -> Iterator[str]:
        for constraint in self.constraints:
            try:
                value = float(self.constraint_value(constraint, configuration))
            except BadInput as error:
                yield f"constraint {error}"
                continue
            slack, low, high = self.slack(constraint, configuration), constraint.min, constraint.max
            if (low is not None and value < low - slack) or (high is not None and value > high + slack):
                yield f"constraint {constraint.label!r} = {value:.6g}; expected {_between(low, high)}"

    @cached_property
    def _candidate_keys(self) -> frozenset[tuple[float | str, ...]]:
        return frozenset(self.key(row) for row in self.candidates or ())

    def _is_candidate(self, configuration: Configuration) -> bool:
        return self.key(configuration) in self._candidate_keys

    def key(self, configuration: Configuration) -> tuple[float | str, ...]:
        """Return a hashable identity of a configuration, numbers rounded to 12 significant digits."""
        return tuple(value if isinstance(value := configuration[column], str) else float(f"{value:.12g}") for column in self.columns)


def _between(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"{low:g} to {high:g}"
