"""The oven against limiting cases of its heat balance, and its watchdog."""

import math

import numpy as np
import pytest

from simulators.clock import Moment
from simulators.oven import Oven, OvenBody
from simulators.truth import PhysicalEvent

BODY = OvenBody(noise=0.0)


def ignore(event: PhysicalEvent) -> None:
    pass


def make_oven() -> tuple[Oven, list[PhysicalEvent]]:
    events: list[PhysicalEvent] = []
    return Oven("oven", BODY, events.append, np.random.default_rng(0)), events


def at(lab: float, wall: float = 0.0) -> Moment:
    return Moment(lab, wall)


def heated(target: float) -> Oven:
    oven, _ = make_oven()
    oven.set_target(at(0.0), target)
    oven.set_mode(at(0.0), manual=False)
    return oven


def test_without_power_the_oven_stays_at_ambient() -> None:
    oven, _ = make_oven()
    oven.advance(at(1e6))
    assert oven.temperature == BODY.ambient


def test_constant_power_gives_the_first_order_step_response() -> None:
    oven, _ = make_oven()
    oven.set_manual_power(at(0.0), 0.4)
    for t in (100.0, 300.0, 1200.0):
        oven.advance(at(t))
        rise = 0.4 * BODY.full_power_rise * -math.expm1(-t / BODY.time_constant)
        assert oven.temperature == pytest.approx(BODY.ambient + rise, abs=0.01)


def test_the_oven_settles_on_its_set_point_within_minutes_and_holds_it() -> None:
    oven = heated(240.0)
    oven.advance(at(600.0))
    assert oven.temperature == pytest.approx(240.0, abs=0.1)
    oven.advance(at(1e5))
    assert oven.temperature == pytest.approx(240.0, abs=0.001)
    assert oven.power == pytest.approx((240.0 - BODY.ambient) / BODY.full_power_rise)


def test_cooling_is_never_faster_than_the_oven_loses_heat() -> None:
    oven = heated(280.0)
    oven.advance(at(2000.0))
    oven.set_target(at(2000.0), 150.0)
    oven.advance(at(2100.0))
    free = BODY.ambient + (280.0 - BODY.ambient) * math.exp(-100.0 / BODY.time_constant)
    assert oven.temperature == pytest.approx(free, abs=0.1)


def test_the_rate_limit_makes_the_working_set_point_a_ramp() -> None:
    oven, _ = make_oven()
    oven.set_rate_limit(at(0.0), 10.0)
    oven.set_target(at(0.0), 122.0)
    oven.set_mode(at(0.0), manual=False)
    oven.advance(at(300.0))
    assert oven.working == pytest.approx(72.0, abs=0.5)
    assert oven.temperature == pytest.approx(oven.working, abs=5.0)
    oven.advance(at(1200.0))
    assert oven.temperature == pytest.approx(122.0, abs=0.1)


@pytest.mark.parametrize("steps", [1, 7, 400])
def test_the_temperature_does_not_depend_on_how_often_somebody_asks(steps: int) -> None:
    oven = heated(200.0)
    for t in np.linspace(0.0, 400.0, steps + 1)[1:]:
        oven.advance(at(float(t)))
    once = heated(200.0)
    once.advance(at(400.0))
    assert oven.temperature == pytest.approx(once.temperature, abs=0.05)


def test_a_set_point_outside_the_limits_is_refused() -> None:
    oven, _ = make_oven()
    assert not oven.set_target(at(0.0), BODY.highest_setpoint + 0.1)
    assert not oven.set_target(at(0.0), BODY.lowest_setpoint - 0.1)
    assert oven.target == BODY.ambient


def test_silence_brings_the_local_set_point_back_and_is_remembered() -> None:
    oven, events = make_oven()
    oven.set_local(at(0.0), 0, 30.0)
    oven.set_remote(at(0.0), 200.0)
    oven.ask_for_remote(at(0.0), remote=True)
    oven.set_mode(at(0.0), manual=False)
    oven.advance(at(300.0, wall=4.9))
    assert (oven.target, oven.remote_failed) == (200.0, False)
    oven.advance(at(310.0, wall=5.1))
    assert (oven.target, oven.working, oven.remote_failed) == (30.0, 30.0, True)
    assert (events[-1].event, events[-1].values["cause"]) == ("safe-state", "watchdog")
    oven.set_remote(at(320.0, wall=6.0), 200.0)
    assert (oven.target, oven.remote_failed) == (200.0, False)


def test_in_standby_the_oven_cools_and_a_ramp_begins_anew_after_it() -> None:
    oven = heated(200.0)
    oven.advance(at(2000.0))
    oven.set_standby(at(2000.0), standby=True)
    oven.set_rate_limit(at(2000.0), 10.0)
    oven.advance(at(2300.0))
    free = BODY.ambient + (200.0 - BODY.ambient) * math.exp(-300.0 / BODY.time_constant)
    assert oven.temperature == pytest.approx(free, abs=0.1)
    oven.set_standby(at(2300.0), standby=False)
    assert oven.working == oven.temperature


def test_a_dead_heating_element_lets_the_oven_cool_whatever_the_output_says() -> None:
    oven = heated(240.0)
    oven.advance(at(1000.0))
    oven.stall(at(1000.0))
    oven.advance(at(4000.0))
    assert oven.temperature < 30.0
    assert oven.power == 1.0


def test_the_process_value_carries_a_small_noise() -> None:
    oven = Oven("oven", OvenBody(), ignore, np.random.default_rng(0))
    readings = [oven.read_temperature() for _ in range(500)]
    assert np.std(readings) == pytest.approx(OvenBody().noise, rel=0.15)
