"""What the drivers of all devices do alike: settings, limits, checks before the wire, commands and safe actions by name."""

from collections.abc import Callable, Mapping
from typing import Final, Literal

from typing_extensions import override

from instruments.drivers.checks import channel_spec, check_number, command_spec, legal_range, make_reading
from instruments.drivers.protocol import ArgumentSpec, Call, Driver, Limit, Settings
from instruments.transport.base import Transport
from orchestrator.clock import Clock
from orchestrator.domain.records import Reading
from orchestrator.errors import BadInput

Act = Callable[[Call], Mapping[str, float | str]]
"""Carries out a command and returns what was sent."""
_FURTHER: Final = ArgumentSpec(None)
"""An argument that a command does not name, where it takes further ones."""


class Device(Driver):
    """One device behind one transport."""

    def __init__(self, transport: Transport, settings: Settings, clock: Clock) -> None:
        self._wire = transport
        self._settings = settings
        self._clock = clock

    @property
    @override
    def settings(self) -> Settings:
        return self._settings

    @property
    def _commands(self) -> Mapping[str, Act]:
        """How each of COMMANDS is carried out."""
        raise NotImplementedError

    @property
    def _safe_actions(self) -> Mapping[str, Callable[[], object]]:
        """How each of SAFE_ACTIONS is carried out."""
        raise NotImplementedError

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

    def _reading(self, channel: str, raw: bytes, value: float | str, quality: Literal["good", "bad"] = "good") -> Reading:
        unit = channel_spec(self._settings, self.CHANNELS, channel).unit
        return make_reading(self._settings, self._clock, channel, unit, raw, value, quality)

    @override
    def make_safe(self, action: str) -> None:
        actions = self._safe_actions
        if action not in actions:
            raise BadInput(f"{self._settings.name} has no safe action {action!r}; it has {', '.join(sorted(actions))}")
        actions[action]()

    @override
    def close(self) -> None:
        self._wire.close()
