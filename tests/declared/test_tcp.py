"""A TCP link: deadlines, late answers, losses and reconnection, as on a serial line; and pyserial's URLs for serial links."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import serial
import serial.rfc2217

from instruments.bench.endpoints import at_plant
from instruments.bench.file import parse_bench
from instruments.bench.links import refuse_unhonoured
from instruments.drivers.new_era import NewEraPump
from instruments.lab_processes.endpoint_locks import EndpointLocks
from instruments.transport.base import LineTransport
from instruments.transport.opening import open_link
from instruments.transport.stream import StreamTransport
from orchestrator.errors import BadInput, LinkError, LockHeld, Sent
from tests.declared.bodies import BalanceBody
from tests.declared.serving import Served, served


@pytest.fixture
def device() -> Iterator[Served]:
    with served(BalanceBody) as one:
        yield one


def opened(device: Served) -> LineTransport:
    link = open_link(kind="tcp", url=device.url)
    assert isinstance(link, StreamTransport)
    return link


def asked(link: LineTransport, line: bytes = b"I4\r\n", deadline: float = 1.0, worst: float = 1.0) -> bytes:
    return link.exchange(line, lambda data: data if data.endswith(b"\r\n") else None, deadline=deadline, worst_reply=worst)


def test_an_exchange_over_tcp(device: Served) -> None:
    link = opened(device)
    assert link.kind == "tcp"
    assert asked(link) == b'I4 A "0123456789"\r\n'
    link.close()
    link.close()
    with pytest.raises(LinkError, match="closed; nothing was sent") as caught:
        asked(link)
    assert caught.value.sent is Sent.NO


def test_nobody_at_the_port_is_told_and_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(LinkError, match=f"cannot connect to tcp://127.0.0.1:{port}: .*refused") as caught:
        open_link(kind="tcp", url=f"tcp://127.0.0.1:{port}")
    assert caught.value.sent is Sent.NO


@pytest.mark.parametrize("url", ["tcp://", "tcp://host", "tcp://host:0", "tcp://host:70000", "tcp://u:p@host:1", "opc.tcp://host:1"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match="expected 'tcp://HOST:PORT'"):
        open_link(kind="tcp", url=url)


def test_silence_is_a_timeout_and_a_late_answer_is_not_given_to_the_next_request(device: Served) -> None:
    link = opened(device)
    device.lose = "S"
    with pytest.raises(LinkError, match=r"no reply to b'S.*heard nothing") as caught:
        asked(link, b"S\r\n", deadline=0.2, worst=0.4)
    assert caught.value.sent is Sent.MAYBE
    assert asked(link).startswith(b"I4")
    link.close()


def test_a_connection_that_the_far_side_closes_is_lost_and_made_anew() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        link = open_link(kind="tcp", url=f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        assert isinstance(link, StreamTransport)
        listener.accept()[0].close()
        time.sleep(0.1)
        with pytest.raises(LinkError, match="was lost before sending: the far side has closed it") as caught:
            asked(link)
        assert caught.value.sent is Sent.NO

        def answer() -> None:
            client, _ = listener.accept()
            client.recv(100)
            client.sendall(b"here again\r\n")
            client.close()

        thread = threading.Thread(target=answer)
        thread.start()
        assert asked(link) == b"here again\r\n"
        thread.join()
        link.close()


def test_a_command_without_an_answer_is_told_and_its_unasked_answer_dropped(device: Served) -> None:
    link = opened(device)
    link.tell(b"Z\r\n")
    time.sleep(0.1)
    assert asked(link).startswith(b"I4")
    link.close()


def test_a_serial_link_takes_a_socket_of_pyserial(device: Served) -> None:
    link = open_link(kind="serial", port=device.url.replace("tcp", "socket"))
    assert isinstance(link, StreamTransport)
    assert asked(link).startswith(b"I4")
    link.close()


@pytest.mark.filterwarnings("ignore:set(Daemon|Name)\\(\\) is deprecated:DeprecationWarning")  # pyserial 3.5 names its thread so
def test_a_serial_link_takes_a_device_server_that_speaks_rfc_2217(rfc2217: str) -> None:
    """Its far side is pyserial's own; frame and baud are negotiated."""
    link = open_link(kind="serial", port=rfc2217, baud=9600, frame="7E1")
    assert isinstance(link, StreamTransport)
    assert [asked(link) for _ in range(3)] == [b'I4 A "7"\r\n'] * 3
    link.close()


@pytest.fixture
def rfc2217() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_speak_rfc2217, args=(listener,))
        thread.start()
        yield f"rfc2217://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def _speak_rfc2217(listener: socket.socket) -> None:
    listener.settimeout(10.0)
    client, _ = listener.accept()
    client.settimeout(10.0)
    with client, serial.serial_for_url("loop://", timeout=0) as port:
        manager = serial.rfc2217.PortManager(port, SimpleNamespace(write=client.sendall))
        pending = b""
        while data := client.recv(1024):
            pending += b"".join(manager.filter(data))
            while b"\r\n" in pending:
                pending = pending.partition(b"\r\n")[2]
                client.sendall(b"".join(manager.escape(b'I4 A "7"\r\n')))


@pytest.mark.parametrize("port", ["rfc2217://127.0.0.1:9", "hwgrep://no-such-adapter", "socket://127.0.0.1:9", "hwgrep://("])
def test_a_url_that_leads_nowhere_is_told(port: str) -> None:
    with pytest.raises(LinkError, match=f"cannot open {re.escape(port)}: ") as caught:
        open_link(kind="serial", port=port)
    assert caught.value.sent is Sent.NO


def test_one_device_server_is_one_wire_however_it_is_named(tmp_path: Path) -> None:
    with EndpointLocks(["tcp://localhost:4001"], what="one", folder=tmp_path / "locks"):
        for name in ("tcp://127.0.0.1:4001/", "socket://127.0.0.1:4001", "rfc2217://LOCALHOST:4001?logging=debug"):
            with pytest.raises(LockHeld):
                EndpointLocks([name], what="two", folder=tmp_path / "locks").acquire()
        EndpointLocks(["tcp://127.0.0.1:4002"], what="three", folder=tmp_path / "locks").acquire()


BENCH = """
[bench]
name = "b"
reduction = "identity/1"

[links.a]
{link}

[instruments.balance]
driver = "mt-sics"
link = "a"

[[procedure.steps]]
do = "balance.tare"
"""


def test_a_bench_file_names_a_tcp_link_by_its_url() -> None:
    bench = parse_bench(BENCH.format(link='kind = "tcp"\nurl = "tcp://balance.lab:4001"'), Path("bench.toml"))
    assert bench.spec.links["a"].endpoint == "tcp://balance.lab:4001"
    refuse_unhonoured(bench)


@pytest.mark.parametrize(
    ("link", "line"),
    [
        ('kind = "tcp"\nport = "/dev/ttyUSB0"', "a serial link has a port, a tcp or an opcua link a url"),
        ('kind = "tcp"\nurl = "balance.lab:4001"', "'balance.lab:4001'; a tcp link has one of the form 'tcp://HOST:PORT'"),
    ],
)
def test_a_tcp_link_without_its_address_is_refused(link: str, line: str) -> None:
    with pytest.raises(BadInput, match=line):
        parse_bench(BENCH.format(link=link), Path("bench.toml"))


def test_in_a_dry_run_a_serial_line_of_the_plant_stands_for_a_tcp_link() -> None:
    bench = parse_bench(BENCH.format(link='kind = "tcp"\nurl = "tcp://balance.lab:4001"'), Path("bench.toml"))
    dry = at_plant(bench, {"endpoints": {"a": {"port": "/lab/plant/a.tty"}}}).spec.links["a"]
    assert (dry.kind, dry.endpoint) == ("serial", "/lab/plant/a.tty")
    assert at_plant(bench, {"endpoints": {"a": {"url": "tcp://127.0.0.1:9"}}}).spec.links["a"].endpoint == "tcp://127.0.0.1:9"
    with pytest.raises(BadInput, match="link a has no entry in the plant's endpoints"):
        at_plant(bench, {"endpoints": {}})


def test_what_a_tcp_link_has_no_use_for_is_refused() -> None:
    bench = parse_bench(BENCH.format(link='kind = "tcp"\nurl = "tcp://balance.lab:4001"\nbaud = 9600'), Path("bench.toml"))
    with pytest.raises(BadInput, match="baud belongs to a serial link; a link of kind tcp has neither"):
        refuse_unhonoured(bench)
    assert "tcp" not in NewEraPump.LINKS
