"""Which process is meant: a pid together with its start time, so that a reused pid is never signalled or trusted.

Read from /proc and bound by pidfd, not by psutil (7.2): its `create_time` moves with every step of the wall clock, so that
what one process noted another would not find again; it signals by pid after a check, which a reused pid can slip through;
and its `wait` reaps children, whose exit code tells the supervisor how a host ended. Also how processes are started that
outlive the one that starts them.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

from orchestrator.errors import Fault

_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
_DEAD: Final = frozenset("ZX")
"""A zombie has released its locks and files; only its exit status is left."""
_SUSPENDED: Final = frozenset("Tt")


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()  # the name before it may hold blanks and brackets


def start_ticks(pid: int) -> int | None:
    """Return field 22 of /proc/PID/stat, in clock ticks since boot; None when there is no such process."""
    fields = _stat(pid)
    return int(fields[19]) if fields is not None else None


def is_alive(pid: int, ticks: int) -> bool:
    """Say whether the very process that started at `ticks` still runs; a zombie does not."""
    fields = _stat(pid)
    return fields is not None and int(fields[19]) == ticks and fields[0] not in _DEAD


@dataclass(frozen=True, slots=True)
class Process:
    """One process, for ever."""

    pid: int
    start_ticks: int
    """Field 22 of /proc/PID/stat."""
    started: str
    """UTC, ISO 8601; for people."""

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """Identify a running process; None when there is none."""
        ticks = start_ticks(pid)
        if ticks is None:
            return None
        started = datetime.now(UTC) - timedelta(seconds=_age(ticks))
        return cls(pid, ticks, started.isoformat(timespec="seconds"))

    @classmethod
    def this(cls) -> Self:
        """Identify the calling process."""
        process = cls.of(os.getpid())
        if process is None:
            raise AssertionError("the calling process has no /proc entry")
        return process

    @classmethod
    def parse(cls, document: Any) -> Self | None:
        """Read what `document` wrote; None for anything else."""
        match document:
            case {"pid": int(pid), "start_ticks": int(ticks)}:
                return cls(pid, ticks, str(document.get("started", "")))
        return None

    @classmethod
    def living(cls, document: Any) -> Self | None:
        """Read what `document` wrote; None unless that very process still runs."""
        process = cls.parse(document)
        return process if process and process.alive else None

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return is_alive(self.pid, self.start_ticks)

    @property
    def suspended(self) -> bool:
        """Whether it is stopped (SIGSTOP, a debugger): it would go on writing when it wakes up."""
        fields = _stat(self.pid)
        return fields is not None and fields[0] in _SUSPENDED and self.alive

    @property
    def age(self) -> float:
        """Seconds since it started, by the kernel's clock."""
        return _age(self.start_ticks)

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal to this process and no other; return False when it is dead."""
        with self._descriptor() as descriptor:
            try:
                if descriptor is not None:
                    signal.pidfd_send_signal(descriptor, number)
            except ProcessLookupError:
                return False
            return descriptor is not None

    def wait(self, within: float) -> bool:
        """Wait up to `within` seconds for its death; return whether it is dead."""
        with self._descriptor() as descriptor:
            if descriptor is None:
                return True
            poller = select.poll()
            poller.register(descriptor, select.POLLIN)
            return bool(poller.poll(within * 1000))

    @contextmanager
    def _descriptor(self) -> Iterator[int | None]:
        """Open a file descriptor of this very process; None when it is dead."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            yield None
            return
        try:
            yield descriptor if self.alive else None  # asked once it is bound: the pid cannot change its meaning any more
        finally:
            os.close(descriptor)

    def kill(self, within: float = 10.0) -> bool:
        """Kill it, suspended or not, and await its death; return whether it is dead."""
        return not self.signal(signal.SIGKILL) or self.wait(within)

    def ask_to_end(self, within: float) -> bool:
        """Send SIGTERM and await its death; return whether it is dead."""
        return not self.signal(signal.SIGTERM) or self.wait(within)

    def terminate(self, within: float) -> bool:
        """Ask it to end, and kill it when it has not after `within` seconds; return whether it is dead."""
        return self.ask_to_end(within) or self.kill()


def _age(ticks: int) -> float:
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / _TICKS_PER_SECOND)


def reap(pid: int) -> None:
    """Collect the exit status of a detached child, so that no zombie is left; not for children of `subprocess`."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def start_detached(module: Sequence[str], log: Path) -> Process:
    """Start `python -m MODULE ...` in a session of its own, its output at the end of a log file.

    Spawned, not forked: no lock and no file of this process reaches it. Its exit status is collected by `reap`.
    """
    arguments = [sys.executable, "-P", "-m", *module]  # -P: a folder `instruments` where the user stands is not ours
    output = (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    files = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), output, (os.POSIX_SPAWN_DUP2, 1, 2)]
    try:
        pid = os.posix_spawn(sys.executable, arguments, dict(os.environ), file_actions=files, setsid=True, setsigmask=())
    except OSError as error:
        raise Fault(f"{module[0]} cannot be started with its log in {log}: {error.strerror}") from error
    process = Process.of(pid)
    if process is None:
        raise Fault(f"{module[0]} vanished at its start; see {log}")
    return process


def last_line(log: Path) -> str:
    """Return the last line that stands in a log file."""
    try:
        lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    return lines[-1] if lines else f"it left no word in {log}"
