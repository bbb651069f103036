"""The oven controller's Modbus RTU frames and register table."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer.rtu import FramerRTU

from simulators.clock import Instant
from simulators.eurotherm import EurothermLine, crc16
from simulators.oven import Oven, OvenBody
from simulators.truth import Event

SERIAL = 0x12345678


def ignore(event: Event) -> None:
    pass


class Rig:
    def __init__(self) -> None:
        self.oven = Oven("oven", OvenBody(noise=0.0), ignore, np.random.default_rng(0))
        self.line = EurothermLine(1, self.oven, SERIAL)
        self.wall = 1.0

    def send(self, data: bytes) -> bytes:
        now = Instant(0.0, self.wall)
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
        ("01 03 00 6f 00 02", "01 03 04 00 00 0b b8"),  # limits 0 and 300 degC
        ("01 03 00 7a 00 01", "01 03 02 32 16"),  # instrument type
        ("01 03 00 81 00 03", "01 03 06 12 34 56 78 00 01"),  # serial number, boot counter
        ("01 03 00 06 00 01", "01 83 02"),  # no such register
        ("01 03 00 01 00 00", "01 83 03"),  # no register at all
        ("01 04 00 01 00 01", "01 84 01"),  # input registers are not offered
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
