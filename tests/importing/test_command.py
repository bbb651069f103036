"""`athanor measure import` shows, proposes and brings; nothing is written without --yes, and nothing by a proposal."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from flows.cli.measure_import import add_to
from flows.plans.lab import Lab, clock_of, make_lab
from flows.running.importing import Evidence
from orchestrator.domain.entered import Entry
from orchestrator.domain.records import CampaignRecord
from orchestrator.errors import BadInput
from orchestrator.store.sql import SqlStore
from tests.importing.table import CAMPAIGN, PLAIN, columns


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


BROUGHT: list[tuple[Sequence[Entry], Evidence]] = []


def bring(lab: Lab, campaign: str, entries: Sequence[Entry], evidence: Evidence) -> str:
    BROUGHT.append((entries, evidence))
    return f"{len(entries)} results are in the ledger of {campaign} in {lab.path.name}"


def typed(*words: str) -> Result:
    BROUGHT.clear()
    group = typer.Typer(pretty_exceptions_enable=False)
    group.callback()(lambda: None)
    add_to(group, bring)
    return CliRunner().invoke(group, ["import", "t.csv", "--campaign", "campaign.toml", *words])


def test_without_yes_nothing_is_brought_and_the_line_that_brings_it_is_shown(folder: Path) -> None:
    before = sorted(folder.iterdir())
    result = typed("--mapping", "m.toml")
    assert result.exit_code == 0
    assert "athanor measure import t.csv --campaign campaign.toml --mapping m.toml --yes" in result.output
    assert BROUGHT == []
    assert sorted(folder.iterdir()) == before


def test_with_yes_what_was_shown_is_brought_with_what_it_rests_on(folder: Path) -> None:
    result = typed("--mapping", "m.toml", "--yes", "--lab", "lab", "--by", "Ada", "--reason", "last year")
    assert "2 results are in the ledger of screen in lab" in result.output
    ((entries, evidence),) = BROUGHT
    assert [entry.configuration for entry in entries] == [
        {"T": 25.0, "t": 60.0, "solvent": "DMF"},
        {"T": 80.0, "t": 90.0, "solvent": "water"},
    ]
    hashes = [hashlib.sha256(text.encode()).hexdigest() for text in (columns(), PLAIN)]
    assert evidence == Evidence("Ada", f"last year; mapping {hashes[0]}", "t.csv", hashes[1])


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
    result = typed("--mapping", "m.toml", "--yes", "--lab", "lab")
    assert isinstance(result.exception, BadInput)
    assert str(result.exception).startswith(said)
    assert BROUGHT == []


@pytest.mark.parametrize("words", [("--yes",), ("--yes", "--propose-mapping", "new.toml")])
def test_a_proposal_brings_nothing(words: tuple[str, ...], folder: Path) -> None:
    result = typed(*words)
    assert isinstance(result.exception, BadInput)
    assert str(result.exception).startswith("t.csv: a proposed mapping brings nothing")
    assert BROUGHT == []


def test_one_cell_that_cannot_be_read_keeps_all_of_a_file_out(folder: Path) -> None:
    Path("t.csv").write_text(PLAIN + "25,60,DMF,n.d.\n25,60,DMF,?\n")
    result = typed("--mapping", "m.toml", "--yes")
    assert isinstance(result.exception, BadInput)
    assert str(result.exception).startswith("t.csv, line 4, column 'yield': 'n.d.' is not a number")
    assert str(result.exception).endswith("(and 1 more); nothing was brought")
    assert BROUGHT == []


def test_a_proposed_mapping_is_kept_once_and_used(folder: Path) -> None:
    assert "the proposed mapping is in new.toml" in typed("--propose-mapping", "new.toml").output
    assert typed("--mapping", "new.toml", "--yes", "--lab", "lab").exit_code == 0
    assert len(BROUGHT[0][0]) == 2
    again = typed("--propose-mapping", "new.toml")
    assert str(again.exception) == "new.toml is there already; expected a new file for the proposed mapping"


def test_a_program_reads_the_preview_as_json(folder: Path) -> None:
    seen = json.loads(typed("--json").output)
    assert seen["undecided"] == []
    assert seen["mapping_sha256"] is None
    assert seen["entries"][0]["values"] == {"yield": {"value": 51.5, "uncertainty": None, "reason": None}}
