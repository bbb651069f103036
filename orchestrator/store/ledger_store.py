"""What a ledger refuses: illegal steps, other content under a known key, and processes that were fenced off.

One transaction changes the state and appends its events. The rules stand here once; SQL and memory only differ in how a
transaction is carried out (`orchestrator.store.ledger`).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Self

from typing_extensions import override

from orchestrator.clock import Instant
from orchestrator.domain.lifecycle import CAMPAIGN_STEPS, RunStatus, advance
from orchestrator.domain.records import CampaignRecord, ExperimentRun, Measurement, Proposal, Reading
from orchestrator.domain.restriction import Restriction
from orchestrator.domain.review import Answer, Page, Person, ReviewRequest
from orchestrator.errors import StoreError
from orchestrator.ports import Changes, Store, StoredEvent
from orchestrator.store import reviewing
from orchestrator.store.chain import read_event
from orchestrator.store.checks import (
    campaign_of,
    check_correction,
    check_decision,
    check_new_revision,
    check_queued,
    check_run_step,
    check_successor,
    known,
    no_campaign,
    numbered,
)
from orchestrator.store.documents import (
    ANSWERS,
    CAMPAIGNS,
    MEASUREMENTS,
    PAGES,
    PEOPLE,
    PROPOSALS,
    REQUESTS,
    RESTRICTIONS,
    RUNS,
    load_reading,
)
from orchestrator.store.event_writer import Entry, Pen
from orchestrator.store.history import rebuild
from orchestrator.store.ingesting import Incident, ingest
from orchestrator.store.ledger import Reader, Writer

EVENTS_AT_ONCE: Final = 500
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
            return Changes(
                seq=ledger.head()[0],
                campaign=campaign_of(ledger, campaign),
                proposals=tuple(PROPOSALS.load(text) for text in ledger.changed(PROPOSALS.table, campaign, since)),
                runs=tuple(RUNS.load(text) for text in ledger.changed(RUNS.table, campaign, since)),
                measurements=tuple(MEASUREMENTS.load(text) for text in ledger.changed(MEASUREMENTS.table, campaign, since)),
                requests=tuple(REQUESTS.load(text) for text in ledger.changed(REQUESTS.table, campaign, since)),
                answers=tuple(ANSWERS.load(text) for text in ledger.changed(ANSWERS.table, campaign, since)),
                restrictions=tuple(RESTRICTIONS.load(text) for text in ledger.changed(RESTRICTIONS.table, campaign, since)),
            )

    @override
    def changes_until(self, campaign: str, seq: int) -> Changes:
        return rebuild(self.events(campaign), campaign, seq)

    @override
    def campaigns(self) -> tuple[CampaignRecord, ...]:
        with self.reading() as ledger:
            return tuple(CAMPAIGNS.load(text) for text in ledger.everything(CAMPAIGNS.table))

    @override
    def readings(self, run_key: str) -> tuple[Reading, ...]:
        with self.reading() as ledger:
            return tuple(load_reading(kept, raw) for kept, raw in ledger.readings(run_key))

    @override
    def events(self, campaign: str | None = None, *, since: int = 0) -> Iterator[StoredEvent]:
        while True:
            with self.reading() as ledger:
                links = ledger.links(campaign, since, EVENTS_AT_ONCE)
            yield from map(read_event, links)
            if len(links) < EVENTS_AT_ONCE:
                return
            since = links[-1].seq

    @override
    def head(self) -> tuple[int, str]:
        with self.reading() as ledger:
            return ledger.head()

    @override
    def create_campaign(self, record: CampaignRecord, *, by: str, now: Instant) -> None:
        with self.writing() as ledger:
            if ledger.fence(record.name) is not None:
                raise StoreError(f"campaign {record.name} is in the ledger already")
            Pen(ledger, by, now).record("campaign-created", record.name, record.name, [Entry(CAMPAIGNS, record)])

    @override
    def take_up(self, campaign: str, *, by: str, now: Instant) -> int:
        with self.writing() as ledger:
            stored = campaign_of(ledger, campaign)
            taken = stored.evolve(fence=stored.fence + 1)
            entry = Entry(CAMPAIGNS, taken, abridged=True)
            Pen(ledger, by, now).record("campaign-taken-up", campaign, campaign, [entry], details={"fence": taken.fence})
        self._fences[campaign] = taken.fence
        return taken.fence

    @override
    def update_campaign(
        self, record: CampaignRecord, *, kind: str, by: str, now: Instant, payload: Mapping[str, Any] | None = None
    ) -> None:
        with self.writing() as ledger:
            self._guard(ledger, record.name)
            stored = campaign_of(ledger, record.name)
            if record.status != stored.status:
                advance(CAMPAIGN_STEPS, stored.status, record.status, what=f"campaign {record.name}")
            kept = record.evolve(fence=stored.fence)  # only `take_up` moves it: the record may have been read before
            entry = Entry(CAMPAIGNS, kept, abridged=kept.snapshot == stored.snapshot)
            Pen(ledger, by, now).record(kind, record.name, record.name, [entry], details=payload)

    @override
    def add_proposals(self, proposals: Sequence[Proposal], *, by: str, now: Instant) -> None:
        with self.writing() as ledger:
            pen = Pen(ledger, by, now)
            for proposal in proposals:
                self._guard(ledger, proposal.campaign)
                check_new_revision(ledger, proposal)
                entry = Entry(PROPOSALS, numbered(ledger, proposal))
                pen.record("proposed", proposal.campaign, proposal.proposal_id, [entry])

    @override
    def decide(self, proposal: Proposal, runs: Sequence[ExperimentRun], *, by: str, now: Instant) -> None:
        with self.writing() as ledger:
            self._guard(ledger, proposal.campaign)
            check_decision(ledger, proposal)
            pen = Pen(ledger, by, now)
            entry = Entry(PROPOSALS, proposal)
            pen.record(proposal.status, proposal.campaign, proposal.proposal_id, [entry], details={"reason": proposal.reason})
            for run in runs:
                check_queued(ledger, run, proposal)
                pen.record("queued", run.campaign, run.run_key, [Entry(RUNS, run)])

    @override
    def take_back(
        self, proposal: Proposal, runs: Sequence[ExperimentRun], successor: Proposal | None, *, by: str, now: Instant, reason: str
    ) -> None:
        with self.writing() as ledger:
            self._guard(ledger, proposal.campaign)
            reviewing.take_back(Pen(ledger, by, now), proposal, runs, successor, reason)

    @override
    def open_request(self, request: ReviewRequest, page: Page, *, by: str, now: Instant) -> None:
        with self.writing() as ledger:
            self._guard(ledger, request.campaign)
            reviewing.open_request(Pen(ledger, by, now), request, page)

    @override
    def update_request(self, request: ReviewRequest, *, kind: str, by: str, now: Instant) -> None:
        with self.writing() as ledger:
            self._guard(ledger, request.campaign)
            reviewing.update_request(Pen(ledger, by, now), request, kind)

    @override
    def answer(self, answer: Answer, *, code: str | None, now: Instant) -> Answer:
        with self.writing() as ledger:
            self._guard(ledger, answer.campaign)
            return reviewing.record_answer(Pen(ledger, f"person {answer.reviewer}", now), answer, code)

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
        with self.writing() as ledger:
            self._guard(ledger, request.campaign)
            pen = Pen(ledger, by, now)
            reviewing.settle(pen, request, answer, proposals, runs)
            for restriction in restrictions:
                reviewing.restrict(pen, restriction)

    @override
    def restrict(self, restriction: Restriction, *, by: str, now: Instant) -> Restriction:
        with self.writing() as ledger:
            self._guard(ledger, restriction.campaign)
            return reviewing.restrict(Pen(ledger, by, now), restriction)

    @override
    def page(self, sha256: str) -> Page:
        with self.reading() as ledger:
            return reviewing.load(ledger, PAGES, sha256)

    @override
    def people(self) -> tuple[Person, ...]:
        with self.reading() as ledger:
            return tuple(map(PEOPLE.load, ledger.everything(PEOPLE.table)))

    @override
    def keep_person(self, person: Person, *, kind: str, by: str, now: Instant) -> None:
        with self.writing() as ledger:
            reviewing.keep_person(Pen(ledger, by, now), person, kind)

    @override
    def update_run(self, run: ExperimentRun, *, kind: str, by: str, now: Instant, payload: Mapping[str, Any] | None = None) -> None:
        if run.status is RunStatus.SUPERSEDED:
            raise StoreError(f"run {run.run_key} can be superseded only together with its next attempt")
        with self.writing() as ledger:
            self._guard(ledger, run.campaign)
            check_run_step(known(ledger, RUNS, run), run)
            Pen(ledger, by, now).record(kind, run.campaign, run.run_key, [Entry(RUNS, run)], details=payload)

    @override
    def supersede(self, run: ExperimentRun, successor: ExperimentRun, *, by: str, now: Instant) -> None:
        with self.writing() as ledger:
            self._guard(ledger, run.campaign)
            check_run_step(known(ledger, RUNS, run), run)
            check_successor(ledger, run, successor)
            pen = Pen(ledger, by, now)
            details = {"evidence": run.evidence, "successor": successor.run_key}
            pen.record("superseded", run.campaign, run.run_key, [Entry(RUNS, run)], details=details)
            pen.record("queued", run.campaign, successor.run_key, [Entry(RUNS, successor)])

    @override
    def ingest(
        self, run: ExperimentRun, measurements: Sequence[Measurement], readings: Sequence[Reading], *, by: str, now: Instant
    ) -> None:
        try:
            with self.writing() as ledger:
                self._guard(ledger, run.campaign)
                ingest(Pen(ledger, by, now), run, measurements, readings)
        except Incident as incident:
            self._record_incident(run, str(incident), by=by, now=now)
            raise

    @override
    def update_measurement(
        self, measurement: Measurement, *, kind: str, by: str, now: Instant, payload: Mapping[str, Any] | None = None
    ) -> None:
        with self.writing() as ledger:
            self._guard(ledger, measurement.campaign)
            check_correction(ledger, measurement)
            subject, entry = measurement.run_key, Entry(MEASUREMENTS, measurement)
            Pen(ledger, by, now).record(kind, measurement.campaign, subject, [entry], details=payload)

    def _guard(self, ledger: Reader, campaign: str) -> None:
        """Refuse when another process has taken the campaign up; a store that never did may write a person's requests."""
        fence, own = ledger.fence(campaign), self._fences.get(campaign)
        if fence is None:
            raise no_campaign(ledger, campaign)
        if own is not None and fence > own:
            raise StoreError(f"campaign {campaign} was taken up by another process (fence {fence} > {own})")

    def _record_incident(self, run: ExperimentRun, what: str, *, by: str, now: Instant) -> None:
        with self.writing() as ledger:
            Pen(ledger, by, now).record("incident", run.campaign, run.run_key, details={"what": what})
