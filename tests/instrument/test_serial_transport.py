"""The serial line on a real pseudo-terminal: deadlines, late and stale bytes, losses."""

import os
import re
import time
from pathlib import Path

import pytest
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from instruments.transport.framing import pump_reply_from
from instruments.transport.serial import SerialTransport
from orchestrator.errors import BadInput, LinkError, Sent
from tests.instrument.peer import peer_on

REPLY = pump_reply_from(1, lambda _: True)
GOOD = b"\x0201S1.000MM\x03"


def _exchange(line: SerialTransport, request: bytes = b"1RAT\r", deadline: float = 5.0, worst: float = 0.0) -> bytes:
    return line.exchange(request, REPLY, deadline=deadline, worst_reply=worst)


def test_a_reply_in_pieces_is_put_together(tmp_path: Path) -> None:
    with peer_on(tmp_path / "tty", lambda _: [(0.0, b"\x00\xff\x0201"), (0.05, b"S1.0"), (0.05, b"00MM\x03")]):
        line = SerialTransport(str(tmp_path / "tty"))
        assert _exchange(line) == GOOD
        line.close()


def test_stale_bytes_are_dropped_and_told_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with peer_on(tmp_path / "tty", lambda _: [(0.0, GOOD)]) as peer:
        line = SerialTransport(str(tmp_path / "tty"))
        assert _exchange(line) == GOOD
        peer.send(b"\x0201A?R\x03")
        time.sleep(0.3)  # until the kernel has carried it over
        assert _exchange(line) == GOOD
        assert [record.args[1:] for record in caplog.records if isinstance(record.args, tuple)] == [(7, b"\x0201A?R\x03")]
        assert peer.heard == [b"1RAT\r", b"1RAT\r"]
        line.close()


def test_a_late_reply_is_not_given_to_the_next_query(tmp_path: Path) -> None:
    delays = iter([0.4, 0.0])
    values = iter([b"\x0201S9.000MM\x03", GOOD])
    with peer_on(tmp_path / "tty", lambda _: [(next(delays), next(values))]):
        line = SerialTransport(str(tmp_path / "tty"))
        with pytest.raises(LinkError, match="no reply") as caught:
            _exchange(line, deadline=0.1, worst=1.0)
        assert caught.value.sent is Sent.MAYBE
        assert _exchange(line) == GOOD
        line.close()


def test_a_port_in_use_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with peer_on(tmp_path / "tty", lambda _: []):
        line = SerialTransport(str(tmp_path / "tty"))
        with pytest.raises(LinkError, match="cannot open") as caught:
            SerialTransport(str(tmp_path / "tty"))
        assert caught.value.sent is Sent.NO
        line.close()
        SerialTransport(str(tmp_path / "tty")).close()


def test_a_missing_port_and_a_wrong_frame_are_named(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="nowhere"):
        SerialTransport(str(tmp_path / "nowhere"))
    with pytest.raises(BadInput, match="9X3"):
        SerialTransport(str(tmp_path / "tty"), frame="9X3")


def test_a_lost_line_says_so_and_is_opened_again(tmp_path: Path) -> None:
    with peer_on(tmp_path / "tty", lambda _: [(0.0, GOOD)]):
        line = SerialTransport(str(tmp_path / "tty"))
        assert _exchange(line) == GOOD
    with pytest.raises(LinkError):
        _exchange(line, deadline=0.2)
    with peer_on(tmp_path / "tty", lambda _: [(0.0, GOOD)]):
        assert _exchange(line) == GOOD
    line.close()


def test_a_closed_line_sends_nothing(tmp_path: Path) -> None:
    with peer_on(tmp_path / "tty", lambda _: [(0.0, GOOD)]) as peer:
        line = SerialTransport(str(tmp_path / "tty"))
        line.close()
        line.close()
        with pytest.raises(LinkError, match="closed") as caught:
            _exchange(line)
        assert caught.value.sent is Sent.NO
        assert peer.heard == []


def test_seven_bits_and_parity_work_on_a_pseudo_terminal_as_nothing_is_changed_after_open(tmp_path: Path) -> None:
    with peer_on(tmp_path / "tty", lambda _: [(0.0, GOOD)]):
        line = SerialTransport(str(tmp_path / "tty"), baud=9600, frame="7E1")
        assert [_exchange(line) for _ in range(3)] == [GOOD] * 3
        line.close()


def test_a_name_of_udev_and_a_search_lead_to_one_port_which_has_one_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with peer_on(tmp_path / "usb-FTDI_A7-if00-port0", lambda _: [(0.0, GOOD)]):
        by_id = str(tmp_path / "usb-FTDI_A7-if00-port0")
        adapter = ListPortInfo(os.path.realpath(by_id))
        adapter.hwid = "USB VID:PID=0403:6001 SER=A7"
        monkeypatch.setattr(list_ports, "comports", lambda _: [adapter])
        for first, second in (("hwgrep://SER=A7", by_id), (by_id, "hwgrep://0403:6001")):
            line = SerialTransport(first, baud=9600)
            assert _exchange(line) == GOOD
            with pytest.raises(LinkError, match=f"cannot open {re.escape(second)}: .*[Ll]ock"):
                SerialTransport(second)
            line.close()
