"""A serial port, owned by one thread.

All attributes are set at open and never changed: on a pseudo-terminal 7E1 runs as 8N1, and any later change, of the
time-out too, raises `termios.error`.
"""

import errno
import fcntl
import os
import re
import termios
from typing import Final

import serial
from typing_extensions import override

from instruments.transport.stream import LOST, TICK, WRITE_LIMIT, StreamTransport
from orchestrator.errors import BadInput, LinkError, Sent

_SIZES: Final = {"7": serial.SEVENBITS, "8": serial.EIGHTBITS}
_STOPS: Final = {"1": serial.STOPBITS_ONE, "2": serial.STOPBITS_TWO}

_PLAIN: Final = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENODEV, errno.ENXIO)
"""Errors of the system that say all there is to say."""


class SerialTransport(StreamTransport):
    """Exchanges over a serial port, or what pyserial offers as one: `socket://`, `rfc2217://`, `hwgrep://`."""

    def __init__(self, port: str, *, baud: int = 19200, frame: str = "8N1") -> None:
        """Open the port for us alone.

        Args:
            port: The device's path, or pyserial's URL.
            baud: Bits per second.
            frame: Data bits, parity (N, E or O) and stop bits, for example `7E1`.

        Raises:
            BadInput: The frame is none.
            LinkError: The port is missing or held by another program (`sent` no).
        """
        super().__init__(port, lambda: _open(port, baud, frame))

    @property
    @override
    def kind(self) -> str:
        return "serial"


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
            timeout=TICK,
            write_timeout=None if name.lower().startswith("rfc2217:") else WRITE_LIMIT,  # pyserial: "currently not supported"
            exclusive=True,
        )
        _claim(port)
    except (*LOST, ValueError, re.error) as error:  # the latter: a URL that pyserial cannot read, a search that is no pattern
        raise LinkError(f"cannot open {name}: {_said(error)}", sent=Sent.NO) from error
    return port


def _said(error: BaseException) -> str:
    """Say why a port cannot be opened; where the system says it, without the port, which pyserial names twice more."""
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number in _PLAIN else str(error)


def _claim(port: serial.SerialBase) -> None:
    """Keep other programs off a real port (pyserial's `exclusive` is an flock, which a plain open does not ask for).

    Not on a pseudo-terminal: there the flag outlives a killed owner for as long as the far side keeps a descriptor, and
    would lock its successor out.
    """
    if not isinstance(port, serial.Serial):
        return  # a URL without a device of this machine behind it
    descriptor = port.fileno()
    if os.isatty(descriptor) and not os.ttyname(descriptor).startswith("/dev/pts/"):
        fcntl.ioctl(descriptor, termios.TIOCEXCL)
