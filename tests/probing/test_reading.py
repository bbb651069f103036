"""`athanor probe` reads: raw values beside decoded ones, each held against the device's own log; nothing is written."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.cli.main import app
from flows.running.probe_operations import read_device
from instruments.bench.file import load_bench
from instruments.bench.probing import CHANNEL, ChannelRead, shown
from instruments.bench_client import identify
from instruments.bench_client.client import HostClient
from instruments.lab_processes.endpoint_locks import EndpointLocks
from instruments.transport.exchanges import Exchange, overheard
from instruments.transport.opening import open_link
from instruments.transport.stream import StreamTransport
from orchestrator.errors import BadInput, LinkError
from tests.declared.bodies import BalanceBody
from tests.declared.serving import served
from tests.probing.benches import BALANCE, OVEN, oven

PLUGIN = """
from athanor.drivers import Identity, LineDriver, channel, command

class Scale(LineDriver):
    LINKS = ("tcp",)
    def identify(self):
        return self.expected(Identity("scale", None, None, None))
    @channel("g")
    def weight(self):
        "Get what lies on it."
        return float(self.ask("SI", r"S [SD] +([0-9.]+) g")[1])
    @channel()
    def broken(self):
        "Get something that the device does not know."
        return self.ask("XX", r"never")[0]
    @command("state-setting")
    def zero(self):
        "Set zero."
        self.ask("Z", "Z A")
"""


def test_registers_are_shown_as_the_foreign_server_holds_them_and_none_is_written(tmp_path: Path) -> None:
    with oven(tmp_path, r1=1804, r5=1850) as (file, peer):
        found = read_device(file, "oven", lab=None)
        assert {code for code, _, _ in peer.asked} == {3}
    assert found.identity.startswith("3216, ")
    read = {one.channel: one for one in found.channels}
    assert (read["temperature"].value, read["temperature"].unit) == (180.4, "degC")
    assert read["temperature"].wire[0].startswith("holding register 1 = 1804 (0x070c): 01 03 00 01 00 01 ")
    assert read["working_setpoint"].wire[0].startswith("holding register 5 = 1850 (0x073a): ")
    assert not list(tmp_path.glob(".athanor*"))


def test_lines_of_a_declared_device_are_shown_as_they_were_sent_and_only_questions_were(tmp_path: Path) -> None:
    with served(BalanceBody) as device:
        (tmp_path / "bench.toml").write_text(BALANCE.format(url=device.url, driver="mt-sics", command="tare"))
        found = read_device(tmp_path / "bench.toml", "balance", lab=None)
        assert set(device.heard) == {b"I2\r\n", b"I4\r\n", b"SI\r\n", b"S\r\n"}
        assert device.body.tare == 0.0
    read = {one.channel: one for one in found.channels}
    assert read["weight"].value == 12.3456
    assert read["weight"].wire == (r"SI\r\n -> S S    12.3456 g\r\n",)
    assert found.identity == "XP205 Standard 220.00900 g, serial number 0123456789, firmware -"


def test_a_plug_in_is_read_without_a_word_of_its_own_and_one_bad_channel_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "scale.py").write_text(PLUGIN)
    with served(BalanceBody) as device:
        (tmp_path / "bench.toml").write_text(BALANCE.format(url=device.url, driver="./scale.py:Scale", command="zero"))
        ended = CliRunner().invoke(app, ["probe", str(tmp_path / "bench.toml"), "balance"])
        assert set(device.heard) == {b"SI\r\n", b"XX\r\n"}
    assert isinstance(ended.exception, BadInput)
    assert str(ended.exception) == "balance: 1 of 2 channels cannot be read: broken"


# ---------------------------------------------------------------------- what is refused


def test_an_unknown_instrument_an_occupied_wire_and_a_silent_device_are_one_line_each(tmp_path: Path) -> None:
    with oven(tmp_path) as (file, peer):
        with pytest.raises(BadInput, match=r"bench.toml has no instrument 'pump'; it has oven"):
            read_device(file, "pump", lab=None)
        port = file.read_text().partition('port = "')[2].partition('"')[0]
        with EndpointLocks([port], what="a test"), pytest.raises(BadInput, match=r"bench.toml: .* is held by process \d+ \(a test"):
            read_device(file, "oven", lab=None)
        assert not peer.asked
    with pytest.raises(BadInput, match=r"bench.toml: link heat \(socket://127.0.0.1:\d+\): cannot open"):
        read_device(file, "oven", lab=None)


def test_options_of_a_setting_without_one_are_refused(tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["probe", str(tmp_path / "bench.toml"), "oven", "--yes"])
    assert str(ended.exception).startswith("--by, --reason and --yes belong to a setting")


def test_json_has_all_of_it(tmp_path: Path) -> None:
    with oven(tmp_path) as (file, _):
        ended = CliRunner().invoke(app, ["probe", str(file), "oven", "--json"])
    document = json.loads(ended.stdout)
    channels = ["temperature", "setpoint", "working_setpoint", "power", "status", "retained_writes"]
    assert [one["channel"] for one in document["channels"]] == channels
    assert document["channels"][0]["value"] == 180.4


# ---------------------------------------------------------------------- a live bench host


class LiveHost:
    """Answers as a bench host does that serves `oven`; no wire is there to be opened."""

    def __init__(self, driver: str) -> None:
        identity = {"model": "3216", "serial_number": None, "firmware": "0214", "boot_id": None}
        self._status = {"bench": "flow", "drivers": {"oven": {"driver": driver, "from": ""}}, "identities": {"oven": identity}}

    def __enter__(self) -> "LiveHost":
        return self

    def __exit__(self, *_: object) -> None: ...

    def status(self) -> dict[str, Any]:
        return self._status

    def read_channel(self, instrument: str, channel: str) -> str:
        return CHANNEL.dump_json(ChannelRead(channel, "degC", 25.0, "good", (f"{instrument} was asked",))).decode()


def test_a_live_host_of_this_instrument_reads_it_and_one_of_another_bench_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bench.toml").write_text(OVEN.format(port="/dev/ttyNONE"))
    monkeypatch.setattr(identify, "host_alive", lambda _: True)
    monkeypatch.setattr(HostClient, "of_lab", lambda _: LiveHost("eurotherm-modbus"))
    found = read_device(tmp_path / "bench.toml", "oven", lab=None)
    assert found.through == str(tmp_path / ".athanor")
    assert found.identity == "3216, serial number -, firmware 0214"
    assert found.channels[0].wire == ("oven was asked",)
    assert identify.read_identities(load_bench(tmp_path / "bench.toml"), tmp_path) == {"oven": found.identity}
    monkeypatch.setattr(HostClient, "of_lab", lambda _: LiveHost("new-era"))
    line = "serves bench 'flow', which has no 'oven' with driver 'eurotherm-modbus'; it has oven"
    with pytest.raises(BadInput, match=line):
        read_device(tmp_path / "bench.toml", "oven", lab=None)
    with pytest.raises(BadInput, match=line):
        identify.read_identities(load_bench(tmp_path / "bench.toml"), tmp_path)


# ---------------------------------------------------------------------- what goes over a wire


def test_a_silent_device_leaves_what_was_asked() -> None:
    with served(BalanceBody) as device, overheard() as exchanges:
        link = open_link(kind="tcp", url=device.url)
        assert isinstance(link, StreamTransport)
        device.lose = "S"
        with pytest.raises(LinkError, match="no reply"):
            link.exchange(b"S\r\n", lambda data: data or None, deadline=0.1, worst_reply=0.1)
        link.tell(b"Z\r\n")
        link.close()
    assert [shown(one) for one in exchanges] == [r"S\r\n -> nothing", r"Z\r\n -> nothing"]


@pytest.mark.parametrize(
    ("sent", "got", "line"),
    [
        # Modbus application protocol V1.1b3, 6.3: the example of the specification, registers 107 to 109, in a TCP header
        (
            "0001 0000 0006 11 03006b0003",
            "0001 0000 0009 11 0306022b00000064",
            "holding register 107 = 555 (0x022b), holding register 108 = 0 (0x0000), holding register 109 = 100 (0x0064): ",
        ),
        # the same, 6.4: input register 8
        ("0001 0000 0006 11 0400080001", "0001 0000 0005 11 0402000a", "input register 8 = 10 (0x000a): "),
        ("0001 0000 0006 11 0600010003", "0001 0000 0006 11 0600010003", "00 01 00 00 00 06 11 06 "),
        ("11 0300010001 ffff", "11 03020001 ffff", "11 03 00 01 00 01 ff ff -> "),
    ],
)
def test_registers_are_named_where_the_frames_are_modbus_and_bytes_are_shown_where_not(sent: str, got: str, line: str) -> None:
    assert shown(Exchange(bytes.fromhex(sent), bytes.fromhex(got))).startswith(line)
