"""The search space: parameters, the constraints between them and, where given, the table of candidates."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from orchestrator.domain.constraints import CONSTRAINT_TOLERANCE, Constraint, ExpressionConstraint, LinearConstraint, between
from orchestrator.domain.parameters import RELATIVE_TOLERANCE, Parameter
from orchestrator.domain.presence import absent, completed, conditional, entering
from orchestrator.domain.values import Configuration, Frozen
from orchestrator.errors import BadInput
from orchestrator.intervals import Interval


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
        conditional(self.parameters)
        for constraint in self.constraints:
            self._check_constraint(constraint)
            self._check_absence(constraint)
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
            self._check_held(constraint)
            logs = [column for column in constraint.coefficients if self.owners[column].on_log_scale]
            if logs and constraint.is_equality:
                raise ValueError(
                    f"constraint {constraint.shown!r}: {logs[0]} is on a log scale, where a sum cannot be held; expected a range"
                )
            return
        shadowed = sorted(set(constraint.constants) & set(self.columns))
        if shadowed:
            raise ValueError(f"constraint {constraint.label!r}: the constant {shadowed[0]!r} has the name of a column")
        units = {**{name: pair[1] for name, pair in constraint.constants.items()}, **self.units}
        constraint.parsed.check(units, constraint.unit)

    def _check_held(self, constraint: LinearConstraint) -> None:
        if constraint.is_equality and (some := [column for column in constraint.coefficients if self.owners[column].when]):
            raise ValueError(
                f"constraint {constraint.shown!r}: {some[0]} is not always there, so that a sum cannot be held; expected a range"
            )

    def _check_absence(self, constraint: LinearConstraint | ExpressionConstraint) -> None:
        """Refuse a constraint that nothing meets without the parameters that it is about: it would take away every other category."""
        named = constraint.coefficients if isinstance(constraint, LinearConstraint) else constraint.parsed.names & set(self.columns)
        stands = {column: value for column in named for value in (self.owners[column].absence.get(column),) if value is not None}
        if not stands or len(stands) < len(named):
            return
        values = {**dict.fromkeys(self.numeric_columns, 0.0), **stands}
        if violation := next(self._violations_of(constraint, values), None):
            said = ", ".join(f"{column} = {value:g}" for column, value in stands.items())
            raise ValueError(f"{violation}, where what it names is absent ({said}, otherwise)")

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
        return {column: unit for parameter in self.parameters for column, unit in parameter.units.items()}

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """Range of each numeric column, constraints left aside; from or to what stands for its absence, where that lies beyond."""
        return {column: _with(interval, one.absence.get(column)) for one in self.parameters for column, interval in one.intervals.items()}

    @cached_property
    def owners(self) -> dict[str, Parameter]:
        """The parameter of each column."""
        return {column: parameter for parameter in self.parameters for column in parameter.columns}

    @cached_property
    def shared(self) -> tuple[str, ...]:
        """The columns that are the same in all proposals of a batch."""
        return tuple(column for column, owner in self.owners.items() if owner.same_in_batch)

    @property
    def one_by_one(self) -> "SearchSpace":
        """The same space, with nothing that is the same in a batch: for points that are no batch."""
        if not self.shared:
            return self
        return SearchSpace.model_validate({**self.model_dump(), "parameters": [one.evolve(same_in_batch=False) for one in self.parameters]})

    @property
    def freedom(self) -> int:
        """How much can be varied independently, constraints aside."""
        return sum(parameter.freedom for parameter in self.parameters)

    def largest(self, column: str) -> float:
        """Return the largest legal size of a numeric column, in its unit."""
        return max(abs(self.intervals[column].low), abs(self.intervals[column].high))

    def neighbours(self, configuration: Configuration) -> Iterator[dict[str, float | str]]:
        """Iterate over configurations that differ in one discrete choice and what it brings in; constraints are not looked at."""
        gone = self.absent(configuration)
        for parameter in self.parameters:
            if parameter.name not in gone:
                for change in parameter.neighbours(configuration):
                    yield from self._moved(configuration, {**configuration, **change})

    def _moved(self, before: Configuration, after: dict[str, float | str]) -> Iterator[dict[str, float | str]]:
        return entering(self.conditional, before, after) if self.conditional else iter((after,))

    # ----------------------------------------------------------------- what is there

    @cached_property
    def conditional(self) -> tuple[Parameter, ...]:
        """The parameters that are not always there, each after those that say where it is."""
        return conditional(self.parameters)

    def absent(self, configuration: Configuration) -> frozenset[str]:
        """Return the names of the parameters that a configuration does not have."""
        return absent(self.conditional, configuration) if self.conditional else frozenset()

    @property
    def parents_first(self) -> tuple[Parameter, ...]:
        """All parameters, each after those that say where it is there: the order in which people are asked."""
        return (*(one for one in self.parameters if not one.when), *self.conditional)

    def present(self, configuration: Configuration) -> dict[str, float | str]:
        """Return the columns of a configuration whose parameters are there: what people are shown."""
        gone = self.absent_columns(configuration)
        return {column: value for column, value in configuration.items() if column not in gone}

    def absent_columns(self, configuration: Configuration) -> frozenset[str]:
        """Return the columns of the parameters that a configuration does not have."""
        gone = self.absent(configuration)
        return frozenset(column for one in self.conditional if one.name in gone for column in one.columns)

    def completed(self, given: Configuration) -> dict[str, float | str]:
        """Return values with those of absent parameters that nobody gave."""
        if not self.conditional:
            return dict(given)
        values = completed(self.conditional, given)
        return {**{column: values[column] for column in self.columns if column in values}, **values}

    def settled(self, configuration: Configuration) -> dict[str, float | str]:
        """Return a configuration in which what is absent has the value that stands for that, whatever it had."""
        gone = self.absent(configuration)
        stands = {column: value for one in self.conditional if one.name in gone for column, value in one.absence.items()}
        return {column: stands.get(column, value) for column, value in configuration.items()}

    def edited(self, configuration: Configuration, edits: Configuration) -> dict[str, float | str]:
        """Return a configuration as a person changed it: what goes by that goes, and what comes in is among the changes.

        Raises:
            BadInput: A parameter comes in and nobody says its value.
        """
        values = {**configuration, **edits}
        was, gone = self.absent(configuration), self.absent(values)
        for one in self.conditional:
            if one.name in gone:
                values |= {column: value for column, value in one.absence.items() if column not in edits}
            elif one.name in was and (missing := [column for column in one.columns if column not in edits]):
                raise BadInput(f"{missing[0]} has no value, and is there where {one.condition}; expected {one.legal}")
        return values

    def complaint_of(self, parameter: Parameter, configuration: Configuration) -> str | None:
        """Say what is wrong with one parameter's part of a configuration, if anything is."""
        if parameter.name in self.absent(configuration):
            return parameter.unlike_absence(configuration)
        return parameter.complaint(configuration)

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
            if complaint := self.complaint_of(parameter, configuration):
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
            yield from self._violations_of(constraint, configuration)

    def _violations_of(self, constraint: LinearConstraint | ExpressionConstraint, configuration: Configuration) -> Iterator[str]:
        try:
            value = float(self.constraint_value(constraint, configuration))
        except BadInput as error:
            yield f"constraint {error}"
            return
        slack, low, high = self.slack(constraint, configuration), constraint.min, constraint.max
        if (low is not None and value < low - slack) or (high is not None and value > high + slack):
            yield f"constraint {constraint.label!r} = {value:.6g}; expected {between(low, high)}"

    @cached_property
    def _candidate_keys(self) -> frozenset[tuple[float | str, ...]]:
        return frozenset(self.key(row) for row in self.candidates or ())

    def _is_candidate(self, configuration: Configuration) -> bool:
        return self.key(configuration) in self._candidate_keys

    def key(self, configuration: Configuration) -> tuple[float | str, ...]:
        """Return a hashable identity of a configuration, numbers rounded to 12 significant digits."""
        return tuple(value if isinstance(value := configuration[column], str) else float(f"{value:.12g}") for column in self.columns)


def _with(interval: Interval, value: float | str | None) -> Interval:
    """Return the range from or to a further number, where there is one."""
    return Interval(min(interval.low, value), max(interval.high, value)) if isinstance(value, float) else interval
