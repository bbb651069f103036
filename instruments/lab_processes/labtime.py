"""The time of a lab, as any process of the machine can tell it: real time, or that of the running plant."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from instruments.lab_processes.state_files import read_state_file
from orchestrator.clock import Clock, LiveClock, PlantClock
from orchestrator.errors import BadInput


def plant_clock(document: Mapping[str, Any]) -> Clock:
    """Return the lab time of a plant.

    Raises:
        BadInput: The document names no t0 or rate.
    """
    match document:
        case {"t0_monotonic": float() | int() as t0, "rate": float() | int() as rate}:
            return PlantClock(float(t0), float(rate))
    raise BadInput(f"a plant's endpoints need t0_monotonic and rate; they have: {', '.join(document) or 'nothing'}")


def lab_clock(endpoints: Path | None) -> Clock:
    """Return a lab's clock: real time for a live lab, the plant's for a dry one (BadInput when it has none)."""
    if endpoints is None:
        return LiveClock()
    document = read_state_file(endpoints)
    if not document:
        raise BadInput(f"no plant has run in this lab: {endpoints} is not there or cannot be read")
    return plant_clock(document)
