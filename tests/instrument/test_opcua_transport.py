"""The OPC-UA session against a small server of our own: names, plain writes, outages, clean ends."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from instruments.transport.base import Name, NodePath
from instruments.transport.opcua import OpcUaTransport
from orchestrator.errors import DeviceError, LinkError, Sent
from tests.instrument.small_server import ONE, TWO

LIMIT = 60.0


class SmallServer:
    """The small server on a fixed port; may be killed and started again."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"opc.tcp://127.0.0.1:{self._port}/small"
        self._process: subprocess.Popen[bytes] | None = None
        self._namespaces: tuple[str, ...] = ()

    def start(self, *namespaces: str) -> None:
        command = [sys.executable, "-m", "tests.instrument.small_server", str(self._port), *namespaces]
        self._namespaces = namespaces
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _until(self._listens)

    def restart_unless(self, *namespaces: str) -> None:
        if self._process is None or self._namespaces != namespaces:
            self.kill()
            self.start(*namespaces)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


@pytest.fixture(scope="module")
def running() -> Iterator[SmallServer]:
    small = SmallServer()
    yield small
    small.kill()


@pytest.fixture
def server(running: SmallServer) -> SmallServer:
    running.restart_unless(ONE, TWO)
    return running


@pytest.fixture
def session(server: SmallServer) -> Iterator[OpcUaTransport]:
    transport = OpcUaTransport(server.url)
    yield transport
    transport.close()


def _path(*names: str, namespace: str | None = None) -> NodePath:
    return tuple(Name(name, namespace) for name in names)


def test_nodes_are_found_by_namespace_uri_and_ambiguity_is_refused(session: OpcUaTransport) -> None:
    first, second = (*_path("Box"), Name("Twin", ONE)), (*_path("Box"), Name("Twin", TWO))
    assert [value.value for value in session.read([first, second])] == [1, 2]
    with pytest.raises(DeviceError, match="ambiguous"):
        session.read([_path("Box", "Twin")])
    with pytest.raises(DeviceError, match="no node Box/Nothing"):
        session.read([_path("Box", "Nothing")])
    assert not session.exists(_path("Box", "Nothing"))


def test_children_are_listed_once_and_without_properties(session: OpcUaTransport) -> None:
    assert session.objects(_path("Box")) == ((*_path("Box"), Name("Inner", ONE)),)
    assert {path[-1].name for path in session.variables(_path("Box"))} == {"Value", "Twin", "Calls"}


def test_a_value_is_written_in_its_declared_type_without_timestamps(session: OpcUaTransport) -> None:
    session.write(_path("Box", "Value"), 2.25)
    (value,) = session.read([_path("Box", "Value")])
    assert (value.value, value.quality, value.source_timestamp) == (2.25, "good", None)


def test_a_refused_call_is_the_devices_answer(session: OpcUaTransport) -> None:
    with pytest.raises(DeviceError, match="BadInvalidState") as caught:
        session.call(_path("Box"), Name("Refuse"), {})
    assert caught.value.sent is Sent.YES


def test_the_session_is_short(session: OpcUaTransport) -> None:
    assert 0.0 < session.granted_session <= 10.0


def test_an_outage_fails_at_once_and_a_restarted_server_is_found_again_by_names(server: SmallServer, session: OpcUaTransport) -> None:
    session.call(_path("Box"), Name("Count"), {})
    assert _calls(session) == 1
    before = session.session
    server.kill()
    _until(lambda: not _reads(session))
    with pytest.raises(LinkError) as caught:
        session.call(_path("Box"), Name("Count"), {})
    assert caught.value.sent is Sent.NO
    server.start(TWO, "urn:test:between", ONE)
    _until(lambda: _reads(session))
    (value,) = session.read([(*_path("Box"), Name("Twin", TWO))])
    assert value.value == 2
    assert session.session != before
    assert _calls(session) == 0  # what was asked during the outage is never sent late


def _calls(session: OpcUaTransport) -> object:
    return session.read([_path("Box", "Calls")])[0].value


def _reads(session: OpcUaTransport) -> bool:
    try:
        session.read([_path("Box", "Value")])
    except LinkError:
        return False
    return True


def _until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_a_server_that_is_not_there_leaves_nothing_behind() -> None:
    before = set(threading.enumerate())
    with pytest.raises(LinkError, match="cannot connect") as caught:
        OpcUaTransport("opc.tcp://127.0.0.1:1/nobody")
    assert caught.value.sent is Sent.NO
    assert set(threading.enumerate()) == before


def test_a_closed_session_sends_nothing_and_leaves_no_thread(server: SmallServer) -> None:
    before = set(threading.enumerate())
    transport = OpcUaTransport(server.url)
    transport.close()
    transport.close()
    with pytest.raises(LinkError) as caught:
        transport.read([_path("Box", "Value")])
    assert caught.value.sent is Sent.NO
    assert set(threading.enumerate()) == before
