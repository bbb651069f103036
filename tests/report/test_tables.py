"""Tables handed out as CSV, Parquet and frames are the same tables: pandas is the reader that nobody here wrote."""

import io
import json
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.report.export.columns import Column, Kind, Table, difference
from flows.report.export.csv_files import csv_of
from flows.report.export.description import description_of
from flows.report.export.frames import frame_of
from flows.report.export.layers import layer
from flows.report.export.parquet import parquet_of
from flows.report.export.source import Source
from flows.report.export.spectra import spectra_table
from flows.report.export.tables import tables_of
from orchestrator.domain.objective import Objective, Target
from tests.report import cases

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    "text": TEXT,
    "category": TEXT,
    "integer": st.integers(-(2**62), 2**62),
    "number": st.floats(allow_nan=False),
    "boolean": st.booleans(),
    "time": st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
}
COLUMNS = tuple(Column(kind, f"A {kind}.", kind, "degC" if kind == "number" else "") for kind in VALUES)
ROWS = st.lists(st.fixed_dictionaries({kind: st.none() | one for kind, one in VALUES.items()}), max_size=5)
few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def table_of(rows: list[dict[str, Any]]) -> Table:
    return Table("things", "Things.", COLUMNS, tuple(rows))


def campaign() -> Source:
    return Source(cases.campaign(), cases.SPACE, cases.OBJECTIVE, (), cases.HEAD, cases.readings)


def read_back(table: Table) -> pd.DataFrame:
    texts = {column.head: "str" for column in table.columns if column.kind in ("text", "category")}
    times = [column.head for column in table.columns if column.kind == "time"]
    return pd.read_csv(io.StringIO(csv_of(table)), dtype=texts, parse_dates=times, keep_default_na=False, na_values=[""])


def bits(value: float) -> bytes:
    return struct.pack(">d", value)


@few
@given(ROWS)
def test_what_pandas_reads_of_a_csv_file_is_what_was_written_bit_for_bit(rows: list[dict[str, Any]]) -> None:
    found = read_back(table_of(rows))
    assert list(found) == ["text", "category", "integer", "number [degC]", "boolean", "time"]
    assert same_numbers(rows, found)
    for kind in ("text", "category", "boolean", "time"):
        for row, value in zip(rows, found[kind].tolist(), strict=True):
            assert (pd.isna(value) and row[kind] is None) or value == row[kind]


def same_numbers(rows: list[dict[str, Any]], found: pd.DataFrame) -> bool:
    both = zip((row["number"] for row in rows), found["number [degC]"].tolist(), strict=True)
    return all(pd.isna(now) if was is None else bits(was) == bits(now) for was, now in both)


@few
@given(ROWS)
def test_what_pandas_reads_of_a_parquet_file_is_the_frame(rows: list[dict[str, Any]]) -> None:
    table = table_of(rows)
    frame, found = frame_of(table), pd.read_parquet(io.BytesIO(parquet_of(table)))
    plain = {"category": "str"}  # of a column without any value Parquet keeps no list of categories
    pd.testing.assert_frame_equal(frame.astype(plain), found.astype(plain), check_exact=True)
    assert found.attrs == frame.attrs
    assert [str(dtype) for dtype in frame.dtypes] == ["str", "category", "Int64", "float64", "boolean", "datetime64[us, UTC]"]
    assert same_numbers(rows, found)


def test_units_stand_in_heads_attrs_description_and_arrow_fields_alike() -> None:
    for table in (*tables_of(campaign()), spectra_table(campaign())):
        fields = {field.name: field.metadata for field in pq.read_schema(io.BytesIO(parquet_of(table)))}
        described = json.loads(description_of([table], "cdse-600"))["tables"][0]["tableSchema"]["columns"]
        heads = csv_of(table).partition("\n")[0].split(",")
        assert heads == list(fields) == list(frame_of(table)) == [one["titles"] for one in described]
        for head, one in zip(heads, described, strict=True):
            unit = frame_of(table).attrs["units"].get(head, "")
            assert head.endswith(f" [{unit}]") if unit else "[" not in head
            assert unit == one.get("schema:unitText", "") == fields[head][b"unit"].decode()
            assert one["dc:description"].endswith(".")


def test_a_difference_of_temperatures_has_no_zero() -> None:
    assert [difference(unit) for unit in ("degC", "nm", "")] == ["delta_degC", "nm", ""]
    melting = Objective(targets=(Target(name="melting", unit="degC", goal="maximise"),))
    table = next(one for one in tables_of(Source(cases.campaign(), cases.SPACE, melting, (), cases.HEAD)) if one.name == "experiments")
    heads = [column.head for column in table.columns]
    assert {"result.melting [degC]", "uncertainty.melting [delta_degC]", "residual.melting [delta_degC]"} <= set(heads)


def test_the_wide_table_has_results_predictions_and_decisions_of_each_experiment(tmp_path: Path) -> None:
    wide = read_back(next(one for one in tables_of(campaign()) if one.name == "experiments")).set_index("experiment")
    assert len(wide) == 24
    fourth = wide.loc[4]
    assert (fourth["configuration.T [degC]"], fourth["approved.T [degC]"], fourth["decided_by"]) == (244.2, 244.0, "person Ada")
    assert wide.loc[9, "attempts"] == 2
    second, told = wide.loc[2], cases.measurements(2)[0]
    assert bits(second["result.wavelength [nm]"]) == bits(float(told.value or 0))
    assert second["uncertainty.wavelength [nm]"] == told.uncertainty
    expected = cases.proposal(2).provenance.predicted["wavelength"]
    assert bits(second["residual.wavelength [nm]"]) == bits(float(told.value or 0) - expected.mean)
    assert (second["predicted.wavelength.low [nm]"], second["predicted.wavelength.high [nm]"]) == (expected.low, expected.high)


def test_a_spectrum_is_one_row_per_point_beside_its_axis() -> None:
    found = read_back(spectra_table(campaign(), frozenset({"0195-0003-1"})))
    axis, dark, sample = (one.array or () for one in cases.readings("0195-0003-1"))
    assert set(found["experiment"]) == {3}
    for channel, values in (("Dark", dark), ("Sample", sample)):
        one = found[found["channel"] == channel]
        assert one["axis"].tolist() == list(axis)
        assert list(map(bits, one["value"])) == list(map(bits, values))
        assert (set(one["axis_unit"]), set(one["unit"])) == ({"nm"}, {"counts"})


def test_a_value_without_a_column_is_never_lost_silently() -> None:
    with pytest.raises(ValueError, match="has no column"):
        Table("things", "Things.", COLUMNS, ({"other": 1},))
    with pytest.raises(ValueError, match="a column twice"):
        Table("things", "Things.", (*COLUMNS, *COLUMNS), ())


def test_a_parameter_that_is_called_like_a_column_has_a_layer_before_it() -> None:
    assert next(column.name for column in layer("configuration", cases.SPACE)) == "configuration.T"
