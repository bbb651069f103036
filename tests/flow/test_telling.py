"""People are told of what a history holds, once each."""

from dataclasses import replace

from flows.running.notices import Teller
from flows.running.waiting_steps import WaitingStep
from instruments.notification import Event, Notifier
from orchestrator.domain.lifecycle import CampaignStatus, RunStatus, StepKind
from orchestrator.domain.records import CampaignRecord, Step
from orchestrator.domain.run_code import run_code
from orchestrator.domain.work import WorkAnswer, WorkOrder
from orchestrator.history import History
from orchestrator.ports import Changes
from tests.store.cases import proposal, queued, request_for


def test_a_question_an_unknown_run_and_an_end_are_each_told_once() -> None:
    told: list[tuple[str, str]] = []

    def send(_address: str, title: str, body: str) -> bool:
        told.append((title, body))
        return True

    notifier = Notifier(["json://127.0.0.1:1"], send=send)
    teller = Teller(notifier, "http://127.0.0.1:4200/runs?state=Paused")
    request, _ = request_for(proposal())
    record = CampaignRecord(name="dots", status=CampaignStatus.RUNNING)
    lost = queued(proposal()).evolve(status=RunStatus.UNKNOWN)
    histories = [
        History.of(Changes(1, record)),
        History.of(Changes(2, record, (proposal(),), requests=(request,))),
        History.of(Changes(3, record, (proposal(),), (lost,), requests=(request.evolve(answer_id="a1"),))),
        History.of(Changes(4, record.evolve(status=CampaignStatus.PAUSED, reason="unknown"), (proposal(),), (lost,))),
    ]
    for history in histories:
        for _ in range(3):
            teller.tell(history)
    notifier.close()
    kinds = [title.partition("(")[2].partition(")")[0] for title, _ in told]
    assert kinds == [Event.WAITING, Event.UNKNOWN, Event.PAUSED]
    bodies = [body for _, body in told]
    assert "1 proposal to approve, edit or reject: http://127.0.0.1:4200" in bodies[0]
    assert f"athanor resolve {lost.run_key}" in bodies[1]
    assert "unknown" in bodies[2]


def test_a_step_that_waits_for_a_person_and_an_overdue_value_are_each_told_once() -> None:
    told: list[tuple[str, str]] = []

    def send(_address: str, title: str, body: str) -> bool:
        told.append((title, body))
        return True

    notifier = Notifier(["json://127.0.0.1:1"], send=send)
    teller, asked = Teller(notifier), proposal()
    code = run_code(asked.number)
    step = Step(index=0, do="chemist.weigh", kind=StepKind.PERSON, work=WorkOrder(instructions="Weigh."))
    weighing = WaitingStep(queued(asked), asked, step, 1.0)
    answer = WorkAnswer(answer_id="w1", campaign="c", run_key=weighing.run.run_key, step=0, person="Ada")
    late = queued(asked).evolve(status=RunStatus.COMPLETED, ingested=True, awaits={"purity": 9.0}, overdue=("purity",))
    past = History.of(Changes(2, CampaignRecord(name="dots", status=CampaignStatus.RUNNING), (asked,), (late,)))
    teller.tell(past, [replace(weighing, answer=answer)])
    assert len(told) <= 1, "whoever has answered is not asked"
    for _ in range(3):
        teller.tell(past, [weighing, replace(weighing, step=step.evolve(index=1))])
    notifier.close()
    asks = (f"Athanor (waiting for you): campaign {late.campaign}, run {code}", f"chemist.weigh waits for anybody: athanor work {code}")
    assert sorted(told) == [
        (
            f"Athanor (value overdue): campaign {late.campaign}, run {code}",
            "no value of purity came in time, and nobody waits for it any longer; it is taken all the same: "
            f"athanor measure add {code} purity=... --by NAME",
        ),
        asks,
        asks,
    ]


def test_a_question_that_was_answered_is_not_told() -> None:
    told: list[str] = []

    def send(_address: str, title: str, _body: str) -> bool:
        told.append(title)
        return True

    notifier = Notifier(["json://127.0.0.1:1"], send=send)
    request, _ = request_for(proposal())
    record = CampaignRecord(name="dots", status=CampaignStatus.RUNNING)
    Teller(notifier).tell(History.of(Changes(2, record, (proposal(),), requests=(request.evolve(answer_id="a1"),))))
    notifier.close()
    assert told == []
