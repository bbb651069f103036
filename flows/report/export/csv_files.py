"""Tables as CSV: full precision, ISO 8601 times in UTC, missing values as empty cells, a line feed after each row."""

import csv
import io
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from flows.report.export.columns import Kind, Table


def csv_of(table: Table) -> str:
    """Write a table: floats so that reading them back gives the same bits, times with all six digits of a second."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.head for column in table.columns])
    for row in table.rows:
        writer.writerow([cell(row.get(column.name), column.kind) for column in table.columns])
    return text.getvalue()


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
