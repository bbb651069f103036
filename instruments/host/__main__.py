"""The bench host: sole owner of the wires of one bench.

    python -m instruments.host --lab DIR --bench FILE [--endpoints LAB/plant/endpoints.json]

It locks the wires, opens them, identifies the devices, arms their watchdogs, reconciles what an earlier life left open,
and then answers on a unix socket whose path stands in LAB/host.json. On SIGTERM it drives the safe state and leaves.
"""

import argparse
import hashlib
import logging
import os
import signal
import socket
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

from instruments.bench.connect import connect
from instruments.bench.endpoints import at_plant, plant_clock, read_endpoints
from instruments.bench.environment import environment_channels
from instruments.bench.file import BenchFile, load_bench
from instruments.bench.lanes import lanes_of, wires_of
from instruments.bench.parking import park_steps
from instruments.bench.wires import Connect, Wires
from instruments.host.executor import Executor, NotSafe
from instruments.host.heartbeats import Heartbeats, LastLifeTime
from instruments.host.idle_state import IdleState
from instruments.host.journal import Journal
from instruments.host.latch import Latch
from instruments.host.parts import HostParts
from instruments.host.requests import RequestHandler
from instruments.host.sampling import Sampler
from instruments.host.service import HttpService, JournalChanges, application
from instruments.lab_processes.bench_copies import keep_copy, relative_to_lab
from instruments.lab_processes.endpoint_locks import ENDPOINT_LOCKS, EndpointLocks
from instruments.lab_processes.locks import BENCH_HOST, FileLock
from instruments.lab_processes.process_identity import Process
from instruments.lab_processes.state_files import HOST, HOST_ERROR, folder_identity, record_exit_reason, write_state_file
from orchestrator.clock import Clock, LiveClock
from orchestrator.domain.identity import uuid7
from orchestrator.errors import AthanorError, BadInput, Fault

logger = logging.getLogger(__name__)

_LOG_BYTES: Final = 1_000_000
_LOG_FILES: Final = 3
LONGEST_SOCKET_PATH: Final = 107
"""Bytes of a unix socket's path on Linux."""
LOCK_PATIENCE: Final = 2.0
"""Wall seconds to wait for the wires: the kernel frees a killed host's locks a moment after its death."""
LEAVE_SECONDS: Final = 30.0
_TURN: Final = 0.2


@dataclass(frozen=True, slots=True)
class Replaceable:
    """What a test of the host may replace; the product never does."""

    journal: Callable[[Path], Journal] = Journal
    connect: Connect = connect
    lock_folder: Path = ENDPOINT_LOCKS


def main(arguments: Sequence[str] | None = None, replaceable: Replaceable | None = None) -> int:
    """Run the bench host of one lab until it is told to leave; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m instruments.host", description=__doc__, add_help=True)
    parser.add_argument("--lab", type=Path, required=True)
    parser.add_argument("--bench", type=Path, required=True)
    parser.add_argument("--endpoints", type=Path)
    chosen = parser.parse_args(arguments)
    bench, endpoints, lab = chosen.bench.absolute(), chosen.endpoints and chosen.endpoints.absolute(), Path()
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)  # before any thread starts: the main thread alone takes them
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a closed terminal is no reason to leave a bench alone
    try:
        chosen.lab.mkdir(parents=True, exist_ok=True)
        os.chdir(chosen.lab)  # the lab may be moved while we serve it: here it stays "."
        _log_to(lab / "host.log")
        (lab / HOST_ERROR).unlink(missing_ok=True)
        with ExitStack() as held:
            return _serve(lab, bench, endpoints, replaceable or Replaceable(), held)
    except (AthanorError, OSError, sqlite3.Error) as error:
        logger.critical("%s", error)
        record_exit_reason(lab / HOST_ERROR, {"error": str(error), "kind": type(error).__name__})
        return error.exit_code if isinstance(error, AthanorError) else Fault.exit_code


_ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT})


def _log_to(path: Path) -> None:
    handler = RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=_LOG_FILES, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("asyncua").setLevel(logging.ERROR)  # the transport reports a lost link; asyncua would at every attempt


def _serve(lab: Path, bench_path: Path, endpoints: Path | None, replaceable: Replaceable, held: ExitStack) -> int:
    read = load_bench(bench_path).in_lab(lab)
    bench, clock = _aimed(read, endpoints)
    bench.check_instruments()
    _log_plugins(bench)
    _ = park_steps(bench), environment_channels(bench)  # what is wrong with them is said before a wire is touched
    lock = FileLock(lab / "host.lock", what=BENCH_HOST, lab=lab)
    lock.acquire(patience=LOCK_PATIENCE)
    held.callback(lock.release)
    locks = EndpointLocks(wires_of(bench.spec, lanes_of(bench.spec)), what=BENCH_HOST, lab=lab, folder=replaceable.lock_folder)
    locks.acquire(patience=LOCK_PATIENCE)
    held.callback(locks.release)
    keep_copy(lab, bench.path.name, bench.files, sha256=bench.sha256, origin=read.folder)
    journal = replaceable.journal(lab / "journal.sqlite")
    held.callback(journal.close)
    last_life = LastLifeTime(lab / "host.life", clock)
    held.callback(last_life.close)
    heartbeats = Heartbeats()
    wires = Wires(bench, replaceable.connect, clock, lambda: heartbeats.supervised)
    wires.start()
    held.callback(wires.close)
    wires.open()
    latch = Latch(lab, journal)
    idle_state = IdleState(journal, bench.sha256)
    if latch.state is not None:  # whoever latched it while no host lived has driven the safe state
        idle_state.make_safe(latch.reason, asked=True, key=latch.state.get("key"))
    host = HostParts(bench, journal, wires, clock, heartbeats, latch, last_life, idle_state)
    return _live(lab, host, held)


def _log_plugins(bench: BenchFile) -> None:
    for plugin in bench.plugins.values():
        logger.info("%s: %s", plugin.what, plugin.identity)


def _aimed(bench: BenchFile, endpoints: Path | None) -> tuple[BenchFile, Clock]:
    """Point the bench to a plant's endpoints where there is one.

    Raises:
        BadInput: The plant simulates another bench file, or has no entry for a link.
    """
    if endpoints is None:
        return bench, LiveClock()
    document = read_endpoints(endpoints)
    if document.get("bench_sha256") != bench.sha256:
        theirs = str(document.get("bench_sha256", "nothing"))[:12]
        raise BadInput(f"{endpoints} is of bench file {theirs}; {bench.path} is {bench.sha256[:12]}")
    return _moving_along(at_plant(bench, document)), plant_clock(document)


def _moving_along(bench: BenchFile) -> BenchFile:
    """Name a plant's files by their way from the lab, where the host stands: links are opened anew after the lab was moved."""
    links = {name: link.with_files(lambda path: str(relative_to_lab(Path(), Path(path)))) for name, link in bench.spec.links.items()}
    return replace(bench, links_from=Path(), spec=bench.spec.model_copy(update={"links": links}))


def _live(lab: Path, host: HostParts, held: ExitStack) -> int:
    executor, leaving, boot = Executor(host), threading.Event(), uuid7()
    handler = RequestHandler(host, executor, boot=boot, leave=leaving.set)
    changes = JournalChanges()
    host.journal.on_change(changes.notify)
    path = socket_path(lab)
    service = HttpService(application(handler, changes), _listen(path))
    service.start()
    held.callback(path.unlink, missing_ok=True)
    held.callback(service.close)
    held.callback(changes.close)
    sampler = Sampler(host.bench, host.journal, host.wires, host.clock)
    sampler.start()
    held.callback(sampler.close)
    executor.start()
    while not executor.ready.is_set() and not _ends(executor, leaving):
        executor.ready.wait(_TURN / 10)
    if executor.ready.is_set():
        patience = host.bench.spec.bench.restart_within
        note = {"socket": str(path), "bench_sha256": host.bench.sha256, "boot": boot, "restart_within": patience}
        write_state_file(lab / HOST, {**Process.this().document(), **note})
        logger.info("ready on %s", path)
    while not _ends(executor, leaving):
        pass
    executor.leave()
    executor.join(LEAVE_SECONDS)
    (lab / HOST).unlink(missing_ok=True)
    if isinstance(executor.died, NotSafe):
        raise executor.died
    if executor.died is not None:
        raise Fault(f"the executor died: {executor.died}") from executor.died
    logger.info("left")
    return 0


def _ends(executor: Executor, leaving: threading.Event) -> bool:
    """Say whether the host is to end; a turn of the main thread, which takes the signals."""
    wait = 0 if not executor.ready.is_set() else _TURN
    return signal.sigtimedwait(_ENDING, wait) is not None or leaving.is_set() or executor.left.is_set()


def socket_path(lab: Path) -> Path:
    """Return where the host of a lab listens, in a folder that its user alone may enter.

    Raises:
        Fault: The folder belongs to somebody else, or the path is too long for a unix socket.
    """
    folder = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"athanor-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = folder.stat()
    if state.st_uid != os.getuid() or state.st_mode & 0o077:
        raise Fault(f"{folder} may be entered by others; expected a folder of user {os.getuid()} with mode 0700")
    which = "{device}:{inode}".format(**folder_identity(lab))  # not its path: a new lab may lie where one was that has been moved
    path = folder / f"{hashlib.sha256(which.encode()).hexdigest()[:12]}.sock"
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        raise Fault(f"socket path {path} is longer than {LONGEST_SOCKET_PATH} bytes; set XDG_RUNTIME_DIR to a shorter folder")
    return path


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)  # a stale one: the lab's lock is ours
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(str(path))
    path.chmod(0o600)
    listening.listen(128)
    return listening


if __name__ == "__main__":
    sys.exit(main())
