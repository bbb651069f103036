"""The drivers over real wires against the plant, faults included: no silent success, no second execution."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from instruments.drivers.protocol import Call, Driver, Outcome, Progress, Settings, StepVerdict
from instruments.drivers.registry import build_driver
from instruments.reductions.registry import reduce
from orchestrator.errors import DeviceError, LimitError, LinkError, Sent
from tests.instrument.cases import call, oven_settings, platform_settings, pump_settings
from tests.instrument.running_plant import RunningPlant, running_plant

pytestmark = pytest.mark.slow

LIMIT = 30.0


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlant]:
    with running_plant(tmp_path_factory.mktemp("plant"), rate=30.0) as plant:
        yield plant


@pytest.fixture
def plant(shared: RunningPlant) -> Iterator[RunningPlant]:
    yield shared
    shared.clear()


def _driver(plant: RunningPlant, name: str, link: str, settings: Settings) -> Driver:
    return build_driver(name, plant.open(link), settings, plant.clock)


@pytest.fixture
def pump(plant: RunningPlant) -> Iterator[Driver]:
    driver = _driver(plant, "new-era", "pumps", pump_settings(watchdog=20.0))
    driver.identify()
    driver.arm()
    yield driver
    plant.clear()
    driver.make_safe("stop")
    driver.close()


@pytest.fixture
def oven(plant: RunningPlant) -> Iterator[Driver]:
    driver = _driver(plant, "eurotherm-modbus", "oven", oven_settings("3216", watchdog=5.0))
    driver.identify()
    driver.arm()
    yield driver
    plant.clear()
    driver.make_safe("off")
    driver.close()


@pytest.fixture
def platform(plant: RunningPlant) -> Iterator[Driver]:
    driver = _driver(plant, "lads", "platform", platform_settings("SP-0042", watchdog=20.0))
    driver.identify()
    driver.arm()
    yield driver
    plant.clear()
    driver.make_safe("abort")
    if driver.read(["state"])[0].text == "Aborted":
        driver.perform(call("clear"))
    driver.close()


_POSITIONS = (f"{row}{column}" for row in "ABCDEFGH" for column in range(1, 13))


def _program(key: str, **arguments: float | str) -> Call:
    given: dict[str, float | str] = {"template": "Characterise", "integration_time": 0.1, **arguments}
    return Call("run_program", given, f"{key}-{time.monotonic_ns()}", "campaign", next(_POSITIONS))


def _end(driver: Driver, ask: Call, baseline: Mapping[str, Any]) -> Outcome:
    until = time.monotonic() + LIMIT
    while (outcome := driver.outcome(ask, baseline)).progress is Progress.RUNNING:
        assert time.monotonic() < until, "no end"
        time.sleep(0.1)
    return outcome


# --------------------------------------------------------------------- pumps


def _doses(plant: RunningPlant) -> int:
    """Doses that pump_cd has physically begun."""
    return sum(one["values"].get("phase") == "start" for one in plant.truth("pump_cd", "dose"))


def test_a_dose_runs_to_its_end_once(plant: RunningPlant, pump: Driver) -> None:
    pump.perform(call("set_flow", flow=5.0))
    ask = call("dose", volume=1.25)
    baseline = pump.baseline(ask)
    assert pump.reconcile(ask, baseline).verdict is StepVerdict.NOT_EXECUTED
    before = _doses(plant)
    assert pump.read(["flow"])[0].value == 0.0
    assert pump.perform(ask) == {"volume": 1.25}
    assert pump.read(["flow"])[0].value == 5.0
    assert pump.reconcile(ask, baseline).verdict is StepVerdict.RUNNING
    outcome = _end(pump, ask, baseline)
    assert (outcome.progress, outcome.code, outcome.readings[0].value) == (Progress.FINISHED, "completed", 1.25)
    assert pump.reconcile(ask, baseline).verdict is StepVerdict.FINISHED
    assert pump.read(["flow"])[0].value == 0.0
    assert _doses(plant) - before == 1


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        ("reply-lost-after-execution", StepVerdict.RUNNING),
        ("request-lost", StepVerdict.NOT_EXECUTED),
        ("half-frame", StepVerdict.RUNNING),
    ],
)
def test_a_run_without_reply_is_decided_by_the_totaliser(plant: RunningPlant, pump: Driver, fault: str, verdict: StepVerdict) -> None:
    pump.perform(call("set_flow", flow=0.5))
    ask = call("dose", volume=2.0)
    baseline, before = pump.baseline(ask), _doses(plant)
    plant.inject("pump_cd", fault, pattern="RUN")
    with pytest.raises(LinkError) as caught:
        pump.perform(ask)
    assert caught.value.sent is not Sent.NO
    assert pump.reconcile(ask, baseline).verdict is verdict
    assert _doses(plant) - before == (verdict is StepVerdict.RUNNING)


def test_an_acknowledged_and_ignored_run_is_noticed(plant: RunningPlant, pump: Driver) -> None:
    ask = call("dose", volume=2.0)
    baseline = pump.baseline(ask)
    plant.inject("pump_cd", "acknowledge-and-ignore", pattern="RUN")
    with pytest.raises(DeviceError):
        pump.perform(ask)
    assert pump.reconcile(ask, baseline).verdict is StepVerdict.NOT_EXECUTED


def test_an_acknowledged_and_ignored_flow_is_noticed(plant: RunningPlant, pump: Driver) -> None:
    pump.perform(call("set_flow", flow=2.0))
    plant.inject("pump_cd", "acknowledge-and-ignore", pattern="RAT?*", count=0)
    with pytest.raises(DeviceError, match="reads back 2 mL/min"):
        pump.perform(call("set_flow", flow=3.0))


@pytest.mark.parametrize("fault", ["reply-lost-after-execution", "request-lost", "late-reply", "half-frame", "byte-flip"])
def test_a_flow_is_set_through_a_single_fault_of_the_line(plant: RunningPlant, pump: Driver, fault: str) -> None:
    plant.inject("pump_cd", fault, pattern="RAT*", delay_s=1.0)
    assert pump.perform(call("set_flow", flow=4.0)) == {"flow": 4.0}
    flow, dispensed = pump.read(["flow_setpoint", "dispensed"])
    assert (flow.value, dispensed.unit) == (4.0, "mL")


def test_a_late_reply_is_not_taken_for_the_answer_to_the_next_query(plant: RunningPlant, pump: Driver) -> None:
    pump.perform(call("set_flow", flow=4.0))
    plant.inject("pump_cd", "late-reply", pattern="RAT", delay_s=1.0)
    assert [reading.value for reading in pump.read(["flow_setpoint", "dispensed", "flow_setpoint"])][::2] == [4.0, 4.0]


def test_a_power_cut_in_the_middle_of_a_dose_is_a_failure_and_never_repeated(plant: RunningPlant, pump: Driver) -> None:
    pump.perform(call("set_flow", flow=0.5))
    ask = call("dose", volume=2.0)
    baseline = pump.baseline(ask)
    pump.perform(ask)
    plant.inject("pump_cd", "power-cycle", now=True)
    outcome = _end(pump, ask, baseline)
    assert (outcome.progress, outcome.code) == (Progress.FAILED, "reset")
    assert pump.reconcile(ask, baseline).verdict is StepVerdict.UNDECIDABLE


def test_a_stalled_dose_is_a_failure(plant: RunningPlant, pump: Driver) -> None:
    pump.perform(call("set_flow", flow=0.5))
    ask = call("dose", volume=2.0)
    baseline = pump.baseline(ask)
    pump.perform(ask)
    plant.inject("pump_cd", "stall", now=True)
    outcome = _end(pump, ask, baseline)
    plant.ask(op="repair", device="pump_cd")
    assert (outcome.progress, outcome.code) == (Progress.FAILED, "stalled")


def test_three_pumps_share_a_line_and_a_restarted_host_finds_them_in_safe_mode(plant: RunningPlant) -> None:
    for watchdog in (20.0, 15.0, None):
        line = plant.open("pumps")
        pumps = [
            build_driver("new-era", line, Settings(f"pump{address}", address=address, watchdog=watchdog), plant.clock)
            for address in (1, 2, 3)
        ]
        for driver in pumps:
            assert driver.identify().model == "NE1000"
            driver.arm()
        for number, driver in enumerate(pumps, start=1):
            driver.perform(call("set_flow", flow=float(number)))
        assert [driver.read(["flow_setpoint"])[0].value for driver in pumps] == [1.0, 2.0, 3.0]
        for driver in pumps:
            driver.close()


# --------------------------------------------------------------------- oven


def test_the_oven_heats_within_its_limits_and_switches_off(oven: Driver) -> None:
    assert oven.perform(call("set_temperature", temperature=240.04)) == {"temperature": 240.0}
    with pytest.raises(LimitError, match="allowed 20 to 280 degC"):
        oven.perform(call("set_temperature", temperature=290.0))
    values = {reading.channel: reading.value for reading in oven.read(list(oven.CHANNELS))}
    assert values["setpoint"] == 240.0
    oven.make_safe("off")
    assert oven.read(["power"])[0].value == 0.0


def test_a_setpoint_that_is_acknowledged_and_ignored_is_noticed(plant: RunningPlant, oven: Driver) -> None:
    oven.perform(call("set_temperature", temperature=100.0))
    plant.inject("oven", "acknowledge-and-ignore", pattern="write 26 *", count=0)
    with pytest.raises(DeviceError, match="reads back 1000"):
        oven.perform(call("set_temperature", temperature=200.0))


@pytest.mark.parametrize("fault", ["reply-lost-after-execution", "request-lost", "late-reply", "half-frame", "byte-flip"])
def test_a_temperature_is_set_through_a_single_fault_of_the_line(plant: RunningPlant, oven: Driver, fault: str) -> None:
    plant.inject("oven", fault, pattern="write 26 *", delay_s=1.0)
    assert oven.perform(call("set_temperature", temperature=150.0)) == {"temperature": 150.0}
    plant.inject("oven", fault, pattern="read 1 *", delay_s=1.0)
    temperature, setpoint = oven.read(["temperature", "setpoint"])
    assert setpoint.value == 150.0
    assert temperature.value != 150.0


def test_a_restarted_oven_is_noticed_and_armed_again(plant: RunningPlant, oven: Driver) -> None:
    oven.refresh()
    plant.inject("oven", "power-cycle", now=True)
    with pytest.raises(DeviceError, match="ran out or was lost"):
        oven.refresh()
    oven.arm()
    oven.refresh()


def test_a_foreign_oven_is_refused(plant: RunningPlant) -> None:
    driver = _driver(plant, "eurotherm-modbus", "oven", oven_settings("3208"))
    with pytest.raises(DeviceError, match=r"3216.*expects 3208"):
        driver.identify()
    driver.close()


@pytest.mark.long
def test_an_oven_left_alone_goes_to_its_safe_temperature_and_says_so(plant: RunningPlant) -> None:
    driver = _driver(plant, "eurotherm-modbus", "oven", oven_settings(watchdog=5.0))
    driver.identify()
    driver.arm()
    driver.perform(call("set_temperature", temperature=100.0))
    for _ in range(3):
        time.sleep(2.0)
        driver.refresh()
    assert driver.read(["working_setpoint"])[0].value == 100.0
    time.sleep(5.5)
    with pytest.raises(DeviceError, match="remote setpoint ran out"):
        driver.read(["temperature"])
    setpoint, temperature = driver.read(["working_setpoint", "temperature"])
    assert (setpoint.value, temperature.quality) == (20.0, "bad")
    driver.perform(call("set_temperature", temperature=30.0))
    assert driver.read(["working_setpoint"])[0].value == 30.0
    driver.make_safe("off")
    driver.close()


def test_an_oven_whose_sensor_breaks_is_not_heated(plant: RunningPlant, oven: Driver) -> None:
    oven.perform(call("set_temperature", temperature=100.0))
    plant.inject("oven", "sensor-break", now=True)
    try:
        with pytest.raises(DeviceError, match="sensor is broken"):
            oven.refresh()
        with pytest.raises(DeviceError, match="sensor is broken; not heated"):
            oven.perform(call("set_temperature", temperature=200.0))
        assert oven.read(["temperature"])[0].quality == "bad"
    finally:
        plant.ask(op="repair", device="oven")


# --------------------------------------------------------------------- platform


def test_a_program_runs_once_and_brings_every_variable(plant: RunningPlant, platform: Driver) -> None:
    platform.perform(call("lamp_on"))
    ask = _program("whole")
    baseline = platform.baseline(ask)
    platform.perform(ask)
    assert platform.reconcile(ask, baseline).verdict is StepVerdict.RUNNING
    outcome = _end(platform, ask, baseline)
    finding = platform.reconcile(ask, baseline)
    assert finding.verdict is StepVerdict.FINISHED
    assert finding.outcome is not None
    assert [one.raw for one in finding.outcome.readings] == [one.raw for one in outcome.readings]
    by_channel = {reading.channel: reading for reading in outcome.readings}
    assert (by_channel["Wavelength"].unit, len(by_channel["Sample"].array or ())) == ("nm", 351)
    assert all(reading.raw and reading.sha256 for reading in outcome.readings)
    assert {one.target for one in reduce("cdse-emission/1", outcome.readings)} == {"wavelength", "fwhm", "quantum_yield"}
    assert len([one for one in plant.truth("platform", "start") if one.get("run_key") == ask.run_key]) == 1


def test_a_start_whose_reply_is_lost_is_found_by_its_task(plant: RunningPlant, platform: Driver) -> None:
    ask = _program("lost")
    baseline = platform.baseline(ask)
    plant.inject("platform", "start-reply-lost")
    with pytest.raises(LinkError) as caught:
        platform.perform(ask)
    assert caught.value.sent is Sent.MAYBE
    assert _eventually(lambda: platform.reconcile(ask, baseline).verdict) in (StepVerdict.RUNNING, StepVerdict.FINISHED)
    _end(platform, ask, baseline)
    assert len([one for one in plant.truth("platform", "start") if one.get("run_key") == ask.run_key]) == 1


def _eventually(ask: Callable[[], StepVerdict]) -> StepVerdict:
    until = time.monotonic() + LIMIT
    while True:
        try:
            return ask()
        except LinkError:
            assert time.monotonic() < until, "not connected again"
            time.sleep(0.2)


def test_nothing_is_started_without_its_template(plant: RunningPlant, platform: Driver) -> None:
    with pytest.raises(DeviceError, match="no program 'Synthesise'; it offers") as caught:
        platform.perform(_program("unknown", template="Synthesise"))
    assert caught.value.sent is Sent.NO


def test_a_running_unit_is_not_started_again_and_a_foreign_program_is_not_aborted(platform: Driver) -> None:
    ask, other = _program("first"), _program("second")
    baseline = platform.baseline(ask)
    platform.perform(ask)
    with pytest.raises(DeviceError, match="Running; expected Stopped") as caught:
        platform.perform(other)
    assert caught.value.sent is Sent.NO
    platform.cancel(other)
    assert platform.outcome(ask, baseline).progress is Progress.RUNNING
    platform.cancel(ask)
    platform.cancel(ask)
    assert platform.outcome(ask, baseline).code == "aborted"
    assert platform.read(["state"])[0].text == "Stopped"  # ready for the next one


def test_an_abort_for_safety_stays_until_somebody_clears_it(platform: Driver) -> None:
    platform.perform(_program("unsafe"))
    platform.make_safe("abort")
    with pytest.raises(DeviceError, match="Aborted; expected Stopped") as caught:
        platform.perform(_program("next"))
    assert caught.value.sent is Sent.NO
    platform.perform(call("clear"))
    assert platform.read(["state"])[0].text == "Stopped"


def test_a_failed_program_has_the_devices_word_for_it(plant: RunningPlant, platform: Driver) -> None:
    plant.inject("platform", "program-failure", code="clogged")
    ask = _program("clogged")
    baseline = platform.baseline(ask)
    platform.perform(ask)
    outcome = _end(platform, ask, baseline)
    assert (outcome.progress, outcome.code) == (Progress.FAILED, "clogged")


def test_a_variable_of_bad_status_is_of_bad_quality(plant: RunningPlant, platform: Driver) -> None:
    plant.inject("platform", "bad-status")
    ask = _program("bad")
    baseline = platform.baseline(ask)
    platform.perform(ask)
    by_channel = {reading.channel: reading for reading in _end(platform, ask, baseline).readings}
    assert (by_channel["Sample"].quality, by_channel["Dark"].quality) == ("bad", "good")


def test_a_platform_that_lost_its_power_in_the_middle_is_never_started_again(plant: RunningPlant, platform: Driver) -> None:
    ask = _program("cut")
    baseline = platform.baseline(ask)
    plant.inject("platform", "power-cycle", now=True)
    assert _eventually(lambda: platform.reconcile(ask, baseline).verdict) is StepVerdict.UNDECIDABLE
    later = platform.baseline(ask)
    platform.perform(ask)
    plant.inject("platform", "power-cycle", now=True)
    assert _eventually(lambda: platform.reconcile(ask, later).verdict) is StepVerdict.FINISHED
    outcome = _end(platform, ask, later)
    assert outcome.progress is Progress.FAILED
    assert platform.reconcile(ask, later).verdict is StepVerdict.FINISHED
