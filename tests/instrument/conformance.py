"""What every driver must do; run by each of them on its own wire."""

import hashlib
import json
from typing import ClassVar

import pytest

from instruments.drivers.protocol import Call, Driver
from orchestrator.domain.lifecycle import StepKind
from orchestrator.errors import BadInput, InstrumentError, LimitError, LinkError, Sent
from tests.instrument.cases import call


class DriverConformance:
    """Subclasses give the fixtures `driver` (identified and armed) and `setting` (a state-setting call that is legal)."""

    SETTLED: ClassVar[str] = "finished"
    """What `reconcile` says of a setting that was carried out; without a readback it may be sent again."""

    def test_its_identity_is_told_and_stays(self, driver: Driver) -> None:
        assert driver.identify() == driver.identify()
        assert driver.identify().model

    def test_arming_and_refreshing_may_be_repeated(self, driver: Driver) -> None:
        for _ in range(2):
            driver.arm()
            driver.refresh()

    def test_an_unknown_command_or_argument_never_reaches_the_wire(self, driver: Driver, setting: Call) -> None:
        wrong = [call("explode"), Call(setting.command, {**setting.arguments, "colour": "red"}, "", "")]
        for ask in wrong:
            for act in (driver.check, driver.perform):
                with pytest.raises(LimitError) as caught:
                    act(ask)
                assert caught.value.sent is Sent.NO

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e9, 1e9])
    def test_a_number_outside_its_limits_never_reaches_the_wire(self, driver: Driver, setting: Call, value: float) -> None:
        for name in setting.arguments:
            with pytest.raises(LimitError):
                driver.perform(Call(setting.command, {**setting.arguments, name: value}, "", ""))

    def test_a_setting_may_be_repeated_and_returns_what_was_sent(self, driver: Driver, setting: Call) -> None:
        for _ in range(2):
            assert driver.perform(setting).keys() == setting.arguments.keys()
        assert driver.reconcile(setting, driver.baseline(setting)).verdict.value == self.SETTLED

    def test_every_limit_has_a_room_between_its_ends(self, driver: Driver) -> None:
        for name, spec in driver.COMMANDS.items():
            for argument in spec.arguments:
                limit = driver.limit(name, argument)
                assert limit is None or limit.low < limit.high

    def test_every_channel_reads_with_its_unit_and_raw_bytes(self, driver: Driver) -> None:
        readings = driver.read(list(driver.CHANNELS))
        assert [reading.channel for reading in readings] == list(driver.CHANNELS)
        for reading in readings:
            assert reading.instrument == driver.settings.name
            assert reading.unit == driver.CHANNELS[reading.channel].unit
            assert reading.quality == "good"
            assert (reading.value is None) != (reading.text is None)
            assert reading.sha256 == hashlib.sha256(reading.raw).hexdigest()
            assert reading.wall.tzinfo is not None

    def test_an_unknown_channel_is_refused_by_name(self, driver: Driver) -> None:
        with pytest.raises(BadInput, match="no channel 'nonsense'"):
            driver.read(["nonsense"])

    def test_a_baseline_can_be_journalled(self, driver: Driver, setting: Call) -> None:
        baseline = dict(driver.baseline(setting))
        assert json.loads(json.dumps(baseline)) == baseline

    def test_safe_actions_may_be_repeated_and_unknown_ones_are_refused(self, driver: Driver) -> None:
        for action in sorted(driver.SAFE_ACTIONS) * 2:
            driver.make_safe(action)
        with pytest.raises(BadInput, match="no safe action"):
            driver.make_safe("pray")

    def test_cancelling_may_be_repeated(self, driver: Driver) -> None:
        for name, spec in driver.COMMANDS.items():
            if spec.kind in (StepKind.DOSING, StepKind.PROGRAM):
                for _ in range(2):
                    driver.cancel(call(name))

    def test_a_closed_driver_sends_nothing_and_may_be_closed_again(self, driver: Driver, setting: Call) -> None:
        driver.close()
        driver.close()
        with pytest.raises(InstrumentError) as caught:
            driver.perform(setting)
        assert isinstance(caught.value, LinkError)
        assert caught.value.sent is Sent.NO

    def test_a_watchdog_and_a_queueing_time_are_declared(self, driver: Driver) -> None:
        assert driver.HAS_WATCHDOG in (True, False)
        assert driver.LONGEST_QUEUEING >= 0.0
