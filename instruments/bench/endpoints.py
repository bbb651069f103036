"""Where a dry bench's wires end: what a running plant says in `endpoints.json`, put in the place of the bench file's."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from instruments.bench.file import BenchFile
from instruments.bench.spec import LinkSpec
from instruments.lab_processes.labtime import plant_clock
from instruments.lab_processes.state_files import folder_identity, read_state_file
from orchestrator.errors import BadInput

__all__ = ["at_plant", "plant_clock", "read_endpoints"]

_KEYS: Final = frozenset({"port", "url"})


def read_endpoints(path: Path) -> dict[str, Any]:
    """Read what a plant says of its wires; empty when there is none.

    Its ports are links in its own folder: where that was moved since, they are looked for in its new place.
    """
    document = read_state_file(path)
    folder, identity = document.get("folder"), {key: document.get(key) for key in ("device", "inode")}
    if folder is None or folder == str(path.parent.absolute()) or identity != folder_identity(path.parent):
        return document
    entries = document.get("endpoints", {})
    return {**document, "endpoints": {name: _moved(entry, Path(folder), path.parent.absolute()) for name, entry in entries.items()}}


def _moved(entry: Mapping[str, str], old: Path, new: Path) -> dict[str, str]:
    port = Path(entry.get("port", ""))
    return {**entry, "port": str(new / port.relative_to(old))} if port.is_relative_to(old) else dict(entry)


def _ending_at(link: LinkSpec, entry: Mapping[str, str]) -> LinkSpec:
    """Put a plant's wire in the place of a link; its serial line carries what a TCP connection would."""
    carried = {"kind": "serial", "url": None} if link.kind == "tcp" and "port" in entry else {}
    return link.evolve(**entry, **carried)


def at_plant(bench: BenchFile, document: Mapping[str, Any]) -> BenchFile:
    """Return the bench with each link's port or url from a plant's document; its hash stays that of the file.

    Raises:
        BadInput: A link has no entry: a dry run never reads a live endpoint.
    """
    entries = document.get("endpoints", {})
    links = {}
    for name, link in bench.spec.links.items():
        if not isinstance(entries.get(name), dict):
            raise BadInput(f"link {name} has no entry in the plant's endpoints; they name: {', '.join(entries) or 'nothing'}")
        links[name] = _ending_at(link, {key: value for key, value in entries[name].items() if key in _KEYS})
    return replace(bench, spec=bench.spec.model_copy(update={"links": links}))  # each link was checked when it was made
