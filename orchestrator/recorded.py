"""The pool of a recorded campaign: every experiment that it may ask for, with what was measured."""

import random
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property

from pydantic import ValidationError

from orchestrator.catalogue import CATALOGUE, Column, Dataset
from orchestrator.datasets import RecordedRow, Table
from orchestrator.domain.constraints import Constraint
from orchestrator.domain.objective import Measured
from orchestrator.domain.parameters import Parameter
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration, digest, explain
from orchestrator.errors import BadInput
from orchestrator.units import convert

Key = tuple[float | str, ...]
"""Hashable identity of a configuration, as `SearchSpace.key` makes it."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded experiment in a campaign's own names and units."""

    number: int
    """The file's row, counted from 1."""
    values: Mapping[str, float]
    """Target -> value in the target's unit."""


@dataclass(frozen=True)
class RecordedPool:
    """All experiments that a recorded campaign may ask for, with what was measured."""

    table: Table
    space: SearchSpace
    """Its candidate table holds the table's distinct rows."""
    targets: tuple[Measured, ...]
    replicates: Mapping[Key, tuple[Recorded, ...]]
    """Configuration's key -> its recorded experiments, in the file's order."""

    def recorded(self, configuration: Configuration) -> tuple[Recorded, ...]:
        """Return the experiments at a configuration, none where nobody made it."""
        if set(configuration) != set(self.space.columns):
            return ()
        return self.replicates.get(self.space.key(configuration), ())

    def drawn(self, configuration: Configuration, *, seed: int) -> tuple[Recorded, ...]:
        """Return the experiments at a configuration in the order in which a campaign of this seed is given them."""
        rows = self.recorded(configuration)
        return tuple(random.Random(digest([seed, dict(configuration)])).sample(rows, len(rows)))

    @cached_property
    def candidates(self) -> tuple[dict[str, float | str], ...]:
        """The distinct configurations, in the file's order."""
        return self.space.candidates or ()

    def mean(self, configuration: Configuration) -> dict[str, float]:
        """Return each target's mean over the replicates of a candidate."""
        rows = self.recorded(configuration)
        return {target.name: sum(row.values[target.name] for row in rows) / len(rows) for target in self.targets}


def recorded_pool(
    table: Table,
    parameters: Sequence[Parameter],
    targets: Sequence[Measured],
    *,
    columns: Mapping[str, str] | None = None,
    constraints: Sequence[Constraint] = (),
) -> RecordedPool:
    """Build the pool of a recorded campaign: its space, whose candidates are the distinct rows, and what was measured.

    Args:
        table: The rows.
        parameters: What is varied; numbers are converted from the file's units to theirs.
        targets: What is measured; converted likewise.
        columns: Configuration's column or target -> file's column, where the names differ.
        constraints: Further constraints; each row must meet them.

    Raises:
        BadInput: A column is missing, a unit does not fit, or a row is not of this space; names the row.
    """
    named = columns or {}
    space = _space(table, parameters, constraints)
    readers = {name: _reader(table, named.get(name, name), space.units.get(name)) for name in space.columns}
    judged = {target.name: _reader(table, named.get(target.name, target.name), target.unit) for target in targets}
    _check_names(named, (*readers, *judged))
    _check_free(table, {reader.column.name for reader in readers.values()})
    distinct: dict[Key, dict[str, float | str]] = {}
    found: dict[Key, list[Recorded]] = {}
    for row in table.rows:
        configuration = {name: reader(row) for name, reader in readers.items()}
        key = space.key(configuration)
        distinct.setdefault(key, configuration)
        found.setdefault(key, []).append(Recorded(row.number, {name: float(reader(row)) for name, reader in judged.items()}))
    whole = _space(table, parameters, constraints, tuple(distinct.values()))
    return RecordedPool(table, whole, tuple(targets), {key: tuple(rows) for key, rows in found.items()})


def recorded_space(
    table: Table,
    parameters: Sequence[Parameter],
    *,
    columns: Mapping[str, str] | None = None,
    constraints: Sequence[Constraint] = (),
) -> SearchSpace:
    """Build only the space of a recorded campaign; see `recorded_pool`."""
    own = {column for parameter in parameters for column in parameter.columns}
    named = {name: source for name, source in (columns or {}).items() if name in own}
    return recorded_pool(table, parameters, (), columns=named, constraints=constraints).space


def _space(
    table: Table,
    parameters: Sequence[Parameter],
    constraints: Sequence[Constraint],
    candidates: tuple[dict[str, float | str], ...] | None = None,
) -> SearchSpace:
    try:
        return SearchSpace(parameters=tuple(parameters), constraints=tuple(constraints), candidates=candidates)
    except ValidationError as error:
        raise explain(error, what=table.label) from error


@dataclass(frozen=True, slots=True)
class _Reader:
    """Takes one file column out of a row, in another unit."""

    column: Column
    unit: str | None
    """None for a name."""
    absent: float | None = None
    """The value of a column that this file does not have."""

    def __call__(self, row: RecordedRow) -> float | str:
        if self.absent is not None:
            return self.absent
        value = row.values[self.column.name]
        return value if isinstance(value, str) or self.unit is None else convert(value, self.column.unit, self.unit)


def _reader(table: Table, name: str, unit: str | None) -> _Reader:
    if kin := _absent_column(table.dataset, name):
        return _Reader(kin, unit, absent=table.dataset.absent)
    column = table.column(name)
    if column.text != (unit is None):
        raise BadInput(f"{table.label}: column {name!r} holds {'names' if column.text else 'numbers'}; expected the other")
    if unit is not None:
        _check_unit(table, column, unit)
    return _Reader(column, unit)


def _absent_column(dataset: Dataset, name: str) -> Column | None:
    """Return a column that only kin tables have, where its absence from this one has a meaning."""
    if dataset.absent is None or any(column.name == name for column in dataset.columns):
        return None
    kin = [entry for entry in CATALOGUE.values() if entry.absent is not None]
    return next((column for entry in kin for column in entry.columns if column.name == name), None)


def _check_unit(table: Table, column: Column, unit: str) -> None:
    try:
        convert(1.0, column.unit, unit)
    except BadInput as error:
        raise BadInput(
            f"{table.label}: column {column.name!r} is in {column.unit or '1'}; it cannot be expressed in {unit or '1'}"
        ) from error


def _check_names(named: Mapping[str, str], known: Sequence[str]) -> None:
    for name in named:
        if name not in known:
            raise BadInput(f"recorded.columns names {name!r}, which is neither parameter nor target; known: {', '.join(known)}")


def _check_free(table: Table, used: Set[str]) -> None:
    """Refuse to take rows for replicates that differ in a column which nothing fixes."""
    for column in table.dataset.columns:
        if column.role in ("parameter", "task") and column.name not in used and column.name not in table.task:
            raise BadInput(
                f"{table.label}: column {column.name!r} is neither a parameter nor fixed; "
                f"declare it as a parameter or fix it by task = {{ {column.name} = ... }}"
            )
