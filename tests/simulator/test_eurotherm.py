"""The oven controller's Modbus RTU frames and register table."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer.rtu import FramerRTU

from simulators.clock import Moment
from simulators.eurotherm import OvenUnit
from simulators.modbus_rtu import RegisterLine, crc16
from simulators.oven import Oven, OvenBody
from simulators.truth import PhysicalEvent


class Rig:
    def __init__(self, decimals: int = 1) -> None:
        self.events: list[PhysicalEvent] = []
        self.oven = Oven("oven", OvenBody(noise=0.0, decimals=decimals), self.events.append, np.random.default_rng(0))
        self.line = RegisterLine([OvenUnit(1, self.oven)])
        self.wall = 1.0

    def send(self, data: bytes) -> bytes:
        now = Moment(0.0, self.wall)
        return b"".join(request.execute(now) for request in self.line.feed(data, now))

    def ask(self, text: str) -> str:
        body = bytes.fromhex(text)
        reply = self.send(body + crc16(body))
        assert not reply or crc16(reply[:-2]) == reply[-2:]
        return reply[:-2].hex(" ")


def test_the_crc_of_a_printed_example_is_right() -> None:
    assert crc16(bytes.fromhex("01 03 00 00 00 0a")).hex() == "c5cd"


@given(st.binary(min_size=1, max_size=40))
def test_the_crc_agrees_with_an_independent_implementation(data: bytes) -> None:
    assert int.from_bytes(crc16(data), "big") == FramerRTU.compute_CRC(data)


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("01 03 00 01 00 02", "01 03 04 00 dc 00 dc"),  # process value and target, 22.0 degC
        ("01 03 00 6f 00 02", "01 03 04 0b b8 00 00"),  # limits 300 and 0 degC: the high one first
        ("01 03 00 7a 00 01", "01 03 02 32 16"),  # instrument type
        ("01 03 00 83 00 01", "01 03 02 00 01"),  # 131 is the unit's own address
        ("01 03 00 81 00 01", "01 83 02"),  # no serial number
        ("01 03 00 c8 00 01", "01 83 02"),  # no communication watchdog
        ("01 10 00 02 00 01 02 07 d0", "01 10 00 02 00 01"),  # function 16: 200.0 degC
        ("01 10 00 18 00 02 04 01 2c 01 90", "01 10 00 18 00 02"),  # SP1 and SP2 at once
        ("01 10 00 02 00 01 02 0b b9", "01 90 03"),  # 300.1 degC
        ("01 10 00 01 00 01 02 00 00", "01 90 02"),  # process value is read only
        ("01 10 00 02 00 02 02 07 d0", "01 90 03"),  # the count is not that of the bytes
        ("01 06 00 c7 00 02", "01 86 03"),  # no configuration mode over the wire
        ("01 03 00 06 00 01", "01 83 02"),  # no such register
        ("01 03 00 01 00 00", "01 83 03"),  # no register at all
        ("01 04 00 01 00 02", "01 04 04 00 dc 00 dc"),  # function 4 reads the same words
        ("01 04 00 06 00 01", "01 84 02"),  # and lacks the same
        ("01 05 00 01 ff 00", "01 85 01"),  # bits are not offered
        ("01 03 02 0d 00 01", "01 03 02 00 01"),  # one decimal place
        ("01 03 ff ff 00 02", "01 83 02"),  # beyond the last register
        ("01 03 00 01 00 7e", "01 83 03"),  # 126 registers
        ("01 10 00 02 00 00 00", "01 90 03"),  # none
        ("01 10 00 02 00 01 03 07 d0 00", "01 90 03"),  # a byte and a half
        ("01 10 00 18 00 04 08 01 2c 01 90 07 d0 00 00", "01 90 02"),  # 24, 25, 26, and 27 is not there: none is written
        ("01 06 00 02 07 d0", "01 06 00 02 07 d0"),  # 200.0 degC
        ("01 06 00 02 0b b9", "01 86 03"),  # 300.1 degC
        ("01 06 00 02 ff ff", "01 86 03"),  # -0.1 degC
        ("01 06 00 01 00 00", "01 86 02"),  # process value is read only
        ("01 06 01 11 00 02", "01 86 03"),  # no such mode
        ("02 03 00 01 00 01", ""),  # another unit
    ],
)
def test_a_request_is_answered_as_the_table_says(request_: str, answer: str) -> None:
    assert Rig().ask(request_) == answer


def test_a_written_set_point_is_read_back() -> None:
    rig = Rig()
    rig.ask("01 06 00 02 07 d0")
    assert rig.oven.target == 200.0
    assert rig.ask("01 03 00 02 00 01") == "01 03 02 07 d0"


def test_heater_off_is_manual_mode_with_no_output() -> None:
    rig = Rig()
    rig.ask("01 06 01 11 00 00")
    rig.ask("01 06 01 11 00 01")
    rig.ask("01 06 00 03 00 00")
    assert (rig.oven.is_manual, rig.oven.power) == (True, 0.0)


def test_a_frame_with_a_wrong_crc_is_not_answered_and_the_next_one_is() -> None:
    rig = Rig()
    assert rig.send(bytes.fromhex("01 03 00 01 00 01 00 00")) == b""
    assert rig.ask("01 03 00 7a 00 01") == "01 03 02 32 16"


def test_a_cut_off_frame_is_forgotten_in_the_silence_after_it() -> None:
    rig = Rig()
    assert rig.send(bytes.fromhex("01 03 00")) == b""
    rig.wall += 0.2
    assert rig.ask("01 03 00 7a 00 01") == "01 03 02 32 16"


def test_a_frame_in_pieces_is_put_together() -> None:
    rig = Rig()
    body = bytes.fromhex("01 03 00 7a 00 01")
    frame = body + crc16(body)
    assert rig.send(frame[:5]) == b""
    assert rig.send(frame[5:])[:-2].hex(" ") == "01 03 02 32 16"


def test_temperatures_below_zero_are_signed() -> None:
    rig = Rig()
    rig.oven.temperature = -12.3
    assert rig.ask("01 03 00 01 00 01") == "01 03 02 ff 85"


def status(rig: Rig) -> int:
    return int(rig.ask("01 03 00 4b 00 01").replace(" ", "")[-4:], 16)


def test_a_remote_set_point_runs_out_unless_it_is_written_and_the_local_one_holds_then() -> None:
    rig = Rig()
    rig.ask("01 06 00 18 01 2c")  # SP1 30.0 degC
    rig.ask("01 06 00 1a 07 d0")  # Rm.SP 200.0 degC
    rig.ask("01 06 01 14 00 01")  # L-R remote
    for _ in range(3):
        rig.wall += 4.0
        assert rig.ask("01 03 00 05 00 01") == "01 03 02 07 d0"
        rig.ask("01 06 00 1a 07 d0")
    rig.wall += 5.0
    assert rig.ask("01 03 00 05 00 01") == "01 03 02 01 2c"
    assert status(rig) == 1 << 4 | 1 << 14
    rig.ask("01 06 00 1a 07 d0")
    assert (rig.oven.target, status(rig)) == (200.0, 1 << 4)


def test_a_remote_set_point_that_was_never_written_has_failed_from_the_first() -> None:
    rig = Rig()
    rig.ask("01 06 01 14 00 01")
    assert status(rig) & 1 << 14
    rig.ask("01 06 01 14 00 00")
    assert not status(rig) & 1 << 14


def test_every_write_of_a_local_set_point_wears_the_memory_and_none_of_the_remote_one() -> None:
    rig = Rig()
    for request in ("01 06 00 02 07 d0", "01 06 00 02 07 d0", "01 06 00 18 01 2c", "01 10 00 18 00 02 04 01 2c 01 90"):
        rig.ask(request)
    for _ in range(10):
        rig.ask("01 06 00 1a 07 d0")
    told = rig.oven.describe()
    assert (told["retained_writes"], told["sp1_writes"], told["sp2_writes"]) == (5, 4, 1)
    assert [event.values["retained_writes"] for event in rig.events if "retained_writes" in event.values] == [1, 2, 3, 4, 5]


def test_a_frame_that_names_a_register_too_many_writes_nothing() -> None:
    rig = Rig()
    rig.ask("01 10 00 18 00 04 08 01 2c 01 90 07 d0 00 00")
    assert (rig.oven.local, rig.oven.describe()["retained_writes"]) == ([22.0, 22.0], 0)


@pytest.mark.parametrize(("decimals", "counts"), [(0, 1), (1, 10), (2, 100)])
def test_temperatures_count_in_the_configured_decimals_and_powers_in_tenths(decimals: int, counts: int) -> None:
    rig = Rig(decimals)
    rig.ask(f"01 06 00 1a {120 * counts:04x}")
    rig.ask("01 06 00 03 01 f4")
    assert (rig.oven.remote, rig.oven.power) == (120.0, 0.5)
    assert rig.ask("01 03 00 01 00 01") == f"01 03 02 {22 * counts >> 8:02x} {22 * counts & 0xFF:02x}"
    assert rig.ask("01 03 02 0d 00 01") == f"01 03 02 00 {decimals:02x}"


def test_a_broken_sensor_shows_in_bit_5_and_takes_the_power_away() -> None:
    rig = Rig()
    rig.ask("01 06 00 02 07 d0")
    rig.ask("01 06 01 11 00 00")
    assert rig.oven.power > 0.0
    rig.oven.break_sensor(Moment(0.0, rig.wall))
    assert (status(rig), rig.oven.power) == (1 << 5, 0.0)
    assert rig.ask("01 03 00 01 00 01") == "01 03 02 35 98"  # 1372.0 degC, the end of the input's range
    rig.oven.repair(Moment(0.0, rig.wall))
    assert status(rig) == 0


def test_standby_takes_the_power_away_in_every_mode() -> None:
    rig = Rig()
    rig.ask("01 06 00 03 01 f4")
    assert rig.oven.power == 0.5
    rig.ask("01 06 00 c7 00 01")
    assert rig.ask("01 03 00 04 00 01") == "01 03 02 00 00"
    assert rig.ask("01 03 00 c7 00 01") == "01 03 02 00 01"


def test_the_second_local_set_point_holds_when_it_is_selected() -> None:
    rig = Rig()
    rig.ask("01 06 00 19 07 d0")
    rig.ask("01 06 00 0f 00 01")
    assert rig.ask("01 03 00 02 00 01") == "01 03 02 07 d0"
    assert rig.oven.target == 200.0


def test_a_power_cut_loses_the_remote_set_point_and_keeps_the_local_one() -> None:
    rig = Rig()
    for request in ("01 06 00 18 01 2c", "01 06 00 1a 07 d0", "01 06 01 14 00 01"):
        rig.ask(request)
    rig.oven.power_cycle(Moment(0.0, rig.wall))
    assert (rig.oven.target, bool(status(rig) & 1 << 14)) == (30.0, True)
