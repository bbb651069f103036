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
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import State, StateType
from prefect.context import FlowRunContext
from prefect.exceptions import CancelledRun, PrefectException, PrefectSignal
from prefect.states import Cancelled, Crashed

from flows.report.overview import Links, Shown, overview_markdown
from flows.report.svg import progress_markdown, proposal_rows
from flows.running.run_loop import Cycle
from flows.running.steering import Steering
from orchestrator.history import History

logger = logging.getLogger(__name__)

PRESS_POLL_SECONDS: Final = 2.0
PUBLISH_SECONDS: Final = 1.0
"""Artifacts are written at most so often: cycles of an accelerated campaign would keep the process busy with pictures."""
_OPEN: Final = [StateType.RUNNING, StateType.PENDING, StateType.PAUSED, StateType.CANCELLING]
_SERVER_TROUBLE: Final = (httpx.HTTPError, PrefectException, OSError)


class View:
    """One flow run of a campaign, its artifacts, and the way in which a press in the page reaches the campaign."""

    def __init__(self, shown: Shown, steering: Steering, leave: threading.Event) -> None:
        """Prepare; `leave` is set when the process was asked to leave: the flow run then ends as cancelled."""
        self._shown = shown
        self._campaign = shown.campaign
        self._steering = steering
        self._leave = leave
        self._queue: queue.Queue[History | None] = queue.Queue()
        self._done = threading.Event()
        self._helpers: list[threading.Thread] = []
        self._flow_run_id: UUID | None = None

    def run(self, body: Callable[[Cycle], None]) -> None:
        """Run a campaign's body as a flow of its own; raises what Prefect raises when it cannot begin or report the end."""

        @flow(name="campaign", flow_run_name=self._campaign, validate_parameters=False, persist_result=False)
        def campaign() -> State[Any] | str:
            return self.inside(body)

        close_stale_runs(self._campaign)
        try:
            campaign()
        except CancelledRun:  # reported: the flow run has ended as it should
            return
        finally:
            self._finish()

    def inside(self, body: Callable[[Cycle], None]) -> State[Any] | str:
        """Run a campaign's body within the flow run that calls this; return what that flow returns."""
        context = FlowRunContext.get()
        self._flow_run_id = context.flow_run.id if context is not None and context.flow_run is not None else None
        self._start_helpers()
        try:
            body(self._cycle())
        finally:
            self._finish()
        said = self._shown.describe()
        return Cancelled(message=said) if self._leave.is_set() or self._steering.cancelled else said

    def adopt_run(self) -> None:
        """Give the flow run that calls this the campaign's name, and close those of processes that are gone."""
        context = FlowRunContext.get()
        if context is None or context.flow_run is None:
            return
        try:
            close_stale_runs(self._campaign, but=context.flow_run.id)
            with get_client(sync_client=True) as client:
                client.update_flow_run(context.flow_run.id, name=self._campaign)
        except _SERVER_TROUBLE as error:
            logger.warning("Prefect does not take the name of campaign %s: %s", self._campaign, error)

    def show(self, history: History) -> None:
        """Queue an update of the artifacts; never waits."""
        self._queue.put(history)

    def _cycle(self) -> Cycle:
        """Return what wraps a cycle's work in a task; work whose task cannot begin is done without it."""
        pending: dict[int, Callable[[], None]] = {}

        @task(name="cycle", task_run_name="cycle-{number}", cache_policy=NO_CACHE, persist_result=False)
        def cycle(number: int) -> None:
            pending.pop(number)()
            get_run_logger().info("%s", self._shown.describe())

        def wrapped(number: int, work: Callable[[], None]) -> None:
            pending[number] = work
            try:
                cycle(number)
            except _SERVER_TROUBLE as error:
                logger.warning("Prefect does not take cycle %d of campaign %s: %s", number, self._campaign, error)
                if number in pending:
                    work()
            except PrefectSignal:  # paused or cancelled in the page: the watcher tells the ledger, and the loop winds down by itself
                if number in pending:
                    work()

        return wrapped

    def _start_helpers(self) -> None:
        self._helpers = [
            threading.Thread(target=self._keep_at, args=(self._publish_all,), name="prefect-artifacts", daemon=True),
            threading.Thread(target=self._keep_at, args=(self._watch_presses,), name="prefect-presses", daemon=True),
        ]
        for helper in self._helpers:
            helper.start()

    def _finish(self) -> None:
        if self._done.is_set():
            return
        self._done.set()
        self._queue.put(None)
        for helper in self._helpers:
            helper.join(timeout=5.0)

    def _publish_all(self, client: SyncPrefectClient) -> None:
        while (shown := self._newest()) is not None:
            try:
                for artifact in self._artifacts(shown):
                    client.create_artifact(artifact)
            except _SERVER_TROUBLE:
                if self._queue.empty():
                    self._queue.put(shown)  # shown when the server is back, unless there is something newer by then
                raise
            self._done.wait(PUBLISH_SECONDS)

    def _keep_at(self, work: Callable[[SyncPrefectClient], None]) -> None:
        """Do work that needs the server to its end: anew where it was away, with a client that finds it where it is now."""
        said = ""
        while True:
            try:
                with get_client(sync_client=True) as client:
                    return work(client)
            except _SERVER_TROUBLE as error:
                if str(error) != said:
                    said = str(error)
                    logger.warning("Prefect's view of campaign %s is behind: %s", self._campaign, said)
            if self._done.wait(PRESS_POLL_SECONDS):
                return None

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
        key, objective, shown = self._campaign, self._shown.objective, self._shown
        rows = proposal_rows(history, objective, units=shown.units, present=shown.present)
        percent = 100.0 * sum(run.status.is_terminal for run in history.attempts()) / self._shown.budget
        contents: list[tuple[str, str, Any, str]] = [
            ("proposals", "table", json.dumps(rows), f"Proposals of {key}"),
            ("progress", "progress", min(100.0, round(percent, 1)), f"Experiments of {key} carried out"),
            ("plot", "markdown", progress_markdown(history, objective), f"Best so far and targets of {key}"),
            ("overview", "markdown", self._overview(history), f"Campaign {key} at a glance"),
        ]
        return [
            ArtifactCreate(key=f"{key}-{name}", type=kind, data=data, description=text, flow_run_id=self._flow_run_id)
            for name, kind, data, text in contents
        ]

    def _overview(self, history: History) -> str:
        run = f"/runs/flow-run/{self._flow_run_id}" if self._flow_run_id else None
        shown = self._shown
        links = Links(shown.report, run)
        return overview_markdown(history, shown.objective, shown.budget, links, units=shown.units, present=shown.present)

    def _watch_presses(self, client: SyncPrefectClient) -> None:
        """Carry out what somebody presses in the page; no server: the laboratory goes on."""
        while not self._done.wait(PRESS_POLL_SECONDS):
            state = client.read_flow_run(self._flow_run_id).state if self._flow_run_id else None
            if state is not None and (state.is_cancelling() or state.is_cancelled()):
                self._steering.cancel()
                return
            if state is not None and state.is_paused():
                self._steering.pause()


def close_stale_runs(campaign: str, *, but: UUID | None = None) -> int:
    """Mark flow runs of a campaign whose process is gone as crashed, but the one that goes on with it; return how many there were."""
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                name=FlowRunFilterName(any_=[campaign]),
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_OPEN)),
            )
        )
        stale = [run for run in found if run.id != but]
        for run in stale:
            client.set_flow_run_state(
                run.id, Crashed(message="the campaign's process ended; the ledger went on in a new flow run"), force=True
            )
        return len(stale)
