"""Tables that people make: one strict reader, which refuses what it would have to guess, with file, line and column.

The csv module reads RFC 4180 as spreadsheets write it (quoted cells with delimiters, quotes and line ends in them), complains of
unbalanced quotes where it is told to be strict, and counts lines; what it leaves open is checked here. Libraries for data frames
guess types, rename equal columns and read NA as missing.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from orchestrator.domain.values import Frozen
from orchestrator.errors import BadInput
from orchestrator.numerals import number, shown, split
from orchestrator.textfile import MARK, place_of, read_text

_GROUPS: Final = {"": "(?!)", ".": r"\.", ",": ",", " ": "[ \u00a0\u2009\u202f]", "'": "['\u2019]"}
"""What parts thousands -> the characters that people and spreadsheets write for it: a blank may be of four widths."""


class Dialect(Frozen):
    """How a table is written; never guessed."""

    delimiter: Annotated[str, Field(min_length=1, max_length=1, pattern=r'[^"\r\n0-9A-Za-z.+-]')] = ","
    """What parts cells, for example `;` or a tabulator."""
    decimal: Literal[".", ","] = "."
    """What parts a number's whole part from its fraction."""
    thousands: Literal["", ".", ",", " ", "'"] = ""
    """What parts groups of three digits before the decimal sign; where it is left out, a number with groups is refused."""
    encoding: str = "utf-8"
    """How text is written, for example `latin-1` or `utf-16`; a byte-order mark of UTF-8 is no part of it."""

    @field_validator("encoding")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            "a".encode(name)  # a codec that knows no text is a LookupError too
        except (LookupError, ValueError) as error:
            raise ValueError("expected the name of a text encoding, such as utf-8, latin-1, cp1252 or utf-16") from error
        return name

    @model_validator(mode="after")
    def _parts(self) -> Self:
        if self.delimiter == self.decimal:
            raise ValueError(f"{self.delimiter!r} cannot part both cells and decimals; give another delimiter, such as ';'")
        if self.thousands in (self.delimiter, self.decimal):
            raise ValueError(f"{self.thousands!r} cannot part thousands and {'cells' if self.thousands == self.delimiter else 'decimals'}")
        return self

    @property
    def dialect(self) -> "Dialect":
        """The same without what else a section of a file says."""
        return Dialect(delimiter=self.delimiter, decimal=self.decimal, thousands=self.thousands, encoding=self.encoding)

    def plain(self, text: str) -> str:
        """Write the number at the beginning of a text with a decimal point and without groups; other numbers end in what is none."""
        group = _GROUPS[self.thousands]
        if whole := re.match(rf"\s*[+-]?[1-9][0-9]{{0,2}}(?:{group}[0-9]{{3}})+(?![0-9])", text):
            text = re.sub(group, "", whole[0].strip()) + text[whole.end() :]
        return text if self.decimal == "." else text.replace(".", "_").replace(self.decimal, ".")


PLAIN = Dialect()


class Cell(str):
    """The text of one cell, which knows where it stands."""

    __slots__ = ("column", "row")

    row: "Row"
    column: str

    @property
    def place(self) -> str:
        """File, line and column, for a message."""
        return self.row.table.where(self.row.line, self.column)

    def like(self, text: str) -> "Cell":
        """Return another text that stands at the same place."""
        other = Cell(text)
        other.row, other.column = self.row, self.column
        return other

    def number(self) -> float:
        """Read a number in the table's own dialect.

        Raises:
            BadInput: Empty, or anything but digits with at most one decimal point (or comma, where the dialect says so).
        """
        return self._number(self.row.table.dialect.plain(self))

    def quantity(self) -> tuple[float, str]:
        """Read a number in the table's own dialect, and the unit behind it; empty where there is none.

        Raises:
            BadInput: It does not begin with a number.
        """
        digits, unit = split(self.row.table.dialect.plain(self))
        return self._number(digits), unit

    def _number(self, text: str) -> float:
        dialect = self.row.table.dialect
        if not self.strip():
            raise BadInput(f"{self.place}: the cell is empty; expected a number")
        try:
            return number(text, what=self.place)
        except BadInput as error:
            if dialect.decimal == "." and not dialect.thousands:
                raise
            like = f"1{dialect.thousands}234{dialect.decimal}5" if dialect.thousands else f"1{dialect.decimal}5"
            raise BadInput(
                f"{self.place}: {shown(self)} is not a number; expected one with the decimal sign {dialect.decimal!r}, like {like}"
            ) from error


@dataclass(frozen=True, eq=False)
class Row:
    """One row."""

    table: "TableFile"
    line: int
    """Of the file, from 1, where the row begins; its cells may hold line ends."""
    cells: Sequence[str]

    @property
    def place(self) -> str:
        """File and line, for a message."""
        return f"{self.table.what}, {'row' if self.table.letters else 'line'} {self.line}"

    def __getitem__(self, column: str) -> Cell:
        """Return a cell.

        Raises:
            BadInput: The table has no such column.
        """
        cell = Cell(self.cells[self.table.position(column)])
        cell.row, cell.column = self, column
        return cell


@dataclass(frozen=True, eq=False)
class TableFile:
    """A table with a header, every row of which has a cell for each column."""

    what: str
    """What messages call it, its path among it."""
    dialect: Dialect
    columns: tuple[str, ...]
    lines: tuple[tuple[int, list[str]], ...]
    """Line and cells of each row."""
    letters: tuple[str, ...] = ()
    """What a spreadsheet calls its columns; empty for a file of text."""

    def where(self, line: int, column: str) -> str:
        """Name a cell, for a message: by line and column, in a spreadsheet as that does."""
        if self.letters:
            return f"{self.what}, cell {self.letters[self.position(column)]}{line} ({column!r})"
        return f"{self.what}, line {line}, column {column!r}"

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """All rows below the header, in their order."""
        return tuple(Row(self, line, cells) for line, cells in self.lines)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.columns)}

    def position(self, column: str) -> int:
        """Return where a column stands.

        Raises:
            BadInput: There is none of this name; lists those there are.
        """
        if column not in self._positions:
            has = ", ".join(name if name == name.strip() and name.isprintable() else repr(name) for name in self.columns if name)
            hint = f"; cells are parted at {self.dialect.delimiter!r}, by its key delimiter" if len(self.columns) == 1 else ""
            raise BadInput(f"{self.what} has no column {column!r}; it has {has}{hint}")
        return self._positions[column]


def read_table(path: Path, *, what: str, dialect: Dialect = PLAIN) -> TableFile:
    """Read a table.

    Args:
        path: The file.
        what: What messages call it, its path among it.
        dialect: How it is written.

    Raises:
        BadInput: It cannot be read, or is not a table in this dialect; names line and column.
    """
    return parse_table(read_text(path, what=what, encoding=dialect.encoding), what=what, dialect=dialect)


def parse_table(text: str, *, what: str, dialect: Dialect = PLAIN, header: int = 1, comment: str = "") -> TableFile:
    """Read the text of a table; see `read_table`.

    Blank lines hold nothing and are passed over, but in a table of one column, where they are empty cells.

    Args:
        text: The text.
        what: What messages call it.
        dialect: How it is written.
        header: Line, from 1, below which its header is looked for; what stands above is no part of it.
        comment: What lines begin with that hold nothing; empty where there are none.

    Raises:
        BadInput: It is no table in this dialect; names line and column.
    """
    text = text.removeprefix(MARK)
    if "\0" in text:
        line, column = place_of(text, text.index("\0"))
        raise BadInput(f"{what}, line {line}, column {column}: there is a NUL character; expected text (key encoding, if it is UTF-16)")
    rows = list(_lines(text.rstrip("\n"), what, dialect, header, comment))
    first, columns = rows[0] if rows else (0, [])
    check_header(columns, f"{what}, line {first}" if first else what)
    kept = tuple((line, cells or [""]) for line, cells in rows[1:] if cells or len(columns) == 1)
    for line, cells in kept:
        if len(cells) != len(columns):
            uneven = f"{_cells(len(cells))}; expected {len(columns)}, as in the header: {_uneven(cells, columns)}"
            raise BadInput(f"{what}, line {line}: {uneven}")
    if not kept:
        raise BadInput(f"{what} has no rows: there is a header only")
    return TableFile(what, dialect, tuple(columns), kept)


class _Lines:
    """Lines for the csv module, but for comments: those that begin where a row does."""

    def __init__(self, text: str, comment: str) -> None:
        self._lines, self._comment = io.StringIO(text, newline="\n"), comment
        self.row_begins = True
        self.commented = False

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.commented = self.row_begins and bool(self._comment) and line.lstrip().startswith(self._comment)
        self.row_begins = False
        return "\n" if self.commented else line


def _lines(text: str, what: str, dialect: Dialect, header: int, comment: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row's first line and its cells; blank lines only behind the header."""
    text = "\n".join(text.split("\n")[header - 1 :])
    lines = _Lines(text, comment)
    reader = csv.reader(lines, delimiter=dialect.delimiter, strict=True)
    begun = False
    while True:
        line, lines.row_begins = reader.line_num + header, True
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            rest = "\n".join(text.split("\n")[line - header :])
            raise BadInput(f"{what}, line {line}, {_complaint(error, rest, dialect)}") from error
        begun = begun or bool(cells)
        if begun and not lines.commented:
            yield line, cells


def _complaint(error: csv.Error, rest: str, dialect: Dialect) -> str:
    """Say what is wrong with the row at the beginning of `rest`, and with which of its cells."""
    if "expected after" in str(error):
        return f"in the row that begins here: a cell goes on behind its closing quotation mark ({error})"
    # read leniently, as far as a cell may be long: the last cell is the one without an end
    cell = len(next(csv.reader(io.StringIO(rest[: csv.field_size_limit()], newline="\n"), delimiter=dialect.delimiter)))
    long = f"is longer than {csv.field_size_limit()} characters" if "field limit" in str(error) else "has no end"
    return f"cell {cell} {long}; is a quotation mark left open?"


def _cells(count: int) -> str:
    return f"{count} cell{'' if count == 1 else 's'}"


def check_header(columns: Sequence[str], what: str) -> None:
    """Refuse a header in which a column has no name, or the name of another one.

    Raises:
        BadInput: Says which.
    """
    if not columns:
        raise BadInput(f"{what} is empty; expected a header and rows")
    for index, name in enumerate(columns):
        if not name.strip() and index > 0:  # data frames write their index first, without a name
            raise BadInput(f"{what}: column {index + 1} of {len(columns)} has no name; does each line end with a delimiter?")
        first = [one.strip() for one in columns].index(name.strip())  # blanks tell no columns apart
        if first < index:
            raise BadInput(f"{what}: columns {first + 1} and {index + 1} are both called {name.strip()!r}; expected one of each name")


def _uneven(cells: Sequence[str], columns: Sequence[str]) -> str:
    """Name the first column without a cell, or the first cell without a column."""
    if len(cells) < len(columns):
        return f"column {columns[len(cells)]!r} has none"
    guess = "a decimal comma?" if cells[len(columns)].strip() else "does the line end with a delimiter?"
    return f"{shown(cells[len(columns)])} stands behind column {columns[-1]!r} ({guess})"
