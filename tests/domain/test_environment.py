from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.environment import EnvironmentChannel, RunEnvironment, Sample, over_run
from orchestrator.domain.records import ExperimentRun

RH = EnvironmentChannel(name="rh", channel="logger.rh", unit="%", reference=40.0, every=10.0)


def joined(*samples: tuple[float, float | None], begin: float = 0.0, end: float = 100.0) -> RunEnvironment:
    return over_run(RH, [Sample(lab=lab, value=value, reason=None if value else "gone") for lab, value in samples], begin, end)


def test_what_was_read_is_joined_to_the_run_from_its_beginning_to_its_end() -> None:
    found = joined((-5.0, 90.0), *((10.0 * n, 40.0 + n) for n in range(11)), (101.0, 90.0))
    assert (found.mean, found.samples, found.coverage, found.lag, found.message) == (45.0, 11, 1.0, 10.0, None)
    assert found.sd == pytest.approx(sqrt(11.0))


def test_a_reading_counts_for_twice_its_interval_and_a_gap_is_told() -> None:
    found = joined((0.0, 40.0), (10.0, 40.0), (70.0, 40.0), (20.0, None), (30.0, None))
    assert found.coverage == pytest.approx((10.0 + 20.0 + 20.0) / 100.0)
    assert found.lag == 60.0
    assert found.message == "2 of 5 times it could not be read, at last: gone"


def test_the_time_before_the_first_reading_is_not_covered() -> None:
    found = joined(*((lab, 40.0) for lab in (50.0, 60.0, 70.0, 80.0, 90.0)))
    assert (found.coverage, found.lag) == (0.5, 50.0)


def test_what_a_step_brings_counts_for_all_of_the_run() -> None:
    brought = RH.evolve(brought=True)
    assert over_run(brought, [Sample(lab=90.0, value=40.0)], 0.0, 100.0).coverage == 1.0
    assert over_run(brought, [Sample(lab=90.0, value=None, reason="gone")], 0.0, 100.0).coverage == 0.0


def test_what_was_never_read_has_no_value_and_says_so() -> None:
    found = joined()
    assert (found.mean, found.sd, found.samples, found.coverage, found.lag) == (None, None, 0, 0.0, None)
    assert found.message == "it was never read"


def test_one_reading_has_no_spread_and_a_run_of_no_length_is_covered_by_it() -> None:
    found = joined((5.0, 41.0), begin=5.0, end=5.0)
    assert (found.mean, found.sd, found.coverage) == (41.0, None, 1.0)


@given(st.lists(st.tuples(st.floats(-10.0, 200.0), st.none() | st.floats(0.0, 100.0)), max_size=30))
def test_coverage_is_a_share_and_the_mean_lies_among_the_readings(samples: list[tuple[float, float | None]]) -> None:
    found = over_run(RH, [Sample(lab=lab, value=value) for lab, value in samples], 0.0, 150.0)
    inside = [value for lab, value in samples if 0.0 <= lab <= 150.0 and value is not None]
    assert 0.0 <= found.coverage <= 1.0
    assert found.samples == len(inside)
    assert found.mean is None or min(inside) - 1e-9 <= found.mean <= max(inside) + 1e-9


def test_a_run_without_an_environment_is_written_as_before() -> None:
    run = ExperimentRun(run_key="k", run_id="r", campaign="c", proposal_id="p", revision=1)
    assert "environment" not in run.model_dump(mode="json")
    recorded = run.evolve(environment=(joined((0.0, 40.0)),))
    assert ExperimentRun.model_validate_json(recorded.model_dump_json()) == recorded
    assert ExperimentRun.model_validate_json(run.model_dump_json()).environment == ()


def test_a_lot_is_told_by_its_name_and_needs_no_reading() -> None:
    found = over_run(RH.evolve(lot="SE-09", unit="", channel="stocks.se"), [], 0.0, 100.0)
    assert (found.lot, found.mean, found.coverage, found.message) == ("SE-09", None, 1.0, None)
    assert RunEnvironment.model_validate_json(found.model_dump_json()) == found


def test_days_are_counted_to_the_beginning_of_the_run_and_none_before_that_day() -> None:
    age = RH.evolve(since=-86400.0, unit="day", channel="oven.serviced")
    assert over_run(age, [], 43200.0, 99999.0).mean == 1.5
    before = over_run(age, [], -90000.0, 0.0)
    assert (before.mean, before.coverage, before.message) == (None, 0.0, "the run began before that day")


def test_what_is_read_is_written_as_before_there_were_lots() -> None:
    assert {"lot", "since"}.isdisjoint(RH.model_dump(mode="json"))
    assert "lot" not in joined((0.0, 40.0)).model_dump(mode="json")
