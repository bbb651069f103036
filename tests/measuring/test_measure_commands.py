"""`athanor measure` as it is typed, and what shows of it in status, page, report and export."""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

import athanor
from flows.cli.main import app
from flows.running import measuring
from orchestrator.domain.entered import Entered, Entry, Recorded
from orchestrator.domain.identity import uuid7
from orchestrator.domain.lifecycle import ProposalStatus
from orchestrator.domain.records import Evidence, Proposal, Provenance
from orchestrator.domain.run_code import run_code
from orchestrator.errors import AthanorError, BadInput
from orchestrator.history import best
from orchestrator.results import Said
from orchestrator.store.sql import SqlStore
from tests.flow.test_steps import NOW
from tests.measuring.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Two experiments have run and await their purity; a third is proposed, and knows what was known then."""
    place = Place(tmp_path, budget=4, initial=3, in_flight=2)
    place.carry_on()
    return place


def propose(place: Place) -> Proposal:
    """Let somebody suggest an experiment that waits for a decision."""
    history = place.history()
    number = len(history.newest()) + 1
    made = Proposal(
        proposal_id=uuid7(),
        campaign="c",
        number=number,
        configuration={"x": 0.5},
        steps=(),
        provenance=Provenance(policy="person/1", as_of=history.seq, seed=0, batch=0),
        author="Eve",
    )
    with SqlStore.open(place.lab.ledger) as store:
        store.add_proposals([made], by="person Eve", now=NOW)
    return made


def typed(place: Place, *words: str, ends: int = 0) -> str:
    """Type `athanor measure ...`; return what it says: one line of complaint where it does not succeed."""
    said = CliRunner().invoke(app, ["measure", *words, "--lab", str(place.lab.path)])
    if ends == 0:
        assert said.exit_code == 0, f"{said.output}{said.exception!r}"
        return said.output
    assert isinstance(said.exception, AthanorError)
    assert said.exception.exit_code == ends
    assert "\n" not in str(said.exception)
    return str(said.exception)


def test_a_value_is_told_corrected_and_taken_back(place: Place, tmp_path: Path) -> None:
    code, paper = run_code(1), tmp_path / "vial 1.csv"
    paper.write_text("50\n")
    added = typed(
        place, "add", code, "purity=0.5", "dimensionless", "--uncertainty", "0.02 dimensionless", "--by", "Ada", "--evidence", str(paper)
    )
    assert f"run {code}, purity: 50 percent is accepted as replicate 1; what counts is 50 ± 2 percent" in added
    assert "campaign c learns it on its next turn" in added
    made = propose(place)
    at = "2026-03-01T14:30+01:00"
    fixed = typed(place, "correct", code, "purity=55", "--by", "Ben", "--reason", "typo", "--measured-at", at)
    assert "55 percent is accepted as replicate 1, revision 2 (typo); what counts is 55 ± 2 percent" in fixed
    assert f"proposal {made.number} (proposed, not carried out yet) rests on what changed" in fixed
    more = typed(place, "add", code, "purity=45", "--uncertainty", "2", "--by", "Ada")
    assert "what counts is 50 ± 1.4 percent, the mean of 2" in more
    back = typed(place, "retract", code, "purity", "--replicate", "2", "--by", "Eve", "--reason", "wrong vial")
    assert "what counts is 55 ± 2 percent" in back
    listed = typed(place, "list")
    story = "50 percent ± 2 by Ada; corrected to 55 percent ± 2 by Ben (typo)"
    assert f"{code}  purity: 55 ± 2 percent, accepted: {story}" in listed
    assert f"{code}  purity, replicate 2: 45 ± 2 percent, retracted: 45 percent ± 2 by Ada; retracted by Eve (wrong vial)" in listed
    assert f"{run_code(2)}  purity: awaited, 72.0 h of lab time are left" in listed
    document = json.loads(typed(place, "list", "--json"))
    (kept,) = [one for one in document["values"] if one["history"] == story]
    assert kept["evidence"] is None
    assert datetime.fromisoformat(kept["measured_at"]) == datetime(2026, 3, 1, 13, 30, tzinfo=UTC)
    with SqlStore.open(place.lab.ledger, read_only=True) as store:
        told = [(event.kind, event.by) for event in store.events("c")][-3:]
    assert told == [("corrected", "person Ben"), ("added", "person Ada"), ("retracted", "person Eve")]
    assert place.sound()


def test_the_same_word_again_adds_nothing_unless_it_was_measured_again(place: Place) -> None:
    words = ("add", run_code(1), "purity=50", "--by", "Ada")
    typed(place, *words)
    seq = place.history().seq
    assert "purity: the ledger has this value already; nothing is added" in typed(place, *words)
    assert place.history().seq == seq
    assert "the mean of 2" in typed(place, *words, "--again")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "9a-L", "purity=50", "--by", "Ada"), "misread or mistyped"),
        (("add", run_code(9), "purity=50", "--by", "Ada"), f"has no run {run_code(9)}: proposal 9 was not carried out"),
        (("add", "0", "purity=50", "--by", "Ada"), "has 2 runs '0'"),
        (("add", "ffff", "purity=50", "--by", "Ada"), "has no run 'ffff'"),
        (("add", "{code}", "purity=fifty", "--by", "Ada"), "purity: 'fifty' is not a quantity"),
        (("add", "{code}", "purity=0,5", "--by", "Ada"), "a comma does not say whether it is a decimal point"),
        (("add", "{code}", "purity=50 nm", "--by", "Ada"), "has the wrong unit"),
        (("add", "{code}", "purity=1e101", "--by", "Ada"), "is too large for a model"),
        (("add", "{code}", "purity=50", "--uncertainty", "0", "--by", "Ada"), "uncertainty 0; expected above 0"),
        (("add", "{code}", "purity=50", "--uncertainty", "y=1", "--by", "Ada"), "uncertainty of y, of which no value is told"),
        (("add", "{code}", "purity=50", "purity=60", "--by", "Ada"), "purity is told twice"),
        (("add", "{code}", "colour=50", "--by", "Ada"), "there is no target 'colour'; expected y in 1, purity in percent"),
        (("add", "{code}", "50", "--by", "Ada"), "expected TARGET=VALUE of y in 1, purity in percent"),
        (("add", "{code}", "purity=none", "--by", "Ada"), "--reason TEXT is needed: why there is no value"),
        (("add", "{code}", "purity=50", "--by", " "), "--by NAME is needed"),
        (("add", "{code}", "purity=50", "--by", "Ada", "--measured-at", "2026-03-01T14:30"), "expected a moment with its zone"),
        (("add", "{code}", "purity=50", "--by", "Ada", "--measured-at", "yesterday"), "expected a moment with its zone"),
        (("add", "{code}", "purity=50", "--by", "Ada", "--evidence", "no.csv"), "evidence no.csv: No such file"),
        (("correct", "{code}", "purity=50", "--by", "Ada"), "there is no such value (nothing was measured of it)"),
        (("correct", "{code}", "y={y}", "--by", "Ada"), "has that value already, in revision 1; nothing is changed"),
        (("correct", "{code}", "y=0.1", "--replicate", "3", "--by", "Ada"), "there is no such value (replicate 1 is accepted)"),
        (("retract", "{code}", "y", "--by", "Ada", "--reason", " "), "--reason TEXT is needed"),
        (("retract", "{code}", "colour", "--by", "Ada", "--reason", "x"), "there is no target 'colour'"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(place: Place, words: Sequence[str], said: str) -> None:
    seq, y = place.history().seq, place.runs()[0].measured["x"]
    assert said in typed(place, *(word.format(code=run_code(1), y=y) for word in words), ends=1)
    assert place.history().seq == seq


def test_a_replicate_is_named_where_there_are_several(place: Place) -> None:
    for value in ("50", "60"):
        typed(place, "add", run_code(1), f"purity={value}", "--by", "Ada")
    complaint = typed(place, "correct", run_code(1), "purity=55", "--by", "Ada", ends=1)
    assert "has 2 replicates: 1 (50), 2 (60); name one with --replicate" in complaint
    assert "the mean of 2" in typed(place, "correct", run_code(1), "purity=45", "--replicate", "1", "--by", "Ada")
    complaint = typed(place, "correct", run_code(1), "purity=55", "--by", "Ada", ends=1)
    assert "has 2 replicates: 1 (45), 2 (60); name one with --replicate" in complaint
    assert "the mean of 2" in typed(place, "correct", run_code(1), "purity=55", "--replicate", "2", "--by", "Ada")
    typed(place, "retract", run_code(1), "purity", "--replicate", "2", "--by", "Ada", "--reason", "x")
    assert "is retracted already (x)" in typed(
        place, "retract", run_code(1), "purity", "--replicate", "2", "--by", "Ada", "--reason", "y", ends=1
    )


def test_an_ended_campaign_takes_corrections_and_does_not_go_on(tmp_path: Path) -> None:
    place = Place(tmp_path, later=False, budget=1)
    ended = place.carry_on()
    assert ended is not None
    said = typed(place, "correct", run_code(1), "y=0.25", "--by", "Ada", "--reason", "calibration")
    assert "campaign c has ended (finished) and does not go on by itself; `athanor report c` shows it" in said
    assert typed(place, "retract", run_code(1), "purity", "--by", "Ada", "--reason", "x")
    assert place.carry_on() == ended
    assert place.history().campaign.status == "finished"
    assert place.sound()


# ---------------------------------------------------------------------- from elsewhere


ROWS = (
    Entry("old.csv, line 2", {"y": Entered(0.7), "purity": Entered(55.0, 1.0)}, configuration={"x": 0.71}),
    Entry("old.csv, line 3", {"y": Entered(0.7), "purity": Entered(55.0, 1.0)}, configuration={"x": 0.71}),
    Entry("old.csv, line 4", {"purity": Entered(None, reason="below detection: <0.1 percent")}, configuration={"x": 0.2}),
)


def test_results_of_elsewhere_come_once_before_the_first_proposal_and_cost_no_budget(tmp_path: Path) -> None:
    place = Place(tmp_path, later=False, budget=2, initial=2)
    file = Evidence(name="old.csv", sha256="ab" * 32)
    brought = measuring.bring(place.lab, None, ROWS, by="Ada", reason="last year", evidence=file)
    assert brought.line == "3 experiments imported"
    again = measuring.bring(place.lab, None, ROWS, by="Ben", evidence=file)
    assert again.line == "0 experiments imported; 3 rows known already, nothing added of them"
    assert again.known == ("old.csv, line 2", "old.csv, line 3", "old.csv, line 4")
    one = measuring.bring(place.lab, None, ROWS[1:2], by="Ben")
    assert (one.added, len(one.known)) == (0, 1)
    assert again.history.seq == brought.history.seq == one.history.seq
    ended = place.carry_on()
    assert ended is not None
    history = place.history()
    assert len(history.attempts()) == 2
    assert {run.run_key[14] for run in history.imported} == {"8"}
    found = best(history, place.file.objective)
    assert found is not None
    assert found[0].is_imported
    assert place.sound()


def test_what_was_recorded_elsewhere_stands_with_the_run_in_the_ledger(tmp_path: Path) -> None:
    place = Place(tmp_path, later=False, budget=2, initial=2)
    humid = [replace(ROWS[0], recorded={"humidity": Recorded(value, "percent", 40.0)}) for value in (35.0, 45.0)]
    assert measuring.bring(place.lab, None, humid, by="Ada").line == "2 experiments imported"
    assert measuring.bring(place.lab, None, humid, by="Ben").line == "0 experiments imported; 2 rows known already, nothing added of them"
    assert sorted(one.mean or 0.0 for run in place.history().imported for one in run.environment) == [35.0, 45.0]
    assert place.sound()


def test_rows_may_tell_of_known_runs_too_and_are_known_afterwards_whatever_was_corrected(place: Place) -> None:
    rows = (
        Entry("new.csv, line 2", {"purity": Entered(50.0)}, run=run_code(1)),
        Entry("new.csv, line 3", {"purity": Entered(52.0)}, run=run_code(1)),
        Entry("new.csv, line 4", {"purity": Entered(60.0)}, run=place.runs()[1].run_key),
    )
    brought = measuring.bring(place.lab, "c", rows, by="Ada")
    assert (brought.added, brought.told, brought.known) == (0, 3, ())
    measuring.correct(place.lab, None, run_code(2), lambda _: {"purity": Entered(61.0)}, Said("Ada"))
    again = measuring.bring(place.lab, "c", rows, by="Ada")
    assert (again.told, len(again.known)) == (0, 3)
    assert sorted(found["purity"].value for found in again.history.results.values()) == [51.0, 61.0]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (Entry("f, line 9", {"y": Entered(0.5)}), "f, line 9: expected either a run's code or key, or a value for each of x"),
        (Entry("f, line 9", {}, configuration={"x": 0.5}), "f, line 9: there is no value; expected one of y, purity"),
        (Entry("f, line 9", {"z": Entered(0.5)}, configuration={"x": 0.5}), "f, line 9: there is no target 'z'"),
        (Entry("f, line 9", {"y": Entered(float("nan"))}, configuration={"x": 0.5}), "f, line 9, y: nan is too large"),
        (Entry("f, line 9", {"y": Entered(None)}, configuration={"x": 0.5}), "f, line 9, y: there is no value; expected a reason"),
        (Entry("f, line 9", {"y": Entered(0.5)}, configuration={}), "f, line 9: no value of x; expected a value for each of x"),
        (Entry("f, line 9", {"y": Entered(0.5)}, configuration={"x": 0.5, "T": 1.0}), "f, line 9: T is no parameter"),
        (Entry("f, line 9", {"y": Entered(0.5)}, configuration={"x": 2.0}), "--outside takes what lies beyond a bound"),
        (Entry("f, line 9", {"y": Entered(0.5)}, run="77a-0"), "f, line 9: code '77a-0' is misread"),
        (Entry("f, line 9", {"y": Entered(0.5)}, configuration={"x": 0.5}, measured_at=datetime(2026, 1, 1)), "with its zone"),
    ],
)
def test_one_bad_row_is_named_and_nothing_of_its_file_is_recorded(place: Place, entry: Entry, said: str) -> None:
    seq = place.history().seq
    with pytest.raises(BadInput) as refusal:
        measuring.bring(place.lab, None, [*ROWS, entry], by="Ada")
    assert said in str(refusal.value)
    assert place.history().seq == seq


def test_what_lies_beyond_a_bound_is_taken_where_that_is_said(place: Place) -> None:
    beyond = Entry("f, line 2", {"y": Entered(0.5)}, configuration={"x": 1.5})
    assert measuring.bring(place.lab, None, [beyond], by="Ada", outside=True).added == 1


# ---------------------------------------------------------------------- where it shows


@pytest.fixture
def changed(place: Place) -> Place:
    """A campaign with a corrected, a retracted, an added, an imported and an overdue value, and a proposal that rests on one."""
    made = propose(place)
    typed(place, "correct", run_code(1), "y=0.25", "--by", "Ada", "--reason", "typo")
    typed(place, "retract", run_code(2), "y", "--by", "Ben", "--reason", "wrong vial")
    typed(place, "add", run_code(1), "purity=50", "--by", "Ada")
    measuring.bring(place.lab, None, ROWS[:1], by="Eve", evidence=Evidence(name="old.csv", sha256="cd" * 32))
    assert made.status is ProposalStatus.PROPOSED
    return place


def test_status_says_what_is_awaited_and_what_rests_on_changes(changed: Place) -> None:
    said = CliRunner().invoke(app, ["status", "--lab", str(changed.lab.path)])
    assert f"run {run_code(2)} awaits purity: 72.0 h of lab time are left" in said.output
    assert "proposal 3, not carried out yet, rests on what has changed since: y of run" in said.output
    assert "(wrong vial)" in said.output
    document = json.loads(CliRunner().invoke(app, ["status", "--lab", str(changed.lab.path), "--json"]).stdout)
    assert document["counts"]["runs_imported"] == 1
    assert [one["target"] for one in document["awaited"]] == ["purity"]
    assert list(document["outdated"]) == ["3"]


def test_the_report_tells_the_history_of_values_and_shows_what_was_imported(changed: Place, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    said = CliRunner().invoke(app, ["report", "--lab", str(changed.lab.path), "--out", str(page)])
    assert said.exit_code == 0, said.output
    text = page.read_text()
    assert "corrected to 0.25 by Ada (typo)" in text
    assert "retracted by Ben (wrong vial)" in text
    assert "Imported experiments" in text
    assert "Imported experiment " in text  # the best so far


def test_exports_and_frames_hold_revisions_status_who_and_evidence(changed: Place, tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["export", "--lab", str(changed.lab.path), "--out", str(tmp_path / "out")])
    assert said.exit_code == 0, said.output
    with (tmp_path / "out" / "measurements.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    told = [(row["target"], row["revision"], row["status"], row["by"], row["superseded"]) for row in rows if row["by"]]
    assert ("y", "2", "accepted", "Ada", "false") in told
    assert ("y", "Ben", "wrong vial") in [(row["target"], row["retracted_by"], row["reason"]) for row in rows]
    (kept,) = [row for row in rows if row["target"] == "purity" and row["by"] == "Eve"]
    assert (kept["evidence"], kept["evidence_sha256"], kept["reduction"]) == ("old.csv", "cd" * 32, "imported/1")
    frame = athanor.open_lab(changed.lab.path).campaign().runs
    assert list(frame["source"]) == ["bench", "bench", "imported"]
    assert list(frame["code"].dropna()) == [run_code(1), run_code(2)]
    assert list(frame["awaits"].dropna()) == ["purity"]
    experiments = athanor.open_lab(changed.lab.path).campaign().experiments
    assert list(experiments["experiment"].isna()) == [False, False, True]
    assert experiments["result.y"].isna().tolist() == [False, True, False]
