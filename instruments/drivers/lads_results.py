"""What the results of a LADS device say: which run they belong to, how it ended, what it brought."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from instruments.drivers.checks import make_reading
from instruments.drivers.lads_paths import BASE, lads
from instruments.drivers.protocol import Settings
from instruments.transport.base import Name, NodePath, NodeTransport, NodeValue, Structure
from orchestrator.clock import Clock
from orchestrator.domain.records import Reading
from orchestrator.domain.values import canonical

_UNIT_NAMES: Final[Mapping[str, str]] = {"°C": "degC", "°F": "degF", "%": "percent", "1": "", "one": "", "µL": "uL"}
"""Unit names of servers that our registry knows under another name; all others are kept."""


@dataclass(frozen=True, slots=True)
class LadsResult:
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

    def find(self, task: str) -> LadsResult | None:
        """Get the result that carries a task id."""
        self.tasks()
        path = next((path for path, known in self._tasks.items() if known == task), None)
        return self._read(path) if path is not None else None

    def variables(self, result: LadsResult) -> tuple[tuple[str, NodeValue, str], ...]:
        """Get name, value and unit of every variable of a result."""
        paths = [path for path in self._transport.variables((*result.path, lads("VariableSet"))) if path[-1].name != "Outcome"]
        units = [(*path, Name("EngineeringUnits", BASE)) for path in paths]
        present = [unit for unit in units if self._transport.exists(unit)]
        names = dict(zip(present, map(unit_name, self._transport.read(present)), strict=True))
        values = self._transport.read(paths)
        return tuple((path[-1].name, value, names.get(unit, "")) for path, unit, value in zip(paths, units, values, strict=True))

    def _read(self, path: NodePath) -> LadsResult:
        template = (*path, lads("ProgramTemplate"), lads("DeviceTemplateId"))
        outcome = (*path, lads("VariableSet"), Name("Outcome"))
        has_outcome = self._transport.exists(outcome)
        first, last = ("SupervisoryTaskId", "SupervisoryJobId"), ("DeviceProgramRunId", "Stopped")
        paths = [*((*path, lads(name)) for name in first), template, *((*path, lads(name)) for name in last)]
        paths += [outcome] if has_outcome else []
        values = self._transport.read(paths)
        texts = [_text(value) for value in values]
        stopped = values[4].value if isinstance(values[4].value, datetime) else None
        return LadsResult(path, texts[0], texts[1], texts[2], texts[3], stopped, texts[5] if has_outcome else None)


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


def node_reading(settings: Settings, clock: Clock, channel: str, value: NodeValue, unit: str) -> Reading:
    """Make a reading of a node's value; its raw bytes are the canonical JSON of what was read."""
    read = {
        "variable": channel,
        "value": plain(value.value),
        "unit": unit,
        "status": value.status,
        "source_timestamp": plain(value.source_timestamp),
    }
    return make_reading(settings, clock, channel, unit, canonical(read).encode(), _content(value.value), value.quality)


def _content(content: object) -> float | str | tuple[float, ...] | None:
    if content is None or isinstance(content, int | float | str):
        return content
    if isinstance(content, tuple) and all(isinstance(item, int | float) for item in content):
        return tuple(float(item) for item in content)
    return canonical(plain(content))
