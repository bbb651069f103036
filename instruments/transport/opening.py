"""How wires are opened: what this loads needs a machine that has them (Linux), which the drivers' own descriptions do not."""

from importlib import import_module
from typing import Any

from instruments.transport.base import Transport
from instruments.transport.opcua import OpcUaTransport
from instruments.transport.opcua_security import LinkSecurity
from instruments.transport.serial import SerialTransport
from instruments.transport.tcp import TcpTransport
from orchestrator.errors import BadInput


def open_link(
    *,
    kind: str,
    port: str | None = None,
    url: str | None = None,
    frame: str = "8N1",
    baud: int = 19200,
    security: LinkSecurity | None = None,
    library: str | None = None,
) -> Transport:
    """Open a wire.

    Args:
        kind: `serial`, `tcp`, `visa` or `opcua`.
        port: Of a serial link: the device's path, or pyserial's URL; of a VISA link: the resource.
        url: Of an OPC-UA link: the endpoint; of a tcp link: `tcp://HOST:PORT`.
        frame: Data bits, parity, stop bits.
        baud: Bits per second.
        security: Of an OPC-UA link: what channel and user are secured with; None for neither.
        library: Of a VISA link: which VISA library; None for pyvisa-py.

    Raises:
        BadInput: An unknown kind, no endpoint for it, or no PyVISA.
        AccessError: One side does not trust the other.
        LinkError: It cannot be opened (`sent` no).
    """
    if kind == "serial" and port is not None:
        return SerialTransport(port, baud=baud, frame=frame)
    if kind == "opcua" and url is not None:
        return OpcUaTransport(url, security)
    if kind == "tcp" and url is not None:
        return TcpTransport(url)
    if kind == "visa" and port is not None:
        transport: Transport = _visa().VisaTransport(port, library or "@py")
        return transport
    raise BadInput(f"link of kind {kind!r} with port {port!r} and url {url!r}; expected serial with a port, or tcp or opcua with a url")


def _visa() -> Any:
    try:
        return import_module("instruments.transport.visa")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "pyvisa":
            raise
        raise BadInput("a VISA link needs PyVISA, which is not installed here; the extra `visa` of athanor brings it") from error
