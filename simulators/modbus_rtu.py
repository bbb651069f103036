"""Devices that are registers on one serial line: Modbus RTU units, functions 3 and 4 (read), 6 (write one), 16 (write several).

CRC and framing by the Modbus specification over serial line V1.02, chapter 2.5.1; functions, their order of checks and their
exceptions by the Modbus application protocol V1.1b3, chapters 6.3, 6.4, 6.6, 6.12 and 7.
"""

import struct
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from typing_extensions import override

from simulators.clock import Moment
from simulators.serial_line import LineProtocol, Request

READS: Final = (3, 4)
WRITE: Final = 6
WRITE_SEVERAL: Final = 16
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
LARGEST_READ: Final = 125
LARGEST_WRITE: Final = 123
_SHORT: Final = 8
"""Bytes of a request of functions 1 to 6."""
_COUNTED: Final = (15, WRITE_SEVERAL)
"""Functions whose request says how long it is."""

SILENCE: Final = 0.1
"""s (wall); bytes of an unfinished frame are dropped after it. The standard's 3.5 characters would be 2 ms, less than a
busy machine's scheduling."""


class Unit(ABC):
    """One device of the line."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number
        """Its unit number, 1 to 247."""

    @abstractmethod
    def live(self, now: Moment) -> None:
        """Live up to a moment."""

    @abstractmethod
    def words(self, numbers: range) -> Sequence[int | None]:
        """Read registers (0 to 65535); None for one that is not there."""

    @abstractmethod
    def takes(self, register: int) -> bool:
        """Tell whether a register is there to be written."""

    @abstractmethod
    def write(self, now: Moment, register: int, word: int) -> bool:
        """Take a register's new word; False where it is illegal."""


def crc16(data: bytes) -> bytes:
    """Compute the Modbus CRC (polynomial 0xA001, start 0xFFFF), low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


def signed(word: int) -> int:
    """Take a word for a signed 16-bit integer."""
    return word - 0x10000 if word & 0x8000 else word


@dataclass(frozen=True, slots=True)
class RegisterRequest(Request):
    """One frame that is addressed to a unit and has a good CRC."""

    unit: Unit
    frame: bytes

    @property
    def _function(self) -> int:
        return self.frame[1]

    @override
    def execute(self, now: Moment) -> bytes:
        self.unit.live(now)
        if self._function in READS:
            return self._read()
        if self._function in (WRITE, WRITE_SEVERAL):
            return self._write(now)
        return self._exception(ILLEGAL_FUNCTION)

    @override
    def acknowledge(self) -> bytes:
        if self._function == WRITE:
            return self.frame
        return _sealed(self.frame[:6]) if self._function == WRITE_SEVERAL else self._exception(ILLEGAL_FUNCTION)

    @override
    def is_refusal(self, reply: bytes) -> bool:
        return self._function in (WRITE, WRITE_SEVERAL) and reply[1:3] == bytes([self._function | 0x80, ILLEGAL_VALUE])

    def _read(self) -> bytes:
        first, count = _words(self.frame[2:6])
        if not 1 <= count <= LARGEST_READ:
            return self._exception(ILLEGAL_VALUE)
        words = self.unit.words(range(first, first + count))
        there = [word for word in words if word is not None]
        if len(there) != count:
            return self._exception(ILLEGAL_ADDRESS)
        return _sealed(bytes([self.frame[0], self._function, 2 * count]) + struct.pack(f">{count}H", *there))

    def _write(self, now: Moment) -> bytes:
        first, count = _words(self.frame[2:6])
        data = _written(self.frame)
        if self._function == WRITE_SEVERAL and not (1 <= count <= LARGEST_WRITE and len(data) == 2 * count):
            return self._exception(ILLEGAL_VALUE)
        words = list(enumerate(_words(data), start=first))
        if not all(self.unit.takes(register) for register, _ in words):
            return self._exception(ILLEGAL_ADDRESS)
        taken = all(self.unit.write(now, register, word) for register, word in words)
        return self.acknowledge() if taken else self._exception(ILLEGAL_VALUE)

    def _exception(self, code: int) -> bytes:
        return _sealed(bytes([self.frame[0], self._function | 0x80, code]))


class RegisterLine(LineProtocol):
    """The units of one line; frames for others and frames with a bad CRC are not answered."""

    def __init__(self, units: Sequence[Unit]) -> None:
        super().__init__(SILENCE)
        self._units = {unit.number: unit for unit in units}

    @override
    def _take(self) -> list[Request]:
        requests: list[Request] = []
        while (length := _length(self._buffer)) is not None:
            frame, self._buffer = self._buffer[:length], self._buffer[length:]
            if crc16(frame[:-2]) != frame[-2:]:
                self._buffer = b""
            elif (unit := self._units.get(frame[0])) is not None:
                requests.append(RegisterRequest(unit.name, _in_words(frame), unit, frame))
        return requests


def _length(buffer: bytes) -> int | None:
    """Tell how long the request at the front is; None when it is not complete yet."""
    if len(buffer) < _SHORT:
        return None
    length = 9 + buffer[6] if buffer[1] in _COUNTED else _SHORT
    return length if len(buffer) >= length else None


def _words(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(data) // 2}H", data[: len(data) // 2 * 2])


def _written(frame: bytes) -> bytes:
    return frame[4:6] if frame[1] == WRITE else frame[7:-2]


def _in_words(frame: bytes) -> str:
    """Say what a request asks for: `read FIRST COUNT` or `write FIRST WORD...`, words signed."""
    first, count = _words(frame[2:6])
    if frame[1] in READS:
        return f"read {first} {count}"
    if frame[1] in (WRITE, WRITE_SEVERAL):
        return f"write {first} {' '.join(str(signed(word)) for word in _words(_written(frame)))}"
    return f"function {frame[1]}"


def _sealed(body: bytes) -> bytes:
    return body + crc16(body)
