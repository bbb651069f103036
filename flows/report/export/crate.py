"""An export as a research object: RO-Crate 1.1 with the Process Run Crate profile and W3C PROV.

Each attempt that a bench had is a CreateAction and a prov:Activity. Its `instrument` is Athanor, since the profile takes
software there alone; the bench's instruments are what the activity used (prov:used).
[https://www.researchobject.org/ro-crate/specification/1.1/, https://w3id.org/ro/wfrun/process/0.5]
"""

import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from flows.report.export.crate_runs import ATHANOR, SOFTWARE, agents_of, instruments_of, persons_of, run_entities
from flows.report.export.folder import NOTE
from flows.report.export.source import Source, wall

METADATA: Final = "ro-crate-metadata.json"
VERSION: Final = "1.1"
"""Of RO-Crate: the library writes a newer one where none is named."""
PROFILE: Final = "https://w3id.org/ro/wfrun/process/0.5"
NO_LICENCE: Final = "No licence was stated at the export: ask the authors before you use it."
_REPORT: Final = "report.html"
_FORMATS: Final = {
    "csv": "text/csv",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
    "toml": "application/toml",
    "html": "text/html",
}
_NAMES: Final = {"campaign": "campaign.toml", "bench": "bench.toml", "candidates": "candidates.csv"}
"""Files of a campaign's snapshot that are its own; recorded tables have licences of their own."""


def with_crate(source: Source, files: Mapping[str, bytes], report: str, licence: str | None) -> dict[str, bytes]:
    """Return an export's files with the campaign's own files, its report and the crate's metadata beside.

    Args:
        source: The campaign.
        files: Contents by name.
        report: The campaign's report, HTML.
        licence: An address or a text; None where nothing is said.
    """
    snapshot = source.campaign.snapshot.get("files", {})
    own = {f"files/{name}": snapshot[kind].encode() for kind, name in _NAMES.items() if kind in snapshot}
    everything = {**files, **own, _REPORT: report.encode()}
    document = _crate(source, everything, licence).metadata.generate()
    return {**everything, METADATA: (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()}


def _crate(source: Source, files: Mapping[str, bytes], licence: str | None) -> ROCrate:
    crate = ROCrate(version=VERSION)
    for name, content in files.items():
        if not name.startswith("raw/"):
            crate.add_file(dest_path=name, properties=_file(name, content, source))
    if any(name.startswith("raw/") for name in files):
        crate.add_dataset(dest_path="raw/", properties={"name": "What the instruments sent, a file per sha256", "@type": "Dataset"})
    crate.add_file(dest_path=NOTE, properties=_described("The ledger's head and the hash of each file", NOTE))
    actions: list[str] = []
    for entity in (*_software(), *instruments_of(source), *agents_of(source), *run_entities(source)):
        crate.add(ContextEntity(crate, entity["@id"], {key: _single(value) for key, value in entity.items() if key != "@id"}))
        if "CreateAction" in entity["@type"]:
            actions.append(entity["@id"])
    _root(crate, source, licence, actions)
    return crate


def _single(value: Any) -> Any:
    """Return a list of one as that one: RO-Crate 1.1 is compacted."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _file(name: str, content: bytes, source: Source) -> dict[str, Any]:
    told = {**_described(f"{name} of campaign {source.campaign.name}", name), "contentSize": str(len(content))}
    return told | {"@type": ["File", "prov:Entity"]}


def _described(what: str, name: str) -> dict[str, Any]:
    return {"name": what, "encodingFormat": _FORMATS[name.rpartition(".")[2]]}


def _software() -> tuple[dict[str, Any], ...]:
    athanor = {"@id": ATHANOR, "@type": SOFTWARE, "name": "Athanor"}
    profile = {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": PROFILE.rpartition("/")[2]}
    return {**athanor, "softwareVersion": version("athanor")}, profile


def _root(crate: ROCrate, source: Source, licence: str | None, actions: list[str]) -> None:
    name, (seq, head) = source.campaign.name, source.head
    origin = "Simulated" if source.simulated else "Measured"
    root = crate.root_dataset
    root["name"] = f"Campaign {name}"
    root["description"] = f"{origin} experiments of campaign {name}: {len(source.experiments)}, with all that was proposed and decided."
    root["datePublished"] = wall(source.events[-1]).date().isoformat()
    root["license"] = _licence(crate, licence)
    root["conformsTo"] = {"@id": PROFILE}
    root["mentions"] = _single([{"@id": action} for action in actions])
    if people := [{"@id": one["@id"]} for one in persons_of(source)]:
        root["author"] = _single(people)
    told = {"@type": "PropertyValue", "name": f"sha256 of the ledger's event {seq}", "value": head}
    root["identifier"] = {"@id": crate.add(ContextEntity(crate, "#ledger-head", told)).id}


def _licence(crate: ROCrate, licence: str | None) -> str | dict[str, str]:
    if licence is None or "://" not in licence:
        return licence or NO_LICENCE
    crate.add(ContextEntity(crate, licence, {"@type": "CreativeWork", "name": licence, "description": f"Licence of this data: {licence}"}))
    return {"@id": licence}
