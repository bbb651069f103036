"""The tables `[links.NAME]` of a bench file: where each wire ends, and what it is."""

import re
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, model_validator

from instruments.bench.security_spec import SecuritySpec
from orchestrator.domain.values import Frozen
from orchestrator.domain.written import Whole, never

_TCP: Final = re.compile(r"tcp://[^\s/@]+:[0-9]{1,5}/?")
_RESOURCE: Final = re.compile(r"^(?:[Gg][Pp][Ii][Bb]|[Uu][Ss][Bb]|[Tt][Cc][Pp][Ii][Pp])[0-9]*::.+::[Ii][Nn][Ss][Tt][Rr]$")
"""Of a device that sends whole messages (VPP-4.3, 4.3.1); serial ports and plain sockets have links of their own."""
_PLACES: Final = {"serial": "port", "tcp": "url", "opcua": "url", "visa": "resource", "own": "device"}
"""Kind of link -> the key that says where it ends."""


def _own(device: str) -> str:
    return device if device.startswith("/") else f"own://{device}"


def _when(kind: str, place: str, others: dict[str, Any]) -> dict[str, Any]:
    """Say for an editor which keys a kind of link has."""
    return {"if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]}, "then": {**others, "required": [place]}}


class LinkSpec(Frozen):
    """One wire."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                _when("serial", "port", never("url", "security", "resource", "library", "device")),
                _when("tcp", "url", never("port", "security", "resource", "library", "device")),
                _when("opcua", "url", never("port", "resource", "library", "device")),
                _when("visa", "resource", never("port", "url", "security", "device")),
                _when("own", "device", never("port", "url", "security", "resource", "library")),
            ]
        }
    )

    kind: Literal["serial", "tcp", "opcua", "visa", "own"]
    """What the wire is; `own`: the driver, a plug-in, opens its device itself, and no other link says how."""
    port: str | None = None
    """Serial: the device's path, best below /dev/serial/by-id; or one of pyserial's URLs, `rfc2217://`, `socket://`, `hwgrep://`."""
    url: str | None = None
    """OPC-UA: the endpoint; tcp: `tcp://HOST:PORT`."""
    resource: Annotated[str, Field(pattern=_RESOURCE.pattern)] | None = None
    """VISA: the resource on GPIB, USB or the network, for example "GPIB0::12::INSTR" or "TCPIP0::10.0.0.7::inst0::INSTR"."""
    library: Annotated[str, Field(min_length=1)] | None = None
    """VISA: which library; "@py" (where it is left out) is pyvisa-py, "@ivi" the vendor's, or its file."""
    device: Annotated[str, Field(min_length=1)] | None = None
    """Own: a path such as "/dev/hidraw0", or any name that is this device's alone on this machine; the lock is on it."""
    frame: Annotated[str, Field(pattern=r"^[78][NEO][12]$")] = "8N1"
    """Serial: data bits, parity (N, E or O) and stop bits."""
    baud: Whole = 19200
    """Serial: bits per second."""
    security: SecuritySpec | None = None
    """OPC-UA: how the channel is secured and who we are; without it nothing is signed or enciphered, and nobody named."""

    @model_validator(mode="after")
    def _check(self) -> "LinkSpec":
        given = {"port": self.port, "url": self.url, "resource": self.resource, "device": self.device}
        if [name for name, value in given.items() if value is not None] != [_PLACES[self.kind]]:
            raise ValueError("a serial link has a port, a tcp or an opcua link a url, a visa link a resource, an own link a device")
        if self.kind != "visa" and self.library is not None:
            raise ValueError(f"library belongs to a visa link; this one is {self.kind}")
        if self.kind == "tcp" and _TCP.fullmatch(self.url or "") is None:
            raise ValueError(f"url = {self.url!r}; a tcp link has one of the form 'tcp://HOST:PORT'")
        if self.kind != "opcua" and self.security is not None:
            raise ValueError(f"security belongs to an opcua link; this one is {self.kind}")
        return self

    @property
    def endpoint(self) -> str:
        """The port, the url, the resource or the device's own name."""
        return self.port or self.url or self.resource or _own(self.device or "")

    def with_files(self, change: Callable[[str], str]) -> "LinkSpec":
        """Return the link with each path that it names changed."""
        port = None if self.port is None else change(self.port)
        return self.evolve(port=port, security=self.security and self.security.with_files(change))
