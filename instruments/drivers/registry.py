"""Names of drivers and links, and how they are built: the one place that knows which driver needs which wire."""

from collections.abc import Mapping
from typing import Final

from instruments.drivers.eurotherm import EurothermOven
from instruments.drivers.lads import LadsUnit
from instruments.drivers.new_era import NewEraPump
from instruments.drivers.protocol import Driver, Settings
from instruments.transport.base import Transport
from instruments.transport.opcua import OpcUaTransport
from instruments.transport.serial import SerialTransport
from orchestrator.clock import Clock
from orchestrator.errors import BadInput

DRIVERS: Final[Mapping[str, type[Driver]]] = {
    "new-era": NewEraPump,
    "eurotherm-modbus": EurothermOven,
    "lads": LadsUnit,
}


def open_link(*, kind: str, port: str | None = None, url: str | None = None, frame: str = "8N1", baud: int = 19200) -> Transport:
    """Open a wire.

    Args:
        kind: `serial` or `opcua`.
        port: Of a serial link: the device's path.
        url: Of an OPC-UA link: the endpoint.
        frame: Data bits, parity, stop bits.
        baud: Bits per second.

    Raises:
        BadInput: An unknown kind, or no endpoint for it.
        LinkError: It cannot be opened (`sent` no).
    """
    if kind == "serial" and port is not None:
        return SerialTransport(port, baud=baud, frame=frame)
    if kind == "opcua" and url is not None:
        return OpcUaTransport(url)
    raise BadInput(f"link of kind {kind!r} with port {port!r} and url {url!r}; expected serial with a port, or opcua with a url")


def build_driver(name: str, transport: Transport, settings: Settings, clock: Clock) -> Driver:
    """Build a driver on an open wire; nothing is sent.

    Raises:
        BadInput: No driver of this name, or it needs another kind of wire or further settings.
    """
    if name not in DRIVERS:
        raise BadInput(f"{settings.name}: unknown driver {name!r}; known are {', '.join(sorted(DRIVERS))}")
    if transport.kind != (needed := DRIVERS[name].LINK_KIND):
        raise BadInput(f"{settings.name}: driver {name!r} needs a link of kind {needed}, got {transport.kind}")
    return DRIVERS[name](transport, settings, clock)
