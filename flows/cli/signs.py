"""Signs of life: what a campaign is busy with or waits for, in lines that say how to answer."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from orchestrator.clock import Clock
from orchestrator.commandline import typed
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.domain.review import ReviewRequest
from orchestrator.history import History

FIRST_SECONDS: Final = 30.0
"""Wall seconds of silence after which a line says what goes on where no terminal refreshes it."""
LONGEST_SECONDS: Final = 900.0
"""Then twice as long each time, up to this: a log of a night stays short."""
_ON_BENCH: Final = (RunStatus.DISPATCHED, RunStatus.RUNNING)
_THEN: Final = {"hold": "it waits on", "skip": "it is skipped", "approve": "it is approved"}


@dataclass(frozen=True, slots=True)
class Places:
    """Where people answer."""

    lab: Path
    ui_url: Callable[[], str | None]
    """Of Prefect's page, which may change while a campaign lives."""
    program: str = "athanor"

    def answering(self, request: ReviewRequest) -> str:
        """Say how a request is answered."""
        command = typed("review", "ask", request.number, "--campaign", request.campaign, "--lab", self.lab, program=self.program)
        page = self.ui_url()
        return f"type: {command}" if page is None else f"open {page}/runs?state=Paused or type: {command}"


def waiting_line(request: ReviewRequest, clock: Clock, places: Places) -> str:
    """Say which request waits for a person, how it is answered, and till when."""
    complaint = f"; the last answer was refused: {request.complaint}" if request.complaint else ""
    return (
        f"request {request.number} waits for a person ({request.extent}), {_till(request, clock)}{complaint}; {places.answering(request)}"
    )


def _till(request: ReviewRequest, clock: Clock) -> str:
    if request.deadline_lab is None:
        return "for as long as it takes"
    if request.overdue:
        return "its deadline has passed"
    left = max(0.0, request.deadline_lab - clock.lab())
    moment = datetime.now().astimezone() + timedelta(seconds=clock.wall_seconds(left))
    return f"till {moment:%Y-%m-%d %H:%M %Z} ({left / 3600:.1f} h of lab time), then {_THEN[request.on_deadline]}"


def waiting(history: History) -> list[ReviewRequest]:
    """Return the requests that people are still to answer."""
    return [one for one in history.open_requests if one.answer_id is None]


def occupation(history: History, doing: str | None) -> str:
    """Say in a few words what goes on: what the loop is busy with itself, or what it waits for."""
    on_bench = sum(run.status in _ON_BENCH for run in history.attempts())
    if doing is not None:
        return doing
    if on_bench:
        return f"{on_bench} experiment{'s' if on_bench > 1 else ''} on the bench"
    if waiting(history):
        return "waiting for a person"
    if history.awaited:
        runs = len(history.awaited)
        return f"waiting for values of {runs} experiment{'s' if runs > 1 else ''} that come later (`athanor measure list`)"
    return "deciding what comes next"


@dataclass(slots=True)
class GoingOn:
    """Says for how long something has gone on, and when that is to be said again in a log."""

    now: Callable[[], float] = time.monotonic
    _what: str = ""
    _since: float = 0.0
    _said: float = 0.0
    _pause: float = FIRST_SECONDS

    def beat(self, what: str) -> str:
        """Return what goes on and for how long."""
        if what != self._what:
            self._what, self._since, self._said, self._pause = what, self.now(), self.now(), FIRST_SECONDS
        return f"{what}, for {_shown(self.now() - self._since)}"

    def due(self, what: str) -> str | None:
        """Return the same where it has not been said for long enough."""
        line = self.beat(what)
        if self.now() - self._said < self._pause:
            return None
        self._said, self._pause = self.now(), min(2 * self._pause, LONGEST_SECONDS)
        return line


def _shown(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


@dataclass(slots=True)
class SignsOfLife:
    """The lines of a campaign where no terminal refreshes them: each request once when it is put, then signs of life."""

    places: Places
    pulse: GoingOn = field(default_factory=GoingOn)
    _put: set[tuple[str, int]] = field(default_factory=set)

    def lines(self, history: History, doing: str | None, clock: Clock) -> Iterator[str]:
        """Yield what is to be said now."""
        open_now = waiting(history)
        for request in open_now:
            if (key := (request.request_id, request.attempt)) not in self._put:
                self._put.add(key)
                yield waiting_line(request, clock, self.places)
        if (line := self.pulse.due(occupation(history, doing))) is not None:
            yield line
            yield from (waiting_line(one, clock, self.places) for one in open_now)
