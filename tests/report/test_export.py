"""What the CSV files hold, and which files an export may replace."""

import csv
import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest

from flows.report.export.campaign import export_campaign
from flows.report.export.source import Source
from flows.report.export.tables import TABLES
from flows.report.files import write_atomically
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.ports import Changes
from tests.report import cases


def export(out: Path, changes: Changes | None = None) -> tuple[Path, ...]:
    return export_campaign(source(changes), out)


def source(changes: Changes | None = None) -> Source:
    return Source(changes or cases.campaign(), cases.SPACE, cases.OBJECTIVE, (), cases.HEAD)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_runs_have_one_row_per_attempt_with_four_layers_of_values(tmp_path: Path) -> None:
    export(tmp_path)
    runs = rows(tmp_path / "runs.csv")
    assert list(runs[0])[:7] == ["run_key", "run_id", "attempt", "state", "reason", "proposed.T [degC]", "proposed.tau [s]"]
    assert len(runs) == 25
    ninth = [row for row in runs if row["run_id"] == "r-0009"]
    assert [(row["attempt"], row["state"], row["reason"]) for row in ninth] == [("1", "superseded", "not executed"), ("2", "completed", "")]
    assert (ninth[0]["measured.T [degC]"], ninth[0]["result.fwhm [nm]"], ninth[0]["objective"]) == ("", "", "")


def test_an_edited_run_shows_what_was_proposed_approved_commanded_and_measured(tmp_path: Path) -> None:
    export(tmp_path)
    fourth = next(row for row in rows(tmp_path / "runs.csv") if row["run_key"] == "0195-0004-1")
    layers = [f"{name} [degC]" for name in ("proposed.T", "approved.T", "commanded.oven.set_temperature.temperature", "measured.T")]
    assert [float(fourth[name]) for name in layers] == [cases.configuration(4)["T"], 244.0, 244.0, 244.2]


def test_numbers_are_written_so_that_they_read_back_the_same(tmp_path: Path) -> None:
    export(tmp_path)
    first = rows(tmp_path / "runs.csv")[0]
    assert float(first["measured.T [degC]"]) == cases.run(1).measured["T"]
    measured = {row["target"]: row for row in rows(tmp_path / "measurements.csv") if row["run_key"] == "0195-0001-1"}
    assert {one.target: one.value for one in cases.measurements(1)} == {name: float(row["value"]) for name, row in measured.items()}


def test_proposals_have_one_row_per_revision_with_decision_and_prediction(tmp_path: Path) -> None:
    export(tmp_path)
    proposals = rows(tmp_path / "proposals.csv")
    assert len(proposals) == 26
    fourth = [row for row in proposals if row["number"] == "4"]
    assert [(row["revision"], row["status"], row["decided_by"]) for row in fourth] == [
        ("1", "proposed", ""),
        ("2", "approved", "person Ada"),
    ]
    assert float(proposals[0]["predicted.fwhm.sd [nm]"]) == 1.0
    assert proposals[0]["content_hash"] == cases.proposal(1).content_hash


def test_measurements_carry_unit_status_and_the_hashes_of_their_readings(tmp_path: Path) -> None:
    export(tmp_path)
    measured = rows(tmp_path / "measurements.csv")
    assert list(measured[0])[:2] == ["run_key", "run_id"]
    doubted = [row for row in measured if row["status"] != "accepted"]
    assert [(row["run_key"], row["target"], row["reason"]) for row in doubted] == [
        ("0195-0014-1", "quantum_yield", "reference drifted by 6 %")
    ]
    assert measured[0]["unit"] == "nm"
    assert measured[0]["raw_sha256"] == f"{1:064x}"


def test_the_ledgers_head_and_the_files_hashes_stand_beside(tmp_path: Path) -> None:
    paths = export(tmp_path)
    note = json.loads((tmp_path / "ledger.json").read_text())
    assert note["head"] == {"seq": cases.HEAD[0], "sha256": cases.HEAD[1]}
    assert {path.name for path in paths} == {"ledger.json", *note["files"]}
    for name, expected in note["files"].items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == expected


def test_reasons_with_commas_quotes_and_line_ends_stay_one_cell(tmp_path: Path) -> None:
    awkward = 'pump "P1", stalled\nagain; =1+1'
    changes = Changes(1, cases.record(), (cases.proposal(1),), (cases.run(1, reason=awkward),))
    export(tmp_path, changes)
    assert [row["reason"] for row in rows(tmp_path / "runs.csv")] == [awkward]


def test_a_carriage_return_ends_no_row(tmp_path: Path) -> None:
    changes = Changes(1, cases.record(), (cases.proposal(1),), (cases.run(1, reason="pump: S\rE4"),))
    export(tmp_path, changes)
    assert [row["reason"] for row in rows(tmp_path / "runs.csv")] == ["pump: S\rE4"]
    assert pd.read_csv(tmp_path / "runs.csv")["reason"].tolist() == ["pump: S\rE4"]
    assert b"\r\n" not in (tmp_path / "runs.csv").read_bytes()


def test_an_empty_campaign_gives_heads_alone(tmp_path: Path) -> None:
    export(tmp_path, Changes(1, cases.record()))
    assert rows(tmp_path / "runs.csv") == []
    assert (tmp_path / "runs.csv").read_text().startswith("run_key,run_id,attempt,state,reason,proposed.T [degC],")


def test_a_composition_has_one_column_per_component(tmp_path: Path) -> None:
    data = cases.alloys()
    runs = tuple(run for one in data.experiments for run in one.attempts)
    changes = Changes(1, data.campaign, data.proposals, runs, data.measurements)
    export_campaign(Source(changes, cases.ALLOY, cases.OVERPOTENTIAL, (), cases.HEAD), tmp_path)
    assert float(rows(tmp_path / "runs.csv")[0]["approved.alloy.Ni"]) == 0.1


def test_a_readback_beyond_the_search_space_is_left_out_of_the_measured_layer(tmp_path: Path) -> None:
    narrow = SearchSpace(parameters=cases.SPACE.parameters[:1])
    changes = Changes(1, cases.record(), (cases.proposal(1, configuration={"T": 234.7}),), (cases.run(1),))
    export_campaign(Source(changes, narrow, cases.OBJECTIVE, (), cases.HEAD), tmp_path)
    assert [name for name in rows(tmp_path / "runs.csv")[0] if name.startswith("measured.")] == ["measured.T [degC]"]


def test_an_export_replaces_its_own_files_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    export(tmp_path, Changes(1, cases.record()))
    export(tmp_path)
    assert len(rows(tmp_path / "runs.csv")) == 25
    names = ["ledger.json", "csv-metadata.json", "notes.txt", *(f"{table}.csv" for table in TABLES)]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_somebody_elses_file_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text("mine")
    with pytest.raises(BadInput, match=r"runs\.csv is not as an export"):
        export(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["runs.csv"]
    assert (tmp_path / "runs.csv").read_text() == "mine"


def test_a_file_that_was_edited_after_its_export_is_refused(tmp_path: Path) -> None:
    export(tmp_path)
    with (tmp_path / "measurements.csv").open("a") as file:
        file.write("my,own,line\n")
    with pytest.raises(BadInput, match=r"measurements\.csv"):
        export(tmp_path)


def test_another_campaigns_export_is_not_replaced(tmp_path: Path) -> None:
    export(tmp_path)
    with pytest.raises(BadInput, match="belongs to 'cdse-600'; expected an export of campaign other"):
        export(tmp_path, Changes(1, cases.record(name="other")))


@pytest.mark.parametrize("text", ["not json", "[]", "{}", '{"format": "athanor-export/2", "campaign": "cdse-600", "files": 3}'])
def test_a_ledger_note_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "ledger.json").write_text(text)
    with pytest.raises(BadInput, match=r"ledger\.json is no export's note"):
        export(tmp_path)


def test_an_export_cut_short_can_be_repeated(tmp_path: Path) -> None:
    export(tmp_path, Changes(1, cases.record()))
    before = {name: (tmp_path / name).read_bytes() for name in ("proposals.csv", "measurements.csv")}
    export(tmp_path)
    for name, content in before.items():
        (tmp_path / name).write_bytes(content)
    export(tmp_path)
    assert len(rows(tmp_path / "measurements.csv")) == 66


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        export(tmp_path / "file" / "below")


def test_a_write_that_fails_leaves_the_old_file_and_no_scraps(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
