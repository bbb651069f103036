"""The simulated oven on a pseudo-terminal, asked by a client that nobody here wrote (minimalmodbus; it writes with function 16)."""

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import minimalmodbus
import numpy as np
import pytest

from simulators.clock import LabClock
from simulators.eurotherm import OvenUnit
from simulators.faults import FaultBook
from simulators.modbus_rtu import RegisterLine
from simulators.oven import Oven, OvenBody
from simulators.serial_server import SerialServer
from simulators.truth import PhysicalEvent

pytestmark = pytest.mark.slow


def _ignore(event: PhysicalEvent) -> None:
    pass


@pytest.fixture
def oven() -> Oven:
    return Oven("oven", OvenBody(noise=0.0), _ignore, np.random.default_rng(0))


@pytest.fixture
def client(oven: Oven, tmp_path: Path) -> Iterator[minimalmodbus.Instrument]:
    loop, clock = asyncio.new_event_loop(), LabClock(time.monotonic(), 1.0)
    faults = FaultBook(_ignore, lambda: 0.0, np.random.default_rng(0))
    server = SerialServer(tmp_path / "oven.tty", RegisterLine([OvenUnit(1, oven)]), {"oven": oven}, faults, clock, touched=lambda: None)

    async def each(work: str) -> None:
        getattr(server, work)()

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(each("start"), loop).result(5.0)
    instrument = minimalmodbus.Instrument(str(tmp_path / "oven.tty"), 1)
    instrument.serial.timeout = 2.0
    yield instrument
    instrument.serial.close()
    asyncio.run_coroutine_threadsafe(each("close"), loop).result(5.0)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5.0)
    loop.close()


def test_a_foreign_client_reads_the_registers_of_the_printed_table(client: minimalmodbus.Instrument) -> None:
    assert client.read_register(1, 1, signed=True) == 22.0
    assert client.read_register(111, 1) == 300.0
    assert client.read_register(112, 1) == 0.0
    assert client.read_register(122) == 0x3216
    assert client.read_register(131) == 1
    assert client.read_registers(1, 5) == [220, 220, 0, 0, 220]
    for invented in (129, 200):
        with pytest.raises(minimalmodbus.IllegalRequestError):
            client.read_register(invented)


def test_a_foreign_client_writes_with_function_16_and_with_function_6(client: minimalmodbus.Instrument, oven: Oven) -> None:
    client.write_register(24, 30.0, 1)
    client.write_register(26, 200.0, 1, functioncode=6)
    client.write_registers(24, [310, 320])
    client.write_register(276, 1)
    client.write_register(273, 0)
    assert (oven.local, oven.remote, oven.is_remote, oven.is_manual) == ([31.0, 32.0], 200.0, True, False)
    assert client.read_register(5, 1) == 200.0
    with pytest.raises(minimalmodbus.SlaveReportedException):
        client.write_register(26, 300.1, 1)


def test_a_foreign_client_sees_a_broken_sensor_and_standby(client: minimalmodbus.Instrument, oven: Oven) -> None:
    client.write_register(199, 1)
    assert (oven.is_standby, client.read_register(4)) == (True, 0)
    oven.sensor_broken = True
    assert client.read_register(75) == 1 << 4 | 1 << 5
