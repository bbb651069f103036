"""The campaign as Prefect shows it: one flow run, one task per cycle, artifacts kept up to date by a thread of its own.

Prefect is a view of the ledger. Nothing here is waited for by the campaign: artifacts are written from a queue, and a
flow whose end cannot be reported is left behind by the caller.
"""

import json
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import httpx
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import State, StateType
from prefect.context import FlowRunContext
from prefect.exceptions import PrefectException
from prefect.states import Cancelled, Crashed

from flows.campaign import Cycle
from flows.plots import progress_markdown, proposal_rows
from orchestrator.domain.objective import Objective
from orchestrator.loop import History

logger = logging.getLogger(__name__)

CANCEL_POLL_SECONDS: Final = 2.0
PUBLISH_SECONDS: Final = 1.0
"""Artifacts are written at most so often: cycles of an accelerated campaign would keep the process busy with pictures."""
_SERVER_TROUBLE: Final = (httpx.HTTPError, PrefectException, OSError)


class View:
    """One flow run of a campaign, its artifacts, and the way in which a cancel reaches the campaign."""

    def __init__(self, campaign: str, objective: Objective, budget: int, leave: threading.Event, describe: Callable[[], str]) -> None:
        """Prepare.

        Args:
            campaign: Its name.
            objective: What the artifacts score by.
            budget: Experiments that the campaign may carry out.
            leave: Set when somebody cancels the flow run.
            describe: Says in a line how far the campaign is, for the run's log.
        """
        self._campaign = campaign
        self._objective = objective
        self._budget = budget
        self._leave = leave
        self._describe = describe
        self._queue: queue.Queue[History | None] = queue.Queue()
        self._done = threading.Event()
        self._flow_run_id: UUID | None = None

    def run(self, body: Callable[[Cycle], None]) -> None:
        """Run a campaign's body as a flow; raises what Prefect raises when it cannot begin or report the end.

        Args:
            body: Carries the campaign on, each cycle's work wrapped by the given callable.
        """
        pending: dict[int, Callable[[], None]] = {}
        helpers: list[threading.Thread] = []

        @task(name="cycle", task_run_name="cycle-{number}", cache_policy=NO_CACHE, persist_result=False)
        def cycle(number: int) -> None:
            pending.pop(number)()
            get_run_logger().info("%s", self._describe())

        def wrapped(number: int, work: Callable[[], None]) -> None:
            pending[number] = work
            try:
                cycle(number)
            except _SERVER_TROUBLE as error:
                logger.warning("Prefect does not take cycle %d of campaign %s: %s", number, self._campaign, error)
                if number in pending:  # the task never began: the work is done without it
                    work()

        @flow(name="campaign", flow_run_name=self._campaign, validate_parameters=False, persist_result=False)
        def campaign() -> State[Any] | str:
            context = FlowRunContext.get()
            self._flow_run_id = context.flow_run.id if context is not None and context.flow_run is not None else None
            helpers.extend(self._start_helpers())
            body(wrapped)
            self._finish(helpers)
            said = self._describe()
            return Cancelled(message=said) if self._leave.is_set() else said

        close_stale_runs(self._campaign)
        try:
            campaign()
        finally:
            self._finish(helpers)

    def show(self, history: History) -> None:
        """Queue an update of the artifacts; never waits."""
        self._queue.put(history)

    def _start_helpers(self) -> list[threading.Thread]:
        helpers = [
            threading.Thread(target=self._publish_all, name="prefect-artifacts", daemon=True),
            threading.Thread(target=self._watch_cancel, name="prefect-cancel", daemon=True),
        ]
        for helper in helpers:
            helper.start()
        return helpers

    def _finish(self, helpers: list[threading.Thread]) -> None:
        if self._done.is_set():
            return
        self._done.set()
        self._queue.put(None)
        for helper in helpers:
            helper.join(timeout=5.0)

    def _publish_all(self) -> None:
        with get_client(sync_client=True) as client:
            while (shown := self._newest()) is not None:
                try:
                    for artifact in self._artifacts(shown):
                        client.create_artifact(artifact)
                except _SERVER_TROUBLE as error:
                    logger.warning("Prefect does not take artifacts of campaign %s: %s", self._campaign, error)
                self._done.wait(PUBLISH_SECONDS)

    def _newest(self) -> History | None:
        """Wait for an update and skip those that a newer one has overtaken; None at the end."""
        newest = self._queue.get()
        while newest is not None and not self._queue.empty():
            following = self._queue.get()
            if following is None:
                self._queue.put(None)
                return newest
            newest = following
        return newest

    def _artifacts(self, history: History) -> list[ArtifactCreate]:
        key = self._campaign
        percent = 100.0 * sum(run.status.is_terminal for run in history.attempts()) / self._budget
        contents: list[tuple[str, str, Any, str]] = [
            ("proposals", "table", json.dumps(proposal_rows(history, self._objective)), f"Proposals of {key}"),
            ("progress", "progress", min(100.0, round(percent, 1)), f"Experiments of {key} carried out"),
            ("plot", "markdown", progress_markdown(history, self._objective), f"Best so far and targets of {key}"),
        ]
        return [
            ArtifactCreate(key=f"{key}-{name}", type=kind, data=data, description=text, flow_run_id=self._flow_run_id)
            for name, kind, data, text in contents
        ]

    def _watch_cancel(self) -> None:
        with get_client(sync_client=True) as client:
            while not self._done.wait(CANCEL_POLL_SECONDS):
                try:
                    state = client.read_flow_run(self._flow_run_id).state if self._flow_run_id else None
                except _SERVER_TROUBLE:
                    continue  # no server: the laboratory goes on
                if state is not None and (state.is_cancelling() or state.is_cancelled()):
                    self._leave.set()
                    return


def close_stale_runs(campaign: str) -> int:
    """Mark flow runs of a campaign whose process is gone as crashed; return how many there were."""
    with get_client(sync_client=True) as client:
        stale = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                name=FlowRunFilterName(any_=[campaign]),
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING, StateType.PAUSED])),
            )
        )
        for run in stale:
            client.set_flow_run_state(
                run.id, Crashed(message="the campaign's process ended; the ledger went on in a new flow run"), force=True
            )
        return len(stale)
