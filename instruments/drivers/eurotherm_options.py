"""What a bench file may say of a Eurotherm controller: its unit, and the `options` of the oven."""

from dataclasses import dataclass
from typing import Final, Self

from instruments.drivers.protocol import Settings
from orchestrator.errors import BadInput
from orchestrator.units import parse

DECIMALS: Final = (0, 1, 2)
"""Decimal places that a controller can be configured to."""
OVEN_OPTIONS: Final = frozenset({"setpoint", "safe_temperature", "decimals"})


@dataclass(frozen=True, slots=True)
class OvenOptions:
    """The `options` of an oven in the bench file."""

    is_remote: bool
    """`setpoint`: "remote" (the default), which falls safe by itself, or "local", which does not."""
    safe: float | None
    """`safe_temperature` (degC) that a silent host leaves behind; None for the lowest legal one."""
    decimals: int | None
    """`decimals` that the controller is configured to count (0, 1 or 2), held against what it says; None to take what it says."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Read them.

        Raises:
            BadInput: An illegal value.
        """
        given, name = dict(settings.options), settings.name
        setpoint, decimals, safe = given.get("setpoint", "remote"), given.get("decimals"), given.get("safe_temperature")
        if setpoint not in ("remote", "local"):
            raise BadInput(f'{name}: options.setpoint = {setpoint!r}; expected "remote" or "local"')
        if decimals not in (None, *DECIMALS) or isinstance(decimals, bool | float):
            raise BadInput(f"{name}: options.decimals = {decimals!r}; expected 0, 1 or 2")
        if safe is None:
            return cls(setpoint == "remote", None, decimals)
        if setpoint == "local":
            raise BadInput(f'{name}: options.safe_temperature belongs to setpoint = "remote"; a local setpoint stays where it is')
        return cls(True, parse(safe, "degC", what=f"{name}: options.safe_temperature"), decimals)


def modbus_unit(settings: Settings) -> int:
    """Return the unit's number; BadInput when it is none of 1 to 247."""
    if settings.address is None or not 1 <= settings.address <= 247:
        raise BadInput(f"{settings.name}: address {settings.address!r}; a Modbus unit has one of 1 to 247")
    return settings.address
