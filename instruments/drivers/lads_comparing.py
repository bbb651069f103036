"""Whether a LADS unit has the functions that a bench file declares of it: type, unit, range and states."""

import logging
from collections.abc import Mapping
from typing import Final

from instruments.drivers.functions import FunctionKind
from instruments.drivers.lads_function_nodes import mode_names, values_at
from instruments.drivers.lads_functions import UnitFunction
from instruments.drivers.lads_paths import LADS, UnitPaths, lads
from instruments.drivers.lads_units import range_of, unit_of
from instruments.drivers.protocol import Limit, Settings
from instruments.transport.base import BASE, Name, NodeTransport, NodeValue
from orchestrator.errors import BadInput, DeviceError, Sent
from orchestrator.units import unit

logger = logging.getLogger(__name__)

_ANY: Final = "FunctionType"
"""What all functions of LADS are derived from."""


def compare(transport: NodeTransport, paths: UnitPaths, functions: Mapping[str, UnitFunction], settings: Settings) -> Mapping[str, Limit]:
    """Hold each declared function against the device; nothing is changed.

    Args:
        transport: The server.
        paths: Of the unit.
        functions: By their names in the bench file.
        settings: Of the instrument.

    Returns:
        The range that the device itself states of each function that is set.

    Raises:
        DeviceError: One line: the function, what the device has and what the bench file declares (`sent` no).
    """
    ranges = {}
    for name, one in functions.items():
        if one.declared.implied:
            continue
        found = _Compared(transport, paths, one, settings)
        found.check_type()
        found.check_units()
        found.check_states()
        if (stated := found.range()) is not None:
            ranges[name] = stated
    return ranges


class _Compared:
    """One declared function beside the device's."""

    def __init__(self, transport: NodeTransport, paths: UnitPaths, function: UnitFunction, settings: Settings) -> None:
        self._transport = transport
        self._function = function
        self._settings = settings
        self._path = paths.function(function.place)
        self._values = values_at(self._path, function.mode)
        self._what = f"{settings.name}: function {'/'.join(function.declared.path)!r}"

    def check_type(self) -> None:
        """Refuse a function that is missing or is something else."""
        if not self._transport.exists(self._path):
            there = self._beside()
            raise self._refusal("is not there", f"the unit has {', '.join(there) or 'none'}")
        types = [name.name for name in self._transport.types(self._path) if name.namespace == LADS]
        if _ANY not in types:
            logger.warning("%s does not say what it is; taken for %s as declared", self._what, self._function.declared.kind)
        elif self._function.TYPE not in types:
            raise self._refusal(f"is a {types[0]}", f"the bench file declares {self._function.declared.kind}, {self._function.TYPE}")
        self._check_mode()

    def _check_mode(self) -> None:
        mode, names = self._function.mode, mode_names(self._transport, self._path) if self._function.mode else ()
        if mode and (mode not in names or not self._transport.exists(self._values)):
            raise self._refusal(f"has the modes {', '.join(names) or 'none'}", f"the bench file declares the mode {mode}")

    def _beside(self) -> list[str]:
        folder = self._path[:-1]
        return [path[-1].name for path in self._transport.objects(folder)] if self._transport.exists(folder) else []

    def check_units(self) -> None:
        """Refuse another unit; where the device states none, the declared one holds."""
        declared = self._function.declared
        if declared.kind is FunctionKind.COVER:
            return
        self._check_unit(self._function.VALUE, declared.unit)
        if declared.total_unit:
            self._check_unit("TotalizedValue", declared.total_unit)

    def _check_unit(self, member: str, declared: str) -> None:
        stated = self._property(member, "EngineeringUnits")
        if stated is None or stated.value is None or (found := unit_of(stated)) == declared:
            return
        if not _same_unit(found, declared):
            raise self._refusal(f"has {member} in {found or '1'}", f"the bench file declares {declared or '1'}")

    def check_states(self) -> None:
        """Refuse another number of states: their names are ours, their order is the device's."""
        declared = self._function.declared
        if not declared.states:
            return
        texts = self._property(self._function.VALUE, "EnumStrings")
        if texts is not None and isinstance(texts.value, tuple) and len(texts.value) != len(declared.states):
            shown = ", ".join(map(str, texts.value))
            raise self._refusal(f"has {len(texts.value)} states ({shown})", f"the bench file declares {len(declared.states)}")

    def range(self) -> Limit | None:
        """Get the range that the device states of what is set; refuse one that is narrower than the bench file allows."""
        commands = self._function.commands.values()
        spec = next((command.arguments[self._function.name] for command in commands if self._function.name in command.arguments), None)
        if spec is None or spec.unit is None:
            return None
        stated = range_of(self._property("TargetValue", "EURange"))
        allowed = [one for one in (spec.limit, self._settings.limits.get(self._function.name)) if one is not None]
        if stated is None or not allowed:
            return stated
        asked = allowed[0].intersect(allowed[-1])
        if asked.low < stated.low or asked.high > stated.high:
            has, wants = (f"{one.low:g} to {one.high:g} {spec.unit}".rstrip() for one in (stated, asked))
            raise self._refusal(f"takes {has}", f"the bench file allows {wants}")
        return stated

    def _property(self, member: str, name: str) -> NodeValue | None:
        return self._transport.look([(*self._values, lads(member), Name(name, BASE))])[0]

    def _refusal(self, found: str, expected: str) -> DeviceError:
        return DeviceError(f"{self._what} {found}; {expected}", sent=Sent.NO)


def _same_unit(found: str, declared: str) -> bool:
    try:
        return bool(unit(found) == unit(declared))
    except BadInput:
        return False
