"""Frames are found in any noise and any chunks, and nothing else is taken for one."""

from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU

from instruments.transport.framing import (
    basic_request,
    pump_replies,
    pump_reply_from,
    rtu_reply_of,
    safe_frame,
    safe_request,
)

PROMPTS = st.sampled_from(["I", "W", "S", "P", "A?R", "A?S", "A?T"])
DATA = st.sampled_from(["", "1.234MM", "I0.500W0.000ML", "?OOR", "NE1000V3.928"])
NOISE = st.binary(max_size=40)


@st.composite
def reply_frames(draw: st.DrawFn) -> bytes:
    text = f"{draw(st.integers(0, 99)):02d}{draw(PROMPTS)}{draw(DATA)}".encode()
    return safe_frame(text) if draw(st.booleans()) else b"\x02" + text + b"\x03"


def test_the_crc_has_the_published_check_value() -> None:
    assert safe_frame(b"123456789")[-3:-1] == b"\x31\xc3"


def test_requests_are_framed_as_in_the_manual() -> None:
    assert basic_request(1, "RAT") == b"1RAT\r"
    assert safe_request(1, "VER") == b"\x02\x081VER>\xbd\x03"
    assert safe_request(1, "RAT3.0MM") == b"\x02\x0d1RAT3.0MM\x18/\x03"


@given(st.lists(st.tuples(NOISE, reply_frames()), min_size=1, max_size=5), NOISE)
def test_every_reply_is_found_whatever_noise_stands_around_it(parts: list[tuple[bytes, bytes]], tail: bytes) -> None:
    replies, _ = pump_replies(b"".join(noise + frame for noise, frame in parts) + tail)
    raws = iter(reply.raw for reply in replies)
    assert all(frame in raws for _, frame in parts)  # in this order


@given(st.lists(st.tuples(NOISE, reply_frames()), min_size=1, max_size=4), st.lists(st.integers(1, 9), min_size=1, max_size=60))
def test_replies_are_found_however_the_bytes_arrive(parts: list[tuple[bytes, bytes]], sizes: list[int]) -> None:
    stream = b"".join(noise + frame for noise, frame in parts)
    found, rest = [], b""
    while stream:
        size = sizes.pop(0) if sizes else len(stream)
        replies, rest = pump_replies(rest + stream[:size])
        stream = stream[size:]
        found += [reply.raw for reply in replies]
        assert len(rest) <= 48
    raws = iter(found)
    assert all(frame in raws for _, frame in parts)


@given(reply_frames(), st.data())
def test_a_damaged_safe_frame_is_no_reply(frame: bytes, data: st.DataObject) -> None:
    payload = frame if frame[1] < 0x30 else safe_frame(frame[1:-1])
    place = data.draw(st.integers(2, len(payload) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    damaged = payload[:place] + bytes([payload[place] ^ bit]) + payload[place + 1 :]
    assert payload not in [reply.raw for reply in pump_replies(damaged)[0]]
    assert pump_replies(damaged)[0] == ()


@given(NOISE)
def test_a_cut_reply_is_completed_later(noise: bytes) -> None:
    frame = b"\x0201S1.500ML\x03"
    for cut in range(1, len(frame)):
        _, rest = pump_replies(noise + frame[:cut])
        assert frame in [reply.raw for reply in pump_replies(rest + frame[cut:])[0]]


def test_replies_of_other_pumps_and_other_shapes_are_skipped() -> None:
    reply_of = pump_reply_from(1, lambda reply: reply.data.endswith("MM"))
    assert reply_of(b"\x0202S5.000MM\x03\x0201S1.000ML\x03") is None
    assert reply_of(b"\x0202S5.000MM\x03\x0201S1.000ML\x03\x0201S2.000MM\x03") == b"\x0201S2.000MM\x03"


def _rtu(body: bytes) -> bytes:
    return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")


def _intact(frame: bytes) -> bool:
    return FramerRTU.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big"))


@given(NOISE, st.integers(0, 0xFFFF), NOISE)
def test_a_modbus_reply_is_found_in_noise(before: bytes, value: int, after: bytes) -> None:
    frame = _rtu(b"\x01\x03\x02" + value.to_bytes(2, "big"))
    assert rtu_reply_of(7, _intact, b"\x01\x03")(before + frame + after) == frame


def test_a_modbus_reply_of_another_length_unit_or_function_is_skipped() -> None:
    reply_of = rtu_reply_of(7, _intact, b"\x01\x03")
    assert reply_of(_rtu(b"\x01\x03\x06" + bytes(6))) is None
    assert reply_of(_rtu(b"\x02\x03\x02\x00\x01")) is None
    assert reply_of(_rtu(b"\x01\x06\x00\x02\x00\x01")) is None
    assert reply_of(_rtu(b"\x01\x83\x02")) == _rtu(b"\x01\x83\x02")
    assert reply_of(b"\x01\x03\x02\x00\x01\x00\x00") is None
