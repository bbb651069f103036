"""Recorded tables: finding, checking and reading them."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from orchestrator.catalogue import CATALOGUE, Column, Dataset
from orchestrator.errors import BadInput
from orchestrator.tablefile import read_table
from orchestrator.units import parse

DATA_VARIABLE: Final = "ATHANOR_DATA"
"""The environment variable that names the data folder where no option does."""
_SHOWN: Final = 16
"""So many legal values a message lists."""


@dataclass(frozen=True, slots=True)
class RecordedRow:
    """One experiment of a table."""

    number: int
    """Counts the file's rows below the header from 1."""
    values: Mapping[str, float | str]
    """File column -> entry, in the file's units."""


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one file that belong to one task."""

    dataset: Dataset
    rows: tuple[RecordedRow, ...]
    task: Mapping[str, float | str] = field(default_factory=dict)
    """The filter that chose the rows: file column -> entry."""

    @property
    def label(self) -> str:
        """What a message calls it."""
        chosen = ", ".join(f"{column} = {value}" for column, value in self.task.items())
        return f"table {self.dataset.name}" + (f" ({chosen})" if chosen else "")

    @property
    def sha256(self) -> str:
        """The hash of the whole file."""
        return self.dataset.sha256

    def column(self, name: str) -> Column:
        """Return a column's description.

        Raises:
            BadInput: The table has none of that name.
        """
        known = {column.name: column for column in self.dataset.columns}
        if name not in known:
            raise BadInput(f"table {self.dataset.name} has no column {name!r}; it has: {', '.join(filter(None, known))}")
        return known[name]


def describe(name: str) -> Dataset:
    """Return a table's entry in the catalogue.

    Raises:
        BadInput: No such table; lists those there are.
    """
    if name not in CATALOGUE:
        raise BadInput(f"recorded table {name!r} is unknown; known: {', '.join(CATALOGUE)}")
    return CATALOGUE[name]


def find(name: str, data_dir: Path | None = None) -> Path:
    """Locate a table's file and check that it is the one the catalogue means.

    Args:
        name: The table's name in the catalogue.
        data_dir: The data folder; without it the one that `ATHANOR_DATA` names.

    Raises:
        BadInput: No folder is named, or the file is missing or another one; says where to get it.
    """
    dataset = describe(name)
    path = _folder(dataset, data_dir) / dataset.file
    if not path.is_file():
        raise BadInput(f"recorded table {name}: there is no {path}; {dataset.origin}")
    _check_digest(dataset, path, path.read_bytes())
    return path


def _folder(dataset: Dataset, data_dir: Path | None) -> Path:
    given = data_dir if data_dir is not None else os.environ.get(DATA_VARIABLE)
    if not given:
        raise BadInput(
            f"recorded table {dataset.name}: no data folder is named; "
            f"give --data DIR or set {DATA_VARIABLE} to the folder that holds {dataset.file}; {dataset.origin}"
        )
    return Path(given)


def _check_digest(dataset: Dataset, path: Path, content: bytes) -> None:
    came = hashlib.sha256(content).hexdigest()
    if came != dataset.sha256:
        raise BadInput(
            f"recorded table {dataset.name}: {path} has sha256 {came}; expected {dataset.sha256}; "
            f"another version gives other figures: {dataset.origin}"
        )


def load_table(name: str, data_dir: Path | None = None, task: Mapping[str, float | str] | None = None) -> Table:
    """Read a table's rows.

    Args:
        name: The table's name in the catalogue.
        data_dir: The data folder; without it the one that `ATHANOR_DATA` names.
        task: File column -> entry that a row must have.

    Raises:
        BadInput: The file is missing or another one, or no row belongs to the task.
    """
    dataset, path = describe(name), find(name, data_dir)
    rows = tuple(_read(dataset, path))
    return _choose(Table(dataset, rows), task or {})


def _read(dataset: Dataset, path: Path) -> Iterator[RecordedRow]:
    for number, row in enumerate(read_table(path, what=str(path)).rows, start=1):
        yield RecordedRow(number, {one.name: str(row[one.name]) if one.text else row[one.name].number() for one in dataset.columns})


def _choose(table: Table, task: Mapping[str, float | str]) -> Table:
    wanted: dict[str, float | str] = {}
    rows = table.rows
    for name, value in task.items():
        wanted[name] = value if table.column(name).text else parse(value, "", what=f"{table.label}: task {name}")
        kept = tuple(row for row in rows if row.values[name] == wanted[name])
        if not kept:
            there = sorted({str(row.values[name]) for row in rows})
            more = ", ..." if len(there) > _SHOWN else ""
            raise BadInput(f"{table.label}: no row has {name} = {value!r}; there are {', '.join(there[:_SHOWN])}{more}")
        rows = kept
    return Table(table.dataset, rows, wanted)
