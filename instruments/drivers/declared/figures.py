"""What is wrong with the numbers and texts of a profile: what would be sent wrongly, never sent, or never be equal."""

import re
from collections.abc import Iterator, Mapping
from string import Formatter
from typing import Final

from instruments.drivers.declared.engine import value_of
from instruments.drivers.declared.registers import SIZES, registers_of
from instruments.drivers.declared.spec import (
    OF_REGISTERS,
    ActSpec,
    CommandSpec,
    ProfileArgumentSpec,
    ProfileChannelSpec,
    ProfileSpec,
    WatchdogSpec,
)

_TOLD: Final = frozenset({"model", "serial_number", "firmware", "boot_id"})
"""Groups of an identity's pattern."""
_FORM: Final = re.compile(r"[+ -]?0?\d{0,2}(\.\d{1,2}f|\.(0?[2-9]|[1-9]\d)[eE]|\.(0?[3-9]|[1-9]\d)[gG])?")
"""How a number may be written: as it is, with fixed decimals, or with at least three digits: fewer would be another number."""
_LAST_REGISTER: Final = 0xFFFF


def complaints_of_figures(spec: ProfileSpec) -> Iterator[str]:
    """Iterate over all that is wrong, each a line that begins with the place."""
    for name, channel in spec.channels.items():
        yield from _of_channel(f"channels.{name}", channel)
    for name, command in spec.commands.items():
        yield from _of_command(spec, f"commands.{name}", command)
        for key, argument in command.argument.items():
            yield from _of_argument(f"commands.{name}.argument.{key}", key, argument, set(spec.options))
    if spec.watchdog is not None and spec.watchdog.min > spec.watchdog.max:
        yield f"watchdog: min = {spec.watchdog.min:g}, max = {spec.watchdog.max:g}; expected min below max"
    if spec.identity is not None and (strange := sorted(set(re.compile(spec.identity.model).groupindex) - _TOLD)):
        yield f"identity.model: unknown group {strange[0]!r}; legal: {', '.join(sorted(_TOLD))}"
    if taken := sorted({"address", "sequence", "seconds"} & set(spec.options)):
        yield f"options.{taken[0]}: {taken[0]} is what lines call something else; expected another name"
    for where, act in spec.acts().items():
        yield from _wrong_forms(f"{where}.send", act)
    if spec.profile.driver == "line":
        yield from _of_lines(spec)
    if spec.profile.driver == "modbus":
        yield from _of_registers(spec)


def _of_channel(where: str, channel: ProfileChannelSpec) -> Iterator[str]:
    if channel.scale == 0:
        yield f"{where}: scale = 0 makes every value 0; expected another number"
    if channel.text and channel.model_fields_set & {"min", "max", "scale"}:
        yield f"{where}: min, max and scale belong to a number; it is a text"
    if channel.min is not None and channel.max is not None and channel.min >= channel.max:
        yield f"{where}: min = {channel.min:g}, max = {channel.max:g}; expected min below max"


def _of_argument(where: str, name: str, argument: ProfileArgumentSpec, options: set[str]) -> Iterator[str]:
    if argument.scale == 0:
        yield f"{where}: scale = 0; what is sent is divided by it"
    if name in {"address", "sequence", "seconds"} | options:
        yield f"{where}: {name} is what lines call something else; expected another name"
    if argument.default is None:
        return
    if argument.values and argument.default not in argument.values:
        yield f"{where}: default = {argument.default!r}; expected one of {', '.join(argument.values)}"
    if not argument.values and isinstance(argument.default, str):
        yield f"{where}: default = {argument.default!r}; expected a number"
    elif not isinstance(argument.default, str) and not _lies_in(argument.default, argument):
        yield f"{where}: default = {argument.default:g} is outside of its own min and max"


def _lies_in(value: float, argument: ProfileArgumentSpec) -> bool:
    return (argument.min is None or value >= argument.min) and (argument.max is None or value <= argument.max)


# ---------------------------------------------------------------------- what is compared


def _of_command(spec: ProfileSpec, where: str, command: CommandSpec) -> Iterator[str]:
    if command.done is not None:
        yield from _unequal(spec, f"{where}.done", command.done.channel, isinstance(command.done.equals, str))
    if command.evidence is not None and _is_text(spec, command.evidence.channel):
        yield f"{where}.evidence: {command.evidence.channel} is a text; expected a number that grows"
    if (readback := command.readback) is None:
        return
    if readback.equals is not None:
        yield from _unequal(spec, f"{where}.readback", readback.channel, isinstance(readback.equals, str))
        return
    for name, argument in command.argument.items():
        yield from _unequal(spec, f"{where}.readback", readback.channel, bool(argument.values))
        channel = spec.channels.get(readback.channel)
        if channel is not None and not argument.values and not channel.text and argument.unit != channel.unit:
            yield f"{where}: {name} is in {argument.unit!r}, its readback {readback.channel} in {channel.unit!r}; expected one unit"


def _unequal(spec: ProfileSpec, where: str, channel: str, is_text: bool) -> Iterator[str]:
    if channel in spec.channels and _is_text(spec, channel) != is_text:
        kinds = ("a text", "a number") if is_text else ("a number", "a text")
        yield f"{where}: compares {kinds[0]} with {channel}, which is {kinds[1]}: they are never equal"


def _is_text(spec: ProfileSpec, channel: str) -> bool:
    return channel in spec.channels and spec.channels[channel].text


# ---------------------------------------------------------------------- lines


def _of_lines(spec: ProfileSpec) -> Iterator[str]:
    marks = {"start": spec.line.start, "terminator": spec.line.terminator, "reply_terminator": spec.line.reply_terminator or ""}
    for key, text in marks.items():
        if any(ord(one) > 0xFF for one in text):
            yield f"line.{key} = {text!r}; expected characters of one byte"
    sent: dict[str, tuple[str, ...]] = {f"channels.{name}.query": (one.query or "",) for name, one in spec.channels.items()}
    sent |= {f"{where}.send": _lines(act) for where, act in spec.acts().items()}
    for where, line in ((where, line) for where, lines in sent.items() for line in lines):
        if spec.line.terminator in line:
            yield f"{where} = {line!r} holds the end of a request; expected a list of lines, each without its end"


def _wrong_forms(where: str, act: ActSpec) -> Iterator[str]:
    numbers = {name for name, one in act.argument.items() if not one.values} if isinstance(act, CommandSpec) else {"seconds"}
    for line in _lines(act):
        for _, field, form, _ in Formatter().parse(line):
            if field in numbers and not _FORM.fullmatch(form or ""):
                yield f"{where} = {line!r}: {{{field}:{form}}} would write another number; expected decimals such as {{{field}:.2f}}"


def _lines(act: ActSpec) -> tuple[str, ...]:
    return (act.send,) if isinstance(act.send, str) else act.send or ()


# ---------------------------------------------------------------------- registers


def _of_registers(spec: ProfileSpec) -> Iterator[str]:
    asked = {f"channels.{name}": one for name, one in spec.channels.items()} | ({"identity": spec.identity} if spec.identity else {})
    for where, one in asked.items():
        kind = one.type or "int16"
        if kind not in OF_REGISTERS:
            yield f"{where}: type {kind!r} belongs to nodes; registers hold {', '.join(sorted(OF_REGISTERS))}"
        elif one.bit is not None and SIZES[kind] > 1:
            yield f"{where}: a bit is one of a register; {kind} takes two"
        else:
            yield from _beyond(where, one.register_, kind)
    for where, act in spec.acts().items():
        kind = act.type or "int16"
        if kind in OF_REGISTERS:
            yield from _beyond(where, act.register_, kind)
            yield from _of_write(where, act, kind)


def _beyond(where: str, register: int | None, kind: str) -> Iterator[str]:
    if register is not None and register + SIZES[kind] - 1 > _LAST_REGISTER:
        yield f"{where}: register {register} is the last one; {kind} takes two"


def _of_write(where: str, act: ActSpec, kind: str) -> Iterator[str]:
    if act.function == 6 and SIZES[kind] > 1:
        yield f"{where}: function 6 writes one register, {kind} takes two; expected function = 16, or none"
    arguments: Mapping[str, ProfileArgumentSpec] = act.argument if isinstance(act, CommandSpec) else {}
    if len(arguments) > 1:
        yield f"{where}: one value is written, and it has {len(arguments)} arguments: the others would never be sent"
    if isinstance(act.value, str) and act.value not in arguments:
        yield f"{where}: value = {act.value!r}; a register takes a number, or the name of an argument"
    elif isinstance(act.value, str) or (act.value is None and not isinstance(act, WatchdogSpec)):
        yield from _of_ends(where, arguments, kind)
    elif act.value is not None:
        if arguments:
            yield f"{where}: value = {act.value:g} is written, and its argument {next(iter(arguments))} never"
        yield from _unfitting(f"{where}: value", float(value_of(act, {})), kind)


def _of_ends(where: str, arguments: Mapping[str, ProfileArgumentSpec], kind: str) -> Iterator[str]:
    """Refuse a range whose ends do not fit; scales that an option gives are known later."""
    for name, one in arguments.items():
        if one.values:
            yield f"{where}: {name} is a text; a register takes a number"
        for key, end in (("min", one.min), ("max", one.max)):
            if end is not None and not isinstance(one.scale, str) and one.scale:
                yield from _unfitting(f"{where}: {name}, {key} = {end:g}", end / one.scale, kind, whole=False)


def _unfitting(what: str, value: float, kind: str, *, whole: bool = True) -> Iterator[str]:
    if whole and kind != "float32" and value != round(value):
        yield f"{what} = {value:g}; {kind} takes whole numbers"
    try:
        registers_of(value, kind, "big")
    except (ValueError, OverflowError):
        yield f"{what} is written as {value:g}, which does not fit {kind}"
