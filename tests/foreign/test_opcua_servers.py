"""Our drivers on servers that nobody here wrote: a declared device on open62541 (by `o6`) and FreeOpcUa's `opcua`, LADS on open62541."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from instruments.drivers.declared.device import declared_driver
from instruments.drivers.declared.profiles import parse_profile
from instruments.drivers.lads_browsing import offered
from instruments.drivers.protocol import Call, Driver, Settings, StepVerdict
from instruments.transport.opcua import OpcUaTransport
from orchestrator.errors import DeviceError, LinkError, Sent
from tests.declared.test_nodes import PROFILE
from tests.foreign import BIN, need
from tests.foreign.reactor import FUNCTIONS, ask, driver_of, settings
from tests.instrument.cases import CLOCK, call
from tests.instrument.conformance import DriverConformance

pytestmark = [pytest.mark.slow, pytest.mark.foreign]


class Server:
    """A server of one stack in a process of its own; may be killed and started again on its port."""

    def __init__(self, stack: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        script = Path(__file__).parent / "stacks" / f"{stack}_server.py"
        self._command = [str(need(BIN / "python")), str(script), str(self._port)]
        self.url = f"opc.tcp://127.0.0.1:{self._port}/box"

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        assert "ready\n" in iter(self._process.stdout.readline, "")

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def served(stack: str) -> Iterator[Server]:
    running = Server(stack)
    running.start()
    try:
        yield running
    finally:
        running.kill()


@pytest.fixture(scope="module", params=["freeopcua", "open62541"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with served(str(request.param)) as running:
        yield running


class TestBox(DriverConformance):
    """What all drivers promise, and what OPC-UA brings."""

    SETTLED = "not-executed"

    @pytest.fixture
    def driver(self, server: Server) -> Iterator[Driver]:
        wire = OpcUaTransport(server.url)
        driver = declared_driver(parse_profile(PROFILE, "profile box"))(wire, Settings("box"), CLOCK)
        yield driver
        driver.close()
        wire.close()

    @pytest.fixture
    def setting(self) -> Call:
        return call("set_value", value=42.5)

    def test_nodes_are_read_by_browse_path_and_written_in_the_type_that_they_have(self, driver: Driver) -> None:
        assert driver.identify().model == "7"
        driver.perform(call("set_value", value=42.5))
        assert {one.channel: (one.value, one.quality) for one in driver.read(["value", "twin"])} == {
            "value": (42.5, "good"),
            "twin": (2.0, "good"),
        }
        driver.make_safe("off")
        assert driver.read(["value"])[0].value == 0.0

    def test_methods_take_their_arguments_by_name_and_a_refusal_is_told(self, driver: Driver) -> None:
        (before,) = driver.read(["calls"])
        driver.perform(call("count"))
        assert driver.read(["calls"])[0].value == (before.value or 0.0) + 1.0
        driver.perform(call("put", level=12.34))
        assert driver.read(["value"])[0].value == pytest.approx(12.3)
        with pytest.raises(DeviceError, match="BadInvalidState") as caught:
            driver.perform(call("refuse"))
        assert caught.value.sent is Sent.YES


def test_a_server_that_dies_is_said_to_be_lost(server: Server) -> None:
    wire = OpcUaTransport(server.url)
    driver = declared_driver(parse_profile(PROFILE, "profile box"))(wire, Settings("box"), CLOCK)
    driver.read(["value"])
    server.kill()
    with pytest.raises(LinkError) as caught:
        driver.perform(call("set_value", value=1.0))
    assert caught.value.sent in (Sent.NO, Sent.MAYBE)
    wire.close()
    server.start()


def test_a_lads_device_of_open62541_is_browsed_identified_set_read_and_made_safe() -> None:
    functions = {name: FUNCTIONS[name] for name in ("jacket", "pressure")}
    with served("open62541_lads") as device, closing(OpcUaTransport(device.url)) as wire:
        ((unit,),) = (one.units for one in offered(wire))
        found = {one.path: (one.kind, one.unit) for one in unit.functions}
        assert found == {one.path: (one.kind, one.unit) for one in functions.values()}
        driver = driver_of(wire, settings(functions=functions))
        identity = driver.identify()
        assert (identity.model, identity.serial_number, identity.firmware) == ("Witness 1", "W-7", "62541")
        driver.arm()
        for target in (40.0, 60.0):  # at rest, and running
            driver.perform(ask("set_jacket", jacket=target))
            assert driver.reconcile(ask("set_jacket", jacket=target), {}).verdict is StepVerdict.FINISHED
        told = {one.channel: one.value if one.text is None else one.text for one in driver.read(list(driver.CHANNELS))}
        assert told == {"jacket": 40.0, "jacket_target": 60.0, "pressure": 1.5, "state": "Stopped"}  # it takes its value when it starts
        for action in sorted(driver.SAFE_ACTIONS) * 2:
            driver.make_safe(action)
        assert driver.reconcile(ask("stop_jacket"), {}).verdict is StepVerdict.FINISHED
        with pytest.raises(DeviceError, match="was not started") as caught:
            driver.perform(ask("run_program", template="Rinse"))
        assert caught.value.sent is Sent.NO
