"""Checks of calls against a driver's commands and limits, and readings: what all drivers do alike."""

import hashlib
import math
from collections.abc import Mapping
from typing import Literal

from instruments.drivers.protocol import ArgumentSpec, Call, ChannelSpec, CommandSpec, Limit, Settings
from orchestrator.clock import Clock
from orchestrator.domain.records import Reading
from orchestrator.errors import BadInput, LimitError
from orchestrator.safety import lies_within


def legal_range(settings: Settings, spec: ArgumentSpec | None, argument: str, device: Limit | None = None) -> Limit | None:
    """Intersect the ranges of bench file, datasheet and device; None when none of them sets one."""
    legal: Limit | None = None
    for limit in (settings.limits.get(argument), spec.limit if spec else None, device):
        if limit is not None:
            legal = limit if legal is None else legal.intersect(limit)
    return legal


def command_spec(settings: Settings, commands: Mapping[str, CommandSpec], call: Call) -> CommandSpec:
    """Look a call's command up and check the names of its arguments.

    Raises:
        LimitError: The command or an argument is unknown, or an argument is missing.
    """
    spec = commands.get(call.command)
    if spec is None:
        raise LimitError(f"{settings.name} has no command {call.command!r}; it has {', '.join(sorted(commands))}")
    unknown = sorted(set(call.arguments) - set(spec.arguments))
    if unknown and not spec.open_arguments:
        expected = ", ".join(spec.arguments) or "none"
        raise LimitError(f"{settings.name}.{call.command} has no argument {unknown[0]!r}; expected {expected}")
    for name, argument in spec.arguments.items():
        if name not in call.arguments and argument.default is None:
            raise LimitError(f"{settings.name}.{call.command} needs the argument {name!r}")
        if argument.choices and (came := call.arguments.get(name, argument.default)) not in argument.choices:
            raise LimitError(f"{settings.name}.{call.command} {name} = {came!r}; expected {' or '.join(argument.choices)}")
    return spec


def check_number(what: str, value: float | str, unit: str, limit: Limit | None) -> float:
    """Check one numeric argument.

    Raises:
        LimitError: Not a finite number, or outside its limits.
    """
    if isinstance(value, bool | str) or not math.isfinite(value):
        raise LimitError(f"{what} = {value!r} is not a finite number in {unit or '1'}")
    if limit is not None and not lies_within(value, limit.low, limit.high):
        allowed = f"{limit.low:g} to {limit.high:g} {unit}".rstrip() if limit.low <= limit.high else "nothing (limits contradict)"
        raise LimitError(f"{what} = {value:g} {unit}".rstrip() + f"; allowed {allowed}")
    return float(value)


def channel_spec(settings: Settings, channels: Mapping[str, ChannelSpec], channel: str) -> ChannelSpec:
    """Look a channel up.

    Raises:
        BadInput: There is none of this name.
    """
    spec = channels.get(channel)
    if spec is None:
        raise BadInput(f"{settings.name} has no channel {channel!r}; it has {', '.join(sorted(channels))}")
    return spec


def make_reading(
    settings: Settings,
    clock: Clock,
    channel: str,
    unit: str,
    raw: bytes,
    value: float | str | tuple[float, ...] | None,
    quality: Literal["good", "uncertain", "bad"] = "good",
) -> Reading:
    """Bind a value to the bytes that it was read from and to this moment; a number that is not finite is bad."""
    now = clock.now()
    number = float(value) if isinstance(value, int | float) else None
    finite = number is None or math.isfinite(number)
    return Reading(
        step=0,
        instrument=settings.name,
        channel=channel,
        unit=unit,
        quality=quality if finite else "bad",
        wall=now.wall,
        lab=now.lab,
        value=number if finite else None,
        array=value if isinstance(value, tuple) else None,
        text=value if isinstance(value, str) else None,
        raw=raw,
        sha256=hashlib.sha256(raw).hexdigest(),
    )
