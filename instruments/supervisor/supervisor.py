"""Watching one bench host until it leaves or has to be replaced by the safe state.

start ─> ready ─> dead ──────────────> started again at once, reconciles
│      └─ second death in one run, or not ready in time ─┐
├─> silent or stuck ─────────────────────────────────────┴> killed, safe state, latched, watch ends
└─> exit code 0 (idle, or asked to leave) ──────────────> watch ends
"""

import logging
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from instruments.lab_processes.http import ask_host
from instruments.lab_processes.locks import FileLock
from instruments.lab_processes.process_identity import Process
from instruments.lab_processes.state_files import (
    HOST,
    HOST_ERROR,
    LATCHED,
    NOT_SAFE,
    SUPERVISOR,
    read_state_file,
    write_latch,
    write_state_file,
)
from instruments.lab_processes.stop import Stopped, host_of
from instruments.notification import Event, Notifier
from orchestrator.domain.identity import uuid7
from orchestrator.errors import AthanorError, HostError

logger = logging.getLogger(__name__)

QUESTION_SECONDS: Final = 1.0
_SILENT_SHARE: Final = 0.5
"""Share of `restart_within` without an answer after which a host is wedged: the rest is left for the kill and the drive."""
_STUCK_SHARE: Final = 0.8
"""The same for a thread's age in a host that answers: a slow exchange on a wire is legal for longer than silence."""
_FIRST_START_FACTOR: Final = 3.0
"""The first start may take longer (cold disk caches): nothing runs on the bench yet."""
_RESTART_PAUSE: Final = 0.2
_SHUTDOWN_SECONDS: Final = 60.0
"""Wall seconds for the safe state and leaving at a normal end."""
_DEATHS_IN_A_RUN: Final = 2


@dataclass(frozen=True, slots=True)
class Host:
    """A host that is watched: a child, or the child of a supervisor that was killed."""

    process: Process
    child: subprocess.Popen[bytes] | None

    @property
    def exit_code(self) -> int | None:
        """Its exit code; None while it lives, or when it is not our child and nobody can know."""
        return self.child.poll() if self.child else None

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.exit_code is None if self.child else self.process.alive

    def wait(self, within: float) -> bool:
        """Wait for its death; return whether it is dead."""
        dead = self.process.wait(within)
        if dead and self.child:
            self.child.wait()
        return dead

    def kill(self) -> None:
        """Kill it, suspended or not, and await its death."""
        self.process.kill()
        self.wait(0)


@dataclass(frozen=True, slots=True)
class Times:
    """All in wall seconds."""

    restart_within: float
    question: float = QUESTION_SECONDS
    shutdown: float = _SHUTDOWN_SECONDS

    @property
    def silent_after(self) -> float:
        """Without an answer for so long the host is wedged."""
        return self.restart_within * _SILENT_SHARE

    @property
    def stuck_after(self) -> float:
        """With an executor or wire thread older than this the host is wedged."""
        return self.restart_within * _STUCK_SHARE


class _Leave(Exception):
    def __init__(self, code: int, line: str) -> None:
        super().__init__(line)
        self.code = code


class Supervisor:
    """Watches one host until it leaves or has to be replaced by the safe state."""

    def __init__(
        self,
        lab: Path,
        start: Callable[[], subprocess.Popen[bytes]],
        drive: Callable[[], Stopped],
        times: Times,
        notifier: Notifier | None = None,
    ) -> None:
        """Prepare.

        Args:
            lab: The lab folder.
            start: Starts a host.
            drive: Takes the wires, drives the safe state and says what became of it.
            times: How long things may take.
            notifier: Tells people of a safe state that nobody else tells them of; None tells nobody.
        """
        self._lab = lab
        self._start = start
        self._drive = drive
        self._times = times
        self._notifier = notifier or Notifier(())
        self._deaths: Counter[str] = Counter()
        self._run: str | None = None
        self._death_outside_run = False
        self._last_death: str | None = None
        self._ready = False
        self._ever_ready = False
        self._answered = 0.0
        self._ready_by = 0.0

    def run(self, stopping: threading.Event, **note: str) -> int:
        """Watch until the end; return the exit code.

        Args:
            stopping: Set it to end host and supervisor normally.
            note: Further entries of `LAB/supervisor.json`.
        """
        with FileLock(self._lab / "supervisor.lock", what="supervisor", lab=self._lab):
            self._ever_ready = (self._lab / SUPERVISOR).exists()  # the last one left no clean bench behind
            write_state_file(self._lab / SUPERVISOR, {**Process.this().document(), **note})
            try:
                self._watch(stopping)
            except _Leave as leave:
                logger.info("leaving with code %d: %s", leave.code, leave)
                (self._lab / SUPERVISOR).unlink(missing_ok=True)
                return leave.code
        raise AssertionError("the watch ends by leaving only")

    def _watch(self, stopping: threading.Event) -> None:
        host = self._adopt() or self._begin(_FIRST_START_FACTOR)
        while True:
            if stopping.is_set() and self._ready:
                self._shut_down(host)
            if host.wait(self._times.question if self._ready else _RESTART_PAUSE):
                host = self._after_death(host)
            elif complaint := self._complaint(host):
                self._give_up(host, complaint)

    def _adopt(self) -> Host | None:
        process = host_of(self._lab)
        if process is None:
            return None
        logger.warning("adopting host %d, whose supervisor is gone", process.pid)
        if process == Process.living(read_state_file(self._lab / HOST)):
            self._become_ready()
        else:  # it has the lab's lock and is on its way: another one would be refused
            self._ready_by = time.monotonic() + _FIRST_START_FACTOR * self._times.restart_within
        return Host(process, None)

    def _become_ready(self) -> None:
        self._answered = time.monotonic()
        self._ready = self._ever_ready = True

    def _begin(self, factor: float = 1.0) -> Host:
        self._ready = False
        self._ready_by = time.monotonic() + factor * self._times.restart_within
        return self._spawn()

    def _spawn(self) -> Host:
        (self._lab / HOST_ERROR).unlink(missing_ok=True)
        child = self._start()
        process = Process.of(child.pid)
        if process is None:
            raise AssertionError(f"child {child.pid} vanished before it was waited for")
        logger.info("started host %d", child.pid)
        return Host(process, child)

    # ------------------------------------------------------------------ what may be wrong

    def _after_death(self, host: Host) -> Host:
        code = host.exit_code
        self._ask(host)  # it may have become ready after the last question
        if code == 0:
            raise _Leave(0, f"host {host.process.pid} left by itself")
        logger.error("host %d died (code %s) in run %s", host.process.pid, code, self._run)
        self._take_over_unsafe(host)
        refused = read_state_file(self._lab / HOST_ERROR).get("error")
        self._last_death = refused or f"the one before died with code {code}"
        if refused and not self._ever_ready:
            raise _Leave(4, f"the host refused to start: {refused}")
        if (self._lab / LATCHED).exists():
            self._give_up(host, f"host died (code {code}) on a latched bench")
        if self._count_death():
            self._give_up(host, f"host died {_DEATHS_IN_A_RUN} times in run {self._run}")
        if self._ready:
            return self._begin()
        if time.monotonic() > self._ready_by:
            self._give_up(host, f"host died at its start (code {code}){': ' + refused if refused else ''}")
        time.sleep(_RESTART_PAUSE)
        return self._spawn()

    def _take_over_unsafe(self, host: Host) -> None:
        """Drive the safe state in the place of a host that has left and could not."""
        error = read_state_file(self._lab / HOST_ERROR)
        if error.get("kind") == NOT_SAFE:
            self._give_up(host, str(error.get("error")))

    def _count_death(self) -> bool:
        if self._run is None:
            self._death_outside_run = True
            return False
        self._deaths[self._run] += 1
        return self._deaths[self._run] >= _DEATHS_IN_A_RUN

    def _complaint(self, host: Host) -> str | None:
        answer = self._ask(host)
        now = time.monotonic()
        if answer is not None:
            self._take_note(answer, now)
            return self._stuck(answer)
        if self._ready and now - self._answered > self._times.silent_after:
            return f"host {host.process.pid} gave no answer for {now - self._answered:.1f} s"
        if not self._ready and now > self._ready_by:
            return f"host {host.process.pid} was not ready in time{f' ({self._last_death})' if self._last_death else ''}"
        return None

    def _ask(self, host: Host) -> dict[str, Any] | None:
        note = read_state_file(self._lab / HOST)
        if note.get("pid") != host.process.pid or note.get("start_ticks") != host.process.start_ticks:
            return None  # not written yet, or by an earlier host
        if not self._ready:
            self._become_ready()
        try:
            answer = ask_host(str(note.get("socket", "")), "GET", "/alive?supervisor=1", timeout=self._times.question)
        except AthanorError as error:
            logger.debug("%s", error)
            return None
        return answer

    def _take_note(self, answer: dict[str, Any], now: float) -> None:
        run = answer.get("run")
        if self._death_outside_run and run is not None:  # it had begun after the last question
            self._deaths[str(run)] += 1
        self._death_outside_run = False
        self._run = None if run is None else str(run)
        self._answered = now
        self._tell_of_safe_state(answer)

    def _tell_of_safe_state(self, answer: dict[str, Any]) -> None:
        """Tell people once that the host drove the safe state by itself, or that it did and no campaign is there to tell them."""
        safe = answer.get("safe_state")
        if safe and not (safe["asked"] and answer.get("attended", True)):
            self._tell(str(safe["reason"]), f"The bench host drove it at {safe['wall']}.", key=str(safe["key"]))

    def _tell(self, reason: str, body: str, *, key: str) -> None:
        self._notifier.notify(Event.SAFE_STATE, f"bench of {self._lab.absolute()}: {reason}", body, key=key)

    def _stuck(self, answer: dict[str, Any]) -> str | None:
        ages = {"executor": answer.get("executor_age_s"), **{f"wire {name}": age for name, age in answer.get("wires", {}).items()}}
        for name, age in ages.items():
            if age is not None and age > self._times.stuck_after:
                return f"{name} has not turned for {age:.1f} s; allowed {self._times.stuck_after:g} s"
        return None

    # ------------------------------------------------------------------ how it ends

    def _give_up(self, host: Host, reason: str) -> None:
        logger.critical("%s: the supervisor drives the safe state", reason)
        host.kill()
        try:
            stopped = self._drive()
        except AthanorError as error:
            stopped = Stopped((), (f"the safe state was NOT driven: {error}",))
        logger.critical("%s", stopped.verdict)
        key = uuid7()
        unsafe = (stopped.verdict,) if stopped.unsafe else ()
        write_latch(self._lab, reason=reason, by="supervisor", lines=(*stopped.lines, *unsafe), key=key)
        if not stopped.unsafe:
            (self._lab / HOST).unlink(missing_ok=True)  # what it has left behind is safe
        self._tell(reason, "\n".join((*unsafe, *stopped.lines, "The bench is latched: athanor resume --by NAME --reason TEXT")), key=key)
        raise _Leave(3, f"bench latched: {reason}")

    def _shut_down(self, host: Host) -> None:
        socket_path = str(read_state_file(self._lab / HOST).get("socket", ""))
        try:
            ask_host(socket_path, "POST", "/shutdown", {}, timeout=self._times.shutdown)
        except HostError as error:
            if host.alive and self._ready:
                self._give_up(host, f"host {host.process.pid} does not shut down: {error}")
        deadline = time.monotonic() + (self._times.shutdown if self._ready else 0)
        while not host.wait(self._times.question):
            self._ask(host)  # the question is also our sign of life
            if time.monotonic() > deadline:
                self._give_up(host, f"host {host.process.pid} did not shut down within {self._times.shutdown:g} s")
        self._take_over_unsafe(host)
        if host.exit_code not in (0, None):
            self._give_up(host, f"host {host.process.pid} died (code {host.exit_code}) while shutting down")
        raise _Leave(0, "asked to")


def start_host(lab: Path, command: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a host in a session of its own; what it prints goes to `LAB/host-output.log`."""
    with (lab / "host-output.log").open("ab") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
