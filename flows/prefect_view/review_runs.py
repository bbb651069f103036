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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import httpx
from prefect.context import refresh_global_settings_context
from prefect.exceptions import PrefectException
from typing_extensions import override

from flows.plans.lab import Lab, clock_of
from flows.prefect_server.server import address_now
from flows.prefect_view.review_run import ReviewQuestion
from flows.prefect_view.stale_review_runs import close_left_runs, read_answers
from flows.prefect_view.work_forms import close_over
from flows.review.desk import Asker
from orchestrator.domain.events import BY_REVIEW, EventKind
from orchestrator.domain.lifecycle import ReviewStatus
from orchestrator.domain.review import ReviewRequest
from orchestrator.errors import AthanorError
from orchestrator.history import History
from orchestrator.ports import ReviewStore

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
"""How often children are looked at."""
RETRY_SECONDS: Final = 10.0
"""A child that ended before it had asked is started again so often: Prefect's server may be away."""
END_SECONDS: Final = 5.0
"""So long a child may take to show how its question ended."""
END_POLL_SECONDS: Final = 0.1
_WORK: Final = "work"
"""Among what was tried: the process of the forms of steps."""
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


class PrefectAsker(Asker):
    """Puts requests to people in the Prefect UI."""

    def __init__(self, lab: Lab, store: ReviewStore, campaign: str, *, timeout: int | None = None) -> None:
        """Prepare; nothing is started before the first request.

        The store is the campaign's own: what that may not write, its children's questions may not either. The time-out is
        Prefect's of a pause, in wall seconds; None for a month.
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
        self._work_waits = False
        self._work_forms: subprocess.Popen[bytes] | None = None
        """The process of all forms of steps that wait for people on the bench."""

    @override
    def keep_work(self, *, waiting: bool) -> None:
        self._work_waits = waiting

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
            self._follow_server()
            self._tried_to(self._keep_work_forms)
            pause = LOOK_SECONDS if self._tried_to(lambda: self._look(dict(self._wanted))) else RETRY_SECONDS
        self._tried_to(self._let_finish)
        for request_id in list(self._children):
            self._end(request_id)
        self._end_work_forms()
        self._tried_to(lambda: self._tidy(leave_open=True))
        self._tried_to(lambda: close_over(History.of(self._store.changes(self._campaign))))

    def _let_finish(self) -> None:
        """Give children whose question is over the time to show how it ended."""
        requests = History.of(self._store.changes(self._campaign)).requests
        told = [child for request_id, child in self._children.items() if requests[request_id].status is not ReviewStatus.OPEN]
        deadline = time.monotonic() + END_SECONDS
        while any(child.alive for child in told) and time.monotonic() < deadline:
            time.sleep(END_POLL_SECONDS)

    def _tried_to(self, work: Callable[[], None]) -> bool:
        """Do something that needs Prefect's server; return whether it could be done."""
        try:
            work()
        except _TROUBLE as error:
            logger.warning("campaign %s: review runs cannot be kept now: %s", self._campaign, error)
            return False
        return True

    def _follow_server(self) -> None:
        """Turn to the server that another command has begun in place of ours, which died; its page shows our open forms."""
        address = address_now()
        if all(os.environ.get(name) == value for name, value in address.items()):
            return
        os.environ.update(address)
        refresh_global_settings_context()
        self._end_work_forms()
        for request_id in list(self._children):
            self._end(request_id)

    def _keep_work_forms(self) -> None:
        """Keep a process for the steps that wait on the bench, from the first such step on."""
        lives = self._work_forms is not None and self._work_forms.poll() is None
        if self._work_waits and not lives and time.monotonic() - self._tried.get(_WORK, -RETRY_SECONDS) >= RETRY_SECONDS:
            self._tried[_WORK] = time.monotonic()
            self._work_forms = self._started("work_forms", "--lab", str(self._lab.path), "--campaign", self._campaign)

    def _end_work_forms(self) -> None:
        """End it at once: what is submitted meanwhile is read by the next one."""
        if self._work_forms is not None:
            self._work_forms.kill()
            self._work_forms.wait()
            self._work_forms = None

    def _look(self, wanted: dict[str, ReviewRequest]) -> None:
        for request_id, child in list(self._children.items()):
            over = request_id not in wanted or wanted[request_id].attempt != child.attempt
            if not child.alive or (over and not self._settles(request_id) and child.lingers):
                self._end(request_id)
        if self._untidy:
            self._tidy(leave_open=False)
            self._untidy = False
        for request in wanted.values():
            if request.request_id not in self._children:
                self._ask(request)

    def _settles(self, request_id: str) -> bool:
        """Whether an answer is being carried out: its child waits, and shows in the page what comes of it."""
        return History.of(self._store.changes(self._campaign)).requests[request_id].settles

    def _ask(self, request: ReviewRequest) -> None:
        """Start a review run; before a second one of a request, whatever all earlier ones were told is read."""
        question = self._question(request)
        if time.monotonic() - self._tried.get(question.key, -RETRY_SECONDS) < RETRY_SECONDS:
            return
        known, _, _ = question.load()  # the loop may have been busy since it handed the request over
        read_answers(self._lab, self._store, known)
        now, _, _ = question.load()
        if not now.waits or now.attempt != request.attempt:
            return  # the loop hands over what became of it
        if any(run.key == question.key for run in now.runs):
            again = now.evolve(attempt=now.attempt + 1)
            self._store.update_request(again, kind=EventKind.REVIEW_ASKED_AGAIN, by=BY_REVIEW, now=clock_of(self._lab, self._store).now())
            return
        self._tried[question.key] = time.monotonic()
        self._children[request.request_id] = _Child(self._start(request), request.attempt)

    def _question(self, request: ReviewRequest) -> ReviewQuestion:
        return ReviewQuestion(self._lab, self._store, self._campaign, request.request_id, request.attempt)

    def _start(self, request: ReviewRequest) -> subprocess.Popen[bytes]:
        options = ["--lab", str(self._lab.path), "--campaign", self._campaign]
        options += ["--request", request.request_id, "--attempt", str(request.attempt)]
        return self._started("review_run", *options, *(("--timeout", str(self._timeout)) if self._timeout is not None else ()))

    def _started(self, module: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", f"flows.prefect_view.{module}", *options, "--parent", str(os.getpid())]
        with (self._lab.path / "review.log").open("ab") as log:
            return subprocess.Popen(command, env=dict(os.environ), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def _end(self, request_id: str) -> None:
        child = self._children.pop(request_id)
        self._untidy = True
        if child.alive:
            child.end()

    def _tidy(self, *, leave_open: bool) -> None:
        close_left_runs(self._lab, self._store, self._campaign, held=self._children, leave_open=leave_open)
