"""Review runs that nobody waits in any more: what people told them is read, and the page does not offer them any longer.

They are found in Prefect by the tag of their request: a process may have died before the ledger knew of its run, or
after the ledger had its answer.
"""

import logging
from collections.abc import Container, Iterable
from dataclasses import dataclass
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType, FlowRunFilterTags
from prefect.client.schemas.objects import TERMINAL_STATES

from flows.plans.lab import Lab
from flows.plans.ledger import has_ledger, open_store
from flows.prefect_view.review_run import ReviewQuestion, collect, name_end, tag_of
from flows.review.outcome import ending
from orchestrator.domain.review import ReviewRequest
from orchestrator.history import History
from orchestrator.ports import ReviewStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A review run that has not ended in Prefect."""

    flow_run_id: UUID
    request_id: str


def open_runs(client: SyncPrefectClient, request_ids: Iterable[str]) -> list[OpenRun]:
    """Return the review runs of some requests that have not ended."""
    by_tag = {tag_of(one): one for one in request_ids}
    if not by_tag:
        return []
    found = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            tags=FlowRunFilterTags(any_=sorted(by_tag)),
            state=FlowRunFilterState(type=FlowRunFilterStateType(not_any_=sorted(TERMINAL_STATES))),
        )
    )
    return [OpenRun(run.id, by_tag[tag]) for run in found for tag in run.tags if tag in by_tag]


def read_answers(lab: Lab, store: ReviewStore, request: ReviewRequest) -> None:
    """Write to the ledger what people told any review run of a request; what it holds already changes nothing."""
    load = ReviewQuestion(lab, store, request.campaign, request.request_id, request.attempt).load
    for run in request.runs:
        logger.info("review run %s: %s", run.flow_run_id, collect(lab, store, load, run.flow_run_id, run.key))


def close_left_runs(lab: Lab, store: ReviewStore, campaign: str, *, held: Container[str] = (), leave_open: bool) -> None:
    """Close the review runs of a campaign that nobody waits in any more, whoever began them.

    A form can be answered until it is closed, so it is read afterwards; before as well, so that it is shown as answered.

    Those of `held`, the ids of requests in whose runs a living process waits, are left; so are, where they are to be left
    open, the forms of open requests: what is answered there meanwhile, the next campaign process reads.
    """
    requests = History.of(store.changes(campaign)).requests
    with get_client(sync_client=True) as client:
        for run in open_runs(client, requests):
            request = requests[run.request_id]
            if run.request_id in held or (leave_open and request.waits):
                continue
            read_answers(lab, store, request)
            now = History.of(store.changes(campaign))
            ended = ending(now, now.requests[run.request_id], str(run.flow_run_id))
            client.set_flow_run_state(run.flow_run_id, name_end(client, run.flow_run_id, ended), force=True)
            read_answers(lab, store, request)


def close_decided_runs(lab: Lab) -> None:
    """Close, in all of a lab's campaigns, the forms of requests that were decided while there was no server to tell."""
    if not has_ledger(lab):
        return
    with open_store(lab) as store:
        for record in store.campaigns():
            close_left_runs(lab, store, record.name, leave_open=True)
