"""All life cycles: who may become what.

Proposal      proposed ─> approved | rejected | expired | lapsed (what it was expanded from has changed)
approved ─> withdrawn (a person) | lapsed (what it bound has changed), until the first of its runs is dispatched

ReviewRequest open ─> decided | expired | closed

Answer        received ─> accepted | refused

Restriction   active ─> lifted

ExperimentRun queued ─> dispatched ─> running ─> completed | failed | infeasible | aborted
│            │            │
│            └────────────┴──> unknown ─> completed | failed | infeasible | aborted
│            │                    │
└────────────┴────────────────────┴─> superseded   (with evidence that nothing was executed;
attempt n+1 of the same run_id is queued in its place)

Step          planned ─> intent ─> sent ─> acknowledged ─> done | failed | unknown
(each may fail early, and be planned again where it was not executed or is harmless to repeat;
unknown is settled by evidence or by a person)

Measurement   accepted <─> quarantined ─> retracted <─ accepted

Campaign      draft ─> running <─> paused ─> finished | aborted
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeVar

from orchestrator.errors import Fault


class ProposalStatus(StrEnum):
    """Where a revision of a proposal stands."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"


class ReviewStatus(StrEnum):
    """Where a question to people stands."""

    OPEN = "open"
    DECIDED = "decided"
    EXPIRED = "expired"
    """Its deadline decided."""
    CLOSED = "closed"
    """It has become pointless: its campaign or its proposals ended otherwise."""


class AnswerStatus(StrEnum):
    """What became of a person's answer."""

    RECEIVED = "received"
    """The first one; the campaign has yet to carry it out."""
    ACCEPTED = "accepted"
    REFUSED = "refused"


class RestrictionStatus(StrEnum):
    """Whether proposals keep to a restriction."""

    ACTIVE = "active"
    """Until its last batch, where it has one."""
    LIFTED = "lifted"


class RunStatus(StrEnum):
    """Where one attempt of an experiment stands.

    `failed` is the instrument's fault and says nothing about the chemistry; `infeasible` is the recipe's fault, by a
    rule that the bench declares, and informs the surrogate; `unknown` pauses the campaign and is never sent again.
    """

    QUEUED = "queued"
    DISPATCHED = "dispatched"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    INFEASIBLE = "infeasible"
    ABORTED = "aborted"
    UNKNOWN = "unknown"
    SUPERSEDED = "superseded"

    @property
    def is_open(self) -> bool:
        """Whether the attempt may still change by itself."""
        return self in (RunStatus.QUEUED, RunStatus.DISPATCHED, RunStatus.RUNNING)

    @property
    def is_terminal(self) -> bool:
        """Whether the attempt has ended for good."""
        return not self.is_open and self is not RunStatus.UNKNOWN


class EvidenceKey(StrEnum):
    """What the evidence of a run's end is asked for."""

    NOT_EXECUTED = "not_executed"
    """Nothing of it was carried out, or a person said so: it may be tried again. The value says how that is known."""
    NEVER_SENT = "steps never sent"
    """Indices of the steps that the host's journal has as planned to the end."""
    CARRIED_OUT = "steps carried out"
    """Of an attempt that counts as not executed: indices of the steps that were done all the same."""


class StepStatus(StrEnum):
    """Where a step of a run stands in the bench host's journal."""

    PLANNED = "planned"
    INTENT = "intent"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


class StepKind(StrEnum):
    """What repeating a step would do."""

    STATE_SETTING = "state-setting"
    """May be sent again."""
    DOSING = "dosing"
    """At most once."""
    PROGRAM = "program"
    """At most once; identified on the device by the run key."""
    READ = "read"
    """Changes nothing."""
    WAIT = "wait"
    """Lab time passes; nothing is sent."""


class MeasurementStatus(StrEnum):
    """Whether a model may learn from a measurement: only from an accepted one."""

    ACCEPTED = "accepted"
    QUARANTINED = "quarantined"
    RETRACTED = "retracted"


class CampaignStatus(StrEnum):
    """Where a campaign stands."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    ABORTED = "aborted"

    @property
    def is_over(self) -> bool:
        """Whether the campaign never goes on."""
        return self in (CampaignStatus.FINISHED, CampaignStatus.ABORTED)


_P, _R, _S, _M, _C = ProposalStatus, RunStatus, StepStatus, MeasurementStatus, CampaignStatus
_ENDS: Final = frozenset({_R.COMPLETED, _R.FAILED, _R.INFEASIBLE, _R.ABORTED})
_Status = TypeVar("_Status", bound=StrEnum)

PROPOSAL_STEPS: Final[Mapping[ProposalStatus, frozenset[ProposalStatus]]] = {
    _P.PROPOSED: frozenset({_P.APPROVED, _P.REJECTED, _P.EXPIRED, _P.LAPSED}),
    _P.APPROVED: frozenset({_P.WITHDRAWN, _P.LAPSED}),
}
REVIEW_STEPS: Final[Mapping[ReviewStatus, frozenset[ReviewStatus]]] = {
    ReviewStatus.OPEN: frozenset({ReviewStatus.DECIDED, ReviewStatus.EXPIRED, ReviewStatus.CLOSED}),
}
ANSWER_STEPS: Final[Mapping[AnswerStatus, frozenset[AnswerStatus]]] = {
    AnswerStatus.RECEIVED: frozenset({AnswerStatus.ACCEPTED, AnswerStatus.REFUSED}),
}
RESTRICTION_STEPS: Final[Mapping[RestrictionStatus, frozenset[RestrictionStatus]]] = {
    RestrictionStatus.ACTIVE: frozenset({RestrictionStatus.LIFTED}),
}
RUN_STEPS: Final[Mapping[RunStatus, frozenset[RunStatus]]] = {
    _R.QUEUED: frozenset({_R.DISPATCHED, _R.ABORTED, _R.SUPERSEDED}),
    _R.DISPATCHED: _ENDS | {_R.RUNNING, _R.UNKNOWN, _R.SUPERSEDED},
    _R.RUNNING: _ENDS | {_R.UNKNOWN},
    _R.UNKNOWN: _ENDS | {_R.SUPERSEDED},
}
STEP_STEPS: Final[Mapping[StepStatus, frozenset[StepStatus]]] = {
    _S.PLANNED: frozenset({_S.INTENT, _S.FAILED, _S.SKIPPED}),
    _S.INTENT: frozenset({_S.SENT, _S.DONE, _S.FAILED, _S.UNKNOWN, _S.PLANNED}),
    _S.SENT: frozenset({_S.ACKNOWLEDGED, _S.DONE, _S.FAILED, _S.UNKNOWN, _S.PLANNED}),
    _S.ACKNOWLEDGED: frozenset({_S.DONE, _S.FAILED, _S.UNKNOWN, _S.PLANNED}),  # planned again: what is harmless to repeat
    _S.UNKNOWN: frozenset({_S.DONE, _S.FAILED, _S.ACKNOWLEDGED, _S.PLANNED}),
}
MEASUREMENT_STEPS: Final[Mapping[MeasurementStatus, frozenset[MeasurementStatus]]] = {
    _M.ACCEPTED: frozenset({_M.QUARANTINED, _M.RETRACTED}),
    _M.QUARANTINED: frozenset({_M.ACCEPTED, _M.RETRACTED}),
}
CAMPAIGN_STEPS: Final[Mapping[CampaignStatus, frozenset[CampaignStatus]]] = {
    _C.DRAFT: frozenset({_C.RUNNING, _C.ABORTED}),
    _C.RUNNING: frozenset({_C.PAUSED, _C.FINISHED, _C.ABORTED}),
    _C.PAUSED: frozenset({_C.RUNNING, _C.FINISHED, _C.ABORTED}),
}


def advance(table: Mapping[_Status, frozenset[_Status]], old: _Status, new: _Status, *, what: str) -> _Status:
    """Return the new status when the table allows the step.

    Raises:
        Fault: The step is not legal; names the thing and what was legal.
    """
    legal = table.get(old, frozenset())
    if new not in legal:
        raise Fault(f"{what}: {old} cannot become {new}; legal: {', '.join(sorted(legal)) or 'nothing, it has ended'}")
    return new
