"""What a bench declares of the instruments that nothing simulates: the plant makes a stand-in of each.

A device with a profile is asked over the same kind of wire as the real one, by the same driver. Where that cannot be (a link
of kind own or visa, a plug-in, frames of Modbus TCP, instruments on one link that speak differently), the driver is replaced
by one that asks the stand-in by its calls.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, Final

from instruments.bench.called import calls_of_people, dry_calls, needs_stand_in
from instruments.bench.endpoints import CALLS
from instruments.bench.environment import environment_channels
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
_PERSON: Final = "stand-in for a person; nobody has done or measured what it answers"


@dataclass(frozen=True, slots=True)
class StandIns:
    """The stand-ins of a bench."""

    links: Mapping[str, str]
    """Link -> how its instruments are asked: `line`, `modbus`, `opcua` or `calls`."""
    instruments: Mapping[str, Mapping[str, Any]]
    """Declarations, by the instruments' names."""
    people: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Whom the campaign itself answers for, by the instruments' names, with what each brings back."""

    def __bool__(self) -> bool:
        return bool(self.instruments or self.people)

    @property
    def document(self) -> dict[str, Any]:
        """What the plant is given."""
        people = {name: list(brought) for name, brought in self.people.items()}
        return {"links": dict(self.links), "instruments": {name: dict(one) for name, one in self.instruments.items()}, "people": people}

    @property
    def told(self) -> dict[str, str]:
        """What people are told of each."""
        return {name: _told(one) for name, one in self.instruments.items()} | dict.fromkeys(self.people, _PERSON)


def _told(declaration: Mapping[str, Any]) -> str:
    driver = declaration["driver"]
    if declaration["wire"] == CALLS:
        carried = f", but {' and '.join(own)} {'is' if len(own) == 1 else 'are'} carried out" if (own := declaration["carried_out"]) else ""
        return f"stand-in for {driver} from its driver's declaration, without its wire{carried}; {_SAID}"
    return f"stand-in for {driver} from its profile; {_SAID}"


def stand_ins(bench: BenchFile, simulated: Collection[str], by_calls: Collection[str] = ()) -> StandIns:
    """Declare all instruments of a bench on links that nothing simulates.

    Args:
        bench: The bench.
        simulated: Links that the plant file simulates.
        by_calls: Instruments that are asked by their calls whatever their profile says.

    Raises:
        BadInput: A driver cannot be loaded, or an instrument lacks what its driver needs.
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
        if needs_stand_in(spec):
            links[lane_of(bench.spec, name)] = CALLS
            found[name] = _declaration(bench, name, CALLS)
    dry_calls(replace(bench, by_calls=frozenset(found)))  # what a dry run must not carry out is said before anything is started
    people = {name: brought for name in bench.spec.instruments if (brought := _brought_by_people(bench, name)) is not None}
    return StandIns(links, found, people)


def _brought_by_people(bench: BenchFile, name: str) -> tuple[str, ...] | None:
    """Return what a person brings back; None for any other instrument."""
    return tuple(bench.driver(name).CHANNELS) if calls_of_people(bench.spec.instruments[name]) else None


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
    profile, carried_out = _profile(driver), [key for key, one in settings.calls.items() if one.is_harmless]
    commands = {
        key: _command(driver, key, one, {argument: settings.limits.get(argument) for argument in one.arguments})
        for key, one in driver.COMMANDS.items()
        if key not in carried_out
    }
    declared: dict[str, Any] = {
        "instrument": name,
        "driver": spec.driver,
        "link": lane_of(bench.spec, name),
        "wire": wire,
        "carried_out": carried_out,
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
    recorded = {one.channel: one.reference for one in environment_channels(bench) if one.lot is None and one.since is None}
    brings = any(one.kind not in (StepKind.STATE_SETTING, StepKind.DOSING) for one in driver.COMMANDS.values())
    for channel, spec in driver.CHANNELS.items():
        asked = profile.channels[channel] if profile else None
        is_bit = asked is not None and (asked.bit is not None or asked.type == "bool")
        full = f"{name}.{channel}"
        measured = not is_bit and (brings or full in read or full in recorded)
        about = {"about": recorded[full]} if full in recorded else {}
        returned = [call.returns[channel] for call in bench.declared(name).calls.values() if channel in call.returns]
        text = asked.text if asked is not None else any(one.unit is None for one in returned)
        yield channel, {"unit": spec.unit, "text": text, "measured": measured, **about, **_range([one.limit for one in returned])}


def _range(limits: Iterable[Limit | None]) -> dict[str, float | None]:
    """Return what all calls take that bring the same value."""
    known = [one for one in limits if one is not None]
    return {"low": _finite(max((one.low for one in known), default=-inf)), "high": _finite(min((one.high for one in known), default=inf))}


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
    return {"unit": spec.unit, "low": low, "high": high, "values": values or spec.choices}


def _finite(number: float) -> float | None:
    return None if abs(number) == inf else number


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
