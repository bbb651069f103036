from collections.abc import Iterable, Sequence

import pytest

from instruments.recorded import RecordedBench, steps_for
from orchestrator.domain.lifecycle import RunStatus, StepStatus
from orchestrator.domain.records import RunRequest, Step
from orchestrator.errors import BadInput, HostError
from orchestrator.ports import Bench
from tests.recorded.tables import small_objective, small_space, small_table


def bench(*, seed: int = 1, earlier: Iterable[RunRequest] = ()) -> RecordedBench:
    return RecordedBench(small_table(), small_space(), small_objective(), seed=seed, earlier=earlier)


def request(run_key: str, x: float, *, run_id: str | None = None, steps: Sequence[Step] | None = None) -> RunRequest:
    return RunRequest(
        run_key=run_key,
        run_id=run_id or run_key,
        attempt=1,
        campaign="small",
        fence=1,
        bench_sha256="",
        steps=tuple(steps_for({"x": x}) if steps is None else steps),
    )


def value(of: Bench, run_key: str) -> float | None:
    (reading,) = of.readings(run_key)
    return reading.value


def draws(of: RecordedBench, x: float, count: int) -> list[float | None]:
    for turn in range(count):
        of.submit(request(f"k{turn}", x))
    return [value(of, f"k{turn}") for turn in range(count)]


def test_a_run_is_completed_at_once_with_one_reading_per_target() -> None:
    table = bench()
    report = table.submit(request("k", 0.3))
    assert report.status is RunStatus.COMPLETED
    assert [step.status for step in report.steps] == [StepStatus.DONE]
    (reading,) = table.readings("k")
    assert (reading.channel, reading.unit, reading.quality) == ("y", "", "good")
    assert reading.value == pytest.approx(0.3)
    assert b'"row":6' in reading.raw


def test_the_same_run_key_gets_the_same_answer() -> None:
    table = bench()
    first = table.submit(request("k", 0.1))
    readings = table.readings("k")
    assert table.submit(request("k", 0.1)) == first
    assert table.report("k") == first
    assert table.readings("k") == readings


def test_replicates_are_drawn_without_repetition_then_again_in_the_same_order() -> None:
    drawn = draws(bench(), 0.1, 6)
    assert sorted(drawn[:3]) == pytest.approx([0.10, 0.11, 0.12])  # type: ignore[type-var]  # none is None
    assert drawn[3:] == drawn[:3]


def test_equal_seeds_draw_alike_whatever_else_was_measured_between() -> None:
    disturbed = bench()
    disturbed.submit(request("other", 0.2))
    assert draws(disturbed, 0.1, 3) == draws(bench(), 0.1, 3)


def test_seeds_decide_the_order_of_replicates() -> None:
    orders = {tuple(draws(bench(seed=seed), 0.1, 3)) for seed in range(30)}
    assert len(orders) == 6


@pytest.mark.parametrize("killed_after", range(4))
def test_a_resumed_campaign_draws_what_an_uninterrupted_one_draws(killed_after: int) -> None:
    requests = [request(f"k{turn}", 0.1) for turn in range(4)]
    resumed = bench(earlier=requests[:killed_after])
    for one in requests[killed_after:]:
        resumed.submit(one)
    assert [value(resumed, one.run_key) for one in requests] == draws(bench(), 0.1, 4)


def test_a_run_known_from_the_ledger_keeps_its_raw_bytes() -> None:
    before, after = bench(), bench(earlier=[request("k", 0.1)])
    before.submit(request("k", 0.1))
    assert [one.sha256 for one in after.readings("k")] == [one.sha256 for one in before.readings("k")]
    assert after.report("k") is not None


def test_a_second_attempt_gets_the_draw_of_the_first() -> None:
    table = bench()
    table.submit(request("k1", 0.1, run_id="r"))
    table.submit(request("k2", 0.1, run_id="r"))
    assert value(table, "k1") == value(table, "k2")


def test_a_configuration_that_nobody_measured_fails_and_says_so() -> None:
    table = bench()
    report = table.submit(request("k", 0.25))
    assert report.status is RunStatus.FAILED
    assert report.reason == 'table small has no row at {"x":0.25}: nobody measured it'
    assert table.readings("k") == ()


def test_other_steps_under_a_known_run_key_are_refused() -> None:
    table = bench()
    table.submit(request("k", 0.1))
    with pytest.raises(HostError, match="k is known to the recorded bench with other steps"):
        table.submit(request("k", 0.2))


def test_steps_of_another_bench_are_refused() -> None:
    steps = [step.evolve(do="oven.set_temperature") for step in steps_for({"x": 0.1})]
    with pytest.raises(BadInput, match=r"carries out one recorded.measure; oven.set_temperature came"):
        bench().submit(request("k", 0.1, steps=steps))


def test_an_unknown_run_has_no_report_and_its_readings_are_refused() -> None:
    assert bench().report("k") is None
    with pytest.raises(HostError, match="k is not known to the recorded bench"):
        bench().readings("k")


def test_a_stopped_bench_takes_no_new_run_and_still_answers_for_the_old() -> None:
    table = bench()
    done = table.submit(request("k", 0.1))
    table.stop(reason="fire drill")
    with pytest.raises(HostError, match="stopped \\(fire drill\\)"):
        table.submit(request("k2", 0.1))
    assert table.submit(request("k", 0.1)) == done


def test_nothing_on_a_table_is_ever_unknown() -> None:
    table = bench()
    table.submit(request("k", 0.1))
    table.stored("k")
    table.abort("k", reason="too late")
    with pytest.raises(BadInput, match="run k is completed"):
        table.resolve("k", verdict="done", reason="seen", by="A")
    with pytest.raises(BadInput, match="run n is not known"):
        table.resolve("n", verdict="done", reason="seen", by="A")
