"""What our reader reads, pandas and Python's own csv module read too."""

import csv
import io
import unicodedata
from pathlib import Path

import openpyxl.utils.datetime
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import BadInput
from orchestrator.importing.dates import read_date
from orchestrator.importing.mapping import MappingSpec, parse_mapping
from orchestrator.importing.opening import Source, open_table
from orchestrator.tablefile import Dialect, TableFile, parse_table
from tests.importing.read_right import READ
from tests.importing.table import File
from tests.importing.workbooks import EXCEL

LEFT_AS_TEXT = {"narrow blanks between thousands", "units in cells", "percent signs", "empty cells"}
"""Their numbers pandas does not read."""


def ours(file: File) -> tuple[TableFile, MappingSpec]:
    spec = parse_mapping(file.mapping, "m").spec
    return open_table(Source(file.path, file.content), spec.table).table, spec


@pytest.mark.parametrize("file", [file for file in READ if file.name not in LEFT_AS_TEXT], ids=lambda file: file.name)
def test_pandas_reads_the_same_numbers_and_texts(file: File) -> None:
    table, spec = ours(file)
    layout = spec.table
    begin = layout.header - 1
    text = "\n".join(
        file.content.decode(layout.encoding).removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")[begin:]
    )
    lines = [line for line in text.split("\n") if not (layout.comment and line.lstrip().startswith(layout.comment))]
    frame = pd.read_csv(
        io.StringIO("\n".join(lines)),
        sep=layout.delimiter,
        decimal=layout.decimal,
        thousands=layout.thousands or None,
        skiprows=[1] if layout.units_row else None,
        keep_default_na=False,
        skip_blank_lines=True,
        dtype={column: str for column in table.columns if not is_number(spec, column)},
    )
    frame = frame[frame.apply(lambda row: any(str(cell).strip() for cell in row), axis=1)]
    assert [" ".join(str(name).split()) for name in frame.columns] == list(table.columns)
    assert len(frame) == len(table.rows)
    for index, row in enumerate(table.rows):
        for column, theirs in zip(table.columns, frame.iloc[index], strict=True):
            if isinstance(theirs, str):
                assert str(row[column]) == theirs
            else:
                assert row[column].number() == float(theirs)


def is_number(spec: MappingSpec, column: str) -> bool:
    one = {" ".join(name.split()): one for name, one in spec.columns.items()}[column]
    return one.parameter in ("T", "t") or one.target is not None


def test_pandas_reads_the_same_sheet() -> None:
    table, spec = ours(EXCEL[0])
    frame = pd.read_excel(io.BytesIO(EXCEL[0].content), header=spec.table.header - 1)
    assert list(frame.columns) == list(table.columns)
    assert [row["yield"].quantity() for row in table.rows] == [(51.5, ""), (7.0, "%")]
    assert list(frame["yield"]) == [51.5, 0.07]
    assert pd.Timestamp(str(table.rows[0]["date"])) == frame["date"][0]


@pytest.mark.parametrize("encoding", ["cp1252", "iso8859-15", "mac-roman"])
def test_every_letter_of_an_encoding_comes_out_as_the_codec_tables_say(encoding: str) -> None:
    """Unicode's own names: each byte that is a letter or a sign in the table comes out as that."""
    for byte in range(0x80, 0x100):
        try:
            right = bytes([byte]).decode(encoding)
        except UnicodeDecodeError:
            right = None
        content = b"T,s\n1," + bytes([byte]) + b"\n"
        layout = parse_mapping(f'[table]\nencoding = "{encoding}"\n[columns]\nT = {{ target = "y" }}\n', "m").spec.table
        if right is None or unicodedata.category(right) == "Cc":
            with pytest.raises(BadInput, match=r"t\.csv, line 2, column 3: "):
                open_table(Source("t.csv", content), layout)
        else:
            assert str(open_table(Source("t.csv", content), layout).table.rows[0]["s"]) == right


@given(days=st.floats(min_value=61, max_value=2958465, allow_nan=False))
def test_days_of_a_spreadsheet_are_what_openpyxl_says(days: float) -> None:
    (row,) = parse_table(f"d,x\n{days!r},1\n", what="t.csv").rows
    zone = parse_mapping('[table]\nzone = "UTC"\n[columns]\nd = { target = "y" }\n', "m").spec.table.clock
    theirs = openpyxl.utils.datetime.from_excel(days)
    found = read_date(row["d"], "excel", zone).replace(tzinfo=None)
    assert abs((found - theirs).total_seconds()) < 0.0015  # both round to a thousandth


@given(value=st.floats(min_value=-1e12, max_value=1e12), decimal=st.sampled_from(".,"), thousands=st.sampled_from(["", ".", ",", " ", "'"]))
def test_numbers_in_groups_are_what_was_written(value: float, decimal: str, thousands: str) -> None:
    if thousands == decimal:
        return
    text = f"{value:,.4f}".replace(",", "g").replace(".", decimal).replace("g", thousands)
    table = parse_table(f"a;b\n{text};1\n", what="t.csv", dialect=Dialect(delimiter=";", decimal=decimal, thousands=thousands))
    assert table.rows[0]["a"].number() == float(f"{value:.4f}")


def test_the_csv_module_and_we_see_the_same_rows_between_comments(tmp_path: Path) -> None:
    text = 'a,b\n# "open\n1,"x\n# y"\n#\n2,z\n'
    table = parse_table(text, what="t.csv", comment="#")
    kept = "".join(line for line in io.StringIO(text) if line not in ('# "open\n', "#\n"))
    assert [row.cells for row in table.rows] == list(csv.reader(io.StringIO(kept)))[1:]
    assert [row.line for row in table.rows] == [3, 6]
