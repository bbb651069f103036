"""What a table is: described columns, and rows of plain values. Heads, descriptions, types and units all come from here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal["text", "category", "integer", "number", "boolean", "time"]
"""`category` is a text of which few differ; `time` is an aware moment in UTC."""
Row = Mapping[str, Any]
"""By column name; what is absent or None is a missing value."""
_NUMBERS: Final = ("", "1", "dimensionless")
"""Units of a pure number, which stand in no head."""
_OFFSETS: Final = ("degC", "degF")
"""Units with a zero of their own: a difference of two such values has none."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    meaning: str
    """A sentence for people."""
    kind: Kind = "text"
    unit: str = ""
    """Of the numbers in it; empty for a pure number and for whatever is no number."""

    @property
    def head(self) -> str:
        """The name, and the unit in brackets where there is one: `measured.T [degC]`."""
        return f"{self.name} [{self.unit}]" if self.unit not in _NUMBERS else self.name


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a campaign."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    key: tuple[str, ...] = ()
    """Columns that name a row."""

    def __post_init__(self) -> None:
        """Refuse a value without a column, which would be lost, and a column that stands there twice."""
        names = [column.name for column in self.columns]
        if len(set(names)) < len(names):
            raise ValueError(f"table {self.name} has a column twice: {sorted({name for name in names if names.count(name) > 1})}")
        for row in self.rows:
            if strangers := set(row) - set(names):
                raise ValueError(f"table {self.name} has no column {sorted(strangers)}")

    @property
    def units(self) -> dict[str, str]:
        """Unit by head, where there is one."""
        return {column.head: column.unit for column in self.columns if column.head != column.name}


def difference(unit: str) -> str:
    """Return the unit of a difference, an uncertainty or a standard deviation of values in a unit."""
    return f"delta_{unit}" if unit in _OFFSETS else unit


def kind_of(values: Iterable[object]) -> Kind:
    """Return `number` where all known values are, else `category`."""
    known = [value for value in values if value is not None]
    return "number" if known and not any(isinstance(value, str) for value in known) else "category"


def prefixed(layer: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Put a layer's name before each key."""
    return {f"{layer}.{name}": value for name, value in values.items()}


def moment(name: str, what: str) -> tuple[Column, Column]:
    """Return the two columns of a moment: wall time, and lab time behind `_lab`."""
    return Column(name, f"When {what}: wall time, UTC.", "time"), Column(f"{name}_lab", f"When {what}: lab time.", "number", "s")
