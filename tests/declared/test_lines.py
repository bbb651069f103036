"""The engine of text protocols: frames, checksums, echoes, refusals, error queries, gaps, sequence numbers."""

import time
from functools import reduce
from operator import xor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments.drivers.declared.device import declared_driver
from instruments.drivers.declared.framing import framed, frames_in
from instruments.drivers.declared.profiles import parse_profile
from instruments.drivers.declared.spec import LineSpec
from instruments.drivers.protocol import Driver, Settings
from orchestrator.errors import DeviceError, LinkError, ProtocolError
from tests.instrument.cases import CLOCK, call
from tests.instrument.scripted import ScriptedTransport

PROFILE = """
[profile]
name = "thing"
driver = "line"
sources = ["none: a thing of these tests"]

[line]
{line}

[channels.level]
query = "L?"
reply = '(?P<value>-?[\\d.,]+)'
bad = "OVER"

[channels.name]
text = true
query = "N?"
reply = "name (?P<value>.*)"

[commands.set_level]
kind = "state-setting"
send = "L {{level:.1f}}"
argument.level = {{ min = 0, max = 10 }}
{command}

[safe.off]
send = ["L 0", "OFF"]
"""


def thing(script: list[tuple[bytes, bytes]], line: str = 'ack = "OK"', command: str = "") -> tuple[Driver, ScriptedTransport]:
    transport = ScriptedTransport(script)
    profile = parse_profile(PROFILE.format(line=line, command=command), "profile thing")
    return declared_driver(profile)(transport, Settings("thing"), CLOCK), transport


def test_a_value_is_asked_and_taken_from_its_group() -> None:
    driver, transport = thing([(b"L?\r\n", b"-3.50\r\n"), (b"N?\r\n", b"name Anton \r\n")])
    level, name = driver.read(["level", "name"])
    assert (level.value, level.raw, name.text) == (-3.5, b"-3.50\r\n", "Anton")
    transport.finish()


def test_whatever_has_another_shape_is_skipped_and_the_answer_found_behind_it() -> None:
    driver, _ = thing([(b"L?\r\n", b"\r\n*** ALARM ***\r\nname x\r\n4.5\r\n")])
    assert driver.read(["level"])[0].value == 4.5


def test_a_decimal_comma_is_no_number_and_an_overload_a_bad_reading() -> None:
    driver, _ = thing([(b"L?\r\n", b"4,5\r\n"), (b"L?\r\n", b"OVER\r\n")])
    with pytest.raises(ProtocolError, match="thing answered '4,5' for level; expected a number"):
        driver.read(["level"])
    (reading,) = driver.read(["level"])
    assert (reading.value, reading.quality, reading.raw) == (None, "bad", b"OVER\r\n")


def test_a_command_is_acknowledged_and_returns_what_was_sent() -> None:
    driver, transport = thing([(b"L 2.4\r\n", b"OK\r\n")])
    assert driver.perform(call("set_level", level=2.42)) == {"level": pytest.approx(2.4)}
    transport.finish()


def test_a_refusal_is_told_and_not_waited_for() -> None:
    driver, _ = thing([(b"L 2.0\r\n", b"ERR 7\r\n")], 'ack = "OK"\nrefused = "ERR.*"')
    with pytest.raises(DeviceError, match=r"thing refused 'L 2\.0': 'ERR 7'"):
        driver.perform(call("set_level", level=2.0))


def test_errors_are_asked_for_after_a_command_but_not_when_it_is_made_safe() -> None:
    line = 'ack = "OK"\nerror = { query = "E?", ok = "0" }'
    driver, transport = thing([(b"L 2.0\r\n", b"OK\r\n"), (b"E?\r\n", b"0\r\n"), (b"L 3.0\r\n", b"OK\r\n"), (b"E?\r\n", b"-222\r\n")], line)
    driver.perform(call("set_level", level=2.0))
    with pytest.raises(DeviceError, match="thing reports '-222'; expected 0"):
        driver.perform(call("set_level", level=3.0))
    transport.finish()
    safe, transport = thing([(b"L 0\r\n", b"OK\r\n"), (b"OFF\r\n", b"OK\r\n")], line)
    safe.make_safe("off")
    transport.finish()


def test_the_second_line_of_a_safe_action_is_sent_though_the_first_is_not_answered() -> None:
    driver, transport = thing([(b"L 0\r\n", b""), (b"OFF\r\n", b"OK\r\n")])
    with pytest.raises(LinkError, match="no reply to b'L 0"):
        driver.make_safe("off")
    transport.finish()


def test_an_echo_is_passed_over_even_where_it_looks_like_an_answer() -> None:
    driver, _ = thing([(b"L 2.0\r\n", b"L 2.0\r\nOK\r\n")], 'ack = ".+"\necho = true')
    driver.perform(call("set_level", level=2.0))
    unheard, _ = thing([(b"L 2.0\r\n", b"L 2.0\r\n")], 'ack = ".+"\necho = true')
    with pytest.raises(LinkError):
        unheard.perform(call("set_level", level=2.0))


def test_a_readback_may_come_late_but_must_come() -> None:
    again = 'readback = { channel = "level", within = 0.05 }'
    driver, transport = thing([(b"L 2.0\r\n", b"OK\r\n"), (b"L?\r\n", b"1.0\r\n"), (b"L?\r\n", b"2.0\r\n")], command=again)
    driver.perform(call("set_level", level=2.0))
    transport.finish()
    stuck, _ = thing([(b"L 2.0\r\n", b"OK\r\n"), *[(b"L?\r\n", b"1.0\r\n")] * 4], command=again)
    with pytest.raises(DeviceError, match=r"thing took set_level {'level': 2.0} but level reads 1.0"):
        stuck.perform(call("set_level", level=2.0))


def test_a_setting_in_a_memory_that_wears_is_not_written_where_it_stands_already() -> None:
    sparing = 'readback = { channel = "level", within = 0.05 }\nsparing = true'
    driver, transport = thing([(b"L?\r\n", b"2.0\r\n")], command=sparing)
    assert driver.perform(call("set_level", level=2.0)) == {"level": 2.0}
    transport.finish()


def test_between_two_requests_there_is_the_gap_that_the_device_needs() -> None:
    driver, _ = thing([(b"L?\r\n", b"1\r\n")] * 3, 'ack = "OK"\ngap = 0.1')
    began = time.monotonic()
    driver.read(["level", "level", "level"])
    assert time.monotonic() - began >= 0.29


SPECS: list[dict[str, Any]] = [
    {},
    {"terminator": "\r", "reply_terminator": "\r\n"},
    {"checksum": "xor", "start": "\x02", "terminator": "\x03", "checksum_place": "after-terminator"},
    {"checksum": "sum", "checksum_form": "hex", "terminator": "\r"},
    {"checksum": "crc16", "start": "#", "terminator": "\r"},
    {"checksum": "crc16", "checksum_form": "hex", "terminator": "\n"},
]
TEXT = st.text(alphabet="ABCXYZ0189 .+-", max_size=20).map(str.strip)


@pytest.mark.parametrize("keys", SPECS)
@given(texts=st.lists(TEXT, min_size=1, max_size=4), data=st.data())
def test_whole_frames_are_found_and_half_ones_are_not(keys: dict[str, Any], texts: list[str], data: st.DataObject) -> None:
    spec = LineSpec(**keys)
    both_ways = spec.model_copy(update={"terminator": spec.reply_terminator or spec.terminator})
    stream = b"".join(framed(both_ways, text) for text in texts)
    assert [text for text, _ in frames_in(spec, stream)] == texts
    assert b"".join(raw for _, raw in frames_in(spec, stream)) == stream
    cut = data.draw(st.integers(0, len(stream) - 1))
    found = [text for text, _ in frames_in(spec, stream[:cut])]
    assert found == texts[: len(found)]
    assert len(found) < len(texts)


@pytest.mark.parametrize("keys", [one for one in SPECS if "checksum" in one])
@given(text=TEXT, data=st.data())
def test_a_flipped_byte_is_never_a_frame(keys: dict[str, Any], text: str, data: st.DataObject) -> None:
    spec = LineSpec(**keys)
    frame = bytearray(framed(spec, text))
    where = data.draw(st.integers(0, len(frame) - 1))
    frame[where] ^= 1 << data.draw(st.integers(0, 6))
    assert all(found == text for found, _ in frames_in(spec, bytes(frame)))  # noise before a frame may be what was flipped


def test_checksums_are_those_of_the_manuals() -> None:
    """The block that Tecan's manual describes, and the CRC of the Modbus over serial line guide V1.02, 6.2.2 (02 07 -> 41 12)."""
    block = framed(LineSpec(start="\x02", terminator="\x03", checksum="xor", checksum_place="after-terminator"), "11ZR")
    assert block[:-1] == b"\x0211ZR\x03"
    assert reduce(xor, block) == 0
    assert framed(LineSpec(start="\x02", terminator="\r", checksum="crc16"), "\x07") == b"\x02\x07\x41\x12\r"
    assert framed(LineSpec(terminator="\r", checksum="sum", checksum_form="hex"), "AB") == b"AB83\r"
