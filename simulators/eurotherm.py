"""The register table of a Eurotherm 3200 type oven controller on Modbus RTU: functions 3 (read), 6 (write one), 16 (write several).

Numbers are the controller's own (3200 series user guide HA028651, chapter "Digital communications", as public drivers for
minimalmodbus, pymodbus and libmodbus give them); the table is written out here, independently of any driver. Temperatures
and powers are signed 16-bit integers times ten. CRC and framing are decoded by the Modbus specification over serial line
V1.02, chapter 2.5.1, and the functions by the Modbus application protocol V1.1b3, chapters 6.3, 6.6 and 6.12.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from typing_extensions import override

from simulators.clock import Moment
from simulators.oven import Oven
from simulators.serial_line import LineProtocol, Request

READ, WRITE, WRITE_SEVERAL = 3, 6, 16
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
LARGEST_READ = 125
FRAME_LENGTH = 8
"""Bytes of a request of functions 1 to 6."""

SILENCE = 0.1
"""s (wall); bytes of an unfinished frame are dropped after it. The standard's 3.5 characters would be 2 ms, less than a
busy machine's scheduling."""

_FIRMWARE = 0x0214
_INSTRUMENT_TYPE = 0x3216


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
    frame: bytes

    @property
    def function(self) -> int:
        """Get the function code."""
        return self.frame[1]

    @override
    def execute(self, now: Moment) -> bytes:
        self.oven.advance(now)
        if self.function == READ:
            return self._read()
        if self.function in (WRITE, WRITE_SEVERAL):
            return self._write(now)
        return self._exception(ILLEGAL_FUNCTION)

    @override
    def acknowledge(self) -> bytes:
        if self.function == WRITE:
            return self.frame
        return self._sealed(self.frame[:6]) if self.function == WRITE_SEVERAL else self._exception(ILLEGAL_FUNCTION)

    @override
    def is_refusal(self, reply: bytes) -> bool:
        return self.function in (WRITE, WRITE_SEVERAL) and reply[1:3] == bytes([self.function | 0x80, ILLEGAL_VALUE])

    def _read(self) -> bytes:
        first, count = _words(self.frame)
        if not 1 <= count <= LARGEST_READ:
            return self._exception(ILLEGAL_VALUE)
        registers = _registers(self.oven, self.unit)
        if any(address not in registers for address in range(first, first + count)):
            return self._exception(ILLEGAL_ADDRESS)
        words = [registers[address]() for address in range(first, first + count)]
        return self._sealed(bytes([self.unit, READ, 2 * count]) + struct.pack(f">{count}H", *words))

    def _write(self, now: Moment) -> bytes:
        first, count = _words(self.frame)
        words = _written(self.frame)
        if self.function == WRITE_SEVERAL and not count == len(words) == self.frame[6] / 2:
            return self._exception(ILLEGAL_VALUE)
        if any(address not in _WRITES for address in range(first, first + len(words))):
            return self._exception(ILLEGAL_ADDRESS)
        for address, word in enumerate(words, start=first):
            if not _WRITES[address](self.oven, now, _signed(word)):
                return self._exception(ILLEGAL_VALUE)
        return self.acknowledge()

    def _exception(self, code: int) -> bytes:
        return self._sealed(bytes([self.unit, self.function | 0x80, code]))

    def _sealed(self, body: bytes) -> bytes:
        return body + crc16(body)


def _words(frame: bytes) -> tuple[int, int]:
    first, second = struct.unpack(">HH", frame[2:6])
    return int(first), int(second)


def _written(frame: bytes) -> tuple[int, ...]:
    data = frame[4:6] if frame[1] == WRITE else frame[7:-2]
    return struct.unpack(f">{len(data) // 2}H", data)


def _in_words(frame: bytes) -> str:
    """Say what a request asks for."""
    if frame[1] == READ:
        return "read {} {}".format(*_words(frame))
    if frame[1] in (WRITE, WRITE_SEVERAL):
        return f"write {_words(frame)[0]} {' '.join(str(_signed(word)) for word in _written(frame))}"
    return f"function {frame[1]}"


def _registers(oven: Oven, unit: int) -> dict[int, Callable[[], int]]:
    body = oven.body
    return {
        1: lambda: _tenths(oven.read_temperature()),
        2: lambda: _tenths(oven.local[oven.selected]),
        3: lambda: _tenths(100.0 * oven.manual_power),
        4: lambda: _tenths(100.0 * oven.power),
        5: lambda: _tenths(oven.working),
        11: lambda: _tenths(body.lowest_input),
        12: lambda: _tenths(body.highest_input),
        15: lambda: oven.selected,
        24: lambda: _tenths(oven.local[0]),
        25: lambda: _tenths(oven.local[1]),
        26: lambda: _tenths(oven.remote),
        30: lambda: _tenths(100.0),
        31: lambda: 0,
        34: lambda: _tenths(100.0 * body.power_at_break),
        35: lambda: _tenths(oven.rate_limit),
        75: lambda: _status(oven),
        107: lambda: _FIRMWARE,
        111: lambda: _tenths(body.highest_setpoint),
        112: lambda: _tenths(body.lowest_setpoint),
        122: lambda: _INSTRUMENT_TYPE,
        131: lambda: unit,
        199: lambda: int(oven.is_standby),
        258: lambda: int(oven.sensor_broken),
        273: lambda: int(oven.is_manual),
        276: lambda: int(oven.is_remote),
    }


def _status(oven: Oven) -> int:
    bits = {4: oven.is_manual, 5: oven.sensor_broken, 10: oven.is_over_range, 14: oven.is_remote and oven.remote_failed}
    return sum(int(raised) << bit for bit, raised in bits.items())


Write = Callable[[Oven, Moment, int], bool]
"""Takes a register's new value; False where it is illegal."""


def _switch(act: Callable[[Oven, Moment, bool], None]) -> Write:
    """Make a register that takes 0 and 1."""

    def write(oven: Oven, now: Moment, value: int) -> bool:
        if value not in (0, 1):
            return False
        act(oven, now, value == 1)
        return True

    return write


def _write_rate_limit(oven: Oven, now: Moment, tenths: int) -> bool:
    if tenths < 0:
        return False
    oven.set_rate_limit(now, tenths / 10.0)
    return True


_WRITES: dict[int, Write] = {
    2: lambda oven, now, tenths: oven.set_target(now, tenths / 10.0),
    3: lambda oven, now, tenths: oven.set_manual_power(now, tenths / 1000.0),
    15: _switch(lambda oven, now, second: oven.select_local(now, int(second))),
    24: lambda oven, now, tenths: oven.set_local(now, 0, tenths / 10.0),
    25: lambda oven, now, tenths: oven.set_local(now, 1, tenths / 10.0),
    26: lambda oven, now, tenths: oven.set_remote(now, tenths / 10.0),
    35: _write_rate_limit,
    199: _switch(lambda oven, now, on: oven.set_standby(now, standby=on)),  # 2, the configuration mode, is left to the front panel
    273: _switch(lambda oven, now, on: oven.set_mode(now, manual=on)),
    276: _switch(lambda oven, now, on: oven.ask_for_remote(now, remote=on)),
}


class EurothermLine(LineProtocol):
    """One controller on one line; frames for other units and frames with a bad CRC are not answered."""

    def __init__(self, unit: int, oven: Oven) -> None:
        super().__init__(SILENCE)
        self._unit = unit
        self._oven = oven

    @override
    def _take(self) -> list[Request]:
        requests: list[Request] = []
        while (length := _frame_length(self._buffer)) is not None:
            frame, self._buffer = self._buffer[:length], self._buffer[length:]
            if crc16(frame[:-2]) != frame[-2:]:
                self._buffer = b""
            elif frame[0] == self._unit:
                requests.append(OvenRequest(self._oven.name, _in_words(frame), self._unit, self._oven, frame))
        return requests


def _frame_length(buffer: bytes) -> int | None:
    """Tell how long the request at the front is; None when it is not complete yet."""
    if len(buffer) < FRAME_LENGTH:
        return None
    length = FRAME_LENGTH if buffer[1] not in (15, 16) else 9 + buffer[6]
    return length if len(buffer) >= length else None
