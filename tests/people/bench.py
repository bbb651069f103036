"""The fake world of `tests.host` with a person among its instruments."""

from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import override

from instruments.bench.file import BenchFile
from instruments.drivers.protocol import Driver
from orchestrator.clock import Clock
from orchestrator.domain.identity import uuid7
from orchestrator.domain.lifecycle import StepKind
from orchestrator.domain.records import Step
from tests.host.harness import Bench, request, until
from tests.host.world import connect_fakes

PEOPLE = """
[instruments.chemist]
driver = "person"

[instruments.chemist.calls.weigh]
instructions = "Weigh in {mass} of sand, and write down what the balance says."
arguments = { mass = "mg" }
returns = { weight = { unit = "mg", min = "0 mg", max = "500 mg" }, colour = "text" }
"""
VALUES = {"weight": "12.3 mg", "colour": "white"}


def connect_people(bench: BenchFile, lane: str, clock: Clock) -> Mapping[str, Driver]:
    """Open a link of the fake world, or the lane of a person."""
    if not lane.startswith("("):
        return connect_fakes(bench, lane, clock)
    name = lane.strip("()")
    return {name: bench.driver(name)(None, bench.settings(name), clock)}


class PeopleBench(Bench):
    """A bench with a chemist beside its devices."""

    @override
    def __post_init__(self) -> None:
        self.connect, self.park_steps = connect_people, PEOPLE
        super().__post_init__()

    def await_person(self, run_key: str, index: int = 0) -> None:
        """Wait until a step of a run waits for a person."""
        until(lambda: self.answers(f"/runs/{run_key}")["steps"][index]["status"] == "intent", f"step {index} waits for a person")

    def answer(self, run_key: str, index: int = 0, **changes: Any) -> dict[str, Any]:
        """Answer a step of a run."""
        return self.ask("POST", answer_path(run_key, index), said(**changes))

    def ended(self, run_key: str, status: str = "completed") -> dict[str, Any]:
        """Await a run's end, which must be this one."""
        report = self.await_end(run_key)
        assert report["status"] == status, report
        return report


def answer_path(run_key: str, index: int = 0) -> str:
    return f"/runs/{run_key}/steps/{index}/answer"


def said(**changes: Any) -> dict[str, Any]:
    """Return an answer's body."""
    return {"answer_id": uuid7(), "by": "Ada", "values": VALUES, **changes}


def order(**changes: Any) -> dict[str, Any]:
    """Return a work order as the bench file's call gives it."""
    values = [{"name": "weight", "unit": "mg", "low": 0.0, "high": 500.0}, {"name": "colour", "unit": None}]
    return {"instructions": "Weigh in 12 mg of sand, and write down what the balance says.", "values": values, **changes}


WEIGH: dict[str, Any] = {"do": "chemist.weigh", "kind": StepKind.PERSON, "arguments": {"mass": 12.0}, "work": order()}
HEAT: dict[str, Any] = {"do": "oven.set_temperature", "kind": StepKind.STATE_SETTING, "arguments": {"temperature": 100.0}}
FLOW: dict[str, Any] = {"do": "pump_b.set_flow", "kind": StepKind.STATE_SETTING, "arguments": {"flow": 3.0}}
READ: dict[str, Any] = {"do": "read", "kind": StepKind.READ, "channels": ("oven.temperature",)}
DOSE: dict[str, Any] = {"do": "pump_b.dose", "kind": StepKind.DOSING, "arguments": {"volume": 1.0}}


def wait(lab_seconds: float) -> dict[str, Any]:
    return {"do": "wait", "kind": StepKind.WAIT, "arguments": {"time": lab_seconds}}


def procedure(*listed: dict[str, Any], rule: Any = "abort") -> list[Step]:
    return [Step.model_validate({"index": n, "interrupted": rule, **one}) for n, one in enumerate(listed)]


def hand_over(bench: PeopleBench, steps: Sequence[Step], **changes: Any) -> str:
    """Hand a run over; return its key."""
    wanted = request(bench, steps, **changes)
    bench.submit(wanted)
    return str(wanted["run_key"])
