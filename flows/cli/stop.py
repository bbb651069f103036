"""`athanor stop`: the safe state, now. Needs no Prefect, no torch and no ledger."""

from pathlib import Path

from flows.console import console
from flows.plans.lab import find_lab
from instruments.lab_processes.stop import stop_bench
from orchestrator.errors import BadInput, Fault


def stop_lab(lab: Path | None, *, by: str, reason: str, bench: Path | None = None) -> None:
    """Drive the bench to its safe state and latch it; the last line says whether it is safe.

    Raises:
        BadInput: There is no lab here, or none in which a bench was started: nothing was driven.
        Fault: Something is not safe; names it.
    """
    try:
        found = find_lab(lab, here=Path.cwd())
    except BadInput as error:
        raise BadInput(f"nothing was stopped: {error}") from error
    stopped = stop_bench(found.path, reason=reason, by=by, bench=bench)
    for line in stopped.lines:
        console.print(line)
    if stopped.unsafe:
        raise Fault(stopped.verdict)
    console.print(stopped.verdict)
