"""Tables as CSV: full precision, ISO 8601 times in UTC, missing values as empty cells, a line feed after each row."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from flows.report.export.columns import Kind, Table


def csv_of(table: Table) -> str:
    """Write a table: floats so that reading them back gives the same bits, times with all six digits of a second."""
    rows = ([cell(row.get(column.name), column.kind) for column in table.columns] for row in table.rows)
    return "".join(map(_line, [[column.head for column in table.columns], *rows]))


def _line(cells: Iterable[str]) -> str:
    """Write a row; a carriage return within a cell is quoted, which the writer does only where its own lines end so."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n") + "\n"


def cell(value: Any, kind: Kind) -> str:
    """Write one value; a missing one is empty."""
    return "" if value is None else _WRITERS.get(kind, str)(value)


def iso(value: datetime) -> str:
    """Write a moment: `2026-03-02T08:30:00.000000Z`."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


_WRITERS: Final[Mapping[Kind, Callable[[Any], str]]] = {
    "time": iso,
    "boolean": lambda value: "true" if value else "false",
    "number": repr,
}
