"""Profiles and the bodies that they are tried on, held against devices and clients that nobody here wrote."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from instruments.drivers.protocol import Call, Driver, Limit, Settings
from instruments.drivers.registry import build_driver
from instruments.transport.opening import open_link
from orchestrator.errors import DeviceError, LinkError, Sent
from tests.declared import bodies
from tests.declared.bodies import FlowBody
from tests.declared.serving import served
from tests.foreign import BIN, need, told_by
from tests.instrument.cases import CLOCK, call
from tests.instrument.conformance import DriverConformance
from tests.instrument.running_plant import running_plant

pytestmark = [pytest.mark.foreign, pytest.mark.slow]
PLANT = """
[links.plate]
kind = "serial"
[devices.plate]
model = "./bodies.py:HotplateBody"
link = "plate"
"""


@pytest.fixture(scope="module")
def julabo() -> Iterator[str]:
    """Lewis's simulated FP50 circulator in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    adapter = f"julabo-version-1: {{bind_address: 127.0.0.1, port: {port}}}"
    process = subprocess.Popen([str(need(BIN / "lewis")), "julabo", "-p", adapter], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield f"tcp://127.0.0.1:{port}"
    process.terminate()
    process.wait(10.0)


class TestJulabo(DriverConformance):
    """What all drivers promise, on lewis's circulator."""

    SETTLED = "not-executed"

    @pytest.fixture
    def driver(self, julabo: str) -> Iterator[Driver]:
        until = time.monotonic() + 60.0
        while True:
            try:
                link = open_link(kind="tcp", url=julabo)
                break
            except LinkError:
                assert time.monotonic() < until
                time.sleep(0.2)
        driver = build_driver("julabo", link, Settings("bath", limits={"temperature": Limit(0.0, 1000.0)}), CLOCK)
        yield driver
        driver.close()

    @pytest.fixture
    def setting(self) -> Call:
        return call("set_temperature", temperature=42.0)

    def test_it_says_what_it_is_heats_and_stops(self, driver: Driver) -> None:
        assert driver.identify().model == "JULABO FP50_MH Simulator, ISIS"
        driver.perform(call("set_temperature", temperature=90.0))
        driver.perform(call("start"))
        (before,) = driver.read(["temperature"])
        time.sleep(2.0)
        (after,) = driver.read(["temperature"])
        assert before.value is not None
        assert after.value is not None
        assert before.value < after.value < 90.0
        driver.make_safe("off")
        assert driver.read(["running"])[0].value == 0.0

    def test_a_value_that_it_acknowledges_and_ignores_is_an_error(self, driver: Driver) -> None:
        driver.perform(call("set_temperature", temperature=42.0))
        with pytest.raises(DeviceError, match=r"took set_temperature {'temperature': 900.0} but setpoint reads 42.0") as caught:
            driver.perform(call("set_temperature", temperature=900.0))
        assert caught.value.sent is Sent.YES


def test_the_public_client_of_alicat_reads_our_controller_as_our_profile_does() -> None:
    with served(FlowBody) as device:
        told = told_by("talk_alicat.py", device.url.removeprefix("tcp://"), "2.5")
        assert device.body.setpoint == 2.5
        driver = build_driver("alicat", open_link(kind="tcp", url=device.url), Settings("gas", limits={"flow": Limit(0.0, 10.0)}), CLOCK)
        ours = {one.channel: one.value if one.text is None else one.text for one in driver.read(list(driver.CHANNELS))}
        names = {"pressure": "pressure", "gas_temperature": "temperature", "flow": "mass_flow", "setpoint": "setpoint", "gas": "gas"}
        assert ours == {our: told[their] for our, their in names.items()}
        driver.close()


def test_the_public_client_of_ika_drives_our_hotplate_as_our_profile_does(tmp_path: Path) -> None:
    need(BIN / "python")
    tmp_path.joinpath("plant").mkdir()
    shutil.copy(str(bodies.__file__), tmp_path / "plant" / "bodies.py")
    with running_plant(tmp_path / "plant", rate=10.0, plant=PLANT) as plant:
        port = plant.announced["endpoints"]["plate"]["port"]
        told = told_by("talk_ika.py", port)
        assert (told["target_temperature"], told["target_stir_rate"], told["stir_rate"]) == (80.0, 300.0, 300.0)
        driver = build_driver(
            "ika-hotplate", plant.open("plate"), Settings("plate", limits={"temperature": Limit(20.0, 200.0)}), plant.clock
        )
        ours = {one.channel: one.value for one in driver.read(["setpoint", "speed_setpoint", "speed", "temperature"])}
        assert (ours["setpoint"], ours["speed_setpoint"], ours["speed"]) == (80.0, 300.0, 300.0)
        assert ours["temperature"] is not None
        assert ours["temperature"] > told["probe_temperature"]
        driver.make_safe("off")
        assert driver.read(["speed"])[0].value == 0.0
        driver.close()
