import multiprocessing
import signal
import sqlite3
import tempfile
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.host.closing import close_without_host
from instruments.host.journal import Journal
from instruments.host.journal_records import Transition, content_hash
from orchestrator.clock import LiveClock
from orchestrator.domain.lifecycle import RUN_STEPS, STEP_STEPS, RunStatus, StepKind, StepStatus
from orchestrator.domain.records import Reading, RunRequest, Step
from orchestrator.errors import Fault
from tests.host.harness import DeadlyJournal

_FORK = multiprocessing.get_context("forkserver")


def a_request(fence: int = 1, position: str | None = None, run_key: str = "k") -> RunRequest:
    steps = (Step(index=0, do="read", kind=StepKind.READ), Step(index=1, do="p.dose", kind=StepKind.DOSING, arguments={"volume": 1.0}))
    return RunRequest(run_key, "r", 1, "c", fence, "ab", steps, position)


def a_reading(value: float | None = 1.5, array: tuple[float, ...] | None = None, raw: bytes = b"\x02\xff\x00") -> Reading:
    return Reading(0, "p", "flow", "mL/min", "good", datetime(2026, 1, 2, tzinfo=UTC), 12.5, value, array, None, raw)


def arrived(path: Path) -> Journal:
    journal = Journal(path)
    journal.commit(Transition("k", RunStatus.DISPATCHED, request=a_request()))
    return journal


def test_the_journal_writes_ahead_and_syncs_each_commit(tmp_path: Path) -> None:
    journal = arrived(tmp_path / "j")
    assert journal._connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert journal._connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    journal.close()


def test_a_run_comes_back_as_it_was_committed(tmp_path: Path) -> None:
    journal = arrived(tmp_path / "j")
    journal.commit(Transition("k", RunStatus.RUNNING, lab=1.0))
    journal.commit(Transition("k", StepStatus.INTENT, 1, lab=2.0, baseline={"dispensed": 0.0}))
    journal.commit(Transition("k", StepStatus.SENT, 1, lab=3.0, sent={"volume": 1.0}, readings=(a_reading(), a_reading(None, (1.0, 2.0)))))
    before = journal.run("k")
    journal.close()
    journal = Journal(tmp_path / "j")
    after = journal.run("k")
    assert after == before
    assert after is not None
    assert (after.status, after.revision, after.steps[1].status) == (RunStatus.RUNNING, 4, StepStatus.SENT)
    assert (after.steps[1].baseline, after.steps[1].sent, after.steps[1].started_lab) == ({"dispensed": 0.0}, {"volume": 1.0}, 2.0)
    assert [(one.seq, one.value, one.array, one.raw) for one in journal.readings("k")] == [
        (1, 1.5, None, b"\x02\xff\x00"),
        (2, None, (1.0, 2.0), b"\x02\xff\x00"),
    ]
    journal.close()


def test_only_legal_arrows_are_committed_and_a_refused_one_leaves_no_trace(tmp_path: Path) -> None:
    journal = arrived(tmp_path / "j")
    with pytest.raises(Fault, match="planned cannot become done"):
        journal.commit(Transition("k", StepStatus.DONE, 0, readings=(a_reading(),)))
    with pytest.raises(Fault, match="run x is not in the journal"):
        journal.commit(Transition("x", RunStatus.RUNNING))
    with pytest.raises(Fault, match="has no step 7"):
        journal.commit(Transition("k", StepStatus.INTENT, 7))
    assert journal.readings("k") == ()
    assert journal.revision("k") == 1
    journal.close()


@given(st.lists(st.sampled_from([*RunStatus, *StepStatus]), max_size=12))
@settings(max_examples=25, deadline=None)
def test_any_order_of_commits_follows_the_life_cycles(path: list[RunStatus | StepStatus]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _walk(arrived(Path(folder) / "j"), path)


def _walk(journal: Journal, path: list[RunStatus | StepStatus]) -> None:
    for to in path:
        run = journal.run("k")
        assert run is not None
        is_run = isinstance(to, RunStatus)
        legal = to in (RUN_STEPS.get(run.status, ()) if isinstance(to, RunStatus) else STEP_STEPS.get(run.steps[1].status, ()))
        transition = Transition("k", to, None if is_run else 1)
        if legal:
            journal.commit(transition)
        else:
            with pytest.raises(Fault):
                journal.commit(transition)
            assert journal.run("k") == run
    journal.close()


def test_the_same_content_is_the_same_whatever_the_fence(tmp_path: Path) -> None:
    assert content_hash(a_request(1)) == content_hash(a_request(2))
    assert content_hash(a_request(1)) != content_hash(a_request(1, "A1"))


def test_fences_only_rise(tmp_path: Path) -> None:
    journal = arrived(tmp_path / "j")
    journal.raise_fence("c", 5)
    journal.raise_fence("c", 3)
    assert (journal.fence("c"), journal.fence("other")) == (5, 0)
    journal.close()


def test_readings_stay_until_they_are_stored(tmp_path: Path) -> None:
    journal = arrived(tmp_path / "j")
    journal.commit(Transition("k", RunStatus.RUNNING, readings=(a_reading(), a_reading(2.0))))
    assert [one.seq for one in journal.readings("k", after=1)] == [2]
    journal.stored("k")
    assert journal.readings("k") == ()
    journal.close()


def test_a_journal_of_a_newer_athanor_is_refused(tmp_path: Path) -> None:
    arrived(tmp_path / "j").close()
    with sqlite3.connect(tmp_path / "j") as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    connection.close()
    with pytest.raises(Fault, match="schema 99; this Athanor knows 1"):
        Journal(tmp_path / "j")


def _commit_until_death(path: Path, at: int, before: bool) -> None:
    journal = DeadlyJournal(path, at=at, before=before)
    journal.commit(Transition("k", RunStatus.DISPATCHED, request=a_request()))
    journal.commit(Transition("k", RunStatus.RUNNING, lab=1.0))
    journal.commit(Transition("k", StepStatus.INTENT, 1, baseline={"boot": "7"}))
    journal.commit(Transition("k", StepStatus.SENT, 1, readings=(a_reading(),)))


@pytest.mark.parametrize("at", [1, 2, 3, 4])
@pytest.mark.parametrize("before", [True, False])
def test_a_killed_process_leaves_exactly_what_it_had_committed(tmp_path: Path, at: int, *, before: bool) -> None:
    path = tmp_path / "j"
    process = _FORK.Process(target=partial(_commit_until_death, path, at, before))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    process.close()
    journal = Journal(path)
    revision = journal.revision("k") or 0
    assert revision == (at - 1 if before else at)
    assert len(journal.readings("k")) == (1 if revision == 4 else 0)
    run = journal.run("k")
    assert (run is not None and run.steps[1].baseline == {"boot": "7"}) is (revision >= 3)
    journal.close()


def test_a_word_on_a_run_of_a_lab_without_a_journal_ends_it_and_makes_none(tmp_path: Path) -> None:
    said = {"verdict": "discard", "by": "Ada", "reason": "spilled"}
    report = close_without_host(tmp_path, "run-1", "discard", said, LiveClock())
    assert (report.status, report.evidence["resolved"]) == (RunStatus.ABORTED, said)
    assert not (tmp_path / "journal.sqlite").exists()
