"""Stopping a bench: ask its host, else kill host and supervisor and drive the safe state without them.

Needs no login, no Prefect, no model and no ledger; works with all of them gone. This module is light, so that the
question is put at once; the drivers are loaded by a process of their own, and only when the host did not obey.
"""

import fcntl
import logging
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from instruments.lab_processes.bench_copies import bench_files, noted_endpoints
from instruments.lab_processes.http import ask_host, parse_object
from instruments.lab_processes.locks import BENCH_HOST, read_holder
from instruments.lab_processes.process_identity import Process
from instruments.lab_processes.state_files import (
    HOST,
    LAB,
    LATCHED,
    PLANT,
    STARTED,
    SUPERVISOR,
    is_copy,
    read_lab_state,
    read_state_file,
    write_latch,
)
from orchestrator.errors import AthanorError, BadInput

logger = logging.getLogger(__name__)

_ANSWER_SECONDS: Final = 8.0
"""Wall seconds that the host may take for its own safe state before it is killed."""
_COPY: Final = (
    "the copy of another lab: `athanor stop --lab DIR` stops that one; "
    "where that one is gone, `athanor stop --bench FILE` drives a bench by its file"
)
_DRIVE_SECONDS: Final = 120.0
"""Wall seconds for opening all wires and two tries of each action by two bench files, with every wire hanging."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """What became of a stop."""

    lines: tuple[str, ...]
    """One for each thing that was done, and for each that could not be."""
    unsafe: tuple[str, ...] = ()
    """What is not safe; empty when everything was done."""

    @property
    def verdict(self) -> str:
        """The one line that matters."""
        if self.unsafe:
            return f"NOT SAFE: {'; '.join(self.unsafe)}"
        return "the bench is safe and latched; `athanor resume --by NAME --reason TEXT` unlatches it"


def stop_bench(lab: Path, *, reason: str, by: str, bench: Path | None = None, answer_within: float = _ANSWER_SECONDS) -> Stopped:
    """Drive a lab's bench to its safe state and latch it.

    Args:
        lab: The lab folder.
        reason: Why; stands in the latch.
        by: Who.
        bench: The bench file to go by when the host does not obey; None for those that the lab has noted.
        answer_within: Wall seconds that the host may take.

    Raises:
        BadInput: No bench was ever started in this lab.
    """
    lab = lab.absolute()
    if is_copy(lab) and (bench is None or read_state_file(lab / LAB).get("kind") == "dry"):
        return Stopped((), (f"nothing was stopped or driven from {lab}, {_COPY}",))
    latched = (lab / LATCHED).exists()
    obeyed, lines = _ask_host(lab, reason, by, answer_within)
    unsafe: tuple[str, ...] = ()
    if not obeyed:
        files = (bench.absolute(),) if bench else bench_files(lab)
        if not files:
            raise BadInput(f"no bench was ever started in lab {lab}: nothing was driven; a bench file can be named with --bench FILE")
        write_latch(lab, reason=reason, by=by)  # before anybody is ended: whoever revives a bench looks for it (`revive_bench`)
        alive = [(name, _end(name, victim)) for name, victim in (("supervisor", supervisor_of(lab)), ("host", host_of(lab)))]
        lines += [line for _, (line, _) in alive]  # in this order: the supervisor would start another host
        driven = _drive(lab, files)
        lines += driven.lines
        unsafe = driven.unsafe + tuple(line for _, (line, dead) in alive if not dead)
    write_latch(lab, reason=reason, by=by, lines=(*lines, *unsafe), again=not (obeyed or latched))
    if not (lab / LATCHED).exists():
        unsafe += (f"{lab / LATCHED} cannot be written: the bench is not latched, a run may begin on it",)
    if not (obeyed or unsafe):
        _forget_dead(lab)
    return Stopped(tuple(lines), unsafe)


def _ask_host(lab: Path, reason: str, by: str, within: float) -> tuple[bool, list[str]]:
    """Let the host stop the bench; return whether all of it is safe now, and what happened."""
    note = read_lab_state(lab, HOST)
    process = Process.living(note)
    if process is None or process.suspended:
        return False, []
    try:
        answer = ask_host(str(note.get("socket", "")), "POST", "/stop", {"reason": reason, "by": by}, timeout=within)
    except AthanorError as error:
        return False, [f"host {process.pid} did not stop the bench: {error}"]
    actions = answer.get("safe_state") or []
    if actions and all(one["done"] for one in actions):
        return True, [f"host {process.pid} drove the safe state and latched the bench", *map(action_line, actions)]
    missed = [action_line(one) for one in actions if not one["done"]] or ["it drove no safe action"]
    return False, [f"host {process.pid} did not make the bench safe: {one}" for one in missed]


def action_line(action: dict[str, Any]) -> str:
    """Say in one line what became of a safe action."""
    became = "done" if action["done"] else f"NOT DONE: {action['reason']}"
    return f"{_name(action)}: {became}"


def _name(action: dict[str, Any]) -> str:
    return f"{action['instrument']}.{action['action']}"


def _end(name: str, process: Process | None) -> tuple[str, bool]:
    """Kill a process; return what became of it, and whether none is alive now."""
    if process is None:
        return f"no {name} is alive", True
    try:
        dead = process.kill()
    except PermissionError:
        return f"{name} {process.pid} belongs to another user and CANNOT BE ENDED; its wires stay with it", False
    return (f"{name} {process.pid} killed", True) if dead else (f"{name} {process.pid} DOES NOT DIE; its wires stay with it", False)


def _forget_dead(lab: Path) -> None:
    """Take away the notes of killed processes: what they have left behind has been made safe."""
    for name in (SUPERVISOR, HOST):
        (lab / name).unlink(missing_ok=True)


def supervisor_of(lab: Path) -> Process | None:
    """Return a lab's live supervisor, also one that has just been started."""
    notes = (read_lab_state(lab, SUPERVISOR), read_lab_state(lab, STARTED).get("supervisor"))
    return next((process for note in notes if (process := Process.living(note))), None)


def host_of(lab: Path) -> Process | None:
    """Return a lab's live bench host, also one that is not ready yet."""
    if process := Process.living(read_lab_state(lab, HOST)):
        return process
    holder = read_holder(lab / "host.lock")
    return holder.process if holder and holder.what == BENCH_HOST else None  # a command may read its journal just now


def plant_lives(lab: Path) -> bool:
    """Say whether the simulated devices of a dry lab run."""
    try:
        with (lab / PLANT / "plant.lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (FileNotFoundError, PermissionError):  # a colleague's lab may be looked at, not asked
        return False
    return False


def _drive(lab: Path, files: Sequence[Path]) -> Stopped:
    """Drive the safe state without a host."""
    endpoints = noted_endpoints(lab)
    if endpoints is not None and not endpoints.exists() and not plant_lives(lab):
        return Stopped(("the simulated devices of this dry lab have ended: there is nothing left to make safe",))
    try:
        return stopped_from(drive_safe_state(lab, files, endpoints))
    except (OSError, subprocess.TimeoutExpired) as error:
        return stopped_from({"refused": str(error)})


def stopped_from(document: dict[str, Any]) -> Stopped:
    """Read what became of a safe state that was driven without a host."""
    actions = document.get("actions", [])
    lines = (*document.get("notes", []), *map(action_line, actions))
    if actions:
        return Stopped(lines, tuple(_name(one) for one in actions if not one["done"]))
    return Stopped(lines, (f"the safe state was NOT driven: {document.get('refused', 'its process left no word')}",))


def drive_safe_state(lab: Path, files: Sequence[Path], endpoints: Path | None = None) -> dict[str, Any]:
    """Take the wires of a bench, drive its declared safe state in file order, and return what became of it.

    Args:
        lab: The lab folder.
        files: The bench files to go by, the best first.
        endpoints: A plant's `endpoints.json`; None on a live bench.
    """
    command = [sys.executable, "-P", "-m", "instruments.supervisor.safe_state_without_host", "--lab", str(lab)]
    command += [part for file in files for part in ("--bench", str(file))]
    if endpoints is not None:
        command += ["--endpoints", str(endpoints)]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_DRIVE_SECONDS,
        start_new_session=True,  # a Ctrl-C here does not end it
        check=False,
    )
    return parse_object(done.stdout) or {"refused": (done.stderr.splitlines() or ["no word"])[-1]}
