"""The analyser platform as a device: sampler positions, program state, results that survive a power cut.

It knows nothing of OPC-UA; the server shows its state and calls its methods. Life of a program: `start` makes the result
(without `stopped`), `finish` or an abort fills it, sets `stopped` last and only then changes the state.
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter

from simulators.clock import Moment
from simulators.lamp import Lamp
from simulators.truth import PhysicalEvent, Record, TruthValue
from simulators.unit_states import Refusal, State


@dataclass(frozen=True, slots=True)
class Template:
    """A program that a device can run."""

    version: str
    description: str
    duration: float
    """Lab s."""
    properties: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Numbers that it must be told, and between which limits; others are refused."""
    samples: bool = False
    """Whether it fills vials, whose positions (A1 to H12) it must be told."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """What its result brings, and in which units; "1" for a pure number."""
    recording: str = ""
    """The variable that comes with a Bad status where the fault `bad-status` strikes."""


@dataclass(frozen=True, slots=True)
class Nameplate:
    """What a device says of itself."""

    device: str = "SynthesisPlatform"
    """Name of the device, and its model."""
    unit: str = "Analyser"
    """Name of its functional unit."""
    manufacturer: str = "Athanor Instruments (simulated)"
    revision: str = "2.0.0"
    """Of its software."""


PLATFORM_PLATE = Nameplate()

INTEGRATION_TIMES = (0.001, 10.0)
"""s, range of the spectrometer."""

TEMPLATES = {
    "Rinse": Template("1.0", "Rinses the sampler's line and the cell.", 30.0),
    "Characterise": Template(
        "1.0",
        "Fills a vial and records the emission spectrum beside dark and reference.",
        60.0,
        properties={"integration_time": INTEGRATION_TIMES},
        samples=True,
        variables={
            "Wavelength": "nm",
            "Dark": "counts",
            "Sample": "counts",
            "Reference": "counts",
            "SampleAbsorbance": "1",
            "ReferenceAbsorbance": "1",
            "ReferenceQuantumYield": "1",
            "IntegrationTime": "s",
            "Conversion": "1",
        },
        recording="Sample",
    ),
}
"""The first is what a confused device runs instead of an unknown one."""

POSITION = re.compile(r"[A-H](?:[1-9]|1[0-2])")

ABORTED = "aborted"
POSITION_USED = "position-used"
SATURATED = "saturated"

Variables = dict[str, float | list[float]]


@dataclass(frozen=True, slots=True)
class Sample:
    """One vial as the client names it."""

    container_id: str
    sample_id: str
    position: str
    custom_data: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """The arguments of StartProgram."""

    template: str
    properties: tuple[tuple[str, str], ...]
    job_id: str
    task_id: str
    samples: tuple[Sample, ...]

    def number(self, name: str) -> float:
        """Get one of the properties as a number; only numbers that the template asks for come this far."""
        return float(dict(self.properties)[name])


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """One program's result; `variables` come when it ends."""

    run_id: str
    number: int
    order: Order
    ran_template: str
    """What was really run."""

    started: str
    """UTC, ISO 8601."""

    stopped: str | None = None
    outcome: str = ""
    variables: Variables = field(default_factory=dict)
    bad_status: bool = False
    """The sample spectrum is marked Bad."""

    application_uri: str = ""
    """Of the client that started it."""

    user: str = ""
    """Who was logged in at that client."""

    @property
    def integration_time(self) -> float:
        """Get the integration time (s) that was asked for."""
        return self.order.number("integration_time")


_RESULT: TypeAdapter[ProgramResult] = TypeAdapter(ProgramResult)


class ResultShelf:
    """Keeps results on disk, a file each, so that they outlive the device's power."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def load(self) -> list[ProgramResult]:
        """Read all results in the order of their making."""
        results = [_RESULT.validate_json(path.read_bytes()) for path in self._folder.glob("*.json")]
        return sorted(results, key=lambda result: result.number)

    def save(self, result: ProgramResult) -> None:
        """Write one result; the file is whole or the old one."""
        path = self._folder / f"{result.run_id}.json"
        draft = path.with_suffix(".tmp")
        draft.write_bytes(_RESULT.dump_json(result))
        draft.replace(path)


class SynthesisPlatform:
    """State of the platform; calls change it at once and report what they did."""

    def __init__(self, name: str, shelf: ResultShelf, record: Record, now: Moment, templates: Mapping[str, Template] = TEMPLATES) -> None:
        self.name = name
        self.templates = templates
        """Its programs."""
        self.state = State.STOPPED
        self.boot_id = uuid.uuid4().hex
        self.booted = now
        self.lamp = Lamp()
        self.watchdog_seconds = 0.0
        """Wall s, 0 = off."""
        self.results = {result.run_id: result for result in shelf.load()}
        self.active: ProgramResult | None = None
        self.active_since = 0.0
        """Lab s."""
        self.fate = ""
        """Outcome of the running program that is certain already at its start."""
        self._shelf = shelf
        self._record_to = record
        self._kicked_at: float | None = None
        self._record(now.lab, "boot", boot_id=self.boot_id)
        self._close_interrupted(now)

    @property
    def used_positions(self) -> frozenset[str]:
        """Name the positions that a program has filled."""
        return frozenset(sample.position for result in self.results.values() for sample in result.order.samples)

    @property
    def lapses_at(self) -> float | None:
        """Get the wall time (s) at which the watchdog lapses."""
        return None if self._kicked_at is None or not self.watchdog_seconds else self._kicked_at + self.watchdog_seconds

    @property
    def ends_at(self) -> float | None:
        """Get the lab time (s) at which the running program has lasted its time."""
        return None if self.active is None else self.active_since + self.templates[self.active.ran_template].duration

    def start(
        self, order: Order, now: Moment, *, confused: bool = False, application_uri: str = "", user: str = ""
    ) -> ProgramResult | Refusal:
        """Start a program, or name the known one of this task; a confused device takes any template for its first."""
        known = next((result for result in self.results.values() if result.order.task_id == order.task_id), None)
        if known is not None:
            return self._start_again(known, order, now)
        if self.state is not State.STOPPED:
            return Refusal.STATE
        if (order.template not in self.templates and not confused) or not _is_complete(order, self.templates.get(order.template)):
            return Refusal.ARGUMENT
        ran = next(iter(self.templates)) if confused else order.template
        return self._begin(order, ran, now, (application_uri, user))

    def _start_again(self, known: ProgramResult, order: Order, now: Moment) -> ProgramResult | Refusal:
        if known.order != order:
            return Refusal.EXISTS
        self._record(now.lab, "start-repeated", known.order.task_id, run_id=known.run_id)
        return known

    def _begin(self, order: Order, ran: str, now: Moment, client: tuple[str, str]) -> ProgramResult:
        used = bool(self.used_positions & {sample.position for sample in order.samples})
        number = 1 + max((result.number for result in self.results.values()), default=0)
        stamp = datetime.now(UTC)
        run_id = f"{stamp:%Y%m%d-%H%M%S}-{number:05d}-{ran}"
        application_uri, user = client
        result = ProgramResult(run_id, number, order, ran, stamp.isoformat(), application_uri=application_uri, user=user)
        self.active, self.active_since, self.state = result, now.lab, State.RUNNING
        self.fate = POSITION_USED if used else ""
        self.lamp.clear()
        self.lamp.start(target=True)
        self._keep(result)
        self._record(
            now.lab,
            "start",
            order.task_id,
            run_id=run_id,
            template=ran,
            job_id=order.job_id,
            positions=",".join(sample.position for sample in order.samples),
            position_used=used,
        )
        return result

    def finish(self, outcome: str, variables: Variables, now: Moment, *, bad_status: bool = False) -> None:
        """End the running program: fill the result, set its end, then change the state."""
        self._close(outcome, variables, now, State.STOPPED, "finish", bad_status=bad_status)

    def stop(self, now: Moment) -> None:
        """Stop the running program, if any, and be Stopped."""
        self._record(now.lab, "safe-state", cause="stop command")
        if self.active is not None:
            self._close(ABORTED, {}, now, State.STOPPED, "abort")

    def abort(self, now: Moment, cause: str = "abort command") -> None:
        """Abort the running program at once; without one there is nothing to abort."""
        self._record(now.lab, "safe-state", cause=cause)
        if self.active is not None:
            self._close(ABORTED, {}, now, State.ABORTED, "abort")

    def clear(self, now: Moment) -> Refusal | None:
        """Leave Aborted."""
        if self.state is State.RUNNING:
            return Refusal.STATE
        self.state = State.STOPPED
        self._record(now.lab, "setpoint", cleared=True)
        return None

    def target_lamp(self, now: Moment, *, on: bool) -> None:
        """Set what the lamp follows while its function runs."""
        self.lamp.target = on
        self._record(now.lab, "setpoint", lamp=self.lamp.is_on)

    def start_lamp(self, now: Moment, target: bool | None = None) -> Refusal | None:
        """Start the lamp's function."""
        refusal = self.lamp.start(target)
        if refusal is None:
            self._record(now.lab, "setpoint", lamp=self.lamp.is_on)
        return refusal

    def stop_lamp(self, now: Moment, *, abort: bool = False) -> None:
        """Stop or abort the lamp's function."""
        if abort:
            self.lamp.abort()
        else:
            self.lamp.stop()
        self._record(now.lab, "setpoint", lamp=False)

    def set_watchdog(self, now: Moment, seconds: float) -> None:
        """Set the communication watchdog (wall s, 0 = off) and start its time."""
        self.watchdog_seconds = seconds
        self._kicked_at = now.wall
        self._record(now.lab, "setpoint", watchdog_s=seconds)

    def kick(self, now: Moment) -> None:
        """Show the watchdog that the client lives."""
        self._kicked_at = now.wall

    def advance(self, now: Moment) -> None:
        """Let the watchdog lapse when it is due: program and lamp end; its time starts anew with the next kick."""
        if self.lapses_at is not None and now.wall >= self.lapses_at:
            self._kicked_at = None
            self.lamp.stop()
            self.abort(now, "watchdog")

    def power_cycle(self, now: Moment) -> None:
        """Cut the power: a running program is lost, results stay, the life is a new one."""
        self.boot_id, self.booted = uuid.uuid4().hex, now
        self.watchdog_seconds = 0.0
        self.lamp.cut()
        self._record(now.lab, "boot", boot_id=self.boot_id)
        if self.active is not None:
            self._close(ABORTED, {}, now, State.STOPPED, "abort")
        self.state = State.STOPPED

    def describe(self) -> dict[str, TruthValue]:
        """Give the true state, for the back door."""
        return {
            "state": self.state.value,
            "boot_id": self.boot_id,
            "lamp": self.lamp.is_on,
            "watchdog_s": self.watchdog_seconds,
            "active": None if self.active is None else self.active.run_id,
            "results": len(self.results),
            "used_positions": ",".join(sorted(self.used_positions)),
        }

    def _close_interrupted(self, now: Moment) -> None:
        """Mark results that an earlier power cut left open."""
        for result in tuple(self.results.values()):
            if result.stopped is None:
                self._keep(replace(result, outcome=ABORTED, stopped=datetime.now(UTC).isoformat()))
                self._record(now.lab, "abort", result.order.task_id, run_id=result.run_id, outcome=ABORTED)

    def _close(self, outcome: str, variables: Variables, now: Moment, state: State, event: str, *, bad_status: bool = False) -> None:
        if self.active is None:
            raise RuntimeError(f"platform {self.name}: no program is running")
        result, self.active = self.active, None
        stopped = datetime.now(UTC).isoformat()
        self._keep(replace(result, outcome=outcome, variables=variables, stopped=stopped, bad_status=bad_status))
        self.lamp.stop()
        self.lamp.target = False
        self.state = state
        self._record(now.lab, event, result.order.task_id, run_id=result.run_id, outcome=outcome)

    def _keep(self, result: ProgramResult) -> None:
        self.results[result.run_id] = result
        self._shelf.save(result)

    def _record(self, lab: float, event: str, run_key: str | None = None, **values: TruthValue) -> None:
        self._record_to(PhysicalEvent(lab, self.name, event, values, run_key))


def _is_complete(order: Order, template: Template | None) -> bool:
    """Tell whether an order has a task and what its template asks for: legal numbers, and vials in legal positions."""
    if template is None or not order.task_id:
        return bool(order.task_id)
    positions = [sample.position for sample in order.samples]
    if template.samples and not (positions and all(POSITION.fullmatch(position) for position in positions)):
        return False
    return not (template.samples or template.properties) or _legal_properties(dict(order.properties), template.properties)


def _legal_properties(properties: Mapping[str, str], wanted: Mapping[str, tuple[float, float]]) -> bool:
    if set(properties) != set(wanted):
        return False
    try:
        return all(low <= float(properties[name]) <= high for name, (low, high) in wanted.items())
    except ValueError:
        return False
