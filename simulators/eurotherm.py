"""The register table of a Eurotherm 3200 type oven controller.

Numbers are the controller's own (3200 series user guide HA028651, chapter "Digital communications", as public drivers for
minimalmodbus, pymodbus and libmodbus give them); the table is written out here, independently of any driver. Temperatures are
signed 16-bit integers that count 10 to the power of the configured decimals; powers and rates count tenths.
"""

from collections.abc import Callable, Sequence
from typing import Final

from typing_extensions import override

from simulators.clock import Moment
from simulators.modbus_rtu import Unit, signed
from simulators.oven import Oven

_FIRMWARE: Final = 0x0214
_INSTRUMENT_TYPE: Final = 0x3216
_TENTHS: Final = 10.0

Write = Callable[[Oven, Moment, float], bool]
"""Takes a register's new value; False where it is illegal."""


class OvenUnit(Unit):
    """One controller as a Modbus unit."""

    def __init__(self, number: int, oven: Oven) -> None:
        super().__init__(oven.name, number)
        self._oven = oven
        self._scale = 10.0**oven.body.decimals
        self._reads = self._readable()
        self._writes = {register: (self._scale, write) for register, write in _TEMPERATURES.items()} | _OTHERS

    @override
    def live(self, now: Moment) -> None:
        self._oven.advance(now)

    @override
    def words(self, numbers: range) -> Sequence[int | None]:
        if any(number not in self._reads for number in numbers):
            return [None] * len(numbers)
        return [self._reads[number]() & 0xFFFF for number in numbers]

    @override
    def takes(self, register: int) -> bool:
        return register in self._writes

    @override
    def write(self, now: Moment, register: int, word: int) -> bool:
        scale, write = self._writes[register]
        return write(self._oven, now, signed(word) / scale)

    def _readable(self) -> dict[int, Callable[[], int]]:
        oven, body = self._oven, self._oven.body
        temperatures: dict[int, Callable[[], float]] = {
            1: oven.read_temperature,
            2: lambda: oven.local[oven.selected],
            5: lambda: oven.working,
            11: lambda: body.lowest_input,
            12: lambda: body.highest_input,
            24: lambda: oven.local[0],
            25: lambda: oven.local[1],
            26: lambda: oven.remote,
            111: lambda: body.highest_setpoint,
            112: lambda: body.lowest_setpoint,
        }
        tenths: dict[int, Callable[[], float]] = {
            3: lambda: 100.0 * oven.manual_power,
            4: lambda: 100.0 * oven.power,
            30: lambda: 100.0,
            31: lambda: 0.0,
            34: lambda: 100.0 * body.power_at_break,
            35: lambda: oven.rate_limit,
        }
        counts: dict[int, Callable[[], int]] = {
            15: lambda: oven.selected,
            75: lambda: _status(oven),
            107: lambda: _FIRMWARE,
            122: lambda: _INSTRUMENT_TYPE,
            131: lambda: self.number,
            199: lambda: int(oven.is_standby),
            258: lambda: int(oven.sensor_broken),
            273: lambda: int(oven.is_manual),
            276: lambda: int(oven.is_remote),
            525: lambda: body.decimals,
        }
        return counts | _scaled(temperatures, self._scale) | _scaled(tenths, _TENTHS)


def _scaled(values: dict[int, Callable[[], float]], scale: float) -> dict[int, Callable[[], int]]:
    def counting(value: Callable[[], float]) -> Callable[[], int]:
        return lambda: round(scale * value())

    return {register: counting(value) for register, value in values.items()}


def _status(oven: Oven) -> int:
    bits = {4: oven.is_manual, 5: oven.sensor_broken, 10: oven.is_over_range, 14: oven.is_remote and oven.remote_failed}
    return sum(int(raised) << bit for bit, raised in bits.items())


def _switch(act: Callable[[Oven, Moment, bool], None]) -> Write:
    """Make a register that takes 0 and 1."""

    def write(oven: Oven, now: Moment, value: float) -> bool:
        if value not in (0.0, 1.0):
            return False
        act(oven, now, value == 1.0)
        return True

    return write


def _write_rate_limit(oven: Oven, now: Moment, limit: float) -> bool:
    if limit < 0.0:
        return False
    oven.set_rate_limit(now, limit)
    return True


_TEMPERATURES: Final[dict[int, Write]] = {
    2: lambda oven, now, target: oven.set_target(now, target),
    24: lambda oven, now, target: oven.set_local(now, 0, target),
    25: lambda oven, now, target: oven.set_local(now, 1, target),
    26: lambda oven, now, target: oven.set_remote(now, target),
}
_OTHERS: Final[dict[int, tuple[float, Write]]] = {
    3: (_TENTHS, lambda oven, now, percent: oven.set_manual_power(now, percent / 100.0)),
    15: (1.0, _switch(lambda oven, now, second: oven.select_local(now, int(second)))),
    35: (_TENTHS, _write_rate_limit),
    199: (1.0, _switch(lambda oven, now, on: oven.set_standby(now, standby=on))),  # 2, configuration, is left to the front panel
    273: (1.0, _switch(lambda oven, now, on: oven.set_mode(now, manual=on))),
    276: (1.0, _switch(lambda oven, now, on: oven.ask_for_remote(now, remote=on))),
}
"""Register -> what one unit of its value counts, and what takes it."""
