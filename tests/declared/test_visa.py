"""VISA links: the devices of PyVISA-sim, which nobody here wrote, on GPIB, USB and the network; and who owns a resource."""

import re
import sys
from pathlib import Path

import pytest

from flows.running.probe_operations import read_device, set_by_hand
from instruments.bench.endpoints import at_plant
from instruments.bench.file import BenchFile, parse_bench
from instruments.bench.links import refuse_unhonoured
from instruments.lab_processes.endpoint_locks import EndpointLocks
from instruments.lab_processes.endpoint_names import canonical_endpoint
from instruments.transport.opening import open_link
from instruments.transport.stream import StreamTransport
from orchestrator.errors import BadInput, LinkError, LockHeld, Sent
from tests.declared.hislip import hislip

PROFILE = """
[profile]
name = "lsg"
driver = "line"
sources = ["PyVISA-sim 0.7.1, default.yaml, device 1"]

[line]
terminator = "\\n"
timeout = 0.5

[identity]
query = "?IDN"
model = "LSG Serial #1234"

[channels.frequency]
unit = "Hz"
query = "?FREQ"
reply = '(?P<value>\\d+\\.\\d+)'

[commands.set_frequency]
kind = "state-setting"
send = "!FREQ {frequency:.2f}"
ack = "OK"
argument.frequency = { unit = "Hz", min = 1, max = 100000 }
readback = { channel = "frequency", within = 0.01 }
"""
BENCH = """
[bench]
name = "b"
reduction = "identity/1"

[links.a]
kind = "visa"
resource = "GPIB0::8::INSTR"
library = "@sim"

[instruments.lsg]
driver = "./lsg.toml"
link = "a"
limits.frequency = { min = "1 Hz", max = "1 kHz" }

[[procedure.steps]]
do = "lsg.set_frequency"
with = { frequency = "50 Hz" }
"""


def bench_of(folder: Path, *changed: tuple[str, str]) -> BenchFile:
    text = BENCH
    for old, new in changed:
        text = text.replace(old, new)
    (folder / "lsg.toml").write_text(PROFILE)
    (folder / "bench.toml").write_text(text)
    return parse_bench(text, folder / "bench.toml")


@pytest.mark.parametrize("resource", ["GPIB0::8::INSTR", "USB::0x1111::0x2222::0x1234::INSTR", "TCPIP::localhost::INSTR"])
def test_a_declared_device_answers_and_is_set_on_each_bus(tmp_path: Path, resource: str) -> None:
    bench = bench_of(tmp_path, ("GPIB0::8::INSTR", resource))
    refuse_unhonoured(bench)
    file = bench.path
    found = read_device(file, "lsg", lab=None)
    assert found.identity == "LSG Serial #1234, serial number -, firmware -"
    assert found.channels[0].wire[0].startswith(r"?FREQ\n -> ")
    after = set_by_hand(file, "lsg", ["frequency=50"], command=None, lab=None, word=("Ada", "panel"), agreed=lambda _: True)
    assert after is not None
    assert after.channels[0].value == 50.0
    with pytest.raises(BadInput, match="allowed 1 to 1000 Hz"):
        set_by_hand(file, "lsg", ["frequency=2 kHz"], command=None, lab=None, word=("Ada", "panel"), agreed=lambda _: True)


def test_a_silent_device_is_a_timeout_within_the_deadline_and_a_closed_link_sends_nothing() -> None:
    link = open_link(kind="visa", port="GPIB0::8::INSTR", library="@sim")
    assert isinstance(link, StreamTransport)
    assert link.kind == "visa"
    with pytest.raises(LinkError, match=r"no reply to b'\*RST\\n' within 0.2 s; heard nothing") as caught:
        link.exchange(b"*RST\n", lambda data: data or None, deadline=0.2, worst_reply=0.2)
    assert caught.value.sent is Sent.MAYBE
    link.close()
    with pytest.raises(LinkError, match="closed; nothing was sent"):
        link.exchange(b"?IDN\n", lambda data: data or None, deadline=0.2, worst_reply=0.2)


@pytest.mark.parametrize(("resource", "library"), [("USB::0x1::0x2::3::INSTR", "@py"), ("GPIB0::8::INSTR", "/no/libvisa.so")])
def test_a_resource_that_is_not_there_is_one_line(resource: str, library: str) -> None:
    with pytest.raises(LinkError, match=f"cannot open {resource} by VISA library {library}: ") as caught:
        open_link(kind="visa", port=resource, library=library)
    assert caught.value.sent is Sent.NO
    assert "\n" not in str(caught.value)


def test_without_pyvisa_one_line_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "instruments.transport.visa", raising=False)
    monkeypatch.setitem(sys.modules, "pyvisa", None)
    with pytest.raises(BadInput, match="a VISA link needs PyVISA, which is not installed here; the extra `visa`"):
        open_link(kind="visa", port="GPIB0::8::INSTR")


# ---------------------------------------------------------------------- on a real socket, by pyvisa-py's HiSLIP


def _numbered(line: bytes) -> bytes | None:
    return b"answer to " + line if line.endswith(b"?\n") else None


def _whole(data: bytes) -> bytes | None:
    return data if data.endswith(b"\n") else None


def test_a_late_answer_is_not_given_to_the_next_request() -> None:
    with hislip(_numbered) as device:
        link = open_link(kind="visa", port=device.resource)
        assert isinstance(link, StreamTransport)
        assert link.exchange(b"A?\n", _whole, deadline=2.0, worst_reply=2.0) == b"answer to A?\n"
        device.late = 0.6
        with pytest.raises(LinkError, match=r"no reply to b'B\?\\n' within 0.2 s; heard nothing") as caught:
            link.exchange(b"B?\n", _whole, deadline=0.2, worst_reply=1.0)
        assert caught.value.sent is Sent.MAYBE
        assert link.exchange(b"C?\n", _whole, deadline=2.0, worst_reply=2.0) == b"answer to C?\n"
        link.tell(b"D\n")
        assert link.exchange(b"E?\n", _whole, deadline=2.0, worst_reply=2.0) == b"answer to E?\n"
        link.close()
        assert device.heard == [b"A?\n", b"B?\n", b"C?\n", b"D\n", b"E?\n"]  # each once


def test_a_lost_connection_is_told_and_made_anew() -> None:
    with hislip(_numbered) as device:
        link = open_link(kind="visa", port=device.resource)
        assert isinstance(link, StreamTransport)
        device.drop()
        with pytest.raises(LinkError, match=f"{re.escape(device.resource)} was lost while") as caught:
            link.exchange(b"A?\n", _whole, deadline=0.5, worst_reply=0.5)
        assert caught.value.sent is Sent.MAYBE
        assert link.exchange(b"B?\n", _whole, deadline=2.0, worst_reply=2.0) == b"answer to B?\n"
        link.close()


# ---------------------------------------------------------------------- one owner


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        ("GPIB::8::INSTR", "gpib0::8::instr", "GPIB1::8::INSTR"),
        ("USB::0x1111::0x2222::A7::INSTR", "USB0::4369::8738::a7::0::INSTR", "USB::0x1111::0x2222::A8::INSTR"),
        ("TCPIP::localhost::INSTR", "TCPIP0::127.0.0.1::hislip0::INSTR", "TCPIP::localhost::gpib0,9::INSTR"),
    ],
)
def test_one_device_is_one_wire_however_its_resource_is_written(one: str, same: str, other: str, tmp_path: Path) -> None:
    assert canonical_endpoint(one) == canonical_endpoint(same) != canonical_endpoint(other)
    with EndpointLocks([one], what="one", folder=tmp_path), pytest.raises(LockHeld):
        EndpointLocks([same], what="two", folder=tmp_path).acquire()


def test_two_links_to_one_resource_are_refused(tmp_path: Path) -> None:
    twice = '[links.b]\nkind = "visa"\nresource = "gpib::8::INSTR"\n\n[instruments.lsg]'
    with pytest.raises(BadInput, match=r"links a \(GPIB0::8::INSTR\) and b \(gpib::8::INSTR\) are one wire"):
        refuse_unhonoured(bench_of(tmp_path, ("[instruments.lsg]", twice)))


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('resource = "GPIB0::8::INSTR"', 'url = "tcp://h:1"', "a visa link a resource"),
        ("GPIB0::8::INSTR", "ASRL/dev/ttyUSB0::INSTR", "links.a.resource"),
        ("GPIB0::8::INSTR", "TCPIP::h::5025::SOCKET", "links.a.resource"),
        ('"visa"\nresource = "GPIB0::8::INSTR"', '"serial"\nport = "/dev/ttyUSB0"', "library belongs to a visa link; this one is serial"),
    ],
)
def test_what_is_no_visa_link_is_refused(tmp_path: Path, old: str, new: str, line: str) -> None:
    with pytest.raises(BadInput, match=line):
        bench_of(tmp_path, (old, new))


def test_a_dry_run_ends_at_the_plant_and_no_resource_is_opened(tmp_path: Path) -> None:
    dry = at_plant(bench_of(tmp_path), {"endpoints": {"a": {"port": "/lab/plant/a.tty"}}}).spec.links["a"]
    assert (dry.kind, dry.endpoint) == ("serial", "/lab/plant/a.tty")
