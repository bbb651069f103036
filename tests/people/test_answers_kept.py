"""An answer stands in the ledger before the bench hears of it; wherever whoever carries it is killed, it counts once."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from typing_extensions import override

from flows.plans.ledger import open_store
from flows.report.write import write_report_of
from flows.running.actions import Setup, Steps
from flows.running.delivering import deliver
from flows.running.recording import with_people
from flows.running.run_loop import Ended
from flows.running.work_operations import StepReply, answer_step, chosen, waiting_work
from instruments.host.unattended import UnattendedBench, unattended
from orchestrator.clock import LiveClock
from orchestrator.domain.campaign import GeneralSpec
from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import AnswerStatus, CampaignStatus, RunStatus, StepStatus
from orchestrator.domain.records import RunReport, StepReport
from orchestrator.domain.review import Person, draw_codes
from orchestrator.domain.work import WorkAnswer
from orchestrator.errors import BadInput, HostError, HostRefusal, StoreError
from orchestrator.history import History
from orchestrator.loop import Deliver, Reconcile, next_actions
from orchestrator.store.sql import SqlStore
from policies.random_search import RandomPolicy
from tests.flow.test_steps import OBJECTIVE, SPACE, Table, carry, steps_over
from tests.people.bench import HEAT, WEIGH, procedure
from tests.people.lab import waiting_lab
from tests.store.cases import BY, CAMPAIGN, at, begin, tell_execution, tell_experiment
from tests.store.memory import MemoryStore


class Killed(BaseException):
    """Whoever was at work is gone."""


class AskingBench(UnattendedBench):
    """Takes answers as the host does, and may be cut off before or after it took one."""

    def __init__(self, *, dies: str = "never") -> None:
        super().__init__(None)
        self.taken: dict[str, WorkAnswer] = {}
        self.dies = dies

    @override
    def report(self, run_key: str, *, after: int = -1, wait: float = 0.0) -> RunReport | None:
        return RunReport(run_key, 1, RunStatus.RUNNING, steps=(StepReport(0, "chemist.weigh", StepStatus.INTENT),))

    @override
    def answer(self, answer: WorkAnswer) -> RunReport:
        if self.dies == "before":
            raise Killed
        first = next(iter(self.taken.values()), answer)
        if (first.answer_id, first.words) != (answer.answer_id, answer.words):
            raise HostRefusal("answered otherwise")
        self.taken[answer.answer_id] = answer
        if self.dies == "after":
            raise Killed
        return RunReport(answer.run_key, 2, RunStatus.RUNNING)


@pytest.fixture
def store() -> MemoryStore:
    made = MemoryStore()
    begin(made)
    return made


def answer_to(run_key: str, answer_id: str = "w1", **changes: Any) -> WorkAnswer:
    fields = {"person": "Ada", "values": {"weight": "12.3 mg"}, **changes}
    return WorkAnswer(answer_id=answer_id, campaign=CAMPAIGN, run_key=run_key, step=0, **fields)


def test_the_first_answer_is_received_again_the_same_and_every_other_one_refused(store: MemoryStore) -> None:
    run = tell_execution(store).run
    first = store.answer_work(answer_to(run.run_key), code=None, now=at(6))
    head = store.head()
    assert store.answer_work(answer_to(run.run_key), code=None, now=at(7)) == first
    assert store.head() == head
    second = store.answer_work(answer_to(run.run_key, "w2", person="Ben"), code=None, now=at(8))
    assert (first.status, second.status) == (AnswerStatus.RECEIVED, AnswerStatus.REFUSED)
    assert second.refusal == f"step 0 of run {run.run_key} was answered by Ada; the first answer counts"
    with pytest.raises(StoreError, match="content of work_answer w1"):
        store.answer_work(answer_to(run.run_key, values={"weight": "13 mg"}), code=None, now=at(9))
    assert [event.kind for event in store.events(CAMPAIGN)][-2:] == ["work-received", "work-refused"]
    assert store.verify() == ()


def test_an_answer_to_a_run_that_has_ended_or_is_not_known_is_refused(store: MemoryStore) -> None:
    run = tell_experiment(store).run
    assert store.answer_work(answer_to(run.run_key), code=None, now=at(7)).refusal == f"run {run.run_key} is completed; it waits for nobody"
    with pytest.raises(BadInput, match="there is no run 'nobody'"):
        store.answer_work(answer_to("nobody", "w9"), code=None, now=at(8))


def test_where_the_lab_keeps_people_a_code_proves_who_it_was_and_is_used_up(store: MemoryStore) -> None:
    run = tell_execution(store).run
    codes = draw_codes(2)
    store.keep(Person(name="Ada").with_codes(codes), kind=EventKind.PERSON_ADDED, by=BY, now=at(6))
    refusals = [
        (answer_to(run.run_key, "w0", person="Ben"), codes[0], "person 'Ben' is unknown here; known: Ada"),
        (answer_to(run.run_key, "w1"), None, "person Ada must give a one-time code from the sheet"),
        (answer_to(run.run_key, "w2"), "wrong-codes", "the code that came is not one of Ada's unused ones"),
    ]
    for answer, code, words in refusals:
        assert store.answer_work(answer, code=code, now=at(7)).refusal == words
    assert store.answer_work(answer_to(run.run_key, "w3"), code=codes[0], now=at(8)).status is AnswerStatus.RECEIVED
    assert store.people()[0].use(codes[0]) is None


def test_a_ledger_on_disk_keeps_answers_and_what_became_of_them(tmp_path: Any) -> None:
    store = SqlStore.open(tmp_path / "ledger.db", create=True)
    begin(store)
    run = tell_execution(store).run
    received = store.answer_work(answer_to(run.run_key), code=None, now=at(6))
    store.settle_work(received.evolve(status=AnswerStatus.ACCEPTED), by=BY, now=at(7))
    store.settle_work(received.evolve(status=AnswerStatus.ACCEPTED), by=BY, now=at(8))  # told twice, written once
    store.close()
    again = SqlStore.open(tmp_path / "ledger.db")
    assert [one.status for one in again.changes(CAMPAIGN).work] == [AnswerStatus.ACCEPTED]
    assert again.verify() == ()
    again.close()


@pytest.mark.parametrize("dies", ["before", "after"])
def test_an_answer_given_and_not_yet_told_or_not_yet_recorded_as_told_counts_once(store: MemoryStore, dies: str) -> None:
    run = tell_execution(store).run
    received = store.answer_work(answer_to(run.run_key), code=None, now=at(6))
    bench = AskingBench(dies=dies)
    with pytest.raises(Killed):
        deliver(store, bench, LiveClock(), received, by=BY)
    history = History.of(store.changes(CAMPAIGN))
    assert history.undelivered == (received,)
    bench.dies = "never"
    settled = deliver(store, bench, LiveClock(), history.undelivered[0], by=BY)
    assert settled.status is AnswerStatus.ACCEPTED
    assert list(bench.taken) == ["w1"]
    assert History.of(store.changes(CAMPAIGN)).undelivered == ()


def test_what_the_bench_does_not_take_is_kept_as_refused_and_another_answer_may_come(store: MemoryStore) -> None:
    run = tell_execution(store).run
    bench = AskingBench()
    bench.answer(answer_to(run.run_key, "elsewhere"))
    received = store.answer_work(answer_to(run.run_key), code=None, now=at(6))
    assert deliver(store, bench, LiveClock(), received, by=BY).refusal == "answered otherwise"
    assert store.answer_work(answer_to(run.run_key, "w2"), code=None, now=at(7)).status is AnswerStatus.RECEIVED


def test_a_bench_that_cannot_be_reached_leaves_the_answer_to_be_delivered(store: MemoryStore) -> None:
    run = tell_execution(store).run
    received = store.answer_work(answer_to(run.run_key), code=None, now=at(6))

    class Gone(AskingBench):
        @override
        def report(self, run_key: str, *, after: int = -1, wait: float = 0.0) -> RunReport | None:
            raise HostError("cannot be reached")

    with pytest.raises(HostError):
        deliver(store, Gone(), LiveClock(), received, by=BY)
    assert History.of(store.changes(CAMPAIGN)).undelivered == (received,)


def paused(store: MemoryStore) -> None:
    record = store.changes(CAMPAIGN).campaign
    store.update_campaign(record.evolve(status="paused", reason="lunch"), kind=EventKind.PAUSED, by=BY, now=at(6))


def going_on(_store: MemoryStore) -> None:
    """Leave it as it is."""


@pytest.mark.parametrize("state", [paused, going_on])
def test_a_campaign_delivers_before_it_does_anything_else_paused_or_not(store: MemoryStore, state: Callable[[MemoryStore], None]) -> None:
    run = tell_execution(store).run
    state(store)
    received = store.answer_work(answer_to(run.run_key), code=None, now=at(6))
    history, spec = History.of(store.changes(CAMPAIGN)), steps_over(AskingBench()).setup.spec
    assert next_actions(history, at(7), spec, OBJECTIVE) == (Deliver(received),)


def test_a_run_keeps_from_when_to_when_it_waited_for_people() -> None:
    steps = procedure(WEIGH, HEAT, WEIGH, WEIGH)
    done = [StepReport(n, one.do, StepStatus.DONE, started_lab=10.0 * n, ended_lab=10.0 * n + 8.0) for n, one in enumerate(steps)]
    ended = RunReport("k1", 9, RunStatus.COMPLETED, steps=tuple(done), ended_lab=40.0)
    assert [*with_people(steps, ended, 40.0)] == [(0.0, 8.0), (20.0, 28.0), (30.0, 38.0)]
    given_up = RunReport("k1", 9, RunStatus.ABORTED, steps=(*done[:2], replace(done[2], ended_lab=None)), ended_lab=40.0)
    assert [*with_people(steps, given_up, 40.0)] == [(0.0, 8.0), (20.0, 40.0)]


@pytest.mark.parametrize("where", ["first", "heated", "heated, and goes on"])
def test_a_paused_campaign_leaves_a_run_that_waits_for_a_person_unless_the_bench_must_be_attended(tmp_path: Any, where: str) -> None:
    before = () if where == "first" else (HEAT,)
    lab = waiting_lab(tmp_path, runs=1, steps=procedure(*before, WEIGH, rule="continue" if "goes on" in where else "abort"))
    with open_store(lab) as store, unattended(lab.path) as bench:
        general = GeneralSpec.model_validate({"name": "c", "bench": "b", "budget": 4})
        steps = Steps(Setup(general, SPACE, OBJECTIVE, RandomPolicy(SPACE), Table(), bench, store, LiveClock(), fence=0))
        steps.reconcile(Reconcile(steps.history.runs["k1"]), wait=0.0)
        assert [(one.code, one.may_be_left) for one in steps.waiting] == [("1a-D", where != "heated")]
        store.update_campaign(steps.history.campaign.evolve(status="paused", reason="lunch"), kind=EventKind.PAUSED, by=BY, now=at(9))
        if where != "heated":
            assert carry(steps) == Ended(CampaignStatus.PAUSED, "lunch")


def test_the_report_says_who_was_asked_what_and_what_they_said(tmp_path: Any) -> None:
    lab = waiting_lab(tmp_path)
    found = waiting_work(lab)
    answer_step(lab, chosen(found, "1a-D"), StepReply("Ada", {"weight": "12.3 mg", "colour": "white"}, comment="wet"))
    with open_store(lab) as store:
        page = write_report_of(store, store.changes("c").campaign, lab).read_text()
    assert "Ada: done; weight = 12.3 mg, colour = white; wet" in page
    assert "waits for anybody, or will" in page
