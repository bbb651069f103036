"""A table read under a mapping: entries in the campaign's names and units, and every cell that is in the way of them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from orchestrator.domain.entered import Entered, Entry, Recorded
from orchestrator.domain.parameters.kind import ABSENT
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.importing.dates import read_date
from orchestrator.importing.fitting import Fitted, unlearnable, unlearnable_row
from orchestrator.importing.mapping import ColumnSpec
from orchestrator.importing.opening import Opened
from orchestrator.numerals import shown
from orchestrator.tablefile import Cell, Row
from orchestrator.units import convert, unit

_BOUND: Final = re.compile(r"\s*(<=?|=<|≤|>=?|=>|≥)\s*(?![<>=≤≥])(.*?)\s*", re.DOTALL)


@dataclass(frozen=True)
class ReadTable:
    """What a table says."""

    entries: tuple[Entry, ...]
    """In the order of the rows; rows with a problem are not among them."""
    problems: tuple[str, ...]
    """What is in the way, each with file, line and column."""
    notes: tuple[str, ...]
    """What is legal and yet to be seen by a person before it is brought."""


def read_entries(opened: Opened, fitted: Fitted) -> ReadTable:
    """Read all rows of a table; what is wrong with cells is collected, so that a person sees all of it at once."""
    entries: list[Entry] = []
    problems: list[str] = []
    notes = list(opened.notes)
    for row in opened.table.rows:
        first = next(cell.strip() for cell in row.cells if cell.strip())
        if first in fitted.spec.table.skip:
            notes.append(f"{row.place}: passed over, its first filled cell is {first!r}")
            continue
        found = _RowReader(row, fitted)
        entry = found.read()
        problems += found.problems
        notes += found.notes
        if entry is not None and entry.values:
            entries.append(entry)
        elif entry is not None:
            notes.append(f"{row.place}: passed over, it has no value of any target")
    if not entries and not problems:
        problems.append(f"{opened.table.what}: no row has a value of any target")
    return ReadTable(tuple(entries), tuple(problems), (*notes, *_remarks(entries, fitted.space)))


class _RowReader:
    """Reads one row."""

    def __init__(self, row: Row, fitted: Fitted) -> None:
        self._row, self._fitted, self._spec = row, fitted, fitted.spec
        self.problems: list[str] = []
        self.notes: list[str] = []

    def read(self) -> Entry | None:
        """Return what the row says; None where `problems` says what is wrong."""
        values: dict[str, Entered] = {}
        configuration: dict[str, float | str] = dict(self._fitted.constants)
        run: str | None = None
        measured_at: datetime | None = None
        recorded: dict[str, Recorded] = {}
        for name, one in self._fitted.columns.items():
            cell = self._row[name]
            try:
                if one.parameter is not None and self._is_left_out(cell, one.parameter):
                    continue
                if one.parameter is not None:
                    configuration[one.parameter] = self._parameter(cell, one)
                elif one.target is not None and not self._is_empty(cell):
                    values[one.target] = self._value(cell, name)
                elif one.recorded is not None and not self._is_empty(cell):
                    recorded[one.recorded] = self._recorded(cell, one)
                elif one.date is not None and not self._is_empty(cell):
                    measured_at = read_date(cell, one.date, self._spec.table.clock)
                elif one.run:
                    run = self._run(cell)
            except BadInput as error:
                self.problems.append(str(error))
        self._add_uncertainties(values)
        configuration = self._fitted.space.completed(configuration)
        if not self._fitted.by_run and not self.problems:
            self.problems += [f"{self._row.place}: {said}" for said in self._unlearnable(configuration)]
        if self.problems:
            return None
        return Entry(self._row.place, values, run, None if self._fitted.by_run else configuration, measured_at, recorded)

    def _is_left_out(self, cell: Cell, column: str) -> bool:
        """Say whether a cell says that a parameter is absent, which one of another parameter must bear out."""
        return bool(self._fitted.space.owners[column].when) and (self._is_empty(cell) or cell.strip() == ABSENT)

    def _is_empty(self, cell: Cell) -> bool:
        return not cell.strip() or cell.strip() in self._spec.table.missing

    def _parameter(self, cell: Cell, one: ColumnSpec) -> float | str:
        assert one.parameter is not None
        if self._is_empty(cell):
            raise BadInput(f"{cell.place}: {shown(cell) if cell.strip() else 'the cell is empty'}; expected a value of {one.parameter}")
        if one.parameter in self._fitted.space.units:
            return self._number(cell)
        text = (one.names or {}).get(cell.strip(), cell.strip())
        owner = self._fitted.space.owners[one.parameter]
        if text != owner.absence.get(one.parameter) and (complaint := unlearnable(owner, {one.parameter: text})):
            raise BadInput(f"{cell.place}: {complaint}")
        return text

    def _recorded(self, cell: Cell, one: ColumnSpec) -> Recorded:
        assert one.reference is not None, "what was recorded without a reference was refused"
        return Recorded(self._number(cell), self._fitted.own[cell.column], one.reference)

    def _value(self, cell: Cell, name: str) -> Entered:
        rules, text = self._spec.censored, cell.strip()
        if text in rules.words:
            return Entered(None, reason=f"below detection: {text}")
        if (bound := _BOUND.fullmatch(text)) is None:
            return Entered(self._number(cell))
        side = "below" if bound[1] in ("<", "<=", "=<", "≤") else "above"
        self._number(cell.like(bound[2]))
        said = {"below": "below detection", "above": "above the range"}[side]
        if getattr(rules, side) != "quarantine":
            keep = f'[censored] {side} = "quarantine" keeps it without a value'
            raise BadInput(f"{cell.place}: {shown(cell)} is {said} and no value; {keep}")
        behind = "" if cell.like(bound[2]).quantity()[1] else self._fitted.units[name]
        return Entered(None, reason=f"{said}: {text} {behind}".rstrip())

    def _number(self, cell: Cell) -> float:
        """Read a number in its column's unit, or in one that stands in the cell, and convert it to the campaign's."""
        value, given = cell.quantity()
        declared, own = self._fitted.units[cell.column], self._fitted.own[cell.column]
        try:
            found = convert(value, given or declared, own)
            if given and unit(given) != unit(declared):
                self.notes.append(
                    f"{cell.place}: {shown(cell)} has another unit than {declared or '1'}; read as {found:.6g} {own}".rstrip()
                )
            return found
        except BadInput as error:
            raise BadInput(f"{cell.place}: {shown(cell)}: {error}") from error

    def _run(self, cell: Cell) -> str:
        if self._is_empty(cell):
            raise BadInput(f"{cell.place}: the cell is empty; expected the code or key of a run")
        return cell.strip()

    def _add_uncertainties(self, values: dict[str, Entered]) -> None:
        for name, one in self._fitted.columns.items():
            if one.uncertainty is None or self._is_empty(cell := self._row[name]):
                continue
            try:
                entered = values.get(one.uncertainty)
                if entered is not None and entered.value is not None:
                    values[one.uncertainty] = Entered(entered.value, self._uncertainty(cell))
                elif entered is None and not self.problems:
                    raise BadInput(f"{cell.place}: {shown(cell)} is the uncertainty of no value; {one.uncertainty} is empty")
            except BadInput as error:
                self.problems.append(str(error))

    def _uncertainty(self, cell: Cell) -> float:
        """Read a standard uncertainty, a difference: 0.5 degC are 0.5 K apart, whatever their zeros."""
        value, given = cell.quantity()
        if value <= 0:
            raise BadInput(f"{cell.place}: {shown(cell)} is no standard uncertainty; expected one above 0, or an empty cell")
        of, own = given or self._fitted.units[cell.column], self._fitted.own[cell.column]
        try:
            return convert(value, of, own) - convert(0.0, of, own)
        except BadInput as error:
            raise BadInput(f"{cell.place}: {shown(cell)}: {error}") from error

    def _unlearnable(self, configuration: dict[str, float | str]) -> Iterator[str]:
        return unlearnable_row(self._fitted.space, configuration)


def _remarks(entries: Sequence[Entry], space: SearchSpace) -> Iterator[str]:
    """Say of entries what is legal and remarkable: outside today's space, the same configuration again, no value."""
    first: dict[tuple[float | str, ...], str] = {}
    runs: dict[str, str] = {}
    for one in entries:
        for target, entered in one.values.items():
            if entered.reason is not None:
                yield f"{one.place}: {target} is quarantined, {entered.reason}"
        if one.configuration is None:
            if (run := str(one.run)) in runs:
                yield f"{one.place}: run {run} again, after {runs[run].rpartition(', ')[2]}; its values count as another replicate"
            runs.setdefault(run, one.place)
            continue
        if complaint := space.complaint(one.configuration):
            yield f"{one.place}: outside today's search space, and kept: {complaint}"
        key = space.key(one.configuration)
        if key in first:
            yield f"{one.place}: the configuration of {first[key].rpartition(', ')[2]} again; it counts as another replicate"
        first.setdefault(key, one.place)
