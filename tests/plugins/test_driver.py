"""A driver of other people's keeps what all drivers promise, on the simulated body that stands beside it."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from instruments.drivers.protocol import Call, Driver, Limit, Progress, Settings
from instruments.drivers.registry import build_driver
from orchestrator.errors import BadInput, DeviceError, LimitError
from tests.instrument.cases import CLOCK, call
from tests.instrument.conformance import DriverConformance
from tests.instrument.running_plant import RunningPlant, running_plant
from tests.instrument.scripted import ScriptedTransport
from tests.plugins.writing import BURETTE, EXAMPLE, example


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlant]:
    folder = tmp_path_factory.mktemp("plant")
    example(folder)
    with running_plant(folder, rate=1.0, plant=(folder / "plant.toml").read_text()) as running:
        yield running


@pytest.fixture
def driver(plant: RunningPlant) -> Iterator[Driver]:
    limits = {"volume": Limit(0.1, 9.0)}
    driver = build_driver(BURETTE, plant.open("burette"), Settings("burette", limits=limits, folder=EXAMPLE), plant.clock)
    driver.identify()
    driver.arm()
    yield driver
    driver.close()
    again = build_driver(BURETTE, plant.open("burette"), Settings("burette", folder=EXAMPLE), plant.clock)
    again.make_safe("stop")
    again.close()


class TestBurette(DriverConformance):
    SETTLED: ClassVar[str] = "not-executed"

    @pytest.fixture
    def setting(self) -> Call:
        return call("drain")


def dosed(driver: Driver, volume: float) -> tuple[Call, dict[str, object]]:
    one = call("dose", volume=volume)
    before = dict(driver.baseline(one))
    driver.perform(one)
    return one, before


def test_a_dose_runs_to_its_end_and_its_counter_is_the_evidence(driver: Driver) -> None:
    one, before = dosed(driver, 0.5)
    assert driver.outcome(one, before).progress is Progress.RUNNING
    assert driver.reconcile(one, before).verdict.value == "running"
    until = time.monotonic() + 10.0
    while (outcome := driver.outcome(one, before)).progress is Progress.RUNNING:
        assert time.monotonic() < until
    assert (outcome.progress, outcome.code) == (Progress.FINISHED, "completed")
    assert driver.reconcile(one, before).verdict.value == "finished"
    assert driver.reconcile(one, driver.baseline(one)).verdict.value == "not-executed"


def test_a_dose_that_was_stopped_short_has_failed_and_is_never_sent_again(driver: Driver) -> None:
    one, before = dosed(driver, 5.0)
    time.sleep(0.3)
    driver.cancel(one)
    assert (driver.outcome(one, before).progress, driver.outcome(one, before).code) == (Progress.FAILED, "stopped-short")
    assert driver.reconcile(one, before).verdict.value == "undecidable"


def test_after_a_power_cut_nobody_can_tell_what_became_of_a_dose(driver: Driver, plant: RunningPlant) -> None:
    one, before = dosed(driver, 5.0)
    plant.inject("burette", "power-cycle", now=True)
    assert driver.reconcile(one, before).verdict.value == "undecidable"


def test_a_number_is_sent_in_the_devices_steps_and_said_so(driver: Driver, plant: RunningPlant) -> None:
    assert driver.perform(call("dose", volume=0.1234)) == {"volume": pytest.approx(0.12)}
    assert plant.truth("burette", "dose")[-1]["values"] == {"volume_ml": 0.12}
    with pytest.raises(LimitError, match=r"burette.dose volume = 9.5 mL; allowed 0.1 to 9 mL"):
        driver.perform(call("dose", volume=9.5))


def test_a_busy_device_refuses_in_its_own_words(driver: Driver) -> None:
    dosed(driver, 5.0)
    with pytest.raises(DeviceError, match=r"burette answered '\?' to 'DOSE 1.00'; expected OK"):
        driver.perform(call("dose", volume=1.0))


def test_faults_of_the_line_strike_other_peoples_bodies_too(driver: Driver, plant: RunningPlant) -> None:
    plant.inject("burette", "reply-lost-after-execution", pattern="DOSE*")
    one = call("dose", volume=0.2)
    before = driver.baseline(one)
    with pytest.raises(Exception, match="no reply to"):
        driver.perform(one)
    time.sleep(0.5)
    assert driver.reconcile(one, before).verdict.value == "finished"
    with pytest.raises(AssertionError, match=r"cannot have fault 'sensor-break'; legal: .*power-cycle"):
        plant.inject("burette", "sensor-break", now=True)


def test_another_device_than_the_bench_file_names_is_refused(plant: RunningPlant) -> None:
    driver = build_driver(BURETTE, plant.open("burette"), Settings("burette", serial_number="12", folder=EXAMPLE), plant.clock)
    with pytest.raises(DeviceError, match="burette: serial number 4711; the bench file expects 12"):
        driver.identify()
    driver.close()


def test_a_class_that_cannot_be_built_is_told_in_one_line(tmp_path: Path) -> None:
    source = "from athanor.drivers import Driver\n\n\nclass Pump(Driver):\n    def __init__(self, link, settings, clock):\n        1 / 0\n"
    (tmp_path / "pump.py").write_text(source)
    with pytest.raises(BadInput, match=r"pump: driver './pump.py:Pump' cannot be built: ZeroDivisionError: division by zero"):
        build_driver("./pump.py:Pump", ScriptedTransport([]), Settings("pump", folder=tmp_path), CLOCK)
