"""Experiments: attempts, proposals and results gathered from the ledger's tables, and how far they have come."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate, groupby
from typing import Final

from orchestrator.domain.front import covered_share, front
from orchestrator.domain.lifecycle import ProposalStatus, RunStatus
from orchestrator.domain.objective import Objective
from orchestrator.domain.records import NORMAL_90, ExperimentRun, Measurement, Prediction, Proposal, Provenance
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import Fault
from orchestrator.history import mean_of
from orchestrator.ports import Changes

SHORT_KEY: Final = 8
"""Characters by which an imported experiment is called: its key begins with them, and commands take them."""


@dataclass(frozen=True, slots=True)
class TargetResult:
    """Accepted value of one target of one experiment."""

    value: float
    """In the target's unit."""
    uncertainty: float | None = None
    """Standard uncertainty in the target's unit."""

    @property
    def half_width(self) -> float | None:
        """Half width of the 90 % interval; None where nobody states an uncertainty."""
        return None if self.uncertainty is None else NORMAL_90 * self.uncertainty


@dataclass(frozen=True, slots=True)
class Experiment:
    """One replicate of an approved proposal, with all its attempts."""

    index: int
    """Experiment number within the campaign, from 1, in the order of proposals and replicates; 0 for an imported one."""
    attempts: tuple[ExperimentRun, ...]
    """In order; the last one decides."""
    proposed: Proposal
    """The first revision: what the policy asked for."""
    approved: Proposal
    """The revision that was carried out."""
    columns: tuple[str, ...]
    """Columns of the search space."""
    results: Mapping[str, TargetResult] = field(default_factory=dict)
    """By target; a target without an accepted measurement is absent."""
    score: float | None = None
    """Objective value, larger is better; None where a target is missing."""
    kept: bool | None = None
    """Whether its values keep all limits; None where there are none."""
    absent: frozenset[str] = frozenset()
    """Columns of parameters that are not there with what was carried out."""

    @property
    def may_be_best(self) -> bool:
        """Whether it has an objective value and keeps all limits."""
        return self.score is not None and self.kept is not False

    @property
    def run(self) -> ExperimentRun:
        """The last attempt."""
        return self.attempts[-1]

    @property
    def is_imported(self) -> bool:
        """Whether it was done elsewhere."""
        return self.run.is_imported

    @property
    def name(self) -> str:
        """What people call it: `experiment 3`, or `imported experiment` and the beginning of its key."""
        return f"imported experiment {self.run.run_key[:SHORT_KEY]}" if self.is_imported else f"experiment {self.index}"

    @property
    def status(self) -> RunStatus:
        """Where the last attempt stands."""
        return self.run.status

    @property
    def configuration(self) -> Configuration:
        """The measured configuration; where a column was not read back, the approved value; without parameters that are absent."""
        known = {**self.approved.configuration, **self.run.measured}
        return {column: known[column] for column in self.columns if column in known and column not in self.absent}

    @property
    def predicted(self) -> Mapping[str, Prediction]:
        """What was expected of this configuration; empty where a person changed it and nobody predicted anew."""
        before, after = self.proposed, self.approved
        if before.configuration == after.configuration or before.provenance.predicted != after.provenance.predicted:
            return after.provenance.predicted
        return {}

    @property
    def values(self) -> dict[str, float]:
        """The accepted values by target."""
        return {name: one.value for name, one in self.results.items()}

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
    measured: TargetResult

    @property
    def half_width(self) -> float:
        """Half width of the 90 % interval."""
        return NORMAL_90 * self.predicted.sd

    @property
    def inside(self) -> bool:
        """Whether the result lies in the 90 % interval."""
        return abs(self.measured.value - self.predicted.mean) <= self.half_width


@dataclass(frozen=True, slots=True)
class CampaignProgress:
    """The experiments of a campaign, judged by its objective."""

    objective: Objective
    experiments: tuple[Experiment, ...]
    """Its own, by number."""
    imported: tuple[Experiment, ...] = field(default=(), kw_only=True)
    """Those that were done elsewhere."""

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
        """The experiment with the highest objective value that keeps all limits, imported ones included; the earliest of equals."""
        return max((one for one in (*self.experiments, *self.imported) if one.may_be_best), key=_score, default=None)

    @property
    def best_so_far(self) -> tuple[tuple[int, float], ...]:
        """Experiment number and best objective value up to it, or the share of the hypervolume.

        One entry per experiment with a value that keeps all limits.
        """
        if self.objective.kind == "pareto":
            return tuple(self._covered())
        counted = [one for one in self.experiments if one.may_be_best]
        running = accumulate((_score(one) for one in counted), max)
        return tuple((one.index, best) for one, best in zip(counted, running, strict=True))

    def _covered(self) -> Iterator[tuple[int, float]]:
        rows = {one.run.run_key: one.values for one in self.imported if one.score is not None}
        for one in self.scored:
            rows[one.run.run_key] = one.values
            rows = {key: rows[key] for key in front(self.objective, rows)}
            yield one.index, covered_share(self.objective, rows.values()) or 0.0

    @property
    def front(self) -> tuple[Experiment, ...]:
        """The experiments of a Pareto front, imported ones included, the best of the first target first; nothing for other objectives."""
        if self.objective.kind != "pareto":
            return ()
        known = {one.run.run_key: one for one in (*self.experiments, *self.imported)}
        return tuple(known[key] for key in front(self.objective, {key: one.values for key, one in known.items()}))

    @property
    def complete(self) -> int:
        """How many experiments have a value of every target."""
        return sum(all(name in one.results for name in self.objective.names) for one in self.experiments)

    @property
    def constant(self) -> tuple[str, ...]:
        """A line for each target that has not varied."""
        return self.objective.constant({name: one.value for name, one in found.results.items()} for found in self.experiments)

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


def experiments_of(changes: Changes, objective: Objective, space: SearchSpace | None) -> tuple[Experiment, ...]:
    """Gather attempts, proposals and results into numbered experiments.

    Args:
        changes: Everything of the campaign, since sequence number 0.
        objective: The campaign's targets combined.
        space: The search space; None where nobody asks for configurations.

    Raises:
        Fault: A run whose proposal is not among the changes.
    """
    revisions = {(one.proposal_id, one.revision): one for one in changes.proposals}
    measured = _accepted(changes)
    attempts: dict[str, list[ExperimentRun]] = {}
    for run in sorted((one for one in changes.runs if not one.is_imported), key=lambda one: (one.attempt, one.run_key)):
        attempts.setdefault(run.run_id, []).append(run)
    found = [_experiment(tuple(runs), revisions, measured, space, objective) for runs in attempts.values()]
    found.sort(key=lambda one: (one.approved.number, one.run.replicate, one.run.run_id))
    return tuple(replace(one, index=index) for index, one in enumerate(found, start=1))


def imported_of(changes: Changes, objective: Objective, space: SearchSpace) -> tuple[Experiment, ...]:
    """Gather experiments that were done elsewhere, in the order of their keys: without a number, and without a proposal of ours.

    What stands in the proposal's place says that: its number is 0, its policy `imported`, and its configuration the measured one.
    """
    measured = _accepted(changes)
    found = []
    for run in sorted((one for one in changes.runs if one.is_imported), key=lambda one: one.run_key):
        stand_in = Proposal(
            proposal_id="",
            campaign=run.campaign,
            number=0,
            status=ProposalStatus.APPROVED,
            configuration=run.measured,
            steps=(),
            provenance=Provenance(policy=run.source, as_of=0, seed=0, batch=0),
        )
        results = _results(measured.get(run.run_key, []))
        values = {target: result.value for target, result in results.items()}
        score, kept = objective.score_measured(values), objective.keeps(values)
        gone = space.absent_columns(run.measured)
        found.append(Experiment(0, (run,), stand_in, stand_in, space.columns, results, score, kept, gone))
    return tuple(found)


def _accepted(changes: Changes) -> dict[str, list[Measurement]]:
    measured: dict[str, list[Measurement]] = {}
    for one in newest_measurements(changes.measurements):
        if one.accepted is not None:
            measured.setdefault(one.run_key, []).append(one)
    return measured


def newest_measurements(measurements: Iterable[Measurement]) -> tuple[Measurement, ...]:
    """Return the newest revision of each measurement, in the order of run key, target and replicate."""
    newest: dict[tuple[str, str, int], Measurement] = {}
    for one in sorted(measurements, key=lambda measurement: measurement.revision):
        newest[(one.run_key, one.target, one.replicate)] = one
    return tuple(newest[key] for key in sorted(newest))


def _experiment(
    attempts: tuple[ExperimentRun, ...],
    revisions: Mapping[tuple[str, int], Proposal],
    measured: Mapping[str, list[Measurement]],
    space: SearchSpace | None,
    objective: Objective,
) -> Experiment:
    run = attempts[-1]
    name, revision = run.approval
    approved = revisions.get((name, revision))
    if approved is None:
        raise Fault(f"run {run.run_key}: proposal {name} revision {revision} is not in the ledger's answer")
    first = next(revisions[(name, n)] for n in range(1, revision + 1) if (name, n) in revisions)
    results = _results([one for attempt in attempts for one in measured.get(attempt.run_key, ())])
    values = {target: result.value for target, result in results.items()}
    score, kept = objective.score_measured(values), objective.keeps(values) if values else None
    if space is None:
        return Experiment(0, attempts, first, approved, (), results, score, kept)
    gone = space.absent_columns({**approved.configuration, **run.measured})
    return Experiment(0, attempts, first, approved, space.columns, results, score, kept, gone)


def _results(accepted: list[Measurement]) -> dict[str, TargetResult]:
    """Average replicate measurements of one experiment by target."""
    by_target = groupby(sorted(accepted, key=lambda one: one.target), key=lambda one: one.target)
    return {target: _mean(list(group)) for target, group in by_target}


def _mean(measurements: list[Measurement]) -> TargetResult:
    found = mean_of(measurements)
    return TargetResult(found.value, found.uncertainty)


def _score(experiment: Experiment) -> float:
    assert experiment.score is not None
    return experiment.score
