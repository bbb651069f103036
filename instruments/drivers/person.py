"""A person as an instrument: the run waits for what they bring back, and nothing is sent anywhere."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from typing_extensions import override

from instruments.drivers.device import Device
from instruments.drivers.marks import safe
from instruments.drivers.protocol import (
    ArgumentSpec,
    Call,
    ChannelSpec,
    CommandSpec,
    DeclaredCall,
    Driver,
    Identity,
    ReturnSpec,
    Settings,
)
from orchestrator.domain.lifecycle import StepKind
from orchestrator.domain.records import Reading
from orchestrator.domain.work import WantedValue, WorkOrder
from orchestrator.errors import BadInput, DeviceError, Sent

_FIELD: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_NAME: Final = "name"


class PersonDriver(Device):
    """Somebody who is asked to do what `calls` say: `athanor work` and Prefect's page show what waits, and take the answer.

    The answer's values are readings of the channels that `returns` declare. The bench does other runs meanwhile.
    """

    LINKS = ()
    OPTIONS = frozenset({_NAME})
    CALL_KEYS = frozenset({"instructions"})
    HAS_STATE: ClassVar[bool] = False

    @classmethod
    @override
    def declared(cls, settings: Settings) -> type[Driver]:
        """Return the driver with the calls that the bench file declares.

        Raises:
            BadInput: No call, one without instructions, or instructions with a name that is no argument.
        """
        what = f"instrument {settings.name}"
        if settings.functions:
            raise BadInput(f"{what}: a person has no functions; calls says what a person is asked to do")
        if not settings.calls:
            raise BadInput(f"{what}: what is the person asked to do? expected a table [instruments.{settings.name}.calls.NAME]")
        person = _named(settings)
        commands = {name: _command(f"{what}, calls.{name}", call, person) for name, call in settings.calls.items()}
        return type(cls.__name__, (cls,), {"COMMANDS": commands, "CHANNELS": _channels(what, settings.calls)})

    @override
    def identify(self) -> Identity:
        return Identity("person", None, None, None)

    @override
    def check(self, call: Call) -> None:
        """Check nothing: nothing is sent."""

    @override
    def baseline(self, call: Call) -> Mapping[str, Any]:
        return {}

    @override
    def perform(self, call: Call) -> Mapping[str, float | str]:
        raise DeviceError(f"{self.settings.name} is a person: no program can carry {call.command} out", sent=Sent.NO)

    @safe
    def end(self) -> None:
        """Do nothing: a bench is no less safe for a person who has been asked."""

    @override
    def read(self, channels: Sequence[str]) -> tuple[Reading, ...]:
        raise DeviceError(f"{self.settings.name} is a person: {', '.join(channels)} comes with the answer and cannot be read", sent=Sent.NO)


def _named(settings: Settings) -> str | None:
    name = settings.options.get(_NAME)
    if name is not None and (not isinstance(name, str) or not name.strip()):
        raise BadInput(f"instrument {settings.name}, options.name = {name!r}; expected a person's name")
    return name.strip() if isinstance(name, str) else None


def _command(what: str, call: DeclaredCall, person: str | None) -> CommandSpec:
    if call.instructions is None:
        raise BadInput(f"{what}: instructions are missing; expected what the person is to do")
    if strangers := sorted(set(_FIELD.findall(call.instructions)) - set(call.arguments)):
        legal = ", ".join(f"{{{name}}}" for name in call.arguments) or "none"
        raise BadInput(f"{what}, instructions: {{{strangers[0]}}} is no argument; legal: {legal}")
    values = [_wanted(name, one) for name, one in call.returns.items()]
    return CommandSpec(StepKind.PERSON, call.arguments, work=WorkOrder(instructions=call.instructions, person=person, values=tuple(values)))


def _wanted(name: str, returned: ReturnSpec) -> WantedValue:
    if returned.limit is None:
        return WantedValue(name=name, unit=returned.unit)
    low, high = (one if math.isfinite(one) else None for one in (returned.limit.low, returned.limit.high))
    return WantedValue(name=name, unit=returned.unit, low=low, high=high)


def _channels(what: str, calls: Mapping[str, DeclaredCall]) -> dict[str, ChannelSpec]:
    channels: dict[str, ChannelSpec] = {}
    for name, call in calls.items():
        for returned, one in call.returns.items():
            spec = ChannelSpec(one.unit or "")
            if channels.setdefault(returned, spec) != spec:
                before = channels[returned].unit or "1"
                raise BadInput(f"{what}, calls.{name}, returns.{returned}: unit {spec.unit or '1'}; another call returns it in {before}")
    return channels


def order_for(command: CommandSpec, arguments: Mapping[str, float | str]) -> WorkOrder | None:
    """Return what a person is asked at these arguments, each written with its unit; None for a command of a device.

    Args:
        command: Of the driver.
        arguments: Their values, in the command's units.
    """
    if command.work is None:
        return None
    shown = {name: _shown(value, command.arguments.get(name)) for name, value in arguments.items()}
    return command.work.evolve(instructions=_FIELD.sub(lambda found: shown[found[1]], command.work.instructions))


def _shown(value: float | str, spec: ArgumentSpec | None) -> str:
    """Write a value as people read it: five digits are what a good balance shows."""
    return value if isinstance(value, str) else f"{value:.5g} {spec.unit or '' if spec is not None else ''}".rstrip()
