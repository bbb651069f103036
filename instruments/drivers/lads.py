"""Devices that follow LADS (OPC 30500-1): programs started under our run key, results adopted by it.

Met in the field and guarded against: a device that replaces an unknown template by its first one and acknowledges; run
ids of one-second resolution; methods that are declared and do not work. So the template is looked up before and compared
after, a run is known by the SupervisoryTaskId alone, and "done" is what the result object says together with the state.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

from typing_extensions import override

from instruments.drivers.checks import channel_spec
from instruments.drivers.device import Act, Device
from instruments.drivers.lads_paths import BASE, UnitPaths, di, lads
from instruments.drivers.lads_results import LadsResult, ResultTable, node_reading
from instruments.drivers.protocol import (
    ArgumentSpec,
    Call,
    ChannelSpec,
    CommandSpec,
    Finding,
    Identity,
    Outcome,
    Progress,
    Settings,
    StepVerdict,
)
from instruments.transport.base import Name, NodePath, NodeTransport, NodeValue, Structure, Structures
from orchestrator.clock import Clock
from orchestrator.domain.lifecycle import StepKind
from orchestrator.domain.records import Reading
from orchestrator.errors import BadInput, DeviceError, InstrumentError, LinkError, Sent

logger = logging.getLogger(__name__)

_COMPLETED: Final = "completed"
_FOLLOWS: Final = 5.0
"""Wall seconds within which a device takes over a setting or leaves a state after a method."""
_START: Final = 1.0
"""Wall seconds within which an acknowledged start shows in state or result."""
_POLL: Final = 0.05
_MARGIN: Final = 2.0
"""Wall seconds added to a session's granted time: the server looks for dead ones now and then."""
_LONGEST_SESSION: Final = 10.0
"""Wall seconds that our transport asks a server to keep a vanished client's session."""
_STOPPED, _RUNNING, _ABORTED = "Stopped", "Running", "Aborted"
_AT_REST: Final = frozenset({_STOPPED, _ABORTED})


class LadsUnit(Device):
    """One functional unit of a LADS device, and its lamp."""

    COMMANDS: ClassVar[Mapping[str, CommandSpec]] = {
        "run_program": CommandSpec(StepKind.PROGRAM, {"template": ArgumentSpec(None)}, open_arguments=True),
        "lamp_on": CommandSpec(StepKind.STATE_SETTING),
        "lamp_off": CommandSpec(StepKind.STATE_SETTING),
        "clear": CommandSpec(StepKind.STATE_SETTING),
    }
    CHANNELS: ClassVar[Mapping[str, ChannelSpec]] = {"state": ChannelSpec(""), "lamp": ChannelSpec("")}
    SAFE_ACTIONS: ClassVar[frozenset[str]] = frozenset({"abort", "lamp-off"})
    HAS_WATCHDOG: ClassVar[bool] = True
    LINK_KIND: ClassVar[str] = "opcua"
    OPTIONS: ClassVar[frozenset[str]] = frozenset({"device", "unit"})
    LONGEST_QUEUEING: ClassVar[float] = _LONGEST_SESSION + _MARGIN
    """A server may carry out a request of a client that has vanished until that client's session has ended."""

    def __init__(self, transport: NodeTransport, settings: Settings, clock: Clock) -> None:
        """Bind `options.unit` of `options.device`; nothing is sent.

        Raises:
            BadInput: The bench file does not name both.
        """
        super().__init__(transport, settings, clock)
        self._paths = _paths(settings)
        self._transport = transport
        self._results = ResultTable(transport, self._paths.results)

    @classmethod
    @override
    def check_settings(cls, settings: Settings) -> None:
        _paths(settings)

    @override
    def identify(self) -> Identity:
        """Get model, serial number and power-up from the DI identification.

        Raises:
            DeviceError: Another model or serial number than the bench file names.
        """
        base = (*self._paths.device, di("Identification"))
        model, serial = (self._optional((*base, di(name))) for name in ("Model", "SerialNumber"))
        firmware = self._optional((*base, di("SoftwareRevision")))
        identity = Identity(model or "", serial, firmware, self._boot_id())
        self._expect("model", identity.model, self._settings.model)
        self._expect("serial number", identity.serial_number, self._settings.serial_number)
        return identity

    def _expect(self, what: str, found: str | None, wanted: str | None) -> None:
        if wanted is not None and found != wanted:
            message = f"{self._settings.name}: {what} {found!r}; the bench file expects {wanted!r}"
            raise DeviceError(message, sent=Sent.NO)

    def _optional(self, path: NodePath) -> str | None:
        if not self._transport.exists(path):
            return None
        value = self._value(path).value
        return str(value) if value not in (None, "") else None

    def _boot_id(self) -> str | None:
        return self._optional((Name("Server", BASE), Name("ServerStatus", BASE), Name("StartTime", BASE)))

    def _value(self, path: NodePath) -> NodeValue:
        return self._transport.read([path])[0]

    @override
    def arm(self) -> None:
        """Set the device's watchdog to the bench file's time and compare the readback."""
        seconds = self._settings.watchdog
        path = (*self._paths.device, Name("WatchdogTimeout"))
        if seconds is None and not self._transport.exists(path):
            return
        self._transport.write(path, float(seconds or 0.0))
        readback = self._value(path)
        if readback.quality == "bad" or readback.value != float(seconds or 0.0):
            message = f"{self._settings.name} took a watchdog of {seconds} s but reads back {readback.value} ({readback.status})"
            raise DeviceError(message, sent=Sent.YES)
        self.refresh()

    @override
    def refresh(self) -> None:
        """Call Kick."""
        if self._settings.watchdog is not None:
            self._transport.call(self._paths.device, Name("Kick"), [])

    @override
    def baseline(self, call: Call) -> Mapping[str, Any]:
        """Get power-up, state, the results there are, and for how long the server remembers this session."""
        now = self._clock.now().wall
        return {
            "boot_id": self._boot_id(),
            "state": self._state(),
            "results": len(self._results.tasks()),
            "active_run": self._active()[1],
            "session": self._transport.session,
            "granted_session": self._transport.granted_session,
            "wall": now.isoformat(),
        }

    @property
    @override
    def _commands(self) -> Mapping[str, Act]:
        return {
            "run_program": self._run_program,
            "lamp_on": lambda _: self._set_lamp(on=True),
            "lamp_off": lambda _: self._set_lamp(on=False),
            "clear": lambda _: self._clear(),
        }

    @property
    @override
    def _safe_actions(self) -> Mapping[str, Callable[[], object]]:
        return {"abort": self._abort, "lamp-off": lambda: self._set_lamp(on=False)}

    def _run_program(self, call: Call) -> Mapping[str, float | str]:
        """Run a program template under our run key, once."""
        template = str(call.arguments["template"])
        self._refuse_unready(template)
        properties = {name: _program_text(value) for name, value in call.arguments.items() if name != "template"}
        self._transport.call(self._paths.state, lads("StartProgram"), _start_arguments(call, template, properties))
        try:
            self._compare_started(call, template)
        except LinkError as error:
            raise LinkError(f"{error}; StartProgram was acknowledged before", sent=Sent.YES) from error
        return dict(call.arguments)

    def _refuse_unready(self, template: str) -> None:
        try:
            offered, state = self._templates(), self._state()
        except InstrumentError as error:
            raise type(error)(f"{error}; the program was not started", sent=Sent.NO) from error
        if template not in offered:
            message = f"{self._settings.name} has no program {template!r}; it offers {', '.join(sorted(offered)) or 'none'}"
            raise DeviceError(message, sent=Sent.NO)
        if state != _STOPPED:
            raise DeviceError(f"{self._settings.name} is {state}; expected Stopped before a program (`clear` leaves Aborted)", sent=Sent.NO)

    def _templates(self) -> frozenset[str]:
        paths = self._transport.objects(self._paths.templates)
        ids = self._transport.read([(*path, lads("DeviceTemplateId")) for path in paths])
        return frozenset(str(value.value) for value in ids if value.quality != "bad" and value.value)

    def _compare_started(self, call: Call, template: str) -> None:
        """Check that the acknowledged program is the one that was asked for, and that it is there at all."""
        _within(_START, lambda: self._state() not in _AT_REST or self._results.find(call.run_key) is not None)
        result = self._results.find(call.run_key)
        active, run_id = self._active()
        state = self._state()
        name = self._settings.name
        if result is None and state != _RUNNING:
            message = f"{name} acknowledged StartProgram {template!r} but is {state} and has no result of task {call.run_key}"
            raise DeviceError(message, sent=Sent.YES)
        started = {result.template} if result is not None else set()
        if state == _RUNNING and (result is None or result.run_id == run_id):
            started.add(active)
        if started - {template}:
            wrong = ", ".join(sorted(started - {template}))
            raise DeviceError(f"{name} acknowledged program {template!r} but runs {wrong!r}", sent=Sent.YES)

    def _active(self) -> tuple[str, str]:
        """Get template and run id of the active program."""
        names = ("CurrentProgramTemplate", "DeviceProgramRunId")
        template, run_id = self._transport.read([(*self._paths.active, lads(name)) for name in names])
        name = template.value.fields["Name"] if isinstance(template.value, Structure) else ""
        return str(name or ""), str(run_id.value or "")

    def _state(self) -> str:
        value = self._value(self._paths.current_state)
        if value.quality == "bad" or not value.value:
            message = f"{self._settings.name} does not say its state: {value.value!r} ({value.status})"
            raise DeviceError(message, sent=Sent.NO)
        return str(value.value)

    def _lamp(self, name: str) -> NodePath:
        return (*self._paths.function("Lamp"), lads(name))

    def _set_lamp(self, *, on: bool) -> Mapping[str, float | str]:
        """Set the lamp, and compare both what the device wants and what is."""
        machine = (*self._paths.function("Lamp"), lads("ControlFunctionState"))
        self._transport.write(self._lamp("TargetValue"), on)
        self._transport.call(machine, lads("Start" if on else "Stop"), [])

        def follows() -> bool:
            target, current = self._transport.read([self._lamp("TargetValue"), self._lamp("CurrentValue")])
            return target.value is on and current.value is on and "bad" not in (target.quality, current.quality)

        if not _within(_FOLLOWS, follows):
            message = f"{self._settings.name} acknowledged lamp {'on' if on else 'off'} but its lamp does not follow"
            raise DeviceError(message, sent=Sent.YES)
        return {}

    def _clear(self) -> Mapping[str, float | str]:
        """Set an aborted unit to Stopped."""
        if self._state() == _ABORTED:
            self._transport.call(self._paths.state, lads("Clear"), [])
        if not _within(_FOLLOWS, lambda: self._state() == _STOPPED):
            raise DeviceError(f"{self._settings.name} is {self._state()} after Clear; expected Stopped", sent=Sent.YES)
        return {}

    @override
    def outcome(self, call: Call, baseline: Mapping[str, Any]) -> Outcome:
        """Get how our program stands.

        The state is read before the result, because a device completes the result before it leaves the state.
        """
        if call.command != "run_program":
            return Outcome(Progress.FINISHED)
        _within(_START, lambda: self._state() not in _AT_REST or self._has_ended(call))
        state = self._state()
        _, run_id = self._active()
        result = self._results.find(call.run_key)
        if result is None:
            return Outcome(Progress.RUNNING) if state == _RUNNING else Outcome(Progress.FAILED, "result-lost")
        return self._outcome_of(call, result, going_on=state == _RUNNING and run_id == result.run_id, state=state)

    def _has_ended(self, call: Call) -> bool:
        result = self._results.find(call.run_key)
        return result is not None and result.stopped is not None

    def _outcome_of(self, call: Call, result: LadsResult, *, going_on: bool, state: str) -> Outcome:
        if result.template != call.arguments["template"]:
            return Outcome(Progress.FAILED, "wrong-template")
        if going_on or (result.stopped is None and state not in _AT_REST):
            return Outcome(Progress.RUNNING)
        if result.stopped is None:
            return Outcome(Progress.FAILED, "interrupted", self._readings(result))
        finished = result.outcome in (None, _COMPLETED)
        return Outcome(Progress.FINISHED if finished else Progress.FAILED, result.outcome or None, self._readings(result))

    def _readings(self, result: LadsResult) -> tuple[Reading, ...]:
        found = self._results.variables(result)
        return tuple(node_reading(self._settings, self._clock, name, value, unit) for name, value, unit in found)

    @override
    def reconcile(self, call: Call, baseline: Mapping[str, Any]) -> Finding:
        """Decide by the result of our task id, the active program, the power-up and the age of the sending session.

        "Not executed" holds once `LONGEST_QUEUEING` has passed since the command; where the server keeps sessions for longer
        than that, it is said only when the granted time is over.
        """
        if call.command != "run_program":
            return self._reconcile_setting(call, baseline)
        state = self._state()
        _, run_id = self._active()
        result = self._results.find(call.run_key)
        evidence = self._evidence(baseline, state, run_id, result)
        if result is not None:
            going_on = state == _RUNNING and run_id == result.run_id
            outcome = self._outcome_of(call, result, going_on=going_on, state=state)
            verdict = StepVerdict.RUNNING if outcome.progress is Progress.RUNNING else StepVerdict.FINISHED
            return Finding(verdict, evidence, outcome)
        return Finding(StepVerdict.NOT_EXECUTED if _unmoved(evidence, baseline) else StepVerdict.UNDECIDABLE, evidence)

    def _evidence(self, baseline: Mapping[str, Any], state: str, run_id: str, result: LadsResult | None) -> dict[str, Any]:
        age = (self._clock.now().wall - datetime.fromisoformat(str(baseline["wall"]))).total_seconds()
        granted = float(baseline.get("granted_session") or 0.0)
        return {
            "boot_id": self._boot_id(),
            "state": state,
            "results": len(self._results.tasks()),
            "active_run": run_id,
            "result": result.run_id if result is not None else None,
            "age": age,
            "session_over": 0.0 < granted + _MARGIN <= age,
            "baseline": dict(baseline),
        }

    def _reconcile_setting(self, call: Call, baseline: Mapping[str, Any]) -> Finding:
        state, lamp = self._state(), self._value(self._lamp("CurrentValue")).value
        done = state == _STOPPED if call.command == "clear" else lamp is (call.command == "lamp_on")
        evidence = {"state": state, "lamp": lamp, "baseline": dict(baseline)}
        return Finding(StepVerdict.FINISHED if done else StepVerdict.NOT_EXECUTED, evidence)

    @override
    def read(self, channels: Sequence[str]) -> tuple[Reading, ...]:
        paths = {"state": self._paths.current_state, "lamp": self._lamp("CurrentValue")}
        for channel in channels:
            channel_spec(self._settings, self.CHANNELS, channel)
        values = self._transport.read([paths[channel] for channel in channels])
        return tuple(node_reading(self._settings, self._clock, channel, value, "") for channel, value in zip(channels, values, strict=True))

    @override
    def cancel(self, call: Call) -> None:
        """Abort our program and clear the unit for the next one; another program, and an abort by others, is left alone."""
        if self._state() != _RUNNING:
            return
        result = self._results.find(call.run_key)
        if result is not None and result.run_id == self._active()[1]:
            self._abort()
            self._clear()

    def _abort(self) -> None:
        """Call Abort unless the unit says that it is at rest already; a refusal counts only while something runs."""
        if self._is_at_rest():
            return
        try:
            self._transport.call(self._paths.state, lads("Abort"), [])
        except DeviceError as error:
            if not self._is_at_rest():
                raise
            logger.info("%s: nothing to abort: %s", self._settings.name, error)
        if not _within(_FOLLOWS, self._is_at_rest):
            raise DeviceError(f"{self._settings.name} acknowledged Abort but does not come to rest", sent=Sent.YES)

    def _is_at_rest(self) -> bool:
        try:
            return self._state() in _AT_REST
        except DeviceError as error:
            logger.warning("%s: state unknown, taken as running: %s", self._settings.name, error)
            return False


def _paths(settings: Settings) -> UnitPaths:
    names = [settings.options.get(key) for key in ("device", "unit")]
    if not all(isinstance(name, str) and name for name in names):
        raise BadInput(f"{settings.name}: a LADS instrument needs `device` and `unit`; got {dict(settings.options)!r}")
    return UnitPaths.of(str(names[0]), str(names[1]))


def _program_text(value: float | str) -> str:
    """Write a property in the one canonical form: a float by its shortest exact decimals."""
    return value if isinstance(value, str) else repr(float(value))


def _start_arguments(call: Call, template: str, properties: Mapping[str, str]) -> list[str | Structures]:
    pairs = [Structure("KeyValueType", {"Key": key, "Value": value}) for key, value in properties.items()]
    sample = {"ContainerId": "", "SampleId": call.run_key, "Position": call.position or "", "CustomData": ""}
    samples = [Structure("SampleInfoType", sample)] if call.position is not None else []
    return [template, Structures(pairs), call.campaign, call.run_key, Structures(samples)]


def _unmoved(evidence: Mapping[str, Any], baseline: Mapping[str, Any]) -> bool:
    """Say whether nothing can have been started since the baseline, nor can be any more."""
    same = all(evidence[key] == baseline.get(key) for key in ("boot_id", "state", "results", "active_run"))
    soon_over = float(baseline.get("granted_session") or 0.0) <= _LONGEST_SESSION or evidence["session_over"]
    return same and evidence["boot_id"] is not None and evidence["state"] == _STOPPED and bool(soon_over)


def _within(limit: float, condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + limit
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(_POLL)
    return True
