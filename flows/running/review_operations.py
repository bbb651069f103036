"""What people decide while a campaign goes on: requests, answers, withdrawals, restrictions that are lifted. Loads no model."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flows.plans.lab import Lab, clock_of
from flows.plans.ledger import open_campaign, open_store
from flows.review.answering import answer_of, verdicts_of
from flows.review.approvals import withdraw_approval
from orchestrator.clock import Clock
from orchestrator.domain.events import Actor
from orchestrator.domain.identity import uuid7
from orchestrator.domain.lifecycle import RestrictionStatus
from orchestrator.domain.records import Proposal
from orchestrator.domain.restriction import Restriction
from orchestrator.domain.review import Answer, ReviewRequest
from orchestrator.errors import BadInput
from orchestrator.history import History
from orchestrator.ports import ReadStore, Store


@dataclass(frozen=True, slots=True)
class ReviewState:
    """A campaign as somebody who decides sees it."""

    lab: Lab
    history: History
    clock: Clock
    needs_code: bool
    """Whether the lab keeps people, who sign with one-time codes."""


def look(lab: Lab, campaign: str | None) -> ReviewState:
    """Read what waits for people, and all that is known of it."""
    with open_campaign(lab, campaign, read_only=True) as (store, history):
        return ReviewState(lab, history, clock_of(lab, store), bool(store.people()))


def request_of(history: History, number: int | None) -> ReviewRequest:
    """Return the request of a number, or the only open one.

    Raises:
        BadInput: No such request, or several to choose from.
    """
    by_number = {one.number: one for one in history.requests.values()}
    if number is None:
        if len(history.open_requests) != 1:
            raise BadInput(f"campaign {history.campaign.name} has {len(history.open_requests)} open requests; name one")
        return history.open_requests[0]
    if number not in by_number:
        raise BadInput(
            f"campaign {history.campaign.name} has no review request {number}; it has {', '.join(map(str, by_number)) or 'none'}"
        )
    return by_number[number]


def page_of(lab: Lab, request: ReviewRequest) -> dict[str, Any]:
    """Return the decision page that belongs to a request, as it was shown."""
    with open_store(lab, read_only=True) as store:
        page: dict[str, Any] = json.loads(store.page(request.page_sha256 or "").text)
    return page


# ---------------------------------------------------------------------- answers

EditsByNumber = Mapping[int, Mapping[str, float | str]]
"""New values by the proposal's number."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person says of a request."""

    by: str
    approve: Sequence[int] = ()
    reject: Mapping[int, str] = field(default_factory=dict)
    """Reasons by number."""
    approve_rest: bool = False
    """Whether all that are not named are approved."""
    reject_rest: str | None = None
    """The reason for which all that are not named are refused."""
    comment: str = ""
    code: str | None = None
    """A one-time code from the person's sheet."""


@dataclass(frozen=True, slots=True)
class Decided:
    """An answer as the ledger has judged it."""

    answer: Answer
    request: ReviewRequest
    history: History
    """Of before."""


def no_edits(_history: History, _store: ReadStore, _request: ReviewRequest) -> EditsByNumber:
    """Change nothing."""
    return {}


def decide(
    lab: Lab,
    campaign: str | None,
    number: int | None,
    decision: Decision,
    *,
    edits: Callable[[History, Store, ReviewRequest], EditsByNumber] = no_edits,
) -> Decided:
    """Answer a request; where no number is given, the only open one.

    Other values that are approved in a proposal's place are read by `plan_operations.checked_edits`, which loads the model.

    Raises:
        BadInput: The answer is not complete, or not legal.
    """
    with open_campaign(lab, campaign) as (store, history):
        request = request_of(history, number)
        changed = edits(history, store, request)
        verdicts = verdicts_of(
            request,
            approved=decision.approve,
            rejected=decision.reject,
            edits=changed,
            approve_rest=decision.approve_rest,
            reject_rest=decision.reject_rest,
        )
        answer = answer_of(request, uuid7(), reviewer=decision.by, verdicts=verdicts, comment=decision.comment)
        return Decided(store.answer(answer, code=decision.code, now=clock_of(lab, store).now()), request, history)


def give(lab: Lab, answer: Answer, code: str | None) -> Answer:
    """Hand an answer to the ledger; return it as judged."""
    with open_store(lab) as store:
        return store.answer(answer, code=code, now=clock_of(lab, store).now())


def withdraw(lab: Lab, campaign: str | None, number: int, *, by: str, reason: str) -> Proposal:
    """Take an approval back before its first run is dispatched.

    Raises:
        BadInput: No such proposal, not approved, or already handed to the bench.
    """
    with open_campaign(lab, campaign) as (store, history):
        return withdraw_approval(store, history, number, by=by, reason=reason, now=clock_of(lab, store).now())


# ---------------------------------------------------------------------- restrictions


def lift_restriction(lab: Lab, campaign: str | None, number: int, *, by: str, reason: str) -> tuple[Restriction, History]:
    """Take a restriction away; return it, and the campaign as it was before.

    Raises:
        BadInput: No name, no such restriction, one that is lifted, or a campaign that has ended.
    """
    with open_campaign(lab, campaign) as (store, history):
        check_restricting(history, by)
        by_number = {one.number: one for one in history.restrictions.values()}
        if number not in by_number:
            known = ", ".join(map(str, sorted(by_number))) or "none"
            raise BadInput(f"campaign {history.campaign.name} has no restriction {number}; it has {known}")
        if by_number[number].status is RestrictionStatus.LIFTED:
            raise BadInput(f"restriction {number} is lifted already")
        lifted = by_number[number].evolve(status=RestrictionStatus.LIFTED, lifted=reason or None)
        return store.restrict(lifted, by=Actor.person(by), now=clock_of(lab, store).now()), history


def check_restricting(history: History, by: str) -> None:
    """Refuse a restriction, or its end, that nobody's name stands for, or that comes too late.

    Raises:
        BadInput: No name, or a campaign that has ended.
    """
    if not by.strip():
        raise BadInput("a restriction needs --by NAME")
    history.campaign.refuse_ended()
