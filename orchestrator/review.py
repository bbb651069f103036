"""Who must agree to a proposal, whether an answer counts, and what follows from it: pure functions.

A request gets one decision. An approval is `by person`, `by rule` or `by deadline`, and none is shown as another.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.clock import Instant
from orchestrator.domain.events import BY_DEADLINE, Actor
from orchestrator.domain.lifecycle import AnswerStatus, ProposalStatus, ReviewStatus
from orchestrator.domain.records import Proposal
from orchestrator.domain.restriction import Restriction
from orchestrator.domain.review import Answer, Asked, Person, Reason, ReviewRequest, Signature, Verdict
from orchestrator.errors import BadInput

if TYPE_CHECKING:  # it loads pint, which takes longer than opening and reading a ledger
    from orchestrator.domain.review_rules import ReviewRule, ReviewSpec

Reasons = Callable[[Proposal], tuple[Reason, ...]]
"""Says why people must look at a revision; empty where they need not."""
Edit = Callable[[Proposal, Mapping[str, float | str]], Proposal]
"""Makes the next revision with new values, expanded and checked anew; BadInput names all that is wrong."""


@dataclass(frozen=True, slots=True)
class Quantities:
    """What rules look at."""

    values: Mapping[str, float]
    """By quantity: `sd.TARGET`, `novelty`, `cost`, `margin`; one that cannot be computed is absent."""
    hazards: tuple[Reason, ...] = ()
    """The bench's hazards that the proposal meets."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What an answer, a rule or a deadline decided."""

    proposals: tuple[Proposal, ...] = ()
    """Decided revisions, signed ones, and new ones that edits made."""
    approved: tuple[Proposal, ...] = ()
    """Those of them that may be carried out."""


def reasons_for(proposal: Proposal, found: Quantities, spec: "ReviewSpec") -> tuple[Reason, ...]:
    """Say why people must look at a proposal; a hazard asks in every mode.

    Args:
        proposal: As proposed or edited.
        found: What the rules look at.
        spec: The campaign's rules.
    """
    asked = list(found.hazards)
    if spec.mode == "always":
        asked.append(Reason(name="always", text="every proposal is reviewed", standing=True))
    if spec.mode == "rules" and proposal.number <= spec.first:
        asked.append(Reason(name="first", text=f"one of the first {spec.first} proposals", standing=True))
    return (*asked, *(reason for rule in spec.when if (reason := _fired(rule, found)) is not None))


def _fired(rule: "ReviewRule", found: Quantities) -> Reason | None:
    limit = f"above {rule.above:g}" if rule.above is not None else f"below {rule.below:g}"
    if rule.quantity == "hazard":
        return Reason(name=rule.name, text=f"hazards met: {len(found.hazards)}") if rule.fires(len(found.hazards)) else None
    value = found.values.get(rule.quantity)
    if value is None:  # what cannot be computed cannot be waved through
        return Reason(name=rule.name, text=f"{rule.quantity} is unknown; the rule asks when it is {limit}")
    return Reason(name=rule.name, text=f"{rule.quantity} = {value:.4g} is {limit}") if rule.fires(value) else None


def asked_about(proposal: Proposal, reasons: tuple[Reason, ...]) -> Asked:
    """Return the entry of a request that asks about a proposal."""
    return Asked(
        proposal_id=proposal.proposal_id,
        number=proposal.number,
        revision=proposal.revision,
        content_hash=proposal.content_hash,
        reasons=reasons,
    )


def why_refused(request: ReviewRequest, answer: Answer, proposals: Mapping[tuple[str, int], Proposal], lab: float) -> str | None:
    """Say why an answer does not count, but for who gave it; None when it does.

    Args:
        request: What it answers.
        answer: What came.
        proposals: The ledger's, by id and revision.
        lab: Lab seconds now.
    """
    if request.status is not ReviewStatus.OPEN:
        return f"request {request.number} is {request.status} already ({request.reason or 'no reason kept'})"
    if request.answer_id is not None:
        return f"request {request.number} was answered already; the first answer counts"
    if answer.content_hash != request.content_hash:
        return f"the answer is to content {answer.content_hash[:12]}, but request {request.number} asks about {request.content_hash[:12]}"
    if _is_over(request, lab):
        return f"request {request.number} expired at {request.deadline_lab:g} s of lab time"
    if complaint := _rows_complaint(request, answer):
        return complaint
    return _signing_complaint(request, answer, proposals)


def _is_over(request: ReviewRequest, lab: float) -> bool:
    return request.deadline_lab is not None and lab > request.deadline_lab and request.on_deadline != "hold" and not request.overdue


def _rows_complaint(request: ReviewRequest, answer: Answer) -> str | None:
    """Notice rows that were added, removed, moved or renamed."""
    expected = [(one.proposal_id, one.revision) for one in request.asked]
    came = [(one.proposal_id, one.revision) for one in answer.verdicts]
    if came == expected:
        return None
    numbers = {(one.proposal_id, one.revision): f"{one.number} (revision {one.revision})" for one in request.asked}
    named = [numbers.get(one, f"unknown {one[0]} revision {one[1]}") for one in came]
    return f"the answer's rows are {', '.join(named) or 'none'}; expected {', '.join(numbers.values())}, each once and in this order"


def _signing_complaint(request: ReviewRequest, answer: Answer, proposals: Mapping[tuple[str, int], Proposal]) -> str | None:
    """Refuse a signature that adds nothing: from the author alone, or a second one from one person."""
    for asked, verdict in zip(request.asked, answer.verdicts, strict=True):
        proposal = proposals[(asked.proposal_id, asked.revision)]
        if verdict.verdict == "reject" or verdict.edits:
            continue
        if any(one.person == answer.reviewer and one.content_hash == asked.content_hash for one in proposal.signatures):
            return f"{answer.reviewer} has signed proposal {asked.number} revision {asked.revision} already; another person must"
        if proposal.author == answer.reviewer and asked.people == 1:
            return f"{answer.reviewer} wrote proposal {asked.number} revision {asked.revision}; another person must sign it"
    return None


def identify(people: Mapping[str, Person], answer: Answer, code: str | None, *, needs: int) -> Person | str | None:
    """Say who answered.

    Args:
        people: All that the lab knows, by name.
        answer: What came.
        code: A one-time code, as typed.
        needs: Most signatures that any row needs.

    Returns:
        The person without the used code; None where the lab keeps no people; or why the answer is refused.
    """
    if not people:
        return None if needs == 1 else "two persons must sign, but this lab knows none; `athanor people add NAME` prints their codes"
    return prove(people, answer.reviewer, code, what="reviewer")


def prove(people: Mapping[str, Person], name: str, code: str | None, *, what: str) -> Person | str:
    """Say whether a one-time code proves who somebody is, in a lab that keeps people.

    Args:
        people: All that the lab knows, by name.
        name: Who they say they are.
        code: A one-time code, as typed.
        what: What they are here, for messages.

    Returns:
        The person without the used code, or why not.
    """
    person = people.get(name)
    if person is None:
        return f"{what} {name!r} is unknown here; known: {', '.join(sorted(people))}"
    if person.revoked:
        return f"{what} {name} was revoked"
    if not code:
        return f"{what} {name} must give a one-time code from the sheet"
    return person.use(code) or f"the code that came is not one of {name}'s unused ones"


def carry_out(
    request: ReviewRequest, answer: Answer, proposals: Mapping[tuple[str, int], Proposal], *, now: Instant, reasons: Reasons, edit: Edit
) -> Settled:
    """Carry an answer out on the request's proposals.

    Args:
        request: What was asked.
        answer: The one that came first.
        proposals: The ledger's, by id and revision.
        now: When it is decided.
        reasons: Why people must look at an edited revision.
        edit: Makes edited revisions.

    Raises:
        BadInput: Edits that are not legal, all of them named: the whole answer is to be refused.
    """
    changed: list[Proposal] = []
    complaints: list[str] = []
    for asked, verdict in zip(request.asked, answer.verdicts, strict=True):
        proposal = proposals[(asked.proposal_id, asked.revision)]
        try:
            changed.append(_settle_one(request, answer, asked, verdict, proposal, now=now, reasons=reasons, edit=edit))
        except BadInput as error:
            complaints.append(f"proposal {proposal.number}: {error}")
    if complaints:
        raise BadInput("; ".join(complaints))
    return Settled(tuple(changed), tuple(one for one in changed if one.status is ProposalStatus.APPROVED))


def _settle_one(
    request: ReviewRequest,
    answer: Answer,
    asked: Asked,
    verdict: Verdict,
    proposal: Proposal,
    *,
    now: Instant,
    reasons: Reasons,
    edit: Edit,
) -> Proposal:
    who = Actor.person(answer.reviewer)
    if verdict.verdict == "reject":
        return proposal.evolve(status=ProposalStatus.REJECTED, decided_by=who, reason=verdict.reason, decided_lab=now.lab)
    if all(value == proposal.configuration.get(column) for column, value in verdict.edits.items()):
        return _signed(request, answer, proposal, asked.people, now)
    edited = edit(proposal, verdict.edits).evolve(author=answer.reviewer, reason=verdict.reason)
    signed = edited.evolve(signatures=(_signature(request, answer, edited),))
    if any(not reason.standing for reason in reasons(edited)):
        return signed
    return signed.evolve(status=ProposalStatus.APPROVED, decided_by=who, decided_lab=now.lab)


def _signature(request: ReviewRequest, answer: Answer, proposal: Proposal) -> Signature:
    return Signature(person=answer.reviewer, content_hash=proposal.content_hash, request_id=request.request_id)


def signers_of(proposal: Proposal) -> tuple[str, ...]:
    """Return who has signed a revision as it stands."""
    return tuple(one.person for one in proposal.signatures if one.content_hash == proposal.content_hash)


def lacks_signature(proposal: Proposal, signers: Iterable[str], people: int) -> bool:
    """Whether one more person must sign before a revision is carried out: its author cannot be the only one."""
    persons = set(signers)
    return len(persons) < people or persons == {proposal.author}


def unsigned(request: ReviewRequest, answer: Answer, proposals: Mapping[tuple[str, int], Proposal]) -> tuple[int, ...]:
    """Return the numbers of the proposals that an answer approves as they stand, and that lack a signature all the same."""
    rows = zip(request.asked, answer.verdicts, strict=False)
    approved = (
        (asked, proposals[(asked.proposal_id, asked.revision)]) for asked, one in rows if one.verdict == "approve" and not one.edits
    )
    return tuple(
        asked.number for asked, proposal in approved if lacks_signature(proposal, (*signers_of(proposal), answer.reviewer), asked.people)
    )


def _signed(request: ReviewRequest, answer: Answer, proposal: Proposal, people: int, now: Instant) -> Proposal:
    signatures = (*proposal.signatures, _signature(request, answer, proposal))
    signed = proposal.evolve(signatures=signatures)
    signers = signers_of(signed)
    if lacks_signature(signed, signers, people):
        return signed
    return signed.evolve(status=ProposalStatus.APPROVED, decided_by=Actor.person(*signers), decided_lab=now.lab)


def avoided(settled: Settled, spec: "ReviewSpec", last_batch: int, names: Iterable[str]) -> tuple[Restriction, ...]:
    """Return what people's refusals take out of the search for a while.

    Args:
        settled: What an answer brought.
        spec: For how long, and how far around.
        last_batch: The newest batch.
        names: Identifiers to use.
    """
    if not (spec.refusal_batches and spec.refusal_radius):
        return ()
    refused = (one for one in settled.proposals if one.status is ProposalStatus.REJECTED)
    return tuple(
        Restriction(
            restriction_id=name,
            campaign=one.campaign,
            author=Actor(one.decided_by or "").name,
            reason=f"proposal {one.number} refused: {one.reason}",
            around=one.configuration,
            radius=spec.refusal_radius,
            last_batch=last_batch + spec.refusal_batches,
        )
        for one, name in zip(refused, names, strict=False)
    )


def by_rule(proposal: Proposal, spec: "ReviewSpec", now: Instant) -> Proposal:
    """Approve a proposal that nobody needs to look at."""
    return proposal.evolve(status=ProposalStatus.APPROVED, decided_by=Actor.rule(f"review-{spec.mode}"), decided_lab=now.lab)


def by_deadline(request: ReviewRequest, proposals: Mapping[tuple[str, int], Proposal], now: Instant) -> tuple[ReviewRequest, Settled]:
    """Decide what nobody decided in time: hold, skip or approve; a hazard always holds."""
    if request.on_deadline == "hold" or (request.on_deadline == "approve" and request.has_hazard):
        return request.evolve(overdue=True), Settled()
    status = ProposalStatus.APPROVED if request.on_deadline == "approve" else ProposalStatus.EXPIRED
    asked = [proposals[(one.proposal_id, one.revision)] for one in request.asked]
    decided = tuple(one.evolve(status=status, decided_by=BY_DEADLINE, decided_lab=now.lab) for one in asked)
    closed = request.evolve(status=ReviewStatus.EXPIRED, reason=f"deadline: {status}")
    return closed, Settled(decided, decided if status is ProposalStatus.APPROVED else ())


def decided(request: ReviewRequest, answer: Answer) -> tuple[ReviewRequest, Answer]:
    """Return a request and the answer that decided it."""
    closed = request.evolve(status=ReviewStatus.DECIDED, reason=f"answered by {answer.reviewer}", answer_id=answer.answer_id)
    return closed, answer.evolve(status=AnswerStatus.ACCEPTED)


def asked_again(request: ReviewRequest, complaint: str) -> ReviewRequest:
    """Return a request that is put to people anew, with why."""
    return request.evolve(attempt=request.attempt + 1, complaint=complaint, answer_id=None)


def undecided(proposals: Iterable[Proposal], requests: Iterable[ReviewRequest]) -> tuple[Proposal, ...]:
    """Return the newest revisions that wait and that no open request asks about."""
    asked = {(row.proposal_id, row.revision) for one in requests if one.status is ReviewStatus.OPEN for row in one.asked}
    return tuple(one for one in proposals if one.status is ProposalStatus.PROPOSED and (one.proposal_id, one.revision) not in asked)


def why_asked_again(proposal: Proposal, proposals: Mapping[tuple[str, int], Proposal]) -> str | None:
    """Say why the revision before lapsed; None where none did.

    Args:
        proposal: A revision.
        proposals: The ledger's, by id and revision.
    """
    former = proposals.get((proposal.proposal_id, proposal.revision - 1))
    return former.reason if former is not None and former.status is ProposalStatus.LAPSED else None
