"""A driver that a profile declares: its commands, channels and safe actions over one of three engines."""

import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Final, cast

from typing_extensions import override

from instruments.drivers.checks import channel_spec, make_reading, means_no_number
from instruments.drivers.counted import Counted
from instruments.drivers.declared import spec as keys
from instruments.drivers.declared.complaints import lines_of
from instruments.drivers.declared.engine import Engine
from instruments.drivers.declared.lines import LineEngine
from instruments.drivers.declared.nodes import NodeEngine
from instruments.drivers.declared.registers import RegisterEngine
from instruments.drivers.declared.settings import address_of, check_settings, options_of, resolved
from instruments.drivers.device import Act
from instruments.drivers.protocol import ArgumentSpec, Call, ChannelSpec, CommandSpec, Driver, Identity, Limit, Outcome, Progress, Settings
from orchestrator.clock import Clock
from orchestrator.domain.lifecycle import StepKind
from orchestrator.domain.records import Reading
from orchestrator.errors import DeviceError, LimitError, ProtocolError, Sent

_LINKS: Final[Mapping[str, tuple[str, ...]]] = {"line": ("serial", "tcp", "visa"), "modbus": ("serial", "tcp"), "opcua": ("opcua",)}
_DIGITS: Final = re.compile(r"\.(\d+)f")
"""A format with a fixed number of decimals: what is sent is counted in them."""
_READBACKS: Final = 3
"""How often a readback may still show the old value before the device is said to have ignored the new one."""
_BETWEEN: Final = 0.2
"""Wall seconds between two readbacks."""
_GRAIN: Final = 0.5
"""How far a counter of events may be off: it counts whole ones."""


class DeclaredDevice(Counted):
    """One device as a profile declares it."""

    PROFILE: ClassVar[keys.ProfileSpec]

    def __init__(self, transport: Any, settings: Settings, clock: Clock) -> None:
        """Bind it; nothing is sent. BadInput where the bench file lacks what the profile needs."""
        super().__init__(transport, settings, clock)
        self._engine = _engine(self.PROFILE, transport, settings)

    # ----------------------------------------------------------------- what the bench file says

    @classmethod
    @override
    def declared(cls, settings: Settings) -> type[Driver]:
        """Return the driver with the options of the bench file in the place of their names."""
        return declared_driver(resolved(cls.PROFILE, options_of(cls.PROFILE, settings), settings.name))

    @classmethod
    @override
    def check_settings(cls, settings: Settings) -> None:
        check_settings(cls.PROFILE, settings)

    # ----------------------------------------------------------------- who it is, its watchdog

    @override
    def identify(self) -> Identity:
        """Ask the device what it is; without an identity in the profile, only whether it is there.

        Raises:
            DeviceError: Another device than profile or bench file name.
        """
        asked = self.PROFILE.identity
        if asked is None:
            self.read([next(iter(self.CHANNELS))])
            return self.expected(Identity(self.PROFILE.profile.name, None, None, None))
        heard = self._engine.ask(asked, ".*")
        match = re.fullmatch(asked.model, heard.text)
        if match is None:
            message = f"{self._settings.name} says that it is {heard.text!r}; profile {self.PROFILE.profile.name} is for {asked.model}"
            raise DeviceError(message, sent=Sent.NO)
        told = {"model": heard.text.strip(), **match.groupdict()}
        named = {"serial_number": asked.serial_number, "firmware": asked.firmware, "boot_id": asked.boot_id}
        told |= {key: self._text(channel) for key, channel in named.items() if channel is not None}
        return self.expected(Identity(told["model"], told.get("serial_number"), told.get("firmware"), told.get("boot_id")))

    def _text(self, channel: str) -> str | None:
        (reading,) = self.read([channel])
        return reading.text if reading.value is None else f"{reading.value:g}"

    @override
    def arm(self) -> None:
        if self.PROFILE.watchdog is not None and self._settings.watchdog is not None:
            self._engine.act(self.PROFILE.watchdog, {"seconds": self._settings.watchdog})

    @override
    def refresh(self) -> None:
        self.arm()

    # ----------------------------------------------------------------- commands

    @property
    @override
    def _commands(self) -> Mapping[str, Act]:
        return {name: partial(self._carry_out, name) for name in self.PROFILE.commands}

    @property
    @override
    def _safe_actions(self) -> Mapping[str, Callable[[], object]]:
        return {name: partial(self._engine.act, one, {}, bare=True) for name, one in self.PROFILE.safe.items()}

    @override
    def check(self, call: Call) -> None:
        super().check(call)
        for name, argument in self.PROFILE.commands[call.command].argument.items():
            if argument.values and (came := call.arguments.get(name, argument.default)) not in argument.values:
                legal = ", ".join(argument.values)
                raise LimitError(f"{self._settings.name}.{call.command} {name} = {came!r}; expected one of {legal}")

    @override
    def _carry_out(self, name: str, call: Call) -> Mapping[str, float | str]:
        command = self.PROFILE.commands[name]
        values = {key: self._counted(call, key, call.arguments.get(key, one.default or 0.0)) for key, one in command.argument.items()}
        if command.sparing and self._reads_back(command, values):
            return values
        counts = {key: _scaled_down(value, command.argument[key].scale) for key, value in values.items()}
        self._engine.act(command, counts)
        if command.readback is not None:
            self._compare(name, command, values)
        return values

    def _compare(self, name: str, command: keys.CommandSpec, values: Mapping[str, float | str]) -> None:
        for left in reversed(range(_READBACKS)):
            if self._reads_back(command, values):
                return
            time.sleep(_BETWEEN if left else 0.0)
        assert command.readback is not None
        channel = command.readback.channel
        message = f"{self._settings.name} took {name} {dict(values)} but {channel} reads {self._value(channel)!r}"
        raise DeviceError(message, sent=Sent.YES)

    def _reads_back(self, command: keys.CommandSpec, values: Mapping[str, float | str]) -> bool:
        assert command.readback is not None
        wanted = next(iter(values.values())) if command.readback.equals is None else command.readback.equals
        return _is_equal(self._value(command.readback.channel), wanted, command.readback.within)

    def _value(self, channel: str) -> float | str | None:
        (reading,) = self.read([channel])
        return reading.text if reading.text is not None else reading.value

    # ----------------------------------------------------------------- doses

    @override
    def is_busy(self) -> bool:
        return any(not self._is_done(one.done) for one in self.PROFILE.commands.values() if one.done is not None)

    def _is_done(self, done: keys.DoneSpec) -> bool:
        value = self._value(done.channel)
        if value is None:
            raise DeviceError(f"{self._settings.name}: {done.channel} has no value: nobody can say whether the dose is over", sent=Sent.NO)
        return _is_equal(value, done.equals)

    @override
    def outcome(self, call: Call, baseline: Mapping[str, Any]) -> Outcome:
        if self.COMMANDS[call.command].kind is not StepKind.DOSING or call.command in self.COUNTERS:
            return super().outcome(call, baseline)
        return Outcome(Progress.RUNNING) if self.is_busy() else Outcome(Progress.FINISHED, "completed")

    @override
    def cancel(self, call: Call) -> None:
        """End a dose by the safe action that the profile names."""
        if (action := self.PROFILE.commands[call.command].cancel) is not None:
            self.make_safe(action)

    @override
    def _asked(self, call: Call) -> float:
        grows = self.COUNTERS[call.command][1]
        return float(grows) if grows not in self.COMMANDS[call.command].arguments else super()._asked(call)

    @override
    def _tolerance(self, call: Call) -> float:
        grows = self.COUNTERS[call.command][1]
        return _GRAIN if grows not in self.COMMANDS[call.command].arguments else super()._tolerance(call)

    # ----------------------------------------------------------------- reading

    @override
    def read(self, channels: Sequence[str]) -> tuple[Reading, ...]:
        for name in channels:
            channel_spec(self._settings, self.CHANNELS, name)
        return tuple(self._read(name) for name in channels)

    def _read(self, name: str) -> Reading:
        channel = self.PROFILE.channels[name]
        heard = self._engine.ask(channel, *(shape for shape in (channel.reply, channel.bad) if shape is not None))
        if heard.is_bad or (channel.bad is not None and re.fullmatch(channel.bad, heard.text)):
            return make_reading(self._settings, self._clock, name, channel.unit, heard.raw, None, "bad")
        match = re.fullmatch(channel.reply, heard.text) if channel.reply is not None else None
        text: str | None = match["value"] if match else heard.text
        return self._reading(name, heard.raw, self._understood(name, text))

    def _understood(self, name: str, text: str | None) -> float | str:
        channel = self.PROFILE.channels[name]
        if channel.text and text is not None:
            return text
        try:
            number = float(text or "")
            return float("nan") if means_no_number(number) else number * cast("float", channel.scale)
        except ValueError as error:
            message = f"{self._settings.name} answered {text!r} for {name}; expected a number (write text = true where it is a text)"
            raise ProtocolError(message, sent=Sent.YES) from error


# ---------------------------------------------------------------------- classes of drivers


def declared_driver(profile: keys.ProfileSpec) -> type[DeclaredDevice]:
    """Make the driver class of a profile."""
    general = profile.profile
    counters = {name: (one.evidence.channel, str(one.evidence.grows_by)) for name, one in profile.commands.items() if one.evidence}
    attributes: dict[str, Any] = {
        "__doc__": general.about or f"Declared by the profile {general.name}.",
        "__module__": __name__,
        "PROFILE": profile,
        "COMMANDS": {name: _command_spec(one) for name, one in profile.commands.items()},
        "CHANNELS": {name: ChannelSpec(one.unit, _range(one.min, one.max)) for name, one in profile.channels.items()},
        "SAFE_ACTIONS": frozenset(profile.safe),
        "LINKS": _links(profile),
        "OPTIONS": frozenset(profile.options),
        "HAS_WATCHDOG": profile.watchdog is not None,
        "COUNTERS": counters,
    }
    return type(f"Declared[{general.name}]", (DeclaredDevice,), attributes)


def _links(profile: keys.ProfileSpec) -> Collection[str]:
    return ("tcp",) if profile.profile.driver == "modbus" and profile.modbus.frame == "tcp" else _LINKS[profile.profile.driver]


def _command_spec(command: keys.CommandSpec) -> CommandSpec:
    arguments = {name: _argument_spec(command, name, one) for name, one in command.argument.items()}
    return CommandSpec(StepKind(command.kind), arguments)


def _argument_spec(command: keys.CommandSpec, name: str, one: keys.ProfileArgumentSpec) -> ArgumentSpec:
    if one.values:
        return ArgumentSpec(None, default=one.default)
    return ArgumentSpec(one.unit, _range(one.min, one.max), one.default, one.resolution or _grain(command, name, one))


def _range(low: float | None, high: float | None) -> Limit | None:
    if low is None and high is None:
        return None
    return Limit(float("-inf") if low is None else low, float("inf") if high is None else high)


def _grain(command: keys.CommandSpec, name: str, one: keys.ProfileArgumentSpec) -> float | None:
    """Return the steps in which a number is sent; None where it is sent as it is, or the bench file's options say it."""
    if isinstance(one.scale, str):
        return None
    if command.register_ is not None:
        return None if command.type == "float32" else abs(one.scale)
    found = [_DIGITS.search(form) for line in lines_of(command) for form in re.findall(rf"\{{{name}:([^}}]*)\}}", line)]
    digits = [int(one[1]) for one in found if one is not None]
    return abs(one.scale) * 10.0 ** -min(digits) if digits else None


def _engine(profile: keys.ProfileSpec, transport: Any, settings: Settings) -> Engine:
    fields = {"address": address_of(profile, settings), **options_of(profile, settings)}
    if profile.profile.driver == "line":
        return LineEngine(transport, settings.name, profile.line, fields)
    if profile.profile.driver == "modbus":
        return RegisterEngine(transport, settings.name, int(fields["address"]), profile.modbus)
    return NodeEngine(transport, settings.name, fields)


# ---------------------------------------------------------------------- values


def _scaled_down(value: float | str, scale: float | str) -> float | str:
    return value if isinstance(value, str) else value / cast("float", scale)


def _is_equal(value: float | str | None, wanted: float | str, within: float = 0.0) -> bool:
    if isinstance(value, str) or isinstance(wanted, str) or value is None:
        return value is not None and str(value) == str(wanted)
    return abs(value - wanted) <= within + 1e-9 * abs(wanted)
