"""Stopping a bench: ask its host, else kill host and supervisor and drive the safe state from here.

Needs no login, no Prefect, no model and no ledger; works with all of them gone.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from instruments.benchfile import load_bench
from instruments.host.asking import ask
from instruments.host.connect import connect
from instruments.host.identity import Process
from instruments.host.lastresort import LastResort, latch, line
from instruments.host.notes import HOST, STARTED, SUPERVISOR, read_note
from instruments.host.safestate import SafeAction
from orchestrator.errors import AthanorError, BadInput

logger = logging.getLogger(__name__)

ANSWER_SECONDS: Final = 8.0
"""Wall seconds that the host may take for its own safe state before it is killed."""


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
    lines += [_end(name, Process.parse(read_note(lab / file))) for name, file in (("supervisor", SUPERVISOR), ("host", HOST))]
    lines += drive_safe_state(lab, *bench_of(lab))
    latch(lab, reason=reason, by=by, lines=lines)
    return tuple(lines)


def _told(answer: Mapping[str, Any]) -> list[str]:
    match answer:
        case {"safe_state": [*actions]}:
            return [line(SafeAction(**one)) for one in actions]
    return []


def _end(name: str, process: Process | None) -> str:
    if process is None or not process.alive:
        return f"no {name} is alive"
    return f"{name} {process.pid} killed" if process.kill() else f"{name} {process.pid} DOES NOT DIE; its wires stay with it"


def bench_of(lab: Path) -> tuple[Path, Path | None]:
    """Return bench file and endpoints file of the bench that was last started in a lab.

    Raises:
        BadInput: None ever was.
    """
    for note in (read_note(lab / SUPERVISOR), read_note(lab / STARTED).get("bench", {})):
        match note:
            case {"bench": str(bench)}:
                return Path(bench), Path(note["endpoints"]) if "endpoints" in note else None
    raise BadInput(f"no bench was ever started in lab {lab}; there is nothing to stop")


def drive_safe_state(lab: Path, bench: Path, endpoints: Path | None = None, *, what: str = "stop") -> tuple[str, ...]:
    """Take the wires of a bench, drive its declared safe state in file order, and say in lines what became of it."""
    try:
        actions = LastResort.prepare(load_bench(bench), connect, lab=lab, what=what, endpoints=endpoints).drive()
    except AthanorError as error:
        return (f"the safe state was NOT driven: {error}",)
    return tuple(line(one) for one in actions)
