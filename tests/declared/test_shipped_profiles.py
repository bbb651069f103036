"""Each shipped profile on a device that was simulated from its manual: what all drivers promise, and what it alone does."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from typing_extensions import override

from instruments.drivers.declared.profiles import shipped_profiles
from instruments.drivers.protocol import Call, Driver, Limit, Outcome, Progress, Settings
from instruments.drivers.registry import build_driver, find_driver
from instruments.transport.opening import open_link
from orchestrator.errors import BadInput, DeviceError, LinkError
from simulators.body import Body
from tests.declared.bodies import BalanceBody, CavroBody, FlowBody, HotplateBody, JulaboBody
from tests.declared.serving import Served, blocks, served
from tests.instrument.cases import CLOCK, call
from tests.instrument.conformance import DriverConformance


class ProfileConformance(DriverConformance):
    """Subclasses say which profile, on which body, with which settings."""

    SETTLED: ClassVar[str] = "not-executed"
    PROFILE: ClassVar[str]
    BODY: ClassVar[type[Body]]
    SETTINGS: ClassVar[Settings]
    ANSWERS: ClassVar[Any] = None

    @pytest.fixture
    def device(self) -> Iterator[Served]:
        with served(self.BODY, answers=type(self).__dict__.get("ANSWERS")) as one:
            yield one

    @pytest.fixture
    def driver(self, device: Served) -> Iterator[Driver]:
        driver = build_driver(self.PROFILE, open_link(kind="tcp", url=device.url), self.SETTINGS, CLOCK)
        driver.check_settings(self.SETTINGS)
        driver.identify()
        driver.arm()
        yield driver
        driver.close()


class TestJulabo(ProfileConformance):
    PROFILE = "julabo"
    BODY = JulaboBody
    SETTINGS = Settings("bath", limits={"temperature": Limit(-20.0, 250.0)})

    @pytest.fixture
    def setting(self) -> Call:
        return call("set_temperature", temperature=42.04)

    def test_a_value_that_it_ignores_without_a_word_is_an_error(self, driver: Driver, device: Served) -> None:
        driver.perform(call("set_temperature", temperature=42.04))
        assert device.body.setpoint == 42.0
        with pytest.raises(DeviceError, match=r"took set_temperature {'temperature': 220.0} but setpoint reads 42.0"):
            driver.perform(call("set_temperature", temperature=220.0))

    def test_safe_means_off_and_nothing_is_asked_before(self, driver: Driver, device: Served) -> None:
        driver.perform(call("start"))
        device.heard.clear()
        driver.make_safe("off")
        driver.read(["running"])
        assert b"".join(device.heard).lower() == b"out_mode_05 0\rin_mode_05\r"


class TestHotplate(ProfileConformance):
    PROFILE = "ika-hotplate"
    BODY = HotplateBody
    SETTINGS = Settings("plate", limits={"temperature": Limit(20.0, 200.0)}, watchdog=60.0)

    @pytest.fixture
    def setting(self) -> Call:
        return call("set_speed", speed=300.0)

    def test_the_echo_of_the_watchdog_is_no_reading(self, driver: Driver, device: Served) -> None:
        for _ in range(3):
            driver.refresh()
            (reading,) = driver.read(["temperature"])
            assert reading.value == 22.0
        assert device.body.watchdog == 60.0

    def test_it_heats_and_stirs_until_it_is_made_safe(self, driver: Driver, device: Served) -> None:
        driver.perform(call("start_heater"))
        driver.perform(call("set_temperature", temperature=80.0))
        driver.perform(call("start_stirrer"))
        driver.read(["speed"])
        assert device.body.on == {"1": True, "4": True}
        driver.make_safe("off")
        driver.read(["speed"])
        assert device.body.on == {"1": False, "4": False}


class TestBalance(ProfileConformance):
    PROFILE = "mt-sics"
    BODY = BalanceBody
    SETTINGS = Settings("balance", serial_number="0123456789")

    @pytest.fixture
    def setting(self) -> Call:
        return call("tare")

    def test_a_weight_is_told_by_its_unit_and_an_overload_is_a_bad_reading(self, driver: Driver, device: Served) -> None:
        assert [one.value for one in driver.read(["weight", "stable_weight"])] == [12.3456, 12.3456]
        device.body.overload = True
        assert [(one.value, one.quality) for one in driver.read(["weight"])] == [(None, "bad")]
        device.body.overload, device.body.unit = False, "oz"
        with pytest.raises(LinkError, match=r"only b'S S +12.3456 oz"):
            driver.read(["weight"])

    def test_a_tare_that_it_cannot_do_is_told_at_once(self, driver: Driver, device: Served) -> None:
        device.body.unsettled = True
        began = time.monotonic()
        with pytest.raises(DeviceError, match="balance refused 'T': 'T I'"):
            driver.perform(call("tare"))
        assert time.monotonic() - began < 2.0

    def test_another_balance_is_refused(self, device: Served) -> None:
        other = build_driver("mt-sics", open_link(kind="tcp", url=device.url), Settings("balance", serial_number="4711"), CLOCK)
        with pytest.raises(DeviceError, match="serial number 0123456789; the bench file expects 4711"):
            other.identify()
        other.close()


class TestFlowController(ProfileConformance):
    PROFILE = "alicat"
    BODY = FlowBody
    SETTINGS = Settings("gas", limits={"flow": Limit(0.0, 20.0)})

    @pytest.fixture
    def setting(self) -> Call:
        return call("set_flow", flow=2.5)

    def test_every_column_of_its_frame_is_the_right_one(self, driver: Driver) -> None:
        driver.perform(call("set_flow", flow=2.5))
        told = {one.channel: one.value if one.text is None else one.text for one in driver.read(list(driver.CHANNELS))}
        assert told == {"pressure": 14.7, "gas_temperature": 25.0, "flow": 2.5, "setpoint": 2.5, "gas": "Air"}

    def test_a_flow_out_of_its_range_is_bad_and_a_refusal_is_told(self, driver: Driver) -> None:
        driver.perform(call("set_flow", flow=10.0))
        assert [one.quality for one in driver.read(["flow", "setpoint"])] == ["bad", "good"]
        with pytest.raises(DeviceError, match=r"refused 'AS15.00': '\?'"):
            driver.perform(call("set_flow", flow=15.0))


class TestCavroPump(ProfileConformance):
    PROFILE = "cavro-pump"
    BODY = CavroBody
    ANSWERS = staticmethod(blocks)
    SETTINGS = Settings("pump", address=1, limits={"volume": Limit(0.0, 1.0)}, options={"step_volume": 1.0 / 6000.0})

    @pytest.fixture
    def setting(self) -> Call:
        return call("set_speed", speed=1000.0)

    @pytest.fixture
    @override
    def driver(self, device: Served) -> Iterator[Driver]:
        driver = build_driver(self.PROFILE, open_link(kind="tcp", url=device.url), self.SETTINGS, CLOCK)
        driver.identify()
        driver.perform(call("initialise"))
        device.body.position = device.body.target = 3000.0
        yield driver
        driver.close()

    def test_it_is_filled_and_a_fill_whose_end_nobody_saw_is_unknown(self, driver: Driver, device: Served) -> None:
        ask = call("fill", volume=0.52)
        before = dict(driver.baseline(ask))
        driver.perform(ask)
        assert _await(driver, ask, before).progress is Progress.FINISHED
        assert device.body.position == 3120.0
        assert driver.reconcile(ask, before).verdict.value == "undecidable"

    def test_a_dose_is_told_by_the_plunger(self, driver: Driver, device: Served) -> None:
        ask = call("dispense", volume=0.1)
        before = dict(driver.baseline(ask))
        assert driver.reconcile(ask, before).verdict.value == "not-executed"
        driver.perform(ask)
        assert driver.reconcile(ask, before).verdict.value == "running"
        assert _await(driver, ask, before).progress is Progress.FINISHED
        assert driver.reconcile(ask, before).verdict.value == "finished"
        assert device.body.position == pytest.approx(3000 - 600)

    def test_a_dose_whose_answer_was_lost_is_sent_again_with_its_number_and_done_once(self, driver: Driver, device: Served) -> None:
        ask = call("dispense", volume=0.1)
        before = dict(driver.baseline(ask))
        device.heard.clear()
        device.lose = "OD600R"
        driver.perform(ask)
        sent = [one for one in device.heard if b"OD600R" in one]
        assert len(sent) == 2
        assert sent[1][2] == sent[0][2] | 0x08
        assert device.executions() == 1
        assert _await(driver, ask, before).progress is Progress.FINISHED

    def test_a_dose_that_is_stopped_has_ended_short(self, driver: Driver) -> None:
        ask = call("dispense", volume=0.4)
        before = dict(driver.baseline(ask))
        driver.perform(ask)
        time.sleep(0.2)  # some steps
        driver.cancel(ask)
        outcome = _await(driver, ask, before)
        assert (outcome.progress, outcome.code) == (Progress.FAILED, "stopped-short")
        assert driver.reconcile(ask, before).verdict.value == "undecidable"

    def test_more_than_the_syringe_holds_is_refused_by_the_pump(self, driver: Driver, device: Served) -> None:
        with pytest.raises(DeviceError, match="pump refused 'OD5400R': '0c'"):
            driver.perform(call("dispense", volume=0.9))
        assert device.executions() == 0


def _await(driver: Driver, ask: Call, before: dict[str, object]) -> Outcome:
    until = time.monotonic() + 10.0
    while (outcome := driver.outcome(ask, before)).progress is Progress.RUNNING:
        assert time.monotonic() < until
        time.sleep(0.05)
    return outcome


def test_every_shipped_profile_loads_and_names_its_sources() -> None:
    assert set(shipped_profiles()) >= {"julabo", "ika-hotplate", "mt-sics", "alicat", "cavro-pump", "eurotherm-2200", "eurotherm-2400"}
    for name in shipped_profiles():
        driver = find_driver(name, Path())
        assert driver.__doc__
        assert driver.CHANNELS


def test_a_missing_option_and_a_missing_address_are_told() -> None:
    for settings, line in (
        (Settings("pump", address=1), r"pump: options.step_volume is missing \(mL of one step\)"),
        (Settings("pump", options={"step_volume": 0.1}), "pump: address is missing; profile cavro-pump needs"),
    ):
        with pytest.raises(BadInput, match=line):
            find_driver("cavro-pump", Path()).declared(settings).check_settings(settings)
