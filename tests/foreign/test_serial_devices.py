"""Pumps and ovens on serial lines, held against clients and a device that nobody here wrote."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from instruments.drivers.new_era import NewEraPump
from instruments.drivers.protocol import Limit, Progress, Settings
from instruments.transport.tcp import TcpTransport
from orchestrator.errors import DeviceError
from tests.foreign import BIN, need, told_by
from tests.instrument.cases import CLOCK, call
from tests.instrument.running_plant import PLANT, RunningPlant, running_plant

pytestmark = [pytest.mark.foreign, pytest.mark.slow]
PUMP: Final = Settings("pump", address=0, model="NE1000", limits={"flow": Limit(0.0, 8.0)}, options={"diameter": "14.43 mm"})


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlant]:
    need(BIN / "python")
    with running_plant(tmp_path_factory.mktemp("plant"), rate=30.0) as running:
        yield running


@pytest.mark.parametrize(("pump", "address", "watchdog"), [("pump_cd", 1, 0), ("pump_se", 2, 20)])
def test_the_public_client_of_new_era_doses_with_a_pump_that_was_just_switched_on(
    plant: RunningPlant, pump: str, address: int, watchdog: int
) -> None:
    told = told_by("talk_nesp.py", plant.announced["endpoints"]["pumps"]["port"], str(address), str(watchdog))
    assert (told["model"], told["firmware"], told["safe_mode_s"]) == (1000, [3, 928], watchdog)
    assert (told["diameter"], told["volume"], told["rate"], told["slow_rate"]) == (14.43, 1.25, 5.0, 0.12)
    assert (told["refused"], told["running"], told["too_fast"]) == (True, True, True)
    assert (told["status"], told["back_in_basic_mode"]) == ("STOPPED", "STOPPED")
    starts, ends = ([one["values"] for one in plant.truth(pump, "dose") if one["values"]["phase"] == phase] for phase in ("start", "end"))
    assert [(one["rate_ml_per_min"], one["target_ml"]) for one in starts] == [(5.0, 1.25), (0.12, 20.0)]
    assert [one["cause"] for one in ends] == ["volume reached", "stop command"]
    assert told["dispensed"] == ends[0]["volume_ml"] == pytest.approx(1.25)
    assert told["dispensed_in_all"] == pytest.approx(ends[0]["volume_ml"] + ends[1]["volume_ml"], abs=0.0005)
    assert plant.ask(op="state")[pump]["diameter_mm"] == 14.43


@pytest.mark.parametrize("decimals", [0, 1, 2])
def test_the_public_client_of_modbus_reads_and_writes_the_registers_of_the_printed_table(tmp_path: Path, decimals: int) -> None:
    need(BIN / "python")
    text = PLANT.replace("highest_degc", f"decimals = {decimals}\nhighest_degc").replace("outliers = 0.0", "noise = false")
    with running_plant(tmp_path, rate=1.0, plant=text) as running:
        running.inject("oven", "sensor-break", pattern="read 75 1")
        told = told_by("talk_minimalmodbus.py", running.announced["endpoints"]["oven"]["port"])
        state = running.ask(op="state")["oven"]
    assert (told["decimals"], told["process_value"], told["process_value_by_function_4"]) == (decimals, 22.0, 22.0)
    assert (told["limits"], told["type"], told["unit"]) == ([300.0, 0.0], "3216", 1)
    assert told["block"] == [22 * 10**decimals, 22 * 10**decimals, 0, 0, 22 * 10**decimals]
    assert told["setpoints"] == [31.0, 31.0, 32.0, 200.0, 200.0]
    assert told["refused"] == {
        "no such register": "Slave reported illegal data address",
        "read only": "Slave reported illegal data address",
        "one register too many": "Slave reported illegal data address",
        "beyond the limit": "Slave reported illegal data value",
        "by function 6": "Slave reported illegal data value",
        "no such function": "Slave reported illegal function",
    }
    assert (told["standby"], told["sensor_broken"]) == ([1, 0], True)
    assert (state["standby"], state["manual"], state["sensor_broken"]) == (True, False, True)
    assert (state["retained_writes"], state["sp1_writes"], state["sp2_writes"]) == (3, 2, 1)


@pytest.fixture
def foreign_pump() -> Iterator[NewEraPump]:
    """Our driver at the simulated pump of labmcp-new-era, 60 times as fast as a real one."""
    command = [str(need(BIN / "python")), str(Path(__file__).parent / "serve_labmcp_pump.py"), "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = TcpTransport(f"tcp://127.0.0.1:{int(process.stdout.readline())}")
        driver = NewEraPump(line, PUMP, CLOCK)
        yield driver
        driver.close()
        assert process.wait(10.0) == 0


def test_our_driver_doses_with_a_pump_that_others_simulated(foreign_pump: NewEraPump) -> None:
    identity = foreign_pump.identify()
    assert (identity.model, identity.firmware) == ("NE1000", "3.923")
    with pytest.raises(DeviceError, match="phase 2 of its pumping program is RAT, so that no dose would end"):
        foreign_pump.arm()
    for command in ("PHN2", "FUNSTP", "PHN1"):
        foreign_pump._link.set(command)
    foreign_pump.arm()
    foreign_pump.perform(call("set_flow", flow=6.0))
    dose = call("dose", volume=1.5)
    baseline = foreign_pump.baseline(dose)
    foreign_pump.perform(dose)
    until = time.monotonic() + 30.0
    while (outcome := foreign_pump.outcome(dose, baseline)).progress is Progress.RUNNING:
        assert time.monotonic() < until
    assert (outcome.progress, outcome.readings[0].value) == (Progress.FINISHED, 1.5)
    foreign_pump.perform(call("dose", volume=50.0))
    foreign_pump.make_safe("stop")
    assert [one.text for one in foreign_pump.read(["status"])] == ["stopped"]
