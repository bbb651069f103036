"""Kernel locks with a name on them: who holds a bench, a lab or a wire, since when, and when it may be taken over.

A lock is an flock on a file, so the kernel frees it with its holder, however that one ends. No time-to-live and no wall
clock: a holder is displaced only when it is suspended or its sign of life has stood still, and then it is killed and its death
awaited before the lock is taken. A lock file is never removed: a removed file could be locked twice.
"""

import fcntl
import json
import logging
import os
import time
from abc import abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from typing_extensions import override

from instruments.lab_processes.process_identity import Process
from instruments.lab_processes.state_files import is_copy
from orchestrator.errors import Fault, LockHeld

logger = logging.getLogger(__name__)

SILENT_AFTER: Final = 10.0
"""Wall seconds without a sign of life after which a holder counts as silent: ten missed turns on a busy machine."""
BENCH_HOST: Final = "bench host"
"""What a bench host calls itself in its lock."""
_RETRY_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock, by its own word."""

    process: Process
    what: str
    lab: str

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read what the holder wrote into the lock file; None when it wrote nothing (yet)."""
        try:
            document = json.loads(text)
        except ValueError:
            return None
        process = Process.parse(document)
        return cls(process, str(document.get("what", "")), str(document.get("lab", ""))) if process else None

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {**self.process.document(), "what": self.what, "lab": self.lab}

    @override
    def __str__(self) -> str:
        lab = f", lab {self.lab}" if self.lab else ""
        state = ", suspended" if self.process.suspended else ""
        since = f"started {self.process.started}, {self.process.age:.0f} s ago"
        return f"process {self.process.pid} ({self.what}{lab}{state}), {since}"


class HeldLock:
    """A lock that is held for a `with` block."""

    @abstractmethod
    def acquire(self) -> None:
        """Take it; LockHeld names the holder."""

    @abstractmethod
    def release(self) -> None:
        """Give it back; may be repeated."""

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()


class FileLock(HeldLock):
    """An exclusive lock on a file; may be acquired and released any number of times."""

    def __init__(self, path: Path, *, what: str, lab: Path | None = None, shared_machine: bool = False, named: bool = True) -> None:
        """Name the lock.

        Args:
            path: The lock file; made when missing.
            what: What the holder is, for the one who is refused.
            lab: The holder's lab.
            shared_machine: Whether other users lock the same file.
            named: Whether the holder's name must stand in the file; else a full disk, which takes none, is no reason to fail.
        """
        self.path = path
        self._what = what
        self._lab = str(lab.absolute()) if lab else ""
        self._mode = 0o666 if shared_machine else 0o600
        self._named = named
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    @override
    def acquire(self, *, patience: float = 0.0) -> None:
        """Take the lock, waiting up to `patience` wall seconds.

        Raises:
            LockHeld: Somebody else holds it; the message has its pid, start and age.
        """
        if self._descriptor is not None:
            raise Fault(f"lock {self.path}: this process holds it already")
        descriptor = _open(self.path, self._mode)
        try:
            self._wait(descriptor, time.monotonic() + patience)
        except BaseException:
            os.close(descriptor)
            raise
        try:
            _write(descriptor, json.dumps(Holder(Process.this(), self._what, self._lab).document()))
        except OSError:
            if self._named:
                os.close(descriptor)
                raise
        self._descriptor = descriptor

    def _wait(self, descriptor: int, deadline: float) -> None:
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline:
                raise LockHeld(f"{self.path} is held by {self.holder() or 'a process that left no name'}")
            time.sleep(_RETRY_SECONDS)

    @override
    def release(self) -> None:
        """Give the lock back; may be repeated."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> Holder | None:
        """Return who wrote its name into the file last; None when nobody did."""
        for _ in range(10):  # a holder locks first and writes its name just after
            with suppress(FileNotFoundError):
                if found := Holder.parse(self.path.read_text(encoding="utf-8")):
                    return found
            time.sleep(_RETRY_SECONDS)
        return None


def _open(path: Path, mode: int) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_NOFOLLOW
    while True:  # never O_CREAT on an existing file: the kernel refuses that in a sticky folder when another user owns it
        with suppress(FileNotFoundError):
            return os.open(path, flags)
        with suppress(FileExistsError):
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, mode)
            os.fchmod(descriptor, mode)
            return descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


def take_over(lock: FileLock, *, sign: Path | None = None, silent_after: float = SILENT_AFTER, within: float = 10.0) -> str | None:
    """Take a lock, killing its holder first when that one is suspended or silent.

    Args:
        lock: The lock to take.
        sign: The file that the holder's `LifeSign` keeps fresh; without one only a suspended holder is displaced.
        silent_after: Wall seconds without a sign of life that count as silence.
        within: Wall seconds that the holder's death may take.

    Returns:
        One line about whom it displaced; None when the lock was free.

    Raises:
        LockHeld: The holder is fresh, or it did not die.
    """
    try:
        lock.acquire()
    except LockHeld:
        holder = lock.holder()
        reason = _silence(holder, sign, silent_after) if holder else None
        if holder is None or reason is None:
            raise
        line = f"killed {holder}: {reason}"
        logger.warning("%s: %s", lock.path, line)
        try:
            holder.process.kill(within)
        except PermissionError as error:
            raise LockHeld(f"{lock.path} is held by {holder}, {reason}; it belongs to another user and cannot be ended") from error
        lock.acquire(patience=1.0)
        return line
    return None


def _silence(holder: Holder, sign: Path | None, silent_after: float) -> str | None:
    if holder.process.suspended:
        return "it is suspended"
    age = life_sign_age(sign) if sign else None
    if age is not None and age > silent_after:
        return f"no sign of life for {age:.0f} s; allowed {silent_after:.0f} s"
    return None


def read_holder(path: Path) -> Holder | None:
    """Return the live process whose name stands in a lock file, without touching the lock; None in a copied lab."""
    if is_copy(path.parent):
        return None
    try:
        found = Holder.parse(path.read_text(encoding="utf-8"))
    except OSError:
        return None
    return found if found and found.process.alive else None


def life_sign_age(path: Path) -> float | None:
    """Return the seconds since the last beat, of which suspended machines count none; None when there was none."""
    try:
        return time.monotonic() - float(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
