"""A TCP connection to a device, or to the device server that a serial device hangs on; owned by one thread."""

import re
import select
import socket
from typing import Final

from typing_extensions import override

from instruments.transport.stream import TICK, WRITE_LIMIT, StreamTransport
from orchestrator.errors import BadInput, LinkError, Sent

_URL: Final = re.compile(r"tcp://(?P<host>\[[0-9a-fA-F:]+\]|[^\s:/@\[\]]+):(?P<port>\d{1,5})/?")
_CONNECT: Final = 3.0
"""Wall seconds for a connection; less than a safe action may take (5 s)."""
_SILENT: Final = 5
"""Seconds of silence after which the system asks whether the far side still lives."""
_ASKS: Final = 3
"""Unanswered questions, a second each, after which it is lost: else a device whose power was cut looks idle for hours."""
_SIZE: Final = 4096


def host_and_port(url: str) -> tuple[str, int]:
    """Take a url apart.

    Raises:
        BadInput: It is not of the form `tcp://HOST:PORT`.
    """
    found = _URL.fullmatch(url)
    if found is None or not 0 < int(found["port"]) < 65536:
        raise BadInput(f"{url!r} is no address of a tcp link; expected 'tcp://HOST:PORT'")
    return found["host"].strip("[]"), int(found["port"])


class TcpTransport(StreamTransport):
    """Exchanges over a TCP connection, which is made anew when it was lost."""

    def __init__(self, url: str) -> None:
        """Connect.

        Args:
            url: `tcp://HOST:PORT`.

        Raises:
            BadInput: The url is none.
            LinkError: Nobody answers there (`sent` no).
        """
        host, port = host_and_port(url)
        super().__init__(url, lambda: _connect(url, host, port))

    @property
    @override
    def kind(self) -> str:
        return "tcp"


class _Socket:
    """A connected socket as a carrier of bytes."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    @property
    def in_waiting(self) -> int:
        return _SIZE if self._is_readable(0.0) else 0

    def read(self, size: int) -> bytes:
        if not self._is_readable(TICK):
            return b""
        data = self._socket.recv(size)
        if not data:
            raise ConnectionResetError("the far side has closed it")
        return data

    def write(self, data: bytes) -> None:
        self._socket.sendall(data)

    def close(self) -> None:
        self._socket.close()

    def _is_readable(self, seconds: float) -> bool:
        return bool(select.select([self._socket], [], [], seconds)[0])


def _connect(url: str, host: str, port: int) -> _Socket:
    try:
        connected = socket.create_connection((host, port), timeout=_CONNECT)
    except OSError as error:
        raise LinkError(f"cannot connect to {url}: {error}", sent=Sent.NO) from error
    connected.settimeout(WRITE_LIMIT)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, _SILENT), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, _ASKS)):
        connected.setsockopt(socket.IPPROTO_TCP, option, value)
    return _Socket(connected)
