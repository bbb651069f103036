"""The loop decides from the history alone."""

from datetime import UTC, datetime

import pytest

from orchestrator.clock import Instant
from orchestrator.domain.campaign import GeneralSpec
from orchestrator.domain.identity import uuid7
from orchestrator.domain.lifecycle import CampaignStatus, MeasurementStatus, ProposalStatus, RunStatus
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.records import CampaignRecord, ExperimentRun, Measurement, Proposal, Provenance
from orchestrator.history import History, Infeasible, best, counts, knowledge, observations
from orchestrator.loop import Adapt, Execute, Ingest, Propose, Reconcile, Review, Stop, Wait, next_actions
from orchestrator.ports import Changes
from orchestrator.summary import best_configuration, quarantined

NOW = Instant(datetime(2026, 1, 1, tzinfo=UTC), 100.0)
OBJECTIVE = Objective(targets=(Target(name="y", goal="maximise"),))
RUNNING = CampaignRecord(name="c", status=CampaignStatus.RUNNING)


def spec(**changes: object) -> GeneralSpec:
    return GeneralSpec.model_validate({"name": "c", "bench": "b.toml", "budget": 5, **changes})


def proposal(number: int, status: ProposalStatus = ProposalStatus.APPROVED) -> Proposal:
    provenance = Provenance(policy="sobol/1", as_of=0, seed=1)
    return Proposal(
        proposal_id=f"p{number}",
        campaign="c",
        number=number,
        status=status,
        configuration={"x": float(number)},
        steps=(),
        provenance=provenance,
    )


def run(number: int, status: RunStatus, **changes: object) -> ExperimentRun:
    fields = {"run_key": f"r{number:03d}", "run_id": f"r{number:03d}", "campaign": "c", "proposal_id": f"p{number}", "revision": 1}
    return ExperimentRun.model_validate({**fields, "status": status, **changes})


def measured(number: int, value: float | None, status: MeasurementStatus = MeasurementStatus.ACCEPTED) -> Measurement:
    return Measurement(
        measurement_id=uuid7(),
        campaign="c",
        run_key=f"r{number:03d}",
        target="y",
        value=value,
        status=status,
        reduction="recorded/1",
        reason=None if status is MeasurementStatus.ACCEPTED else "no peak",
    )


def history(
    *runs: ExperimentRun, campaign: CampaignRecord = RUNNING, proposals: tuple[Proposal, ...] = (), values: tuple[Measurement, ...] = ()
) -> History:
    given = {one.proposal_id: one for one in (*(proposal(int(one.approval[0][1:])) for one in runs), *proposals)}
    return History.of(Changes(7, campaign, tuple(given.values()), runs, values))


def done(number: int) -> ExperimentRun:
    return run(number, RunStatus.COMPLETED, ingested=True, measured={"x": number + 0.5})


def ask(past: History, **changes: object) -> tuple[object, ...]:
    return next_actions(past, NOW, spec(**changes), OBJECTIVE)


def test_an_empty_campaign_asks_for_its_first_batch() -> None:
    assert ask(history()) == (Propose(1),)
    assert ask(history(), batch=3) == (Propose(3),)


def test_a_batch_never_exceeds_the_budget() -> None:
    assert ask(history(), batch=8, budget=5) == (Propose(5),)


def test_a_proposal_is_reviewed_before_anything_else_begins() -> None:
    open_one = proposal(1, ProposalStatus.PROPOSED)
    assert ask(history(proposals=(open_one,))) == (Review((open_one,)),)


def test_a_queued_run_is_executed() -> None:
    queued = run(1, RunStatus.QUEUED)
    assert ask(history(queued)) == (Execute(queued),)


@pytest.mark.parametrize("status", [RunStatus.DISPATCHED, RunStatus.RUNNING])
def test_a_run_in_hand_is_reconciled_and_waited_for(status: RunStatus) -> None:
    given = run(1, status)
    first, second = ask(history(given))
    assert first == Reconcile(given)
    assert isinstance(second, Wait)
    assert second.until > NOW.lab


def test_with_room_in_flight_the_next_is_proposed_while_one_runs() -> None:
    assert ask(history(run(1, RunStatus.RUNNING)), in_flight=2) == (Propose(1),)


def test_a_completed_run_is_ingested_before_the_surrogate_adapts() -> None:
    completed = run(1, RunStatus.COMPLETED)
    assert ask(history(completed)) == (Ingest(completed),)
    assert ask(history(done(1), values=(measured(1, 2.0),))) == (Adapt(7),)


def test_after_the_adaptation_the_next_is_proposed() -> None:
    adapted = RUNNING.evolve(adapted=1)
    assert ask(history(done(1), campaign=adapted, values=(measured(1, 2.0),))) == (Propose(1),)


def test_a_ledger_of_before_that_counts_runs_is_read_by_the_order_in_which_they_came() -> None:
    """Of three runs two were learnt; a correction of the first is a lesson although the count stays."""
    runs, values = (done(1), done(2), done(3)), (measured(1, 1.0), measured(2, 2.0), measured(3, 3.0))
    given = tuple(proposal(number) for number in (1, 2, 3))
    seqs: dict[tuple[str | int, ...], int] = {}
    for run_, value, seq in zip(runs, values, (10, 20, 30), strict=True):
        seqs |= {(run_.run_key,): seq, (*value.key, 1): seq}
    past = History.of(Changes(31, RUNNING.evolve(adapted=2), given, runs, values, seqs=seqs))
    assert (past.learnt_seq, past.lessons_seq) == (20, 30)
    assert ask(past) == (Adapt(31),)
    learnt = History.of(Changes(31, RUNNING.evolve(adapted=3), given, runs, values, seqs=seqs))
    assert ask(learnt) == (Propose(1),)
    better = values[0].evolve(revision=2, value=1.5)
    changes = Changes(40, learnt.campaign, measurements=(better,), seqs={(*better.key, 2): 40})
    assert ask(learnt.updated(changes)) == (Adapt(40),)
    events = RUNNING.evolve(adapted=40, adapted_counts="events")
    assert ask(learnt.updated(changes).updated(Changes(41, events))) == (Propose(1),)


def test_of_several_replicates_the_mean_counts_with_its_combined_uncertainty() -> None:
    """[JCGM 100:2008, 5.1.2]: of two readings with u = 3 and 4, u(mean) = sqrt(9 + 16) / 2."""
    values = (measured(1, 1.0).evolve(uncertainty=3.0), measured(1, 2.0).evolve(replicate=2, uncertainty=4.0))
    past = history(done(1), values=values)
    (one,) = observations(past)
    assert (one.values, one.uncertainties) == ({"y": 1.5}, {"y": 2.5})
    unknown = measured(1, 6.0).evolve(replicate=3)
    (one,) = observations(past.updated(Changes(8, RUNNING, measurements=(unknown,))))
    assert (one.values, one.uncertainties) == ({"y": 3.0}, {})
    retracted = unknown.evolve(status=MeasurementStatus.RETRACTED, reason="wrong vial")
    (one,) = observations(past.updated(Changes(8, RUNNING, measurements=(retracted,))))
    assert (one.values, one.uncertainties) == ({"y": 1.5}, {"y": 2.5})


def test_values_that_people_took_back_are_no_failures_in_a_row() -> None:
    runs = [done(number) for number in (1, 2, 3)]
    gone = tuple(measured(number, 1.0, MeasurementStatus.RETRACTED) for number in (1, 2, 3))
    assert ask(history(*runs, campaign=RUNNING.evolve(adapted=3), values=gone)) == (Propose(1),)


def test_an_infeasible_run_is_a_lesson_too() -> None:
    assert ask(history(run(1, RunStatus.INFEASIBLE))) == (Adapt(7),)


def test_an_infeasible_run_is_known_with_its_reason_and_an_instruments_fault_is_not() -> None:
    runs = (
        run(1, RunStatus.INFEASIBLE, reason="no reaction"),
        run(2, RunStatus.FAILED, reason="pump stalled"),
        run(3, RunStatus.INFEASIBLE),
    )
    past = history(*runs)
    assert knowledge(past).infeasible == (
        Infeasible(past.configuration_of(runs[0]), "no reaction"),
        Infeasible(past.configuration_of(runs[2])),
    )


def test_a_spent_budget_finishes_the_campaign() -> None:
    runs = [done(number) for number in range(1, 6)]
    (stop,) = ask(history(*runs, campaign=RUNNING.evolve(adapted=5), values=(measured(4, 2.0),)))
    assert isinstance(stop, Stop)
    assert stop.status is CampaignStatus.FINISHED
    assert "budget" in stop.reason


def test_a_reached_goal_finishes_the_campaign_but_not_over_a_run_in_hand() -> None:
    adapted = RUNNING.evolve(adapted=1)
    values = (measured(1, 2.0),)
    (stop,) = ask(history(done(1), campaign=adapted, values=values), goal=1.5)
    assert isinstance(stop, Stop)
    assert "goal" in stop.reason
    open_run = run(2, RunStatus.RUNNING)
    assert ask(history(done(1), open_run, campaign=adapted, values=values), goal=1.5)[0] == Reconcile(open_run)


def test_an_unknown_run_pauses_the_campaign() -> None:
    assert ask(history(run(1, RunStatus.UNKNOWN))) == (Stop(CampaignStatus.PAUSED, "unknown"),)


def test_failures_in_a_row_pause_the_campaign_until_a_person_forgives_them() -> None:
    failed = [run(number, RunStatus.FAILED) for number in range(1, 4)]
    (stop,) = ask(history(*failed))
    assert stop == Stop(CampaignStatus.PAUSED, "3 failed runs in a row; the last: no reason recorded")
    assert ask(history(*failed, campaign=RUNNING.evolve(forgiven_seq=7))) == (Propose(1),)
    assert ask(history(*failed, campaign=RUNNING.evolve(forgiven=3))) == (Propose(1),), "as ledgers of before have it"


DUE = 150.0
"""Lab seconds: after NOW."""


def late(number: int, **changes: object) -> ExperimentRun:
    """A run whose only value comes later."""
    return done(number).evolve(awaits={"y": DUE}, **changes)


def test_a_value_that_is_still_due_makes_no_run_fruitless_and_one_that_is_overdue_does() -> None:
    due = [late(number) for number in (1, 2, 3)]
    learnt = RUNNING.evolve(adapted=3)
    assert ask(history(*due, campaign=learnt), budget=9, in_flight=4) == (Propose(1),)
    over = [late(number, overdue=("y",)) for number in (1, 2, 3)]
    assert why_paused(history(*over, campaign=learnt)).startswith("3 runs in a row without an accepted value")
    retracted = tuple(measured(number, 1.0, MeasurementStatus.RETRACTED) for number in (1, 2, 3))
    assert ask(history(*due, campaign=learnt, values=retracted), budget=9, in_flight=4) == (Propose(1),), "waited for again"
    assert why_paused(history(*over, campaign=learnt, values=retracted)).endswith("no value of y came in time")


def test_what_a_person_had_not_seen_when_the_campaign_was_resumed_is_not_forgiven() -> None:
    resumed = RUNNING.evolve(forgiven_seq=7, adapted=40, adapted_counts="events")
    past = history(*[run(number, RunStatus.FAILED) for number in (1, 2, 3)], *[late(number) for number in (4, 5, 6)], campaign=resumed)
    assert ask(past, budget=50, in_flight=4) == (Propose(1),)
    over = tuple(late(number, overdue=("y",)) for number in (4, 5, 6))
    assert why_paused(past.updated(Changes(9, resumed, runs=over[:2])), max_failures=2).startswith("5 runs in a row")
    assert ask(past.updated(Changes(9, resumed, runs=over[:2])), budget=50, in_flight=4) == (Propose(1),), "two, three are allowed"
    assert why_paused(past.updated(Changes(9, resumed, runs=over))).startswith("6 runs in a row")


def test_a_value_that_a_person_tells_and_takes_back_makes_nothing_unforgiven() -> None:
    resumed = RUNNING.evolve(forgiven_seq=7, adapted=40, adapted_counts="events")
    past = history(*[late(number, overdue=("y",)) for number in (1, 2, 3)], campaign=resumed)
    told = measured(3, 1.0, MeasurementStatus.RETRACTED).evolve(by="Ada", retracted_by="Ada")
    assert ask(past.updated(Changes(9, resumed, measurements=(told,))), budget=50) == (Propose(1),)


def test_a_late_value_that_came_after_all_hides_no_failure_of_later() -> None:
    over = [late(number, overdue=("y",)) for number in (1, 2, 3)]
    resumed = RUNNING.evolve(forgiven_seq=7, adapted=40, adapted_counts="events")
    past = history(*over, campaign=resumed).updated(Changes(9, resumed, measurements=tuple(measured(number, 1.0) for number in (1, 2, 3))))
    failed = tuple(run(number, RunStatus.FAILED) for number in (4, 5, 6))
    assert why_paused(past.updated(Changes(12, resumed, runs=failed))) == "3 failed runs in a row; the last: no reason recorded"


def test_a_success_between_failures_resets_their_count() -> None:
    runs = (run(1, RunStatus.FAILED), run(2, RunStatus.FAILED), done(3), run(4, RunStatus.FAILED))
    assert ask(history(*runs, campaign=RUNNING.evolve(adapted=1), values=(measured(3, 0.0),))) == (Propose(1),)


QUARANTINED = MeasurementStatus.QUARANTINED


def why_paused(past: History, **changes: object) -> str:
    (stop,) = ask(past, **{"budget": 50, **changes})
    assert isinstance(stop, Stop)
    assert stop.status is CampaignStatus.PAUSED
    return stop.reason


def test_runs_whose_values_are_all_quarantined_or_absent_pause_the_campaign_until_a_person_forgives_them() -> None:
    runs = [done(number) for number in range(1, 4)]
    values = (measured(1, 9.0, QUARANTINED), measured(3, None, QUARANTINED))
    adapted = RUNNING.evolve(adapted=3)
    assert why_paused(history(*runs, campaign=adapted, values=values)) == (
        "3 runs in a row without an accepted value (3 completed with every value quarantined or absent); the last: no peak"
    )
    assert ask(history(*runs, campaign=adapted, values=values), max_failures=4) == (Propose(1),)
    forgiven = adapted.evolve(forgiven_seq=7)
    past = history(*runs, campaign=forgiven, values=values)
    assert ask(past, budget=50) == (Propose(1),)
    past = past.updated(Changes(9, forgiven, runs=(run(4, RunStatus.FAILED), run(5, RunStatus.FAILED))))
    assert ask(past, budget=50) == (Propose(1),), "two failures since then, three are allowed"
    past = past.updated(Changes(10, forgiven, runs=(run(6, RunStatus.FAILED, reason="pump is jammed"),)))
    assert why_paused(past) == (
        "6 runs in a row without an accepted value (3 failed, 3 completed with every value quarantined or absent); the last: pump is jammed"
    )


def test_failures_pause_a_campaign_also_where_infeasible_runs_come_in_between() -> None:
    runs = [run(number, RunStatus.INFEASIBLE if number % 2 else RunStatus.FAILED) for number in range(1, 7)]
    assert why_paused(history(*runs, campaign=RUNNING.evolve(adapted=3))).startswith("3 failed runs in a row")


def test_infeasible_runs_are_information_but_so_many_in_a_row_pause_the_campaign() -> None:
    runs = [run(number, RunStatus.INFEASIBLE, reason="no reaction") for number in range(1, 11)]
    adapted = RUNNING.evolve(adapted=10)
    assert why_paused(history(*runs, campaign=adapted)) == "10 infeasible runs in a row; the last: no reaction"
    assert ask(history(*runs[:9], campaign=adapted), budget=50) == (Propose(1),)
    assert why_paused(history(*runs[:2], campaign=adapted), max_infeasible=2).startswith("2 infeasible runs in a row")
    for forgiven in (adapted.evolve(forgiven_seq=7, adapted=11), adapted.evolve(forgiven_infeasible=10, adapted=11)):
        past = history(*runs, campaign=forgiven)
        assert ask(past.updated(Changes(9, forgiven, runs=(run(11, RunStatus.INFEASIBLE),))), budget=50) == (Propose(1),)
    broken = [*runs[:5], done(6), *runs[6:]]
    assert ask(history(*broken, campaign=adapted, values=(measured(6, 1.0),)), budget=50) == (Propose(1),)


def test_a_campaign_that_ends_without_a_value_says_so() -> None:
    (stop,) = ask(history(run(1, RunStatus.ABORTED), campaign=RUNNING), budget=1)
    assert stop == Stop(CampaignStatus.FINISHED, "budget spent: 1 experiment, nothing was measured")


def test_the_goal_of_a_front_is_one_of_its_hypervolume() -> None:
    targets = tuple(Target(name=name, goal="maximise", low=0, high=1) for name in ("y", "z"))
    front = Objective(targets=targets, kind="pareto")
    values = (measured(1, 0.9), measured(1, 0.5).evolve(target="z", measurement_id=uuid7()))
    past = history(done(1), campaign=RUNNING.evolve(adapted=7), values=values)
    assert next_actions(past, NOW, spec(goal=0.5), front) == (Propose(1),)
    (stop,) = next_actions(past, NOW, spec(goal=0.4), front)
    assert stop == Stop(CampaignStatus.FINISHED, "goal reached: hypervolume 0.45 >= 0.4")


def test_a_summary_tells_how_many_values_were_quarantined_and_why() -> None:
    values = (measured(1, None, QUARANTINED), measured(2, 9.0, QUARANTINED), measured(3, 1.0))
    assert quarantined(history(done(1), done(2), done(3), values=values)) == "2 of 3 values were quarantined: 2 x no peak"
    assert quarantined(history(done(3), values=values[2:])) is None


def test_a_summary_names_the_best_configuration_as_it_was_measured() -> None:
    past = history(done(1), done(2), values=(measured(1, 3.0), measured(2, 1.0)))
    assert best_configuration(past, OBJECTIVE, {"x": "degC"}) == "best: x 1.5 degC"
    assert best_configuration(history(done(1)), OBJECTIVE, {}) is None


def test_an_overdue_value_that_came_after_all_is_missing_no_more() -> None:
    late = run(1, RunStatus.COMPLETED, ingested=True, measured={"x": 1.5}, awaits={"y": 9.0}, overdue=("y",))
    assert history(late).missing(late) == ("y",)
    assert history(late, values=(measured(1, 3.0),)).missing(late) == ()


def test_a_value_that_is_absent_cannot_be_accepted() -> None:
    with pytest.raises(ValueError, match="there is no value that could be accepted"):
        measured(1, None)


def test_a_pause_in_the_ledger_stops_the_loop() -> None:
    paused = RUNNING.evolve(status=CampaignStatus.PAUSED, reason="lunch")
    assert ask(history(campaign=paused)) == (Stop(CampaignStatus.PAUSED, "lunch"),)


def test_a_paused_campaign_finishes_what_is_in_hand_and_begins_nothing() -> None:
    paused = RUNNING.evolve(status=CampaignStatus.PAUSED, reason="lunch")
    open_run, queued = run(1, RunStatus.RUNNING), run(2, RunStatus.QUEUED)
    assert ask(history(open_run, queued, campaign=paused), in_flight=4)[0] == Reconcile(open_run)
    completed = run(1, RunStatus.COMPLETED)
    assert ask(history(completed, queued, campaign=paused)) == (Ingest(completed),)
    assert ask(history(done(1), queued, campaign=paused)) == (Stop(CampaignStatus.PAUSED, "lunch"),)


def test_a_paused_campaign_leaves_what_can_wait_for_people_without_it_and_stays_for_all_else() -> None:
    paused = RUNNING.evolve(status=CampaignStatus.PAUSED, reason="lunch")
    weighing, heated = run(1, RunStatus.RUNNING), run(2, RunStatus.RUNNING)
    stop = (Stop(CampaignStatus.PAUSED, "lunch"),)
    assert next_actions(history(weighing, campaign=paused), NOW, spec(), OBJECTIVE, left_alone=["r001"]) == stop
    both = history(weighing, heated, campaign=paused)
    assert next_actions(both, NOW, spec(), OBJECTIVE, left_alone=["r001"])[:2] == (Reconcile(weighing), Reconcile(heated))
    going_on = history(weighing)
    assert next_actions(going_on, NOW, spec(), OBJECTIVE, left_alone=["r001"])[0] == Reconcile(weighing)


def test_a_superseded_attempt_costs_no_budget_and_its_successor_is_executed() -> None:
    successor = run(1, RunStatus.QUEUED, run_key="r001b", attempt=2)
    past = history(run(1, RunStatus.SUPERSEDED), successor)
    assert ask(past, budget=1) == (Execute(successor),)


def test_models_learn_from_the_measured_configuration_and_only_from_accepted_values() -> None:
    values = (measured(1, 2.0), measured(2, 9.0, MeasurementStatus.QUARANTINED))
    seen = observations(history(done(1), done(2), values=values))
    assert [(dict(one.configuration), dict(one.values)) for one in seen] == [({"x": 1.5}, {"y": 2.0})]


def test_pending_is_what_was_approved_and_not_yet_measured() -> None:
    past = history(done(1), run(2, RunStatus.RUNNING), proposals=(proposal(3, ProposalStatus.PROPOSED),), values=(measured(1, 2.0),))
    assert [one["x"] for one in knowledge(past).pending] == [3.0, 2.0]


def test_the_best_of_some_runs_is_none_of_the_others() -> None:
    past = history(done(1), done(2), values=(measured(1, 2.0), measured(2, 9.0)))
    keys = [run.run_key for run in past.attempts()]
    found = [best(past, OBJECTIVE, among=keys[:count]) for count in range(3)]
    assert [None if one is None else one[0].run_key for one in found] == [None, *keys]


def test_a_newer_revision_of_a_measurement_replaces_the_older() -> None:
    newer = measured(1, 5.0).evolve(revision=2)
    past = history(done(1), values=(newer, measured(1, 2.0)))
    found = best(past, OBJECTIVE)
    assert found is not None
    assert found[1] == 5.0


def test_changes_fold_into_the_history_like_a_whole_reading() -> None:
    start = history(run(1, RunStatus.RUNNING))
    later = start.updated(Changes(9, RUNNING, (), (done(1),), (measured(1, 2.0),)))
    whole = history(done(1), values=tuple(later.measurements.values()))
    assert later.runs == whole.runs
    assert later.seq == 9
    assert counts(later) == {"proposals_approved": 1, "runs_completed": 1}
