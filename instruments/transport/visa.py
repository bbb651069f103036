"""A VISA resource: an instrument on GPIB, on USB (USBTMC) or on the network (VXI-11, HiSLIP), which sends whole messages.

PyVISA and a VISA library are an extra, `visa`. Its exclusive open is refused by no other program with pyvisa-py; the lock of
the wire, which names the resource, keeps the owners of one machine apart. Serial ports and plain sockets have links of
their own, which see each byte, and whether a connection was lost.
"""

import time
from typing import Any, Final

import pyvisa
from pyvisa.constants import StatusCode
from pyvisa.errors import Error, VisaIOError
from pyvisa.resources import MessageBasedResource
from typing_extensions import override

from instruments.transport.base import ReplyOf
from instruments.transport.stream import BABBLE, TICK, WRITE_LIMIT, Carrier, StreamTransport
from orchestrator.errors import LinkError, Sent

_BROKEN: Final = (Error, RuntimeError)
"""What PyVISA raises, and pyvisa-py's HiSLIP where a connection is gone."""
_OPEN: Final = 3.0
"""Wall seconds for opening; less than a safe action may take (5 s)."""


class VisaTransport(StreamTransport):
    """Exchanges of whole messages with one VISA resource."""

    def __init__(self, resource: str, library: str = "@py") -> None:
        """Open it.

        Args:
            resource: The resource's name, as VISA has it.
            library: The VISA library: `@py` for pyvisa-py, `@ivi` for the vendor's, or its file.

        Raises:
            LinkError: It cannot be opened (`sent` no).
        """
        super().__init__(resource, lambda: _opened(resource, library))

    @property
    @override
    def kind(self) -> str:
        return "visa"

    @override
    def _receive(self, port: Carrier, reply_of: ReplyOf, until: float) -> tuple[bytes, bytes | None]:
        """Wait for each message as long as the deadline allows: a read that ends early may cost the message."""
        assert isinstance(port, _Message)
        buffer = b""
        while (left := until - time.monotonic()) > 0 and len(buffer) < BABBLE:
            buffer += port.within(left)
            if (reply := reply_of(buffer)) is not None:
                return buffer, reply
        port.is_late = True
        return buffer, None


class _Message(Carrier):
    """An open resource as a carrier of bytes."""

    def __init__(self, resource: Any) -> None:
        self._resource = resource
        self.is_late = False
        """Whether an answer may still come that nobody waits for."""

    @property
    @override
    def in_waiting(self) -> int:
        """Drop a late answer by a device clear, which empties the output queue and changes no setting (IEEE 488.2, 5.8).

        Not of HiSLIP, where each answer has its request's number and a client drops the others (IVI-6.1, 3.1.2); pyvisa-py
        takes a late one for the answer to its clear.
        """
        if self.is_late and "hislip" not in self._resource.resource_name.lower():
            _mapped(self._resource.clear)
        self.is_late = False
        return 0

    @override
    def read(self, size: int) -> bytes:
        return self.within(TICK)

    def within(self, seconds: float) -> bytes:
        """Return one message, or nothing when none has come in so many seconds."""
        self._resource.timeout = max(1, round(1000 * seconds))
        try:
            return bytes(self._resource.read_raw())
        except VisaIOError as error:
            if error.error_code == StatusCode.error_timeout:
                return b""
            raise OSError(str(error)) from error
        except _BROKEN as error:
            raise OSError(str(error)) from error

    @override
    def write(self, data: bytes) -> None:
        self._resource.timeout = round(1000 * WRITE_LIMIT)
        _mapped(lambda: self._resource.write_raw(data))

    @override
    def close(self) -> None:
        _mapped(self._resource.close)


def _mapped(act: Any) -> None:
    try:
        act()
    except _BROKEN as error:
        raise OSError(str(error)) from error


def _opened(name: str, library: str) -> _Message:
    try:
        resource = pyvisa.ResourceManager(library).open_resource(name, open_timeout=round(1000 * _OPEN))
    except (*_BROKEN, OSError, ValueError) as error:
        said = " ".join(str(error).split())  # of several lines where a library is missing
        raise LinkError(f"cannot open {name} by VISA library {library}: {said}", sent=Sent.NO) from error
    if not isinstance(resource, MessageBasedResource):
        resource.close()
        raise LinkError(f"cannot open {name}: it takes no messages ({type(resource).__name__})", sent=Sent.NO)
    return _Message(resource)
