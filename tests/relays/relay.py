"""Relays that stand between a driver and any device, on a TCP connection or on a serial line, and make trouble when told to.

A relay knows no protocol: a request is what the driver's side sends in one piece, its answer what then comes back until the
line is quiet. `whole` cuts a stream of framed messages, as OPC-UA's, where that would not do.
"""

import contextlib
import os
import select
import socket
import threading
import time
import tty
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from typing_extensions import override

from tests.relays.tampering import REPLIES, Tampering, Trouble

QUIET: Final = 0.04
"""s without a byte after which an answer is whole."""
TURN: Final = 0.01
_SIZE: Final = 65536
Whole = Callable[[bytes], tuple[list[bytes], bytes]]
"""Received bytes -> whole messages, and what is left of the bytes."""


class Side:
    """One end: a socket or a descriptor."""

    def __init__(self, number: int, close: Callable[[], None]) -> None:
        self.number = number
        self.close = close
        self.held = b""

    def read(self) -> bytes:
        """Read what is there; empty when the far end has gone."""
        try:
            return os.read(self.number, _SIZE)
        except OSError:
            return b""

    def write(self, data: bytes) -> None:
        """Send; a far end that has gone is noticed when it is read."""
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self.number, data) :]


class Relay(ABC):
    """One thread that passes bytes on both ways."""

    def __init__(self, whole: Whole | None = None) -> None:
        self.armed: list[Tampering] = []
        self.asked: list[bytes] = []
        """Requests that have passed or were lost."""
        self._whole = whole or (lambda data: ([data], b""))
        self._guard = threading.RLock()
        self._waiting: Tampering | None = None
        """What the answer that is awaited gets."""
        self._reply, self._heard = b"", 0.0
        self._last = self._kept = b""
        self._late: list[tuple[float, bytes]] = []
        self._mute_until = self._away_until = 0.0
        self._driver: Side | None = None
        self._device: Side | None = None
        self._to_break: list[float] = []
        self._broken = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay")

    # ----------------------------------------------------------------- what a test does with it

    def arm(self, tampering: Tampering) -> Tampering:
        """Let a fault strike from now on."""
        with self._guard:
            self.armed.append(tampering)
        return tampering

    def disarm(self) -> None:
        """Pass everything on."""
        with self._guard:
            self.armed.clear()
            self._mute_until = 0.0

    def cut(self, seconds: float = 0.0) -> None:
        """Break the connection now; it can be had again after so many seconds."""
        self._broken.clear()
        self._to_break.append(seconds)
        assert self._broken.wait(10.0), "the relay does not turn"

    def _break(self, seconds: float) -> None:
        """Break the connection, in the thread that alone closes what it listens to."""
        self._away_until = time.monotonic() + seconds
        self._hang_up()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        self._hang_up()
        self._close()

    # ----------------------------------------------------------------- what each kind of relay does in its own way

    @abstractmethod
    def _meet(self) -> None:
        """Let a driver in where there is none, and reach the device for it."""

    @abstractmethod
    def _hang_up(self) -> None:
        """Break the driver's connection."""

    @abstractmethod
    def _close(self) -> None:
        """Release everything."""

    # ----------------------------------------------------------------- the thread

    def _run(self) -> None:
        while not self._over.is_set():
            with self._guard:
                while self._to_break:
                    self._break(self._to_break.pop())
                    self._broken.set()
                if time.monotonic() >= self._away_until:
                    self._meet()
                sides = [side for side in (self._driver, self._device) if side is not None]
            ready = select.select([side.number for side in sides], [], [], TURN)[0] if sides else []
            if not sides:
                time.sleep(TURN)
            with self._guard:
                for side in sides:
                    if side.number in ready and side in (self._driver, self._device):
                        self._pass_on(side)
                self._finish()

    def _pass_on(self, side: Side) -> None:
        data = side.read()
        if not data:
            self._hang_up()
            return
        if time.monotonic() < self._mute_until:
            return
        pieces, side.held = self._whole(side.held + data)
        for piece in pieces:
            if side is self._driver:
                self._request(piece)
            else:
                self._answer(piece)

    def _request(self, request: bytes) -> None:
        self._finish(now=True)
        self.asked.append(request)
        struck = next((one for one in self.armed if one.strikes(request)), None)
        trouble = None if struck is None else struck.trouble
        if struck is not None and trouble is Trouble.REFUSE:
            self._to_driver(struck.data)
        if trouble in (Trouble.LOSE_REQUEST, Trouble.REFUSE) or self._device is None:
            return
        self._device.write(request)
        if struck is None:
            return
        if trouble in REPLIES:
            self._waiting, self._reply = struck, b""
        elif trouble is Trouble.MUTE:
            self._mute_until = time.monotonic() + struck.seconds
        else:
            time.sleep(QUIET)  # the device has it before the line breaks
            self._break(struck.seconds)

    def _answer(self, data: bytes) -> None:
        if self._waiting is not None:
            self._reply, self._heard = self._reply + data, time.monotonic()
            return
        self._to_driver(data)
        if self._kept:
            self._to_driver(self._kept)
            self._kept = b""
        self._last = data

    def _finish(self, *, now: bool = False) -> None:
        """Deliver an answer that is whole, and those that are due late."""
        moment = time.monotonic()
        if self._waiting is not None and self._reply and (now or moment - self._heard > QUIET):
            struck, reply, self._waiting, self._reply = self._waiting, self._reply, None, b""
            if struck.trouble is Trouble.DELAY:
                self._late.append((moment + struck.seconds, reply))
            elif struck.trouble is Trouble.REORDER:
                self._kept = reply
            arriving = struck.arriving(reply, self._last)
            struck.changed += arriving != reply
            self._to_driver(arriving)
            self._last = reply
        for due, reply in [one for one in self._late if one[0] <= moment]:
            self._late.remove((due, reply))
            self._to_driver(reply)

    def _to_driver(self, data: bytes) -> None:
        if data and self._driver is not None:
            self._driver.write(data)


class PtyRelay(Relay):
    """Between a serial port and the one that a driver opens, `link`; a cut takes the port away, as an unplugged adapter does."""

    def __init__(self, port: str, link: Path) -> None:
        super().__init__()
        self.link = link
        number = os.open(port, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(number)
        self._device = Side(number, lambda: os.close(number))
        self._meet()

    @override
    def _meet(self) -> None:
        if self._driver is not None:
            return
        master, slave = os.openpty()
        tty.setraw(slave)

        def close() -> None:
            os.close(master)
            os.close(slave)

        self._driver = Side(master, close)
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(os.ttyname(slave))

    @override
    def _hang_up(self) -> None:
        if self._driver is not None:
            self.link.unlink(missing_ok=True)
            self._driver.close()
            self._driver = None

    @override
    def _close(self) -> None:
        if self._device is not None:
            self._device.close()


class TcpRelay(Relay):
    """Between a TCP server and the port that a driver connects to."""

    def __init__(self, host: str, port: int, whole: Whole | None = None) -> None:
        super().__init__(whole)
        self._far = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port = int(self._listener.getsockname()[1])

    @override
    def _meet(self) -> None:
        try:
            near, _ = self._listener.accept()
        except BlockingIOError:
            return
        self._hang_up()  # one driver at a time; the last one counts
        near.setblocking(True)
        try:
            far = socket.create_connection(self._far, timeout=5.0)
        except OSError:  # the device has gone: so has the connection
            near.close()
            return
        far.settimeout(None)
        self._driver, self._device = Side(near.fileno(), near.close), Side(far.fileno(), far.close)

    @override
    def _hang_up(self) -> None:
        for side in (self._driver, self._device):
            if side is not None:
                side.close()
        self._driver = self._device = None

    @override
    def _close(self) -> None:
        self._listener.close()


def opcua_messages(data: bytes) -> tuple[list[bytes], bytes]:
    """Cut OPC-UA's messages: three letters, one of the chunk, the size in four bytes, low byte first (OPC 10000-6, 7.1.2.2)."""
    found = []
    while len(data) >= 8 and len(data) >= (size := int.from_bytes(data[4:8], "little")):
        found.append(data[:size])
        data = data[size:]
    return found, data
