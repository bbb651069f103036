"""Exchanges over whatever carries bytes both ways, a serial port or a socket, owned by one thread.

Deadlines are kept here, over one short fixed read time-out of what carries the bytes.
"""

import logging
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import serial
from typing_extensions import override

from instruments.transport import exchanges
from instruments.transport.base import LineTransport, ReplyOf
from orchestrator.errors import LinkError, Sent

logger = logging.getLogger(__name__)

TICK: Final = 0.02
"""Seconds of one read; the grain of every deadline."""
WRITE_LIMIT: Final = 2.0
"""Seconds after which a write that the line does not take has failed."""
BABBLE: Final = 8192
"""More bytes than any exchange brings: the line is not what it should be."""
_PATIENCE: Final = 2.0
"""Seconds within which a line must fall quiet before it is written to."""
LOST: Final = (serial.SerialException, OSError, termios.error)
"""What a lost carrier raises."""


class Carrier(Protocol):
    """What carries bytes both ways; every method may raise one of LOST."""

    @property
    def in_waiting(self) -> int:
        """How many bytes can be read at once; some carriers say only whether there are any."""
        ...

    def read(self, size: int) -> bytes:
        """Wait for at most TICK seconds for bytes."""
        ...

    def write(self, data: bytes) -> object:
        """Send bytes."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class StreamTransport(LineTransport):
    """Requests and replies over a carrier of bytes, which is opened anew when it was lost."""

    def __init__(self, name: str, carrier: Callable[[], Carrier]) -> None:
        """Open it.

        Args:
            name: What messages call it.
            carrier: Opens it.

        Raises:
            LinkError: It cannot be opened (`sent` no).
        """
        self._name = name
        self._open = carrier
        self._closed = False
        self._lock = threading.Lock()
        self._quiet_from = 0.0
        self._port: Carrier | None = carrier()

    @override
    def exchange(self, request: bytes, reply_of: ReplyOf, *, deadline: float, worst_reply: float) -> bytes:
        with self._lock:
            return self._exchange(self._opened(), request, reply_of, deadline, worst_reply)

    @override
    def tell(self, request: bytes) -> None:
        with self._lock:
            self._send(self._opened(), request)
        exchanges.tell(request, b"")

    def _opened(self) -> Carrier:
        """Return the carrier, opened anew when it had been lost."""
        if self._closed:
            raise LinkError(f"{self._name} is closed; nothing was sent", sent=Sent.NO)
        if self._port is None:
            self._port = self._open()
            logger.warning("%s: opened again", self._name)
        return self._port

    def _send(self, port: Carrier, request: bytes) -> None:
        with self._mapped("before sending", Sent.NO):
            self._await_quiet(port)
        with self._mapped(f"while sending {request!r}", Sent.MAYBE):
            port.write(request)

    def _exchange(self, port: Carrier, request: bytes, reply_of: ReplyOf, deadline: float, worst: float) -> bytes:
        self._send(port, request)
        sent_at = time.monotonic()
        with self._mapped(f"while waiting for the reply to {request!r}", Sent.MAYBE):
            received, reply = self._receive(port, reply_of, sent_at + deadline)
        exchanges.tell(request, received if reply is None else reply)
        if reply is None:
            self._quiet_from = sent_at + worst
            heard = f"only {received[-60:]!r}" if received else "nothing"
            message = f"{self._name}: no reply to {request!r} within {deadline:g} s; heard {heard}"
            raise LinkError(message, sent=Sent.MAYBE)
        return reply

    def _receive(self, port: Carrier, reply_of: ReplyOf, until: float) -> tuple[bytes, bytes | None]:
        buffer = b""
        while (now := time.monotonic()) < until and len(buffer) < BABBLE:
            if chunk := _chunk(port):
                buffer += chunk
                if (reply := reply_of(buffer)) is not None:
                    return buffer, reply
            elif time.monotonic() - now < TICK / 10:
                time.sleep(TICK)  # a URL handler that does not wait by itself
        return buffer, None

    def _await_quiet(self, port: Carrier) -> None:
        """Wait out the replies that may still come, then drop whatever has arrived unasked."""
        while time.monotonic() < self._quiet_from:
            self._drop(_chunk(port))
        until = time.monotonic() + _PATIENCE
        while port.in_waiting:
            self._drop(_chunk(port))
            if time.monotonic() > until:
                raise LinkError(f"{self._name} does not fall quiet; nothing was sent", sent=Sent.NO)

    def _drop(self, stale: bytes) -> None:
        if stale:
            logger.warning("%s: dropped %d stale bytes %r", self._name, len(stale), stale[:60])

    @contextmanager
    def _mapped(self, when: str, sent: Sent) -> Iterator[None]:
        try:
            yield
        except LOST as error:
            self._shut()
            raise LinkError(f"{self._name} was lost {when}: {error}", sent=sent) from error

    @override
    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._shut()

    def _shut(self) -> None:
        port, self._port = self._port, None
        if port is None:
            return
        try:
            port.close()
        except LOST as error:
            logger.warning("%s did not close cleanly: %s", self._name, error)


def _chunk(port: Carrier) -> bytes:
    return bytes(port.read(max(1, port.in_waiting)))
