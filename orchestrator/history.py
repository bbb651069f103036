"""What is known of one campaign: folded from the store's changes, and what is read off it.

Nothing here takes time, reads a clock or touches a wire.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.domain.lifecycle import AnswerStatus, ProposalStatus, ReviewStatus, RunStatus
from orchestrator.domain.records import CampaignRecord, ExperimentRun, Measurement, Proposal
from orchestrator.domain.restriction import Restriction
from orchestrator.domain.review import Answer, ReviewRequest
from orchestrator.domain.values import Configuration
from orchestrator.domain.work import WorkAnswer

if TYPE_CHECKING:  # it loads pint, which takes longer than opening and reading a ledger
    from orchestrator.domain.objective import Objective


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
        for one in sorted(changes.measurements, key=lambda measurement: measurement.revision):
            measured[(one.run_key, one.target, one.replicate)] = one
        return History(
            campaign=changes.campaign,
            seq=changes.seq,
            proposals={**self.proposals, **{(one.proposal_id, one.revision): one for one in changes.proposals}},
            runs={**self.runs, **{run.run_key: run for run in changes.runs}},
            measurements=measured,
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
        """Return all attempts that were not superseded, in the order in which they were queued."""
        return self._attempts

    @cached_property
    def _attempts(self) -> tuple[ExperimentRun, ...]:
        return tuple(run for _, run in sorted(self.runs.items()) if run.status is not RunStatus.SUPERSEDED)

    @cached_property
    def accepted(self) -> Mapping[str, Mapping[str, float]]:
        """The accepted value of each target by run key."""
        by_run: dict[str, dict[str, float]] = {}
        for (run_key, target, _), one in self.measurements.items():
            if one.accepted is not None:
                by_run.setdefault(run_key, {})[target] = one.accepted
        return by_run


@dataclass(frozen=True, slots=True)
class Observation:
    """Accepted measurements of one run, at the measured configuration."""

    configuration: Configuration
    values: Mapping[str, float]
    """Target -> value; a target without an accepted measurement is absent."""
    uncertainties: Mapping[str, float] = field(default_factory=dict)
    """Target -> standard uncertainty, where one is known."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """All that a policy's proposal may depend on, beside its seed and settings."""

    observations: tuple[Observation, ...] = ()
    pending: tuple[Configuration, ...] = ()
    """Approved or running, not yet measured."""
    infeasible: tuple[Configuration, ...] = ()
    """The recipe's fault."""
    excluded: tuple[Configuration, ...] = ()
    """Proposed before (in a candidate table: not to be proposed again)."""
    restrictions: tuple[Restriction, ...] = ()
    """Where the next batch may not lie, although the space allows it."""
    as_of: int = 0


def observations(history: History) -> tuple[Observation, ...]:
    """Return one observation per run with accepted measurements, at its measured configuration, in order of run keys."""
    by_run: dict[str, list[Measurement]] = {}
    for one in history.measurements.values():
        if one.accepted is not None:
            by_run.setdefault(one.run_key, []).append(one)
    return tuple(
        Observation(
            configuration=_configuration(history, history.runs[run_key]),
            values={one.target: one.accepted for one in measured if one.accepted is not None},
            uncertainties={one.target: one.uncertainty for one in measured if one.uncertainty is not None},
        )
        for run_key, measured in sorted(by_run.items())
    )


def _configuration(history: History, run: ExperimentRun) -> Configuration:
    return run.measured or history.proposals[(run.proposal_id, run.revision)].configuration


def knowledge(history: History) -> Knowledge:
    """Return what a policy may depend on."""
    open_proposals = [one for one in history.newest() if one.status is ProposalStatus.PROPOSED]
    runs = history.attempts()
    measured = {one.run_key for one in history.measurements.values()}
    waiting = [run for run in runs if run.status.is_open or (run.status is RunStatus.COMPLETED and run.run_key not in measured)]
    return Knowledge(
        observations=observations(history),
        pending=(
            *(one.configuration for one in open_proposals),
            *(history.proposals[(run.proposal_id, run.revision)].configuration for run in waiting if not run.ingested),
        ),
        infeasible=tuple(_configuration(history, run) for run in runs if run.status is RunStatus.INFEASIBLE),
        excluded=tuple(one.configuration for one in history.newest()),
        restrictions=history.restricted(history.last_batch + 1),
        as_of=history.seq,
    )


def best(history: History, objective: "Objective") -> tuple[ExperimentRun, float] | None:
    """Return the run with the highest objective value; None before the first complete measurement."""
    scores = {run_key: objective.score_measured(values) for run_key, values in history.accepted.items()}
    found = max(((score, run_key) for run_key, score in scores.items() if score is not None), default=None)
    return None if found is None else (history.runs[found[1]], found[0])


def lessons(history: History) -> int:
    """Count the runs that a surrogate can learn from: measured ones and infeasible ones."""
    return sum(1 for run in history.runs.values() if run.ingested or run.status is RunStatus.INFEASIBLE)


def failures(history: History) -> tuple[ExperimentRun, ...]:
    """Return the runs that failed, and the completed ones of which no value was accepted."""
    return tuple(run for run in history.attempts() if run.status is RunStatus.FAILED or _is_barren(history, run))


def infeasible(history: History) -> tuple[ExperimentRun, ...]:
    """Return the infeasible runs."""
    return tuple(run for run in history.attempts() if run.status is RunStatus.INFEASIBLE)


def _is_barren(history: History, run: ExperimentRun) -> bool:
    return run.status is RunStatus.COMPLETED and run.ingested and run.run_key not in history.accepted


def counts(history: History) -> dict[str, int]:
    """Count proposals and attempts by status."""
    tally = Counter(f"proposals_{one.status}" for one in history.newest())
    tally.update(f"runs_{run.status}" for run in history.runs.values())
    return dict(sorted(tally.items()))
