"""Kernel locks with a name on them: who holds a bench, a lab or a wire, since when, and when it may be taken over.

A lock is an flock on a file, so the kernel frees it with its holder, however that one ends. No time-to-live and no wall
clock: a holder is displaced only when it is suspended or its sign of life has stood still, and then it is killed and its death
awaited before the lock is taken. A lock file is never removed: a removed file could be locked twice.
"""

import fcntl
import hashlib
import json
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from typing_extensions import override

from instruments.lab_processes.process_identity import Process
from instruments.lab_processes.state_files import is_copy
from orchestrator.errors import Fault, LockHeld

logger = logging.getLogger(__name__)

ENDPOINT_LOCKS: Final = Path("/tmp/athanor-locks")
"""The one folder that all users and labs of a machine share; no environment variable may move it."""
SIGN_SECONDS: Final = 1.0
SILENT_AFTER: Final = 10.0
"""Wall seconds without a sign of life after which a holder counts as silent: ten missed turns on a busy machine."""
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


class FileLock:
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

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()


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


class LifeSign:
    """A thread that shows that its process gets time to run: it writes the monotonic clock into a file each second."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="life-sign", daemon=True)

    def start(self) -> None:
        """Write the first beat and go on with it."""
        self._path.write_text(_beat(), encoding="ascii")
        self._thread.start()

    def _run(self) -> None:
        with self._path.open("r+b", buffering=0) as file:
            while not self._ended.wait(SIGN_SECONDS):
                os.pwrite(file.fileno(), _beat().encode(), 0)  # fixed width: never read half written

    def stop(self) -> None:
        """End the thread; may be repeated."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()


def _beat() -> str:
    return f"{time.monotonic():020.3f}"


def life_sign_age(path: Path) -> float | None:
    """Return the seconds since the last beat, of which suspended machines count none; None when there was none."""
    try:
        return time.monotonic() - float(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


class CampaignLock:
    """One campaign process per lab, with a sign of life by which a later one can tell whether it goes on."""

    def __init__(self, lab: Path, name: str, *, take_over: bool = False, silent_after: float = SILENT_AFTER) -> None:
        """Prepare.

        Args:
            lab: The lab folder.
            name: The campaign's name.
            take_over: Whether a suspended or silent holder is killed; a fresh one never is.
            silent_after: Wall seconds without a sign of life that count as silence.
        """
        self._lock = FileLock(lab / "campaign.lock", what=f"campaign {name}", lab=lab)
        self._sign_path = lab / "campaign.alive"
        self._take_over = take_over
        self._silent_after = silent_after
        self._sign: LifeSign | None = None
        self.displaced: str | None = None
        """One line about the process that was killed for it."""

    def acquire(self) -> None:
        """Take the lab. LockHeld has the holder's pid, start and age."""
        if self._take_over:
            self.displaced = take_over(self._lock, sign=self._sign_path, silent_after=self._silent_after)
        else:
            self._lock.acquire()
        self._sign = LifeSign(self._sign_path)
        self._sign.start()

    def release(self) -> None:
        """Give the lab back; may be repeated."""
        if self._sign is not None:
            self._sign.stop()
            self._sign = None
        self._lock.release()

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()


def campaign_holder(lab: Path) -> Process | None:
    """Return the live campaign process of a lab, if there is one."""
    found = read_holder(lab / "campaign.lock")
    return found.process if found else None


def read_holder(path: Path) -> Holder | None:
    """Return the live process whose name stands in a lock file, without touching the lock; None in a copied lab."""
    if is_copy(path.parent):
        return None
    try:
        found = Holder.parse(path.read_text(encoding="utf-8"))
    except OSError:
        return None
    return found if found and found.process.alive else None


class EndpointLocks:
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
        self._locks = [FileLock(folder / _file_name(name), what=f"{what} on {name}", lab=lab, shared_machine=True) for name in names]
        self._held = ExitStack()

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

    def release(self) -> None:
        """Give all back; may be repeated."""
        self._held.close()

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()


def _take_patiently(lock: FileLock, patience: float) -> None:
    try:
        lock.acquire(patience=patience)
    except LockHeld:
        take_over(lock)


_THIS_MACHINE: Final = re.compile(r"^(localhost|ip6-localhost|\[(0*:)+0*1\])\.?(?=:|$)")
"""The names of the loopback address."""


def is_url(endpoint: str) -> bool:
    """Whether an endpoint is a url, and not a port's path."""
    return re.match(r"^[a-z][a-z0-9+.-]*://", endpoint, re.IGNORECASE) is not None


def canonical_endpoint(endpoint: str) -> str:
    """Return the one name of a wire: the real path of a port, a url in lower case without its closing slash."""
    if is_url(endpoint):
        scheme, _, rest = endpoint.lower().partition("://")
        host, slash, path_in = rest.partition("?")[0].rstrip("/").partition("/")
        return f"{scheme}://{_THIS_MACHINE.sub('127.0.0.1', host)}{slash}{path_in}"
    path = Path(endpoint)
    real = path.resolve()
    # A pseudo-terminal's number is given anew when its plant has died, while a host may still hold the old lock.
    return str(path.parent.resolve() / path.name if real.is_relative_to("/dev/pts") else real)


def _file_name(endpoint: str) -> str:
    return f"{hashlib.sha256(endpoint.encode()).hexdigest()[:32]}.lock"


def _make_shared_folder(folder: Path) -> None:
    with suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(0o1777)  # sticky: nobody removes the lock file of another


def _guard(folder: Path) -> int:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)  # tidying services leave a locked folder's old files alone (tmpfiles.d(5))
    return descriptor
