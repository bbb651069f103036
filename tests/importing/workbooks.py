"""Excel files, written by XlsxWriter."""

import io
from collections.abc import Callable
from datetime import datetime
from typing import Any

import openpyxl
import xlsxwriter

from tests.importing.table import (
    DATED,
    File,
    at,
    columns,
    row,
)


def workbook(write: Callable[[Any, Any], None], sheets: tuple[str, ...] = ("Runs",)) -> bytes:
    """Write a workbook; `write` fills its last sheet."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    pages = [book.add_worksheet(name) for name in sheets]
    write(book, pages[-1])
    book.close()
    return out.getvalue()


HEAD = ("T", "t", "solvent", "yield", "date")


def _good(book: Any, page: Any) -> None:
    page.merge_range("A1:E1", "series 7")
    page.write_row("A3", HEAD)
    page.write_row("A4", (25, 60, "DMF"))
    page.write_formula("D4", "=103/2", None, 51.5)
    page.write_datetime("E4", datetime(2026, 12, 31, 14, 5), book.add_format({"num_format": "dd.mm.yyyy hh:mm"}))
    page.write_row("A5", ("80.0", 90, " water "))
    page.write_number("D5", 0.07, book.add_format({"num_format": "0.0%"}))
    page.set_row(4, None, None, {"hidden": True})
    page.write_number("B5", 90, book.add_format({"font_strikeout": True}))


def _broken(kind: str) -> Callable[[Any, Any], None]:
    def write(_book: Any, page: Any) -> None:
        page.write_row("A1", HEAD[:4])
        page.write_row("A2", (25, 60, "DMF", 5))
        if kind == "merged":
            page.merge_range("D3:D4", 5)
        elif kind == "error":
            page.write_formula("D2", "=1/0", None, "#DIV/0!")
        elif kind == "truth":
            page.write_boolean("D2", True)
        elif kind == "text":
            page.write_string("D2", "5,5")
        elif kind == "far":
            page.write("XFD1048576", 1)

    return write


def _without_values() -> bytes:
    """Write a formula as programs do that do not calculate."""
    book, out = openpyxl.Workbook(), io.BytesIO()
    page = book.worksheets[0]
    page.title = "Runs"
    for line in (HEAD[:4], (25, 60, "DMF", "=1+1")):
        page.append(line)
    book.save(out)
    return out.getvalue()


def excel(name: str, kind: str, said: str) -> File:
    return File(name, workbook(_broken(kind)), columns(), said=said, suffix="xlsx")


EXCEL = [
    File(
        "Excel",
        workbook(_good),
        '[table]\nheader = 3\nzone = "Europe/Berlin"\n' + DATED,
        (row(25, 60, "DMF", y=51.5, at=at("2026-12-31T13:05+00:00")), row(80, 90, "water", y=7.0)),
        suffix="xlsx",
        notes=(
            "t.xlsx, sheet 'Runs': row 5 is hidden; it is read like the others",
            "t.xlsx, sheet 'Runs': cell B5 is struck through; it is read like the others",
        ),
    ),
    File(
        "a sheet of several",
        workbook(_broken(""), ("Notes", "Runs")),
        '[table]\nsheet = "Runs"\n' + columns(),
        (row(25, 60, "DMF", y=5.0),),
        suffix="xlsx",
    ),
    File(
        "a sheet that nobody named",
        workbook(_broken(""), ("Notes", "Runs")),
        columns(),
        said="t.xlsx has 2 sheets: 'Notes', 'Runs'; say which one",
        suffix="xlsx",
    ),
    File(
        "a sheet that is not there",
        workbook(_broken("")),
        '[table]\nsheet = "Data"\n' + columns(),
        said="t.xlsx has no sheet 'Data'; it has 'Runs'",
        suffix="xlsx",
    ),
    excel("merged cells", "merged", "t.xlsx, sheet 'Runs': cells D3:D4 are merged"),
    File(
        "a formula without its value",
        _without_values(),
        columns(),
        said="t.xlsx, sheet 'Runs', cell D2: a formula without the value that it had",
        suffix="xlsx",
    ),
    excel("an error in a cell", "error", "t.xlsx, sheet 'Runs', cell D2 ('yield'): '#DIV/0!' is not a number"),
    excel("a truth for a number", "truth", "t.xlsx, sheet 'Runs', cell D2 ('yield'): 'TRUE' is not a number"),
    excel("a text for a number", "text", "t.xlsx, sheet 'Runs', cell D2 ('yield'): '5,5' is not a number: a comma"),
    excel("a forgotten cell at the end of the sheet", "far", "t.xlsx, sheet 'Runs' reaches to cell XFD1048576"),
]
