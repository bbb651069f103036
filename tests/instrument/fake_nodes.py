"""A LADS unit in memory, whose server may have the defects that were met in the field."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from typing_extensions import override

from instruments.transport.base import BASE, Name, NodePath, NodeTransport, NodeValue, ServerRefusal, Structure, Value
from orchestrator.errors import DeviceError, LinkError, Sent

STARTED = "Server/ServerStatus/StartTime"
TOP = "DeviceSet/SynthesisPlatform"
UNIT = f"{TOP}/FunctionalUnitSet/Analyser"
STATE = f"{UNIT}/FunctionalUnitState/CurrentState"
ACTIVE = f"{UNIT}/ProgramManager/ActiveProgram"
TEMPLATES = f"{UNIT}/ProgramManager/ProgramTemplateSet"
RESULTS = f"{UNIT}/ProgramManager/ResultSet"


START = ("ProgramTemplateId", "Properties", "SupervisoryJobId", "SupervisoryTaskId", "Samples")
METHODS_AT = ("FunctionalUnitState", "Lock", "ControlFunctionState")
OURS = "urn:test:ours"
"""What this client calls itself."""


def _key(path: NodePath) -> str:
    return "/".join(name.name for name in path)


@dataclass
class FakeNodes(NodeTransport):
    """Values by path, and what each method does."""

    values: dict[str, Any] = field(default_factory=dict)
    methods: dict[str, Callable[[Mapping[str, Value]], object]] = field(default_factory=dict)
    """What a method does; by its name, or by its whole path where several have one name."""
    takes: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"StartProgram": START, "InitLock": ("Context",)})
    """The arguments of each method, in the server's order."""
    types_of: dict[str, str] = field(default_factory=dict)
    """The LADS type of an object."""
    statuses: dict[str, Literal["uncertain", "bad"]] = field(default_factory=dict)
    """Values that are not good."""
    calls: list[str] = field(default_factory=list)
    writes: list[tuple[str, Any]] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
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

    @property
    @override
    def application_uri(self) -> str:
        return OURS

    def _connected(self) -> None:
        if self.lost:
            raise LinkError("not connected", sent=Sent.NO)

    def _is_method(self, path: NodePath) -> bool:
        return (path[-1].name in self.methods and path[-2].name in METHODS_AT) or _key(path) in self.methods

    @override
    def exists(self, path: NodePath) -> bool:
        self._connected()
        there = any(known == _key(path) or known.startswith(f"{_key(path)}/") for known in self.values)
        return there or self._is_method(path) or _key(path) in self.types_of

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
    def types(self, path: NodePath) -> tuple[Name, ...]:
        lads = "http://opcfoundation.org/UA/LADS/"
        chain = [Name(name, lads) for name in self.types_of.get(_key(path), "").split()]
        return (*chain, Name("BaseObjectType", BASE))

    @override
    def node(self, path: NodePath) -> str:
        return f"node {_key(path)}"

    @override
    def browse_name(self, node: str) -> Name | None:
        return Name(node.removeprefix("node ").rpartition("/")[2])

    @override
    def look(self, paths: Sequence[NodePath]) -> tuple[NodeValue | None, ...]:
        self._connected()
        self.reads += map(_key, paths)
        return tuple(self._value(_key(path)) for path in paths)

    def _value(self, key: str) -> NodeValue | None:
        if key not in self.values:
            return None
        quality: Literal["good", "uncertain", "bad"] = self.statuses.get(key, "good")
        status = {"good": "Good", "uncertain": "UncertainInitialValue", "bad": "BadWaitingForInitialData"}[quality]
        return NodeValue(self.values[key], status, quality, datetime(2026, 1, 1, tzinfo=UTC))

    @override
    def read(self, paths: Sequence[NodePath]) -> tuple[NodeValue, ...]:
        missing = [path for path in paths if _key(path) not in self.values]
        if missing and not self.lost:
            raise DeviceError(f"no node {_key(missing[0])}", sent=Sent.NO)
        return tuple(value for value in self.look(paths) if value is not None)

    @override
    def write(self, path: NodePath, value: bool | int | float | str) -> None:
        self._connected()
        self.writes.append((_key(path), value))
        self.values[_key(path)] = value

    @override
    def arguments(self, path: NodePath, method: Name) -> tuple[str, ...]:
        return self.takes.get(method.name, ())

    @override
    def call(self, path: NodePath, method: Name, arguments: Mapping[str, Value]) -> tuple[Any, ...]:
        self._connected()
        self.calls.append(method.name)
        if set(arguments) != set(self.takes.get(method.name, ())):
            raise DeviceError(f"{method.name} takes {self.takes.get(method.name)}", sent=Sent.NO)
        act = self.methods.get(_key((*path, method)), self.methods.get(method.name))
        if act is None:
            raise DeviceError(f"no node {_key((*path, method))}", sent=Sent.NO)
        answer = act(arguments)
        return () if answer is None else (answer,)

    @override
    def close(self) -> None:
        self.lost = True


def refusal(status: str) -> Callable[[object], object]:
    """Make a method that the server refuses."""

    def refuse(_: object) -> object:
        raise ServerRefusal(f"refused: {status}", status=status, sent=Sent.YES)

    return refuse


def unit(**more: Any) -> FakeNodes:
    """Build a unit at rest with the templates `Rinse` and `Characterise`."""
    values = {
        STARTED: datetime(2026, 1, 1, tzinfo=UTC),
        f"{TOP}/SerialNumber": "SP-1",
        f"{TOP}/Model": "Fake",
        STATE: "Stopped",
        f"{TEMPLATES}/a/DeviceTemplateId": "Rinse",
        f"{TEMPLATES}/b/DeviceTemplateId": "Characterise",
        f"{RESULTS}/NodeVersion": "1",
        f"{UNIT}/FunctionSet/Lamp/TargetValue": False,
        f"{UNIT}/FunctionSet/Lamp/CurrentValue": False,
    }
    return FakeNodes(values | more)


def starts(nodes: FakeNodes, *, template: str | None = None) -> Callable[[Mapping[str, Value]], None]:
    """Make a StartProgram; with a template it runs that one whatever was asked for."""

    def start(given: Mapping[str, Value]) -> None:
        asked = template or str(given["ProgramTemplateId"])
        put_result(nodes, str(given["SupervisoryTaskId"]), template=asked, job=str(given["SupervisoryJobId"]))
        run(nodes, asked)

    return start


def run(nodes: FakeNodes, template: str, run_id: str = "run-1") -> None:
    """Let a program run, as ActiveProgram of the standard says it."""
    named = Structure("NameNodeIdDataType", {"Name": template, "NodeId": ""})
    nodes.values |= {STATE: "Running", f"{ACTIVE}/CurrentProgramTemplate": named, f"{ACTIVE}/DeviceProgramRunId": run_id}


def put_result(nodes: FakeNodes, task: str, *, template: str = "Characterise", job: str = "campaign", run_id: str = "run-1") -> str:
    base = f"{RESULTS}/{task}"
    nodes.values |= {
        f"{base}/SupervisoryTaskId": task,
        f"{base}/SupervisoryJobId": job,
        f"{base}/ProgramTemplate/DeviceTemplateId": template,
        f"{base}/DeviceProgramRunId": run_id,
        f"{base}/Stopped": None,
        f"{base}/VariableSet/Sample": (1.0, 2.0),
        f"{base}/VariableSet/Sample/EngineeringUnits": Structure("EUInformation", {"DisplayName": "°C"}),
        f"{base}/VariableSet/Gain": float("nan"),
    }
    return base


def finish(nodes: FakeNodes, task: str, more: Mapping[str, Any] | None = None) -> None:
    """Let a program end, with further values of its result."""
    nodes.values |= {f"{RESULTS}/{task}/Stopped": datetime(2026, 1, 1, 0, 1, tzinfo=UTC), STATE: "Stopped"}
    nodes.values |= {f"{RESULTS}/{task}/{name}": value for name, value in (more or {}).items()}
