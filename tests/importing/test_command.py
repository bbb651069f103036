"""`athanor measure import` shows, proposes and brings; nothing is written without --yes, and nothing by a proposal."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from flows.cli.main import app
from flows.plans.lab import clock_of, make_lab, open_lab
from orchestrator.domain.records import CampaignRecord, Evidence, Measurement
from orchestrator.errors import BadInput
from orchestrator.history import History
from orchestrator.store.sql import SqlStore
from tests.importing.table import CAMPAIGN, PLAIN, columns
from tests.importing.workbooks import workbook


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("campaign.toml").write_text(CAMPAIGN)
    Path("t.csv").write_text(PLAIN)
    Path("m.toml").write_text(columns())
    in_ledger(CAMPAIGN)
    return tmp_path


def in_ledger(text: str) -> None:
    lab = make_lab(Path("lab"), beside=Path("campaign.toml"), kind="live")
    with SqlStore.open(lab.ledger) as store:
        snapshot = {"files": {"campaign": text.replace("budget = 9", 'budget = 9\nbench = "b.toml"')}, "path": "campaign.toml"}
        store.create_campaign(CampaignRecord(name="screen", snapshot=snapshot), by="test", now=clock_of(lab, store).now())


def brought() -> list[tuple[dict[str, float | str], Measurement]]:
    """Return configuration and value of all that the ledger was brought, in order of the configurations."""
    lab = open_lab(Path("lab"))
    with SqlStore.open(lab.ledger) as store:
        history = History.of(store.changes("screen"))
        assert store.verify() == ()
    found = [(dict(history.runs[one.run_key].measured), one) for one in history.measurements.values()]
    return sorted(found, key=lambda one: str(one[0]))


def typed(*words: str) -> Result:
    return CliRunner().invoke(app, ["measure", "import", "t.csv", "--campaign", "campaign.toml", *words])


def test_without_yes_nothing_is_brought_and_the_line_that_brings_it_is_shown(folder: Path) -> None:
    before = sorted(folder.iterdir())
    result = typed("--mapping", "m.toml")
    assert result.exit_code == 0
    assert "athanor measure import t.csv --campaign campaign.toml --mapping m.toml --yes --by NAME" in result.output
    assert brought() == []
    assert sorted(folder.iterdir()) == before


def test_the_line_that_brings_it_keeps_what_was_said_already(folder: Path) -> None:
    result = typed("--mapping", "m.toml", "--lab", "lab", "--by", "Ada", "--reason", "last year")
    assert "--mapping m.toml --lab lab --reason 'last year' --yes --by Ada" in " ".join(result.output.split())
    assert brought() == []


def test_without_a_lab_the_command_is_named_that_makes_one(folder: Path) -> None:
    shutil.rmtree("lab")
    result = typed("--mapping", "m.toml", "--yes", "--by", "Ada")
    assert isinstance(result.exception, BadInput)
    assert str(result.exception).startswith(f"no lab in {folder}; `athanor measure begin campaign.toml --by Ada` makes one")
    assert not list(folder.glob(".athanor*"))


def test_an_excel_file_of_another_name_is_called_one(folder: Path) -> None:
    Path("t.csv").write_bytes(workbook(lambda _book, page: page.write_row("A1", ("T", "t", "solvent", "yield"))))
    result = typed("--mapping", "m.toml")
    assert isinstance(result.exception, BadInput)
    assert str(result.exception).startswith("t.csv (an Excel file, by its content), sheet 'Runs'")


def test_with_yes_what_was_shown_is_brought_with_what_it_rests_on(folder: Path) -> None:
    result = typed("--mapping", "m.toml", "--yes", "--lab", "lab", "--by", "Ada", "--reason", "last year")
    assert "2 experiments imported" in result.output
    found = brought()
    assert [configuration for configuration, _ in found] == [
        {"T": 25.0, "t": 60.0, "solvent": "DMF"},
        {"T": 80.0, "t": 90.0, "solvent": "water"},
    ]
    hashes = [hashlib.sha256(text.encode()).hexdigest() for text in (columns(), PLAIN)]
    for _, one in found:
        assert (one.by, one.reason, one.evidence) == ("Ada", f"last year; mapping {hashes[0]}", Evidence(name="t.csv", sha256=hashes[1]))
    again = typed("--mapping", "m.toml", "--yes", "--lab", "lab", "--by", "Ada", "--reason", "last year")
    assert again.output.endswith("0 experiments imported; 2 rows known already, nothing added of them\n")  # and nobody learns anything
    assert brought() == found


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (('"degC"', '"K"'), "campaign.toml: parameter T is in degC, and in K in the ledger; `athanor amend` accepts a changed file"),
        (('"mg/L"', '"g/L"'), "campaign.toml: target Cd is in mg/L, and in g/L in the ledger; `athanor amend` accepts a changed file"),
        (('"solvent"', '"ligand"'), "campaign.toml: parameter solvent is a name, and absent in the ledger"),
    ],
)
def test_what_was_read_in_other_units_than_the_ledgers_is_not_brought(stored: tuple[str, str], said: str, folder: Path) -> None:
    shutil.rmtree("lab")
    in_ledger(CAMPAIGN.replace(*stored))
    result = typed("--mapping", "m.toml", "--yes", "--lab", "lab", "--by", "Ada")
    assert isinstance(result.exception, BadInput)
    assert str(result.exception).startswith(said)
    assert brought() == []


@pytest.mark.parametrize("words", [("--yes",), ("--yes", "--propose-mapping", "new.toml")])
def test_a_proposal_brings_nothing(words: tuple[str, ...], folder: Path) -> None:
    result = typed(*words)
    assert isinstance(result.exception, BadInput)
    assert str(result.exception).startswith("t.csv: a proposed mapping brings nothing")
    assert brought() == []


def test_one_cell_that_cannot_be_read_keeps_all_of_a_file_out(folder: Path) -> None:
    Path("t.csv").write_text(PLAIN + "25,60,DMF,n.d.\n25,60,DMF,?\n")
    result = typed("--mapping", "m.toml", "--yes")
    assert isinstance(result.exception, BadInput)
    assert str(result.exception).startswith("t.csv, line 4, column 'yield': 'n.d.' is not a number")
    assert str(result.exception).endswith("(and 1 more); nothing was brought")
    assert brought() == []


def test_a_proposed_mapping_is_kept_once_and_used(folder: Path) -> None:
    assert "the proposed mapping is in new.toml" in typed("--propose-mapping", "new.toml").output
    assert typed("--mapping", "new.toml", "--yes", "--lab", "lab", "--by", "Ada").exit_code == 0
    assert len(brought()) == 2
    again = typed("--propose-mapping", "new.toml")
    assert str(again.exception) == "new.toml is there already; expected a new file for the proposed mapping"


def test_a_program_reads_the_preview_as_json(folder: Path) -> None:
    seen = json.loads(typed("--json").output)
    assert seen["undecided"] == []
    assert seen["mapping_sha256"] is None
    assert seen["entries"][0]["values"] == {"yield": {"value": 51.5, "uncertainty": None, "reason": None}}
