"""Sheets of Excel files (.xlsx) as tables of text, for the extra `excel`: what a person would see, or a refusal that names the cell.

openpyxl reads cells and the values that formulas had when the file was saved. Its cells keep percentages as fractions and
dates as such; here a percentage becomes a number with its sign, and a date the text of ISO 8601.
"""

import io
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from openpyxl import load_workbook
from openpyxl.utils import get_column_letter
from openpyxl.utils.exceptions import InvalidFileException

from orchestrator.errors import BadInput
from orchestrator.tablefile import Dialect, TableFile, check_header

_UNREADABLE: Final = (
    InvalidFileException,
    zipfile.BadZipFile,
    zlib.error,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
)
"""What openpyxl and zipfile raise on a file that is no workbook, or a damaged one; broken XML is a SyntaxError."""
_QUOTED: Final = re.compile(r'"[^"]*"|\\.')
"""What a number format shows as it stands: a percent sign in it scales nothing (ECMA-376 part 1, 18.8.31)."""
_MOST: Final = 1_000_000
"""So many cells are read at most: a sheet with one forgotten cell at its far end has 17 thousand million."""


class Workbook:
    """An Excel file that was read."""

    def __init__(self, content: bytes, what: str) -> None:
        """Read a workbook.

        Args:
            content: The file's bytes.
            what: What messages call it.

        Raises:
            BadInput: It is no workbook.
        """
        self._what = what
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of styles, filters and print settings that it cannot write again
                self._values = load_workbook(io.BytesIO(content), data_only=True)
                self._formulas = load_workbook(io.BytesIO(content), data_only=False)
        except _UNREADABLE as error:
            said = " ".join(str(error).split()) or type(error).__name__
            raise BadInput(f"{what} is not an Excel workbook (.xlsx): {said}") from error

    @property
    def sheets(self) -> tuple[str, ...]:
        """The sheets that a person sees."""
        return tuple(one.title for one in self._values.worksheets if one.sheet_state == "visible")

    def table(self, sheet: str | None, *, header: int, dialect: Dialect) -> TableFile:
        """Read a sheet as a table.

        Args:
            sheet: Its name; None where there is only one.
            header: Row of the header; what stands above is no part of the table.
            dialect: How numbers are written where a cell is text; cells that are numbers are written like it.

        Raises:
            BadInput: There is no such sheet, cells are merged, a formula has no value, or it is no table.
        """
        name = self._chosen(sheet)
        what = f"{self._what}, sheet {name!r}"
        rows = {number: texts for number, texts in self._rows(name, what, header, dialect) if any(texts)}
        width = max((1 + max(i for i, text in enumerate(texts) if text) for texts in rows.values()), default=0)
        columns = [text.strip("\n") for text in rows.pop(header, [])[:width]]
        check_header(columns, f"{what}, row {header}")
        if not rows:
            raise BadInput(f"{what} has no rows: there is a header only")
        lines = tuple((number, texts[:width]) for number, texts in sorted(rows.items()))
        return TableFile(what, dialect, tuple(columns), lines, letters=tuple(get_column_letter(i + 1) for i in range(width)))

    def cells(self, sheet: str | None) -> dict[int, list[str]]:
        """Return the texts of a sheet's rows that are not empty, by row, merged cells among them; see `table`."""
        name = self._chosen(sheet)
        rows = ((row[0].row, ["" if cell.value is None else str(cell.value) for cell in row]) for row in self._page(name).iter_rows())
        return {number: texts for number, texts in rows if any(texts)}

    def remarks(self, sheet: str | None) -> tuple[str, ...]:
        """Say what of a sheet is hidden from whoever looks at it, and which cells are struck through."""
        found = self._values[self._chosen(sheet)]
        rows = (f"row {number} is hidden" for number, one in sorted(found.row_dimensions.items()) if one.hidden)
        columns = (f"column {letter} is hidden" for letter, one in sorted(found.column_dimensions.items()) if one.hidden)
        cells = (cell for row in found.iter_rows() for cell in row if cell.value is not None and self._look(cell)[1])
        return (*rows, *columns, *(f"cell {cell.coordinate} is struck through" for cell in cells))

    def _chosen(self, sheet: str | None) -> str:
        listed = ", ".join(map(repr, self.sheets))
        if sheet is None and len(self.sheets) == 1:
            return self.sheets[0]
        if sheet is None:
            raise BadInput(f"{self._what} has {len(self.sheets)} sheets: {listed}; say which one (--sheet, or sheet under [table])")
        if sheet not in [one.title for one in self._values.worksheets]:
            raise BadInput(f"{self._what} has no sheet {sheet!r}; it has {listed}")
        return sheet

    def _page(self, name: str) -> Any:
        page = self._values[name]
        if page.max_row * page.max_column > _MOST:
            last = f"{get_column_letter(page.max_column)}{page.max_row}"
            raise BadInput(
                f"{self._what}, sheet {name!r} reaches to cell {last}; expected {_MOST} cells at most (delete empty rows and columns)"
            )
        return page

    def _rows(self, name: str, what: str, header: int, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
        values, formulas = self._page(name), self._formulas[name]
        for one in sorted(values.merged_cells.ranges, key=str):
            if one.max_row >= header:
                raise BadInput(f"{what}: cells {one} are merged; expected a value in each cell of the table")
        for shown, written in zip(values.iter_rows(min_row=header), formulas.iter_rows(min_row=header), strict=True):
            yield shown[0].row, [self._text(one, other, what, dialect) for one, other in zip(shown, written, strict=True)]

    def _look(self, cell: Any) -> tuple[str, bool]:
        """Return the format of a cell's number, and whether it is struck through."""
        try:
            return str(cell.number_format), bool(cell.font.strike)
        except LookupError as error:
            raise BadInput(f"{self._what}, cell {cell.coordinate} names a format that the workbook does not have; save it anew") from error

    def _text(self, cell: Any, written: Any, what: str, dialect: Dialect) -> str:
        value = cell.value
        if value is None and written.data_type == "f":
            raise BadInput(f"{what}, cell {cell.coordinate}: a formula without the value that it had; open the file in Excel and save it")
        if isinstance(value, bool | str) or value is None:
            return "" if value is None else str(value).upper() if isinstance(value, bool) else value
        if isinstance(value, date | datetime):
            return value.isoformat()
        if not isinstance(value, int | float):
            return str(value)
        if "%" in _QUOTED.sub("", self._look(cell)[0]):
            return f"{(Decimal(repr(value)) * 100).normalize():f} %".replace(".", dialect.decimal)
        return repr(int(value) if float(value).is_integer() and abs(value) < 1e15 else float(value)).replace(".", dialect.decimal)
