"""A table is read right or refused with file, line and column; nothing in it is guessed."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.errors import BadInput
from orchestrator.tablefile import PLAIN, Dialect, TableFile, parse_table, read_table

GERMAN = Dialect(delimiter=";", decimal=",")


def read(folder: Path, content: bytes, dialect: Dialect = PLAIN) -> TableFile:
    path = folder / "t.csv"
    path.write_bytes(content)
    return read_table(path, what="t.csv", dialect=dialect)


def numbers(table: TableFile) -> list[list[float]]:
    columns = ("T", "tau") if table.columns != ("T",) else ("T",)
    return [[row[name].number() for name in columns] for row in table.rows]


@pytest.mark.parametrize(
    ("content", "dialect"),
    [
        (b"T,tau\n1.5,2\n3,4\n", PLAIN),
        (b"\xef\xbb\xbfT,tau\n1.5,2\n3,4", PLAIN),
        (b"T,tau\r\n1.5,2\r\n3,4\r\n\r\n", PLAIN),
        (b"T,tau\r1.5,2\r3,4\r", PLAIN),
        (b"\n\nT,tau\n\n1.5,2\n\n3,4\n\n\n", PLAIN),
        (b'tau,"T",note\n2,"1.5","a, ""b""\n\nc"\n4, 3 ,\n', PLAIN),
        (b",T,tau\n0,1.5,2\n1,3,4\n", PLAIN),
        (b"T;tau\n1,5;2\n3;4\n", GERMAN),
        (b"T\ttau\n1.5\t2\n3\t4\n", Dialect(delimiter="\t")),
        ("T,tau,é\n1.5,2,0\n3,4,0\n".encode("latin-1"), Dialect(encoding="latin-1")),
        ("T,tau\n1.5,2\n3,4\n".encode("utf-16"), Dialect(encoding="utf-16")),
        ("\ufeffT,tau\n1.5,2\n3,4\n".encode("utf-16-le"), Dialect(encoding="utf-16-le")),
        ("T,tau\n1.5,2\n3,4\n".encode("utf-32"), Dialect(encoding="utf-32")),
        ("T,tau\n1.5,2\n3,4\n".encode("utf-8-sig"), Dialect(encoding="utf-8-sig")),
    ],
)
def test_a_table_is_read_as_it_says_that_it_is_written(content: bytes, dialect: Dialect, tmp_path: Path) -> None:
    assert numbers(read(tmp_path, content, dialect)) == [[1.5, 2.0], [3.0, 4.0]]


LONG = b"1" * 200_000
BROKEN = [
    (b"T,tau\n1,2,5\n", "t.csv, line 2: 3 cells; expected 2, as in the header: '5' stands behind column 'tau' (a decimal comma?)"),
    (b"T,tau\n1,2\n\n1,5\n3\n", "t.csv, line 5: 1 cell; expected 2, as in the header: column 'tau' has none"),
    (b"T,tau\n1,2,\n", "'' stands behind column 'tau' (does the line end with a delimiter?)"),
    (b"T,tau,\n1,2,\n", "t.csv, line 1: column 3 of 3 has no name"),
    (b"T,tau,T\n1,2,3\n", "t.csv, line 1: columns 1 and 3 are both called 'T'"),
    (b"T,tau, T\n1,2,3\n", "t.csv, line 1: columns 1 and 3 are both called 'T'"),
    (b"T,tau\n2_20,1\n", "t.csv, line 2, column 'T': '2_20' is not a number"),
    (b'T,tau\n2,"1,5"\n', "t.csv, line 2, column 'tau': '1,5' is not a number: a comma"),
    (b"T;tau\n1;2\n", "t.csv has no column 'T'; it has T;tau; cells are parted at ','"),
    (b"T;tau\n1,5;2,5\n", "t.csv, line 2: 3 cells; expected 1"),
    ("T,tau\n1,2\n1,é\n".encode("latin-1"), "t.csv, line 3, column 3: byte 0xe9 is not utf-8"),
    ("T,tau\n1,2\n".encode("utf-16"), "t.csv, line 1, column 1: byte 0xff is not utf-8: invalid start byte (the file begins like UTF-16)"),
    ("T,tau\n1,2\n".encode("utf-16-le"), "t.csv, line 1, column 2: there is a NUL character"),
    (b"T,tau\n1,2\n3,\x00\n", "t.csv, line 3, column 3: there is a NUL character"),
    (b"T,tau\n,1\n", "t.csv, line 2, column 'T': the cell is empty"),
    (b"T,tau\n1, \n", "t.csv, line 2, column 'tau': the cell is empty"),
    (b"T,tau\n1,<0.1\n", "t.csv, line 2, column 'tau': '<0.1' is not a number"),
    (b"T,tau\n1,#DIV/0!\n", "t.csv, line 2, column 'tau': '#DIV/0!' is not a number"),
    (b"T,tau\n1,nan\n", "t.csv, line 2, column 'tau': 'nan' is not finite"),
    (b"T,tau\n1,1e999\n", "t.csv, line 2, column 'tau': '1e999' is not finite"),
    ("T,tau\n1,١٢\n".encode(), "t.csv, line 2, column 'tau': '١٢' is not a number"),
    (b"T,tau\n1,2\n1," + LONG + b"\n", "t.csv, line 3, cell 2 is longer than 131072 characters"),
    (b'T,tau\n1,2\n1,"2\n3,4\n', "t.csv, line 3, cell 2 has no end; is a quotation mark left open?"),
    (b'T,tau\n1,"2"x\n', "t.csv, line 2, in the row that begins here: a cell goes on behind its closing quotation mark"),
    (b'"T,tau\n1,2\n', "t.csv, line 1, cell 1 has no end"),
    (b'T,tau,note\n1,2,"a\nb\n\nc"\nx,2,\n', "t.csv, line 6, column 'T': 'x' is not a number"),
    (b"T, tau\n1,2\n", "t.csv has no column 'tau'; it has T, ' tau'"),
    (b"T,tau\n", "t.csv has no rows: there is a header only"),
    (b"", "t.csv is empty"),
    (b"\n\r\n", "t.csv is empty"),
    (b"T\n1\n\n2\n", "t.csv, line 3, column 'T': the cell is empty"),
]


@pytest.mark.parametrize(("content", "said"), BROKEN, ids=[said[:60] for _, said in BROKEN])
def test_what_would_have_to_be_guessed_is_refused_with_its_place(content: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        numbers(read(tmp_path, content))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["1.5", "1.234,5", "1,5,2", "nan", "2_2"])
def test_a_table_with_decimal_commas_has_no_other_numbers(text: str) -> None:
    (row,) = parse_table(f"T;tau\n{text};1\n", what="t.csv", dialect=GERMAN).rows
    with pytest.raises(BadInput, match=rf"t\.csv, line 2, column 'T': '{text}' is not a number; expected one with the decimal sign ','"):
        row["T"].number()


def test_what_is_no_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"table x cannot be read: Is a directory$"):
        read_table(tmp_path, what="table x")
    with pytest.raises(BadInput, match=r"table x does not exist$"):
        read_table(tmp_path / "x", what="table x")
    with pytest.raises(BadInput, match="table x cannot be read: embedded null byte"):
        read_table(tmp_path / "\0", what="table x")


@pytest.mark.parametrize(
    "keys",
    [{"decimal": ","}, {"delimiter": ";;"}, {"delimiter": ""}, {"delimiter": '"'}, {"delimiter": "5"}, {"delimiter": "\n"},
     {"decimal": "x"}, {"thousands": "."}, {"thousands": ","}, {"thousands": ";"},
     {"encoding": "klingon"}, {"encoding": "hex"}, {"encoding": ""}],
)  # fmt: skip
def test_a_dialect_that_nothing_can_be_written_in_is_refused(keys: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Dialect.model_validate(keys)


TEXTS = st.text(st.characters(exclude_characters="\0\r", codec="utf-8"), max_size=8)


@given(rows=st.lists(st.tuples(st.floats(allow_nan=False, allow_infinity=False), TEXTS), min_size=1, max_size=5))
def test_what_the_csv_module_writes_is_read_back(rows: list[tuple[float, str]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([("x", "name"), *rows])
    table = parse_table(text.getvalue().replace("\r\n", "\n"), what="t.csv")
    assert [(row["x"].number(), str(row["name"])) for row in table.rows] == rows
