"""The engine of plain OPC-UA servers: on nodes in memory, and on a real server."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.running.probe_operations import read_device
from instruments.drivers.declared.device import declared_driver
from instruments.drivers.declared.nodes import node_path
from instruments.drivers.declared.profiles import parse_profile
from instruments.drivers.protocol import Driver, Settings
from instruments.transport.base import Name
from instruments.transport.opening import open_link
from orchestrator.errors import BadInput, DeviceError, LinkError
from tests.instrument.cases import CLOCK, call
from tests.instrument.fake_nodes import FakeNodes
from tests.instrument.small_server import ONE, TWO
from tests.probing.benches import BALANCE

PROFILE = f"""
[profile]
name = "box"
driver = "opcua"
sources = ["none: a server of these tests"]

[identity]
node = ["{ONE}|Box", "{ONE}|Version"]
model = ".*"

[channels.value]
unit = "degC"
node = "{ONE}|Box/Value"

[channels.calls]
node = "Box/Calls"

[channels.twin]
node = ["Box", "{TWO}|Twin"]

[commands.set_value]
kind = "state-setting"
node = "{ONE}|Box/Value"
argument.value = {{ unit = "degC", min = 0, max = 100 }}
readback = {{ channel = "value", within = 0.001 }}

[commands.count]
kind = "state-setting"
method = "Box/Count"

[commands.put]
kind = "state-setting"
method = "Box/Put"
send = ["Level = {{level:.1f}}", "Label = 7"]
argument.level = {{ unit = "degC", min = 0, max = 100 }}

[commands.refuse]
kind = "state-setting"
method = "Box/Refuse"

[safe.off]
node = "{ONE}|Box/Value"
value = 0
"""


def test_a_browse_path_is_written_with_or_without_the_uri_of_its_names() -> None:
    assert node_path("A/B") == (Name("A"), Name("B"))
    assert node_path("http://x.org/UA/|A/B") == (Name("A", "http://x.org/UA/"), Name("B", "http://x.org/UA/"))
    assert node_path(["A", "http://x.org/UA/|B/C"]) == (Name("A"), Name("B/C", "http://x.org/UA/"))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "tests.instrument.small_server", str(port), ONE, TWO])
    yield f"opc.tcp://127.0.0.1:{port}/small"
    server.terminate()
    server.wait()


@pytest.fixture
def driver(url: str) -> Iterator[Driver]:
    until = time.monotonic() + 30.0
    while True:
        try:
            link = open_link(kind="opcua", url=url)
            break
        except LinkError:
            assert time.monotonic() < until
            time.sleep(0.2)
    driver = declared_driver(parse_profile(PROFILE, "profile box"))(link, Settings("box"), CLOCK)
    yield driver
    driver.close()


@pytest.mark.slow
def test_nodes_are_read_written_and_read_back_on_a_real_server(driver: Driver) -> None:
    assert driver.identify().model == "7"
    assert driver.perform(call("set_value", value=42.5)) == {"value": 42.5}
    told = {one.channel: (one.value, one.unit, one.quality) for one in driver.read(["value", "twin"])}
    assert told == {"value": (42.5, "degC", "good"), "twin": (2.0, "", "good")}
    driver.make_safe("off")
    assert driver.read(["value"])[0].value == 0.0


@pytest.mark.slow
def test_a_method_is_called_once_and_a_refusal_is_told(driver: Driver) -> None:
    before = driver.read(["calls"])[0].value or 0.0
    driver.perform(call("count"))
    assert driver.read(["calls"])[0].value == before + 1
    with pytest.raises(DeviceError, match="BadInvalidState"):
        driver.perform(call("refuse"))


@pytest.mark.slow
def test_a_method_gets_its_arguments_by_name_in_the_types_that_it_declares(driver: Driver) -> None:
    driver.perform(call("put", level=12.34))
    assert driver.read(["value"])[0].value == pytest.approx(12.3)


def test_a_value_of_bad_quality_or_of_another_kind_is_none() -> None:
    nodes = FakeNodes(values={"Box/Value": None, "Box/Calls": True, "Box/Version": "7"})
    driver = declared_driver(parse_profile(PROFILE.replace(f"{ONE}|", ""), "profile box"))(nodes, Settings("box"), CLOCK)
    assert [(one.value, one.quality) for one in driver.read(["value", "calls"])] == [(None, "bad"), (1.0, "good")]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('method = "Box/Count"', 'send = "x = 1"', "commands.count: expected node or method"),
        ('"Label = 7"', '"7"', "commands.put: send = '7'; a method takes its arguments by name"),
        ("value = 0", "", "safe.off: expected value, what is written"),
        ('method = "Box/Count"', 'node = "Box/Value"', "commands.count: what is written of 0 arguments"),
        ('method = "Box/Count"', 'method = "Box/Count"\ntype = "int16"', "commands.count: type 'int16' belongs to registers"),
    ],
)
def test_what_is_wrong_with_a_node_is_told(old: str, new: str, line: str) -> None:
    with pytest.raises(BadInput, match=line):
        parse_profile(PROFILE.replace(old, new), "profile box")


@pytest.mark.slow
def test_a_probe_shows_each_node_with_its_status_and_writes_none(driver: Driver, url: str, tmp_path: Path) -> None:
    driver.make_safe("off")
    (tmp_path / "box.toml").write_text(PROFILE)
    text = BALANCE.format(url=url, driver="./box.toml", command="set_value").replace('"tcp"', '"opcua"')
    (tmp_path / "bench.toml").write_text(text)
    before = driver.read(["calls"])[0].value
    found = read_device(tmp_path / "bench.toml", "balance", lab=None)
    read = {one.channel: one for one in found.channels}
    assert read["value"].value == 0.0
    assert read["value"].wire[0].startswith("read Box/Value -> 0.0 Good")
    assert read["calls"].value == before
