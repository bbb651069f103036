"""A LADS unit in memory, whose server may have the defects that were met in the field."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from typing_extensions import override

from instruments.transport.base import Name, NodePath, NodeTransport, NodeValue, Structure, Structures
from orchestrator.errors import DeviceError, LinkError, Sent

TOP = "DeviceSet/SynthesisPlatform"
UNIT = f"{TOP}/FunctionalUnitSet/Analyser"
STATE = f"{UNIT}/FunctionalUnitState/CurrentState"
ACTIVE = f"{UNIT}/ProgramManager/ActiveProgram"
TEMPLATES = f"{UNIT}/ProgramManager/ProgramTemplateSet"
RESULTS = f"{UNIT}/ProgramManager/ResultSet"


def _key(path: NodePath) -> str:
    return "/".join(name.name for name in path)


@dataclass
class FakeNodes(NodeTransport):
    """Values by path, and what each method does."""

    values: dict[str, Any] = field(default_factory=dict)
    methods: dict[str, Callable[[Sequence[str | Structures]], None]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    writes: list[tuple[str, Any]] = field(default_factory=list)
    granted: float = 10.0
    lost: bool = False

    @property
    @override
    def kind(self) -> str:
        return "opcua"

    @property
    @override
    def session(self) -> str:
        return "s1"

    @property
    @override
    def granted_session(self) -> float:
        return self.granted

    def _connected(self) -> None:
        if self.lost:
            raise LinkError("not connected", sent=Sent.NO)

    @override
    def exists(self, path: NodePath) -> bool:
        self._connected()
        return any(known == _key(path) or known.startswith(f"{_key(path)}/") for known in self.values)

    def _below(self, path: NodePath) -> list[str]:
        head = f"{_key(path)}/"
        return sorted({known.removeprefix(head).partition("/")[0] for known in self.values if known.startswith(head)})

    @override
    def objects(self, path: NodePath) -> tuple[NodePath, ...]:
        self._connected()
        return tuple((*path, Name(name)) for name in self._below(path) if f"{_key(path)}/{name}" not in self.values)

    @override
    def variables(self, path: NodePath) -> tuple[NodePath, ...]:
        self._connected()
        return tuple((*path, Name(name)) for name in self._below(path) if f"{_key(path)}/{name}" in self.values)

    @override
    def read(self, paths: Sequence[NodePath]) -> tuple[NodeValue, ...]:
        self._connected()
        missing = [path for path in paths if _key(path) not in self.values]
        if missing:
            raise DeviceError(f"no node {_key(missing[0])}", sent=Sent.NO)
        return tuple(NodeValue(self.values[_key(path)], "Good", "good", datetime(2026, 1, 1, tzinfo=UTC)) for path in paths)

    @override
    def write(self, path: NodePath, value: bool | int | float | str) -> None:
        self._connected()
        self.writes.append((_key(path), value))
        self.values[_key(path)] = value

    @override
    def call(self, path: NodePath, method: Name, arguments: Sequence[str | Structures]) -> tuple[Any, ...]:
        self._connected()
        self.calls.append(method.name)
        self.methods[method.name](arguments)
        return ()

    @override
    def close(self) -> None:
        self.lost = True


def unit(**more: Any) -> FakeNodes:
    """Build a unit at rest with the templates `Rinse` and `Characterise`."""
    values = {
        f"{TOP}/BootId": "boot-1",
        f"{TOP}/Identification/SerialNumber": "SP-1",
        f"{TOP}/Identification/Model": "Fake",
        STATE: "Stopped",
        f"{ACTIVE}/CurrentProgramTemplate": "",
        f"{ACTIVE}/DeviceProgramRunId": "",
        f"{TEMPLATES}/a/DeviceTemplateId": "Rinse",
        f"{TEMPLATES}/b/DeviceTemplateId": "Characterise",
        f"{RESULTS}/NodeVersion": "1",
        f"{UNIT}/FunctionSet/Lamp/TargetValue": False,
        f"{UNIT}/FunctionSet/Lamp/CurrentValue": False,
    }
    return FakeNodes(values | more)


def starts(nodes: FakeNodes, *, template: str | None = None) -> Callable[[Sequence[str | Structures]], None]:
    """Make a StartProgram; with a template it runs that one whatever was asked for."""

    def start(arguments: Sequence[str | Structures]) -> None:
        asked, _, job, task, _ = arguments
        put_result(nodes, str(task), template=template or str(asked), job=str(job))
        run(nodes, template or str(asked))

    return start


def run(nodes: FakeNodes, template: str, run_id: str = "run-1") -> None:
    nodes.values |= {STATE: "Running", f"{ACTIVE}/CurrentProgramTemplate": template, f"{ACTIVE}/DeviceProgramRunId": run_id}


def put_result(nodes: FakeNodes, task: str, *, template: str = "Characterise", job: str = "campaign", run_id: str = "run-1") -> str:
    base = f"{RESULTS}/{task}"
    nodes.values |= {
        f"{base}/SupervisoryTaskId": task,
        f"{base}/SupervisoryJobId": job,
        f"{base}/ProgramTemplate": template,
        f"{base}/DeviceProgramRunId": run_id,
        f"{base}/Stopped": None,
        f"{base}/VariableSet/Sample": (1.0, 2.0),
        f"{base}/VariableSet/Sample/EngineeringUnits": Structure("EUInformation", {"DisplayName": "°C"}),
        f"{base}/VariableSet/Gain": float("nan"),
    }
    return base


def finish(nodes: FakeNodes, task: str, more: Mapping[str, Any] | None = None) -> None:
    nodes.values |= {f"{RESULTS}/{task}/Stopped": datetime(2026, 1, 1, 0, 1, tzinfo=UTC), STATE: "Stopped"}
    nodes.values |= {f"{RESULTS}/{task}/{name}": value for name, value in (more or {}).items()}
