"""What is wrong with a profile as a whole: keys of another engine, names that are not declared, patterns that do not fit."""

from collections.abc import Iterator, Mapping
from string import Formatter
from typing import Final

from instruments.drivers.declared.figures import complaints_of_figures
from instruments.drivers.declared.spec import OF_REGISTERS, ActSpec, CommandSpec, ProfileChannelSpec, ProfileSpec, WatchdogSpec
from orchestrator.domain.values import Frozen

_Keys = Mapping[str, tuple[tuple[str, ...], frozenset[str]]]
_QUESTIONS: Final[_Keys] = {
    "line": (("query",), frozenset({"query", "reply", "timeout"})),
    "modbus": (("register",), frozenset({"register", "table", "type", "bit"})),
    "opcua": (("node",), frozenset({"node"})),
}
"""Engine -> one of which keys a question needs, and which are its own."""
_ACTS: Final[_Keys] = {
    "line": (("send",), frozenset({"send", "ack", "timeout", "reply"})),
    "modbus": (("register",), frozenset({"register", "function", "value", "type"})),
    "opcua": (("node", "method"), frozenset({"node", "method", "send", "value", "type"})),
}
_ALWAYS: Final = frozenset({"address"})
"""What every pattern may name; `address` of the bench file."""


def complaints(spec: ProfileSpec) -> Iterator[str]:
    """Iterate over all that is wrong, each a line that begins with the place."""
    yield from _of_engines(spec)
    yield from _of_names(spec)
    if spec.profile.driver != "modbus":
        yield from _of_patterns(spec)
    yield from complaints_of_figures(spec)


# ---------------------------------------------------------------------- engines


def _of_engines(spec: ProfileSpec) -> Iterator[str]:
    engine = spec.profile.driver
    for name in ("line", "modbus"):
        if name != engine and name in spec.model_fields_set:
            yield f"[{name}] belongs to driver = {name!r}, not to {engine!r}"
    asked: dict[str, Frozen] = {f"channels.{name}": one for name, one in spec.channels.items()}
    for where, one in (asked | ({"identity": spec.identity} if spec.identity else {})).items():
        yield from _wrong_keys(where, one, _QUESTIONS, engine)
    for where, act in spec.acts().items():
        yield from _wrong_keys(where, act, _ACTS, engine)
        if act.type is not None and (act.type in OF_REGISTERS) != (engine == "modbus"):
            yield f"{where}: type {act.type!r} belongs to {'registers' if act.type in OF_REGISTERS else 'nodes'}"
        if engine == "opcua" and (nameless := [line for line in lines_of(act) if "=" not in line]):
            yield f"{where}: send = {nameless[0]!r}; a method takes its arguments by name: 'NAME = VALUE'"
        if engine != "line" and isinstance(act, CommandSpec):
            yield from _of_values(where, act)
        elif engine != "line" and act.method is None and act.value is None and not isinstance(act, WatchdogSpec):
            yield f"{where}: expected value, what is written"


def _of_values(where: str, command: CommandSpec) -> Iterator[str]:
    if command.value is None and command.method is None and len(command.argument) != 1:
        yield f"{where}: what is written of {len(command.argument)} arguments? expected value, a number or the name of one"
    if command.method is None and isinstance(command.value, str) and command.argument and command.value not in command.argument:
        yield f"{where}: value names the argument {command.value!r}; declared: {', '.join(command.argument)}"


def _wrong_keys(where: str, one: Frozen, legal: _Keys, engine: str) -> Iterator[str]:
    written = {"register" if key == "register_" else key for key in one.model_fields_set}
    needed, own = legal[engine]
    of_engines = frozenset[str]().union(*(keys for _, keys in legal.values()))
    if strange := sorted(written & of_engines - own):
        yield f"{where}: {strange[0]} does not belong to driver = {engine!r}, which reads {', '.join(sorted(own))}"
    if len(written & set(needed)) != 1:
        yield f"{where}: expected {' or '.join(needed)}"
    if isinstance(one, ProfileChannelSpec) and engine == "line" and one.reply is None:
        yield f"{where}: expected reply, the regular expression of the answer"


# ---------------------------------------------------------------------- names


def _of_names(spec: ProfileSpec) -> Iterator[str]:
    for where, channel in _named_channels(spec):
        if channel not in spec.channels:
            yield f"{where}: unknown channel {channel!r}; declared: {', '.join(spec.channels)}"
    for where, scale in _scales(spec):
        if isinstance(scale, str) and scale.removeprefix("-") not in spec.options:
            yield f"{where}: scale names the option {scale!r}; declared: {', '.join(spec.options) or 'none'}"
    for name, command in spec.commands.items():
        yield from _of_command(spec, f"commands.{name}", command)


def _of_command(spec: ProfileSpec, where: str, command: CommandSpec) -> Iterator[str]:
    if command.cancel is not None and command.cancel not in spec.safe:
        yield f"{where}: cancel names the safe action {command.cancel!r}; declared: {', '.join(spec.safe) or 'none'}"
    if command.readback and command.readback.equals is None and len(command.argument) != 1:
        yield f"{where}: a readback of a command with {len(command.argument)} arguments needs `equals`"
    if command.evidence is None or not isinstance(grows := command.evidence.grows_by, str):
        return
    argument, counter = command.argument.get(grows), spec.channels.get(command.evidence.channel)
    if argument is None or argument.values:
        yield f"{where}: evidence grows by {grows!r}, which is no number among its arguments"
    elif counter is not None and argument.unit != counter.unit:
        yield f"{where}: {grows} is in {argument.unit!r}, its evidence {command.evidence.channel} in {counter.unit!r}; expected one unit"


def _named_channels(spec: ProfileSpec) -> Iterator[tuple[str, str]]:
    if one := spec.identity:
        named = (("serial_number", one.serial_number), ("firmware", one.firmware), ("boot_id", one.boot_id))
        yield from ((f"identity.{key}", channel) for key, channel in named if channel)
    for name, command in spec.commands.items():
        parts = {"readback": command.readback, "done": command.done, "evidence": command.evidence}
        yield from ((f"commands.{name}.{key}", part.channel) for key, part in parts.items() if part)


def _scales(spec: ProfileSpec) -> Iterator[tuple[str, float | str]]:
    yield from ((f"channels.{name}", one.scale) for name, one in spec.channels.items())
    for name, command in spec.commands.items():
        yield from ((f"commands.{name}.argument.{key}", one.scale) for key, one in command.argument.items())


# ---------------------------------------------------------------------- patterns of lines


def _of_patterns(spec: ProfileSpec) -> Iterator[str]:
    common = _ALWAYS | set(spec.options)
    yield from _wrong_fields("line.prefix", spec.line.prefix, common | {"sequence"})
    queries = {f"channels.{name}.query": one.query for name, one in spec.channels.items()}
    queries |= {"identity.query": spec.identity.query if spec.identity else None}
    queries |= {"line.error.query": spec.line.error.query if spec.line.error else None}
    for where, query in queries.items():
        yield from _wrong_fields(where, query or "", common)
    for where, act in spec.acts().items():
        texts = {name for name, one in act.argument.items() if one.values} if isinstance(act, CommandSpec) else set()
        numbers = set(act.argument) - texts if isinstance(act, CommandSpec) else {"seconds"} if isinstance(act, WatchdogSpec) else set()
        for line in lines_of(act):
            yield from _wrong_fields(f"{where}.send", line, common | texts, numbers)
        used = {field for line in lines_of(act) for _, field, _, _ in Formatter().parse(line) if field}
        if lines_of(act) and (unused := sorted((texts | numbers) - used - {"seconds"})):
            yield f"{where}.send: the argument {unused[0]!r} is not sent"


def lines_of(act: ActSpec) -> tuple[str, ...]:
    """Return what is sent, line by line."""
    return (act.send,) if isinstance(act.send, str) else act.send or ()


def _wrong_fields(
    where: str, pattern: str, texts: set[str] | frozenset[str], numbers: set[str] | frozenset[str] = frozenset()
) -> Iterator[str]:
    """Refuse what str.format would take beside plain names, and formats that a value does not have."""
    if not pattern.isascii():
        yield f"{where} = {pattern!r}; expected ASCII characters"
    try:
        fields = [part for part in Formatter().parse(pattern) if part[1] is not None]
        for _, field, form, conversion in fields:
            if field not in texts | numbers or conversion:
                legal = ", ".join(f"{{{name}}}" for name in sorted(texts | numbers))
                yield f"{where} = {pattern!r}: unknown {{{field}}}; legal: {legal}; a brace itself is written twice"
            else:
                format(1.5 if field in numbers else "text", form or "")
    except ValueError as error:
        yield f"{where} = {pattern!r}: {error}"
