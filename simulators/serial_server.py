"""A serial line on a pseudo-terminal: real bytes on a real device file, with faults between device and wire."""

import asyncio
import logging
import os
import tty
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from simulators.clock import LabClock, Moment
from simulators.faults import BODILY_KINDS, SERIAL_KINDS, FaultBook, FaultKind, FaultSpec
from simulators.serial_line import LineProtocol, Request

logger = logging.getLogger(__name__)

READ_SIZE = 4096
BITS_PER_BYTE = 10
"""Start bit, eight data bits, stop bit."""


class SerialBody(Protocol):
    """What may happen to a serial device whatever its commands."""

    def power_cycle(self, now: Moment) -> None:
        """Cut the power for a moment."""
        ...

    def stall(self, now: Moment) -> None:
        """Break what moves or heats."""
        ...

    def break_sensor(self, now: Moment) -> None:
        """Break what measures, where there is such a thing."""
        ...

    def repair(self, now: Moment) -> None:
        """Mend it."""
        ...


def strike(body: SerialBody, kind: FaultKind, now: Moment) -> None:
    """Let a bodily fault happen."""
    happen = {FaultKind.POWER_CYCLE: body.power_cycle, FaultKind.STALL: body.stall, FaultKind.SENSOR_BREAK: body.break_sensor}[kind]
    happen(now)


class SerialServer:
    """Serves one line; the slave's descriptor stays open, so that a closing client does not hang up the line."""

    def __init__(
        self,
        link: Path,
        protocol: LineProtocol,
        bodies: Mapping[str, SerialBody],
        faults: FaultBook,
        clock: LabClock,
        *,
        touched: Callable[[], None],
        baud: int = 0,
    ) -> None:
        self.link = link
        self._protocol = protocol
        self._bodies = dict(bodies)
        self._faults = faults
        self._clock = clock
        self._touched = touched
        self._baud = baud
        self._free_at = 0.0
        self._timers: set[asyncio.TimerHandle] = set()
        self._descriptors: tuple[int, int] | None = None

    def start(self) -> None:
        """Open the pseudo-terminal and put the stable link on its slave."""
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        self._descriptors = master, slave
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(os.ttyname(slave))
        asyncio.get_running_loop().add_reader(master, self._readable)

    def close(self) -> None:
        """Close the line and remove the link."""
        if self._descriptors is None:
            return
        asyncio.get_running_loop().remove_reader(self._descriptors[0])
        for timer in self._timers:
            timer.cancel()
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors = None
        self.link.unlink(missing_ok=True)

    def _readable(self) -> None:
        if self._descriptors is None:
            return
        data = os.read(self._descriptors[0], READ_SIZE)
        for request in self._protocol.feed(data, self._clock.now()):
            self._serve(request)
        self._touched()

    def _serve(self, request: Request) -> None:
        fault = self._faults.take(request.device, request.text, SERIAL_KINDS)
        delay = 0.0 if fault is None or fault.fault is not FaultKind.LATE_REPLY else fault.delay_s
        self._send(self._answer(request, fault), delay)

    def _answer(self, request: Request, fault: FaultSpec | None) -> bytes:
        """Carry a request out as the fault lets it, and give the bytes that reach the client."""
        now = self._clock.now()
        kind = None if fault is None else fault.fault
        if kind in (FaultKind.NO_REPLY, FaultKind.REQUEST_LOST):
            return b""
        if kind is not None and kind in BODILY_KINDS:
            strike(self._bodies[request.device], kind, now)
        if kind is FaultKind.POWER_CYCLE:
            return b""
        if fault is not None and kind is FaultKind.ACKNOWLEDGE_AND_IGNORE:
            return self._ignore(request, fault, now)
        return self._damage(request.execute(now), kind)

    def _ignore(self, request: Request, fault: FaultSpec, now: Moment) -> bytes:
        if fault.only == "any":
            return request.acknowledge()
        reply = request.execute(now)
        return request.acknowledge() if request.is_refusal(reply) else reply

    def _damage(self, reply: bytes, kind: FaultKind | None) -> bytes:
        if kind is FaultKind.REPLY_LOST or not reply:
            return b""
        if kind is FaultKind.HALF_FRAME:
            return reply[: len(reply) // 2]
        return self._faults.flip(reply) if kind is FaultKind.BYTE_FLIP else reply

    def _send(self, reply: bytes, delay: float) -> None:
        if not reply:
            return
        loop = asyncio.get_running_loop()
        bytes_last = BITS_PER_BYTE * len(reply) / self._baud if self._baud else 0.0
        due = loop.time() + delay + bytes_last
        if not delay:
            due = self._free_at = max(due, self._free_at + bytes_last)
        if due <= loop.time():
            self._write(reply)
            return
        self._timers = {timer for timer in self._timers if timer.when() > loop.time()}
        self._timers.add(loop.call_at(due, self._write, reply))

    def _write(self, reply: bytes) -> None:
        if self._descriptors is None:
            return
        try:
            os.write(self._descriptors[0], reply)
        except BlockingIOError:
            logger.warning("line %s: nobody reads, %d bytes are lost", self.link, len(reply))
