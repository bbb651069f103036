"""Review in the ledger: one decision per request, the first one wins, and what comes later is kept as refused."""

from collections.abc import Sequence
from typing import Final

from orchestrator.domain.lifecycle import (
    ANSWER_STEPS,
    RESTRICTION_STEPS,
    REVIEW_STEPS,
    AnswerStatus,
    CampaignStatus,
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
from orchestrator.review import asked_again, identify, refusal
from orchestrator.store.checks import (
    campaign_of,
    check_decision,
    check_new_revision,
    check_queued,
    check_same,
    check_unknown,
    find,
    known,
    name_of,
)
from orchestrator.store.documents import ANSWERS, PAGES, PEOPLE, PROPOSALS, REQUESTS, RESTRICTIONS, RUNS, Kept
from orchestrator.store.event_writer import Entry, Pen
from orchestrator.store.ledger import Reader

LAB: Final = ""
"""What stands for a campaign in events that concern the whole lab."""


def open_request(pen: Pen, request: ReviewRequest, page: Page) -> None:
    """Write a question to people and its page; what it asks about must wait for a decision."""
    check_unknown(pen.ledger, REQUESTS, request)
    check_same(f"page of {name_of(REQUESTS, request)}", request.page_sha256, page.sha256)
    for asked in request.asked:
        proposal = _asked(pen.ledger, asked.proposal_id, asked.revision)
        check_same(f"status of {name_of(PROPOSALS, proposal)}", ProposalStatus.PROPOSED, proposal.status)
        check_same(f"content of {name_of(PROPOSALS, proposal)}", proposal.content_hash, asked.content_hash)
    pages = [] if find(pen.ledger, PAGES, page) else [Entry(PAGES, page)]
    pen.record("review-opened", request.campaign, request.request_id, [Entry(REQUESTS, request), *pages])


def update_request(pen: Pen, request: ReviewRequest, kind: str) -> None:
    """Write a request's next state; what others wrote meanwhile (an answer, a complaint, another review run) stays."""
    stored = known(pen.ledger, REQUESTS, request)
    if stored.status != request.status:
        advance(REVIEW_STEPS, stored.status, request.status, what=name_of(REQUESTS, request))
    newer = stored if stored.attempt > request.attempt else request
    runs = (*stored.runs, *(one for one in request.runs if one not in stored.runs))
    merged = request.evolve(answer_id=stored.answer_id, attempt=newer.attempt, complaint=newer.complaint, runs=_dumped(runs))
    if merged != stored:
        pen.record(kind, request.campaign, request.request_id, [Entry(REQUESTS, merged)])


def _dumped(values: Sequence[Frozen]) -> list[dict[str, object]]:
    return [one.model_dump() for one in values]


def record_answer(pen: Pen, answer: Answer, code: str | None) -> Answer:
    """Write an answer: received when it is the first one and valid, else refused with the reason.

    The same answer again (a child that was killed after writing, a stored form read twice) changes nothing.
    """
    if (before := find(pen.ledger, ANSWERS, answer)) is not None:
        return before
    text = pen.ledger.find(REQUESTS.table, (answer.request_id,))
    if text is None:
        raise BadInput(f"there is no review request {answer.request_id!r} in this ledger")
    request = REQUESTS.load(text)
    person = identify(_people(pen.ledger), answer, code, needs=max(one.people for one in request.asked))
    proposals = {(one.proposal_id, one.revision): _asked(pen.ledger, one.proposal_id, one.revision) for one in request.asked}
    complaint = refusal(request, answer, proposals, pen.now.lab) or (person if isinstance(person, str) else None)
    judged = answer.evolve(status=AnswerStatus.REFUSED, reason=complaint) if complaint else answer
    entries = [Entry(ANSWERS, judged), *([Entry(PEOPLE, person)] if isinstance(person, Person) else [])]
    follows = _after_answer(request, judged)
    if follows is not request:
        entries.append(Entry(REQUESTS, follows))
    pen.record(f"answer-{judged.status}", request.campaign, request.request_id, entries)
    return judged


def _after_answer(request: ReviewRequest, answer: Answer) -> ReviewRequest:
    if answer.status is AnswerStatus.RECEIVED:
        return request.evolve(answer_id=answer.answer_id)
    is_waiting = request.status is ReviewStatus.OPEN and request.answer_id is None
    # a form that was answered is used up; one that is open elsewhere stays open when the terminal's answer is refused
    return asked_again(request, answer.reason or "") if is_waiting and answer.via == "page" else request


def _people(ledger: Reader) -> dict[str, Person]:
    return {person.name: person for person in map(PEOPLE.load, ledger.everything(PEOPLE.table))}


def _asked(ledger: Reader, proposal_id: str, revision: int) -> Proposal:
    text = ledger.find(PROPOSALS.table, (proposal_id, revision))
    if text is None:
        raise StoreError(f"proposal {proposal_id}/{revision} is not in the ledger")
    return PROPOSALS.load(text)


def settle(pen: Pen, request: ReviewRequest, answer: Answer | None, proposals: Sequence[Proposal], runs: Sequence[ExperimentRun]) -> None:
    """Write all that an answer or a deadline brought, in one transaction."""
    stored = known(pen.ledger, REQUESTS, request)
    check_same(f"status of {name_of(REQUESTS, request)}", ReviewStatus.OPEN, stored.status)
    if answer is None and stored.answer_id is not None:
        raise StoreError(f"{name_of(REQUESTS, request)} was answered meanwhile; the answer counts")
    if answer is not None:
        check_same(f"answer to {name_of(REQUESTS, request)}", stored.answer_id, answer.answer_id)
        advance(ANSWER_STEPS, known(pen.ledger, ANSWERS, answer).status, answer.status, what=name_of(ANSWERS, answer))
    entries: list[Entry] = [Entry(REQUESTS, request), *([Entry(ANSWERS, answer)] if answer is not None else [])]
    pen.record(f"review-{request.status}", request.campaign, request.request_id, entries, details={"reason": request.reason})
    for proposal in proposals:
        _decide(pen, proposal)
    by_key = {(one.proposal_id, one.revision): one for one in proposals}
    for run in runs:
        check_queued(pen.ledger, run, _given(by_key, run))
        pen.record("queued", run.campaign, run.run_key, [Entry(RUNS, run)])


def _given(proposals: dict[tuple[str, int], Proposal], run: ExperimentRun) -> Proposal:
    proposal = proposals.get((run.proposal_id, run.revision))
    if proposal is None:
        raise StoreError(f"{name_of(RUNS, run)} belongs to no proposal that is decided here")
    return proposal


def _decide(pen: Pen, proposal: Proposal) -> None:
    """Write a decision or a signature; a revision that was edited, or expanded anew, first as it was proposed."""
    if find(pen.ledger, PROPOSALS, proposal) is None:
        plain = proposal.evolve(status=ProposalStatus.PROPOSED, decided_by=None, decided_lab=None, signatures=())
        check_new_revision(pen.ledger, plain)
        details = {"edited by": plain.author} if proposal.signatures else {"expanded anew": True}
        pen.record("proposed", plain.campaign, plain.proposal_id, [Entry(PROPOSALS, plain)], details=details)
    if proposal.status is ProposalStatus.PROPOSED:
        check_same(f"content of {name_of(PROPOSALS, proposal)}", known(pen.ledger, PROPOSALS, proposal).content_hash, proposal.content_hash)
        if proposal.signatures:
            pen.record("signed", proposal.campaign, proposal.proposal_id, [Entry(PROPOSALS, proposal)])
        return
    check_decision(pen.ledger, proposal)
    pen.record(proposal.status, proposal.campaign, proposal.proposal_id, [Entry(PROPOSALS, proposal)], details={"reason": proposal.reason})


def take_back(pen: Pen, proposal: Proposal, runs: Sequence[ExperimentRun], successor: Proposal | None, reason: str) -> None:
    """End an approval; exactly the runs that still wait are taken back.

    Raises:
        StoreError: A run was dispatched meanwhile, or none waits any more.
    """
    what = name_of(PROPOSALS, proposal)
    check_decision(pen.ledger, proposal)
    waiting = _waiting(pen.ledger, proposal)
    check_same(f"waiting runs of {what}", sorted(waiting), sorted(run.run_key for run in runs))
    if not waiting:
        raise StoreError(f"{what} has no run that still waits; nothing can be taken back")
    entries = [Entry(PROPOSALS, proposal), *(Entry(RUNS, run) for run in runs)]
    for run in runs:
        check_same(f"status of {name_of(RUNS, run)}", RunStatus.SUPERSEDED, run.status)
    pen.record(proposal.status, proposal.campaign, proposal.proposal_id, entries, details={"reason": reason})
    if successor is not None:
        check_new_revision(pen.ledger, successor)
        pen.record("proposed", successor.campaign, successor.proposal_id, [Entry(PROPOSALS, successor)], details={"reason": reason})


def _waiting(ledger: Reader, proposal: Proposal) -> list[str]:
    runs = (RUNS.load(text) for text in ledger.changed(RUNS.table, proposal.campaign, 0))
    key = (proposal.proposal_id, proposal.revision)
    return [run.run_key for run in runs if (run.proposal_id, run.revision) == key and run.status is RunStatus.QUEUED]


def restrict(pen: Pen, restriction: Restriction) -> Restriction:
    """Write a restriction: a new one under the next free number, or that one is lifted; return it as written.

    Raises:
        BadInput: The campaign has ended, maybe since somebody looked.
    """
    campaign = campaign_of(pen.ledger, restriction.campaign)
    if campaign.status in (CampaignStatus.FINISHED, CampaignStatus.ABORTED):
        raise BadInput(f"campaign {campaign.name} has ended: {campaign.status} ({campaign.reason})")
    stored = find(pen.ledger, RESTRICTIONS, restriction)
    if stored is None:
        kept = restriction.evolve(number=pen.ledger.highest_number(RESTRICTIONS.table, restriction.campaign) + 1)
        check_same(f"status of new {name_of(RESTRICTIONS, kept)}", RestrictionStatus.ACTIVE, kept.status)
    else:
        kept = restriction
        advance(RESTRICTION_STEPS, stored.status, kept.status, what=f"restriction {stored.number} of campaign {stored.campaign}")
        check_same(f"content of {name_of(RESTRICTIONS, kept)}", stored, kept.evolve(status=stored.status, lifted=None))
    kind = "restricted" if stored is None else f"restriction-{kept.status}"
    pen.record(kind, kept.campaign, kept.restriction_id, [Entry(RESTRICTIONS, kept)])
    return kept


def keep_person(pen: Pen, person: Person, kind: str) -> None:
    """Write a person; a revoked one stays revoked until a new sheet is printed."""
    pen.record(kind, LAB, person.name, [Entry(PEOPLE, person)])


def load(ledger: Reader, kept: Kept[Page], key: str) -> Page:
    """Return a stored page; BadInput when there is none."""
    text = ledger.find(kept.table, (key,))
    if text is None:
        raise BadInput(f"there is no decision page {key!r} in this ledger")
    return kept.load(text)
