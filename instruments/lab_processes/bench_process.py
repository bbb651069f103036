"""Starting, finding and ending a lab's bench: the supervisor, which starts the host.

Each process holds a lock of its own and outlives the command that started it.
"""

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from instruments.lab_processes.bench_copies import bench_files, places
from instruments.lab_processes.http import ask_host
from instruments.lab_processes.process_identity import Process, last_line, reap, start_detached
from instruments.lab_processes.started import START_POLL_SECONDS, START_SECONDS, forget_started, remember_or_end, starting
from instruments.lab_processes.state_files import (
    HOST,
    HOST_ERROR,
    LATCHED,
    NOT_SAFE,
    STARTED,
    SUPERVISOR,
    is_copy,
    read_lab_state,
    read_state_file,
)
from instruments.lab_processes.stop import host_of, plant_lives, stop_bench, supervisor_of
from orchestrator.commandline import typed
from orchestrator.errors import AccessError, AthanorError, BadInput, HostError, NeedsPerson
from orchestrator.textfile import read_text

logger = logging.getLogger(__name__)

SHUTDOWN_SECONDS: Final = 90.0
"""Wall seconds for safe state and leaving: more than the supervisor allows its host."""
_SUPERVISOR: Final = ("instruments.supervisor",)


@dataclass(frozen=True, slots=True)
class BenchProcess:
    """A bench host that answers."""

    socket: str
    process: Process
    bench_sha256: str
    boot: str


def ensure_bench(
    lab: Path, bench: Path, endpoints: Path | None = None, *, sha256: str | None = None, supervisor: Sequence[str] = _SUPERVISOR
) -> BenchProcess:
    """Adopt the lab's bench host, or start supervisor and host, and wait until it answers.

    Args:
        lab: The lab folder.
        bench: The bench file.
        endpoints: The plant's `endpoints.json`; None on a live bench.
        sha256: The hash of the bench, the files beside it included; None where there are none.
        supervisor: Module and first arguments of the supervisor; another one in tests only.

    Raises:
        HostError: It did not come up; with the host's own line.
        BadInput: It did not, since a device and the lab do not trust each other.
        NeedsPerson: A host with another bench file is in the middle of a run, or the bench was latched at the start.
    """
    lab, bench, endpoints = lab.absolute(), bench.absolute(), endpoints.absolute() if endpoints else None
    wanted = sha256 or _sha256(bench)
    with starting(lab):
        _replace_other_bench(lab, wanted, endpoints)
        found = supervisor_of(lab)
        if found is None:
            found = _start_supervisor(lab, bench, endpoints, supervisor)
        return _await_host(lab, found)


def revive_bench(lab: Path, bench: Path, endpoints: Path | None = None, *, supervisor: Sequence[str] = _SUPERVISOR) -> None:
    """Start the supervisor again that was killed under a living campaign: it adopts the host, or starts one; nobody waits for it.

    A bench that was ended, or latched, is left alone. `athanor stop` latches before it looks for whom to end, and this looks
    for the latch after it has noted whom it started: one of the two sees the other.

    Args:
        lab: The lab folder.
        bench: The bench file.
        endpoints: The plant's `endpoints.json`; None on a live bench.
        supervisor: Module and first arguments of the supervisor; another one in tests only.
    """
    lab, bench, endpoints = lab.absolute(), bench.absolute(), endpoints.absolute() if endpoints else None
    if not _unwatched(lab):
        return
    with starting(lab):
        if not _unwatched(lab):
            return
        logger.warning("the supervisor was killed: another one is started")
        found = _start_supervisor(lab, bench, endpoints, supervisor)
        if (lab / LATCHED).exists():
            found.kill()
            reap(found.pid)


def _unwatched(lab: Path) -> bool:
    """Say whether a supervisor has died that nobody has ended; one that leaves takes its note away."""
    return bool(read_lab_state(lab, SUPERVISOR)) and supervisor_of(lab) is None and not (lab / LATCHED).exists()


def _sha256(bench: Path) -> str:
    """Return the hash of a bench file that has no file beside it, as `BenchFile` computes it, without loading drivers."""
    return hashlib.sha256(read_text(bench, what=f"bench file {bench}").encode()).hexdigest()


def _replace_other_bench(lab: Path, wanted: str, endpoints: Path | None) -> None:
    """End a host of another bench file, or of a plant that has died: it could not do anything for us."""
    note = read_lab_state(lab, HOST)
    if Process.living(note) is None:
        return
    started_on = read_lab_state(lab, STARTED).get("plant_boot")
    if started_on is not None and started_on != _plant_boot(endpoints):
        logger.warning("the plant was started again: the host of the dead one is ended; its devices are no more")
        for process in (supervisor_of(lab), host_of(lab)):
            if process is not None:
                process.kill()
                reap(process.pid)
        for name in (SUPERVISOR, HOST):
            (lab / name).unlink(missing_ok=True)
    elif note.get("bench_sha256") != wanted:
        run = ask_host(str(note["socket"]), "GET", "/alive", timeout=5.0).get("run")
        if run is not None:
            raise NeedsPerson(f"the bench file was changed while run {run} is carried out; wait for its end, or `athanor abort`")
        logger.info("the bench file was changed: the idle host leaves")
        _end_bench(lab)


def _plant_boot(endpoints: Path | None) -> str | None:
    return read_state_file(endpoints).get("boot_id") if endpoints else None


def _start_supervisor(lab: Path, bench: Path, endpoints: Path | None, module: Sequence[str]) -> Process:
    (lab / HOST_ERROR).unlink(missing_ok=True)
    arguments = ["--bench", str(bench), *(("--endpoints", str(endpoints)) if endpoints else ())]
    process = start_detached([*module, "--lab", str(lab), *arguments], lab / "supervisor.log")
    remember_or_end(lab, process, supervisor=process.document(), bench=places(lab, bench, endpoints), plant_boot=_plant_boot(endpoints))
    return process


def _await_host(lab: Path, supervisor: Process) -> BenchProcess:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if Process.living(read_lab_state(lab, SUPERVISOR)) == supervisor and (found := _answering(lab)):
            return found
        if not supervisor.alive:
            reap(supervisor.pid)
            told, latch = read_state_file(lab / HOST_ERROR), read_state_file(lab / LATCHED)
            if latch and "error" not in told:
                resume = typed("resume", "--lab", lab, "--by", "NAME", "--reason", "TEXT")
                raise NeedsPerson(f"the bench is latched ({latch.get('reason')}); look at it, then type: {resume}")
            line = f"the bench host did not start: {told.get('error') or last_line(lab / 'supervisor.log')}"
            raise BadInput(line) if told.get("kind") == AccessError.__name__ else HostError(line)
        time.sleep(START_POLL_SECONDS)
    raise HostError(f"the bench host was not ready within {START_SECONDS:g} s; see {lab / 'supervisor.log'}")


def _answering(lab: Path) -> BenchProcess | None:
    note = read_lab_state(lab, HOST)
    process = Process.living(note)
    if process is None:
        return None
    try:
        answer = ask_host(str(note.get("socket", "")), "GET", "/alive", timeout=2.0)
    except NeedsPerson:
        answer = {}
    except HostError:
        return None
    if not answer.get("ready", True):
        return None
    return BenchProcess(str(note["socket"]), process, str(note.get("bench_sha256", "")), str(note.get("boot", "")))


def host_alive(lab: Path) -> bool:
    """Say whether the lab's bench host answers."""
    return _answering(lab.absolute()) is not None


def run_in_hand(lab: Path) -> str | None:
    """Return the run that the lab's bench host carries out; None where it has none, or does not answer."""
    if (found := _answering(lab.absolute())) is None:
        return None
    try:
        run = ask_host(found.socket, "GET", "/alive", timeout=5.0).get("run")
    except AthanorError:
        return None
    return None if run is None else str(run)


def unlatch(lab: Path, *, by: str, reason: str) -> bool:
    """Let the bench work again after a stop, also while no host lives; return whether it was latched."""
    lab = lab.absolute()
    found = _answering(lab)
    latched = (lab / LATCHED).exists()
    if found is None:
        if (host := host_of(lab)) and latched:
            raise HostError(
                f"host {host.pid} lives but does not answer: the bench stays latched; `athanor stop` ends it, then resume again"
            )
        (lab / LATCHED).unlink(missing_ok=True)
        logger.warning("unlatched by %s: %s", by, reason)
        return latched
    latched = latched or bool(ask_host(found.socket, "GET", "/alive", timeout=5.0).get("latched"))
    if latched:
        ask_host(found.socket, "POST", "/unlatch", {"by": by, "reason": reason}, timeout=10.0)
    return latched


def start_known_bench(lab: Path, bench: Path | None = None, endpoints: Path | None = None) -> None:
    """See to it that a lab has a bench host, started by what the lab knows of its bench when none is alive.

    Args:
        lab: The lab folder.
        bench: The bench file to go by; None for those that the lab has noted, the copy that the last host kept first.
        endpoints: The plant's `endpoints.json`; None on a live bench.

    Raises:
        AthanorError: No host can be had; one line says why.
    """
    lab = lab.absolute()
    if host_alive(lab):
        return
    if is_copy(lab):
        raise HostError(f"lab {lab} is a copy of another one: no host is started on that one's bench")
    if endpoints is not None and not plant_lives(lab):
        raise HostError(f"the simulated devices of dry lab {lab} do not run")
    known = [path for path in ((bench,) if bench else bench_files(lab)) if path.exists()]
    if not known:
        raise BadInput(f"no bench file of lab {lab} is there any more; --bench FILE names one")
    ensure_bench(lab, known[0], endpoints)


def shutdown_bench(lab: Path) -> None:
    """End host and supervisor of a lab normally: safe state, host, supervisor, each awaited.

    A bench that commands of this lab did not start is left alone.

    Raises:
        HostError: It had to be stopped by force; the safe state was driven and the bench is latched.
    """
    lab = lab.absolute()
    with starting(lab):
        if "supervisor" in read_lab_state(lab, STARTED):
            _end_bench(lab)


def _end_bench(lab: Path) -> None:
    supervisor, was_latched = supervisor_of(lab), (lab / LATCHED).exists()
    clean = True
    if supervisor:
        clean = not supervisor.suspended and supervisor.ask_to_end(SHUTDOWN_SECONDS)
        reap(supervisor.pid)
    if clean and (host := host_of(lab)):
        clean = _end_orphan(lab, host)
    elif not supervisor and read_lab_state(lab, HOST):
        clean = False  # it was killed, and nobody has made the bench safe since
    if not clean:
        stopped = stop_bench(lab, reason="the bench did not shut down", by="shutdown")
        raise HostError(f"the bench did not shut down and was stopped: {'; '.join((*stopped.lines, stopped.verdict))}")
    (lab / SUPERVISOR).unlink(missing_ok=True)  # of one that was killed
    forget_started(lab, "supervisor")
    if (lab / LATCHED).exists() and not was_latched:
        latch = read_state_file(lab / LATCHED)
        told = "; ".join(latch.get("safe_state") or ())
        raise HostError(f"the bench did not shut down cleanly and is latched: {latch.get('reason')}; since then: {told}")


def _end_orphan(lab: Path, host: Process) -> bool:
    """End a host whose supervisor was killed."""
    try:
        ask_host(str(read_lab_state(lab, HOST).get("socket", "")), "POST", "/shutdown", {}, timeout=SHUTDOWN_SECONDS)
    except AthanorError as error:
        logger.warning("%s", error)
        return False
    return host.wait(SHUTDOWN_SECONDS) and read_state_file(lab / HOST_ERROR).get("kind") != NOT_SAFE
