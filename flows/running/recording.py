"""What a bench says of runs, written into the ledger: by a campaign's loop, and by commands where no loop lives."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from flows.plans.recipe import Recipe
from instruments.reductions.reduced import Reduced, in_unit
from instruments.reductions.registry import reduce
from orchestrator.clock import Clock
from orchestrator.domain.events import EventKind
from orchestrator.domain.identity import uuid7
from orchestrator.domain.lifecycle import AnswerStatus, EvidenceKey, MeasurementStatus, RunStatus, StepKind, StepStatus
from orchestrator.domain.objective import Objective
from orchestrator.domain.records import ExperimentRun, Measurement, Reading, RunReport, Step
from orchestrator.errors import BadInput, HostError
from orchestrator.history import History
from orchestrator.ports import Bench, RunStore

logger = logging.getLogger(__name__)

MAX_ATTEMPTS: Final = 3
"""A run whose attempts were each proven not executed is tried so often; then it has failed."""
_END_POLLS: Final = 60
"""So often the bench is asked, for a second each, how the runs ended that it was told to end."""
_POLL_SECONDS: Final = 1.0
_ENDED_EARLY: Final = (RunStatus.FAILED, RunStatus.INFEASIBLE, RunStatus.ABORTED)
_IN_HAND: Final = (RunStatus.DISPATCHED, RunStatus.RUNNING)
_NEVER_BEGUN: Final = "the campaign was aborted before it began"


@dataclass(slots=True)
class Timings:
    """Wall seconds by what they went into."""

    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, what: str, since: float) -> None:
        """Book the time since a `time.perf_counter()` moment."""
        self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - since


@dataclass(frozen=True)
class Recorder:
    """Records runs of one campaign as a bench tells of them."""

    store: RunStore
    bench: Bench
    clock: Clock
    reducing: Callable[[], tuple[Recipe, Objective]]
    """Returns how readings become values, and of which targets; asked only where a run was completed."""
    by: str
    timings: Timings = field(default_factory=Timings)

    # ----------------------------------------------------------------- one run

    def update(self, run: ExperimentRun, *, kind: EventKind) -> None:
        """Write a run's next state."""
        self.write(lambda: self.store.update_run(run, kind=kind, by=self.by, now=self.clock.now()))

    def record(self, history: History, run: ExperimentRun, report: RunReport) -> bool:
        """Record how a run stands; return whether anything has changed."""
        if report.status is run.status or report.status in (RunStatus.QUEUED, RunStatus.DISPATCHED):
            return False
        changed = reported(history, run, report)
        if report.status not in _ENDED_EARLY:
            self.update(changed, kind=EventKind(report.status))
        elif self._may_be_tried_again(history, changed):
            self._keep_readings(run, lambda: self._supersede(changed))
        else:
            self._store_readings(history, changed, reduced=())
        return True

    def _may_be_tried_again(self, history: History, run: ExperimentRun) -> bool:
        is_over = history.campaign.status.is_over
        return run.status is RunStatus.FAILED and EvidenceKey.NOT_EXECUTED in run.evidence and run.attempt < MAX_ATTEMPTS and not is_over

    def _supersede(self, run: ExperimentRun) -> None:
        """Close an attempt that was not executed, and queue the next one."""
        closed, successor = run.evolve(status=RunStatus.SUPERSEDED), next_attempt(run, self.clock.lab())
        self.write(lambda: self.store.supersede(closed, successor, by=self.by, now=self.clock.now()))

    def resolve(self, history: History, run: ExperimentRun, report: RunReport, said: Mapping[str, str]) -> None:
        """Record a person's word on an unknown run: `verdict`, `by` and `reason`."""
        settled = reported(history, run, report)
        settled = settled.evolve(reason=report.reason or said["reason"], evidence={**settled.evidence, **said})
        if settled.status is RunStatus.COMPLETED:
            self.update(settled, kind=EventKind.RESOLVED)
            if history.campaign.status.is_over:  # else the campaign ingests it when it goes on
                self.ingest(history, settled)
        elif said["verdict"] == "not-done" and not history.campaign.status.is_over:
            self._keep_readings(run, lambda: self._supersede(settled))
        else:
            self._keep_readings(run, lambda: self.update(settled, kind=EventKind.RESOLVED))

    def _keep_readings(self, run: ExperimentRun, end: Callable[[], None]) -> None:
        """Record what was read of a run, then its end; in this order a kill in between loses nothing."""
        readings = () if self.bench.report(run.run_key) is None else self.bench.readings(run.run_key)
        self.write(lambda: self.store.ingest(run, (), readings, by=self.by, now=self.clock.now()))
        end()
        if readings:
            self.bench.stored(run.run_key)

    def ingest(self, history: History, run: ExperimentRun) -> None:
        """Reduce a completed run's readings to measurements and record both."""
        self._store_readings(history, run, reduced=None)

    def _store_readings(self, history: History, run: ExperimentRun, *, reduced: tuple[Reduced, ...] | None) -> None:
        started = time.perf_counter()
        readings = self.bench.readings(run.run_key)
        self.timings.add("host", started)
        closed = run.evolve(ingested=run.status is RunStatus.COMPLETED)
        measurements: tuple[Measurement, ...] = ()
        if reduced is None:
            closed, measurements = self._reduced(history, closed, readings)
        self.write(lambda: self.store.ingest(closed, measurements, readings, by=self.by, now=self.clock.now()))
        self.bench.stored(run.run_key)

    def _reduced(self, history: History, run: ExperimentRun, readings: Sequence[Reading]) -> tuple[ExperimentRun, tuple[Measurement, ...]]:
        """Return the run with its measured configuration and what it still awaits, and the values.

        Where there is no such configuration, nothing may be learned from any value of it, and none is awaited.
        """
        recipe, objective = self.reducing()
        changes: dict[str, object] = {}
        complaint = None
        try:
            changes["measured"] = recipe.measured(readings, history.proposals[run.approval].configuration)
            changes["awaits"] = self._awaited(run, objective)
        except BadInput as error:
            complaint = f"no measured configuration: {error}"
            changes["reason"] = run.reason or complaint  # where no value comes of the run itself nothing else says so
        found = (one for one in reduce(recipe.reduction, readings, recipe.folder) if one.target in objective.of_run)
        if history.campaign.converts:
            found = (in_unit(one, objective.units[one.target]) for one in found)
        return run.evolve(**changes), tuple(_measurement(run, one, recipe.reduction, complaint or one.reason) for one in found)

    def _awaited(self, run: ExperimentRun, objective: Objective) -> dict[str, float | None]:
        """Return until when values of a run are waited for that people tell later, in lab seconds."""
        ended = self.clock.lab() if run.ended_lab is None else run.ended_lab
        return {target: None if due is None else ended + due for target, due in objective.later.items()}

    def write(self, write: Callable[[], object]) -> None:
        """Write to the ledger, and book the time."""
        started = time.perf_counter()
        write()
        self.timings.add("ledger", started)

    # ----------------------------------------------------------------- all runs of a campaign that was aborted

    def end_all(self, look: Callable[[], History], *, reason: str) -> None:
        """Close every run: what waits is never handed over, what is in hand is ended, what has ended is recorded with its readings.

        An answer of a person that the bench has not taken by then is closed too.

        Raises:
            HostError: The bench did not end a run in time.
        """
        for run in look().attempts():
            if run.status is RunStatus.QUEUED:
                self.update(run.evolve(status=RunStatus.ABORTED, reason=_NEVER_BEGUN), kind=EventKind.ABORTED)
            elif run.status in _IN_HAND:
                self._end(look(), run, reason)
        for _ in range(_END_POLLS):
            history = look()
            in_hand = [run for run in history.attempts() if run.status in _IN_HAND]
            if not in_hand:
                break
            if (report := self.bench.report(in_hand[0].run_key, wait=_POLL_SECONDS)) is not None:
                self.record(history, in_hand[0], report)
        for run in look().attempts():
            if run.status in _IN_HAND:
                raise HostError(f"run {run.run_key} was told to end ({reason}), but the bench still has it as {run.status}")
            if run.status is RunStatus.COMPLETED and not run.ingested:
                self.ingest(look(), run)
        for answer in look().undelivered:
            closed = answer.evolve(status=AnswerStatus.REFUSED, refusal=f"the bench had not taken it yet: {reason}")
            self.write(partial(self.store.settle_work, closed, by=self.by, now=self.clock.now()))

    def _end(self, history: History, run: ExperimentRun, reason: str) -> None:
        """Have a run ended; one that the bench never saw is not handed over any more."""
        if self.bench.report(run.run_key) is not None:
            self.bench.abort(run.run_key, reason=reason)
        elif run.status is RunStatus.RUNNING:
            self.lose(run)
        else:
            steps = history.proposals[run.approval].steps
            evidence = {EvidenceKey.NOT_EXECUTED: "it never arrived at the bench", EvidenceKey.NEVER_SENT: [step.index for step in steps]}
            self.update(run.evolve(status=RunStatus.ABORTED, reason=_NEVER_BEGUN, evidence=evidence), kind=EventKind.ABORTED)

    def lose(self, run: ExperimentRun) -> None:
        """Record that a run was begun, and that its bench knows nothing of it: a person has to say what became of it."""
        reason = "it was begun, but the bench knows nothing of it any more"
        self.update(run.evolve(status=RunStatus.UNKNOWN, reason=reason), kind=EventKind.UNKNOWN)


def reported(history: History, run: ExperimentRun, report: RunReport) -> ExperimentRun:
    """Return a run as its bench tells of it."""
    return run.evolve(
        status=report.status,
        reason=report.reason,
        commanded=commanded(report) or run.commanded,
        evidence={**report.evidence, **never_sent(report), **carried_out(report)},
        started_lab=run.started_lab if report.started_lab is None else report.started_lab,
        ended_lab=report.ended_lab,
        environment=report.environment or run.environment,
        with_people=() if report.ended_lab is None else tuple(with_people(history.proposals[run.approval].steps, report, report.ended_lab)),
    )


def commanded(report: RunReport) -> dict[str, float | str]:
    """Return what was sent, as `instrument.command.argument` -> value."""
    return {f"{step.do}.{name}": value for step in report.steps for name, value in step.sent.items()}


def with_people(steps: Sequence[Step], report: RunReport, ended_lab: float) -> Iterator[tuple[float, float]]:
    """Yield from when to when a run that has ended had waited for people, in lab seconds."""
    for known in report.steps:
        if steps[known.index].kind is StepKind.PERSON and known.started_lab is not None:
            yield known.started_lab, ended_lab if known.ended_lab is None else known.ended_lab


def never_sent(report: RunReport) -> dict[str, list[int]]:
    """Say which steps of a run that ended early were never sent; what was begun counts as carried out."""
    untouched = [step.index for step in report.steps if step.status in (StepStatus.PLANNED, StepStatus.SKIPPED)]
    return {EvidenceKey.NEVER_SENT: untouched} if untouched and report.status in _ENDED_EARLY else {}


def carried_out(report: RunReport) -> dict[str, list[int]]:
    """Say which steps of a run were carried out, although the run as a whole counts as not executed."""
    done = [step.index for step in report.steps if step.status is StepStatus.DONE]
    return {EvidenceKey.CARRIED_OUT: done} if done and EvidenceKey.NOT_EXECUTED in report.evidence else {}


def next_attempt(run: ExperimentRun, lab: float) -> ExperimentRun:
    """Return the attempt that may follow one that was proven, or said by a person, not to have been executed."""
    return ExperimentRun(
        run_key=uuid7(),
        run_id=run.run_id,
        attempt=run.attempt + 1,
        campaign=run.campaign,
        proposal_id=run.proposal_id,
        revision=run.revision,
        replicate=run.replicate,
        queued_lab=lab,
    )


def _measurement(run: ExperimentRun, reduced: Reduced, reduction: str, reason: str | None) -> Measurement:
    return Measurement(
        measurement_id=uuid7(),
        campaign=run.campaign,
        run_key=run.run_key,
        target=reduced.target,
        status=MeasurementStatus.ACCEPTED if reason is None else MeasurementStatus.QUARANTINED,
        value=reduced.value,
        uncertainty=reduced.uncertainty,
        reduction=reduction,
        raw_sha256=reduced.raw_sha256,
        reason=reason,
    )
