"""A file that somebody has, as a table of text: text or an Excel sheet, as the mapping declares it."""

import hashlib
import re
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestrator.errors import BadInput
from orchestrator.importing.mapping import LayoutSpec
from orchestrator.tablefile import TableFile, check_header, parse_table
from orchestrator.textfile import decode, place_of

if TYPE_CHECKING:
    from orchestrator.excelfile import Workbook

_ZIP: Final = b"PK\x03\x04"
"""How a ZIP archive begins, and with it every .xlsx (APPNOTE.TXT 4.3.7)."""
_COMPOUND: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""How a compound file begins ([MS-CFB] 2.2): Excel before 2007, and any workbook that a password protects."""
_STRANGE: Final = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd\ufeff]")
"""Control characters stand in no table, and come out where a file is read in another encoding than it is written in;
U+FFFD is what other programs leave of a character that they could not read."""


@dataclass(frozen=True)
class Source:
    """The bytes of a file."""

    name: str
    """The file's name, without its folder: what messages call it."""
    content: bytes

    @property
    def sha256(self) -> str:
        """The hash of the bytes."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def is_workbook(self) -> bool:
        """Whether it is an Excel file, by its first bytes.

        Raises:
            BadInput: It is one that only Excel itself can read.
        """
        if self.content.startswith(_COMPOUND):
            raise BadInput(
                f"{self.name} is a workbook of Excel before 2007 (.xls), or protected by a password; save it as .xlsx without one"
            )
        return self.content.startswith(_ZIP)

    @property
    def _called(self) -> str:
        """What messages call a workbook: whatever its name says, it is read as one."""
        return self.name if self.name.lower().endswith((".xlsx", ".xlsm")) else f"{self.name} (an Excel file, by its content)"

    def workbook(self) -> "Workbook":
        """Read it as an Excel file.

        Raises:
            BadInput: It is none, or the library for it is missing.
        """
        try:
            found: Workbook = import_module("orchestrator.excelfile").Workbook(self.content, self._called)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "openpyxl":
                raise
            raise BadInput(f"{self.name}: Excel files need openpyxl, which is not installed; Athanor's extra `excel` brings it") from error
        return found


@dataclass(frozen=True)
class Opened:
    """A table, with what stands around it."""

    table: TableFile
    units: tuple[str, ...]
    """What the units' row says by column; empty where there is none."""
    notes: tuple[str, ...] = ()


def read_source(path: Path) -> Source:
    """Read a file's bytes.

    Raises:
        BadInput: It cannot be read.
    """
    try:
        return Source(path.name, path.read_bytes())
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist") from error
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def open_table(source: Source, layout: LayoutSpec) -> Opened:
    """Read the table of a file.

    Rows of which every cell is empty hold nothing and are passed over.

    Raises:
        BadInput: It is not written as the layout says; names line and column, or the cell.
    """
    table, notes = _sheet(source, layout) if source.is_workbook else (_text(source, layout), ())
    lines = [(line, cells) for line, cells in table.lines if any(cell.strip() for cell in cells)]
    units: tuple[str, ...] = ()
    if layout.units_row and lines:
        units = tuple(cell.strip() for cell in lines.pop(0)[1])
    if not lines:
        raise BadInput(f"{table.what} has no rows below its header")
    columns = tuple(" ".join(name.split()) for name in table.columns)  # a header may be broken into lines
    check_header(columns, f"{table.what}, header")
    return Opened(replace(table, columns=columns, lines=tuple(lines)), units, notes)


def _sheet(source: Source, layout: LayoutSpec) -> tuple[TableFile, tuple[str, ...]]:
    book = source.workbook()
    table = book.table(layout.sheet, header=layout.header, dialect=layout.dialect)
    notes = (f"{table.what}: {one}; it is read like the others" for one in book.remarks(layout.sheet))
    if layout.comment:
        kept = tuple((line, cells) for line, cells in table.lines if not cells[0].lstrip().startswith(layout.comment))
        table = replace(table, lines=kept)
    return table, tuple(notes)


def _text(source: Source, layout: LayoutSpec) -> TableFile:
    if layout.sheet is not None:
        raise BadInput(f"{source.name} is no Excel file (.xlsx), but the mapping names its sheet {layout.sheet!r}")
    text = decode(source.content, what=source.name, encoding=layout.encoding).removeprefix("\ufeff")
    if found := _STRANGE.search(text):
        line, column = place_of(text, found.start())
        raise BadInput(
            f"{source.name}, line {line}, column {column}: the character U+{ord(found[0]):04X} stands in no table; "
            f"is the file written in another encoding than {layout.encoding}?"
        )
    return parse_table(text, what=source.name, dialect=layout.dialect, header=layout.header, comment=layout.comment)
