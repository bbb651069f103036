"""The register table of a Eurotherm type oven controller on Modbus RTU: functions 3 (read) and 6 (write one).

Temperatures and powers are signed 16-bit integers times ten unless the table says otherwise. CRC and framing are decoded
here, by the Modbus specification over serial line V1.02, chapter 2.5.1, independently of any driver.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from typing_extensions import override

from simulators.clock import Instant
from simulators.oven import Oven
from simulators.serial_line import LineProtocol, Request

READ, WRITE = 3, 6
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
LARGEST_READ = 125
FRAME_LENGTH = 8
"""Bytes of a request of functions 1 to 6."""

SILENCE = 0.1
"""s (wall); bytes of an unfinished frame are dropped after it. The standard's 3.5 characters would be 2 ms, less than a
busy machine's scheduling."""

FIRMWARE = 214
INSTRUMENT_TYPE = 0x3216


def crc16(data: bytes) -> bytes:
    """Compute the Modbus CRC (polynomial 0xA001, start 0xFFFF), low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


def _signed(word: int) -> int:
    return word - 0x10000 if word & 0x8000 else word


def _tenths(value: float) -> int:
    return round(10.0 * value) & 0xFFFF


@dataclass(frozen=True, slots=True)
class OvenRequest(Request):
    """One frame that is addressed to the controller and has a good CRC."""

    unit: int
    oven: Oven
    serial_number: int
    frame: bytes

    @property
    def function(self) -> int:
        """Get the function code."""
        return self.frame[1]

    @property
    @override
    def device(self) -> str:
        return self.oven.name

    @property
    @override
    def text(self) -> str:
        if self.function not in (READ, WRITE):
            return f"function {self.function}"
        address, value = self._words()
        return f"read {address} {value}" if self.function == READ else f"write {address} {_signed(value)}"

    @override
    def execute(self, now: Instant) -> bytes:
        self.oven.advance(now)
        self.oven.heard(now)
        if self.function == READ:
            return self._read()
        if self.function == WRITE:
            return self._write(now)
        return self._exception(ILLEGAL_FUNCTION)

    @override
    def acknowledge(self) -> bytes:
        return self.frame if self.function == WRITE else self._exception(ILLEGAL_FUNCTION)

    @override
    def is_refusal(self, reply: bytes) -> bool:
        return reply[1:3] == bytes([WRITE | 0x80, ILLEGAL_VALUE])

    def _words(self) -> tuple[int, int]:
        first, second = struct.unpack(">HH", self.frame[2:6])
        return int(first), int(second)

    def _read(self) -> bytes:
        first, count = self._words()
        if not 1 <= count <= LARGEST_READ:
            return self._exception(ILLEGAL_VALUE)
        registers = _registers(self.oven, self.serial_number)
        if any(address not in registers for address in range(first, first + count)):
            return self._exception(ILLEGAL_ADDRESS)
        words = [registers[address]() for address in range(first, first + count)]
        return self._sealed(bytes([self.unit, READ, 2 * count]) + struct.pack(f">{count}H", *words))

    def _write(self, now: Instant) -> bytes:
        address, word = self._words()
        write = _WRITES.get(address)
        if write is None:
            return self._exception(ILLEGAL_ADDRESS)
        return self.frame if write(self.oven, now, _signed(word)) else self._exception(ILLEGAL_VALUE)

    def _exception(self, code: int) -> bytes:
        return self._sealed(bytes([self.unit, self.function | 0x80, code]))

    def _sealed(self, body: bytes) -> bytes:
        return body + crc16(body)


def _registers(oven: Oven, serial_number: int) -> dict[int, Callable[[], int]]:
    return {
        1: lambda: _tenths(oven.read_temperature()),
        2: lambda: _tenths(oven.target),
        3: lambda: _tenths(100.0 * oven.manual_power),
        4: lambda: _tenths(100.0 * oven.power),
        5: lambda: _tenths(oven.working),
        35: lambda: _tenths(oven.rate_limit),
        75: lambda: int(oven.sensor_broken) | int(oven.watchdog_tripped) << 1,
        107: lambda: FIRMWARE,
        111: lambda: _tenths(oven.body.lowest_setpoint),
        112: lambda: _tenths(oven.body.highest_setpoint),
        122: lambda: INSTRUMENT_TYPE,
        129: lambda: serial_number >> 16,
        130: lambda: serial_number & 0xFFFF,
        131: lambda: oven.boots & 0xFFFF,
        200: lambda: oven.watchdog_seconds,
        273: lambda: int(oven.is_manual),
    }


def _write_target(oven: Oven, now: Instant, tenths: int) -> bool:
    return oven.set_target(now, tenths / 10.0)


def _write_power(oven: Oven, now: Instant, tenths: int) -> bool:
    return oven.set_manual_power(now, tenths / 1000.0)


def _write_rate_limit(oven: Oven, now: Instant, tenths: int) -> bool:
    if tenths < 0:
        return False
    oven.set_rate_limit(now, tenths / 10.0)
    return True


def _write_watchdog(oven: Oven, now: Instant, seconds: int) -> bool:
    if seconds < 0:
        return False
    oven.set_watchdog(now, seconds)
    return True


def _write_mode(oven: Oven, now: Instant, mode: int) -> bool:
    if mode not in (0, 1):
        return False
    oven.set_mode(now, manual=mode == 1)
    return True


_WRITES: dict[int, Callable[[Oven, Instant, int], bool]] = {
    2: _write_target,
    3: _write_power,
    35: _write_rate_limit,
    200: _write_watchdog,
    273: _write_mode,
}


class EurothermLine(LineProtocol):
    """One controller on one line; frames for other units and frames with a bad CRC are not answered."""

    def __init__(self, unit: int, oven: Oven, serial_number: int) -> None:
        self._unit = unit
        self._oven = oven
        self._serial_number = serial_number
        self._buffer = b""
        self._last_byte = 0.0

    @override
    def feed(self, data: bytes, now: Instant) -> list[Request]:
        if now.wall - self._last_byte > SILENCE:
            self._buffer = b""
        self._last_byte = now.wall
        self._buffer += data
        requests: list[Request] = []
        while (length := _frame_length(self._buffer)) is not None:
            frame, self._buffer = self._buffer[:length], self._buffer[length:]
            if crc16(frame[:-2]) != frame[-2:]:
                self._buffer = b""
            elif frame[0] == self._unit:
                requests.append(OvenRequest(self._unit, self._oven, self._serial_number, frame))
        return requests


def _frame_length(buffer: bytes) -> int | None:
    """Tell how long the request at the front is; None when it is not complete yet."""
    if len(buffer) < FRAME_LENGTH:
        return None
    length = FRAME_LENGTH if buffer[1] not in (15, 16) else 9 + buffer[6]
    return length if len(buffer) >= length else None
