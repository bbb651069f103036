"""What an approval binds beside configuration and steps, in words that a lapsed approval can be explained with.

Each file stands with its whole sha256, so that nothing changes unseen; what people know by name (stocks with their lots,
constants, limits, sections of a file) stands beside it. Pure.
"""

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any, Final

from pydantic import BaseModel

from flows.plans.stocks import stock_entries
from instruments.bench.call_spec import CallSpec
from instruments.bench.file import BenchFile
from instruments.bench.link_spec import LinkSpec
from instruments.bench.spec import InstrumentSpec
from orchestrator.domain.campaign import CampaignFile
from orchestrator.domain.values import digest
from orchestrator.plugins import Plugin, is_file

FILE: Final = " file"
"""Ends the name of an entry that holds a whole file's sha256."""
DIGEST: Final = "sha256:"
"""Begins a value that says nothing to people."""
_SHOWN: Final = 8
"""Changes named in a reason; `athanor amend` has shown all of them."""
_DIGITS: Final = 16
"""Of a section's digest: it explains, the file's own binds."""
_LATER_KEYS: Final[Mapping[type[BaseModel], tuple[str, ...]]] = {
    InstrumentSpec: ("functions", "calls", "object", "channels"),
    CallSpec: ("set", "value", "readback", "within", "method", "safe"),
    LinkSpec: ("security",),
}
"""Keys of a bench file that came after approvals were bound: at its default each is left out, and what a file without them binds
stays as it was."""
_BENCH_SECTIONS: Final = {
    "bench": "bench settings",
    "links": "links",
    "instruments": "instruments",
    "procedure": "procedure",
    "measured": "measured configuration",
    "infeasible": "infeasible rules",
    "interlocks": "interlocks",
    "hazards": "hazards",
    "park": "parking",
}
_CAMPAIGN_SECTIONS: Final = {
    "parameters": "parameters",
    "constraints": "constraints",
    "targets": "targets",
    "policy": "policy",
    "surrogate": "surrogate",
    "review": "review rules",
}


def drivers_binding() -> dict[str, str]:
    """Return the version of all that turns steps into bytes."""
    return {"drivers": f"athanor {version('athanor')}"}


def table_binding(sha256: str) -> dict[str, str]:
    """Return what is bound of a recorded table."""
    return {f"table{FILE}": f"{DIGEST}{sha256}"}


def plugins_binding(found: Iterable[Plugin]) -> dict[str, str]:
    """Return what is bound of plug-ins: a file by its contents, a package by its version and sources."""
    return {one.what: f"{DIGEST}{one.sha256}" if is_file(one.name) else one.identity for one in found}


def bench_binding(bench: BenchFile, plugins: Iterable[Plugin] = ()) -> dict[str, str]:
    """Return what is bound of a bench file and of the plug-ins that it names."""
    spec = bench.spec
    constants = {f"constant {name}": str(value) for name, value in spec.constants.items()}
    limits = {
        f"limit {name}.{argument}": f"{limit.min} to {limit.max}"
        for name, one in spec.instruments.items()
        for argument, limit in one.limits.items()
    }
    document = spec.model_dump(mode="json")
    for name, link in spec.links.items():
        _leave_out(document["links"][name], link, LinkSpec)
    for name, instrument in spec.instruments.items():
        written = document["instruments"][name]
        written.pop("limits")  # each is named by itself
        for call, one in instrument.calls.items():
            _leave_out(written["calls"][call], one, CallSpec)
        _leave_out(written, instrument, InstrumentSpec)
    sections = _sections(document, _BENCH_SECTIONS)
    whole = {f"bench{FILE}": f"{DIGEST}{bench.sha256}"}
    return {**whole, **stock_entries(spec.stocks), **constants, **limits, **sections, **plugins_binding(plugins)}


def _leave_out(written: dict[str, Any], spec: BaseModel, kind: type[BaseModel]) -> None:
    for key in _LATER_KEYS[kind]:
        if getattr(spec, key) == kind.model_fields[key].get_default(call_default_factory=True):
            written.pop(key)


def campaign_binding(file: CampaignFile, begun_from: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """Return what is bound of a campaign file, of the other files that it names, and of what its surrogate begins from (name -> hash)."""
    document = file.spec.model_dump(mode="json")
    for target in document["targets"]:
        if target["from"] == "run":  # as before there was anything else: what was approved then still holds
            del target["from"], target["due"]
    general = {f"campaign: {name}": str(value) for name, value in document["campaign"].items() if value is not None}
    hashes = {"campaign": file.sha256, "candidates": file.candidates_text and digest(file.candidates_text), **(begun_from or {})}
    files = {f"{name}{FILE}": f"{DIGEST}{value}" for name, value in hashes.items() if value}
    return {**files, **general, **_sections(document, _CAMPAIGN_SECTIONS)}


def _sections(document: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    return {name: f"{DIGEST}{digest(document[section])[:_DIGITS]}" for section, name in names.items()}


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> str | None:
    """Say what has changed, in the user's terms; None where nothing has.

    A file is named only where none of its named parts has changed: then it was a comment, or the order of its lines.
    """
    changed = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    told = [name for name in changed if not name.endswith(FILE)] or changed
    lines = [_told(name, old.get(name), new.get(name)) for name in told[:_SHOWN]]
    more = [f"and {len(told) - _SHOWN} more"] if len(told) > _SHOWN else []
    return "; ".join([*lines, *more]) or None


def _told(name: str, old: str | None, new: str | None) -> str:
    if any(value is not None and value.startswith(DIGEST) for value in (old, new)):
        return f"{name} {'added' if old is None else 'removed' if new is None else 'changed'}"
    return f"{name} {'none' if old is None else old} -> {'none' if new is None else new}"
