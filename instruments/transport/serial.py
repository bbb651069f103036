"""A serial port, owned by one thread.

All attributes are set at open and never changed: on a pseudo-terminal 7E1 runs as 8N1, and any later change, of the
time-out too, raises `termios.error`. Deadlines are kept here, over one short fixed read time-out.
"""

import fcntl
import logging
import os
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import serial
from typing_extensions import override

from instruments.transport.base import LineTransport, ReplyOf
from orchestrator.errors import BadInput, LinkError, Sent

logger = logging.getLogger(__name__)

_TICK: Final = 0.02
"""Seconds of one read; the grain of every deadline."""
_WRITE_LIMIT: Final = 2.0
"""Seconds after which a write that the line does not take has failed."""
_BABBLE: Final = 8192
"""More bytes than any exchange brings: the line is not what it should be."""
_PATIENCE: Final = 2.0
"""Seconds within which a line must fall quiet before it is written to."""
_SIZES: Final = {"7": serial.SEVENBITS, "8": serial.EIGHTBITS}
_STOPS: Final = {"1": serial.STOPBITS_ONE, "2": serial.STOPBITS_TWO}
_LOST: Final = (serial.SerialException, OSError, termios.error)


class SerialTransport(LineTransport):
    """Exchanges over a serial port (or a pyserial URL such as `socket://host:port`)."""

    def __init__(self, port: str, *, baud: int = 19200, frame: str = "8N1") -> None:
        """Open the port for us alone.

        Args:
            port: The device's path.
            baud: Bits per second.
            frame: Data bits, parity (N, E or O) and stop bits, for example `7E1`.

        Raises:
            BadInput: The frame is none.
            LinkError: The port is missing or held by another program (`sent` no).
        """
        self._name, self._baud, self._frame = port, baud, frame
        self._closed = False
        self._lock = threading.Lock()
        self._quiet_from = 0.0
        self._port: serial.SerialBase | None = _open(port, baud, frame)

    @property
    @override
    def kind(self) -> str:
        return "serial"

    @override
    def exchange(self, request: bytes, reply_of: ReplyOf, *, deadline: float, worst_reply: float) -> bytes:
        with self._lock:
            return self._exchange(self._opened(), request, reply_of, deadline, worst_reply)

    def _opened(self) -> serial.SerialBase:
        """Return the port, opened anew when it had been lost."""
        if self._closed:
            raise LinkError(f"{self._name} is closed; nothing was sent", sent=Sent.NO)
        if self._port is None:
            self._port = _open(self._name, self._baud, self._frame)
            logger.warning("%s: opened again", self._name)
        return self._port

    def _exchange(self, port: serial.SerialBase, request: bytes, reply_of: ReplyOf, deadline: float, worst: float) -> bytes:
        with self._mapped("before sending", Sent.NO):
            self._await_quiet(port)
        with self._mapped(f"while sending {request!r}", Sent.MAYBE):
            port.write(request)
        sent_at = time.monotonic()
        with self._mapped(f"while waiting for the reply to {request!r}", Sent.MAYBE):
            received, reply = self._receive(port, reply_of, sent_at + deadline)
        if reply is None:
            self._quiet_from = sent_at + worst
            heard = f"only {received[-60:]!r}" if received else "nothing"
            message = f"{self._name}: no reply to {request!r} within {deadline:g} s; heard {heard}"
            raise LinkError(message, sent=Sent.MAYBE)
        return reply

    def _receive(self, port: serial.SerialBase, reply_of: ReplyOf, until: float) -> tuple[bytes, bytes | None]:
        buffer = b""
        while (now := time.monotonic()) < until and len(buffer) < _BABBLE:
            if chunk := _chunk(port):
                buffer += chunk
                if (reply := reply_of(buffer)) is not None:
                    return buffer, reply
            elif time.monotonic() - now < _TICK / 10:
                time.sleep(_TICK)  # a URL handler that does not wait by itself
        return buffer, None

    def _await_quiet(self, port: serial.SerialBase) -> None:
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
        except _LOST as error:
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
        except _LOST as error:
            logger.warning("%s did not close cleanly: %s", self._name, error)


def _chunk(port: serial.SerialBase) -> bytes:
    return bytes(port.read(max(1, port.in_waiting)))


def _open(name: str, baud: int, frame: str) -> serial.SerialBase:
    if len(frame) != 3 or frame[0] not in _SIZES or frame[1] not in "NEO" or frame[2] not in _STOPS:
        raise BadInput(f"{name}: {frame!r} is no frame; expected data bits, parity and stop bits such as '8N1' or '7E1'")
    try:
        port = serial.serial_for_url(
            name,
            baudrate=baud,
            bytesize=_SIZES[frame[0]],
            parity=frame[1],
            stopbits=_STOPS[frame[2]],
            timeout=_TICK,
            write_timeout=_WRITE_LIMIT,
            exclusive=True,
        )
        _claim(port)
    except _LOST as error:
        raise LinkError(f"cannot open {name}: {error}", sent=Sent.NO) from error
    return port


def _claim(port: serial.SerialBase) -> None:
    """Keep other programs off a real port (pyserial's `exclusive` is an flock, which a plain open does not ask for).

    Not on a pseudo-terminal: there the flag outlives a killed owner for as long as the far side keeps a descriptor, and
    would lock its successor out.
    """
    descriptor = port.fileno()
    if os.isatty(descriptor) and not os.ttyname(descriptor).startswith("/dev/pts/"):
        fcntl.ioctl(descriptor, termios.TIOCEXCL)
