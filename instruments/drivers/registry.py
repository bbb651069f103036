"""Names of drivers and how they are built: the one place that knows which driver needs which wire."""

from collections.abc import Mapping
from typing import Final

from instruments.drivers.eurotherm import EurothermOven
from instruments.drivers.lads import LadsUnit
from instruments.drivers.new_era import NewEraPump
from instruments.drivers.protocol import Driver, Settings
from instruments.transport.base import Transport
from orchestrator.clock import Clock
from orchestrator.errors import BadInput

DRIVERS: Final[Mapping[str, type[Driver]]] = {
    "new-era": NewEraPump,
    "eurotherm-modbus": EurothermOven,
    "lads": LadsUnit,
}


def build_driver(name: str, transport: Transport, settings: Settings, clock: Clock) -> Driver:
    """Build a driver on an open wire; nothing is sent.

    Raises:
        BadInput: No driver of this name, or it needs another kind of wire or further settings.
    """
    if name not in DRIVERS:
        raise BadInput(f"{settings.name}: unknown driver {name!r}; known are {', '.join(sorted(DRIVERS))}")
    if transport.kind != (needed := DRIVERS[name].LINK_KIND):
        raise BadInput(f"{settings.name}: driver {name!r} needs a link of kind {needed}, got {transport.kind}")
    return DRIVERS[name].declared(settings)(transport, settings, clock)
