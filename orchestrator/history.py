"""What is known of one campaign: folded from the store's changes, and what is read off it.

Nothing here takes time, reads a clock or touches a wire.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import fsum, sqrt
from typing import TYPE_CHECKING

from orchestrator.domain.lifecycle import AnswerStatus, MeasurementStatus, ProposalStatus, ReviewStatus, RunStatus
from orchestrator.domain.records import CampaignRecord, ExperimentRun, Measurement, Proposal
from orchestrator.domain.restriction import Restriction
from orchestrator.domain.review import Answer, ReviewRequest
from orchestrator.domain.values import Configuration
from orchestrator.domain.work import WorkAnswer

if TYPE_CHECKING:  # it loads pint, which takes longer than opening and reading a ledger
    from orchestrator.domain.objective import Objective


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a run measured of a target, its accepted replicates taken together."""

    value: float
    uncertainty: float | None
    """Standard uncertainty; None where not each of the replicates states one."""
    replicates: int = 1


def mean_of(measurements: Sequence[Measurement]) -> Accepted:
    """Take accepted replicates of one target together: their mean, and its combined standard uncertainty.

    The mean is the best estimate of independent observations [JCGM 100:2008, 4.2.1]; its uncertainty follows from those stated by
    the law of propagation, u(mean) = sqrt(sum of u_i^2) / n [5.1.2, eq. (10)]. Where not each states one, none is made up from how
    far a few replicates lie apart: that is itself uncertain by about 1/sqrt(2 (n - 1)), for three by half [E.4.3].
    """
    values = [one.accepted for one in measurements if one.accepted is not None]
    known = [one.uncertainty for one in measurements if one.uncertainty is not None]
    if len(values) == 1:  # as measured, to the last bit
        return Accepted(values[0], known[0] if known else None)
    uncertainty = sqrt(fsum(u * u for u in known)) / len(values) if len(known) == len(values) else None
    return Accepted(fsum(values) / len(values), uncertainty, len(values))


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything of one campaign that changed after a ledger sequence number."""

    seq: int
    campaign: CampaignRecord
    proposals: tuple[Proposal, ...] = ()
    runs: tuple[ExperimentRun, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    requests: tuple[ReviewRequest, ...] = ()
    answers: tuple[Answer, ...] = ()
    restrictions: tuple[Restriction, ...] = ()
    work: tuple[WorkAnswer, ...] = ()
    seqs: Mapping[tuple[str | int, ...], int] = field(default_factory=dict)
    """Ledger number of the event that last changed a run or a measurement, by the key of its row; `seq` for one that is absent."""


@dataclass(frozen=True)
class History:
    """All of one campaign that decisions depend on; raw readings are no part of it.

    Views of it are computed once per history: the loop asks for them many times between two changes.
    """

    campaign: CampaignRecord
    seq: int = 0
    proposals: Mapping[tuple[str, int], Proposal] = field(default_factory=dict)
    """By (proposal_id, revision)."""
    runs: Mapping[str, ExperimentRun] = field(default_factory=dict)
    """By run key."""
    measurements: Mapping[tuple[str, str, int], Measurement] = field(default_factory=dict)
    """By (run key, target, replicate): the newest revision."""
    revisions: Mapping[tuple[str, str, int, int], Measurement] = field(default_factory=dict)
    """By (run key, target, replicate, revision): all of them."""
    seqs: Mapping[tuple[str | int, ...], int] = field(default_factory=dict)
    """Ledger number of the event that last changed a run, by (run key,), or a revision of a measurement, by its key."""
    requests: Mapping[str, ReviewRequest] = field(default_factory=dict)
    """By request id."""
    answers: Mapping[str, Answer] = field(default_factory=dict)
    """By answer id."""
    restrictions: Mapping[str, Restriction] = field(default_factory=dict)
    """By restriction id."""
    work: Mapping[str, WorkAnswer] = field(default_factory=dict)
    """By answer id: what people answered to steps that waited for them."""

    def updated(self, changes: Changes) -> "History":
        """Return the history with later changes folded in; the same one where nothing of this campaign changed."""
        reviewed = (changes.requests, changes.answers, changes.restrictions)
        changed = (changes.proposals, changes.runs, changes.measurements, *reviewed, changes.work)
        if not any(changed) and changes.campaign == self.campaign:
            return self
        measured = dict(self.measurements)
        revisions = {(*one.key, one.revision): one for one in changes.measurements}
        for one in sorted(changes.measurements, key=lambda measurement: measurement.revision):
            measured[one.key] = one
        keys = (*((run.run_key,) for run in changes.runs), *revisions)
        return History(
            campaign=changes.campaign,
            seq=changes.seq,
            proposals={**self.proposals, **{(one.proposal_id, one.revision): one for one in changes.proposals}},
            runs={**self.runs, **{run.run_key: run for run in changes.runs}},
            measurements=measured,
            revisions={**self.revisions, **revisions},
            seqs={**self.seqs, **{key: changes.seqs.get(key, changes.seq) for key in keys}},
            requests={**self.requests, **{one.request_id: one for one in changes.requests}},
            answers={**self.answers, **{one.answer_id: one for one in changes.answers}},
            restrictions={**self.restrictions, **{one.restriction_id: one for one in changes.restrictions}},
            work={**self.work, **{one.answer_id: one for one in changes.work}},
        )

    @staticmethod
    def of(changes: Changes) -> "History":
        """Build a history from everything."""
        return History(changes.campaign, changes.seq).updated(changes)

    def newest(self) -> tuple[Proposal, ...]:
        """Return the newest revision of each proposal, in order of their numbers."""
        return self._newest

    @cached_property
    def _newest(self) -> tuple[Proposal, ...]:
        latest: dict[str, Proposal] = {}
        for one in sorted(self.proposals.values(), key=lambda proposal: (proposal.number, proposal.revision)):
            latest[one.proposal_id] = one
        return tuple(latest.values())

    @cached_property
    def open_requests(self) -> tuple[ReviewRequest, ...]:
        """The questions that people have yet to answer, in the order in which they were asked."""
        waiting = (one for one in self.requests.values() if one.status is ReviewStatus.OPEN)
        return tuple(sorted(waiting, key=lambda one: one.number))

    @cached_property
    def undelivered(self) -> tuple[WorkAnswer, ...]:
        """What people answered and the bench host has yet to take, oldest first."""
        return tuple(sorted((one for one in self.work.values() if one.status is AnswerStatus.RECEIVED), key=lambda one: one.answer_id))

    @property
    def last_batch(self) -> int:
        """The number of the newest batch; 0 before the first."""
        return max((one.provenance.batch for one in self.newest()), default=0)

    def restricted(self, batch: int) -> tuple[Restriction, ...]:
        """Return what proposals of a batch must keep to, in the order in which it was said."""
        return tuple(sorted((one for one in self.restrictions.values() if one.binds(batch)), key=lambda one: one.number))

    def attempts(self) -> tuple[ExperimentRun, ...]:
        """Return all of its own attempts that were not superseded, in the order in which they were queued."""
        return self._attempts

    @cached_property
    def _attempts(self) -> tuple[ExperimentRun, ...]:
        runs = (run for _, run in sorted(self.runs.items()) if not run.is_imported)
        return tuple(run for run in runs if run.status is not RunStatus.SUPERSEDED)

    @cached_property
    def imported(self) -> tuple[ExperimentRun, ...]:
        """Experiments that were done elsewhere, in order of run keys."""
        return tuple(run for _, run in sorted(self.runs.items()) if run.is_imported)

    def configuration_of(self, run: ExperimentRun) -> Configuration:
        """Return a run's measured configuration; as approved while it has none."""
        return run.measured or self.proposals[run.approval].configuration

    def number_of(self, run: ExperimentRun) -> int | None:
        """Return the number of a run's proposal; None where it was imported."""
        return None if run.is_imported else self.proposals[run.approval].number

    @cached_property
    def results(self) -> Mapping[str, Mapping[str, Accepted]]:
        """By run key and target what models learn and people are shown: the mean of the replicates that are accepted."""
        by_run: dict[str, dict[str, list[Measurement]]] = {}
        for one in self.measurements.values():
            if one.accepted is not None:
                by_run.setdefault(one.run_key, {}).setdefault(one.target, []).append(one)
        return {run_key: {target: mean_of(some) for target, some in found.items()} for run_key, found in by_run.items()}

    @cached_property
    def accepted(self) -> Mapping[str, Mapping[str, float]]:
        """The accepted value of each target by run key."""
        return {run_key: {target: one.value for target, one in found.items()} for run_key, found in self.results.items()}

    @cached_property
    def awaited(self) -> Mapping[str, Mapping[str, float | None]]:
        """By run key the targets whose values are still to come -> lab seconds at which they are overdue; None for never.

        Whatever was said of a target ends the waiting, but a value that was retracted.
        """
        said = {one.key[:2] for one in self.measurements.values() if one.status is not MeasurementStatus.RETRACTED}
        waits = {
            run.run_key: {
                target: due for target, due in run.awaits.items() if target not in run.overdue and (run.run_key, target) not in said
            }
            for run in self.attempts()
            if run.awaits and run.status is RunStatus.COMPLETED
        }
        return {run_key: targets for run_key, targets in waits.items() if targets}

    def missing(self, run: ExperimentRun) -> tuple[str, ...]:
        """Return the targets of a run that are overdue and have not come since."""
        return tuple(target for target in run.overdue if target not in self.results.get(run.run_key, {}))

    @cached_property
    def taken_back(self) -> frozenset[str]:
        """Keys of the runs of which a person has retracted a value."""
        return frozenset(one.run_key for one in self.measurements.values() if one.status is MeasurementStatus.RETRACTED)

    def unforgiven(self, runs: Sequence[ExperimentRun]) -> tuple[ExperimentRun, ...]:
        """Return which of some runs changed, or the values reduced from them, since a person last resumed the campaign."""
        reduced = [one for one in self.measurements.values() if one.by is None and one.retracted_by is None]  # not what people did
        keys = [(run.run_key,) for run in runs] + [(*one.key, one.revision) for one in reduced]
        later = {key[0] for key in keys if self.seqs[key] > self.campaign.forgiven_seq}
        return tuple(run for run in runs if run.run_key in later)

    @cached_property
    def lessons_seq(self) -> int:
        """Ledger number of the last change that a surrogate can learn from; 0 before the first."""
        return max((self.seqs[key] for key in self._lesson_keys()), default=0)

    def _lesson_keys(self) -> Iterator[tuple[str | int, ...]]:
        yield from self.revisions
        yield from ((run.run_key,) for run in self.runs.values() if _is_lesson(run))

    @property
    def learnt_seq(self) -> int:
        """Ledger number up to which the last adaptation has learnt.

        Ledgers of before say how many runs it had seen: the first so many, in the order in which they came into the ledger.
        """
        campaign = self.campaign
        if campaign.adapted_counts == "events" or campaign.adapted == 0:
            return campaign.adapted
        runs = sorted(self.seqs[(run.run_key,)] for run in self.runs.values() if _is_lesson(run))
        return runs[min(campaign.adapted, len(runs)) - 1] if runs else 0


@dataclass(frozen=True, slots=True)
class Observation:
    """Accepted measurements of one run, at the measured configuration."""

    configuration: Configuration
    values: Mapping[str, float]
    """Target -> value; a target without an accepted measurement is absent."""
    uncertainties: Mapping[str, float] = field(default_factory=dict)
    """Target -> standard uncertainty, where one is known."""


@dataclass(frozen=True, slots=True)
class Infeasible:
    """A recipe that gave nothing to measure, by its own fault."""

    configuration: Configuration
    reason: str = ""
    """As a rule declares it; empty where nobody said one."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """All that a policy's proposal may depend on, beside its seed and settings."""

    observations: tuple[Observation, ...] = ()
    pending: tuple[Configuration, ...] = ()
    """Approved or running, not yet measured."""
    infeasible: tuple[Infeasible, ...] = ()
    spared: tuple[Configuration, ...] = ()
    """Carried out to the end, without a value that counts: it comes later, was quarantined or taken back."""
    excluded: tuple[Configuration, ...] = ()
    """Proposed before (in a candidate table: not to be proposed again)."""
    restrictions: tuple[Restriction, ...] = ()
    """Where the next batch may not lie, although the space allows it."""
    as_of: int = 0
    partial: int = 0
    """How many experiments are among the pending ones and, with some of their values, among the observations."""
    carried: tuple[Configuration, ...] = ()
    """What the bench was given and what waits for it, one for each run and in their order; the last is the state that it will be in."""


def observations(history: History) -> tuple[Observation, ...]:
    """Return one observation per run with accepted measurements, at its measured configuration, in order of run keys."""
    return tuple(
        Observation(
            configuration=history.configuration_of(history.runs[run_key]),
            values={target: one.value for target, one in found.items()},
            uncertainties={target: one.uncertainty for target, one in found.items() if one.uncertainty is not None},
        )
        for run_key, found in sorted(history.results.items())
    )


def knowledge(history: History) -> Knowledge:
    """Return what a policy may depend on."""
    open_proposals = [one for one in history.newest() if one.status is ProposalStatus.PROPOSED]
    runs = history.attempts()
    measured = {one.run_key for one in history.measurements.values()}
    waiting = [
        run
        for run in runs
        if run.status.is_open or (run.status is RunStatus.COMPLETED and (run.run_key not in measured or run.run_key in history.awaited))
    ]
    return Knowledge(
        observations=observations(history),
        pending=(
            *(one.configuration for one in open_proposals),
            *(history.configuration_of(run) for run in waiting if not run.ingested or run.run_key in history.awaited),
        ),
        infeasible=tuple(Infeasible(history.configuration_of(run), run.reason or "") for run in runs if run.status is RunStatus.INFEASIBLE),
        spared=tuple(
            history.configuration_of(run) for run in runs if run.status is RunStatus.COMPLETED and run.run_key not in history.results
        ),
        excluded=tuple(one.configuration for one in history.newest()),
        restrictions=history.restricted(history.last_batch + 1),
        as_of=history.seq,
        partial=sum(run_key in history.results for run_key in history.awaited),
        carried=(
            *(history.proposals[run.approval].configuration for run in runs),
            *(one.configuration for one in open_proposals for _ in range(one.replicates)),
        ),
    )


def best(history: History, objective: "Objective", among: Collection[str] | None = None) -> tuple[ExperimentRun, float] | None:
    """Return the run, of all or among those of some run keys, with the highest objective value among those that keep all limits.

    None without a complete measurement that keeps them.
    """
    counted = {run_key: values for run_key, values in history.accepted.items() if among is None or run_key in among}
    scores = {run_key: objective.score_kept(values) for run_key, values in counted.items()}
    found = max(((score, run_key) for run_key, score in scores.items() if score is not None), default=None)
    return None if found is None else (history.runs[found[1]], found[0])


def lessons(history: History) -> int:
    """Count the runs that a surrogate can learn from: measured ones and infeasible ones."""
    return sum(1 for run in history.runs.values() if _is_lesson(run))


def _is_lesson(run: ExperimentRun) -> bool:
    return run.ingested or run.status is RunStatus.INFEASIBLE


def failures(history: History) -> tuple[ExperimentRun, ...]:
    """Return the runs that failed, and the completed ones of which no value was accepted."""
    return tuple(run for run in history.attempts() if run.status is RunStatus.FAILED or _is_barren(history, run))


def infeasible(history: History) -> tuple[ExperimentRun, ...]:
    """Return the infeasible runs."""
    return tuple(run for run in history.attempts() if run.status is RunStatus.INFEASIBLE)


def _is_barren(history: History, run: ExperimentRun) -> bool:
    """Whether a run came to its end and brought no value, none is still to come, and it is not just that a person took it back."""
    if run.status is not RunStatus.COMPLETED or not run.ingested or run.run_key in history.accepted or run.run_key in history.awaited:
        return False
    return bool(run.overdue) or run.run_key not in history.taken_back


def counts(history: History) -> dict[str, int]:
    """Count proposals and attempts by status, and runs of elsewhere."""
    tally = Counter(f"proposals_{one.status}" for one in history.newest())
    tally.update(f"runs_{run.source if run.is_imported else run.status}" for run in history.runs.values())
    return dict(sorted(tally.items()))


# ---------------------------------------------------------------------- what rested on values that changed


def not_executed(history: History) -> tuple[Proposal, ...]:
    """Return the proposals that wait for a decision, or whose approval was not carried out at all yet."""
    begun = {run.proposal_id for run in history.runs.values() if run.status not in (RunStatus.QUEUED, RunStatus.SUPERSEDED)}
    open_ones = (ProposalStatus.PROPOSED, ProposalStatus.APPROVED)
    return tuple(one for one in history.newest() if one.status in open_ones and one.proposal_id not in begun)


def known_since(history: History, run_key: str, target: str) -> int | None:
    """Return the ledger number since which proposals can have rested on a run's value of a target; None while there is none."""
    seen = [
        one.known_since or history.seqs[(*one.key, one.revision)]
        for one in history.measurements.values()
        if one.key[:2] == (run_key, target) and (one.accepted is not None or one.known_since is not None)
    ]
    return min(seen, default=None)


def resting_on(history: History, changed: Measurement) -> tuple[Proposal, ...]:
    """Return the proposals, not executed yet, that rest on a value which is not what it was when they were made."""
    since, now = changed.known_since, history.seqs.get((*changed.key, changed.revision))
    if since is None or now is None:
        return ()
    return tuple(one for one in not_executed(history) if since <= one.provenance.as_of < now)


def outdated(history: History) -> Mapping[str, tuple[Measurement, ...]]:
    """Return by name of a proposal, not executed yet, the values that changed since it was made and that it rested on."""
    found: dict[str, tuple[Measurement, ...]] = {}
    for changed in history.measurements.values():
        for one in resting_on(history, changed):
            found[one.proposal_id] = (*found.get(one.proposal_id, ()), changed)
    return found
