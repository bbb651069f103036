"""One lock per wire, for all labs and users of the machine: two labs could name one device."""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from typing_extensions import override

from instruments.lab_processes.endpoint_names import canonical_endpoint
from instruments.lab_processes.locks import FileLock, HeldLock, read_holder, take_over
from orchestrator.errors import LockHeld

ENDPOINT_LOCKS: Final = Path("/tmp/athanor-locks")
"""The one folder that all users and labs of a machine share; no environment variable may move it."""


class EndpointLocks(HeldLock):
    """One lock per wire, for all labs and users of the machine: two labs could name one device."""

    def __init__(self, endpoints: Iterable[str], *, what: str, lab: Path | None = None, folder: Path = ENDPOINT_LOCKS) -> None:
        """Name the wires.

        Args:
            endpoints: Serial ports' paths and OPC-UA urls.
            what: What the holder is.
            lab: The holder's lab.
            folder: Where the lock files lie; another one in tests only.
        """
        self._folder = folder
        names = sorted({canonical_endpoint(endpoint) for endpoint in endpoints})  # one order for all: no deadlock
        files = {name: _lock_file(name, folder) for name in names}
        self._locks = [FileLock(file, what=f"{what} on {name}", lab=lab, shared_machine=True) for name, file in files.items()]
        self._held = ExitStack()

    @override
    def acquire(self, *, patience: float = 0.0) -> None:
        """Take all of them or none. LockHeld names the holder."""
        self._take(lambda lock: lock.acquire(patience=patience))

    def take_over(self, *, patience: float = 2.0) -> None:
        """Take all of them, killing suspended holders; a running one is never displaced (LockHeld)."""
        self._take(lambda lock: _take_patiently(lock, patience))

    def _take(self, take: Callable[[FileLock], None]) -> None:
        _make_shared_folder(self._folder)
        with ExitStack() as taken:
            taken.callback(os.close, _guard(self._folder))
            for lock in self._locks:
                take(lock)
                taken.callback(lock.release)
            self._held = taken.pop_all()

    @override
    def release(self) -> None:
        """Give all back; may be repeated."""
        self._held.close()


def lock_holder(endpoint: str, *, folder: Path = ENDPOINT_LOCKS) -> str | None:
    """Say which living process holds a wire, in words; the lock is not touched. None where none does."""
    holder = read_holder(_lock_file(canonical_endpoint(endpoint), folder))
    return None if holder is None else str(holder)


def _lock_file(name: str, folder: Path) -> Path:
    return folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.lock"


def _take_patiently(lock: FileLock, patience: float) -> None:
    try:
        lock.acquire(patience=patience)
    except LockHeld:
        take_over(lock)


def _make_shared_folder(folder: Path) -> None:
    with suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(0o1777)  # sticky: nobody removes the lock file of another


def _guard(folder: Path) -> int:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)  # tidying services leave a locked folder's old files alone (tmpfiles.d(5))
    return descriptor
