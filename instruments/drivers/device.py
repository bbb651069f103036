"""What the drivers of all devices do alike: settings, limits, checks before the link, commands and safe actions by name.

A driver marks its methods (`instruments.drivers.marks`) and adds what its device can tell: `identify`, and for doses and
programs `outcome`, `cancel` and whatever evidence `baseline` and `reconcile` can have.
"""

import inspect
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Final, Literal

from typing_extensions import override

from instruments.drivers.checks import channel_spec, check_number, command_spec, legal_range, make_reading
from instruments.drivers.marks import Marked, marks_of
from instruments.drivers.promises import PROMISED, channel_value, keeping, sent_value
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
from orchestrator.clock import Clock
from orchestrator.domain.lifecycle import StepKind
from orchestrator.domain.records import Reading
from orchestrator.errors import BadInput, DeviceError, Sent
from orchestrator.safety import lies_within

logger = logging.getLogger(__name__)

Act = Callable[[Call], Mapping[str, float | str]]
"""Carries out a command and returns what was sent."""
_FURTHER: Final = ArgumentSpec(None)
"""An argument that a command does not name, where it takes further ones."""
COARSE: Final = 0.01
"""Relative rounding by a device's number format from which on a warning is logged."""


class Device(Driver):
    """One device behind one link."""

    COMMANDS: ClassVar[Mapping[str, CommandSpec]] = {}
    CHANNELS: ClassVar[Mapping[str, ChannelSpec]] = {}
    SAFE_ACTIONS: ClassVar[frozenset[str]] = frozenset()
    LINKS: ClassVar[Collection[str]] = ("serial",)
    HAS_WATCHDOG: ClassVar[bool] = False
    LONGEST_QUEUEING: ClassVar[float] = 0.0
    _MARKED: ClassVar[Mapping[str, Marked]] = {}

    @override
    def __init_subclass__(cls) -> None:
        """Read the class's commands, channels and safe actions off its methods.

        Raises:
            BadInput: A dose or a program whose end the class cannot tell.
        """
        super().__init_subclass__()
        for name, promised in PROMISED.items():
            if inspect.isfunction(own := vars(cls).get(name)):
                setattr(cls, name, keeping(own, promised))
        cls._MARKED = marks_of(cls)
        marked = {name: one.command for name, one in cls._MARKED.items() if one.command}
        cls.COMMANDS = {**cls.COMMANDS, **marked, **vars(cls).get("COMMANDS", {})}  # what the class itself says holds
        channels = {name: one.channel for name, one in cls._MARKED.items() if one.channel}
        cls.CHANNELS = {**cls.CHANNELS, **channels, **vars(cls).get("CHANNELS", {})}
        cls.SAFE_ACTIONS = cls.SAFE_ACTIONS | {name for name, one in cls._MARKED.items() if one.is_safe}
        once = [name for name, one in cls.COMMANDS.items() if one.kind in (StepKind.DOSING, StepKind.PROGRAM)]
        for needed, own, base in (("outcome", cls.outcome, Device.outcome), ("cancel", cls.cancel, Device.cancel)):
            if once and own is base:
                raise BadInput(f"{cls.__name__} has the {cls.COMMANDS[once[0]].kind} command {once[0]!r} but no method {needed!r}")

    def __init__(self, transport: Any, settings: Settings, clock: Clock) -> None:
        """Bind the device; nothing is sent.

        Args:
            transport: The open link; None for a driver that opens its device itself.
            settings: What the bench file says of it.
            clock: The lab's.
        """
        self._wire = transport
        self._settings = settings
        self._clock = clock
        self._heard = b""
        """The bytes that the channel in hand is read from."""

    @property
    @override
    def settings(self) -> Settings:
        return self._settings

    @property
    def link(self) -> Any:
        """The open link; None for a driver that opens its device itself."""
        return self._wire

    # ----------------------------------------------------------------- who it is, its watchdog

    def expected(self, identity: Identity) -> Identity:
        """Return an identity that is the one of the bench file.

        Raises:
            DeviceError: Another model or serial number.
        """
        wanted = {"model": self._settings.model, "serial number": self._settings.serial_number}
        for what, found in (("model", identity.model), ("serial number", identity.serial_number)):
            if wanted[what] is not None and found != wanted[what]:
                message = f"{self._settings.name}: {what} {found or 'none'}; the bench file expects {wanted[what]}"
                raise DeviceError(message, sent=Sent.NO)
        return identity

    @override
    def arm(self) -> None:
        """Do nothing: without a watchdog there is nothing to arm."""

    @override
    def refresh(self) -> None:
        """Do nothing: without a watchdog there is nothing to refresh."""

    # ----------------------------------------------------------------- commands

    @property
    def _commands(self) -> Mapping[str, Act]:
        """How each of COMMANDS is carried out."""
        return {name: partial(self._carry_out, name) for name, one in self._MARKED.items() if one.command}

    @property
    def _safe_actions(self) -> Mapping[str, Callable[[], object]]:
        """How each of SAFE_ACTIONS is carried out."""
        return {name: partial(one.method, self) for name, one in self._MARKED.items() if one.is_safe}

    def _device_range(self, argument: str) -> Limit | None:
        """Get the range that the device itself was configured with; None where it tells none."""
        del argument
        return None

    @override
    def limit(self, command: str, argument: str) -> Limit | None:
        spec = self.COMMANDS.get(command)
        return legal_range(self._settings, spec.arguments.get(argument) if spec else None, argument, self._device_range(argument))

    @override
    def check(self, call: Call) -> None:
        spec = command_spec(self._settings, self.COMMANDS, call)
        for name, value in call.arguments.items():
            unit = spec.arguments.get(name, _FURTHER).unit
            if unit is not None or not isinstance(value, str):
                check_number(f"{self._settings.name}.{call.command} {name}", value, unit or "", self.limit(call.command, name))

    @override
    def perform(self, call: Call) -> Mapping[str, float | str]:
        self.check(call)
        return self._commands[call.command](call)

    def _carry_out(self, name: str, call: Call) -> Mapping[str, float | str]:
        """Call the method of a command with values that the device can count."""
        specs = self.COMMANDS[name].arguments
        defaults = {argument: spec.default for argument, spec in specs.items() if spec.default is not None}
        values = {**defaults, **call.arguments}
        arguments = {argument: self._counted(call, argument, values[argument]) for argument in specs}
        sent = self._MARKED[name].method(self, **arguments)
        if not isinstance(sent, Mapping):
            return arguments
        try:
            return {str(argument): sent_value(value) for argument, value in sent.items()}
        except ValueError as error:
            raise DeviceError(f"{self._settings.name}: command {name} of its driver {error}", sent=Sent.YES) from error

    def _counted(self, call: Call, argument: str, value: float | str) -> float | str:
        """Round a number to the device's resolution; checked again, since the nearest step may lie outside."""
        grain = self.COMMANDS[call.command].arguments[argument].resolution
        if grain is None or isinstance(value, str):
            return value
        nearest = round(value / grain) * grain
        what = f"{self._settings.name}.{call.command} {argument}"
        unit = self.COMMANDS[call.command].arguments[argument].unit or ""
        check_number(f"{what} = {value:g} counted in {grain:g}", nearest, unit, self.limit(call.command, argument))
        if abs(nearest - value) > COARSE * abs(value):
            logger.warning("%s %g is sent as %g, the device's nearest number", what, value, nearest)
        return nearest

    @override
    def baseline(self, call: Call) -> Mapping[str, Any]:
        return {"wall": self._clock.now().wall.isoformat()}

    @override
    def outcome(self, call: Call, baseline: Mapping[str, Any]) -> Outcome:
        """Say that a setting is done once it is sent."""
        return Outcome(Progress.FINISHED)

    @override
    def reconcile(self, call: Call, baseline: Mapping[str, Any]) -> Finding:
        """Let a setting be sent again; without evidence nobody can say what became of anything else."""
        repeatable = self.COMMANDS[call.command].kind is StepKind.STATE_SETTING
        return Finding(StepVerdict.NOT_EXECUTED if repeatable else StepVerdict.UNDECIDABLE, {"baseline": dict(baseline)})

    @override
    def cancel(self, call: Call) -> None:
        """Do nothing: a setting does not go on by itself."""

    # ----------------------------------------------------------------- reading

    @override
    def read(self, channels: Sequence[str]) -> tuple[Reading, ...]:
        return tuple(self._read_marked(name) for name in channels)

    def _read_marked(self, name: str) -> Reading:
        channel_spec(self._settings, self.CHANNELS, name)
        self._heard = b""
        told = self._MARKED[name].method(self)
        try:
            value = channel_value(told, self.CHANNELS[name].unit)
        except ValueError as error:
            raise DeviceError(f"{self._settings.name}: channel {name} of its driver {error}", sent=Sent.YES) from error
        return self._reading(name, self._heard or repr(told).encode(), value)

    def _reading(
        self, channel: str, raw: bytes, value: float | str | tuple[float, ...], quality: Literal["good", "bad"] = "good"
    ) -> Reading:
        spec = channel_spec(self._settings, self.CHANNELS, channel)
        if spec.range is not None and isinstance(value, int | float) and not lies_within(value, spec.range.low, spec.range.high):
            value = float("nan")
        return make_reading(self._settings, self._clock, channel, spec.unit, raw, value, quality)

    # ----------------------------------------------------------------- the safe state, the end

    @override
    def make_safe(self, action: str) -> None:
        actions = self._safe_actions
        if action not in actions:
            raise BadInput(f"{self._settings.name} has no safe action {action!r}; it has {', '.join(sorted(actions))}")
        actions[action]()

    @override
    def close(self) -> None:
        if self._wire is not None:
            self._wire.close()
