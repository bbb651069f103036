"""Devices that follow LADS (OPC 30500-1): programs started under our run key, results adopted by it, functions as declared.

Met in the field and guarded against: a device that replaces an unknown template by its first one and acknowledges; run
ids of one-second resolution; methods that are declared and do not work; states in the operator's language; optional
members that are not there. So the template is looked up before and compared after, a run is known by the SupervisoryTaskId
alone, and "done" is what the result object says together with the state.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, Final

from typing_extensions import override

from instruments.drivers.checks import channel_spec
from instruments.drivers.device import Act, Device
from instruments.drivers.functions import Function, FunctionKind
from instruments.drivers.lads_comparing import compare
from instruments.drivers.lads_function_nodes import FunctionNodes
from instruments.drivers.lads_functions import UnitFunction
from instruments.drivers.lads_kinds import functions_of
from instruments.drivers.lads_lock import UnitLock
from instruments.drivers.lads_paths import UnitPaths, di
from instruments.drivers.lads_results import node_reading
from instruments.drivers.lads_runs import LONGEST_SESSION, MARGIN, ProgramRuns, told_as
from instruments.drivers.lads_states import STOPPED
from instruments.drivers.protocol import (
    ArgumentSpec,
    Call,
    ChannelSpec,
    CommandSpec,
    Driver,
    Finding,
    Identity,
    Limit,
    Outcome,
    Progress,
    Settings,
    StepVerdict,
)
from instruments.transport.base import Name, NodeTransport
from orchestrator.clock import Clock
from orchestrator.domain.lifecycle import StepKind
from orchestrator.domain.records import Reading
from orchestrator.errors import BadInput, DeviceError, InstrumentError, Sent

logger = logging.getLogger(__name__)

_PLATFORM: Final = "urn:athanor:platform"
"""Namespace of the one vendor whose nodes have the names below where the bench file gives none."""
_VENDOR_NODES: Final = {"watchdog_node": "WatchdogTimeout", "watchdog_method": "Kick", "outcome": "Outcome"}
_LAMP: Final = {"lamp": Function(("Lamp",), FunctionKind.TWO_STATE_CONTROL, implied=True)}
"""What a bench file declares that declares no functions: in the days of such files every unit had this one."""


class LadsUnit(Device):
    """One functional unit of a LADS device: its programs, and the functions that `functions` of a bench file declares of it."""

    COMMANDS: ClassVar[Mapping[str, CommandSpec]] = {
        "run_program": CommandSpec(StepKind.PROGRAM, {"template": ArgumentSpec(None)}, open_arguments=True),
        "clear": CommandSpec(StepKind.STATE_SETTING),
    }
    CHANNELS: ClassVar[Mapping[str, ChannelSpec]] = {"state": ChannelSpec("")}
    SAFE_ACTIONS: ClassVar[frozenset[str]] = frozenset({"abort"})
    HAS_WATCHDOG: ClassVar[bool] = True
    LINKS: ClassVar[Collection[str]] = ("opcua",)
    OPTIONS: ClassVar[frozenset[str]] = frozenset({"device", "unit", *_VENDOR_NODES})
    LONGEST_QUEUEING: ClassVar[float] = LONGEST_SESSION + MARGIN
    """A server may carry out a request of a client that has vanished until that client's session has ended."""
    FUNCTIONS: ClassVar[Mapping[str, UnitFunction]] = {}
    """The declared functions by their names in the bench file."""

    def __init__(self, transport: NodeTransport, settings: Settings, clock: Clock) -> None:
        """Bind `options.unit` of `options.device`; nothing is sent.

        Raises:
            BadInput: The bench file does not name both.
        """
        super().__init__(transport, settings, clock)
        self._transport = transport
        self._paths = _paths(settings)
        self._runs = ProgramRuns(transport, self._paths, settings, clock, self._vendor("outcome"))
        self._lock = UnitLock(transport, self._paths.unit, settings.name)
        self._nodes = {
            name: FunctionNodes(transport, self._paths.function(one.place), f"{settings.name}.{name}", one.mode)
            for name, one in self.FUNCTIONS.items()
        }
        self._ranges: Mapping[str, Limit] = {}

    @classmethod
    @override
    def declared(cls, settings: Settings) -> type[Driver]:
        functions = functions_of(settings.name, settings.functions or _LAMP)
        commands = {name: spec for one in functions.values() for name, spec in one.commands.items()}
        channels = {name: spec for one in functions.values() for name, spec in one.channels.items()}
        if taken := sorted({*commands, *channels} & {*cls.COMMANDS, *cls.CHANNELS}):
            raise BadInput(f"instrument {settings.name}: a function offers {taken[0]!r}, which every unit has; expected another name")
        members = {
            "COMMANDS": {**cls.COMMANDS, **commands},
            "CHANNELS": {**cls.CHANNELS, **channels},
            "SAFE_ACTIONS": cls.SAFE_ACTIONS.union(*(one.safe_actions for one in functions.values())),
            "FUNCTIONS": functions,
            "__doc__": cls.__doc__,
            "__module__": cls.__module__,
        }
        return type(cls.__name__, (cls,), members)

    @classmethod
    @override
    def check_settings(cls, settings: Settings) -> None:
        _paths(settings)

    def _vendor(self, option: str) -> Name:
        """Name a vendor's node: as the bench file says, else as the one vendor has it who had it before there were such options."""
        named = self._settings.options.get(option)
        return Name(str(named)) if named else Name(_VENDOR_NODES[option], _PLATFORM)

    # ----------------------------------------------------------------- who it is

    @override
    def identify(self) -> Identity:
        """Get what the device is, and compare the declared functions with it.

        Raises:
            DeviceError: Another model or serial number than the bench file names, or other functions than it declares.
        """
        names = ("Model", "SerialNumber", "SoftwareRevision")
        places = (self._paths.device, (*self._paths.device, di("Identification")))
        values = self._transport.look([(*place, di(name)) for place in places for name in names])
        told = [str(one.value) if one is not None and one.quality != "bad" and one.value not in (None, "") else None for one in values]
        model, serial, firmware = (own or other for own, other in zip(told[:3], told[3:], strict=True))
        identity = Identity(model or "", serial, firmware, self._runs.boot_id())
        self._expect("model", identity.model, self._settings.model)
        self._expect("serial number", identity.serial_number, self._settings.serial_number)
        self._ranges = compare(self._transport, self._paths, self.FUNCTIONS, self._settings)
        return identity

    def _expect(self, what: str, found: str | None, wanted: str | None) -> None:
        if wanted is not None and found != wanted:
            message = f"{self._settings.name}: {what} {found!r}; the bench file expects {wanted!r}"
            raise DeviceError(message, sent=Sent.NO)

    @override
    def _device_range(self, argument: str) -> Limit | None:
        return self._ranges.get(argument)

    # ----------------------------------------------------------------- watchdog and lock

    @override
    def arm(self) -> None:
        """Lock the unit, set the device's watchdog to the bench file's time and compare the readback."""
        self._lock.hold()
        seconds = self._settings.watchdog
        path = (*self._paths.device, self._vendor("watchdog_node"))
        if not self._transport.exists(path):
            self._refuse_watchdog(path[-1].name)
            return
        self._transport.write(path, float(seconds or 0.0))
        (readback,) = self._transport.read([path])
        if readback.quality == "bad" or readback.value != float(seconds or 0.0):
            message = f"{self._settings.name} took a watchdog of {seconds} s but reads back {readback.value} ({readback.status})"
            raise DeviceError(message, sent=Sent.YES)
        self.refresh()

    def _refuse_watchdog(self, node: str) -> None:
        if self._settings.watchdog is not None:
            message = (
                f"{self._settings.name}: the device has no node {node!r} for a watchdog of {self._settings.watchdog:g} s; "
                "expected its name in options.watchdog_node, or no watchdog"
            )
            raise DeviceError(message, sent=Sent.NO)

    @override
    def refresh(self) -> None:
        """Feed the device's watchdog, and renew the lock."""
        if self._settings.watchdog is not None:
            self._transport.call(self._paths.device, self._vendor("watchdog_method"), {})
        self._lock.hold()

    # ----------------------------------------------------------------- commands

    @override
    def perform(self, call: Call) -> Mapping[str, float | str]:
        self.check(call)
        try:
            self._lock.hold()
        except InstrumentError as error:
            raise told_as(error, f"{error}; {call.command} was not sent", Sent.NO) from error
        return self._commands[call.command](call)

    @property
    @override
    def _commands(self) -> Mapping[str, Act]:
        functions = {command: self._performing(name) for name, one in self.FUNCTIONS.items() for command in one.commands}
        return {"run_program": self._runs.start, "clear": self._clear, **functions}

    def _clear(self, call: Call) -> Mapping[str, float | str]:
        self._runs.clear()
        return dict(call.arguments)

    def _performing(self, name: str) -> Act:
        return lambda call: self.FUNCTIONS[name].perform(self._nodes[name], call)

    @property
    @override
    def _safe_actions(self) -> Mapping[str, Callable[[], object]]:
        functions = {action: self._making_safe(name, action) for name, one in self.FUNCTIONS.items() for action in one.safe_actions}
        return {"abort": self._runs.abort, **functions}

    def _making_safe(self, name: str, action: str) -> Callable[[], object]:
        return lambda: self.FUNCTIONS[name].make_safe(self._nodes[name], action)

    # ----------------------------------------------------------------- what has become of it

    @override
    def outcome(self, call: Call, baseline: Mapping[str, Any]) -> Outcome:
        if call.command != "run_program":
            return Outcome(Progress.FINISHED)
        try:
            self._lock.hold()
        except DeviceError as error:  # whoever took it: what our program has brought is read all the same
            logger.warning("%s: %s", self._settings.name, error)
        return self._runs.outcome(call, baseline)

    @override
    def baseline(self, call: Call) -> Mapping[str, Any]:
        return self._runs.baseline()

    @override
    def reconcile(self, call: Call, baseline: Mapping[str, Any]) -> Finding:
        return self._runs.reconcile(call, baseline) if call.command == "run_program" else self._reconcile_setting(call, baseline)

    @override
    def cancel(self, call: Call) -> None:
        self._runs.cancel(call)

    def _reconcile_setting(self, call: Call, baseline: Mapping[str, Any]) -> Finding:
        function = next((name for name, one in self.FUNCTIONS.items() if call.command in one.commands), None)
        state = self._runs.state()
        done = state == STOPPED if function is None else self.FUNCTIONS[function].is_done(self._nodes[function], call)
        evidence = {"state": state, "done": done, "baseline": dict(baseline)}
        return Finding(StepVerdict.FINISHED if done else StepVerdict.NOT_EXECUTED, evidence)

    @override
    def read(self, channels: Sequence[str]) -> tuple[Reading, ...]:
        return tuple(self._read(channel) for channel in channels)

    def _read(self, channel: str) -> Reading:
        unit = channel_spec(self._settings, self.CHANNELS, channel).unit
        name = next((name for name, one in self.FUNCTIONS.items() if channel in one.channels), None)
        if name is None:
            value, said = self._runs.machine.reading(self._settings.name)
            return node_reading(self._settings, self._clock, channel, value, unit, said)
        found, means = self.FUNCTIONS[name].read(self._nodes[name], channel)
        return node_reading(self._settings, self._clock, channel, found, unit, means)


def _paths(settings: Settings) -> UnitPaths:
    names = [settings.options.get(key) for key in ("device", "unit")]
    if not all(isinstance(name, str) and name for name in names):
        raise BadInput(f"{settings.name}: a LADS instrument needs `device` and `unit`; got {dict(settings.options)!r}")
    return UnitPaths.of(str(names[0]), str(names[1]))
