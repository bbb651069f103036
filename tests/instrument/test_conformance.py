"""Each driver on its own wire keeps what all drivers promise."""

from collections.abc import Iterator

import pytest

from instruments.drivers.protocol import Call, Driver, Settings
from instruments.drivers.registry import DRIVERS, build_driver
from instruments.transport.opening import open_link
from orchestrator.errors import BadInput
from tests.instrument.cases import CLOCK, call, oven_settings, platform_settings, pump_settings
from tests.instrument.conformance import DriverConformance
from tests.instrument.running_plant import RunningPlant, running_plant
from tests.instrument.scripted import ScriptedTransport


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlant]:
    with running_plant(tmp_path_factory.mktemp("plant"), rate=10.0) as running:
        yield running


def _ready(plant: RunningPlant, name: str, link: str, settings: Settings) -> Iterator[Driver]:
    driver = build_driver(name, plant.open(link), settings, plant.clock)
    driver.identify()
    driver.arm()
    yield driver
    driver.close()


class TestPump(DriverConformance):
    @pytest.fixture
    def driver(self, plant: RunningPlant) -> Iterator[Driver]:
        yield from _ready(plant, "new-era", "pumps", pump_settings(watchdog=60.0))

    @pytest.fixture
    def setting(self) -> Call:
        return call("set_flow", flow=2.5)


class TestOven(DriverConformance):
    @pytest.fixture
    def driver(self, plant: RunningPlant) -> Iterator[Driver]:
        yield from _ready(plant, "eurotherm-modbus", "oven", oven_settings("3216", watchdog=5.0))

    @pytest.fixture
    def setting(self) -> Call:
        return call("set_temperature", temperature=123.4)


class TestPlatform(DriverConformance):
    @pytest.fixture
    def driver(self, plant: RunningPlant) -> Iterator[Driver]:
        yield from _ready(plant, "lads", "platform", platform_settings("SP-0042", watchdog=60.0))

    @pytest.fixture
    def setting(self) -> Call:
        return call("lamp_on")


def test_the_registry_names_what_it_knows() -> None:
    assert set(DRIVERS) >= {"new-era", "eurotherm-modbus", "lads"}  # other tests of this process register fakes
    with pytest.raises(BadInput, match=r"unknown driver 'tesla'; known: .*eurotherm-modbus,.* lads,.* new-era"):
        build_driver("tesla", ScriptedTransport([]), pump_settings(), CLOCK)
    with pytest.raises(BadInput, match="needs a link of kind opcua, got serial"):
        build_driver("lads", ScriptedTransport([]), platform_settings(), CLOCK)
    with pytest.raises(BadInput, match="expected serial with a port"):
        open_link(kind="serial", url="opc.tcp://127.0.0.1:4840")


def test_a_lads_unit_and_an_oven_need_their_settings() -> None:
    with pytest.raises(BadInput, match="address"):
        build_driver("eurotherm-modbus", ScriptedTransport([]), Settings("oven"), CLOCK)
