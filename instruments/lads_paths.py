"""Where the things of a LADS device stand (OPC 30500-1): BrowseNames by namespace URI, and what its results say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from instruments.transport.base import Name, NodePath, NodeTransport, NodeValue, Structure

DI: Final = "http://opcfoundation.org/UA/DI/"
LADS: Final = "http://opcfoundation.org/UA/LADS/"
BASE: Final = "http://opcfoundation.org/UA/"

_UNIT_NAMES: Final[Mapping[str, str]] = {"°C": "degC", "°F": "degF", "%": "percent", "1": "", "one": "", "µL": "uL"}
"""Unit names of servers that our registry knows under another name; all others are kept."""


def di(name: str) -> Name:
    """Name a node of the DI namespace."""
    return Name(name, DI)


def lads(name: str) -> Name:
    """Name a node of the LADS namespace."""
    return Name(name, LADS)


@dataclass(frozen=True, slots=True)
class UnitPaths:
    """Paths of one device and one of its functional units."""

    device: NodePath
    unit: NodePath

    @classmethod
    def of(cls, device: str, unit: str) -> "UnitPaths":
        """Build the paths from two instance names, whose namespace is the vendor's own."""
        top = (di("DeviceSet"), Name(device))
        return cls(top, (*top, lads("FunctionalUnitSet"), Name(unit)))

    @property
    def state(self) -> NodePath:
        """The unit's state machine, which has the methods."""
        return (*self.unit, lads("FunctionalUnitState"))

    @property
    def current_state(self) -> NodePath:
        """Its state."""
        return (*self.state, Name("CurrentState", BASE))

    @property
    def templates(self) -> NodePath:
        """The programs that it can run."""
        return (*self.unit, lads("ProgramManager"), lads("ProgramTemplateSet"))

    @property
    def active(self) -> NodePath:
        """The program that it runs, or ran last."""
        return (*self.unit, lads("ProgramManager"), lads("ActiveProgram"))

    @property
    def results(self) -> NodePath:
        """One object per program run."""
        return (*self.unit, lads("ProgramManager"), lads("ResultSet"))

    def function(self, name: str) -> NodePath:
        """A function of the unit."""
        return (*self.unit, lads("FunctionSet"), Name(name))


@dataclass(frozen=True, slots=True)
class Result:
    """What a result object says of its run."""

    path: NodePath
    task: str
    job: str
    template: str
    run_id: str
    stopped: datetime | None
    outcome: str | None
    """The device's word for how it ended; None where the device has none."""


class ResultTable:
    """Finds results by our task id without asking for known ones again: a task id never changes."""

    def __init__(self, transport: NodeTransport, results: NodePath) -> None:
        """Bind a ResultSet; nothing is read."""
        self._transport = transport
        self._results = results
        self._tasks: dict[NodePath, str] = {}
        self._session = ""

    def tasks(self) -> tuple[str, ...]:
        """Get the task ids of all results."""
        if self._transport.session != self._session:
            self._session, self._tasks = self._transport.session, {}
        paths = self._transport.objects(self._results)
        fresh = [path for path in paths if not self._tasks.get(path)]
        values = self._transport.read([(*path, lads("SupervisoryTaskId")) for path in fresh])
        self._tasks |= {path: _text(value) for path, value in zip(fresh, values, strict=True)}
        return tuple(self._tasks[path] for path in paths)

    def find(self, task: str) -> Result | None:
        """Get the result that carries a task id."""
        self.tasks()
        path = next((path for path, known in self._tasks.items() if known == task), None)
        return self._read(path) if path is not None else None

    def _read(self, path: NodePath) -> Result:
        names = [lads(name) for name in ("SupervisoryTaskId", "SupervisoryJobId", "ProgramTemplate", "DeviceProgramRunId", "Stopped")]
        outcome = (*path, Name("Outcome"))
        has_outcome = self._transport.exists(outcome)
        paths = [(*path, name) for name in names] + ([outcome] if has_outcome else [])
        values = self._transport.read(paths)
        texts = [_text(value) for value in values]
        stopped = values[4].value if isinstance(values[4].value, datetime) else None
        return Result(path, texts[0], texts[1], texts[2], texts[3], stopped, texts[5] if has_outcome else None)


def unit_name(value: NodeValue) -> str:
    """Return the unit that an EngineeringUnits property names, empty for a pure number."""
    information = value.value
    if not isinstance(information, Structure):
        return ""
    shown = str(information.fields.get("DisplayName") or "")
    return _UNIT_NAMES.get(shown, shown)


def _text(value: NodeValue) -> str:
    return str(value.value) if value.value is not None else ""


def plain(value: object) -> object:
    """Turn a node's value into JSON: structures to objects, times to ISO, numbers that are not finite to text."""
    if isinstance(value, Structure):
        return {name: plain(item) for name, item in value.fields.items()}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return repr(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value
