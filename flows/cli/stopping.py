"""`athanor stop`: the safe state, now. Needs no Prefect, no torch and no ledger."""

from pathlib import Path

from flows.cli.output import console
from flows.lab import find_lab
from instruments.host.stop import stop_bench


def stop_lab(lab: Path | None, *, by: str, reason: str) -> None:
    """Drive the bench to its safe state and latch it."""
    found = find_lab(lab, here=Path.cwd())
    for line in stop_bench(found.path, reason=reason, by=by):
        console.print(line)
    console.print("the bench is latched; `athanor resume --by NAME --reason TEXT` unlatches it")
