"""What a ledger refuses: illegal steps, other content under a known key, and processes that were fenced off.

One transaction changes the state and appends its events. The rules stand here once; SQL and memory only differ in how a
transaction is carried out (`orchestrator.store.ledger`).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, Self

from typing_extensions import override

from orchestrator.clock import Instant
from orchestrator.domain.events import Actor, EventKind
from orchestrator.domain.lifecycle import CAMPAIGN_STEPS, RunStatus, advance
from orchestrator.domain.records import CampaignRecord, ExperimentRun, Measurement, Proposal, Reading
from orchestrator.domain.restriction import Restriction
from orchestrator.domain.review import Answer, Page, Person, ReviewRequest
from orchestrator.domain.values import Frozen
from orchestrator.domain.work import WorkAnswer
from orchestrator.errors import BadInput, StoreError
from orchestrator.ports import Changes, Result, Store, StoredEvent
from orchestrator.store import reviewing, working
from orchestrator.store.chain import read_event
from orchestrator.store.checks import (
    campaign_of,
    changed,
    check_correction,
    check_imported,
    check_new_revision,
    check_result,
    check_run_step,
    check_successor,
    everything,
    get,
    known,
    no_campaign,
    numbered,
)
from orchestrator.store.documents import CAMPAIGNS, FOLLOWED, PAGES, PEOPLE, kept_of, load_reading
from orchestrator.store.event_writer import EventWriter
from orchestrator.store.history import changes_of, rebuild
from orchestrator.store.ingesting import Incident, ingest
from orchestrator.store.ledger import Reader, Writer

_EVENTS_AT_ONCE: Final = 500
"""Events are read by this many, each time in a transaction of its own: a slow reader must hold nothing open."""


class LedgerStore(Store):
    """A Store over transactions that a subclass carries out."""

    def __init__(self) -> None:
        self._fences: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def reading(self) -> AbstractContextManager[Reader]:
        """Look at one moment's state."""
        raise NotImplementedError

    def writing(self) -> AbstractContextManager[Writer]:
        """Change the state, alone; all of it or, when an exception leaves the block, nothing."""
        raise NotImplementedError

    @override
    def changes(self, campaign: str, *, since: int = 0) -> Changes:
        with self.reading() as ledger:
            seq, record = ledger.head()[0], campaign_of(ledger, campaign)
            return changes_of(seq, record, {name: changed(ledger, kept, campaign, since) for name, kept in FOLLOWED.items()})

    @override
    def changes_until(self, campaign: str, seq: int) -> Changes:
        return rebuild(self.events(campaign), campaign, seq)

    @override
    def campaigns(self) -> tuple[CampaignRecord, ...]:
        with self.reading() as ledger:
            return everything(ledger, CAMPAIGNS)

    @override
    def readings(self, run_key: str) -> tuple[Reading, ...]:
        with self.reading() as ledger:
            return tuple(load_reading(kept, raw) for kept, raw in ledger.readings(run_key))

    @override
    def events(self, campaign: str | None = None, *, since: int = 0) -> Iterator[StoredEvent]:
        while True:
            with self.reading() as ledger:
                links = ledger.links(campaign, since, _EVENTS_AT_ONCE)
            yield from map(read_event, links)
            if len(links) < _EVENTS_AT_ONCE:
                return
            since = links[-1].seq

    @override
    def head(self) -> tuple[int, str]:
        with self.reading() as ledger:
            return ledger.head()

    @override
    def page(self, sha256: str) -> Page:
        with self.reading() as ledger:
            found = get(ledger, PAGES, sha256)
        if found is None:
            raise BadInput(f"there is no decision page {sha256!r} in this ledger")
        return found

    @override
    def people(self) -> tuple[Person, ...]:
        with self.reading() as ledger:
            return everything(ledger, PEOPLE)

    @contextmanager
    def _writing(self, campaign: str, by: str, now: Instant) -> Iterator[EventWriter]:
        """Write about a campaign that no other process has taken up meanwhile."""
        with self.writing() as ledger:
            self._guard(ledger, campaign)
            yield EventWriter(ledger, by, now)

    def _guard(self, ledger: Reader, campaign: str) -> None:
        """Refuse when another process has taken the campaign up; a store that never did may write a person's requests."""
        fence, own = ledger.fence(campaign), self._fences.get(campaign)
        if fence is None:
            raise no_campaign(ledger, campaign)
        if own is not None and fence > own:
            raise StoreError(f"campaign {campaign} was taken up by another process (fence {fence} > {own})")

    # ----------------------------------------------------------------- campaigns

    @override
    def create_campaign(self, record: CampaignRecord, *, by: str, now: Instant) -> None:
        with self.writing() as ledger:
            if ledger.fence(record.name) is not None:
                raise StoreError(f"campaign {record.name} is in the ledger already")
            EventWriter(ledger, by, now).record(EventKind.CAMPAIGN_CREATED, record)

    @override
    def take_up(self, campaign: str, *, by: str, now: Instant) -> int:
        with self.writing() as ledger:
            stored = campaign_of(ledger, campaign)
            taken = stored.evolve(fence=stored.fence + 1)
            details = {"fence": taken.fence}
            EventWriter(ledger, by, now).record(EventKind.CAMPAIGN_TAKEN_UP, taken, details=details, abridged=True)
        self._fences[campaign] = taken.fence
        return taken.fence

    @override
    def update_campaign(
        self, record: CampaignRecord, *, kind: EventKind, by: str, now: Instant, payload: Mapping[str, Any] | None = None
    ) -> None:
        with self._writing(record.name, by, now) as writer:
            stored = campaign_of(writer.ledger, record.name)
            if kind is EventKind.ADAPTED:  # learning takes long: who paused or amended the campaign meanwhile has said the rest
                advice = record.advice if record.snapshot == stored.snapshot else None
                record = stored.evolve(adapted=record.adapted, adapted_counts=record.adapted_counts, advice=advice)
            if kind in (EventKind.DRIFTED, EventKind.DRIFT_ANSWERED):  # so does looking for a drift
                record = stored.evolve(drifts=record.drifts)
            if record.status != stored.status:
                advance(CAMPAIGN_STEPS, stored.status, record.status, what=f"campaign {record.name}")
            kept = record.evolve(fence=stored.fence)  # only `take_up` moves it: the record may have been read before
            writer.record(kind, kept, details=payload, abridged=kept.snapshot == stored.snapshot)

    @override
    def add_proposals(self, proposals: Sequence[Proposal], *, by: str, now: Instant) -> None:
        with self.writing() as ledger:
            for proposal in proposals:
                self._guard(ledger, proposal.campaign)
                check_new_revision(ledger, proposal)
                EventWriter(ledger, by, now).record(EventKind.PROPOSED, numbered(ledger, proposal))

    @override
    def restrict(self, restriction: Restriction, *, by: str, now: Instant) -> Restriction:
        with self._writing(restriction.campaign, by, now) as writer:
            return reviewing.record_restriction(writer, restriction)

    # ----------------------------------------------------------------- review

    @override
    def decide(self, proposal: Proposal, runs: Sequence[ExperimentRun], *, by: str, now: Instant) -> None:
        with self._writing(proposal.campaign, by, now) as writer:
            reviewing.record_decision(writer, proposal)
            for run in runs:
                reviewing.record_queued(writer, run, proposal)

    @override
    def take_back(
        self, proposal: Proposal, runs: Sequence[ExperimentRun], successor: Proposal | None, *, by: str, now: Instant, reason: str
    ) -> None:
        with self._writing(proposal.campaign, by, now) as writer:
            reviewing.take_back(writer, proposal, runs, successor, reason)

    @override
    def open_request(self, request: ReviewRequest, page: Page, *, by: str, now: Instant) -> None:
        with self._writing(request.campaign, by, now) as writer:
            reviewing.open_request(writer, request, page)

    @override
    def update_request(self, request: ReviewRequest, *, kind: EventKind, by: str, now: Instant) -> None:
        with self._writing(request.campaign, by, now) as writer:
            reviewing.update_request(writer, request, kind)

    @override
    def answer(self, answer: Answer, *, code: str | None, now: Instant) -> Answer:
        with self._writing(answer.campaign, Actor.person(answer.reviewer), now) as writer:
            return reviewing.record_answer(writer, answer, code)

    @override
    def settle(
        self,
        request: ReviewRequest,
        answer: Answer | None,
        proposals: Sequence[Proposal],
        runs: Sequence[ExperimentRun],
        restrictions: Sequence[Restriction] = (),
        *,
        by: str,
        now: Instant,
    ) -> None:
        with self._writing(request.campaign, by, now) as writer:
            reviewing.record_settlement(writer, request, answer, proposals, runs)
            for restriction in restrictions:
                reviewing.record_restriction(writer, restriction)

    @override
    def keep(self, value: Frozen, *, kind: EventKind, by: str, now: Instant, reason: str | None = None) -> None:
        kept = kept_of(value)
        if not kept.is_free:
            raise StoreError(f"table {kept.table} has rules of its own; nothing was written")
        with self.writing() as ledger:
            if kept.owner:
                self._guard(ledger, kept.campaign(value))
            EventWriter(ledger, by, now).record(kind, value, said=reason)

    # ----------------------------------------------------------------- people's steps

    @override
    def answer_work(self, answer: WorkAnswer, *, code: str | None, now: Instant, stand_in: bool = False) -> WorkAnswer:
        by = Actor(answer.person) if stand_in else Actor.person(answer.person)
        with self._writing(answer.campaign, by, now) as writer:
            return working.record_work(writer, answer, code, asks_code=not stand_in)

    @override
    def settle_work(self, answer: WorkAnswer, *, by: str, now: Instant) -> None:
        with self._writing(answer.campaign, by, now) as writer:
            working.settle_work(writer, answer)

    # ----------------------------------------------------------------- runs

    @override
    def update_run(self, run: ExperimentRun, *, kind: EventKind, by: str, now: Instant, payload: Mapping[str, Any] | None = None) -> None:
        if run.status is RunStatus.SUPERSEDED:
            raise StoreError(f"run {run.run_key} can be superseded only together with its next attempt")
        with self._writing(run.campaign, by, now) as writer:
            check_run_step(known(writer.ledger, run), run)
            writer.record(kind, run, details=payload)

    @override
    def supersede(self, run: ExperimentRun, successor: ExperimentRun, *, by: str, now: Instant) -> None:
        with self._writing(run.campaign, by, now) as writer:
            check_run_step(known(writer.ledger, run), run)
            check_successor(writer.ledger, run, successor)
            writer.record(EventKind.SUPERSEDED, run, details={"evidence": run.evidence, "successor": successor.run_key})
            writer.record(EventKind.QUEUED, successor)

    @override
    def ingest(
        self, run: ExperimentRun, measurements: Sequence[Measurement], readings: Sequence[Reading], *, by: str, now: Instant
    ) -> None:
        try:
            with self._writing(run.campaign, by, now) as writer:
                ingest(writer, run, measurements, readings)
        except Incident as incident:
            with self.writing() as ledger:
                EventWriter(ledger, by, now).record(EventKind.INCIDENT, about=run, details={"what": str(incident)})
            raise

    @override
    def record_results(self, results: Sequence[Result], *, by: str, now: Instant) -> None:
        with self.writing() as ledger:
            for campaign in sorted({result.campaign for result in results}):
                self._guard(ledger, campaign)
            writer = EventWriter(ledger, by, now)
            for result in results:
                if result.run is not None:
                    check_imported(ledger, result.run, result.measurements)
                    writer.record(EventKind.IMPORTED, result.run, *result.measurements)
                    continue
                for measurement in result.measurements:
                    writer.record(check_result(ledger, measurement), measurement)

    @override
    def update_measurement(self, measurement: Measurement, *, by: str, now: Instant, payload: Mapping[str, Any] | None = None) -> None:
        with self._writing(measurement.campaign, by, now) as writer:
            writer.record(check_correction(writer.ledger, measurement), measurement, details=payload)
