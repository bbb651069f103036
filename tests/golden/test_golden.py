"""Ledgers that Athanor wrote on other days read back as they were: `write.py` says how they came about, and how to add one."""

import csv
import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from flows.cli.main import app
from flows.plans.lab import open_lab
from orchestrator.clock import LiveClock
from orchestrator.domain.events import EventKind
from orchestrator.store.sql import SqlStore
from orchestrator.store.tables import METADATA
from tests.golden.frozen import LABS, read, read_after_abort, thaw, typed
from tests.postgresql import Server

KINDS: Final = frozenset(
    {
        "campaign-created",
        "campaign-taken-up",
        "running",
        "paused",
        "resumed",
        "finished",
        "aborted",
        "adapted",
        "amended",
        "proposed",
        "approved",
        "rejected",
        "expired",
        "withdrawn",
        "lapsed",
        "signed",
        "queued",
        "dispatched",
        "completed",
        "unknown",
        "resolved",
        "superseded",
        "ingested",
        "incident",
        "review-opened",
        "review-open",
        "review-run",
        "review-asked-again",
        "review-overdue",
        "review-decided",
        "review-expired",
        "review-closed",
        "answer-received",
        "answer-refused",
        "answer-unreadable",
        "restricted",
        "restriction-lifted",
        "person-added",
        "person-revoked",
        "work-received",
        "work-accepted",
        "work-refused",
        "added",
        "corrected",
        "retracted",
        "imported",
        "overdue",
    }
)
"""All kinds of events that the code could write when golden ledgers were last frozen; a revocation's reason stands behind its kind."""
STATUSES: Final = {
    "campaigns": {"draft", "running", "paused", "finished", "aborted"},
    "proposals": {"proposed", "approved", "rejected", "expired", "withdrawn", "lapsed"},
    "runs": {"queued", "dispatched", "running", "completed", "failed", "infeasible", "aborted", "unknown", "superseded"},
    "measurements": {"accepted", "quarantined", "retracted"},
    "review_requests": {"open", "decided", "expired", "closed"},
    "answers": {"received", "accepted", "refused"},
    "restrictions": {"active", "lifted"},
    "work_answers": {"accepted", "refused"},
}
"""By table."""
TOLERANCE: Final = 1e-6
"""Largest relative difference of a proposal that a model chose: another processor sums in another order, and the search for the
best point ends where that stops mattering. It is what `athanor replay` itself allows; what no model chose is bit for bit."""
REDUCTION: Final = 1e-9
"""Largest relative difference of a value that is reduced from its spectra anew: another processor's last digits."""
MODELS: Final = ("bayesian/",)
"""Policies that ask a model; all others only draw or look up."""
RECORDED: Final = "crossed-barrel"
REPORTED: Final = ("asked", "left", "plain", "cdse-600")
"""Reports take time."""

every_lab = pytest.mark.parametrize("frozen", LABS, ids=lambda lab: f"{lab.parent.name}-{lab.name}")


def told(frozen: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((frozen / "frozen.json").read_text())
    return document


def column(frozen: Path, table: str, name: str) -> set[str]:
    with closing(SqlStore.open(frozen / "ledger.db", read_only=True)) as store, store._engine.connect() as connection:
        known = "select count(*) from sqlite_master where name = ?"
        if not connection.exec_driver_sql(known, (table,)).scalar():
            return set()  # of before there was such a table
        return {str(value) for (value,) in connection.exec_driver_sql(f"select distinct {name} from {table}")}


@pytest.fixture(scope="module")
def thawed(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Path]:
    """All labs on disk again, to be read only."""
    folder = tmp_path_factory.mktemp("golden")
    return {frozen: thaw(frozen, folder / frozen.parent.name / frozen.name) for frozen in LABS}


@pytest.fixture
def lab(thawed: dict[Path, Path], frozen: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One lab, with its folder as the place where commands are typed."""
    monkeypatch.chdir(thawed[frozen])
    return thawed[frozen]


def test_every_kind_of_event_every_table_and_every_status_is_in_some_golden_ledger(thawed: dict[Path, Path]) -> None:
    found = {kind for frozen in LABS for kind in told(frozen)["kinds"]}
    assert set(EventKind) >= found >= KINDS
    for table, statuses in STATUSES.items():
        assert set().union(*(column(lab, table, "status") for lab in thawed.values())) == statuses, table
    for table in ("people", "pages", "raw_bytes", "raw_readings"):
        assert any(column(lab, table, "1") for lab in thawed.values()), table


@every_lab
def test_a_golden_ledger_is_sound_and_every_value_in_it_reads_back_as_it_was(frozen: Path, lab: Path) -> None:
    was = told(frozen)
    now = read(lab / "ledger.db", was["fields"])
    assert now.pop("campaigns") == was["campaigns"]
    assert now == {name: was[name] for name in now}
    assert "is sound" in typed("verify", "--lab", str(lab))


@every_lab
def test_every_value_of_a_golden_export_is_exported_byte_for_byte(frozen: Path, lab: Path, tmp_path: Path) -> None:
    same_tables(frozen, lab, tmp_path)


def same_tables(frozen: Path, lab: Path, to: Path) -> None:
    for campaign in told(frozen)["campaigns"]:
        typed("export", campaign, "--out", str(to / campaign), "--lab", str(lab))
        tables = sorted((frozen / "export" / campaign).glob("*.csv"))
        assert len(tables) >= 3
        for table in tables:
            with table.open(newline="") as file:
                was = list(csv.DictReader(file))
            with (to / campaign / table.name).open(newline="") as file:
                now = [{**{first_name(head): cell for head, cell in row.items()}, **row} for row in csv.DictReader(file)]
            assert [{head: row[head] for head in old} for row, old in zip(now, was, strict=True)] == was, table


@pytest.mark.slow
@every_lab
def test_a_golden_ledger_is_the_same_on_a_server_and_back_in_a_file(frozen: Path, tmp_path: Path, postgres: Server) -> None:
    lab, was = thaw(frozen, tmp_path / "lab"), told(frozen)
    for file, folder, place in (("there.db", "new", postgres.address), ("back.db", "again", "file")):
        typed("export", "--ledger", str(tmp_path / file), "--lab", str(lab))
        lab = tmp_path / folder
        typed("import", str(tmp_path / file), "--lab", str(lab), "--ledger", place)
        now = read(open_lab(lab).ledger, was["fields"])
        assert now.pop("campaigns") == was["campaigns"]
        assert now == {name: was[name] for name in now}
        assert f"is sound: {was['head'][0]} events, head {was['head'][1]}" in typed("verify", "--lab", str(lab))
        same_tables(frozen, lab, tmp_path / f"tables-{folder}")
    first, last = rows(thaw(frozen, tmp_path / "first")), rows(lab)
    assert {table: last.pop(table) for table in first} == first
    assert not any(last.values()), "tables that the ledger did not have are empty"


def rows(lab: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of a ledger in a file, as SQLite has it."""
    with closing(sqlite3.connect(lab / "ledger.db")) as connection:
        present = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
        return {table: sorted(connection.execute(f"select * from {table}"), key=repr) for table in METADATA.tables if table in present}


@every_lab
def test_a_golden_export_is_replaced_by_todays(frozen: Path, lab: Path, tmp_path: Path) -> None:
    campaign = next(iter(told(frozen)["campaigns"]))
    out = Path(shutil.copytree(frozen / "export" / campaign, tmp_path / "out"))
    typed("export", campaign, "--out", str(out), "--lab", str(lab))
    assert (out / "experiments.csv").exists()


def first_name(head: str) -> str:
    """Return how a column was called in the first exports, which had no units in their heads and no layer in proposals.csv."""
    name = head.partition(" [")[0].removeprefix("configuration.")
    return f"{name}_s" if name.endswith("_lab") else name


@every_lab
def test_a_golden_campaign_is_shown_and_reported(frozen: Path, lab: Path, tmp_path: Path) -> None:
    for campaign, was in told(frozen)["campaigns"].items():
        status = json.loads(typed("status", campaign, "--lab", str(lab), "--json"))
        assert sum(count for name, count in status["counts"].items() if name.startswith("runs_")) == len(was["runs"])
        requests = json.loads(typed("review", "--campaign", campaign, "--lab", str(lab), "--json"))["requests"]
        assert [one["number"] for one in requests] == status["requests"]
        for request in requests:
            assert typed("review", "show", str(request["number"]), "--campaign", campaign, "--lab", str(lab))
        typed("constrain", campaign, "--lab", str(lab))
        if campaign in REPORTED:
            assert typed("report", campaign, "--out", str(tmp_path / f"{campaign}.html"), "--lab", str(lab))
    typed("people", "list", "--lab", str(lab))


def some(policies: dict[str, str]) -> dict[str, str]:
    """Return the last proposal of each policy, which most of the history went into: all of them take long."""
    last = {policy: number for number, policy in policies.items()}
    return {number: policy for policy, number in last.items()}


@every_lab
def test_a_golden_proposal_is_computed_again(frozen: Path, lab: Path) -> None:
    for campaign, policies in told(frozen)["replays"].items():
        if campaign == RECORDED and not os.environ.get("ATHANOR_DATA"):
            continue  # its table's licence keeps it out of this repository
        for number, policy in some(policies).items():
            said = CliRunner().invoke(app, ["replay", number, "--campaign", campaign, "--lab", str(lab), "--json"])
            assert said.exit_code == 0, f"{said.output}{said.exception}"
            document = json.loads(said.stdout[: said.stdout.rindex("}") + 1])
            if policy.startswith(MODELS):
                assert document["largest_relative_difference"] <= TOLERANCE, (campaign, number)
            else:
                assert document["identical"], (campaign, number)


@every_lab
def test_a_golden_ledger_goes_on(frozen: Path, lab: Path, tmp_path: Path) -> None:
    copy = thaw(frozen, tmp_path / "lab")
    was = told(frozen)
    with closing(SqlStore.open(copy / "ledger.db")) as store:
        store.take_up(next(iter(was["campaigns"])), by="test", now=LiveClock().now())
    assert f"is sound: {was['head'][0] + 1} events" in typed("verify", "--lab", str(copy))


def test_a_golden_campaign_that_was_left_in_mid_flight_is_steered_on(thawed: dict[Path, Path], tmp_path: Path) -> None:
    for frozen in (one for one in LABS if "left" in told(one)["campaigns"]):
        copy = str(thaw(frozen, tmp_path / frozen.parent.name))
        typed("pause", "open", "--by", "Ada", "--lab", copy)
        typed("resume", "open", "--by", "Ada", "--lab", copy)
        typed("abort", "open", "--by", "Ada", "--lab", copy)
        typed("abort", "left", "--by", "Ada", "--lab", copy)
        status = json.loads(typed("status", "left", "--lab", copy, "--json"))
        assert {name for name in status["counts"] if name.startswith("runs_")} == {"runs_aborted", "runs_completed", "runs_unknown"}
        for run in status["unknown"]:
            typed("resolve", run, "--discard", "--by", "Ada", "--reason", "gone", "--lab", copy)
        assert "is sound" in typed("verify", "--lab", copy)


def test_a_result_that_only_the_journal_of_a_golden_lab_has_comes_into_the_ledger(tmp_path: Path) -> None:
    for frozen in (one for one in LABS if one.name == "killed"):
        was = told(frozen)
        after, wanted = read_after_abort(frozen, tmp_path / frozen.parent.name), was["after abort"]
        assert after["readings"] == wanted["readings"]
        assert [one[:2] for one in after["values"]] == [one[:2] for one in wanted["values"]]
        assert numbers(after["values"]) == pytest.approx(numbers(wanted["values"]), rel=REDUCTION)
        (before,) = (one["readings"] for one in was["campaigns"].values())
        assert after["readings"] != before


def numbers(rows: list[list[str]]) -> list[float]:
    """Return value and standard uncertainty of accepted measurements, one after the other."""
    assert all(status == "accepted" for *_, status in rows)
    return [float(text) for _, _, value, uncertainty, _ in rows for text in (value, uncertainty)]
