"""Starting, finding and ending the processes of a lab: supervisor (which starts the host) and plant.

Each process holds a lock of its own and outlives the command that started it. `LAB/started.json` says what commands of
this lab started, so that the next command inherits it after a kill, and ends that and nothing else.
"""

import hashlib
import logging
import os
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from instruments.bench_client.http import ask
from instruments.lab_processes.bench_copies import LAST_COPY, bench_files, places
from instruments.lab_processes.labtime import lab_clock, lab_rate
from instruments.lab_processes.locks import FileLock, campaign_holder, read_holder
from instruments.lab_processes.process_identity import Process, last_line, reap, start_detached
from instruments.lab_processes.state_files import (
    ENDPOINTS,
    HOST,
    HOST_ERROR,
    LAB,
    LATCHED,
    NOT_SAFE,
    PLANT,
    STARTED,
    SUPERVISOR,
    folder_identity,
    is_copy,
    noted,
    read_note,
    write_note,
)
from instruments.lab_processes.stop import host_of, plant_lives, stop_bench, supervisor_of
from orchestrator.domain.identity import uuid7
from orchestrator.errors import AthanorError, BadInput, Fault, HostError, NeedsPerson
from orchestrator.textfile import read_text

__all__ = [
    "BenchProcess",
    "ensure_bench",
    "ensure_plant",
    "host_alive",
    "lab_clock",
    "lab_rate",
    "make_own",
    "process_table",
    "run_in_hand",
    "shutdown_bench",
    "shutdown_plant",
    "start_known_bench",
    "unlatch",
]

logger = logging.getLogger(__name__)

READY_SECONDS: Final = 60.0
"""Wall seconds for a bench or a plant to come up on a busy machine; the supervisor gives up long before."""
SHUTDOWN_SECONDS: Final = 90.0
"""Wall seconds for safe state and leaving: more than the supervisor allows its host."""
PLANT_SECONDS: Final = 15.0
_STARTER_PATIENCE: Final = 2 * READY_SECONDS
_POLL_SECONDS: Final = 0.05
_START_LOCK: Final = "start.lock"
_SUPERVISOR: Final = ("instruments.supervisor",)
_PLANT: Final = ("simulators.plant",)


@dataclass(frozen=True, slots=True)
class BenchProcess:
    """A bench host that answers."""

    socket: str
    process: Process
    bench_sha256: str
    boot: str


# ---------------------------------------------------------------------- the lab


def make_own(lab: Path, kind: str) -> None:
    """Note which folder a lab is; a copied one becomes a lab of its own, in which nothing was started yet.

    Args:
        lab: The lab folder.
        kind: Live or dry; what stands there already stays.
    """
    if _knows_itself(lab):
        return
    with _starter(lab):
        if _knows_itself(lab):  # another command was faster
            return
        if is_copy(lab):
            _forget_original(lab)
        write_note(lab / LAB, {"kind": kind, **read_note(lab / LAB), "id": uuid7(), **folder_identity(lab)})


def _knows_itself(lab: Path) -> bool:
    return not is_copy(lab) and "id" in read_note(lab / LAB)


def _forget_original(lab: Path) -> None:
    for name in (HOST, HOST_ERROR, SUPERVISOR, STARTED, LAST_COPY, f"{PLANT}/{ENDPOINTS}"):
        (lab / name).unlink(missing_ok=True)
    for lock in set(lab.glob("*.lock")) - {lab / _START_LOCK}:
        os.truncate(lock, 0)  # the holder's name that stands in it is not of this file's holder


# ---------------------------------------------------------------------- the bench


def ensure_bench(lab: Path, bench: Path, endpoints: Path | None = None, *, supervisor: Sequence[str] = _SUPERVISOR) -> BenchProcess:
    """Adopt the lab's bench host, or start supervisor and host, and wait until it answers.

    Args:
        lab: The lab folder.
        bench: The bench file.
        endpoints: The plant's `endpoints.json`; None on a live bench.
        supervisor: Module and first arguments of the supervisor; another one in tests only.

    Raises:
        HostError: It did not come up; with the host's own line.
        NeedsPerson: A host with another bench file is in the middle of a run.
    """
    lab, bench, endpoints = lab.absolute(), bench.absolute(), endpoints.absolute() if endpoints else None
    wanted = _sha256(bench)
    with _starter(lab):
        _replace_other_bench(lab, wanted, endpoints)
        found = supervisor_of(lab)
        if found is None:
            found = _start_supervisor(lab, bench, endpoints, supervisor)
        return _await_host(lab, found)


def _sha256(bench: Path) -> str:
    """Return the hash of a bench file, as `BenchFile` computes it, without loading drivers."""
    return hashlib.sha256(read_text(bench, what=f"bench file {bench}").encode()).hexdigest()


def _starter(lab: Path) -> "_Patient":
    return _Patient(FileLock(lab / _START_LOCK, what="a starting command", lab=lab, named=False))


class _Patient:
    """Waits for a lock: commands that start at the same time come one after the other."""

    def __init__(self, lock: FileLock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        self._lock.acquire(patience=_STARTER_PATIENCE)

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _replace_other_bench(lab: Path, wanted: str, endpoints: Path | None) -> None:
    """End a host of another bench file, or of a plant that has died: it could not do anything for us."""
    note = noted(lab, HOST)
    if _process(lab, HOST) is None:
        return
    started_on = noted(lab, STARTED).get("plant_boot")
    if started_on is not None and started_on != _plant_boot(endpoints):
        logger.warning("the plant was started again: the host of the dead one is ended; its devices are no more")
        for process in (supervisor_of(lab), host_of(lab)):
            if process is not None:
                process.kill()
                reap(process.pid)
        for name in (SUPERVISOR, HOST):
            (lab / name).unlink(missing_ok=True)
    elif note.get("bench_sha256") != wanted:
        run = ask(str(note["socket"]), "GET", "/alive", timeout=5.0).get("run")
        if run is not None:
            raise NeedsPerson(f"the bench file was changed while run {run} is carried out; wait for its end, or `athanor abort`")
        logger.info("the bench file was changed: the idle host leaves")
        _end_bench(lab)


def _plant_boot(endpoints: Path | None) -> str | None:
    return read_note(endpoints).get("boot_id") if endpoints else None


def _start_supervisor(lab: Path, bench: Path, endpoints: Path | None, module: Sequence[str]) -> Process:
    (lab / HOST_ERROR).unlink(missing_ok=True)
    arguments = ["--bench", str(bench), *(("--endpoints", str(endpoints)) if endpoints else ())]
    process = start_detached([*module, "--lab", str(lab), *arguments], lab / "supervisor.log")
    _remember_or_end(lab, process, supervisor=process.document(), bench=places(lab, bench, endpoints), plant_boot=_plant_boot(endpoints))
    return process


def _await_host(lab: Path, supervisor: Process) -> BenchProcess:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if _process(lab, SUPERVISOR) == supervisor and (found := _answering(lab)):
            return found
        if not supervisor.alive:
            reap(supervisor.pid)
            line = read_note(lab / HOST_ERROR).get("error") or last_line(lab / "supervisor.log")
            raise HostError(f"the bench host did not start: {line}")
        time.sleep(_POLL_SECONDS)
    raise HostError(f"the bench host was not ready within {READY_SECONDS:g} s; see {lab / 'supervisor.log'}")


def _answering(lab: Path) -> BenchProcess | None:
    note, process = noted(lab, HOST), _process(lab, HOST)
    if process is None:
        return None
    try:
        answer = ask(str(note.get("socket", "")), "GET", "/alive", timeout=2.0)
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
        run = ask(found.socket, "GET", "/alive", timeout=5.0).get("run")
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
    latched = latched or bool(ask(found.socket, "GET", "/alive", timeout=5.0).get("latched"))
    if latched:
        ask(found.socket, "POST", "/unlatch", {"by": by, "reason": reason}, timeout=10.0)
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
    with _starter(lab):
        if "supervisor" in noted(lab, STARTED):
            _end_bench(lab)


def _end_bench(lab: Path) -> None:
    supervisor, was_latched = supervisor_of(lab), (lab / LATCHED).exists()
    clean = True
    if supervisor:
        clean = not supervisor.suspended and supervisor.ask_to_end(SHUTDOWN_SECONDS)
        reap(supervisor.pid)
    if clean and (host := host_of(lab)):
        clean = _end_orphan(lab, host)
    elif not supervisor and noted(lab, HOST):
        clean = False  # it was killed, and nobody has made the bench safe since
    if not clean:
        stopped = stop_bench(lab, reason="the bench did not shut down", by="shutdown")
        raise HostError(f"the bench did not shut down and was stopped: {'; '.join((*stopped.lines, stopped.verdict))}")
    (lab / SUPERVISOR).unlink(missing_ok=True)  # of one that was killed
    _forget(lab, "supervisor")
    if (lab / LATCHED).exists() and not was_latched:
        latch = read_note(lab / LATCHED)
        told = "; ".join(latch.get("safe_state") or ())
        raise HostError(f"the bench did not shut down cleanly and is latched: {latch.get('reason')}; since then: {told}")


def _end_orphan(lab: Path, host: Process) -> bool:
    """End a host whose supervisor was killed."""
    try:
        ask(str(noted(lab, HOST).get("socket", "")), "POST", "/shutdown", {}, timeout=SHUTDOWN_SECONDS)
    except AthanorError as error:
        logger.warning("%s", error)
        return False
    return host.wait(SHUTDOWN_SECONDS) and read_note(lab / HOST_ERROR).get("kind") != NOT_SAFE


# ---------------------------------------------------------------------- the plant


def ensure_plant(
    lab: Path,
    plant_file: Path,
    *,
    bench_sha256: str,
    seed: int,
    rate: float,
    formerly: Collection[str] = (),
    plant: Sequence[str] = _PLANT,
) -> dict[str, str]:
    """Adopt the lab's running plant, or start one, and wait until its devices answer.

    Args:
        lab: The lab folder.
        plant_file: What describes the simulated devices.
        bench_sha256: Hash of the bench file that they belong to.
        seed: Of chemistry and faults.
        rate: Lab seconds per wall second.
        formerly: Hashes of bench files in whose place this one was put: a plant outlives that, as a laboratory does.
        plant: Module and first arguments of the plant; another one in tests only.

    Returns:
        Port or url of each link.

    Raises:
        BadInput: The running plant has another bench file, seed or rate.
        Fault: The plant did not start; with its own last line.
    """
    lab = lab.absolute()
    wanted = {"bench_sha256": bench_sha256, "seed": seed, "rate": float(rate)}
    with _starter(lab):
        note = read_note(lab / PLANT / ENDPOINTS)
        if note and plant_lives(lab):
            if note.get("bench_sha256") in formerly and note["bench_sha256"] != bench_sha256:
                note = {**note, "bench_sha256": bench_sha256}
                write_note(lab / PLANT / ENDPOINTS, note)
            _compare(note, wanted)
        else:
            note = _start_plant(lab, plant_file.absolute(), wanted, plant)
    return {link: str(one.get("port", one.get("url"))) for link, one in note["endpoints"].items()}


def _compare(running: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for name, value in wanted.items():
        if running.get(name) != value:
            what = {"bench_sha256": "bench file (sha256)"}.get(name, name)
            raise BadInput(
                f"the lab's plant runs with {what} {_short(running.get(name))}; this command wants {_short(value)}; "
                "use another lab, or end the campaign that uses it"
            )


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)[:12]


def _start_plant(lab: Path, plant_file: Path, wanted: Mapping[str, Any], module: Sequence[str]) -> dict[str, Any]:
    folder = lab / PLANT
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ENDPOINTS).unlink(missing_ok=True)
    arguments = ["--plant", str(plant_file), "--folder", str(folder), "--bench-sha256", wanted["bench_sha256"]]
    numbers = ["--seed", str(wanted["seed"]), "--rate", repr(wanted["rate"])]
    process = start_detached([*module, *arguments, *numbers], lab / "plant.log")
    _remember_or_end(lab, process, plant=process.document())
    deadline = time.monotonic() + READY_SECONDS
    while not (note := read_note(folder / ENDPOINTS)):
        if not process.alive or time.monotonic() > deadline:
            process.kill()
            reap(process.pid)
            raise Fault(f"the simulated devices did not start: {last_line(lab / 'plant.log')}")
        time.sleep(_POLL_SECONDS)
    return note


def shutdown_plant(lab: Path) -> None:
    """End the plant that commands of this lab started, and await its death."""
    lab = lab.absolute()
    with _starter(lab):
        process = Process.parse(noted(lab, STARTED).get("plant"))
        if process is not None:
            process.terminate(PLANT_SECONDS)
            reap(process.pid)
            _forget(lab, "plant")


# ---------------------------------------------------------------------- what runs


def process_table(lab: Path) -> dict[str, dict[str, Any] | None]:
    """Return pid and start of each live process of a lab; None for one that does not run."""
    lab = lab.absolute()
    keeper = read_holder(lab / "prefect" / "keeper.lock")
    found = {
        "campaign": campaign_holder(lab),
        "host": host_of(lab),
        "supervisor": supervisor_of(lab),
        "plant": _plant(lab),
        "prefect": keeper.process if keeper else None,
    }
    return {name: {"pid": one.pid, "started": one.started} if one else None for name, one in found.items()}


def _plant(lab: Path) -> Process | None:
    pid = read_note(lab / PLANT / ENDPOINTS).get("pid")
    return Process.of(pid) if isinstance(pid, int) and plant_lives(lab) else None


def _process(lab: Path, note: str) -> Process | None:
    process = Process.parse(noted(lab, note))
    return process if process and process.alive else None


def _remember_or_end(lab: Path, process: Process, **entries: Any) -> None:
    """Note what was started; what no later command could find is ended at once."""
    try:
        _remember(lab, **entries)
    except OSError as error:
        process.terminate(PLANT_SECONDS)
        reap(process.pid)
        raise Fault(f"{lab / STARTED} cannot be written: {error.strerror}") from error


def _remember(lab: Path, **entries: Any) -> None:
    merged = {**noted(lab, STARTED), **entries}
    write_note(lab / STARTED, {name: entry for name, entry in merged.items() if entry is not None})


def _forget(lab: Path, *names: str) -> None:
    """Strike out what has ended; on a full disk the dead process's name stands there and means nothing."""
    try:
        _remember(lab, **dict.fromkeys(names))
    except OSError as error:
        logger.error("%s cannot be written: %s", lab / STARTED, error)
