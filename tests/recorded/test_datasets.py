import csv
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator import datasets
from orchestrator.catalogue import CATALOGUE
from orchestrator.datasets import DATA_VARIABLE, Table, describe, find, load_table
from orchestrator.errors import BadInput
from tests.recorded.tables import data_dir, small_table


@pytest.fixture
def no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DATA_VARIABLE, raising=False)


def one_line(message: str) -> str:
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_recorded_file_is_the_one_the_catalogue_means(name: str) -> None:
    entry = describe(name)
    table = load_table(name, data_dir())
    assert len(table.rows) == entry.rows
    with find(name, data_dir()).open(encoding="utf-8-sig", newline="") as file:
        assert next(csv.reader(file)) == [column.name for column in entry.columns]


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_entry_names_source_licence_citation_and_a_directed_target(name: str) -> None:
    entry = describe(name)
    assert entry.licence
    assert entry.citation
    assert entry.path in entry.origin
    assert len(entry.sha256) == 64
    assert all(column.goal for column in entry.columns if column.role == "target")
    assert len({column.name for column in entry.columns}) == len(entry.columns)


def test_the_byte_order_mark_is_no_part_of_the_first_header() -> None:
    table = load_table("direct-arylation", data_dir(), {"Temp_C": 105})
    assert len(table.rows) == 576
    assert table.rows[0].values["entry"] == 0.0


def test_an_unknown_table_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match=r"'crossed_barrel' is unknown; known: .*crossed-barrel"):
        describe("crossed_barrel")


@pytest.mark.usefixtures("no_folder")
def test_without_a_folder_one_line_says_how_to_name_it_and_where_the_data_are() -> None:
    with pytest.raises(BadInput) as caught:
        find("cn-coupling")
    message = one_line(str(caught.value))
    assert "--data" in message
    assert DATA_VARIABLE in message
    assert "deebo/cn-processed.csv from https://github.com/doyle-lab-ucla/ochem-data (licence CC-BY-4.0)" in message


def test_a_missing_file_is_one_line_with_repository_path_and_licence(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        find("oer-plate-3496", tmp_path)
    message = one_line(str(caught.value))
    assert str(tmp_path / "oer_plates/oer_plate_3496.csv") in message
    assert "src/olympus/datasets/dataset_oer_plate_3496/data.csv" in message
    assert "licence MIT" in message


def test_a_changed_file_is_one_line_with_both_hashes(tmp_path: Path) -> None:
    path = tmp_path / "singles/snar.csv"
    path.parent.mkdir()
    path.write_text("residence_time,ratio,concentration,temperature,impurity\n1,1,1,1,1\n")
    with pytest.raises(BadInput) as caught:
        find("snar", tmp_path)
    message = one_line(str(caught.value))
    assert f"expected {describe('snar').sha256}" in message
    assert message.count("sha256") == 1


def test_the_environment_names_the_folder_where_no_option_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    with pytest.raises(BadInput, match=f"there is no {tmp_path}"):
        find("snar")


def test_a_task_keeps_only_its_own_rows() -> None:
    table = load_table("cn-coupling", data_dir(), {"substrate_id": "s4"})
    assert len(table.rows) == 240
    assert {row.values["substrate_id"] for row in table.rows} == {"s4"}
    assert table.label == "table cn-coupling (substrate_id = s4)"


def test_a_task_without_rows_is_refused_with_those_there_are() -> None:
    with pytest.raises(BadInput, match=r"no row has Temp_C = 100; there are 105.0, 120.0, 90.0"):
        load_table("direct-arylation", data_dir(), {"Temp_C": 100})


def test_a_task_column_that_does_not_exist_is_refused() -> None:
    with pytest.raises(BadInput, match="no column 'substrate'; it has: base_smiles"):
        load_table("cn-coupling", data_dir(), {"substrate": "s1"})


def test_a_cell_that_is_no_number_names_file_row_and_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"x,y\n1,2\n2,\n"
    entry = replace(small_table().dataset, sha256=hashlib.sha256(content).hexdigest())
    (tmp_path / "small.csv").write_bytes(content)
    monkeypatch.setattr(datasets, "CATALOGUE", {"small": entry})
    with pytest.raises(BadInput, match=r"small\.csv, line 3, column 'y': the cell is empty; expected a number"):
        load_table("small", tmp_path)


def test_the_groups_of_a_table_hold_each_task_once() -> None:
    groups = describe("cn-coupling").groups
    tasks = [task for members in groups.values() for task in members]
    assert groups["scaffold-2"] == ("s4", "s5", "s6")
    assert sorted(tasks) == sorted({f"s{n}" for n in range(1, 16)})


def test_a_table_has_the_columns_of_its_entry_only() -> None:
    table: Table = small_table()
    assert table.column("y").unit == "percent"
    with pytest.raises(BadInput, match="no column 'z'; it has: x, y"):
        table.column("z")
