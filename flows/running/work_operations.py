"""What people do for an experiment: which steps wait for whom, and the answers, into the ledger first and then to the bench."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Literal

from pydantic import ValidationError

from flows.plans.lab import Lab, clock_of
from flows.plans.ledger import open_store, the_campaign
from flows.plans.snapshots import files_of
from flows.report.work_order import PrintedOrder
from flows.running.delivering import deliver
from flows.running.waiting_steps import IN_HAND, WaitingStep, steps_waiting
from instruments.bench_client.client import HostClient
from instruments.host.unattended import unattended
from instruments.lab_processes.bench_process import host_alive
from orchestrator.clock import Clock
from orchestrator.commandline import typed
from orchestrator.domain.events import BY_COMMAND, person_named
from orchestrator.domain.identity import uuid7
from orchestrator.domain.lifecycle import AnswerStatus
from orchestrator.domain.run_code import is_code, read_code
from orchestrator.domain.values import explain
from orchestrator.domain.work import WorkAnswer
from orchestrator.errors import BadInput, HostError, LockHeld
from orchestrator.history import History
from orchestrator.ports import Bench, Store
from orchestrator.work import check_answer


@dataclass(frozen=True, slots=True)
class Work:
    """What waits for people in a lab."""

    lab: Lab
    steps: tuple[WaitingStep, ...]
    needs_code: bool
    """Whether the lab keeps people, who sign with one-time codes."""
    clock: Clock


def waiting_work(lab: Lab, campaign: str | None = None) -> Work:
    """Look which steps wait for people: of one campaign, or of all of the lab.

    Raises:
        HostError: A bench host lives, and gives no answer.
    """
    with open_store(lab, read_only=True) as store:
        names = [one.name for one in store.campaigns()] if campaign is None else [the_campaign(store, lab, campaign).name]
        histories = [History.of(store.changes(name)) for name in names]
        clock, needs_code = clock_of(lab, store), bool(store.people())
    if not any(run.status in IN_HAND for history in histories for run in history.runs.values()):
        return Work(lab, (), needs_code, clock)
    with _bench(lab) as bench:
        steps = tuple(one for history in histories for one in steps_waiting(history, bench))
    return Work(lab, steps, needs_code, clock)


@contextmanager
def _bench(lab: Lab) -> Iterator[Bench]:
    """Ask the host, or read its journal where none lives."""
    if host_alive(lab.path):
        with HostClient.of_lab(lab.path) as client:
            yield client
    else:
        with ExitStack() as held:
            try:
                bench = held.enter_context(unattended(lab.path))
            except LockHeld as error:
                raise HostError(f"the bench host gives no answer: {error}") from error
            yield bench


def chosen(work: Work, code: str | None) -> WaitingStep:
    """Return the step that a run's code, or key, names; without one the only one that waits.

    Raises:
        BadInput: None of it waits, several do, or the code is misread.
    """
    known = ", ".join(one.code for one in work.steps) or "none"
    if code is None:
        if len(work.steps) != 1:
            raise BadInput(f"{len(work.steps)} runs wait for people ({known}); name one by its code")
        return work.steps[0]
    if is_code(code):
        read_code(code)
    found = [one for one in work.steps if code.strip().lower() in (one.code.lower(), one.run.run_key)]
    if not found:
        raise BadInput(f"no step of run {code} waits for a person; waiting: {known}")
    if len(found) > 1:
        raise BadInput(f"run {code} waits in campaigns {', '.join(one.run.campaign for one in found)}; name one with --campaign")
    return found[0]


def printed(work: Work, steps: Sequence[WaitingStep]) -> list[PrintedOrder]:
    """Return steps as they are printed."""
    with open_store(work.lab, read_only=True) as store:
        spaces = {one.name: files_of(one)[0] for one in store.campaigns()}
    return [
        PrintedOrder(
            code=one.code,
            campaign=one.run.campaign,
            do=one.step.do,
            order=one.order,
            configuration=spaces[one.run.campaign].present(one.proposal.configuration),
            units=spaces[one.run.campaign].units,
            command=typed("work", one.code, *(f"{wanted.name}=..." for wanted in one.order.values), "--by", "NAME"),
        )
        for one in steps
    ]


# ---------------------------------------------------------------------- answers


@dataclass(frozen=True, slots=True)
class StepReply:
    """What a person says of a step."""

    by: str
    values: Mapping[str, str] = field(default_factory=dict)
    """As typed, by name."""
    outcome: Literal["done", "not-done", "went-wrong"] = "done"
    reason: str | None = None
    comment: str = ""
    code: str | None = None
    """A one-time code from the person's sheet."""
    via: Literal["page", "terminal"] = "terminal"
    answer_id: str | None = None
    """Where the answer is known by one already; None for a new one."""


def answer_step(lab: Lab, waiting: WaitingStep, said: StepReply) -> WorkAnswer:
    """Answer a step: checked, recorded in the ledger with who it was, then told to the bench; return the answer as judged.

    Where no bench host lives the answer stays in the ledger, and the campaign delivers it when it goes on.

    Raises:
        BadInput: Values that cannot be taken, or not by whom was asked: nothing is recorded, and the step waits on.
    """
    answer = checked_answer(waiting, said)
    with open_store(lab) as store:
        kept = store.answer_work(answer, code=said.code, now=clock_of(lab, store).now())
        return _told(lab, store, kept) if kept.status is AnswerStatus.RECEIVED else kept


def checked_answer(waiting: WaitingStep, said: StepReply) -> WorkAnswer:
    """Return an answer whose values were read and found legal.

    Raises:
        BadInput: One line.
    """
    what = f"run {waiting.code}, {waiting.step.do}"
    try:
        answer = WorkAnswer(
            answer_id=said.answer_id or uuid7(),
            campaign=waiting.run.campaign,
            run_key=waiting.run.run_key,
            step=waiting.step.index,
            person=person_named(said.by),
            outcome=said.outcome,
            values=dict(said.values),
            reason=said.reason,
            comment=said.comment,
            via=said.via,
        )
    except ValidationError as error:
        raise explain(error, what=what) from error
    check_answer(waiting.order, answer, what=what)
    return answer


def _told(lab: Lab, store: Store, answer: WorkAnswer) -> WorkAnswer:
    if not host_alive(lab.path):
        return answer
    try:
        with HostClient.of_lab(lab.path) as client:
            return deliver(store, client, clock_of(lab, store), answer, by=BY_COMMAND)
    except HostError:  # it may have died just now: the ledger has the answer, and the campaign delivers it
        return answer


def values_typed(texts: Sequence[str]) -> dict[str, str]:
    """Read values such as `weight=12.3 mg`.

    Raises:
        BadInput: Names the text, and what was expected.
    """
    values: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise BadInput(f"{text!r}: expected NAME=VALUE, for example weight=12.3 mg")
        if name.strip() in values:
            raise BadInput(f"{text!r}: {name.strip()} is given twice")
        values[name.strip()] = value.strip()
    return values
