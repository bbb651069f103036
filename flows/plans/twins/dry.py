"""Which twin a dry run goes by: the newest revision of the bench's own, where the simulated tube runs that twin's chemistry."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flows.plans.lab import LabKind
from flows.plans.simulated import SimulatedBench, simulated
from flows.plans.twins.bound import surroundings_of
from flows.plans.twins.files import RevisionFile, read_twin_file, revision_name, revisions, terms_of
from flows.plans.twins.finding import bases, find_twin
from flows.plans.twins.overriding import with_constants
from instruments.bench.file import BenchFile
from instruments.bench.twin_spec import TwinSpec
from orchestrator.domain.records import DRY_TWIN, CampaignRecord
from orchestrator.errors import BadInput
from simulators.plantfile import PlantFile, read_plant_file
from simulators.twins.declaration import Twin
from simulators.twins.terms import ELAPSED, Term
from simulators.twins.tube import ReadAt, RunningTwin

DECLARED: Final = "declared"
"""Asks for the twin that the bench file declares, as it says its constants."""


@dataclass(frozen=True, slots=True)
class DryTwin:
    """What a dry run's tube runs."""

    running: RunningTwin | None = None
    """None: what the plant file says."""
    lines: tuple[str, ...] = ()
    """What people are told of it."""

    @property
    def snapshot(self) -> dict[str, Any]:
        """What the ledger keeps of it; empty where the plant file alone says what happens."""
        return {} if self.running is None else {DRY_TWIN: self.running.model_dump(mode="json")}

    @property
    def document(self) -> dict[str, Any] | None:
        """What the plant is given, with its digest."""
        return None if self.running is None else {"digest": self.running.digest, "document": self.running.model_dump(mode="json")}


def dry_twin(bench: BenchFile, wanted: str | None = None) -> DryTwin:
    """Say by which twin a dry run of a bench goes.

    That is the newest revision in `twins/` of what the bench file declares, or of what that revises; without any, the declared one where
    it is a revision itself; else none, and the plant file's constants stay.

    Args:
        bench: The bench.
        wanted: Another one, as a bench file would name it, or `DECLARED`.

    Raises:
        BadInput: A revision cannot be read; or what is wanted revises another twin than the bench's, or the simulated tube is another.
    """
    spec = bench.spec.twin
    if spec is None:
        if wanted is not None:
            raise BadInput(f"{bench.path} has no twin; --twin {wanted} needs one under [twin] chemistry")
        return DryTwin()
    root = bases(spec.chemistry, bench.folder)[-1]
    name, lines = _newest(bench, spec, root) if wanted is None else (_wanted(bench, spec, root, wanted), ())
    if name is None:
        return DryTwin(None, lines)
    made = simulated(bench)
    plant = None if made.plant is None else read_plant_file(made.plant)
    if plant is None or plant.twin != root:
        line = f"twin {name} is not what is simulated: {_simulates(plant)}, which is not twin {root}"
        if wanted is not None:
            raise BadInput(line)
        return DryTwin(None, (*lines, line))
    running, told = _running(bench, spec, name, root, _said(made, plant))
    return DryTwin(running, (*lines, told))


def twin_of_session(bench: BenchFile | None, kind: LabKind, record: CampaignRecord | None, wanted: str | None) -> DryTwin:
    """Say by which twin a session goes: a campaign that has begun keeps what it began with, whatever revisions have come since.

    Args:
        bench: Its bench; None where it has none.
        kind: Of its lab; a live one has no simulated tube.
        record: The campaign, where it has begun.
        wanted: As for `dry_twin`.

    Raises:
        BadInput: As `dry_twin`; or a campaign that has begun is to go by another one.
    """
    if bench is None or kind != "dry":
        return DryTwin()
    return dry_twin(bench, wanted) if record is None else _kept(record, bench, wanted)


def _kept(record: CampaignRecord, bench: BenchFile, wanted: str | None) -> DryTwin:
    kept = record.snapshot.get(DRY_TWIN)
    running = None if kept is None else RunningTwin.model_validate(kept)
    if wanted is not None and (asked := dry_twin(bench, wanted).running) != running:
        began = "the plant file's constants" if running is None else running.name
        raise BadInput(
            f"campaign {record.name} began with {began} in the simulated tube; "
            f"{wanted if asked is None else asked.name} needs a campaign in another lab (--lab DIR)"
        )
    return DryTwin(running, () if running is None else (f"the simulated tube goes on as twin {running.name} ({running.label})",))


# ---------------------------------------------------------------------- which


def _newest(bench: BenchFile, spec: TwinSpec, root: str) -> tuple[str | None, tuple[str, ...]]:
    """Return the newest revision of the same base, and what is said of newer ones of another."""
    passed = list[str]()
    for _, path in reversed(revisions(bench.folder, find_twin(spec.chemistry, bench.folder).twin.name)):
        name = f"./{path.relative_to(bench.folder).as_posix()}"
        if (other := bases(name, bench.folder)[-1]) == root:
            return name, tuple(passed)
        passed.append(f"twin {name} is not gone by: it revises {other}, and the bench's is {root}")
    return (spec.chemistry if spec.chemistry != root else None), tuple(passed)


def _wanted(bench: BenchFile, spec: TwinSpec, root: str, wanted: str) -> str:
    if wanted == DECLARED:
        return spec.chemistry
    name = revision_name(wanted) if wanted.endswith(".toml") else wanted
    if (other := bases(name, bench.folder)[-1]) != root:
        what = f"twin {name} is another one" if other == name else f"twin {name} revises {other}"
        raise BadInput(f"{what}; expected {root}, which is the bench's, a revision of it, or {DECLARED}")
    return name


def _simulates(plant: PlantFile | None) -> str:
    if plant is None or plant.platform is None or plant.chemistry is None:
        return "the bench has no simulated tube"
    if plant.chemistry.constants_seed is not None and plant.chemistry.family == "cdse":
        return f"the plant file gives its tube hidden constants (constants_seed = {plant.chemistry.constants_seed})"
    return f"the plant file lets {plant.twin or plant.chemistry.family} flow through its tube"


# ---------------------------------------------------------------------- what of it


def _running(bench: BenchFile, spec: TwinSpec, name: str, root: str, said: Mapping[str, str]) -> tuple[RunningTwin, str]:
    twin = find_twin(name, bench.folder).twin
    if name == spec.chemistry:
        twin = with_constants(twin, spec.constants, what=f"twin {twin.label}")
    recorded = surroundings_of(spec, twin, bench)
    read = {key: ReadAt(channel=one.channel, unit=one.unit) for key, one in recorded.items() if one.channel in said}
    running = RunningTwin(
        name=name,
        label=twin.label,
        base=root,
        terms=_terms(name, bench),
        constants=twin.values,
        surroundings=read,
    )
    return running, f"the simulated tube runs twin {name} ({twin.label}){_told(twin, read)}"


def _terms(name: str, bench: BenchFile) -> tuple[Term, ...]:
    """Return all terms of a revision and what it revises, in the order in which they were taken up."""
    contents = (read_twin_file(one, bench.folder).content for one in reversed(bases(name, bench.folder)) if one.endswith(".toml"))
    return tuple(term for one in contents if isinstance(one, RevisionFile) for term in terms_of(one))


def _told(twin: Twin, read: Mapping[str, ReadAt]) -> str:
    known = [f"{name} as {one.channel} says" for name, one in read.items()]
    still = (one for one in twin.environment if one.name not in read and one.name != ELAPSED)
    known += [f"{one.name} at its reference, {one.reference:g} {one.unit}".rstrip() for one in still]
    return f"; {', '.join(known)}" if known else ""


def _said(made: SimulatedBench, plant: PlantFile) -> dict[str, str]:
    """Return the channels of stand-ins that say what the room is like, whatever is set."""
    found = {}
    for instrument, declared in made.stand_ins.instruments.items():
        for channel, one in declared["channels"].items():
            name = f"{instrument}.{channel}"
            kind = plant.responses[name].kind if name in plant.responses else "daily" if "about" in one else ""
            if kind == "daily":
                found[name] = one["unit"]
    return found
