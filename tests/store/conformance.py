"""What every Store does; each implementation runs all of it."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import pytest

from orchestrator.domain.drift import DriftAlarm
from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import CampaignStatus, MeasurementStatus, ProposalStatus, RunStatus
from orchestrator.errors import BadInput, Fault, StoreError
from orchestrator.ports import Result, Store
from orchestrator.store.chain import GENESIS
from tests.store.cases import (
    BY,
    CAMPAIGN,
    approved,
    at,
    begin,
    campaign,
    elsewhere,
    measurement,
    proposal,
    queued,
    reading,
    tell_approval,
    tell_execution,
    tell_experiment,
)


class Ledgers(ABC):
    """Opens one ledger several times, as several processes do."""

    @abstractmethod
    def open(self) -> Store: ...


def kinds(store: Store, *, since: int = 0) -> list[str]:
    return [event.kind for event in store.events(since=since)]


class StoreConformance:
    """Inherit and give the fixture `ledgers`."""

    @pytest.fixture
    def store(self, ledgers: Ledgers) -> Iterator[Store]:
        store = ledgers.open()
        yield store
        assert store.verify() == (), "whatever a store was asked to do, it stays sound"
        store.close()

    def test_a_new_ledger_is_empty_and_sound(self, store: Store) -> None:
        assert store.head() == (0, GENESIS)
        assert store.campaigns() == ()
        assert list(store.events()) == []

    def test_what_was_told_is_there_again(self, store: Store, ledgers: Ledgers) -> None:
        begin(store)
        told = tell_experiment(store)
        other = ledgers.open()
        changes = other.changes(CAMPAIGN)
        assert changes.campaign == campaign().evolve(status=CampaignStatus.RUNNING)
        assert changes.proposals == (told.proposal,)
        assert changes.runs == (told.run,)
        assert changes.measurements == told.measurements
        assert other.readings(told.run.run_key) == told.readings
        assert changes.seq == other.head()[0]
        other.close()

    def test_changes_tell_only_what_is_new(self, store: Store) -> None:
        begin(store)
        tell_experiment(store, 1)
        seen = store.changes(CAMPAIGN).seq
        assert store.changes(CAMPAIGN, since=seen).runs == ()
        told = tell_approval(store, 2)
        changes = store.changes(CAMPAIGN, since=seen)
        assert (changes.proposals, changes.runs, changes.measurements) == ((told.proposal,), (told.run,), ())
        assert changes.seq > seen

    def test_campaigns_do_not_see_each_other(self, store: Store) -> None:
        begin(store)
        begin(store, "wires")
        tell_experiment(store, name="wires")
        assert store.changes(CAMPAIGN).runs == ()
        assert {record.name for record in store.campaigns()} == {CAMPAIGN, "wires"}
        assert {event.campaign for event in store.events("wires")} == {"wires"}

    def test_an_unknown_campaign_is_bad_input(self, store: Store) -> None:
        begin(store)
        for ask in (
            lambda: store.changes("dot"),
            lambda: store.take_up("dot", by=BY, now=at(0)),
            lambda: store.add_proposals([proposal(name="dot")], by=BY, now=at(0)),
            lambda: store.update_campaign(campaign("dot"), kind=EventKind.RUNNING, by=BY, now=at(0)),
        ):
            with pytest.raises(BadInput, match=r"no campaign 'dot' in this ledger; it holds dots"):
                ask()

    def test_a_campaign_begins_once(self, store: Store) -> None:
        begin(store)
        with pytest.raises(StoreError, match="campaign dots is in the ledger already"):
            store.create_campaign(campaign(), by=BY, now=at(9))

    def test_events_are_a_gapless_chain_that_says_who_did_what(self, store: Store) -> None:
        begin(store)
        tell_experiment(store)
        events = list(store.events())
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert [event.previous for event in events] == [GENESIS, *(event.digest for event in events[:-1])]
        assert store.head() == (events[-1].seq, events[-1].digest)
        story = ["campaign-created", "running", "proposed", "approved", "queued", "dispatched", "running", "ingested"]
        assert [event.kind for event in events] == story
        assert (events[3].by, events[3].subject, events[3].lab) == ("person Ada", "dots-p1", 3.0)
        assert events[3].wall == "2026-01-02T03:04:08+00:00"
        assert list(store.events(since=6)) == events[6:]

    def test_illegal_steps_leave_no_trace(self, store: Store) -> None:
        running = begin(store)
        told = tell_experiment(store)
        store.update_campaign(running.evolve(status=CampaignStatus.FINISHED), kind=EventKind.FINISHED, by=BY, now=at(7))
        head = store.head()
        with pytest.raises(Fault, match="campaign dots: finished cannot become running"):
            store.update_campaign(running, kind=EventKind.RESUMED, by=BY, now=at(8))
        with pytest.raises(Fault, match="completed cannot become running"):
            store.update_run(told.run.evolve(status=RunStatus.RUNNING), kind=EventKind.RUNNING, by=BY, now=at(8))
        with pytest.raises(Fault, match="approved cannot become rejected"):
            store.decide(told.proposal.evolve(status=ProposalStatus.REJECTED), [], by=BY, now=at(8))
        assert store.head() == head

    def test_what_has_rules_of_its_own_is_not_written_without_them(self, store: Store) -> None:
        begin(store)
        head = store.head()
        with pytest.raises(StoreError, match="table proposals has rules of its own; nothing was written"):
            store.keep(proposal(), kind=EventKind.PROPOSED, by=BY, now=at(2))
        assert store.head() == head

    def test_a_decision_binds_what_was_shown(self, store: Store) -> None:
        begin(store)
        store.add_proposals([proposal()], by=BY, now=at(2))
        with pytest.raises(StoreError, match="content of proposal dots-p1/1 differs"):
            store.decide(approved(proposal(temperature=300.0)), [], by=BY, now=at(3))
        assert store.changes(CAMPAIGN).proposals == (proposal(),)

    def test_only_an_approval_gives_runs_and_only_its_own(self, store: Store) -> None:
        begin(store)
        store.add_proposals([proposal(1), proposal(2)], by=BY, now=at(2))
        rejected = proposal(1).evolve(status=ProposalStatus.REJECTED, reason="too hot")
        with pytest.raises(StoreError, match="only an approval gives runs"):
            store.decide(rejected, [queued(proposal(1))], by=BY, now=at(3))
        with pytest.raises(StoreError, match="proposal of run dots-p2-r1-a1 differs"):
            store.decide(approved(proposal(1)), [queued(proposal(2))], by=BY, now=at(3))
        assert store.changes(CAMPAIGN).proposals == (proposal(1), proposal(2))
        store.decide(rejected, [], by=BY, now=at(3))
        assert kinds(store)[-1] == "rejected"

    def test_an_edit_takes_the_place_of_its_original(self, store: Store) -> None:
        begin(store)
        edit = proposal(revision=2, temperature=230.0)
        store.add_proposals([proposal()], by=BY, now=at(2))
        store.add_proposals([edit], by="person Ada", now=at(3))
        with pytest.raises(StoreError, match="was edited; decide on revision 2"):
            store.decide(approved(proposal()), [queued(proposal())], by=BY, now=at(4))
        store.decide(approved(edit), [queued(edit)], by=BY, now=at(4))
        with pytest.raises(StoreError, match="is approved; it cannot be edited"):
            store.add_proposals([proposal(revision=3)], by=BY, now=at(5))

    def test_a_batch_is_recorded_whole_or_not_at_all(self, store: Store) -> None:
        begin(store)
        with pytest.raises(StoreError, match="in the ledger already"):
            store.add_proposals([proposal(1), proposal(2), proposal(1)], by=BY, now=at(2))
        assert store.changes(CAMPAIGN).proposals == ()

    def test_a_proposal_does_not_come_approved(self, store: Store) -> None:
        begin(store)
        with pytest.raises(StoreError, match="status of new proposal dots-p1/1 differs"):
            store.add_proposals([approved(proposal())], by=BY, now=at(2))

    def test_a_new_attempt_needs_evidence(self, store: Store) -> None:
        begin(store)
        told = tell_approval(store)
        dispatched = told.run.evolve(status=RunStatus.DISPATCHED)
        store.update_run(dispatched, kind=EventKind.DISPATCHED, by=BY, now=at(4))
        closed = dispatched.evolve(status=RunStatus.SUPERSEDED)
        second = queued(told.proposal, attempt=2)
        with pytest.raises(StoreError, match="without evidence"):
            store.supersede(closed, second, by=BY, now=at(5))
        shown = closed.evolve(evidence={"host": "never heard of it"})
        with pytest.raises(StoreError, match="only together with its next attempt"):
            store.update_run(shown, kind=EventKind.SUPERSEDED, by=BY, now=at(5))
        with pytest.raises(StoreError, match="identity of the next attempt"):
            store.supersede(shown, queued(told.proposal, attempt=3), by=BY, now=at(5))
        store.supersede(shown, second, by=BY, now=at(5))
        assert store.changes(CAMPAIGN).runs == (shown, second)
        assert kinds(store)[-2:] == ["superseded", "queued"]

    def test_the_same_results_again_change_nothing(self, store: Store) -> None:
        begin(store)
        told = tell_experiment(store)
        head = store.head()
        again = [found.evolve(measurement_id="drawn anew") for found in told.measurements]
        store.ingest(told.run, again, told.readings, by=BY, now=at(60))
        assert store.head() == head

    def test_results_may_come_in_parts(self, store: Store) -> None:
        begin(store)
        told = tell_execution(store)
        ended = told.run.evolve(status=RunStatus.COMPLETED, ended_lab=6.0, ingested=True)
        store.ingest(ended, [measurement(ended)], [reading(0)], by=BY, now=at(6))
        assert store.changes(CAMPAIGN).runs == (ended,)
        store.ingest(ended, [measurement(ended), measurement(ended, "yield")], [reading(0), reading(1)], by=BY, now=at(7))
        assert [found.target for found in store.changes(CAMPAIGN).measurements] == ["wavelength", "yield"]
        assert [found.seq for found in store.readings(ended.run_key)] == [0, 1]

    def test_other_content_under_a_known_key_is_an_incident(self, store: Store) -> None:
        begin(store)
        told = tell_experiment(store)
        for number, (measured, read) in enumerate(
            (
                ([measurement(told.run, value=512.6)], []),
                ([], [reading(0, raw=b"other bytes")]),
                ([], [reading(0, value=23.5)]),
                ([measurement(told.run, "size"), measurement(told.run, "size", value=1.0)], []),
            )
        ):
            head = store.head()[0]
            with pytest.raises(StoreError, match="came again with other content"):
                store.ingest(told.run, measured, read, by=BY, now=at(70 + number))
            assert kinds(store, since=head) == ["incident"]
        with pytest.raises(StoreError, match="came again with another end"):
            store.ingest(told.run.evolve(status=RunStatus.FAILED), [], [], by=BY, now=at(80))
        changes = store.changes(CAMPAIGN)
        assert (changes.runs, changes.measurements) == ((told.run,), told.measurements)
        assert store.readings(told.run.run_key) == told.readings

    def test_a_run_that_was_not_reduced_ends_with_its_readings_only(self, store: Store) -> None:
        begin(store)
        failed = tell_execution(store).run.evolve(status=RunStatus.FAILED, reason="stalled")
        store.ingest(failed, [], [reading(0)], by=BY, now=at(6))
        head = store.head()
        store.ingest(failed, [], [reading(0)], by=BY, now=at(7))
        assert store.head() == head
        assert store.changes(CAMPAIGN).runs == (failed,)

    def test_bytes_that_do_not_have_their_digest_are_refused(self, store: Store) -> None:
        begin(store)
        told = tell_execution(store)
        ended = told.run.evolve(status=RunStatus.COMPLETED)
        with pytest.raises(StoreError, match="have the sha256"):
            store.ingest(ended, [], [reading(0, sha256="0" * 64)], by=BY, now=at(6))

    def test_readings_come_back_as_they_were(self, store: Store) -> None:
        begin(store)
        told = tell_execution(store)
        ended = told.run.evolve(status=RunStatus.COMPLETED)
        odd = (
            reading(0, value=math.inf, quality="uncertain"),
            reading(1, raw=b"", value=None, text="µ\x00\n"),
            reading(2, value=None, array=(0.1, -math.inf, 5e-324)),
        )
        store.ingest(ended, [], odd, by=BY, now=at(6))
        assert store.readings(ended.run_key) == odd
        store.ingest(ended, [], [*odd, reading(3, value=math.nan)], by=BY, now=at(7))
        value = store.readings(ended.run_key)[3].value
        assert value is not None
        assert math.isnan(value)

    def test_a_status_changes_and_a_correction_is_a_new_revision(self, store: Store) -> None:
        begin(store)
        told = tell_experiment(store)
        first = told.measurements[0]
        retracted = first.evolve(status=MeasurementStatus.RETRACTED, reason="lamp was off")
        store.update_measurement(retracted, by="person Ada", now=at(8))
        better = measurement(told.run, value=520.0, revision=2)
        store.update_measurement(better, by="person Ada", now=at(9))
        assert kinds(store)[-2:] == ["retracted", "corrected"]
        assert set(store.changes(CAMPAIGN).measurements) == {retracted, better, told.measurements[1]}
        with pytest.raises(Fault, match="retracted cannot become accepted"):
            store.update_measurement(first, by=BY, now=at(10))
        changed = better.evolve(value=1.0, status=MeasurementStatus.QUARANTINED)
        with pytest.raises(StoreError, match="content of measurement"):
            store.update_measurement(changed, by=BY, now=at(10))
        with pytest.raises(StoreError, match="wavelength/1/3 is not in the ledger"):
            store.update_measurement(measurement(told.run, revision=4), by=BY, now=at(10))
        with pytest.raises(StoreError, match="a first revision comes by ingest"):
            store.update_measurement(measurement(told.run, "size"), by=BY, now=at(10))

    def test_what_people_tell_is_recorded_whole_or_not_at_all(self, store: Store) -> None:
        begin(store)
        told = tell_experiment(store)
        by, first = "person Ada", told.measurements[0]
        second = measurement(told.run, value=514.5).evolve(replicate=2, measurement_id="second", by="Ada", known_since=7)
        better = measurement(told.run, "yield", value=0.5, revision=2)
        store.record_results([Result((second, better))], by=by, now=at(8))
        retracted = second.evolve(status=MeasurementStatus.RETRACTED, reason="wrong vial", retracted_by="Ben")
        run, (value,) = elsewhere()
        store.record_results([Result((retracted,)), Result((value,), run)], by=by, now=at(9))
        assert kinds(store)[-4:] == ["added", "corrected", "retracted", "imported"]
        changes = store.changes(CAMPAIGN)
        assert set(changes.measurements) == {first, told.measurements[1], better, retracted, value}
        assert run in changes.runs
        head = store.head()
        assert changes == store.changes_until(CAMPAIGN, head[0])
        assert changes.seqs[(run.run_key,)] == head[0]
        third = second.evolve(replicate=3, measurement_id="third")
        refused: list[tuple[Result, str]] = [
            (Result((value,), run), "is in the ledger already"),
            (Result((value,), run.evolve(run_key="other", run_id="other")), "run, replicate and revision"),
            (Result((), run.evolve(run_key="other", run_id="other", measured={})), "is no imported run"),
            (Result((measurement(told.run, revision=3),)), "is not in the ledger"),
            (Result((second.evolve(replicate=5),)), "wavelength/4/1 is not in the ledger"),
            (Result((first.evolve(run_key="nobody"),)), "is of no run of campaign"),
            (Result((second,)), "retracted cannot become accepted"),
        ]
        for result, why in refused:
            with pytest.raises(Fault, match=why):
                store.record_results([Result((third,)), result], by=by, now=at(10))
        assert store.head() == head

    def test_a_run_that_is_not_completed_has_no_values_of_people(self, store: Store) -> None:
        begin(store)
        told = tell_execution(store)
        with pytest.raises(StoreError, match="its run is running, its readings are not in the ledger yet"):
            store.record_results([Result((measurement(told.run),))], by=BY, now=at(8))

    def test_a_command_tells_a_value_beside_the_campaign_process_and_after_its_end(self, store: Store, ledgers: Ledgers) -> None:
        begin(store)
        store.take_up(CAMPAIGN, by="a process", now=at(2))
        told = tell_experiment(store)
        seen = store.changes(CAMPAIGN).seq
        other = ledgers.open()
        other.record_results([Result((measurement(told.run, value=520.0, revision=2),))], by="person Ada", now=at(8))
        other.close()
        (corrected,) = store.changes(CAMPAIGN, since=seen).measurements
        assert corrected.value == 520.0
        over = store.changes(CAMPAIGN).campaign.evolve(status=CampaignStatus.FINISHED, reason="budget spent")
        store.update_campaign(over, kind=EventKind.FINISHED, by=BY, now=at(9))
        store.record_results([Result((measurement(told.run, value=521.0, revision=3),))], by="person Ada", now=at(10))
        assert store.changes(CAMPAIGN).campaign == over

    def test_results_after_a_retraction_come_again_in_peace(self, store: Store) -> None:
        begin(store)
        told = tell_experiment(store)
        retracted = told.measurements[0].evolve(status=MeasurementStatus.RETRACTED, reason="lamp was off")
        store.update_measurement(retracted, by="person Ada", now=at(8))
        head = store.head()
        store.ingest(told.run, told.measurements, told.readings, by=BY, now=at(9))
        assert store.head() == head

    def test_whoever_was_fenced_off_writes_no_more(self, store: Store, ledgers: Ledgers) -> None:
        running = begin(store)
        assert store.take_up(CAMPAIGN, by="first", now=at(2)) == 1
        told = tell_execution(store)
        other = ledgers.open()
        assert other.take_up(CAMPAIGN, by="second", now=at(6)) == 2
        ended = told.run.evolve(status=RunStatus.COMPLETED)
        head = store.head()
        writes: tuple[Callable[[], object], ...] = (
            lambda: store.update_campaign(running, kind=EventKind.ADAPTED, by=BY, now=at(7)),
            lambda: store.add_proposals([proposal(2)], by=BY, now=at(7)),
            lambda: store.decide(told.proposal, [], by=BY, now=at(7)),
            lambda: store.update_run(ended, kind=EventKind.COMPLETED, by=BY, now=at(7)),
            lambda: store.supersede(ended, told.run, by=BY, now=at(7)),
            lambda: store.ingest(ended, [], [], by=BY, now=at(7)),
            lambda: store.update_measurement(measurement(ended), by=BY, now=at(7)),
        )
        for write in writes:
            with pytest.raises(StoreError, match=r"campaign dots was taken up by another process \(fence 2 > 1\)"):
                write()
        assert store.head() == head
        other.ingest(ended, [], [], by="second", now=at(8))
        assert store.take_up(CAMPAIGN, by="first", now=at(9)) == 3
        other.close()

    def test_a_command_asks_for_a_pause_beside_the_campaign_process(self, store: Store, ledgers: Ledgers) -> None:
        running = begin(store)
        command = ledgers.open()
        store.take_up(CAMPAIGN, by="campaign", now=at(2))
        paused = running.evolve(status=CampaignStatus.PAUSED, reason="pause")
        command.update_campaign(paused, kind=EventKind.PAUSED, by="person Ada", now=at(3), payload={"why": "lunch"})
        changes = store.changes(CAMPAIGN)
        assert changes.campaign == paused.evolve(fence=1), "an older record does not take the fence back"
        event = list(store.events(CAMPAIGN))[-1]
        assert (event.kind, event.by, event.payload["details"]) == ("paused", "person Ada", {"why": "lunch"})
        command.close()

    def test_what_was_learnt_takes_no_pause_back_that_was_asked_for_meanwhile(self, store: Store) -> None:
        running = begin(store)
        paused = running.evolve(status=CampaignStatus.PAUSED, reason="pause")
        store.update_campaign(paused, kind=EventKind.PAUSED, by="person Ada", now=at(3))
        learnt = running.evolve(adapted=7, adapted_counts="events")
        store.update_campaign(learnt, kind=EventKind.ADAPTED, by=BY, now=at(4))
        assert store.changes(CAMPAIGN).campaign == paused.evolve(adapted=7, adapted_counts="events")

    @pytest.mark.parametrize("kind", [EventKind.DRIFTED, EventKind.DRIFT_ANSWERED])
    def test_an_alarm_takes_no_pause_back_that_was_asked_for_meanwhile(self, store: Store, kind: EventKind) -> None:
        running, known = begin(store), {"run_key": "1", "number": 4, "since": "0", "since_number": 3, "size": 6.0, "limit": 5.0}
        paused = running.evolve(status=CampaignStatus.PAUSED, reason="pause")
        store.update_campaign(paused, kind=EventKind.PAUSED, by="person Ada", now=at(3))
        drifts = (DriftAlarm.model_validate({"target": "y", "then": "tell", **known}),)
        store.update_campaign(running.evolve(drifts=drifts), kind=kind, by=BY, now=at(4))
        assert store.changes(CAMPAIGN).campaign == paused.evolve(drifts=drifts)

    def test_a_snapshot_stands_in_one_event_only(self, store: Store) -> None:
        running = begin(store)
        store.take_up(CAMPAIGN, by=BY, now=at(2))
        changed = running.evolve(snapshot={"campaign.toml": "budget = 4\n"})
        store.update_campaign(changed, kind=EventKind.AMENDED, by=BY, now=at(3))
        held = [event.payload["documents"]["campaigns"][0]["snapshot"] for event in store.events()]
        assert [set(snapshot) == {"sha256"} for snapshot in held] == [False, True, True, False]
        assert store.changes(CAMPAIGN).campaign == changed.evolve(fence=1)

    def test_what_json_cannot_hold_is_refused_whole(self, store: Store) -> None:
        running = begin(store)
        head = store.head()
        for odd in ({"x": math.nan}, {"x": object()}, {"x": "\ud800"}):
            with pytest.raises(StoreError, match="cannot be written as JSON"):
                store.update_campaign(running, kind=EventKind.ADAPTED, by=BY, now=at(2), payload=odd)
        assert store.head() == head

    def test_many_events_are_read_in_order(self, store: Store) -> None:
        running = begin(store)
        for number in range(1010):
            store.update_campaign(running, kind=EventKind.ADAPTED, by=BY, now=at(number))
        assert [event.seq for event in store.events(CAMPAIGN)] == list(range(1, 1013))
        assert len(list(store.events(CAMPAIGN, since=12))) == 1000
