"""The simulated devices of a bench: those of its plant file, and stand-ins for all others."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from flows.plans.disk_space import check_room
from flows.plans.lab import Lab, LabKind, lab_folder, make_lab
from flows.plans.plan import Plan
from instruments.bench.endpoints import CALLS, at_plant, read_endpoints, secured_links
from instruments.bench.file import BenchFile, load_bench
from instruments.bench.stand_ins import StandIns, stand_ins
from instruments.lab_processes.plant_process import ensure_plant
from instruments.lab_processes.state_files import ENDPOINTS, LAB, PLANT, read_state_file
from instruments.lab_processes.stop import plant_lives
from orchestrator.commandline import typed
from orchestrator.domain.values import explain
from orchestrator.errors import BadInput
from orchestrator.textfile import read_toml
from simulators.declarations import StandInSection
from simulators.responses import ResponseSection

_LATER: Final = "stand-in for whoever brings it after the run; nobody has measured it"


class PeopleSections(BaseModel):
    """What a plant file says of people, and of what comes later: the campaign answers for them, not the plant."""

    stand_ins: dict[str, StandInSection] = {}
    responses: dict[str, ResponseSection] = {}


@dataclass(frozen=True, slots=True)
class SimulatedBench:
    """What answers a bench in a dry run."""

    plant: Path | None
    """The plant file; None where the bench names none."""
    stand_ins: StandIns
    """Instruments on links that the plant file does not have."""
    later: Collection[str] = ()
    """Targets whose values come after the run."""
    sections: PeopleSections = field(default_factory=PeopleSections)
    priors: Mapping[str, ResponseSection] = field(default_factory=dict)
    """Responses that are drawn from a prior, by channel."""

    @property
    def told(self) -> dict[str, str]:
        """What people are told of each stand-in."""
        return self.stand_ins.told | dict.fromkeys(self.later, _LATER)

    @property
    def declarations(self) -> dict[str, Any] | None:
        """What the plant makes stand-ins from; None where it makes none."""
        return self.declared({})

    def declared(self, sampled: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the same with the functions that were drawn from priors."""
        return {**self.stand_ins.document, "sampled": dict(sampled)} if self.stand_ins else None


def simulated(bench: BenchFile, later: Collection[str] | None = None) -> SimulatedBench:
    """Say what answers a bench in a dry run; the plant file is checked by the plant, nothing of it is carried out here.

    Args:
        bench: The bench.
        later: Targets of the campaign whose values come after the run; None where no campaign is known.

    Raises:
        BadInput: The plant file cannot be read, or speaks of what there is not; or an instrument's driver cannot be loaded.
    """
    named = bench.spec.simulation.get("plant")
    if named is None:
        return SimulatedBench(None, stand_ins(bench, ()), later or ())
    path = bench.path.parent / named
    document = read_toml(path, what=f"plant file {path}")
    sections = _table(document, "stand_ins", path)
    by_calls = [name for name, one in sections.items() if isinstance(one, dict) and one.get("asked") == CALLS]
    made = stand_ins(bench, _table(document, "links", path), by_calls)
    responses = _table(document, "responses", path)
    if later is not None and (strange := sorted(name for name in responses if "." not in name and name not in later)):
        known = ", ".join(later) or "none"
        raise BadInput(f"plant file {path}: responses.{strange[0]}: no such target that comes later; they are {known}")
    return SimulatedBench(path, made, later or (), _of_people(made, sections, responses, path), _priors(responses, path))


def names_of_stand_ins(plan: Plan, kind: LabKind) -> Mapping[str, str]:
    """Return what people are told of each stand-in of a campaign; empty in a live lab, and where there is none."""
    return simulated(plan.bench, plan.objective.later).told if plan.bench is not None and kind == "dry" else {}


def _priors(responses: Mapping[str, Any], path: Path) -> dict[str, ResponseSection]:
    own = {name: one for name, one in responses.items() if isinstance(one, dict) and one.get("kind") == "prior"}
    try:
        return PeopleSections.model_validate({"responses": own}).responses
    except ValidationError as error:
        raise explain(error, what=f"plant file {path}") from error


def _of_people(made: StandIns, sections: Mapping[str, Any], responses: Mapping[str, Any], path: Path) -> PeopleSections:
    own = {name: one for name, one in sections.items() if name in made.people}
    said = {name: one for name, one in responses.items() if "." not in name or name.partition(".")[0] in made.people}
    try:
        return PeopleSections.model_validate({"stand_ins": own, "responses": said})
    except ValidationError as error:
        raise explain(error, what=f"plant file {path}") from error


def _table(document: Mapping[str, Any], key: str, path: Path) -> Mapping[str, Any]:
    found = document.get(key, {})
    if not isinstance(found, dict):
        raise BadInput(f"plant file {path}: {key} = {found!r:.80}; expected tables [{key}.NAME]")
    return found


Drawing = Callable[[SimulatedBench, int], Mapping[str, Any]]
"""Draws the functions that a dry run's responses have from priors, by channel, given the seed."""


@dataclass(frozen=True, slots=True)
class Started:
    """Simulated devices that run."""

    lab: Lab
    endpoints: Mapping[str, str]
    """By link."""
    stand_ins: Mapping[str, str]
    """What people are told of each stand-in, by the instruments' names."""


def start_plant(bench: Path, *, lab: Path | None, rate: float, seed: int, drawing: Drawing) -> Started:
    """Start the plant of a bench at so many lab seconds per wall second.

    Args:
        bench: The bench file.
        lab: The lab's folder; None for the one beside the file.
        rate: Lab seconds per wall second.
        seed: Of all that is drawn by chance.
        drawing: Draws what priors say, which takes the models' libraries.

    Raises:
        BadInput: A driver cannot be loaded, or the plant file is wrong.
    """
    file = load_bench(bench.resolve())
    made = simulated(file)
    check_room(lab_folder(lab, beside=file.path, kind="dry"))
    found = make_lab(lab, beside=file.path, kind="dry")
    secured = secured_links(file)
    declared = made.declared(drawing(made, seed))
    endpoints = ensure_plant(found.path, made.plant, bench_sha256=file.sha256, seed=seed, rate=rate, secured=secured, stand_ins=declared)
    return Started(found, endpoints, made.told)


def aimed(bench: BenchFile, lab: Path) -> BenchFile:
    """Point a bench to the simulated devices of a dry lab; of a live one, its own wires are its devices.

    Raises:
        BadInput: They do not run, or simulate another bench file: nothing meant for them goes to the file's own wires.
    """
    if read_state_file(lab / LAB).get("kind") != "dry":
        return bench
    if not plant_lives(lab):
        raise BadInput(f"{lab} is a dry lab and its simulated devices do not run; `{typed('simulate', bench.path)}` starts them")
    endpoints = read_endpoints(lab / PLANT / ENDPOINTS)
    if endpoints.get("bench_sha256") != bench.sha256:
        raise BadInput(
            f"{lab} is a dry lab and simulates another bench file than {bench.path}, or this one before it was changed: nothing is sent; "
            f"`{typed('simulate', bench.path, '--lab', 'DIR')}` simulates it in a lab of its own"
        )
    return at_plant(bench, endpoints)
