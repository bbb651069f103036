"""The loop: what is to be done next, as a pure function of the history.

    history ── next_actions ──> Propose | Review | Settle | Expire | Execute | Reconcile | Deliver | Ingest | GiveUp | Watch | Adapt
                                | Wait | Stop

Nothing here takes time, reads a clock or touches a wire; a flow carries the actions out and asks again.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from orchestrator.attained import attained
from orchestrator.clock import Instant
from orchestrator.domain.campaign import GeneralSpec
from orchestrator.domain.lifecycle import AnswerStatus, CampaignStatus, ProposalStatus, RunStatus
from orchestrator.domain.objective import Objective
from orchestrator.domain.records import ExperimentRun, Proposal
from orchestrator.domain.review import Answer, ReviewRequest
from orchestrator.domain.stop import RULE, StopSpec, written_chance
from orchestrator.domain.work import WorkAnswer
from orchestrator.history import History, failures, infeasible
from orchestrator.review import undecided

_POLL_LAB_SECONDS: Final = 600.0
"""Longest wait for a running experiment before the loop looks again, in lab time; the bench answers earlier."""
NOTHING_LEFT: Final = "nothing is left to propose"
"""Why a campaign ends whose policy has tried all that there is."""


@dataclass(frozen=True, slots=True)
class Propose:
    """Ask the policy for a batch."""

    count: int


@dataclass(frozen=True, slots=True)
class Review:
    """Have proposals decided: by rule at once, or put to people in one request."""

    proposals: tuple[Proposal, ...]


@dataclass(frozen=True, slots=True)
class Settle:
    """Carry out what a person answered."""

    request: ReviewRequest
    answer: Answer


@dataclass(frozen=True, slots=True)
class Expire:
    """Let a request's deadline decide."""

    request: ReviewRequest


@dataclass(frozen=True, slots=True)
class Execute:
    """Hand a queued run to the bench."""

    run: ExperimentRun


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Ask the bench how a run that it was given stands."""

    run: ExperimentRun


@dataclass(frozen=True, slots=True)
class Deliver:
    """Tell the bench what a person answered to a step that waits there."""

    answer: WorkAnswer


@dataclass(frozen=True, slots=True)
class Ingest:
    """Reduce a completed run's readings to measurements."""

    run: ExperimentRun


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Wait no longer for values of a run that were to come after it."""

    run: ExperimentRun
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Watch:
    """Look whether the bench differs from its twin in another way than before, with all that has been measured since the last look."""

    as_of: int


@dataclass(frozen=True, slots=True)
class Adapt:
    """Let the surrogate learn what has been measured since it last did."""

    as_of: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before a lab time, unless the bench has news."""

    until: float
    """Lab seconds."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Leave the loop."""

    status: CampaignStatus
    reason: str


Action = Propose | Review | Settle | Expire | Execute | Reconcile | Deliver | Ingest | GiveUp | Watch | Adapt | Wait | Stop


def next_actions(
    history: History,
    now: Instant,
    spec: GeneralSpec,
    objective: Objective,
    *,
    stop: StopSpec | None = None,
    watched: int | None = None,
    exhausted: str | None = None,
    left_alone: Collection[str] = (),
) -> tuple[Action, ...]:
    """Decide what is to be done next.

    Args:
        history: The campaign so far.
        now: Wall and lab time.
        spec: Budget, batch, goal and the like.
        objective: Judges whether the goal is reached.
        stop: When further experiments are worth nothing; None where nobody asks. The model's advice stands in the history.
        watched: Ledger number up to which it was looked for a drift of the bench; None where nobody asks.
        exhausted: Why nothing was proposed when the policy was last asked: what is in hand is finished, then the campaign.
        left_alone: Keys of the runs that wait on the bench for people, and may do so without a campaign.
    """
    for over in _stopped(history):
        return (over,)
    if history.undelivered:
        return tuple(map(Deliver, history.undelivered))
    if history.campaign.status is CampaignStatus.PAUSED:
        return _wind_down(history, now, left_alone)
    if ingests := tuple(Ingest(run) for run in history.attempts() if _to_ingest(run)):
        return ingests
    if overdue := tuple(_overdue(history, now)):
        return overdue
    if watched is not None and history.lessons_seq > watched:
        return (Watch(history.seq),)
    if _unlearned(history):
        return (Adapt(history.seq),)
    if stop_now := _finished(history, spec, objective, stop):
        return (stop_now,)
    proposing = _propose(history, spec, objective, stop) if exhausted is None else ()
    return _reviewed(history, now) or _carry_on(history, now, proposing, exhausted or NOTHING_LEFT)


def _reviewed(history: History, now: Instant) -> tuple[Action, ...]:
    """Carry answers out, let deadlines decide, and have decided what nobody was asked about."""
    settled = tuple(
        Settle(one, history.answers[one.answer_id])
        for one in history.open_requests
        if one.answer_id is not None and history.answers[one.answer_id].status is AnswerStatus.RECEIVED
    )
    if settled:
        return settled
    if expired := tuple(Expire(one) for one in history.open_requests if _is_due(one, now)):
        return expired
    waiting = undecided(history.newest(), history.requests.values())
    return (Review(waiting),) if waiting else ()


def _is_due(request: ReviewRequest, now: Instant) -> bool:
    return request.deadline_lab is not None and now.lab > request.deadline_lab and not request.overdue


def _carry_on(history: History, now: Instant, proposing: tuple[Propose, ...], nothing: str) -> tuple[Action, ...]:
    queued = tuple(Execute(run) for run in history.attempts() if run.status is RunStatus.QUEUED)
    given = _in_hand(history)
    if queued or proposing:
        return (*queued, *proposing)
    if given or history.open_requests or history.awaited:
        return (*given, Wait(now.lab + _POLL_LAB_SECONDS))
    return (Stop(CampaignStatus.FINISHED, nothing),)


def _wind_down(history: History, now: Instant, left_alone: Collection[str]) -> tuple[Action, ...]:
    """A paused campaign begins nothing and finishes what is in hand, but what can wait for people without it."""
    if ingests := tuple(Ingest(run) for run in history.attempts() if _to_ingest(run)):
        return ingests
    given = _in_hand(history)
    if any(one.run.run_key not in left_alone for one in given):
        return (*given, Wait(now.lab + _POLL_LAB_SECONDS))
    return (Stop(CampaignStatus.PAUSED, history.campaign.reason or ""),)


def _in_hand(history: History) -> tuple[Reconcile, ...]:
    return tuple(Reconcile(run) for run in history.attempts() if run.status in (RunStatus.DISPATCHED, RunStatus.RUNNING))


def _stopped(history: History) -> Iterable[Stop]:
    campaign = history.campaign
    if campaign.status.is_over:
        yield Stop(campaign.status, campaign.reason or "")
    if any(run.status is RunStatus.UNKNOWN for run in history.runs.values()):
        yield Stop(CampaignStatus.PAUSED, "unknown")


def _to_ingest(run: ExperimentRun) -> bool:
    return run.status is RunStatus.COMPLETED and not run.ingested


def _unlearned(history: History) -> bool:
    """Whether a measurement was added or changed, or a run infeasible, after the last adaptation."""
    return history.lessons_seq > history.learnt_seq


def _overdue(history: History, now: Instant) -> Iterable[GiveUp]:
    for run_key, targets in history.awaited.items():
        if late := tuple(target for target, due in targets.items() if due is not None and now.lab > due):
            yield GiveUp(history.runs[run_key], late)


def _finished(history: History, spec: GeneralSpec, objective: Objective, stop: StopSpec | None) -> Stop | None:
    runs = history.attempts()
    if (enough := _enough(history, spec, objective, stop)) is not None:
        settled = not any(run.status.is_open for run in runs) and not history.awaited
        return Stop(CampaignStatus.FINISHED, enough) if settled else None
    if (complaint := _fruitless(history, spec)) is not None:
        return Stop(CampaignStatus.PAUSED, complaint)
    most = spec.budget.experiments
    if len(runs) >= most and all(run.status.is_terminal for run in runs) and not history.awaited:
        nothing = "" if history.accepted else ", nothing was measured"
        return Stop(CampaignStatus.FINISHED, f"budget spent: {most} experiment{'s' if most > 1 else ''}{nothing}")
    return None


def _enough(history: History, spec: GeneralSpec, objective: Objective, stop: StopSpec | None) -> str | None:
    """Say why nothing more is proposed: the goal is reached, or the rule of stopping holds; None where neither is so."""
    if spec.goal is not None and (found := attained(history, objective)) is not None and found >= spec.goal:
        return f"goal reached: {'hypervolume' if objective.kind == 'pareto' else 'objective'} {found:.4g} >= {spec.goal:g}"
    advice = history.campaign.advice
    if stop is not None and advice is not None and stop.finishes(advice):
        return f"{RULE} (below {written_chance(stop.probability)}): {advice.line}"
    return None


def _fruitless(history: History, spec: GeneralSpec) -> str | None:
    """Say why a person must look before more is spent; None where there is no reason.

    In a row means: with no accepted value in between. What a person had seen when the campaign was resumed is forgiven; a value
    that was still to come then, and is overdue now, nobody had seen.
    """
    own = (run_key for run_key in history.accepted if not history.runs[run_key].is_imported)
    campaign, last = history.campaign, max(own, default="")
    failed, barren = failures(history), infeasible(history)
    in_a_row = [run for run in failed if run.run_key > last]
    if min(len(history.unforgiven(failed)) - campaign.forgiven, len(in_a_row)) >= spec.max_failures:
        return _failures_in_words(in_a_row, history)
    in_a_row = [run for run in barren if run.run_key > last]
    if min(len(history.unforgiven(barren)) - campaign.forgiven_infeasible, len(in_a_row)) >= spec.max_infeasible:
        return f"{len(in_a_row)} infeasible runs in a row; the last: {in_a_row[-1].reason or 'no reason recorded'}"
    return None


def _failures_in_words(runs: Sequence[ExperimentRun], history: History) -> str:
    failed = sum(run.status is RunStatus.FAILED for run in runs)
    if failed == len(runs):
        return f"{failed} failed runs in a row; the last: {runs[-1].reason or 'no reason recorded'}"
    measured = [one for one in history.measurements.values() if one.run_key == runs[-1].run_key]
    reasons = [one.reason for one in measured if one.reason] + [f"no value of {target} came in time" for target in runs[-1].overdue]
    why = "; ".join(dict.fromkeys(reasons)) or runs[-1].reason or "nothing was reduced"
    parts = [f"{failed} failed", f"{len(runs) - failed} completed with every value quarantined or absent"]
    return f"{len(runs)} runs in a row without an accepted value ({', '.join(parts[0 if failed else 1 :])}); the last: {why}"


def _propose(history: History, spec: GeneralSpec, objective: Objective, stop: StopSpec | None) -> tuple[Propose, ...]:
    runs = history.attempts()
    if _enough(history, spec, objective, stop) is not None:
        return ()
    open_runs = sum(run.status.is_open or run.run_key in history.awaited for run in runs)  # of both nothing is known yet
    asked = sum(one.status is ProposalStatus.PROPOSED for one in history.newest())
    # runs of one approval count each, and proposals that people look at as if approved; a batch is asked for whole
    left = (spec.budget.experiments - len(runs)) // spec.replicates - asked
    room = ((spec.in_flight or spec.batch) - -(-open_runs // spec.replicates) - asked) // spec.batch * spec.batch
    count = min(spec.batch, room, left)
    return (Propose(count),) if count > 0 else ()
