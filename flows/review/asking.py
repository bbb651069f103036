"""Keeps a review run for every open request: starts it, reads what it left behind, and ends it when it is over.

The campaign's loop never waits for Prefect: it hands over what is open, and a thread of this module does the rest. After
a crash, the stored answers of all review runs of an open request are read before anything is asked again.
"""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType, FlowRunFilterTags
from prefect.client.schemas.objects import TERMINAL_STATES, State
from prefect.exceptions import PrefectException
from prefect.states import Cancelled, Completed
from typing_extensions import override

from flows.lab import Lab, clock_of
from flows.review.child import Question, collect, tag_of
from flows.review.desk import Asker
from orchestrator.domain.review import ReviewRequest
from orchestrator.errors import AthanorError
from orchestrator.loop import History
from orchestrator.store.sql import SqlStore

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
"""How often children are looked at."""
RETRY_SECONDS: Final = 10.0
"""A child that ended before it had asked is started again so often: Prefect's server may be away."""
END_SECONDS: Final = 5.0
_TROUBLE: Final = (httpx.HTTPError, PrefectException, OSError, AthanorError)


@dataclass(slots=True)
class _Child:
    """A review run's process."""

    process: subprocess.Popen[bytes]
    attempt: int
    over: float | None = None
    """Since when its question is over, by `time.monotonic()`."""

    @property
    def lingers(self) -> bool:
        """Whether it has had the time to end by itself, and has not."""
        self.over = time.monotonic() if self.over is None else self.over
        return time.monotonic() - self.over > END_SECONDS

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def end(self) -> None:
        """End the process at once: it holds nothing, and a polite end would be shown as a crash of its flow run."""
        self.process.kill()
        self.process.wait()


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A review run that has not ended in Prefect."""

    flow_run_id: UUID
    request_id: str


def open_runs(client: SyncPrefectClient, request_ids: Iterable[str]) -> list[OpenRun]:
    """Return the review runs of some requests that have not ended, also those whose process died before the ledger knew of them."""
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


class PrefectAsker(Asker):
    """Puts requests to people in the Prefect UI."""

    def __init__(self, lab: Lab, store: SqlStore, campaign: str, *, timeout: int | None = None) -> None:
        """Prepare; nothing is started before the first request.

        Args:
            lab: Where the ledger lies.
            store: The campaign's own ledger: what it may not write, its children's questions may not either.
            campaign: Its name.
            timeout: Prefect's own time-out of a pause, in wall seconds; None for a month.
        """
        self._lab = lab
        self._store = store
        self._campaign = campaign
        self._timeout = timeout
        self._wanted: dict[str, ReviewRequest] = {}
        self._children: dict[str, _Child] = {}
        self._tried: dict[str, float] = {}
        self._untidy = True  # an earlier process may have left review runs behind
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @override
    def keep(self, requests: Sequence[ReviewRequest]) -> None:
        self._wanted = {one.request_id: one for one in requests}
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="review", daemon=True)
            self._thread.start()

    @override
    def close(self) -> None:
        self._closing.set()
        if self._thread is not None:
            self._thread.join(timeout=2 * END_SECONDS)

    def _watch(self) -> None:
        pause = LOOK_SECONDS
        while not self._closing.wait(pause):
            pause = LOOK_SECONDS if self._tried_to(lambda: self._look(dict(self._wanted))) else RETRY_SECONDS
        for request_id in list(self._children):
            self._end(request_id)
        self._tried_to(lambda: self._tidy(leave_open=True))

    def _tried_to(self, work: Callable[[], None]) -> bool:
        """Do something that needs Prefect's server; return whether it could be done."""
        try:
            work()
        except _TROUBLE as error:
            logger.warning("campaign %s: review runs cannot be kept now: %s", self._campaign, error)
            return False
        return True

    def _look(self, wanted: dict[str, ReviewRequest]) -> None:
        for request_id, child in list(self._children.items()):
            over = request_id not in wanted or wanted[request_id].attempt != child.attempt
            if not child.alive or (over and child.lingers):
                self._end(request_id)
        if self._untidy:
            self._tidy(leave_open=False)
            self._untidy = False
        for request in wanted.values():
            if request.request_id not in self._children:
                self._ask(request)

    def _ask(self, request: ReviewRequest) -> None:
        """Start a review run; before a second one of a request, whatever all earlier ones were told is read."""
        question = self._question(request)
        if time.monotonic() - self._tried.get(question.key, -RETRY_SECONDS) < RETRY_SECONDS:
            return
        known, _, _ = question.load()  # the loop may have been busy since it handed the request over
        self._read(known)
        now, _, _ = question.load()
        if not now.waits or now.attempt != request.attempt:
            return  # the loop hands over what became of it
        if any(run.key == question.key for run in now.runs):
            again = now.evolve(attempt=now.attempt + 1)
            self._store.update_request(again, kind="review-asked-again", by="review", now=clock_of(self._lab, self._store).now())
            return
        self._tried[question.key] = time.monotonic()
        self._children[request.request_id] = _Child(self._start(request), request.attempt)

    def _read(self, request: ReviewRequest) -> None:
        """Write to the ledger what people told any review run of a request."""
        load = self._question(request).load
        for run in request.runs:
            logger.info("review run %s: %s", run.flow_run_id, collect(self._lab, self._store, load, run.flow_run_id, run.key))

    def _question(self, request: ReviewRequest) -> Question:
        return Question(self._lab, self._store, self._campaign, request.request_id, request.attempt)

    def _start(self, request: ReviewRequest) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "flows.review.child", "--lab", str(self._lab.path), "--campaign", self._campaign]
        command += ["--request", request.request_id, "--attempt", str(request.attempt), "--parent", str(os.getpid())]
        if self._timeout is not None:
            command += ["--timeout", str(self._timeout)]
        with (self._lab.path / "review.log").open("ab") as log:
            return subprocess.Popen(command, env=dict(os.environ), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def _end(self, request_id: str) -> None:
        child = self._children.pop(request_id)
        self._untidy = True
        if child.alive:
            child.end()

    def _tidy(self, *, leave_open: bool) -> None:
        """Close the review runs that nobody waits in any more, whoever began them: the page must not offer them.

        A form can be answered until it is closed, so it is read afterwards; before as well, so that it is shown as answered.

        Args:
            leave_open: Leave the forms of open requests: what is answered there meanwhile, the next process reads.
        """
        requests = History.of(self._store.changes(self._campaign)).requests
        with get_client(sync_client=True) as client:
            for run in open_runs(client, requests):
                request = requests[run.request_id]
                if run.request_id in self._children or (leave_open and request.waits):
                    continue
                self._read(request)
                self._close(client, run)
                self._read(request)

    def _close(self, client: SyncPrefectClient, run: OpenRun) -> None:
        request, _, _ = Question(self._lab, self._store, self._campaign, run.request_id, 0).load()
        keys = {str(UUID(one.flow_run_id)): f"{one.flow_run_id}/{one.key}" for one in request.runs}
        said = request.reason or ("answered elsewhere" if request.answer_id is not None else "asked again")
        closed: State[Any] = Cancelled(message=said)
        if request.answer_id is not None and request.answer_id == keys.get(str(run.flow_run_id)):
            closed = Completed(message="answered")
        client.set_flow_run_state(run.flow_run_id, closed, force=True)
