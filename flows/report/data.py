"""What a report shows, assembled from the ledger's tables: pure, and complete enough to be drawn without the Store."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate, groupby
from math import fsum, sqrt
from typing import Final

from flows.report.spectra import Spectrum, spectra_of
from orchestrator.domain.lifecycle import MeasurementStatus, RunStatus
from orchestrator.domain.objective import Objective
from orchestrator.domain.records import CampaignRecord, ExperimentRun, Measurement, Prediction, Proposal, Reading
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import Fault
from orchestrator.ports import Changes, StoredEvent

BEST_SPECTRA: Final = 3
"""Experiments whose spectra are drawn: more curves in one figure can no longer be told apart."""
NORMAL_90: Final = 1.6448536269514722
"""Half width of the central 90 % interval of a normal distribution, in standard deviations."""

ReadingSource = Callable[[str], tuple[Reading, ...]]
"""Run key -> stored raw readings."""


@dataclass(frozen=True, slots=True)
class Process:
    """When the work was done, and how fast lab time passed."""

    started: datetime | None = None
    """First event, wall time."""
    ended: datetime | None = None
    """Last event, wall time."""
    rate: float = 1.0
    """Lab seconds per wall second; 1 in a live lab."""

    @property
    def seconds(self) -> float | None:
        """Wall seconds from the first to the last event; None where they are not known."""
        if self.started is None or self.ended is None:
            return None
        return (self.ended - self.started).total_seconds()


def process_of(events: Iterable[StoredEvent], *, rate: float = 1.0) -> Process:
    """Take the times of the first and the last event of a campaign.

    Args:
        events: In the order of the ledger.
        rate: Lab seconds per wall second.
    """
    walls = [event.wall for event in events]
    if not walls:
        return Process(rate=rate)
    return Process(datetime.fromisoformat(walls[0]), datetime.fromisoformat(walls[-1]), rate)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a report says of a campaign beside its ledger tables."""

    bench: str
    """Name of the bench, or of the recorded table."""
    simulated: bool
    """Whether devices and clock were simulated."""
    head: tuple[int, str]
    """Sequence number and hash of the ledger's last event."""
    made: datetime
    """When the report is made."""
    budget: int | None = None
    """Experiments that the campaign may carry out; None where there is no limit."""
    process: Process = field(default_factory=Process)
    notes: Mapping[str, str] = field(default_factory=dict)
    """Further facts to print, label -> text, such as the prior and where it came from."""


@dataclass(frozen=True, slots=True)
class Result:
    """Accepted value of one target of one experiment."""

    value: float
    """In the target's unit."""
    uncertainty: float | None = None
    """Standard uncertainty in the target's unit."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """One replicate of an approved proposal, with all its attempts."""

    index: int
    """Experiment number within the campaign, from 1, in the order of proposals and replicates."""
    attempts: tuple[ExperimentRun, ...]
    """In order; the last one decides."""
    proposed: Proposal
    """The first revision: what the policy asked for."""
    approved: Proposal
    """The revision that was carried out."""
    columns: tuple[str, ...]
    """Columns of the search space."""
    results: Mapping[str, Result] = field(default_factory=dict)
    """By target; a target without an accepted measurement is absent."""
    score: float | None = None
    """Objective value, larger is better; None where a target is missing."""

    @property
    def run(self) -> ExperimentRun:
        """The last attempt."""
        return self.attempts[-1]

    @property
    def status(self) -> RunStatus:
        """Where the last attempt stands."""
        return self.run.status

    @property
    def configuration(self) -> Configuration:
        """The measured configuration; where a column was not read back, the approved value."""
        known = {**self.approved.configuration, **self.run.measured}
        return {column: known[column] for column in self.columns if column in known}

    @property
    def predicted(self) -> Mapping[str, Prediction]:
        """What was expected of this configuration; empty where a person changed it and nobody predicted anew."""
        before, after = self.proposed, self.approved
        if before.configuration == after.configuration or before.provenance.predicted != after.provenance.predicted:
            return after.provenance.predicted
        return {}

    @property
    def lab_seconds(self) -> float | None:
        """Duration of the last attempt in lab seconds; None until it has ended."""
        if self.run.started_lab is None or self.run.ended_lab is None:
            return None
        return max(0.0, self.run.ended_lab - self.run.started_lab)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Prediction and result of one target of one experiment."""

    index: int
    predicted: Prediction
    measured: Result

    @property
    def half_width(self) -> float:
        """Half width of the 90 % interval."""
        return NORMAL_90 * self.predicted.sd

    @property
    def inside(self) -> bool:
        """Whether the result lies in the 90 % interval."""
        return abs(self.measured.value - self.predicted.mean) <= self.half_width


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything that a report shows."""

    campaign: CampaignRecord
    space: SearchSpace
    objective: Objective
    circumstances: Circumstances
    experiments: tuple[Experiment, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    """All revisions, in the order of their numbers."""
    measurements: tuple[Measurement, ...] = ()
    """The newest revision of each."""
    spectra: tuple[Spectrum, ...] = ()

    @property
    def scored(self) -> tuple[Experiment, ...]:
        """The experiments with an objective value."""
        return tuple(one for one in self.experiments if one.score is not None)

    @property
    def ended(self) -> tuple[Experiment, ...]:
        """The experiments that count against the budget as used up."""
        return tuple(one for one in self.experiments if one.status.is_terminal)

    @property
    def best(self) -> Experiment | None:
        """The experiment with the highest objective value, the earliest of equals."""
        return max(self.scored, key=_score, default=None)

    @property
    def best_so_far(self) -> tuple[tuple[int, float], ...]:
        """Experiment number and best objective value up to it, one entry per experiment with a value."""
        running = accumulate((_score(one) for one in self.scored), max)
        return tuple((one.index, best) for one, best in zip(self.scored, running, strict=True))

    def with_status(self, *statuses: RunStatus) -> tuple[Experiment, ...]:
        """Return the experiments that ended so."""
        return tuple(one for one in self.experiments if one.status in statuses)

    def comparisons(self, target: str) -> tuple[Comparison, ...]:
        """Return predictions of a target beside their results."""
        return tuple(
            Comparison(one.index, one.predicted[target], one.results[target])
            for one in self.experiments
            if target in one.predicted and target in one.results
        )

    @property
    def model_seconds(self) -> float:
        """Wall seconds spent on computing proposals, each batch once."""
        batches = {one.provenance.batch: one.provenance.seconds for one in self.proposals}
        return fsum(batches.values())

    @property
    def bench_seconds(self) -> float:
        """Wall seconds during which at least one attempt was on the bench."""
        spans = sorted(
            (run.started_lab, run.ended_lab)
            for one in self.experiments
            for run in one.attempts
            if run.started_lab is not None and run.ended_lab is not None
        )
        return _covered(spans) / self.circumstances.process.rate


def assemble(
    changes: Changes, space: SearchSpace, objective: Objective, circumstances: Circumstances, readings: ReadingSource
) -> ReportData:
    """Put a report's data together.

    Args:
        changes: Everything of the campaign, since sequence number 0.
        space: The campaign's search space.
        objective: The campaign's targets combined.
        circumstances: What the ledger's tables do not hold.
        readings: Asked for the raw readings of the best few experiments alone.

    Raises:
        Fault: A run whose proposal is not among the changes.
    """
    proposals = tuple(sorted(changes.proposals, key=lambda one: (one.number, one.revision)))
    measurements = newest_measurements(changes.measurements)
    experiments = experiments_of(changes, space, objective)
    best = sorted((one for one in experiments if one.score is not None), key=_score, reverse=True)[:BEST_SPECTRA]
    spectra = tuple(spectrum for one in best for spectrum in spectra_of(one.index, readings(one.run.run_key)))
    return ReportData(changes.campaign, space, objective, circumstances, experiments, proposals, measurements, spectra)


def experiments_of(changes: Changes, space: SearchSpace, objective: Objective) -> tuple[Experiment, ...]:
    """Gather attempts, proposals and results into numbered experiments.

    Raises:
        Fault: A run whose proposal is not among the changes.
    """
    revisions = {(one.proposal_id, one.revision): one for one in changes.proposals}
    measured = newest_measurements(changes.measurements)
    attempts: dict[str, list[ExperimentRun]] = {}
    for run in sorted(changes.runs, key=lambda one: (one.attempt, one.run_key)):
        attempts.setdefault(run.run_id, []).append(run)
    found = [_experiment(tuple(runs), revisions, measured, space, objective) for runs in attempts.values()]
    found.sort(key=lambda one: (one.approved.number, one.run.replicate, one.run.run_id))
    return tuple(
        Experiment(index, one.attempts, one.proposed, one.approved, one.columns, one.results, one.score)
        for index, one in enumerate(found, start=1)
    )


def newest_measurements(measurements: Iterable[Measurement]) -> tuple[Measurement, ...]:
    """Return the newest revision of each measurement, in the order of run key, target and replicate."""
    newest: dict[tuple[str, str, int], Measurement] = {}
    for one in sorted(measurements, key=lambda measurement: measurement.revision):
        newest[(one.run_key, one.target, one.replicate)] = one
    return tuple(newest[key] for key in sorted(newest))


def _experiment(
    attempts: tuple[ExperimentRun, ...],
    revisions: Mapping[tuple[str, int], Proposal],
    measured: tuple[Measurement, ...],
    space: SearchSpace,
    objective: Objective,
) -> Experiment:
    run = attempts[-1]
    approved = revisions.get((run.proposal_id, run.revision))
    if approved is None:
        raise Fault(f"run {run.run_key}: proposal {run.proposal_id} revision {run.revision} is not in the ledger's answer")
    first = min((one for one in revisions.values() if one.proposal_id == run.proposal_id), key=lambda one: one.revision)
    keys = {attempt.run_key for attempt in attempts}
    results = _results([one for one in measured if one.run_key in keys and one.status is MeasurementStatus.ACCEPTED])
    score = objective.score_measured({target: result.value for target, result in results.items()})
    return Experiment(0, attempts, first, approved, space.columns, results, score)


def _results(accepted: list[Measurement]) -> dict[str, Result]:
    """Average replicate measurements of one experiment by target."""
    by_target = groupby(sorted(accepted, key=lambda one: one.target), key=lambda one: one.target)
    return {target: _mean(list(group)) for target, group in by_target}


def _mean(measurements: list[Measurement]) -> Result:
    count = len(measurements)
    known = [one.uncertainty for one in measurements if one.uncertainty is not None]
    uncertainty = sqrt(fsum(u * u for u in known)) / count if len(known) == count else None
    return Result(fsum(one.value for one in measurements) / count, uncertainty)


def _score(experiment: Experiment) -> float:
    assert experiment.score is not None
    return experiment.score


def _covered(spans: list[tuple[float, float]]) -> float:
    """Length of the union of sorted intervals."""
    total, reached = 0.0, float("-inf")
    for start, end in spans:
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
