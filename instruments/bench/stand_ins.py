"""What a bench declares of the instruments that nothing simulates: the plant makes a stand-in of each.

A device with a profile is asked over the same kind of wire as the real one, by the same driver. Where that cannot be (a link
of kind own or visa, a plug-in, frames of Modbus TCP, instruments on one link that speak differently), the driver is replaced
by one that asks the stand-in by its calls.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from instruments.bench.called import dry_calls, needs_stand_in
from instruments.bench.endpoints import CALLS
from instruments.bench.file import BenchFile
from instruments.bench.lanes import lane_of
from instruments.drivers.counted import Counted
from instruments.drivers.declared.device import DeclaredDevice
from instruments.drivers.declared.engine import Values
from instruments.drivers.declared.settings import address_of, options_of
from instruments.drivers.declared.spec import ActSpec, CommandSpec, ProfileSpec
from instruments.drivers.protocol import ArgumentSpec, Driver, Limit
from instruments.drivers.protocol import CommandSpec as DriverCommand
from orchestrator.domain.lifecycle import StepKind

_SETPOINT: Final = "setpoint"
"""In a channel's name: it shows what was set at once."""
_SAID: Final = "nobody has held it against a real one"


@dataclass(frozen=True, slots=True)
class StandIns:
    """The stand-ins of a bench."""

    links: Mapping[str, str]
    """Link -> how its instruments are asked: `line`, `modbus`, `opcua` or `calls`."""
    instruments: Mapping[str, Mapping[str, Any]]
    """Declarations, by the instruments' names."""

    def __bool__(self) -> bool:
        return bool(self.instruments)

    @property
    def document(self) -> dict[str, Any]:
        """What the plant is given."""
        return {"links": dict(self.links), "instruments": {name: dict(one) for name, one in self.instruments.items()}}

    @property
    def told(self) -> dict[str, str]:
        """What people are told of each."""
        return {name: _told(one) for name, one in self.instruments.items()}


def _told(declaration: Mapping[str, Any]) -> str:
    driver = declaration["driver"]
    if declaration["wire"] == CALLS:
        return f"stand-in for {driver} from its driver's declaration, without its wire; {_SAID}"
    return f"stand-in for {driver} from its profile; {_SAID}"


def stand_ins(bench: BenchFile, simulated: Collection[str], by_calls: Collection[str] = ()) -> StandIns:
    """Declare all instruments of a bench on links that nothing simulates.

    Args:
        bench: The bench.
        simulated: Links that the plant file simulates.
        by_calls: Instruments that are asked by their calls whatever their profile says.

    Raises:
        BadInput: A driver cannot be loaded, an instrument lacks what its driver needs, or has calls of which a dry run may carry
            out some and not others.
    """
    links: dict[str, str] = {}
    found: dict[str, Mapping[str, Any]] = {}
    for link in bench.spec.links:
        names = [name for name, one in bench.spec.instruments.items() if one.link == link]
        if link in simulated or not names:
            continue
        links[link] = CALLS if set(names) & set(by_calls) else _wire(bench, link, names)
        found |= {name: _declaration(bench, name, links[link]) for name in names}
    for name, spec in bench.spec.instruments.items():
        if spec.link is None and needs_stand_in(spec):
            links[lane_of(bench.spec, name)] = CALLS
            found[name] = _declaration(bench, name, CALLS)
    dry_calls(replace(bench, by_calls=frozenset(found)))  # what a dry run must not carry out is said before anything is started
    return StandIns(links, found)


def _wire(bench: BenchFile, link: str, names: list[str]) -> str:
    """Say how all instruments of a link can be asked."""
    profiles = [_profile(bench.driver(name)) for name in names]
    known = [one for one in profiles if one is not None]
    kinds, frames = {one.profile.driver for one in known}, {one.line.model_dump_json(exclude={"prefix", "gap"}) for one in known}
    if len(known) < len(profiles) or len(kinds) > 1 or len(frames) > 1:
        return CALLS
    (kind,) = kinds
    if kind == "opcua":
        return kind if len(names) == 1 and bench.spec.links[link].kind == "opcua" else CALLS
    return kind if all("serial" in bench.driver(name).LINKS for name in names) else CALLS


def _profile(driver: type[Driver]) -> ProfileSpec | None:
    return driver.PROFILE if issubclass(driver, DeclaredDevice) else None


def _declaration(bench: BenchFile, name: str, wire: str) -> dict[str, Any]:
    driver, spec, settings = bench.driver(name), bench.spec.instruments[name], bench.settings(name)
    driver.check_settings(settings)
    profile = _profile(driver)
    commands = {
        key: _command(driver, key, one, {argument: settings.limits.get(argument) for argument in one.arguments})
        for key, one in driver.COMMANDS.items()
    }
    declared: dict[str, Any] = {
        "instrument": name,
        "driver": spec.driver,
        "link": lane_of(bench.spec, name),
        "wire": wire,
        "channels": dict(_channels(bench, name)),
        "commands": commands,
        "safe": {action: {} for action in sorted(driver.SAFE_ACTIONS)},
        "serial_number": settings.serial_number,
        "model": settings.model,
    }
    if profile is None:
        return declared
    fields: Values = {"address": address_of(profile, settings), **options_of(profile, settings)}
    safe = {action: _shown_by_safety(profile, act) for action, act in profile.safe.items()}
    document = profile.model_dump(mode="json", by_alias=True)
    return {**declared, "safe": safe, "watchdog": profile.watchdog is not None, "profile": document, "fields": fields}


# ---------------------------------------------------------------------- channels and commands


def _channels(bench: BenchFile, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    driver = bench.driver(name)
    profile = _profile(driver)
    read = {channel for step in bench.spec.procedure.steps for channel in step.channels}
    brings = any(one.kind not in (StepKind.STATE_SETTING, StepKind.DOSING) for one in driver.COMMANDS.values())
    for channel, spec in driver.CHANNELS.items():
        asked = profile.channels[channel] if profile else None
        is_bit = asked is not None and (asked.bit is not None or asked.type == "bool")
        measured = not is_bit and (brings or f"{name}.{channel}" in read)
        yield channel, {"unit": spec.unit, "text": asked is not None and asked.text, "measured": measured}


def _command(driver: type[Driver], name: str, spec: DriverCommand, limits: Mapping[str, Limit | None]) -> dict[str, Any]:
    profile = _profile(driver)
    declared = profile.commands[name] if profile else None
    values = {key: one.values for key, one in declared.argument.items()} if declared else {}
    arguments = {key: _argument(one, limits.get(key), values.get(key, ())) for key, one in spec.arguments.items()}
    kind = spec.kind.value if spec.kind in (StepKind.STATE_SETTING, StepKind.DOSING) else StepKind.PROGRAM.value
    own = _of_profile(declared) if declared is not None else _of_driver(driver, name, spec)
    return {"kind": kind, "arguments": arguments, **own}


def _argument(spec: ArgumentSpec, limit: Limit | None, values: tuple[str, ...]) -> dict[str, Any]:
    both = limit if spec.limit is None else spec.limit if limit is None else spec.limit.intersect(limit)
    low, high = (None, None) if both is None else (_finite(both.low), _finite(both.high))
    return {"unit": spec.unit, "low": low, "high": high, "values": values}


def _finite(number: float) -> float | None:
    return None if abs(number) == float("inf") else number


def _of_profile(command: CommandSpec) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if (readback := command.readback) is not None and readback.equals is None:
        found["shows"] = {readback.channel: next(iter(command.argument))}
    elif readback is not None:
        found["sets"] = {readback.channel: readback.equals}
    if command.done is not None:
        found["done"] = {command.done.channel: command.done.equals}
    if command.evidence is not None:
        found["counts"] = {command.evidence.channel: command.evidence.grows_by}
    return found


def _of_driver(driver: type[Driver], name: str, spec: DriverCommand) -> dict[str, Any]:
    """Guess by units which channels show a setting, and which count a dose; a counting driver says it."""
    units = {argument: one.unit for argument, one in spec.arguments.items() if one.unit}
    if issubclass(driver, Counted) and name in driver.COUNTERS:
        channel, argument = driver.COUNTERS[name]
        return {"counts": {channel: argument if argument in spec.arguments else float(argument)}}
    found = [(channel, argument) for channel, one in driver.CHANNELS.items() for argument, unit in units.items() if one.unit == unit]
    if spec.kind is StepKind.STATE_SETTING:
        return {"shows": {channel: argument for channel, argument in found if _SETPOINT in channel}}
    return {"counts": dict(found)} if spec.kind is StepKind.DOSING else {}


def _shown_by_safety(profile: ProfileSpec, act: ActSpec) -> dict[str, float | str]:
    """Say what channels show once a safe action is carried out: it sends what a command sends that is read back, or writes what is read."""
    shown: dict[str, float | str] = {}
    for command in profile.commands.values():
        if command.readback is not None and command.readback.equals is not None and _sends(act, command):
            shown[command.readback.channel] = command.readback.equals
    for name, channel in profile.channels.items():
        place = (channel.register_, channel.node)
        if act.value is not None and place != (None, None) and place == (act.register_, act.node) and channel.bit is None:
            shown[name] = act.value if isinstance(act.value, str) else act.value * float(channel.scale)
    return shown


def _sends(act: ActSpec, command: CommandSpec) -> bool:
    lines = (act.send,) if isinstance(act.send, str) else act.send or ()
    return command.send is not None and command.send in lines
