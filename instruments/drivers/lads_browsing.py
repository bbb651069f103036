"""What a LADS server offers, browsed without changing anything, and how a bench file would declare it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from instruments.drivers.functions import Function, FunctionKind
from instruments.drivers.lads_function_nodes import values_at
from instruments.drivers.lads_kinds import KINDS
from instruments.drivers.lads_paths import LADS, UnitPaths, di, lads
from instruments.drivers.lads_programs import Programs
from instruments.drivers.lads_units import range_of, unit_of
from instruments.transport.base import BASE, Name, NodePath, NodeTransport, NodeValue
from orchestrator.errors import BadInput
from orchestrator.units import unit

_SET: Final = "MultiSensorFunctionType"
"""Sensors that belong together; it has no value of its own."""
_BY_TYPE: Final = {one.TYPE: kind for kind, one in KINDS.items()}


@dataclass(frozen=True, slots=True)
class OfferedUnit:
    """A functional unit of a device."""

    name: str
    programs: tuple[str, ...]
    functions: tuple[Function, ...]
    """As a bench file would declare them; the names of states are the device's own."""
    others: tuple[tuple[str, str], ...] = ()
    """Path and type of each function that no kind of ours stands for."""


@dataclass(frozen=True, slots=True)
class OfferedDevice:
    """A LADS device of a server."""

    name: str
    manufacturer: str
    model: str
    serial_number: str
    units: tuple[OfferedUnit, ...]


def offered(transport: NodeTransport) -> tuple[OfferedDevice, ...]:
    """Browse all LADS devices of a server.

    Raises:
        InstrumentError: The server cannot be asked.
    """
    top: NodePath = (di("DeviceSet"),)
    if not transport.exists(top):
        return ()
    found = (path for path in transport.objects(top) if transport.exists((*path, lads("FunctionalUnitSet"))))
    return tuple(_device(transport, path) for path in found)


def _device(transport: NodeTransport, path: NodePath) -> OfferedDevice:
    said = transport.look([(*path, di(name)) for name in ("Manufacturer", "Model", "SerialNumber")])
    manufacturer, model, serial = (str(one.value or "") if one is not None and one.quality != "bad" else "" for one in said)
    units = transport.objects((*path, lads("FunctionalUnitSet")))
    return OfferedDevice(path[-1].name, manufacturer, model, serial, tuple(_unit(transport, path, one) for one in units))


def _unit(transport: NodeTransport, device: NodePath, path: NodePath) -> OfferedUnit:
    paths = UnitPaths(device, path)
    programs = Programs(transport, paths, path[-1].name).templates() if transport.exists(paths.templates) else {}
    found = list(_functions(transport, path, ()))
    functions = tuple(one for one in found if isinstance(one, Function))
    others = tuple(one for one in found if not isinstance(one, Function))
    return OfferedUnit(path[-1].name, tuple(sorted(programs)), functions, others)


def _functions(transport: NodeTransport, parent: NodePath, names: tuple[str, ...]) -> Iterator[Function | tuple[str, str]]:
    folder = (*parent, lads("FunctionSet"))
    if not transport.exists(folder):
        return
    for path in transport.objects(folder):
        below = (*names, path[-1].name)
        types = [one.name for one in transport.types(path) if one.namespace == LADS]
        kind = next((_BY_TYPE[one] for one in types if one in _BY_TYPE), None)
        if kind is FunctionKind.MULTI_MODE_CONTROL:
            modes = [one[-1].name for one in transport.objects((*path, lads("ControllerModeSet")))]
            yield from (_function(transport, values_at(path, mode), (*below, mode), kind) for mode in modes)
        elif kind is not None:
            yield _function(transport, path, below, kind)
        elif _SET not in types:  # a set is what stands in it
            yield "/".join(below), types[0] if types else "of no type of LADS"
        yield from _functions(transport, path, below)


def _function(transport: NodeTransport, path: NodePath, names: tuple[str, ...], kind: FunctionKind) -> Function:
    def of(member: str, name: str) -> NodeValue | None:
        return transport.look([(*path, lads(member), Name(name, BASE))])[0]

    value = KINDS[kind].VALUE
    stated = range_of(of("TargetValue", "EURange"))
    states = of(value, "EnumStrings")
    return Function(
        names,
        kind,
        unit_of(of(value, "EngineeringUnits")),
        unit_of(of("TotalizedValue", "EngineeringUnits")),
        (stated.low, stated.high) if stated is not None else None,
        tuple(map(str, states.value)) if states is not None and isinstance(states.value, tuple) else (),
    )


def bench_stub(devices: Sequence[OfferedDevice], url: str, security: Mapping[str, str | Mapping[str, str]] | None = None) -> str:
    """Write what a server offers as tables of a bench file, to be narrowed and completed by a person.

    Args:
        devices: What it offers.
        url: Where it was found.
        security: The keys of the link's table `security`, where it has one.
    """
    lines = ["[links.server]", 'kind = "opcua"', f"url = {_quoted(url)}"]
    lines += ["", "[links.server.security]"] if security else []
    for key, told in (security or {}).items():
        place = told if isinstance(told, str) else ", ".join(f"{name} = {_quoted(one)}" for name, one in told.items())
        lines.append(f"{key} = {_quoted(place) if isinstance(told, str) else f'{{ {place} }}'}")
    for device in devices:
        for one in device.units:
            lines += ["", *_instrument(device, one)]
    return "\n".join(lines) + "\n"


def _instrument(device: OfferedDevice, one: OfferedUnit) -> Iterator[str]:
    name = _label((device.name, one.name))
    yield f"[instruments.{name}]" + (f"   # {device.manufacturer}" if device.manufacturer else "")
    yield 'driver = "lads"'
    yield 'link = "server"'
    for key, value in (("serial_number", device.serial_number), ("model", device.model)):
        if value:
            yield f"{key} = {_quoted(value)}"
    yield 'safe_state = ["abort"]'
    yield f"options = {{ device = {_quoted(device.name)}, unit = {_quoted(one.name)} }}"
    yield f"# programs: {', '.join(one.programs) or 'none'}"
    for path, type_name in one.others:
        yield f"# {path}: {type_name}, which no kind of function stands for"
    for function in one.functions:
        yield ""
        yield from _declaration(name, function)


def _declaration(instrument: str, function: Function) -> Iterator[str]:
    yield f"[instruments.{instrument}.functions.{_label(function.path)}]"
    yield f"function = {_quoted('/'.join(function.path))}"
    yield f"kind = {_quoted(function.kind)}"
    units = {"unit": function.unit, "total_unit": function.total_unit}
    for key, value in units.items():
        if value:
            yield f"{key} = {_quoted(value)}" if _is_known(value) else f"# {key} = {_quoted(value)}: a unit that is not known here"
    if function.span is not None and function.kind in _RANGED and _is_known(function.unit):
        for key, number in zip(("min", "max"), function.span, strict=True):
            yield f"{key} = {_quoted(f'{number:g} {function.unit}'.strip())}"
    if function.states:
        yield f"states = [{', '.join(map(_quoted, function.states))}]"


_RANGED: Final = (FunctionKind.ANALOG_CONTROL, FunctionKind.TOTALIZING_CONTROL, FunctionKind.MULTI_MODE_CONTROL, FunctionKind.TIMER_CONTROL)


def _label(names: Sequence[str]) -> str:
    """Make a name for a bench file of a device's: small letters, digits and underscores."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", "_".join(names)).lower()
    label = re.sub(r"[^a-z0-9]+", "_", words).strip("_")
    return label if label[:1].isalpha() else f"f_{label}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(f"\\u{ord(one):04x}" if ord(one) < 32 else one for one in escaped) + '"'


def _is_known(name: str) -> bool:
    try:
        unit(name)
    except BadInput:
        return False
    return True
