"""A plug-in that opens its device itself: one owner on the machine, the safe state as on any link, no dry run at the live device."""

from pathlib import Path

import pytest

from flows.running.probe_operations import read_device, set_by_hand
from instruments.bench.connect import connect, connect_for_safety
from instruments.bench.endpoints import at_plant
from instruments.bench.file import BenchFile, parse_bench
from instruments.bench.links import refuse_unhonoured
from instruments.lab_processes.endpoint_locks import EndpointLocks
from instruments.lab_processes.endpoint_names import canonical_endpoint
from instruments.lab_processes.locks import read_holder
from orchestrator.clock import LiveClock
from orchestrator.errors import BadInput
from tests.declared.bodies import BalanceBody
from tests.declared.serving import Served, served

DRIVER = """
import socket
from athanor.drivers import DeviceError, Driver, Identity, LinkError, Sent, channel, command, safe

class Own(Driver):
    LINKS = ("own",)
    def __init__(self, link, settings, clock):
        super().__init__(link, settings, clock)
        self._open = None
    def asked(self, line):
        try:
            if self._open is None:
                self._open = socket.create_connection(("127.0.0.1", int(self.settings.options["port"])), timeout=1.0)
            self._open.sendall(line + b"\\r\\n")
            return self._open.recv(100).decode().strip()
        except OSError as error:
            raise LinkError(f"{self.settings.device}: {error}", sent=Sent.MAYBE) from error
    def identify(self):
        return self.expected(Identity(self.asked(b"I2"), None, None, None))
    @channel("g")
    def weight(self):
        "Get what lies on it."
        return float(self.asked(b"SI").split()[2])
    @command("state-setting")
    def zero(self):
        "Set zero."
        self.asked(b"Z")
    @safe
    def tare(self):
        "Set the tare."
        self.asked(b"T")
    def close(self):
        if self._open is not None:
            self._open.close()
            self._open = None
"""
BENCH = """
[bench]
name = "b"
reduction = "identity/1"

[links.a]
kind = "own"
device = "{device}"

[instruments.scale]
driver = "./own.py:Own"
link = "a"
safe_state = ["tare"]
options = {{ port = {port} }}

[[procedure.steps]]
do = "scale.zero"
"""


@pytest.fixture
def bench(tmp_path: Path) -> BenchFile:
    return _bench(tmp_path, 9)


def _bench(folder: Path, port: int, device: str = "scale-7") -> BenchFile:
    driver = DRIVER.replace("class Own(Driver):", "class Own(Driver):\n    OPTIONS = frozenset({'port'})")
    (folder / "own.py").write_text(driver)
    (folder / "bench.toml").write_text(BENCH.format(port=port, device=device))
    return parse_bench((folder / "bench.toml").read_text(), folder / "bench.toml")


def _at(device: Served, folder: Path) -> BenchFile:
    return _bench(folder, int(device.url.rpartition(":")[2]))


def test_its_device_is_read_set_and_made_safe_as_on_any_link(tmp_path: Path) -> None:
    with served(BalanceBody) as device:
        bench = _at(device, tmp_path)
        refuse_unhonoured(bench)
        found = read_device(bench.path, "scale", lab=None)
        assert found.channels[0].value == 12.3456
        assert found.channels[0].wire == ("12.3456",)  # no wire of ours: what the driver gave
        done = set_by_hand(bench.path, "scale", [], command="zero", lab=None, word=("Ada", "panel"), agreed=lambda _: True)
        assert done is not None
        drivers = connect_for_safety(bench, "a", LiveClock())
        drivers["scale"].make_safe("tare")
        drivers["scale"].close()
        assert device.body.tare == 12.3456
        assert device.heard == [b"I2\r\n", b"SI\r\n", b"I2\r\n", b"SI\r\n", b"Z\r\n", b"I2\r\n", b"SI\r\n", b"T\r\n"]


def test_the_lock_is_on_the_name_of_its_device(bench: BenchFile, tmp_path: Path) -> None:
    with (
        EndpointLocks([bench.spec.links["a"].endpoint], what="a test"),
        pytest.raises(BadInput, match=r"is held by process \d+ \(a test on own://scale-7"),
    ):
        read_device(bench.path, "scale", lab=None)
    assert _bench(tmp_path, 9, "/dev/hidraw0").spec.links["a"].endpoint == "/dev/hidraw0"
    assert canonical_endpoint("own://Scale-7") == canonical_endpoint("own://scale-7")
    assert read_holder(tmp_path / "none") is None


def test_a_device_that_is_not_there_is_one_line_with_its_name(bench: BenchFile) -> None:
    with pytest.raises(BadInput, match=r"link a \(own://scale-7\), scale: scale-7: .*refused"):
        read_device(bench.path, "scale", lab=None)


def test_a_dry_run_never_opens_it(bench: BenchFile) -> None:
    with pytest.raises(BadInput, match="link a has no entry in the plant's endpoints"):
        at_plant(bench, {"endpoints": {}})


def test_other_links_are_not_for_it_nor_its_link_for_others(bench: BenchFile) -> None:
    text = bench.text.replace('kind = "own"\ndevice = "scale-7"', 'kind = "tcp"\nurl = "tcp://h:1"')
    with pytest.raises(BadInput, match="needs a link of kind own; a is tcp"):
        refuse_unhonoured(parse_bench(text, bench.path))
    other = parse_bench(bench.text.replace('"./own.py:Own"', '"mt-sics"').replace('["tare"]', "[]"), bench.path)
    with pytest.raises(BadInput, match="driver 'mt-sics' needs a link of kind serial or tcp or visa; a is own"):
        refuse_unhonoured(other)
    with pytest.raises(BadInput, match="needs a link of kind serial or tcp or visa, got own"):
        connect(other, "a", LiveClock())
