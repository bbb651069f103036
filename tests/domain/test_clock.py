"""Lab time runs at its rate, the same for everyone who knows the plant's start."""

import threading
import time
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.clock import Clock, LiveClock, PlantClock


@pytest.mark.parametrize("clock", [LiveClock(), PlantClock(time.monotonic(), 300.0)])
def test_both_times_are_told_and_neither_goes_back(clock: Clock) -> None:
    first, second = clock.now(), clock.now()
    assert first.wall.tzinfo is UTC
    assert second.lab >= first.lab
    assert clock.lab() >= second.lab


def test_two_processes_with_one_start_and_rate_agree() -> None:
    start = time.monotonic() - 10
    one, other = PlantClock(start, 60.0), PlantClock(start, 60.0)
    before, between, after = one.lab(), other.lab(), one.lab()
    assert before <= between <= after
    assert before >= 600


@given(rate=st.floats(0.1, 1000), seconds=st.floats(0, 1e6))
def test_lab_durations_shrink_by_the_rate(rate: float, seconds: float) -> None:
    assert PlantClock(0.0, rate).wall_seconds(seconds) == pytest.approx(seconds / rate)
    assert LiveClock().wall_seconds(seconds) == seconds


def test_a_wait_of_lab_minutes_passes_at_once_at_a_high_rate() -> None:
    clock = PlantClock(time.monotonic(), 60_000.0)
    begun = clock.lab()
    assert clock.wait(600.0) is False
    assert clock.lab() - begun >= 600.0


@pytest.mark.parametrize("clock", [LiveClock(), PlantClock(time.monotonic(), 1.0)])
def test_a_wait_ends_when_it_is_cancelled(clock: Clock) -> None:
    cancelled = threading.Event()
    cancelled.set()
    assert clock.wait(3600.0, cancelled) is True


@pytest.mark.parametrize("clock", [LiveClock(), PlantClock(time.monotonic(), 300.0)])
def test_a_wait_of_nothing_or_less_returns(clock: Clock) -> None:
    assert clock.wait(0.0) is False
    assert clock.wait(-5.0) is False
