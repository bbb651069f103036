"""What leaves the tube follows from what went in one tube volume earlier."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.flow_tube import Feed, Tube
from simulators.history import Trace

CD, SE, LIGAND = {"Cd": 0.12}, {"Se": 0.06}, {"L": 4.0}


def history(*points: tuple[float, float]) -> Trace:
    made = Trace()
    for t, value in points:
        made.append(t, value)
    return made


def tube(*flows: Trace, trace: Trace | None = None) -> Tube:
    feeds = tuple(Feed(flow, species) for flow, species in zip(flows, (CD, SE, LIGAND), strict=True))
    return Tube(2.0, feeds, trace or history((0.0, 240.0)))


def steady(rate: float) -> Trace:
    return history((10.0, rate))


@given(st.tuples(*[st.floats(min_value=0.05, max_value=5.0)] * 3))
def test_steady_flows_give_volume_over_flow_and_the_mixing_rule(rates: tuple[float, float, float]) -> None:
    recipe = tube(*map(steady, rates)).sample(1e5)
    assert recipe is not None
    assert recipe.residence_time == pytest.approx(120.0 / sum(rates))
    wanted = {"Cd": 0.12 * rates[0], "Se": 0.06 * rates[1], "L": 4.0 * rates[2]}
    assert recipe.concentrations == pytest.approx({name: value / sum(rates) for name, value in wanted.items()})
    assert recipe.temperature == pytest.approx(240.0)


def test_a_tube_that_is_not_yet_full_gives_nothing() -> None:
    filling = tube(steady(0.2), steady(0.4), steady(0.4))
    assert filling.sample(10.0 + 119.0) is None
    assert filling.sample(10.0 + 121.0) is not None


def test_until_it_is_flushed_the_old_product_comes_out() -> None:
    changed = tube(history((0.0, 0.2)), history((0.0, 0.4), (1000.0, 0.1)), history((0.0, 0.4), (1000.0, 0.7)))
    before, during, after = (changed.sample(t) for t in (1000.0, 1100.0, 1130.0))
    assert before is not None
    assert during is not None
    assert after is not None
    assert during.concentrations == pytest.approx(before.concentrations)
    assert after.concentrations["Se"] == pytest.approx(0.006)


def test_pumps_that_stopped_leave_the_last_plug_at_the_sampler() -> None:
    stopped = tube(*(history((0.0, rate), (500.0, 0.0)) for rate in (0.2, 0.4, 0.4)))
    running = tube(*(history((0.0, rate)) for rate in (0.2, 0.4, 0.4)))
    assert stopped.sample(9000.0) == running.sample(500.0)


def test_liquid_that_stands_still_in_the_tube_goes_on_reacting() -> None:
    paused = tube(*(history((0.0, rate), (500.0, 0.0), (800.0, rate)) for rate in (0.2, 0.4, 0.4)))
    recipe = paused.sample(860.0)
    assert recipe is not None
    assert recipe.residence_time == pytest.approx(420.0)


def test_the_temperature_is_the_mean_over_the_passage() -> None:
    heating = tube(steady(0.2), steady(0.4), steady(0.4), trace=history((0.0, 100.0), (1000.0, 300.0)))
    recipe = heating.sample(620.0)
    assert recipe is not None
    assert recipe.temperature == pytest.approx(100.0 + 0.2 * 560.0, abs=0.1)


def test_deposits_shorten_the_residence_time_with_the_days() -> None:
    fouled = Tube(2.0, (Feed(history((0.0, 1.0)), SE),), history((0.0, 240.0)), fouling=0.1)
    recipe = fouled.sample(86_400.0)
    assert recipe is not None
    assert recipe.residence_time == pytest.approx(108.0)


def test_without_any_flow_there_is_nothing_to_catch() -> None:
    assert tube(Trace(), Trace(), Trace()).sample(100.0) is None


def test_a_long_history_forgets_its_beginning_only() -> None:
    made = Trace()
    for t in range(50_000):
        made.append(float(t), math.sin(t))
    assert len(made.times) <= 20_000
    assert made.held(49_999.5) == math.sin(49_999)
