"""Stopping a bench: ask its host, else kill host and supervisor and drive the safe state without them.

Needs no login, no Prefect, no model and no ledger; works with all of them gone. This module is light, so that the
question is put at once; the drivers are loaded by a process of their own, and only when the host did not obey.
"""

import logging
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from instruments.host.asking import ask
from instruments.host.identity import Process
from instruments.host.locks import read_holder
from instruments.host.notes import HOST, STARTED, SUPERVISOR, read_note, write_latch
from orchestrator.errors import AthanorError, BadInput

logger = logging.getLogger(__name__)

ANSWER_SECONDS: Final = 8.0
"""Wall seconds that the host may take for its own safe state before it is killed."""
DRIVE_SECONDS: Final = 60.0
"""Wall seconds for opening all wires and two tries of each action, with every wire hanging."""


def stop_bench(lab: Path, *, reason: str, by: str, answer_within: float = ANSWER_SECONDS) -> tuple[str, ...]:
    """Drive a lab's bench to its safe state and latch it.

    Args:
        lab: The lab folder.
        reason: Why; stands in the latch.
        by: Who.
        answer_within: Wall seconds that the host may take.

    Returns:
        One line for each thing that was done, and for each that could not be.

    Raises:
        BadInput: No bench was ever started in this lab.
    """
    lab = lab.absolute()
    note = read_note(lab / HOST)
    process = Process.parse(note)
    lines: list[str] = []
    if process and process.alive and not process.suspended:
        try:
            answer = ask(str(note.get("socket", "")), "POST", "/stop", {"reason": reason, "by": by}, timeout=answer_within)
            return (f"host {process.pid} drove the safe state and latched the bench", *_told(answer))
        except AthanorError as error:
            lines.append(f"host {process.pid} did not stop the bench: {error}")
    bench, endpoints = bench_of(lab)
    for name, victim in (("supervisor", supervisor_of(lab)), ("host", host_of(lab))):  # in this order: it would start another
        lines.append(_end(name, victim))
    lines += drive_safe_state(lab, bench, endpoints)
    write_latch(lab, reason=reason, by=by, lines=lines)
    return tuple(lines)


def _told(answer: Mapping[str, Any]) -> list[str]:
    actions = answer.get("safe_state", [])
    return [f"{one['instrument']}.{one['action']}: {_became(one)}" for one in actions]


def _became(action: Mapping[str, Any]) -> str:
    return "done" if action["done"] else f"NOT DONE: {action['reason']}"


def _end(name: str, process: Process | None) -> str:
    if process is None:
        return f"no {name} is alive"
    return f"{name} {process.pid} killed" if process.kill() else f"{name} {process.pid} DOES NOT DIE; its wires stay with it"


def supervisor_of(lab: Path) -> Process | None:
    """Return a lab's live supervisor, also one that has just been started."""
    notes = (read_note(lab / SUPERVISOR), read_note(lab / STARTED).get("supervisor"))
    return next((process for note in notes if (process := Process.parse(note)) and process.alive), None)


def host_of(lab: Path) -> Process | None:
    """Return a lab's live bench host, also one that is not ready yet."""
    process = Process.parse(read_note(lab / HOST))
    if process and process.alive:
        return process
    holder = read_holder(lab / "host.lock")
    return holder.process if holder else None


def bench_of(lab: Path) -> tuple[Path, Path | None]:
    """Return bench file and endpoints file of the bench that was last started in a lab.

    Raises:
        BadInput: None ever was.
    """
    for note in (read_note(lab / SUPERVISOR), read_note(lab / STARTED).get("bench", {})):
        match note:
            case {"bench": str(bench)}:
                return Path(bench), Path(note["endpoints"]) if "endpoints" in note else None
    raise BadInput(f"no bench was ever started in lab {lab}")


def drive_safe_state(lab: Path, bench: Path, endpoints: Path | None = None) -> tuple[str, ...]:
    """Take the wires of a bench, drive its declared safe state in file order, and say in lines what became of it."""
    command = [sys.executable, "-P", "-m", "instruments.host.lastresort", "--lab", str(lab), "--bench", str(bench)]
    if endpoints is not None:
        command += ["--endpoints", str(endpoints)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DRIVE_SECONDS,
            start_new_session=True,  # a Ctrl-C here does not end it
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return (f"the safe state was NOT driven: {error}",)
    lines = tuple(done.stdout.splitlines())
    return lines or (f"the safe state was NOT driven: {(done.stderr.splitlines() or ['no word'])[-1]}",)
