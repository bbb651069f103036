"""Review in the ledger: one decision per request, the first one wins, and what comes later is kept as refused."""

from collections.abc import Sequence

from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import (
    ANSWER_STEPS,
    RESTRICTION_STEPS,
    REVIEW_STEPS,
    AnswerStatus,
    ProposalStatus,
    RestrictionStatus,
    ReviewStatus,
    RunStatus,
    advance,
)
from orchestrator.domain.records import ExperimentRun, Proposal
from orchestrator.domain.restriction import Restriction
from orchestrator.domain.review import Answer, Page, Person, ReviewRequest
from orchestrator.domain.values import Frozen
from orchestrator.errors import BadInput, StoreError
from orchestrator.review import asked_again, identify, why_refused
from orchestrator.store.checks import (
    campaign_of,
    changed,
    check_decision,
    check_new_revision,
    check_queued,
    check_same,
    check_unknown,
    everything,
    find_stored,
    get,
    known,
    name_of,
)
from orchestrator.store.documents import PEOPLE, PROPOSALS, REQUESTS, RESTRICTIONS, RUNS
from orchestrator.store.event_writer import EventWriter
from orchestrator.store.ledger import Reader


def open_request(writer: EventWriter, request: ReviewRequest, page: Page) -> None:
    """Write a question to people and its page; what it asks about must wait for a decision."""
    check_unknown(writer.ledger, request)
    check_same(f"page of {name_of(request)}", request.page_sha256, page.sha256)
    for asked in request.asked:
        proposal = _asked(writer.ledger, asked.proposal_id, asked.revision)
        check_same(f"status of {name_of(proposal)}", ProposalStatus.PROPOSED, proposal.status)
        check_same(f"content of {name_of(proposal)}", proposal.content_hash, asked.content_hash)
    writer.record(EventKind.REVIEW_OPENED, request, *([] if find_stored(writer.ledger, page) else [page]))


def update_request(writer: EventWriter, request: ReviewRequest, kind: EventKind) -> None:
    """Write a request's next state; what others wrote meanwhile (an answer, a complaint, another review run) stays."""
    stored = known(writer.ledger, request)
    if stored.status != request.status:
        advance(REVIEW_STEPS, stored.status, request.status, what=name_of(request))
    newer = stored if stored.attempt > request.attempt else request
    runs = (*stored.runs, *(one for one in request.runs if one not in stored.runs))
    merged = request.evolve(answer_id=stored.answer_id, attempt=newer.attempt, complaint=newer.complaint, runs=_dumped(runs))
    if merged != stored:
        writer.record(kind, merged)


def _dumped(values: Sequence[Frozen]) -> list[dict[str, object]]:
    return [one.model_dump() for one in values]


def record_answer(writer: EventWriter, answer: Answer, code: str | None) -> Answer:
    """Write an answer: received when it is the first one and valid, else refused with the reason.

    The same answer again (a child that was killed after writing, a stored form read twice) changes nothing.
    """
    if (before := find_stored(writer.ledger, answer)) is not None:
        return before
    request = get(writer.ledger, REQUESTS, answer.request_id)
    if request is None:
        raise BadInput(f"there is no review request {answer.request_id!r} in this ledger")
    people = {person.name: person for person in everything(writer.ledger, PEOPLE)}
    person = identify(people, answer, code, needs=max(one.people for one in request.asked))
    proposals = {(one.proposal_id, one.revision): _asked(writer.ledger, one.proposal_id, one.revision) for one in request.asked}
    complaint = why_refused(request, answer, proposals, writer.now.lab) or (person if isinstance(person, str) else None)
    judged = answer.evolve(status=AnswerStatus.REFUSED, reason=complaint) if complaint else answer
    values: list[Frozen] = [judged, *([person] if isinstance(person, Person) else [])]
    follows = _after_answer(request, judged)
    if follows is not request:
        values.append(follows)
    writer.record(EventKind(f"answer-{judged.status}"), *values, about=request)
    return judged


def _after_answer(request: ReviewRequest, answer: Answer) -> ReviewRequest:
    if answer.status is AnswerStatus.RECEIVED:
        return request.evolve(answer_id=answer.answer_id)
    is_waiting = request.status is ReviewStatus.OPEN and request.answer_id is None
    # a form that was answered is used up; one that is open elsewhere stays open when the terminal's answer is refused
    return asked_again(request, answer.reason or "") if is_waiting and answer.via == "page" else request


def _asked(ledger: Reader, proposal_id: str, revision: int) -> Proposal:
    found = get(ledger, PROPOSALS, proposal_id, revision)
    if found is None:
        raise StoreError(f"proposal {proposal_id}/{revision} is not in the ledger")
    return found


def record_settlement(
    writer: EventWriter, request: ReviewRequest, answer: Answer | None, proposals: Sequence[Proposal], runs: Sequence[ExperimentRun]
) -> None:
    """Write all that an answer or a deadline brought, in one transaction."""
    stored = known(writer.ledger, request)
    check_same(f"status of {name_of(request)}", ReviewStatus.OPEN, stored.status)
    if answer is None and stored.answer_id is not None:
        raise StoreError(f"{name_of(request)} was answered meanwhile; the answer counts")
    if answer is not None:
        check_same(f"answer to {name_of(request)}", stored.answer_id, answer.answer_id)
        advance(ANSWER_STEPS, known(writer.ledger, answer).status, answer.status, what=name_of(answer))
    answers = [] if answer is None else [answer]
    writer.record(EventKind(f"review-{request.status}"), request, *answers, details={"reason": request.reason})
    for proposal in proposals:
        _decide(writer, proposal)
    by_key = {(one.proposal_id, one.revision): one for one in proposals}
    for run in runs:
        record_queued(writer, run, _given(by_key, run))


def _given(proposals: dict[tuple[str, int], Proposal], run: ExperimentRun) -> Proposal:
    proposal = proposals.get(run.approval)
    if proposal is None:
        raise StoreError(f"{name_of(run)} belongs to no proposal that is decided here")
    return proposal


def _decide(writer: EventWriter, proposal: Proposal) -> None:
    """Write a decision or a signature; a revision that was edited, or expanded anew, first as it was proposed."""
    if find_stored(writer.ledger, proposal) is None:
        plain = proposal.evolve(status=ProposalStatus.PROPOSED, decided_by=None, decided_lab=None, signatures=())
        check_new_revision(writer.ledger, plain)
        details = {"edited by": plain.author} if proposal.signatures else {"expanded anew": True}
        writer.record(EventKind.PROPOSED, plain, details=details)
    if proposal.status is ProposalStatus.PROPOSED:
        check_same(f"content of {name_of(proposal)}", known(writer.ledger, proposal).content_hash, proposal.content_hash)
        if proposal.signatures:
            writer.record(EventKind.SIGNED, proposal)
        return
    record_decision(writer, proposal)


def record_decision(writer: EventWriter, proposal: Proposal) -> None:
    """Write a decision on a revision that the ledger holds."""
    check_decision(writer.ledger, proposal)
    writer.record(EventKind(proposal.status), proposal, details={"reason": proposal.reason})


def record_queued(writer: EventWriter, run: ExperimentRun, proposal: Proposal) -> None:
    """Write a run that an approval gives."""
    check_queued(writer.ledger, run, proposal)
    writer.record(EventKind.QUEUED, run)


def take_back(writer: EventWriter, proposal: Proposal, runs: Sequence[ExperimentRun], successor: Proposal | None, reason: str) -> None:
    """End an approval; exactly the runs that still wait are taken back.

    Raises:
        StoreError: A run was dispatched meanwhile, or none waits any more.
    """
    what = name_of(proposal)
    check_decision(writer.ledger, proposal)
    waiting = _waiting(writer.ledger, proposal)
    check_same(f"waiting runs of {what}", sorted(waiting), sorted(run.run_key for run in runs))
    if not waiting:
        raise StoreError(f"{what} has no run that still waits; nothing can be taken back")
    for run in runs:
        check_same(f"status of {name_of(run)}", RunStatus.SUPERSEDED, run.status)
    writer.record(EventKind(proposal.status), proposal, *runs, details={"reason": reason})
    if successor is not None:
        check_new_revision(writer.ledger, successor)
        writer.record(EventKind.PROPOSED, successor, details={"reason": reason})


def _waiting(ledger: Reader, proposal: Proposal) -> list[str]:
    key = (proposal.proposal_id, proposal.revision)
    runs = changed(ledger, RUNS, proposal.campaign)
    return [run.run_key for _, run in runs if (run.proposal_id, run.revision) == key and run.status is RunStatus.QUEUED]


def record_restriction(writer: EventWriter, restriction: Restriction) -> Restriction:
    """Write a restriction: a new one under the next free number, or that one is lifted; return it as written.

    Raises:
        BadInput: The campaign has ended, maybe since somebody looked.
    """
    campaign_of(writer.ledger, restriction.campaign).refuse_ended()
    stored = find_stored(writer.ledger, restriction)
    if stored is None:
        kept = restriction.evolve(number=writer.ledger.highest_number(RESTRICTIONS.table, restriction.campaign) + 1)
        check_same(f"status of new {name_of(kept)}", RestrictionStatus.ACTIVE, kept.status)
    else:
        kept = restriction
        advance(RESTRICTION_STEPS, stored.status, kept.status, what=f"restriction {stored.number} of campaign {stored.campaign}")
        check_same(f"content of {name_of(kept)}", stored, kept.evolve(status=stored.status, lifted=None))
    kind = EventKind.RESTRICTED if stored is None else EventKind(f"restriction-{kept.status}")
    writer.record(kind, kept)
    return kept
