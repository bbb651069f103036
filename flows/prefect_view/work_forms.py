"""Forms in the Prefect UI for the steps that wait for people: one flow run each, all of a campaign's in one process.

    python -m flows.prefect_view.work_forms --lab DIR --campaign NAME --parent PID

The bench says what waits; an answer goes the way of one that is typed in a terminal. What people submitted to forms of an
earlier process is read before anything is asked again, under the identity of form and pause: the same answer counts once.
"""

import argparse
import logging
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx
from prefect import flow, get_run_logger, pause_flow_run, tags
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType, FlowRunFilterTags
from prefect.client.schemas.objects import TERMINAL_STATES, State
from prefect.context import FlowRunContext
from prefect.exceptions import FlowPauseTimeout, PrefectException
from prefect.states import Cancelled, Completed, Running
from pydantic import ValidationError

from flows.plans.lab import Lab, open_lab
from flows.prefect_view.review_run import PAUSE_SECONDS, leave_with, stored_response, wake_cancelled
from flows.prefect_view.work_form import form_of, said_in
from flows.running.waiting_steps import WaitingStep
from flows.running.work_operations import answer_step, waiting_work
from orchestrator.domain.lifecycle import AnswerStatus, RunStatus, StepKind
from orchestrator.errors import AthanorError, BadInput
from orchestrator.history import History

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 2.0
"""How often the bench is asked what waits."""
RETRY_SECONDS: Final = 10.0
"""A form that was closed without an answer is put again after so long."""
_POLL_SECONDS: Final = 2
_TROUBLE: Final = (httpx.HTTPError, PrefectException, OSError, AthanorError)


def tag_of(waiting: WaitingStep) -> str:
    """Return the tag of a step's flow runs in Prefect."""
    return f"work-{waiting.run.run_key}-{waiting.step.index}"


def pause_key(waiting: WaitingStep, attempt: int) -> str:
    """Return the key of the pause in which a flow run asks for the n-th time."""
    return f"{tag_of(waiting)}-a{attempt}"


@dataclass
class WorkForm:
    """One step that is put to people in the page."""

    lab: Lab
    waiting: WaitingStep
    over: threading.Event = field(default_factory=threading.Event)
    """Set once the step waits no more, however it was answered."""
    flow_run_id: UUID | None = None

    def ask(self) -> str:
        """Put the step to people as a flow run that pauses until there is an answer; return how it ended."""
        waiting = self.waiting
        title = f"{waiting.code} {waiting.step.do} for {waiting.whom}, campaign {waiting.run.campaign}"

        @flow(name="work", flow_run_name=title, validate_parameters=False, persist_result=False)
        def work() -> State[Any]:
            context = FlowRunContext.get()
            assert context is not None
            assert context.flow_run is not None
            self.flow_run_id = context.flow_run.id
            get_run_logger().info("%s", waiting.order.instructions)
            return self._until_answered(context.flow_run.id)

        with tags(tag_of(waiting)):
            state = work(return_state=True)
        return state.message or state.name or "ended"

    def _until_answered(self, run_id: UUID) -> State[Any]:
        notice = ""
        for attempt in count():
            if not self._pause(run_id, pause_key(self.waiting, attempt), notice):
                break
            came = stored_response(str(run_id), pause_key(self.waiting, attempt))
            if came is None:
                break
            taken, told = take(self.lab, self.waiting, came, answer_id=f"{run_id}/{pause_key(self.waiting, attempt)}")
            get_run_logger().info("%s", told)
            if taken:
                return Completed(message=told)
            if self.over.is_set():
                return Cancelled(message=told)
            notice = f"not taken: {told}"
        return Cancelled(message="it waits no more" if self.over.is_set() else "closed without an answer; asked again")

    def _pause(self, run_id: UUID, key: str, notice: str) -> bool:
        """Wait for a form; return whether somebody may have submitted it."""
        looked = threading.Event()
        threading.Thread(target=wake_cancelled, args=(run_id, looked), name="cancelled", daemon=True).start()
        form = form_of(self.waiting, notice=notice).with_initial_data(description=self.waiting.order.instructions)
        try:
            pause_flow_run(wait_for_input=form, key=key, timeout=PAUSE_SECONDS, poll_interval=_POLL_SECONDS)
        except FlowPauseTimeout:
            _release(run_id)
            return False
        except ValidationError:  # released without an answer: the form has no outcome beforehand
            return True
        finally:
            looked.set()
        return True

    def end(self) -> None:
        """Close the form: the step waits no more."""
        self.over.set()
        if self.flow_run_id is not None:
            _release(self.flow_run_id)


def _release(run_id: UUID) -> None:
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run_id, Running(), force=True)


def take(lab: Lab, waiting: WaitingStep, came: dict[str, Any], *, answer_id: str) -> tuple[bool, str]:
    """Hand over what came back from a form; return whether it was taken, and a line."""
    try:
        kept = answer_step(lab, waiting, said_in(waiting, came, answer_id=answer_id))
    except BadInput as error:
        return False, str(error)
    if kept.status is AnswerStatus.REFUSED:
        return False, kept.refusal or "refused"
    return True, f"{kept.outcome.replace('-', ' ')}, by {kept.person}"


def read_left(lab: Lab, waiting: WaitingStep) -> bool:
    """Take what people submitted to forms of a process that is gone, and close these; return whether there was an answer."""
    answered = False
    with get_client(sync_client=True) as client:
        filters = FlowRunFilter(
            tags=FlowRunFilterTags(all_=[tag_of(waiting)]),
            state=FlowRunFilterState(type=FlowRunFilterStateType(not_any_=sorted(TERMINAL_STATES))),
        )
        for run in client.read_flow_runs(flow_run_filter=filters):
            for answer_id, came in _submitted(waiting, run.id):
                taken, told = take(lab, waiting, came, answer_id=answer_id)
                logger.info("form %s: %s", answer_id, told)
                answered = answered or taken
            end: State[Any] = Completed(message="read by the next process") if answered else Cancelled(message="asked again in a new run")
            client.set_flow_run_state(run.id, end, force=True)
    return answered


def close_over(history: History) -> None:
    """Close the forms of runs that are on the bench no more, which nobody waits in after a campaign's end."""
    over = {
        f"work-{run.run_key}-{step.index}"
        for run in history.runs.values()
        if not run.is_imported
        for step in history.proposals[run.approval].steps
        if step.kind is StepKind.PERSON and run.status not in (RunStatus.DISPATCHED, RunStatus.RUNNING)
    }
    if not over:
        return
    with get_client(sync_client=True) as client:
        filters = FlowRunFilter(
            tags=FlowRunFilterTags(any_=sorted(over)),
            state=FlowRunFilterState(type=FlowRunFilterStateType(not_any_=sorted(TERMINAL_STATES))),
        )
        for run in client.read_flow_runs(flow_run_filter=filters):
            client.set_flow_run_state(run.id, Completed(message="it waits no more"), force=True)


def _submitted(waiting: WaitingStep, run_id: UUID) -> Iterator[tuple[str, dict[str, Any]]]:
    for attempt in count():
        came = stored_response(str(run_id), pause_key(waiting, attempt))
        if came is None:
            return
        yield f"{run_id}/{pause_key(waiting, attempt)}", came


class WorkForms:
    """All forms of a campaign."""

    def __init__(self, lab: Lab, campaign: str) -> None:
        """Prepare; nothing is asked before `look`."""
        self._lab = lab
        self._campaign = campaign
        self._forms: dict[str, tuple[WorkForm, threading.Thread]] = {}
        self._tried: dict[str, float] = {}

    def look(self) -> None:
        """Have exactly those steps asked that wait and have no answer."""
        waiting = {tag_of(one): one for one in waiting_work(self._lab, self._campaign).steps if one.answer is None}
        for tag, (form, thread) in list(self._forms.items()):
            if not thread.is_alive():
                del self._forms[tag]
            elif tag not in waiting and not form.over.is_set():
                form.end()
        for tag, one in waiting.items():
            if tag not in self._forms and time.monotonic() - self._tried.get(tag, -RETRY_SECONDS) >= RETRY_SECONDS:
                self._tried[tag] = time.monotonic()
                if not read_left(self._lab, one):
                    self._begin(tag, one)

    def _begin(self, tag: str, waiting: WaitingStep) -> None:
        form = WorkForm(self._lab, waiting)
        thread = threading.Thread(target=self._ask, args=(form,), name=tag, daemon=True)
        self._forms[tag] = form, thread
        thread.start()

    def _ask(self, form: WorkForm) -> None:
        try:
            logger.info("%s: %s", form.waiting.code, form.ask())
        except Exception as error:  # whatever Prefect raises: the step waits on, and is put again
            logger.warning("%s cannot be put to people: %s", form.waiting.code, error)


def main(arguments: Sequence[str] | None = None) -> int:
    """Put the steps of a campaign that wait to people, until the campaign's process is gone."""
    parser = argparse.ArgumentParser(prog="python -m flows.prefect_view.work_forms", description=main.__doc__)
    parser.add_argument("--lab", type=Path, required=True)
    parser.add_argument("--campaign", required=True)
    parser.add_argument("--parent", type=int, required=True, help="pid of the campaign process, without which this one is not")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    leave_with(given.parent)
    forms = WorkForms(open_lab(given.lab), given.campaign)
    while True:
        try:
            forms.look()
        except _TROUBLE as error:
            logger.warning("what waits cannot be put to people now: %s", error)
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
