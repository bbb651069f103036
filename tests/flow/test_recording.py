"""How runs end in the ledger is the same, whether the campaign's own loop or a command without one sees it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flows.cli.steering_commands import abort, resolve, resume
from flows.plans.lab import Lab, make_lab
from flows.plans.stocks import dosed, stock_entries
from flows.running import operations, run_operations
from flows.running.actions import Setup, Steps
from flows.running.recording import Recorder
from flows.running.run_loop import Ended
from flows.running.session import _refuse_paused
from flows.running.unattended_runs import record_verdict
from instruments.bench.spec import StockSpec
from instruments.host.journal import Journal
from instruments.host.journal_records import Transition
from instruments.host.unattended import unattended
from instruments.lab_processes.bench_copies import keep_copy
from instruments.lab_processes.campaign_lock import CampaignLock
from orchestrator.clock import LiveClock
from orchestrator.domain.campaign import GeneralSpec
from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import AnswerStatus, CampaignStatus, ProposalStatus, RunStatus, StepKind, StepStatus
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import ContinuousParameter
from orchestrator.domain.records import CampaignRecord, ExperimentRun, Proposal, Provenance, Reading, RunRequest, Step
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.work import WorkAnswer
from orchestrator.errors import BadInput, HostError, NeedsPerson
from orchestrator.history import History
from orchestrator.store.sql import SqlStore
from policies.random_search import RandomPolicy
from tests.flow.test_steps import NOW, Box, Table, carry

SPACE = SearchSpace(parameters=(ContinuousParameter(name="x", min=0, max=1),))
OBJECTIVE = Objective(targets=(Target(name="y", goal="maximise"),))
FILE = """
[campaign]
name = "c"
budget = 9
[recorded]
table = "none"
[[parameters]]
name = "x"
kind = "continuous"
min = 0
max = 1
[[targets]]
name = "y"
goal = "maximise"
"""
STEPS = (
    Step(index=0, do="pump_a.dose", kind=StepKind.DOSING, arguments={"volume": 1.0}, units={"volume": "mL"}),
    Step(index=1, do="pump_b.dose", kind=StepKind.DOSING, arguments={"volume": 2.0}, units={"volume": "mL"}),
)
STOCKS = stock_entries(
    {name: StockSpec(species={"P": "1 mol/L"}, lot="L1", volume="9 mL", delivered_by=f"pump_{name}") for name in ("a", "b")}
)
READING = Reading(0, "box", "y", "", "good", datetime(2026, 1, 2, tzinfo=UTC), 12.5, 0.25, raw=b"y 0.25")


@dataclass
class Place:
    """A lab with a ledger and the journal of a host that is gone."""

    lab: Lab
    store: SqlStore
    journal: Journal
    fence: int

    def history(self) -> History:
        return History.of(self.store.changes("c"))

    def run(self, number: int, status: RunStatus = RunStatus.RUNNING) -> ExperimentRun:
        """Bring a run into the ledger."""
        made = Proposal(
            proposal_id=f"p{number}",
            campaign="c",
            number=number,
            configuration={"x": 0.5},
            steps=STEPS,
            binding=STOCKS,
            provenance=Provenance(policy="x/1", as_of=0, seed=0),
        )
        run = ExperimentRun(run_key=f"r{number}", run_id=f"r{number}", campaign="c", proposal_id=made.proposal_id, revision=1)
        self.store.add_proposals([made], by="t", now=NOW)
        self.store.decide(made.evolve(status=ProposalStatus.APPROVED, decided_by="rule x"), [run], by="t", now=NOW)
        for step in (RunStatus.DISPATCHED, RunStatus.RUNNING, status):
            if status is not RunStatus.QUEUED and run.status is not status:
                run = run.evolve(status=step, fence=self.fence)
                self.store.update_run(run, kind=EventKind.RESOLVED, by="t", now=NOW)
        return run

    def ended(self, number: int, status: RunStatus, **last: Any) -> None:
        """Let the host have done the first dose of a run, read once, and ended it."""
        key = f"r{number}"
        self.journal.commit(Transition(key, RunStatus.DISPATCHED, request=RunRequest(key, key, 1, "c", self.fence, "b", STEPS)))
        self.journal.commit(Transition(key, RunStatus.RUNNING, lab=1.0))
        done: dict[StepStatus, dict[str, Any]] = {StepStatus.INTENT: {}, StepStatus.SENT: {"sent": {"volume": 1.0}}, StepStatus.DONE: {}}
        for step, what in done.items():
            self.journal.commit(Transition(key, step, 0, lab=2.0, readings=(READING,) if step is StepStatus.DONE else (), **what))
        if status is not RunStatus.COMPLETED:
            self.journal.commit(Transition(key, StepStatus.SKIPPED, 1, "run ended", 3.0))
        if status is not RunStatus.RUNNING:
            self.journal.commit(Transition(key, status, reason="oven cold", lab=3.0, **last))

    def steer(self, status: CampaignStatus, reason: str) -> None:
        self.store.update_campaign(self.history().campaign.evolve(status=status, reason=reason), kind=EventKind(status), by="t", now=NOW)

    def by_loop(self) -> None:
        """Abort as a campaign's loop does that finds it in the ledger."""
        self.steer(CampaignStatus.ABORTED, "lunch (by Ada)")
        with unattended(self.lab.path) as bench:
            general = GeneralSpec.model_validate({"name": "c", "bench": "b", "budget": 9})
            setup = Setup(general, SPACE, OBJECTIVE, RandomPolicy(SPACE), Table(), bench, self.store, LiveClock(), self.fence)
            Steps(setup).abort()

    def by_command(self) -> None:
        abort("c", lab=self.lab.path, by="Ada", reason="lunch")

    def while_another_is_carried(self) -> None:
        with CampaignLock(self.lab.path, "other"):
            self.by_command()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    lab = make_lab(tmp_path / "lab", beside=tmp_path / "campaign.toml", kind="live")
    store, journal = SqlStore.open(lab.ledger), Journal(lab.path / "journal.sqlite")
    store.create_campaign(CampaignRecord(name="c", snapshot={"files": {"campaign": FILE}, "path": "/c.toml"}), by="t", now=NOW)
    fence = store.take_up("c", by="t", now=NOW)
    made = Place(lab, store, journal, fence)
    made.store.update_campaign(made.history().campaign.evolve(status=CampaignStatus.RUNNING), kind=EventKind.RUNNING, by="t", now=NOW)
    return made


EACH_WAY = pytest.mark.parametrize("abort", [Place.by_loop, Place.by_command, Place.while_another_is_carried])


@EACH_WAY
def test_after_an_abort_what_was_never_sent_is_not_spent_and_the_journals_readings_are_in_the_ledger(
    place: Place, abort: Callable[[Place], None]
) -> None:
    place.run(1)
    place.ended(1, RunStatus.FAILED)
    abort(place)
    history = place.history()
    run = history.runs["r1"]
    assert (run.status, run.reason, run.started_lab, run.ended_lab) == (RunStatus.FAILED, "oven cold", 1.0, 3.0)
    assert run.commanded == {"pump_a.dose.volume": 1.0}
    assert dosed(run, history.proposals[("p1", 1)]) == {("a", "L1"): 1.0}
    assert [(one.name, one.value, one.raw) for one in place.store.readings("r1")] == [("box.y", 0.25, b"y 0.25")]
    assert place.journal.readings("r1") == (), "the ledger has them, and the host was told"
    assert place.store.verify() == ()
    place.store.close()
    place.journal.close()


@EACH_WAY
def test_an_abort_leaves_nothing_open_and_begins_nothing(place: Place, abort: Callable[[Place], None]) -> None:
    place.run(1, RunStatus.COMPLETED)
    place.ended(1, RunStatus.COMPLETED)
    place.run(2, RunStatus.DISPATCHED)  # and the host never saw it
    place.run(3, RunStatus.QUEUED)
    place.run(4)
    place.ended(4, RunStatus.FAILED, evidence={"not_executed": True})
    abort(place)
    history = place.history()
    assert {key: (run.status, run.ingested) for key, run in history.runs.items()} == {
        "r1": (RunStatus.COMPLETED, True),
        "r2": (RunStatus.ABORTED, False),
        "r3": (RunStatus.ABORTED, False),
        "r4": (RunStatus.FAILED, False),
    }
    assert [one.value for one in history.measurements.values()] == [0.25]
    assert dosed(history.runs["r2"], history.proposals[("p2", 1)]) == {}
    assert place.journal.run("r2") is None
    assert place.store.verify() == ()
    place.store.close()
    place.journal.close()


def test_an_abort_that_cannot_end_a_run_says_so_and_can_be_given_again(place: Place) -> None:
    place.run(1)
    place.ended(1, RunStatus.RUNNING)
    kept = keep_copy(place.lab.path, "bench.toml", {"bench.toml": b"x = = 1"}, sha256="0" * 64)  # by which its host is started
    with pytest.raises(
        HostError, match=r"run r1 is open on the bench, and its host does not start: (?s:.*); then `athanor abort c` again"
    ) as refused:
        place.by_command()
    assert str(kept) in str(refused.value)
    assert place.journal.abort_reason("r1") == "campaign aborted: lunch (by Ada)", "the next host finds it before it sends anything"
    place.journal.commit(Transition("r1", RunStatus.ABORTED, reason="ended by hand", lab=4.0))
    place.by_command()
    assert place.history().runs["r1"].status is RunStatus.ABORTED
    assert len(place.store.readings("r1")) == 1
    with pytest.raises(BadInput, match="campaign c is aborted already"):
        place.by_command()
    place.store.close()
    place.journal.close()


@EACH_WAY
def test_a_run_that_was_begun_and_that_no_journal_knows_is_unknown_and_its_doses_count(
    place: Place, abort: Callable[[Place], None]
) -> None:
    place.run(1)
    abort(place)
    history = place.history()
    assert (history.runs["r1"].status, history.runs["r1"].reason) == (
        RunStatus.UNKNOWN,
        "it was begun, but the bench knows nothing of it any more",
    )
    assert dosed(history.runs["r1"], history.proposals[("p1", 1)]) == {("a", "L1"): 1.0, ("b", "L1"): 2.0}
    place.store.close()
    place.journal.close()


SAID = {"by": "Ada", "reason": "I looked"}


@pytest.mark.parametrize(
    ("verdict", "status", "over", "ends", "taken"),
    [
        ("discard", RunStatus.ABORTED, False, ["aborted"], {("a", "L1"): 1.0}),
        ("not-done", RunStatus.FAILED, False, ["superseded", "queued"], {("a", "L1"): 1.0}),
        ("not-done", RunStatus.FAILED, True, ["failed"], {("a", "L1"): 1.0}),
        ("done", RunStatus.FAILED, False, ["failed"], {("a", "L1"): 1.0}),
        ("done", RunStatus.COMPLETED, False, ["completed"], {("a", "L1"): 1.0, ("b", "L1"): 2.0}),
        ("done", RunStatus.COMPLETED, True, ["completed"], {("a", "L1"): 1.0, ("b", "L1"): 2.0}),
    ],
)
def test_a_persons_word_on_a_run_is_recorded_with_all_that_the_journal_knows(
    place: Place, verdict: str, status: RunStatus, over: bool, ends: list[str], taken: dict[tuple[str, str], float]
) -> None:
    run = place.run(1, RunStatus.UNKNOWN)
    evidence = {"not_executed": True} if verdict == "not-done" else {}
    place.ended(1, status, evidence=evidence)
    if over:
        place.steer(CampaignStatus.ABORTED, "lunch (by Ada)")
    with unattended(place.lab.path) as bench:
        report = bench.report("r1")
    assert report is not None
    record_verdict(place.store, place.lab, place.history().campaign, run, report, {"verdict": verdict, **SAID})
    history = place.history()
    assert [str(one.status) for one in history.runs.values()] == ends
    settled = history.runs["r1"]
    assert settled.commanded == {"pump_a.dose.volume": 1.0}
    assert {name: settled.evidence[name] for name in ("verdict", "by", "reason")} == {"verdict": verdict, **SAID}
    assert dosed(settled, history.proposals[("p1", 1)]) == taken
    left_to_the_campaign = settled.status is RunStatus.COMPLETED and not over
    assert settled.ingested is (settled.status is RunStatus.COMPLETED and over)
    kept = (len(place.store.readings("r1")), len(place.journal.readings("r1")))
    assert kept == ((0, 1) if left_to_the_campaign else (1, 0))
    assert place.store.verify() == ()
    place.store.close()
    place.journal.close()


def test_a_word_on_a_run_that_no_journal_knows_is_recorded_all_the_same(place: Place) -> None:
    run = place.run(1, RunStatus.UNKNOWN)
    place.ended(2, RunStatus.ABORTED)
    with unattended(place.lab.path) as bench:
        report = bench.report("r2")
        assert report is not None
        Recorder(place.store, bench, LiveClock(), lambda: (Table(), OBJECTIVE), "Ada").resolve(
            place.history(), run, report, {"verdict": "discard", **SAID}
        )
    assert place.history().runs["r1"].status is RunStatus.ABORTED
    assert place.store.readings("r1") == ()
    place.store.close()
    place.journal.close()


@pytest.mark.parametrize(
    ("verdict", "state", "told"),
    [
        ("done", "unknown", "it counts as failed (executed, result lost); run the campaign with the same command as before"),
        ("not-done", "unknown", "it counts as superseded (not executed); run the campaign with the same command as before"),
        ("discard", "stopped", "it counts as aborted (discarded); campaign c is paused (stopped): first `athanor resume c`; run the"),
        ("discard", "aborted", "it counts as aborted (discarded); campaign c has ended: aborted"),
        ("discard", "another", "it counts as aborted (discarded); nobody saw either how run r2 ended: `athanor resolve r2` settles it"),
    ],
)
def test_resolve_ends_with_what_the_run_counts_as_and_what_is_to_be_done_next(
    place: Place, capsys: pytest.CaptureFixture[str], verdict: str, state: str, told: str
) -> None:
    place.run(1, RunStatus.UNKNOWN)
    if state == "another":
        place.run(2, RunStatus.UNKNOWN)
    place.steer(CampaignStatus.ABORTED if state == "aborted" else CampaignStatus.PAUSED, state)
    resolve("r1", verdict == "done", verdict == "not-done", verdict == "discard", lab=place.lab.path, by="Ada", reason="seen")
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"run r1 is settled: {verdict} (seen, by Ada); {told}")
    place.store.close()
    place.journal.close()


@pytest.mark.parametrize("reason", ["unknown", "lunch (by Ada)"])
def test_a_paused_campaign_is_refused_with_the_line_that_settles_its_unknown_run(place: Place, reason: str) -> None:
    """Also to a command that comes after the one that paused it: that one may have died before it said so."""
    place.run(1, RunStatus.UNKNOWN)
    place.steer(CampaignStatus.PAUSED, reason)
    with pytest.raises(NeedsPerson, match=r"^run r1: nobody saw how it ended; .*athanor resolve r1 .*--done \| --not-done \| --discard"):
        _refuse_paused(place.history().campaign, place.store, place.lab.path)
    resolve("r1", False, False, True, lab=place.lab.path, by="Ada", reason="seen")
    place.steer(CampaignStatus.PAUSED, reason)
    with pytest.raises(NeedsPerson, match="athanor resume c"):
        _refuse_paused(place.history().campaign, place.store, place.lab.path)
    place.store.close()
    place.journal.close()


def test_an_abort_names_the_run_whose_end_nobody_saw(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.run(1, RunStatus.UNKNOWN)
    place.by_command()
    assert capsys.readouterr().out.splitlines() == [
        "campaign c is aborted",
        "nobody saw how run r1 ended: `athanor resolve r1` settles it",
    ]
    place.store.close()
    place.journal.close()


@EACH_WAY
def test_an_answer_that_the_bench_had_not_taken_is_closed_when_the_campaign_is_aborted(
    place: Place, abort: Callable[[Place], None]
) -> None:
    place.run(1)
    place.ended(1, RunStatus.ABORTED)
    answer = WorkAnswer(answer_id="w1", campaign="c", run_key="r1", step=0, person="Ada")
    place.store.answer_work(answer, code=None, now=NOW)
    abort(place)
    (closed,) = place.history().work.values()
    assert (closed.status, closed.refusal) == (
        AnswerStatus.REFUSED,
        "the bench had not taken it yet: campaign aborted: lunch (by Ada)",
    )
    assert place.store.verify() == ()
    place.store.close()
    place.journal.close()


def test_an_operation_tells_and_returns_what_came_of_it_and_prints_nothing(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    told: list[str] = []
    place.run(1, RunStatus.UNKNOWN)
    paused = operations.pause(place.lab, None, by="Ada", reason="lunch")
    assert (paused.status, paused.reason) == (CampaignStatus.PAUSED, "lunch (by Ada)")
    with pytest.raises(BadInput, match="the outcome of run r1 is unknown"):
        operations.resume(place.lab, None, by="Ada", reason="back")
    aborted = run_operations.abort(place.lab, None, by="Ada", reason="enough", tell=told.append)
    assert (aborted.campaign.reason, aborted.complaints, [run.run_key for run in aborted.unknown]) == ("enough (by Ada)", (), ["r1"])
    assert operations.standing(place.lab, "c").history.campaign == place.history().campaign
    assert operations.verify(place.lab).complaints == ()
    assert told == ["campaign c is aborted"]
    assert capfd.readouterr() == ("", "")
    place.store.close()
    place.journal.close()


def test_a_campaign_that_is_resumed_after_three_fruitless_runs_pauses_only_after_three_more(place: Place) -> None:
    recipe = Table()
    recipe.complaint = "pump.flow was not read"
    general = GeneralSpec.model_validate({"name": "c", "bench": "b", "budget": 9})
    setup = Setup(general, SPACE, OBJECTIVE, RandomPolicy(SPACE), recipe, Box(), place.store, LiveClock(), place.fence)
    for runs in (3, 6, 9):
        assert carry(Steps(setup)).status is CampaignStatus.PAUSED
        assert len(place.history().runs) == runs
        resume("c", lab=place.lab.path, by="Ada", reason="seen")
    place.store.close()
    place.journal.close()


def test_a_run_that_was_begun_is_never_handed_over_again(place: Place) -> None:
    place.run(1)
    box = Box()
    general = GeneralSpec.model_validate({"name": "c", "bench": "b", "budget": 9})
    steps = Steps(Setup(general, SPACE, OBJECTIVE, RandomPolicy(SPACE), Table(), box, place.store, LiveClock(), place.fence))
    assert carry(steps) == Ended(CampaignStatus.PAUSED, "unknown")
    assert box.requests == {}
    place.store.close()
    place.journal.close()
