"""`athanor browse` of serial ports: which there are, by the names that stay, and who answers a published question."""

from pathlib import Path

import pytest
from serial.tools.list_ports_common import ListPortInfo
from typer.testing import CliRunner

from flows.cli.main import app
from instruments.bench_client import browse
from instruments.lab_processes.endpoint_locks import EndpointLocks
from orchestrator.errors import BadInput
from tests.declared.bodies import BalanceBody
from tests.declared.serving import served
from tests.probing.benches import oven


@pytest.fixture
def ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a machine with an adapter and a built-in port; udev's links are as its 60-serial.rules make them."""
    for name in ("ttyS0", "ttyUSB0"):
        (tmp_path / name).touch()
    (tmp_path / "by-id").mkdir()
    (tmp_path / "by-id" / "usb-FTDI_FT232R_A1-if00-port0").symlink_to(tmp_path / "ttyUSB0")
    adapter, plain = ListPortInfo(str(tmp_path / "ttyUSB0")), ListPortInfo(str(tmp_path / "ttyS0"))
    adapter.description, adapter.hwid = "FT232R USB UART", "USB VID:PID=0403:6001 SER=A1"
    monkeypatch.setattr(browse, "comports", lambda: [adapter, plain])
    monkeypatch.setattr(browse, "_BY_ID", tmp_path / "by-id")
    return tmp_path


def said(*words: str) -> str:
    ended = CliRunner().invoke(app, ["browse", *words])
    if ended.exception is not None:
        assert isinstance(ended.exception, BadInput), ended.exception
        return str(ended.exception)
    return ended.output


def test_ports_are_listed_by_the_name_that_stays_with_their_holder(ports: Path) -> None:
    with EndpointLocks([str(ports / "ttyUSB0")], what="a test"):
        lines = said().splitlines()
    assert lines[0] == f"{ports}/ttyS0: no adapter that says what it is"
    by_id = f"{ports}/by-id/usb-FTDI_FT232R_A1-if00-port0"
    assert lines[1] == f"{by_id}: FT232R USB UART, USB VID:PID=0403:6001 SER=A1 ({ports}/ttyUSB0)"
    assert lines[2].startswith("  held by process ")
    assert said(by_id).startswith(f"{by_id}: ")
    assert "is no serial port of this machine; it has" in said("/dev/ttyNONE")


def test_who_is_at_a_port_is_asked_with_the_profiles_own_question_alone() -> None:
    with served(BalanceBody) as device:
        assert said(device.url, "--driver", "mt-sics") == (
            f"{device.url}: XP205 Standard 220.00900 g, serial number 0123456789, firmware -\n"
        )
        assert set(device.heard) == {b"I2\r\n", b"I4\r\n"}
        assert "nothing is sent to a device unasked; --driver NAME" in said(device.url)
        assert len(device.heard) == 2


def test_a_driver_of_athanor_asks_too_and_nothing_is_written(tmp_path: Path) -> None:
    with oven(tmp_path) as (file, peer):
        port = file.read_text().partition('port = "')[2].partition('"')[0]
        assert said(port, "--driver", "eurotherm-modbus", "--address", "1") == f"{port}: 3216, serial number -, firmware 0214\n"
        assert {code for code, _, _ in peer.asked} == {3}
        with EndpointLocks([port], what="a test"):
            assert "is held by process" in said(port, "--driver", "eurotherm-modbus", "--address", "1")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("tcp://127.0.0.1:9", "--driver", "no-such"), "unknown driver 'no-such'; known: alicat, "),
        (("tcp://127.0.0.1:9", "--driver", "mt-sics"), "tcp://127.0.0.1:9 asked as mt-sics: cannot connect"),
        (("--driver", "mt-sics"), "expected PORT before it"),
        (("/dev/ttyX", "--driver", "mt-sics", "--frame", "9X9"), "/dev/ttyX: frame"),
        (("/dev/ttyX", "--user", "ada"), "--user belongs to a secured OPC-UA server"),
        (("--bench", "bench.toml"), "expected an instrument"),
    ],
)
def test_what_cannot_be_asked_is_one_line(words: tuple[str, ...], line: str) -> None:
    assert line in said(*words)
