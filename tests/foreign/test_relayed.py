"""Faults of the link before devices that nobody here wrote: a relay makes them, the device's own account is the judge."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import pytest
from asyncua.ua.object_ids import ObjectIds

from instruments.drivers.protocol import Call, Driver, Limit, Progress, Settings, StepVerdict
from instruments.drivers.registry import build_driver
from instruments.transport.opcua import OpcUaTransport
from instruments.transport.opening import open_link
from orchestrator.errors import InstrumentError, LinkError, ProtocolError, Sent
from tests.foreign import need
from tests.foreign.lads_device import LadsDevice
from tests.foreign.reactor import LIMIT, driver_of, settings
from tests.foreign.test_lads_device import end, program, starts
from tests.instrument.cases import CLOCK, call
from tests.relays.relay import TcpRelay, opcua_messages
from tests.relays.tampering import Tampering, Trouble

_T = TypeVar("_T")
pytestmark = [pytest.mark.foreign, pytest.mark.slow]
BIN: Final = Path(__file__).parents[2] / ".venv-foreign" / "bin"
START: Final = rb"\x01\x00" + ObjectIds.CallRequest_Encoding_DefaultBinary.to_bytes(2, "little") + rb".*Characterise"
"""The call that starts a program."""


@contextmanager
def before_lads(device: LadsDevice) -> Iterator[tuple[TcpRelay, Driver]]:
    there = urlsplit(device.url)
    with TcpRelay(str(there.hostname), int(there.port or 0), opcua_messages) as relay:
        wire = OpcUaTransport(there._replace(netloc=f"127.0.0.1:{relay.port}").geturl())
        driver = driver_of(wire, settings())
        driver.identify()
        driver.arm()
        yield relay, driver
        relay.disarm()
        driver.close()


@pytest.mark.parametrize("trouble", [Trouble.LOSE_REPLY, Trouble.DELAY, Trouble.DUPLICATE, Trouble.CUT])
def test_a_program_whose_answer_is_lost_late_doubled_or_cut_runs_once_on_node_opcua(device: LadsDevice, trouble: Trouble) -> None:
    with before_lads(device) as (relay, driver):
        armed = relay.arm(Tampering(trouble, START, seconds=1.0))
        one = program(trouble)
        baseline = driver.baseline(one)
        assert sent_by(driver, one) is not Sent.NO
        assert armed.struck == 1
        outcome = patiently(partial(end, driver), one, baseline)
        assert (outcome.progress, outcome.code) == (Progress.FINISHED, "completed")
        assert starts(device, one) == 1


def test_a_request_that_never_reached_node_opcua_is_not_said_to_be_done(device: LadsDevice) -> None:
    with before_lads(device) as (relay, driver):
        relay.arm(Tampering(Trouble.LOSE_REQUEST, START))
        one = program("lost")
        baseline = driver.baseline(one)
        with pytest.raises(LinkError) as caught:
            driver.perform(one)
        assert caught.value.sent is Sent.MAYBE
        assert patiently(driver.reconcile, one, baseline).verdict in (StepVerdict.NOT_EXECUTED, StepVerdict.UNDECIDABLE)
        assert starts(device, one) == 0


def sent_by(driver: Driver, one: Call) -> Sent:
    """Start a program; return what is known of whether it was sent."""
    try:
        driver.perform(one)
    except InstrumentError as error:
        return error.sent
    return Sent.YES


def patiently(ask: Callable[[Call, Mapping[str, Any]], _T], one: Call, baseline: Mapping[str, Any]) -> _T:
    """Ask until the link is back, as the host does."""
    until = time.monotonic() + LIMIT
    while True:
        try:
            return ask(one, baseline)
        except LinkError:
            assert time.monotonic() < until, "the link does not come back"
            time.sleep(0.5)


@pytest.fixture(scope="module")
def julabo() -> Iterator[int]:
    """Lewis's simulated FP50 circulator in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    adapter = f"julabo-version-1: {{bind_address: 127.0.0.1, port: {port}}}"
    process = subprocess.Popen([str(need(BIN / "lewis")), "julabo", "-p", adapter], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60.0
    while not answers(port):
        assert time.monotonic() < until, "lewis does not start"
        time.sleep(0.1)
    yield port
    process.terminate()
    process.wait(10.0)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def before_julabo(port: int) -> Iterator[tuple[TcpRelay, Driver]]:
    with TcpRelay("127.0.0.1", port) as relay:
        link = open_link(kind="tcp", url=f"tcp://127.0.0.1:{relay.port}")
        driver = build_driver("julabo", link, Settings("bath", limits={"temperature": Limit(0.0, 100.0)}), CLOCK)
        driver.perform(call("set_temperature", temperature=42.0))
        yield relay, driver
        relay.disarm()
        driver.close()


@pytest.mark.parametrize(
    "tampering",
    [
        Tampering(Trouble.LOSE_REPLY),
        Tampering(Trouble.HALF),
        Tampering(Trouble.REORDER),
        Tampering(Trouble.DELAY, seconds=1.3),
        Tampering(Trouble.GARBLE),
        Tampering(Trouble.CUT),
    ],
    ids=lambda one: one.trouble,
)
def test_a_value_of_lewiss_circulator_is_never_taken_from_another_answer(julabo: int, tampering: Tampering) -> None:
    with before_julabo(julabo) as (relay, driver):
        tampering.request = rb"(?i)in_sp_00"
        relay.arm(tampering)
        with pytest.raises((LinkError, ProtocolError)):
            driver.read(["setpoint"])
        assert tampering.struck == 1
        assert driver.read(["temperature", "setpoint"])[1].value == 42.0
        assert driver.identify().model == "JULABO FP50_MH Simulator, ISIS"


@pytest.mark.parametrize(
    "tampering", [Tampering(Trouble.BEFORE, data=b"\x00\xff*** ALARM ***\r\n"), Tampering(Trouble.GLUE)], ids=lambda one: one.trouble
)
def test_what_lewiss_circulator_did_not_mean_is_passed_over(julabo: int, tampering: Tampering) -> None:
    with before_julabo(julabo) as (relay, driver):
        tampering.request = rb"(?i)in_sp_00"
        relay.arm(tampering)
        assert driver.read(["setpoint"])[0].value == 42.0
        assert tampering.struck == 1
