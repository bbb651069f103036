"""Bodies that are registers, on a serial line as Modbus RTU units.

Framing and functions by the Modbus specification over serial line V1.02, chapter 2.5.1, and the Modbus application protocol
V1.1b3, chapters 6.3 (read holding registers), 6.4 (read input registers), 6.6 (write one) and 6.12 (write several).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from typing_extensions import override

from simulators.body import Body
from simulators.clock import Moment
from simulators.eurotherm import ILLEGAL_ADDRESS, ILLEGAL_FUNCTION, ILLEGAL_VALUE, LARGEST_READ, SILENCE, WRITE, WRITE_SEVERAL, crc16
from simulators.serial_line import LineProtocol, Request

_READS = (3, 4)
_SHORT = 8
"""Bytes of a request that reads or writes one register."""
_COUNTED = (15, 16)
"""Functions whose request says how long it is."""


@dataclass(frozen=True, slots=True)
class RegisterRequest(Request):
    """One frame with a good CRC for one body."""

    body: Body
    frame: bytes

    @property
    def _function(self) -> int:
        return self.frame[1]

    @override
    def execute(self, now: Moment) -> bytes:
        self.body.live(now)
        first, count = struct.unpack(">HH", self.frame[2:6])
        if self._function in _READS:
            return self._read(first, count)
        if self._function == WRITE:
            return self._write(first, [count])
        if self._function == WRITE_SEVERAL:
            return self._write(first, list(struct.unpack(f">{count}H", self.frame[7 : 7 + 2 * count])))
        return self._exception(ILLEGAL_FUNCTION)

    @override
    def acknowledge(self) -> bytes:
        return self.frame if self._function == WRITE else _sealed(self.frame[:6])

    @override
    def is_refusal(self, reply: bytes) -> bool:
        return bool(reply[1] & 0x80)

    def _read(self, first: int, count: int) -> bytes:
        registers = self.body.registers
        if not 1 <= count <= LARGEST_READ:
            return self._exception(ILLEGAL_VALUE)
        if any(number not in registers for number in range(first, first + count)):
            return self._exception(ILLEGAL_ADDRESS)
        words = [registers[number] for number in range(first, first + count)]
        return _sealed(bytes([self.frame[0], self._function, 2 * count]) + struct.pack(f">{count}H", *words))

    def _write(self, first: int, words: Sequence[int]) -> bytes:
        if any(number not in self.body.registers for number in range(first, first + len(words))):
            return self._exception(ILLEGAL_ADDRESS)
        taken = all(self.body.write(number, word) for number, word in enumerate(words, start=first))
        return self.acknowledge() if taken else self._exception(ILLEGAL_VALUE)

    def _exception(self, code: int) -> bytes:
        return _sealed(bytes([self.frame[0], self._function | 0x80, code]))


class RegisterLine(LineProtocol):
    """The bodies on one line, each a unit; frames for other units and frames with a bad CRC are not answered."""

    def __init__(self, bodies: Sequence[Body]) -> None:
        super().__init__(SILENCE)
        self._bodies = {int(body.options.get("unit", 1)): body for body in bodies}

    @override
    def _take(self) -> list[Request]:
        requests: list[Request] = []
        while (length := _length(self._buffer)) is not None:
            frame, self._buffer = self._buffer[:length], self._buffer[length:]
            if crc16(frame[:-2]) != frame[-2:]:
                self._buffer = b""
            elif (body := self._bodies.get(frame[0])) is not None:
                requests.append(RegisterRequest(body.name, _in_words(frame), body, frame))
        return requests


def _length(buffer: bytes) -> int | None:
    """Tell how long the request at the front is; None when it is not complete yet."""
    if len(buffer) < _SHORT:
        return None
    length = 9 + buffer[6] if buffer[1] in _COUNTED else _SHORT
    return length if len(buffer) >= length else None


def _in_words(frame: bytes) -> str:
    first, second = struct.unpack(">HH", frame[2:6])
    verb = "read" if frame[1] in _READS else "write" if frame[1] in (WRITE, WRITE_SEVERAL) else f"function {frame[1]}"
    return f"{verb} {first} {second}"


def _sealed(body: bytes) -> bytes:
    return body + crc16(body)
