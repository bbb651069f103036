"""Where a dry bench's wires end: what a running plant says in `endpoints.json`, put in the place of the bench file's."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from instruments.benchfile import BenchFile
from instruments.host.notes import read_note
from orchestrator.clock import Clock, LiveClock, PlantClock
from orchestrator.errors import BadInput

_KEYS: Final = frozenset({"port", "url"})


def aim(bench: BenchFile, document: Mapping[str, Any]) -> BenchFile:
    """Return the bench with each link's port or url from a plant's document; its hash stays that of the file.

    Raises:
        BadInput: A link has no entry: a dry run never reads a live endpoint.
    """
    entries = document.get("endpoints", {})
    links = {}
    for name, link in bench.spec.links.items():
        if not isinstance(entries.get(name), dict):
            raise BadInput(f"link {name} has no entry in the plant's endpoints; they name: {', '.join(entries) or 'nothing'}")
        links[name] = link.evolve(**{key: value for key, value in entries[name].items() if key in _KEYS})
    return replace(bench, spec=bench.spec.model_copy(update={"links": links}))  # each link was checked when it was made


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
    return LiveClock() if endpoints is None else plant_clock(_read(endpoints))


def lab_rate(endpoints: Path | None) -> float:
    """Return lab seconds per wall second: 1 in a live lab, and in a dry one whose plant never ran."""
    return float(read_note(endpoints).get("rate", 1.0)) if endpoints else 1.0


def _read(endpoints: Path) -> dict[str, Any]:
    document = read_note(endpoints)
    if not document:
        raise BadInput(f"no plant has run in this lab: {endpoints} is not there or cannot be read")
    return document
