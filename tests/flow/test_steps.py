"""The flow's steps against a recorded bench and a ledger in memory: the whole loop without a wire, a server or a model."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from typing_extensions import override

from flows.plans.proposing import batch_seed
from flows.plans.recipe import Recipe
from flows.running.actions import Setup, Steps
from flows.running.run_loop import Ended, plain_cycle, run_loop
from orchestrator.clock import Instant, LiveClock
from orchestrator.domain.campaign import GeneralSpec
from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import CampaignStatus, MeasurementStatus, RunStatus, StepKind, StepStatus
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import ContinuousParameter
from orchestrator.domain.records import CampaignRecord, Reading, RunReport, RunRequest, Step, StepReport
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.stop import StopSpec
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput, BenchLatched
from orchestrator.history import lessons
from orchestrator.ports import Bench, Policy
from policies.random_search import RandomPolicy
from tests.store.memory import MemoryStore

NOW = Instant(datetime(2026, 1, 1, tzinfo=UTC), 0.0)
SPACE = SearchSpace(parameters=(ContinuousParameter(name="x", min=0, max=1),))
OBJECTIVE = Objective(targets=(Target(name="y", goal="maximise"),))


class Table(Recipe):
    """One step per configuration; what is measured is what was sent, unless told otherwise."""

    reduction = "recorded/1"
    positions = ()
    binding: Mapping[str, str] = {}

    def __init__(self) -> None:
        self.complaint: str | None = None

    @override
    def expand(self, configuration: Configuration) -> tuple[Step, ...]:
        return (Step(index=0, do="box.measure", kind=StepKind.PROGRAM, arguments=dict(configuration)),)

    @override
    def measured(self, readings: Sequence[Reading], proposed: Configuration) -> dict[str, float | str]:
        if self.complaint is not None:
            raise BadInput(self.complaint)
        return dict(proposed)


class Box(Bench):
    """Answers at once with y = x; ends the n-th run as it is told."""

    def __init__(self, endings: Mapping[int, tuple[RunStatus, dict[str, object]]] | None = None) -> None:
        self.endings = endings or {}
        self.requests: dict[str, RunRequest] = {}
        self.latched = False

    @override
    def submit(self, request: RunRequest) -> RunReport:
        if self.latched:
            raise BenchLatched("the bench is latched")
        self.requests.setdefault(request.run_key, request)
        return self._report(request.run_key)

    def _report(self, run_key: str) -> RunReport:
        number = list(self.requests).index(run_key)
        status, evidence = self.endings.get(number, (RunStatus.COMPLETED, {}))
        step = StepReport(0, "box.measure", StepStatus.DONE, sent=dict(self.requests[run_key].steps[0].arguments))
        return RunReport(run_key, 1, status, str(status), (step,), evidence, 0.0, 1.0)

    @override
    def report(self, run_key: str, *, after: int = -1, wait: float = 0.0) -> RunReport | None:
        return self._report(run_key) if run_key in self.requests else None

    @override
    def readings(self, run_key: str) -> tuple[Reading, ...]:
        x = self.requests[run_key].steps[0].arguments["x"]
        assert not isinstance(x, str)
        return (Reading(0, "box", "y", "", "good", NOW.wall, 0.0, value=x, seq=1),)

    @override
    def stored(self, run_key: str) -> None:
        return

    @override
    def abort(self, run_key: str, *, reason: str) -> None:
        return

    @override
    def resolve(self, run_key: str, *, verdict: str, reason: str, by: str) -> RunReport:
        raise NotImplementedError

    @override
    def stop(self, *, reason: str) -> None:
        self.latched = True


def steps_over(
    bench: Bench,
    recipe: Recipe | None = None,
    *,
    converts: bool = True,
    policy: Policy | None = None,
    stop: StopSpec | None = None,
    **spec: object,
) -> Steps:
    store = MemoryStore()
    record = CampaignRecord(name="c", snapshot={"converts": True} if converts else {})
    store.create_campaign(record, by="test", now=NOW)
    fence = store.take_up("c", by="test", now=NOW)
    store.update_campaign(record.evolve(status=CampaignStatus.RUNNING), kind=EventKind.RUNNING, by="test", now=NOW)
    general = GeneralSpec.model_validate({"name": "c", "bench": "b", "budget": 4, **spec})
    chosen = policy or RandomPolicy(SPACE)
    return Steps(Setup(general, SPACE, OBJECTIVE, chosen, recipe or Table(), bench, store, LiveClock(), fence, stop=stop))


def carry(steps: Steps) -> Ended:
    return run_loop(steps, cycle=plain_cycle, observe=lambda _history: None, leave=threading.Event())


def test_a_campaign_runs_to_its_budget_and_keeps_the_four_layers_apart() -> None:
    steps = steps_over(Box())
    assert carry(steps).status is CampaignStatus.FINISHED
    runs = steps.refresh().attempts()
    assert [run.status for run in runs] == [RunStatus.COMPLETED] * 4
    assert all(run.commanded == {"box.measure.x": run.measured["x"]} for run in runs)
    assert len(steps.history.measurements) == 4
    assert steps.history.learnt_seq >= steps.history.lessons_seq > 0
    assert steps.setup.store.verify() == ()


@pytest.mark.parametrize(
    ("unit", "converts", "share", "reason"),
    [
        ("percent", True, 0.01, None),
        ("mL", True, None, "y came in mL; expected a unit that converts to 1"),
        ("percent", False, 1.0, None),  # a campaign of an earlier release goes on as it began
        ("mL", False, 1.0, None),
    ],
)
def test_a_reading_teaches_in_the_unit_of_its_target_or_not_at_all(
    unit: str, converts: bool, share: float | None, reason: str | None
) -> None:
    class Other(Box):
        @override
        def readings(self, run_key: str) -> tuple[Reading, ...]:
            return tuple(replace(one, unit=unit) for one in super().readings(run_key))

    steps = steps_over(Other(), converts=converts, budget=1)
    carry(steps)
    history = steps.refresh()
    (run,), (one,) = history.attempts(), history.measurements.values()
    x = run.measured["x"]
    assert not isinstance(x, str)
    assert one.value == (None if share is None else pytest.approx(x * share))
    assert (one.status, one.reason) == (MeasurementStatus.ACCEPTED if reason is None else MeasurementStatus.QUARANTINED, reason)
    (kept,) = steps.setup.store.readings(run.run_key)
    assert (kept.value, kept.unit) == (x, unit)


def test_batches_and_replicates_each_get_runs_of_their_own() -> None:
    steps = steps_over(Box(), budget=8, batch=2, replicates=2)
    carry(steps)
    history = steps.refresh()
    assert [one.provenance.batch for one in history.newest()] == [1, 1, 2, 2]
    assert sorted(run.replicate for run in history.attempts()) == [1, 1, 1, 1, 2, 2, 2, 2]


def test_a_run_proven_not_executed_gets_a_second_attempt_and_costs_no_budget() -> None:
    steps = steps_over(Box({1: (RunStatus.FAILED, {"not_executed": "nothing was sent"})}))
    carry(steps)
    runs = steps.refresh().runs.values()
    assert sorted(run.status for run in runs) == [RunStatus.COMPLETED] * 4 + [RunStatus.SUPERSEDED]
    assert max(run.attempt for run in runs) == 2


def test_an_unknown_run_pauses_the_campaign() -> None:
    steps = steps_over(Box({0: (RunStatus.UNKNOWN, {})}))
    assert carry(steps) == Ended(CampaignStatus.PAUSED, "unknown")
    assert steps.refresh().campaign.reason == "unknown"


def test_a_failed_and_an_infeasible_run_give_no_measurement_but_only_the_latter_teaches() -> None:
    steps = steps_over(Box({0: (RunStatus.FAILED, {}), 1: (RunStatus.INFEASIBLE, {})}))
    carry(steps)
    assert len(steps.refresh().measurements) == 2
    assert lessons(steps.history) == 3


def test_a_latched_bench_pauses_the_campaign_as_stopped() -> None:
    bench = Box()
    bench.stop(reason="smoke")
    steps = steps_over(bench)
    assert carry(steps) == Ended(CampaignStatus.PAUSED, "stopped")
    assert steps.refresh().campaign.status is CampaignStatus.PAUSED


def test_a_result_without_a_measured_configuration_is_quarantined_and_three_in_a_row_pause_the_campaign() -> None:
    recipe = Table()
    recipe.complaint = "pump.flow was not read"
    steps = steps_over(Box(), recipe)
    ended = carry(steps)
    assert ended.status is CampaignStatus.PAUSED
    assert ended.reason.endswith("the last: no measured configuration: pump.flow was not read")
    assert len(steps.refresh().runs) == 3
    (reasons,) = {one.reason for one in steps.refresh().measurements.values()}
    assert reasons == "no measured configuration: pump.flow was not read"
    assert {one.status for one in steps.history.measurements.values()} == {MeasurementStatus.QUARANTINED}


def test_the_goal_ends_a_campaign_before_its_budget() -> None:
    steps = steps_over(Box(), budget=200, goal=0.5)
    ended = carry(steps)
    assert "goal reached" in ended.reason
    assert len(steps.refresh().attempts()) < 200


@pytest.mark.parametrize("batch", [1, 2])
def test_a_table_that_is_used_up_ends_the_campaign_once_its_runs_are_in(batch: int) -> None:
    steps = steps_over(Box(), budget=10, batch=batch)
    rows = ({"x": 0.125}, {"x": 0.25}, {"x": 0.5})
    steps.setup = replace(steps.setup, policy=RandomPolicy(SPACE.evolve(candidates=rows)))
    assert carry(steps) == Ended(CampaignStatus.FINISHED, "nothing is left to propose")
    assert sorted(float(one.measured["x"]) for one in steps.refresh().attempts()) == [0.125, 0.25, 0.5]


def coarse(steps: Steps) -> Steps:
    """Let the bench tell but two experiments apart, at most."""
    (x,) = SPACE.parameters
    steps.setup = replace(steps.setup, policy=RandomPolicy(SearchSpace(parameters=(x.evolve(resolution=0.6),))))
    return steps


@pytest.mark.parametrize("ending", [RunStatus.COMPLETED, RunStatus.FAILED])
def test_what_waits_for_a_running_experiment_to_end_is_proposed_then(ending: RunStatus) -> None:
    steps = coarse(steps_over(Box({0: (ending, {})}), budget=4, in_flight=3))
    assert carry(steps) == Ended(CampaignStatus.FINISHED, "budget spent: 4 experiments")


def test_a_batch_that_cannot_be_filled_is_smaller_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    steps = coarse(steps_over(Box(), budget=6, batch=3))
    assert carry(steps).status is CampaignStatus.FINISHED
    assert "batch 1: " in caplog.text
    assert "of 3 proposals; the bench tells no more experiments apart" in caplog.text


@pytest.mark.parametrize("batch", [1, 2, 77])
def test_the_seed_of_a_batch_depends_on_campaign_and_number_alone(batch: int) -> None:
    assert batch_seed(3, batch) == batch_seed(3, batch)
    assert batch_seed(3, batch) != batch_seed(4, batch)
    assert batch_seed(3, batch) != batch_seed(3, batch + 1)
