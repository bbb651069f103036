"""Where a dry bench's wires end: what a running plant says in `endpoints.json`, put in the place of the bench file's."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from instruments.benchfile import BenchFile
from instruments.host.labtime import plant_clock
from orchestrator.errors import BadInput

__all__ = ["aim", "plant_clock"]

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
