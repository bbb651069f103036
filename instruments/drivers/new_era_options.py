"""What a bench file may say of a New Era pump: its address, its watchdog, and the syringe that it counts with."""

from typing import Final

from instruments.drivers.checks import check_number
from instruments.drivers.protocol import Limit, Settings
from orchestrator.errors import BadInput
from orchestrator.units import parse

PUMP_OPTIONS: Final = frozenset({"diameter"})
_DIAMETERS: Final = Limit(0.1, 50.0)
"""mm (NE-1000 manual, "DIA")."""
_WATCHDOGS: Final = Limit(1.0, 255.0)
"""s (NE-1000 manual, "SAF")."""


def pump_address(settings: Settings) -> int:
    """Return the pump's address.

    Raises:
        BadInput: None of 0 to 99, or a watchdog that the pump cannot keep.
    """
    address, watchdog = settings.address, settings.watchdog
    if address is None or not 0 <= address <= 99:
        raise BadInput(f"{settings.name}: address {address!r}; a New Era pump needs one of 0 to 99")
    if watchdog is not None and not _WATCHDOGS.low <= watchdog <= _WATCHDOGS.high:
        raise BadInput(f"{settings.name}: watchdog of {watchdog:g} s; the pump keeps 1 to 255 s")
    return address


def syringe_diameter(settings: Settings) -> float | None:
    """Return `options.diameter`, the syringe's inside diameter (mm) that is held against the pump's; None where it is not said.

    Raises:
        BadInput: It is no length.
        LimitError: No syringe that the pump takes.
    """
    given, what = settings.options.get("diameter"), f"{settings.name}: options.diameter"
    return None if given is None else check_number(what, parse(given, "mm", what=what), "mm", _DIAMETERS)
