"""A review run: puts one request to people in the Prefect UI and writes their answer to the ledger.

    python -m flows.prefect_view.review_run --lab DIR --campaign NAME --request ID --attempt N --parent PID

One process per attempt at a request. It pauses under a key of its own, and only an answer that Prefect has stored under
that key counts: a run that was set to Running by other means has no answer, whatever the form's defaults say.
"""

import argparse
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx
from prefect import flow, get_run_logger, pause_flow_run, tags
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.exceptions import FlowPauseTimeout, ObjectNotFound, PrefectException
from prefect.states import Cancelled, Completed, Running
from pydantic import ValidationError

from flows.plans.lab import Lab, clock_of, open_lab
from flows.plans.ledger import open_store
from flows.plans.snapshots import files_of
from flows.prefect_view.review_form import answer_from, form_for
from flows.review.outcome import Ending, asking, ending, expected, notice
from flows.review.rendering import markdown
from orchestrator.domain.events import BY_REVIEW, EventKind
from orchestrator.domain.records import Proposal
from orchestrator.domain.review import ReviewRequest, ReviewRun
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import AthanorError, BadInput
from orchestrator.history import History
from orchestrator.ports import ReadStore, ReviewStore

logger = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 30 * 86400
"""Prefect's own time-out: long, since the campaign's deadline decides."""
_POLL_SECONDS: Final = 2
_ANSWER_POLL_SECONDS: Final = 0.5
"""How often the ledger is asked what came of an answer."""
_PARENT_SECONDS: Final = 1.0


@dataclass(frozen=True)
class ReviewQuestion:
    """One attempt at a request."""

    lab: Lab
    store: ReviewStore
    campaign: str
    request_id: str
    attempt: int
    timeout: int = PAUSE_SECONDS

    def history(self) -> History:
        """Read the campaign as it is now."""
        return History.of(self.store.changes(self.campaign))

    def load(self) -> tuple[ReviewRequest, tuple[Proposal, ...], SearchSpace]:
        """Read the request as it is now."""
        history = self.history()
        request = history.requests[self.request_id]
        proposals = tuple(history.proposals[(one.proposal_id, one.revision)] for one in request.asked)
        return request, proposals, files_of(history.campaign)[0]

    @property
    def units(self) -> Mapping[str, str]:
        """Unit of each target."""
        return next(files_of(one)[1].units for one in self.store.campaigns() if one.name == self.campaign)

    @property
    def key(self) -> str:
        """The pause's key: never used twice."""
        return pause_key(self.request_id, self.attempt)


def pause_key(request_id: str, attempt: int) -> str:
    """Return the key of the pause in which a request is put to people for the n-th time."""
    return f"{request_id}-a{attempt}"


def tag_of(request_id: str) -> str:
    """Return the tag of a request's review runs in Prefect."""
    return f"request-{request_id}"


def leave_with(parent: int) -> None:
    """End this process soon after its campaign process has gone, be it while this one was loading: the next one asks anew."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_SECONDS)
        os._exit(0)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def ask_in_page(question: ReviewQuestion) -> str:
    """Put a request to people as a flow run that pauses; return how it ended."""
    request, proposals, space = question.load()
    if not request.waits:
        return f"request {request.number} is {request.status} already"
    told = {(one.proposal_id, one.revision): one for one in proposals}

    @flow(name="review", flow_run_name=asking(request, told), validate_parameters=False, persist_result=False)
    def review() -> State[Any]:
        context = FlowRunContext.get()
        assert context is not None
        assert context.flow_run is not None
        run_id = context.flow_run.id
        kept = request.evolve(runs=[*(one.model_dump() for one in request.runs), ReviewRun(flow_run_id=str(run_id), key=question.key)])
        question.store.update_request(kept, kind=EventKind.REVIEW_RUN, by=BY_REVIEW, now=clock_of(question.lab, question.store).now())
        link = publish_page(question.store, request, run_id)
        units = question.units
        expected = {one.proposal_id: expectation(one, units) for one in proposals}
        form = form_for(request, proposals, space, expected, page=link, notice=notice(request, told))
        about = description(request, proposals, units, space.present)
        get_run_logger().info("%s", about)
        return _pause(question, form.with_initial_data(description=about), run_id)

    with tags(tag_of(question.request_id)):  # so that it is found and closed should this process die before the ledger knows of it
        state = review(return_state=True)
    return state.message or state.name or "ended"


def publish_page(store: ReadStore, request: ReviewRequest, run_id: UUID) -> str:
    """Put the stored decision page into the UI as an artifact; return its address there."""
    page = json.loads(store.page(request.page_sha256 or "").text)
    data = markdown(page) if "evidence" in page else json.dumps(page)
    artifact = ArtifactCreate(
        key=f"{request.campaign}-review-{request.number}",
        type="markdown",
        data=data,
        description=f"Decision page of request {request.number}, campaign {request.campaign}; sha256 {request.page_sha256}",
        flow_run_id=run_id,
    )
    with get_client(sync_client=True) as client:
        kept = client.create_artifact(artifact)
    return f"{os.environ.get('PREFECT_UI_URL', '')}/artifacts/artifact/{kept.id}"


def _pause(question: ReviewQuestion, form: Any, run_id: UUID) -> State[Any]:
    over = threading.Event()
    threading.Thread(target=wake_cancelled, args=(run_id, over), name="cancelled", daemon=True).start()
    try:
        pause_flow_run(wait_for_input=form, key=question.key, timeout=question.timeout, poll_interval=_POLL_SECONDS)
    except FlowPauseTimeout:
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(run_id, Running(), force=True)
        return Completed(message="nobody answered in Prefect's time; asked again")
    except ValidationError:  # released without an answer: the form's defaults lack the verdicts and the reviewer
        logger.warning("flow run %s was released without an answer", run_id)
    finally:
        over.set()
    return _told(question, run_id)


def wake_cancelled(run_id: UUID, over: threading.Event) -> None:
    """Let a pause go on whose run is cancelled: a pause looks only for a run that runs, and a form may have been submitted just before."""
    with get_client(sync_client=True) as client:
        while not over.wait(_POLL_SECONDS):
            try:
                state = client.read_flow_run(run_id).state
                if state is not None and (state.is_cancelling() or state.is_final()) and not over.is_set():
                    client.set_flow_run_state(run_id, Running(), force=True)
            except (httpx.HTTPError, PrefectException) as error:  # the pause itself notices a server that stays away
                logger.warning("flow run %s cannot be looked at: %s", run_id, error)


def _told(question: ReviewQuestion, run_id: UUID) -> State[Any]:
    """Read what people submitted, wait until it is carried out, and show in the run what came of it."""
    said = collect(question.lab, question.store, question.load, str(run_id), question.key)
    get_run_logger().info("%s", said)
    while (
        request := (history := question.history()).requests[question.request_id]
    ).settles and request.answer_id == f"{run_id}/{question.key}":
        time.sleep(_ANSWER_POLL_SECONDS)
    ended = ending(history, request, str(run_id), otherwise=said)
    if ended.said != said:
        get_run_logger().info("%s", ended.said)
    with get_client(sync_client=True) as client:
        return name_end(client, run_id, ended)


def name_end(client: SyncPrefectClient, run_id: UUID, ended: Ending) -> State[Any]:
    """Give a run the name that says how it ended; return its last state."""
    client.update_flow_run(run_id, name=ended.name)
    return Completed(message=ended.said) if ended.is_answered else Cancelled(message=ended.said)


def collect(lab: Lab, store: ReviewStore, load: Any, flow_run_id: str, key: str) -> str:
    """Write the answer that Prefect has stored under a pause's key to the ledger; return what became of it."""
    came = stored_response(flow_run_id, key)
    if came is None:
        return "released or cancelled without an answer; the request waits on and is asked again"
    request, proposals, space = load()
    try:
        answer, code = answer_from(request, proposals, space, came, answer_id=f"{flow_run_id}/{key}", key=key)
    except BadInput as error:
        if not request.waits or key != pause_key(request.request_id, request.attempt):
            return f"not an answer: {error}; known already, or too late"
        complaint = request.evolve(attempt=request.attempt + 1, complaint=str(error))
        store.update_request(complaint, kind=EventKind.ANSWER_UNREADABLE, by=BY_REVIEW, now=clock_of(lab, store).now())
        return f"not an answer: {error}; asked again"
    kept = store.answer(answer, code=code or None, now=clock_of(lab, store).now())
    return f"{kept.status}{f': {kept.reason}' if kept.reason else f' from {kept.reviewer}'}"


def stored_response(flow_run_id: str, key: str) -> dict[str, Any] | None:
    """Return what a person submitted under a pause's key; None when nobody did."""
    with get_client(sync_client=True) as client:
        try:
            found = client.filter_flow_run_input(UUID(flow_run_id), key_prefix=f"paused-{key}-response", limit=1, exclude_keys=set())
        except ObjectNotFound:  # somebody deleted the run in the page
            return None
    if not found:
        return None
    value: dict[str, Any] = json.loads(found[0].value)
    return value


def expectation(proposal: Proposal, units: Mapping[str, str] | None = None) -> str:
    """Say in a few words what is expected of a proposal, with 90 % intervals."""
    told = expected(proposal.provenance.predicted, units or {})
    return f": {told}" if told else ""


def description(
    request: ReviewRequest,
    proposals: Sequence[Proposal],
    units: Mapping[str, str] | None = None,
    present: Callable[[Configuration], Configuration] = dict,
) -> str:
    """Say above the form what is asked and why."""
    first = notice(request, {(one.proposal_id, one.revision): one for one in proposals})
    lines = [f"**{first}**", ""] if first else []
    lines.append(f"Request {request.number} of campaign {request.campaign}: approve, edit or reject each proposal.")
    for asked, proposal in zip(request.asked, proposals, strict=True):
        why = "; ".join(reason.text for reason in asked.reasons)
        values = ", ".join(
            f"{name} {value if isinstance(value, str) else f'{value:.5g}'}" for name, value in present(proposal.configuration).items()
        )
        lines.append(f"- proposal {asked.number}: {values}{expectation(proposal, units)} — {why}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Put one request to people."""
    parser = argparse.ArgumentParser(prog="python -m flows.prefect_view.review_run", description=main.__doc__)
    parser.add_argument("--lab", type=Path, required=True)
    parser.add_argument("--campaign", required=True)
    parser.add_argument("--request", required=True)
    parser.add_argument("--attempt", type=int, required=True)
    parser.add_argument("--timeout", type=int, default=PAUSE_SECONDS)
    parser.add_argument("--parent", type=int, required=True, help="pid of the campaign process, without which this one is not")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    lab = open_lab(given.lab)
    leave_with(given.parent)
    try:
        with open_store(lab) as store:
            logger.info("%s", ask_in_page(ReviewQuestion(lab, store, given.campaign, given.request, given.attempt, given.timeout)))
    except AthanorError as error:
        logger.error("%s", error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
