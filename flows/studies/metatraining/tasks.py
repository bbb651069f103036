"""Reading tasks from where they are: ledgers, simulated families, tables; still in the source's own names and units."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from flows.plans.lab import open_lab
from flows.plans.ledger import open_store
from flows.plans.twins.bound import bound_twin
from flows.studies.family import SimulatedFamily, find_family
from flows.studies.metatraining.spec import MetaFile, SourceSpec
from flows.studies.twins.imagined import imagined
from instruments.bench.file import load_bench
from models.tasks import Fidelity
from orchestrator.domain.campaign import CampaignFile, parse_campaign
from orchestrator.domain.records import CampaignRecord
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.history import History, observations
from orchestrator.ports import Observation
from orchestrator.tablefile import Row, read_table

ALL: Final = "*"
"""Stands for every campaign of a lab."""


@dataclass(frozen=True, slots=True)
class RawTask:
    """One task in its source's own terms."""

    name: str
    source: SourceSpec
    fidelity: Fidelity
    rows: tuple[Observation, ...]
    group: str | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    """Own column or target -> unit, where the source says so."""
    parameters: tuple[str, ...] | None = None
    """Names of what was varied, where the source says so: none of them may be overlooked."""
    described: Mapping[str, float | str] = field(default_factory=dict)
    """What the source itself knows about the task."""
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Own categorical -> what it might have been, where the source says so, whether it was tried or not."""

    @property
    def columns(self) -> frozenset[str]:
        """Own columns that a configuration has."""
        return frozenset(self.rows[0].configuration) if self.rows else frozenset()

    @property
    def known(self) -> Mapping[str, float | str]:
        """What is known about the task: what the file says, else what the source knows."""
        return {**self.described, **self.source.descriptors.get(self.name, {})}

    @property
    def label(self) -> str:
        """What a message calls it."""
        return f"source {self.source.label}, task {self.name}"


def read_tasks(file: MetaFile, families: Mapping[str, SimulatedFamily]) -> tuple[RawTask, ...]:
    """Read all tasks of all sources.

    Args:
        file: Names the sources.
        families: Name -> simulated family.

    Raises:
        BadInput: A source cannot be read, or two tasks have one name.
    """
    found = tuple(task for source in file.spec.sources for task in _read(file, source, families))
    names = [task.name for task in found]
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadInput(f"{file.path}: task {twice[0]} comes from two sources; rename a file, or leave one out by `without`")
    return found


def _read(file: MetaFile, source: SourceSpec, families: Mapping[str, SimulatedFamily]) -> tuple[RawTask, ...]:
    match source.kind:
        case "campaigns":
            found = tuple(_campaigns(file, source))
        case "family":
            found = tuple(_simulated(file, source, families))
        case "twin":
            found = tuple(_imagined(file, source))
        case "files":
            found = tuple(_tables(file, source))
    known = [task.name for task in found]
    declared = source.group if isinstance(source.group, dict) else {}
    for name in (*(source.only or ()), *source.without, *source.descriptors, *declared):
        if name not in known:
            raise BadInput(f"{file.path}: source {source.label} has no task {name!r}; it has {', '.join(known[:16])}")
    wanted = tuple(task for task in found if source.takes(task.name))
    if not wanted:
        raise BadInput(f"{file.path}: source {source.label}: no task is left")
    return wanted


def _campaigns(file: MetaFile, source: SourceSpec) -> Iterator[RawTask]:
    """Read what was measured, at the measured configurations."""
    lab = open_lab(file.path.parent / (source.lab or ""))
    fidelity: Fidelity = "measured" if lab.kind == "live" else "simulated"
    if source.fidelity == "measured" and fidelity == "simulated":
        raise BadInput(f"{file.path}: source {source.label}: lab {lab.path} is dry; it cannot count as measured")
    with open_store(lab, read_only=True) as store:
        records = {record.name: record for record in store.campaigns()}
        for name in records if source.campaigns == (ALL,) else source.campaigns or ():
            if name not in records:
                raise BadInput(f"{file.path}: lab {lab.path} has no campaign {name!r}; it has {', '.join(records) or 'none'}")
            rows = observations(History.of(store.changes(name)))
            yield _campaign_task(source, records[name], rows, source.fidelity or fidelity)


def _campaign_task(source: SourceSpec, record: CampaignRecord, rows: tuple[Observation, ...], fidelity: Fidelity) -> RawTask:
    spec = _file_of(record).spec
    space = SearchSpace(parameters=spec.parameters)
    units = space.units | {target.name: target.unit for target in spec.targets}
    names = tuple(parameter.name for parameter in spec.parameters)
    categories = {column: parameter.names for column, parameter in space.owners.items() if column not in space.units}
    return RawTask(record.name, source, fidelity, rows, source.group_of(record.name), units, names, categories=categories)


def _file_of(record: CampaignRecord) -> CampaignFile:
    try:
        files, path = record.snapshot["files"], Path(record.snapshot["path"])
        return parse_campaign(files["campaign"], path, files.get("candidates", ""))
    except KeyError as error:
        raise BadInput(f"campaign {record.name}: the ledger keeps no campaign file of it") from error


def _simulated(file: MetaFile, source: SourceSpec, families: Mapping[str, SimulatedFamily]) -> Iterator[RawTask]:
    try:
        family = find_family(families, source.family or "", file.path.parent)
    except BadInput as error:
        raise BadInput(f"{file.path}: {error}") from error
    for task, rows in family.draw(source.tasks or 1, source.rows or 1, source.seed):
        group = source.group_of(task) or family.group(task)
        known = family.describe(task) if source.describe else {}
        yield RawTask(task, source, "simulated", rows, group, family.units, family.parameters, known)


def _imagined(file: MetaFile, source: SourceSpec) -> Iterator[RawTask]:
    """Draw what a bench's twin predicts, in the space aimed at."""
    try:
        bench = load_bench(file.path.parent / (source.twin or ""))
        bound = bound_twin(bench, file.space, file.spec.targets)
    except BadInput as error:
        raise BadInput(f"{file.path}: source {source.label}: {error}") from error
    if bound is None:
        raise BadInput(f"{file.path}: source {source.label}: the bench file names no twin; expected [twin] chemistry")
    units = {**file.space.units, **bound.measured_units}
    names = tuple(parameter.name for parameter in file.space.parameters)
    for task, rows in imagined(bound, tasks=source.tasks or 1, rows=source.rows or 2, seed=source.seed):
        yield RawTask(task, source, "simulated", rows, source.group_of(task), units, names)


def _tables(file: MetaFile, source: SourceSpec) -> Iterator[RawTask]:
    fidelity = source.fidelity or "measured"
    targets = {target.name: source.rename.get(target.name, target.name) for target in file.spec.targets}
    tables: dict[str, list[Row]] = {}
    for name in source.files or ():
        path = file.find(name, what=f"{file.path}: source {source.label}")
        for row in read_table(path, what=str(path), dialect=source.dialect).rows:
            tables.setdefault(str(row[source.task]) if source.task else path.stem, []).append(row)
    for task, rows in tables.items():
        found = tuple(_observation(row, set(targets.values())) for row in rows)
        yield RawTask(task, source, fidelity, found, _group(source, task, rows), source.units)


def _observation(row: Row, targets: set[str]) -> Observation:
    """Take the targets' numbers out of a row; an empty cell of a target is nothing measured."""
    cells = {name: row[name] for name in row.table.columns}
    values = {name: cell.number() for name, cell in cells.items() if name in targets and cell.strip()}
    return Observation({name: cell for name, cell in cells.items() if name not in targets}, values)


def _group(source: SourceSpec, task: str, rows: list[Row]) -> str | None:
    if not isinstance(source.group, str):
        return source.group_of(task)
    found = sorted({str(row[source.group]) for row in rows})
    if len(found) > 1:
        raise BadInput(f"source {source.label}, task {task}: column {source.group!r} names {len(found)} groups: {', '.join(found[:4])}")
    return found[0]
