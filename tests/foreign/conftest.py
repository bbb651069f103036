"""The witness, started once: it takes 25 nodes a request and holds 4,000 results of long ago."""

from collections.abc import Iterator

import pytest

from instruments.drivers.protocol import Driver
from instruments.transport.opcua import OpcUaTransport
from tests.foreign.lads_device import DEFAULTS, LadsDevice, lads_device
from tests.foreign.reactor import FUNCTIONS, ask, driver_of, settings

OLD = 4000


@pytest.fixture(scope="session")
def running() -> Iterator[LadsDevice]:
    with lads_device(maxNodes=25, old=OLD) as device:
        yield device


@pytest.fixture
def device(running: LadsDevice) -> LadsDevice:
    running.tell(**DEFAULTS)
    return running


@pytest.fixture
def wire(device: LadsDevice) -> Iterator[OpcUaTransport]:
    transport = OpcUaTransport(device.url)
    yield transport
    transport.close()


@pytest.fixture
def reactor(wire: OpcUaTransport) -> Iterator[Driver]:
    driver = driver_of(wire, settings(functions=FUNCTIONS))
    driver.identify()
    driver.arm()
    yield driver
    driver.make_safe("abort")
    driver.perform(ask("clear"))
