"""The ports: what the loop needs of policies, benches, stores and clocks. Plain values, no tensors."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.clock import Clock, Instant
from orchestrator.domain.drift import DriftAlarm
from orchestrator.domain.events import EventKind
from orchestrator.domain.records import (
    CampaignRecord,
    ExperimentRun,
    Measurement,
    Prediction,
    Proposal,
    Reading,
    RunReport,
    RunRequest,
)
from orchestrator.domain.restriction import Restriction
from orchestrator.domain.review import Answer, Page, Person, ReviewRequest
from orchestrator.domain.stop import Advice
from orchestrator.domain.values import Configuration, Frozen
from orchestrator.domain.work import WorkAnswer
from orchestrator.errors import BadInput
from orchestrator.history import Changes, History, Infeasible, Knowledge, Observation
from orchestrator.suggestions import Explanation, Outlook, Spread, Suggestion

__all__ = [
    "Bench",
    "CampaignStore",
    "Changes",
    "Clock",
    "Cost",
    "DriftWatch",
    "Infeasible",
    "Instant",
    "Knowledge",
    "Observation",
    "Policy",
    "ReadStore",
    "Result",
    "ReviewStore",
    "RunStore",
    "Store",
    "StoredEvent",
]


class Cost(Protocol):
    """What experiments cost, in money or in lab time; known before they are carried out."""

    @property
    def unit(self) -> str:
        """Of the amounts."""
        ...

    def amounts(self, batch: Sequence[Configuration], after: Configuration | None) -> tuple[float, ...]:
        """Return what each configuration would cost if it came after another one; infinite where the bench refuses it.

        Args:
            batch: Each by itself.
            after: The state that the bench will be in; None for as it is before the first experiment.
        """
        ...

    def left(self, carried: Sequence[Configuration]) -> float:
        """Return which share of the budget is left after some experiments, in their order: 0 to 1."""
        ...


class Policy(Protocol):
    """What to measure next: a function of knowledge, seed and settings alone."""

    @property
    def name(self) -> str:
        """Name and version, for example `bayesian/1`."""
        ...

    @property
    def settings(self) -> dict[str, Any]:
        """All settings, JSON-able, from which an equal policy is built."""
        ...

    def propose(self, knowledge: Knowledge, *, count: int, seed: int) -> tuple[Suggestion, ...]:
        """Propose `count` configurations that the bench tells apart, fewer only where there are no more such."""
        ...

    def adapt(self, knowledge: Knowledge) -> Mapping[str, Any]:  # noqa: ARG002 - most policies learn nothing before they are asked
        """Learn from what is known now and return what the ledger should keep of it; empty where nothing is learned ahead."""
        return {}

    def explain(
        self,
        knowledge: Knowledge,  # noqa: ARG002 - a draw has no reason
        batch: Sequence[Configuration],  # noqa: ARG002
        *,
        seed: int,  # noqa: ARG002
        only: Collection[int] | None = None,  # noqa: ARG002
    ) -> tuple[Explanation, ...]:
        """Say why configurations of a batch were proposed, given what was known before it; empty where there is no model.

        Args:
            knowledge: What was known.
            batch: All of it, in the order in which it was proposed: each was chosen beside those before it.
            seed: What the batch was asked for with.
            only: Which of it are explained; None for all.
        """
        return ()

    def predict(self, knowledge: Knowledge, batch: Sequence[Configuration]) -> tuple[Mapping[str, Prediction], ...]:  # noqa: ARG002 - a draw expects nothing
        """Say what is expected of a new measurement at each given configuration, whoever chose it; empty where there is no model."""
        return ()

    def spreads(self, knowledge: Knowledge, batch: Sequence[Configuration]) -> tuple[Mapping[str, Spread], ...]:  # noqa: ARG002 - a draw expects nothing
        """Say of what the uncertainties of `predict` are made, by target; empty where there is no model."""
        return ()

    def outlook(self, knowledge: Knowledge, batch: Sequence[Configuration]) -> tuple[Outlook, ...]:  # noqa: ARG002 - a draw expects nothing
        """Say what is expected of the objective at each given configuration, whoever chose it; empty where there is no model."""
        return ()

    def advice(self, knowledge: Knowledge, *, improvement: float, seed: int) -> Advice | None:  # noqa: ARG002 - a draw expects nothing
        """Say what further experiments may still bring, given an improvement that is worth one; None where there is no model yet."""
        return None


class DriftWatch(Protocol):
    """Looks whether a bench differs from its twin in another way than before."""

    def alarm(self, history: History) -> DriftAlarm | None:
        """Return the first alarm that the history has not; None where there is none. The same history gives the same."""
        ...

    def recalibrated(self, history: History, alarm: DriftAlarm) -> str | None:
        """Write a revision of the twin that has learned since an alarm's drift began, once, and return how a bench file names it.

        None while there are too few runs to learn from.

        Raises:
            BadInput: There is nothing to learn.
        """
        ...


class Bench(Protocol):
    """Carries out approved steps; the same answers from wires and from recorded tables."""

    def submit(self, request: RunRequest) -> RunReport:
        """Hand over a run, idempotent by run key."""
        ...

    def report(self, run_key: str, *, after: int = -1, wait: float = 0.0) -> RunReport | None:
        """Return what is known of a run, waiting up to `wait` wall seconds for a revision above `after`; None if unknown."""
        ...

    def readings(self, run_key: str) -> tuple[Reading, ...]:
        """Return all raw readings of a run."""
        ...

    def stored(self, run_key: str) -> None:
        """Tell the bench that the ledger has the readings."""
        ...

    def abort(self, run_key: str, *, reason: str) -> None:
        """End a run now."""
        ...

    def resolve(self, run_key: str, *, verdict: str, reason: str, by: str) -> RunReport:
        """Settle an unknown run: verdict is done, not-done or discard."""
        ...

    def stop(self, *, reason: str) -> None:
        """Drive the safe state and latch."""
        ...

    def answer(self, answer: WorkAnswer) -> RunReport:
        """Take what a person says of a step that waits for one; the same answer again changes nothing.

        Raises:
            BadInput, HostError: The step waits for no such answer.
        """
        raise BadInput(f"run {answer.run_key}: nobody is asked anything on this bench")

    def warm(self) -> bool:
        """Begin to warm a parked bench up, since a run was approved; return whether there is anything to do."""
        return False


@dataclass(frozen=True, slots=True)
class Result:
    """Values that people tell of one run."""

    measurements: tuple[Measurement, ...]
    """New replicates, next revisions, or other statuses."""
    run: ExperimentRun | None = None
    """An experiment that was done elsewhere and is new to the ledger; None where the ledger has the run."""

    @property
    def campaign(self) -> str:
        """Whose they are."""
        return self.measurements[0].campaign if self.run is None else self.run.campaign


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One link of the ledger's chain."""

    seq: int
    kind: str
    """An `EventKind`; some go on with `: ` and what somebody said."""
    campaign: str
    subject: str
    payload: Mapping[str, Any]
    wall: str
    lab: float
    by: str
    previous: str
    digest: str


class ReadStore(Protocol):
    """Looks into the ledger."""

    def changes(self, campaign: str, *, since: int = 0) -> Changes:
        """Return what changed after `since`; BadInput when there is no such campaign."""
        ...

    def changes_until(self, campaign: str, seq: int) -> Changes:
        """Return what `changes` returned when `seq` was the last event: what a proposal could know then."""
        ...

    def campaigns(self) -> tuple[CampaignRecord, ...]:
        """Return all campaigns of the lab."""
        ...

    def readings(self, run_key: str) -> tuple[Reading, ...]:
        """Return the stored raw readings of a run."""
        ...

    def page(self, sha256: str) -> Page:
        """Return a stored decision page; BadInput when there is none."""
        ...

    def people(self) -> tuple[Person, ...]:
        """Return all who may or might sign, revoked ones included."""
        ...

    def events(self, campaign: str | None = None, *, since: int = 0) -> Iterator[StoredEvent]:
        """Iterate over events in order."""
        ...

    def head(self) -> tuple[int, str]:
        """Return the last event's sequence number and hash."""
        ...


class CampaignStore(ReadStore, Protocol):
    """Begins campaigns and says where they stand."""

    def create_campaign(self, record: CampaignRecord, *, by: str, now: Instant) -> None:
        """Begin a campaign."""
        ...

    def take_up(self, campaign: str, *, by: str, now: Instant) -> int:
        """Raise and return the campaign's fencing number; every later change needs it."""
        ...

    def update_campaign(
        self, record: CampaignRecord, *, kind: EventKind, by: str, now: Instant, payload: Mapping[str, Any] | None = None
    ) -> None:
        """Replace a campaign's state by a legal step."""
        ...


class ReviewStore(ReadStore, Protocol):
    """Records what is proposed, and what people and rules decide of it."""

    def add_proposals(self, proposals: Sequence[Proposal], *, by: str, now: Instant) -> None:
        """Record a batch in one transaction; a number that is taken becomes the next free one."""
        ...

    def decide(self, proposal: Proposal, runs: Sequence[ExperimentRun], *, by: str, now: Instant) -> None:
        """Record a decision on a proposal and, with an approval, its queued runs, in one transaction."""
        ...

    def take_back(
        self, proposal: Proposal, runs: Sequence[ExperimentRun], successor: Proposal | None, *, by: str, now: Instant, reason: str
    ) -> None:
        """End an approval none of whose runs was dispatched, and record the revision that takes its place, in one transaction."""
        ...

    def open_request(self, request: ReviewRequest, page: Page, *, by: str, now: Instant) -> None:
        """Record a question to people and the page that they are to see."""
        ...

    def update_request(self, request: ReviewRequest, *, kind: EventKind, by: str, now: Instant) -> None:
        """Replace a request's state by a legal step; an answer that came meanwhile stays."""
        ...

    def answer(self, answer: Answer, *, code: str | None, now: Instant) -> Answer:
        """Record what a person answered, received when it is the first and valid, else refused with the reason."""
        ...

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
        """Record what an answer or a deadline brought, at once: request, answer, proposals, queued runs, what refusals avoid."""
        ...

    def restrict(self, restriction: Restriction, *, by: str, now: Instant) -> Restriction:
        """Record what is taken out of the search, numbered, or that it is lifted; return it as recorded."""
        ...

    def keep(self, value: Frozen, *, kind: EventKind, by: str, now: Instant, reason: str | None = None) -> None:
        """Record a value, new or changed, of a table without rules of its own, and why where that is said."""
        ...


class RunStore(ReadStore, Protocol):
    """Records what became of runs and what they measured."""

    def answer_work(self, answer: WorkAnswer, *, code: str | None, now: Instant, stand_in: bool = False) -> WorkAnswer:
        """Record what is said of a step, received when it is the first and they may, else refused with the reason.

        Args:
            answer: By a person, or by a dry lab's stand-in.
            code: A one-time code from the person's sheet.
            now: When.
            stand_in: Whether a dry lab's stand-in says it: it has no code, and no person has its name.

        Raises:
            BadInput: No such run, or a person under a stand-in's name.
        """
        ...

    def settle_work(self, answer: WorkAnswer, *, by: str, now: Instant) -> None:
        """Record whether the bench host took an answer."""
        ...

    def update_run(self, run: ExperimentRun, *, kind: EventKind, by: str, now: Instant, payload: Mapping[str, Any] | None = None) -> None:
        """Replace a run's state by a legal step."""
        ...

    def supersede(self, run: ExperimentRun, successor: ExperimentRun, *, by: str, now: Instant) -> None:
        """Close an attempt with evidence of non-execution and queue the next one, in one transaction."""
        ...

    def ingest(
        self, run: ExperimentRun, measurements: Sequence[Measurement], readings: Sequence[Reading], *, by: str, now: Instant
    ) -> None:
        """Record raw readings, measurements and the run's end in one transaction, idempotently."""
        ...

    def record_results(self, results: Sequence[Result], *, by: str, now: Instant) -> None:
        """Record what people tell, correct, retract or bring from elsewhere in one transaction, also of a campaign that has ended."""
        ...

    def update_measurement(self, measurement: Measurement, *, by: str, now: Instant, payload: Mapping[str, Any] | None = None) -> None:
        """Change a measurement's status by a legal step, or record a correction as its next revision."""
        ...


class Store(CampaignStore, ReviewStore, RunStore, Protocol):
    """The ledger: tables (the state) and hash-chained events (what happened), changed in one transaction each."""

    def verify(self) -> tuple[str, ...]:
        """Return one line per event or row that was altered, removed, inserted or reordered; empty when sound."""
        ...

    def close(self) -> None:
        """Release the database."""
        ...
