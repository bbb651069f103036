"""Where a dry bench's wires end: what a running plant says in `endpoints.json`, put in the place of the bench file's."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from instruments.bench.called import dry_calls
from instruments.bench.file import BenchFile
from instruments.bench.lanes import lane_of
from instruments.bench.link_spec import LinkSpec
from instruments.lab_processes.labtime import plant_clock
from instruments.lab_processes.state_files import folder_identity, read_state_file
from orchestrator.errors import BadInput

__all__ = ["at_plant", "plant_clock", "read_endpoints"]

CALLS: Final = "calls"
"""How a plant has an instrument asked that has no wire of its own."""
_PTY_FRAME: Final = "8N1"
"""What a pseudo-terminal carries, whatever it is asked for."""
_KEYS: Final = frozenset({"port", "url"})
_FILES: Final = frozenset({"file", "user_certificate", "user_key"})
"""What names a file in a table of security."""


def read_endpoints(path: Path) -> dict[str, Any]:
    """Read what a plant says of its wires; empty when there is none.

    Its ports are links in its own folder: where that was moved since, they are looked for in its new place. The files of
    its security are named by their way from there.
    """
    document = _with_whole_paths(read_state_file(path), path.parent.absolute())
    folder, identity = document.get("folder"), {key: document.get(key) for key in ("device", "inode")}
    if folder is None or folder == str(path.parent.absolute()) or identity != folder_identity(path.parent):
        return document
    entries = document.get("endpoints", {})
    return {**document, "endpoints": {name: _moved(entry, Path(folder), path.parent.absolute()) for name, entry in entries.items()}}


def secured_links(bench: BenchFile) -> dict[str, dict[str, Any]]:
    """Return what the bench file says of its secured links and the simulated devices are to ask as well: policy, mode, kind of user."""
    asked = {"policy", "mode", "user", "user_certificate"}
    return {name: link.security.model_dump(include=asked) for name, link in bench.spec.links.items() if link.security is not None}


def _with_whole_paths(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    def whole(value: Any) -> Any:
        return {key: str(folder / one) if key in _FILES else whole(one) for key, one in value.items()} if isinstance(value, dict) else value

    entries = document.get("endpoints", {})
    secured = {name: {**entry, "security": whole(entry["security"])} for name, entry in entries.items() if "security" in entry}
    return {**document, "endpoints": {**entries, **secured}} if secured else document


def _moved(entry: Mapping[str, Any], old: Path, new: Path) -> dict[str, Any]:
    port = Path(entry.get("port", ""))
    return {**entry, "port": str(new / port.relative_to(old))} if port.is_relative_to(old) else dict(entry)


def _ending_at(link: LinkSpec, entry: Mapping[str, Any]) -> LinkSpec:
    """Put a plant's wire in the place of a link; its serial line carries what other wires would.

    That line is a pseudo-terminal: it has no parity, and refuses to be opened with any a second time (glibc's tcsetattr
    says EINVAL where the kernel has ignored it).
    """
    if link.kind != "serial" and "port" in entry:
        return LinkSpec(kind="serial", port=entry["port"])
    if "port" in entry:
        return link.evolve(**{**entry, "frame": _PTY_FRAME})
    return link.evolve(**entry)


def at_plant(bench: BenchFile, document: Mapping[str, Any]) -> BenchFile:
    """Return the bench with each link's port or url, and its security, from a plant's document; its hash stays that of the file.

    Instruments that the plant has asked by the calls of their driver get the driver of a stand-in.

    Raises:
        BadInput: A link has no entry: a dry run never reads a live endpoint. Or a call that it must not carry out.
    """
    entries = document.get("endpoints", {})
    links, used = {}, {one.link for one in bench.spec.instruments.values()}
    for name, link in bench.spec.links.items():
        if name not in used and name not in entries:
            continue  # nobody opens it
        if not isinstance(entries.get(name), dict):
            raise BadInput(f"link {name} has no entry in the plant's endpoints; they name: {', '.join(entries) or 'nothing'}")
        replaced = {key: value for key, value in entries[name].items() if key in _KEYS}
        links[name] = _ending_at(link, {**replaced, "security": entries[name].get("security")})
    lanes = {name: lane_of(bench.spec, name) for name in bench.spec.instruments}
    by_calls = frozenset(name for name, lane in lanes.items() if entries.get(lane, {}).get("asked") == CALLS)
    links |= {lanes[name]: LinkSpec(kind="serial", port=entries[lanes[name]]["port"]) for name in by_calls}
    instruments = {
        name: one.model_copy(update={"link": lanes[name]}) if name in by_calls else one for name, one in bench.spec.instruments.items()
    }
    spec = bench.spec.model_copy(update={"links": links, "instruments": instruments})  # each was checked when it was made
    return dry_calls(replace(bench, spec=spec, by_calls=by_calls))
