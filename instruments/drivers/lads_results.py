"""What the results of a LADS device say: which run they belong to, how it ended, what it brought."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from instruments.drivers.checks import make_reading
from instruments.drivers.lads_paths import lads
from instruments.drivers.lads_units import unit_of
from instruments.drivers.protocol import Settings
from instruments.transport.base import BASE, Name, NodePath, NodeTransport, NodeValue, Structure
from orchestrator.clock import Clock
from orchestrator.domain.records import Reading
from orchestrator.domain.values import canonical

_AT_ONCE: Final = 100
"""Results asked for their task in one go, the newest first: ours is nearly always among them."""
_UNSETTLED: Final = 20
"""Newest results without a task that are asked again: a device may write it a moment after it made the result."""


@dataclass(frozen=True, slots=True)
class LadsResult:
    """What a result object says of its run."""

    path: NodePath
    task: str
    job: str
    template: str | None
    """None where the result does not say it."""
    run_id: str | None
    stopped: datetime | None
    outcome: str | None
    """The vendor's word for how it ended; None where there is none."""


class ResultTable:
    """Finds results by our task id. There may be thousands: none is asked twice, since a task id never changes."""

    def __init__(self, transport: NodeTransport, results: NodePath, outcome: Name) -> None:
        """Bind it; nothing is sent.

        Args:
            transport: The server.
            results: Path of the ResultSet.
            outcome: Name of the vendor's variable for how a run ended.
        """
        self._transport = transport
        self._results = results
        self._outcome = outcome
        self._session = ""
        self._tasks: dict[NodePath, str] = {}

    def count(self) -> int:
        """Count the results; they are listed, not read."""
        return len(self._transport.objects(self._results))

    def find(self, task: str) -> LadsResult | None:
        """Get the result that carries a task id."""
        if self._transport.session != self._session:
            self._session, self._tasks = self._transport.session, {}
        known = next((path for path, one in self._tasks.items() if one == task), None)
        if known is not None and (found := self._read(known)) is not None and found.task == task:
            return found
        path = self._search(task)
        return self._read(path) if path is not None else None

    def _search(self, task: str) -> NodePath | None:
        """Look through the results, the newest first. They are listed anew: there are servers whose NodeVersion never changes."""
        newest = self._transport.objects(self._results)[::-1]
        self._tasks = {path: self._tasks[path] for path in newest if path in self._tasks and self._tasks[path] != task}
        fresh = [path for index, path in enumerate(newest) if path not in self._tasks or (index < _UNSETTLED and not self._tasks[path])]
        for start in range(0, len(fresh), _AT_ONCE):
            chunk = fresh[start : start + _AT_ONCE]
            values = self._transport.look([(*path, lads("SupervisoryTaskId")) for path in chunk])
            self._tasks |= {path: _text(value) or "" for path, value in zip(chunk, values, strict=True)}
            found = next((path for path in chunk if self._tasks[path] == task), None)
            if found is not None:
                return found
        return None

    def variables(self, result: LadsResult) -> tuple[tuple[str, NodeValue, str], ...]:
        """Get name, value and unit of every variable of a result but the vendor's word for how it ended."""
        paths = [path for path in self._transport.variables((*result.path, lads("VariableSet"))) if not self._is_outcome(path[-1])]
        units = self._transport.look([(*path, Name("EngineeringUnits", BASE)) for path in paths])
        values = self._transport.read(paths)
        return tuple((path[-1].name, value, unit_of(unit)) for path, unit, value in zip(paths, units, values, strict=True))

    def _is_outcome(self, name: Name) -> bool:
        return name.name == self._outcome.name and self._outcome.namespace in (None, name.namespace)

    def _read(self, path: NodePath) -> LadsResult | None:
        names = ("SupervisoryTaskId", "SupervisoryJobId", "DeviceProgramRunId", "Stopped")
        paths = [*((*path, lads(name)) for name in names), (*path, lads("ProgramTemplate"), lads("DeviceTemplateId"))]
        task, job, run_id, stopped, template = self._transport.look(paths)
        if task is None:
            return None
        ended = stopped.value if stopped is not None and isinstance(stopped.value, datetime) else None
        outcome = self._transport.look([(*path, lads("VariableSet"), self._outcome)])[0] if ended else None
        return LadsResult(path, _text(task) or "", _text(job) or "", _text(template), _text(run_id), ended, _text(outcome))


def _text(value: NodeValue | None) -> str | None:
    return str(value.value) if value is not None and value.quality != "bad" and value.value not in (None, "") else None


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


def node_reading(
    settings: Settings, clock: Clock, channel: str, value: NodeValue, unit: str, said: float | str | tuple[float, ...] | None = None
) -> Reading:
    """Make a reading of a node's value; its raw bytes are the canonical JSON of what was read.

    Args:
        settings: Of the instrument.
        clock: The bench's.
        channel: What it is called.
        value: As read.
        unit: Of the reading.
        said: What the value means, where that is not the value itself.
    """
    read = {
        "variable": channel,
        "value": plain(value.value),
        "unit": unit,
        "status": value.status,
        "source_timestamp": plain(value.source_timestamp),
    }
    content = _content(value.value) if said is None else said
    return make_reading(settings, clock, channel, unit, canonical(read).encode(), content, value.quality)


def _content(content: object) -> float | str | tuple[float, ...] | None:
    if content is None or isinstance(content, int | float | str):
        return content
    if isinstance(content, tuple) and all(isinstance(item, int | float) for item in content):
        return tuple(float(item) for item in content)
    return canonical(plain(content))
