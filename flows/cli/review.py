"""`athanor review` and `athanor suggest`: the same powers as in the Prefect UI, without it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markdown import Markdown
from rich.table import Table

from flows.cli.dialogue import FOLLOWS, expected, said
from flows.cli.status import the_campaign
from flows.console import console, emit
from flows.plans.lab import Lab, clock_of, find_lab
from flows.plans.snapshots import files_of
from flows.plans.stocks import StockBook
from flows.review.answering import answer_of, edits_of, is_number, values_of, verdicts_of
from flows.review.outcome import notice, outcome
from flows.review.withdrawal import withdraw
from orchestrator.clock import Clock
from orchestrator.domain.events import Actor
from orchestrator.domain.identity import uuid7
from orchestrator.domain.lifecycle import AnswerStatus, CampaignStatus
from orchestrator.domain.review import Answer, ReviewRequest
from orchestrator.errors import BadInput
from orchestrator.history import History
from orchestrator.review import why_asked_again
from orchestrator.store.sql import SqlStore


@dataclass(frozen=True, slots=True)
class Decision:
    """What the command line said of a request."""

    approve: Sequence[int] = ()
    reject: Sequence[str] = ()
    set: Sequence[str] = ()
    approve_rest: bool = False
    reject_rest: str | None = None
    by: str = ""
    code: str | None = None
    comment: str = ""


@contextmanager
def opened(campaign: str | None, lab: Path | None, *, read_only: bool = False) -> Iterator[tuple[Lab, SqlStore, History]]:
    """Open the ledger of a lab and read a campaign's history."""
    found = find_lab(lab, here=Path.cwd())
    with closing(SqlStore.open(found.ledger, create=False, read_only=read_only)) as store:
        yield found, store, History.of(store.changes(the_campaign(store, found, campaign).name))


def list_requests(campaign: str | None, *, lab: Path | None, as_json: bool) -> None:
    """Show what waits for people."""
    with opened(campaign, lab, read_only=True) as (found, store, history):
        if as_json:
            emit({"campaign": history.campaign.name, "requests": [_document(history, one) for one in history.open_requests]})
            return
        if not history.open_requests:
            console.print(f"campaign {history.campaign.name}: nothing waits for people")
        clock = clock_of(found, store)
        for request in history.open_requests:
            console.print(title_of(request, clock, history), markup=False)  # it quotes people
            console.print(table_of(history, request))
            console.print(
                f"decide: athanor review decide {request.number} --approve N --reject N=REASON --set N:PARAMETER=VALUE --by NAME"
                f"   page: athanor review show {request.number}"
            )


def _document(history: History, request: ReviewRequest) -> dict[str, Any]:
    asked = [
        {
            "number": one.number,
            "proposal": one.proposal_id,
            "revision": one.revision,
            "content": one.content_hash,
            "why": [reason.text for reason in one.reasons],
            "asked_again": why_asked_again(history.proposals[(one.proposal_id, one.revision)], history.proposals),
            "people": one.people,
            "configuration": history.proposals[(one.proposal_id, one.revision)].configuration,
            "signed": [signature.person for signature in history.proposals[(one.proposal_id, one.revision)].signatures],
        }
        for one in request.asked
    ]
    return {
        "number": request.number,
        "request": request.request_id,
        "content": request.content_hash,
        "deadline_lab": request.deadline_lab,
        "on_deadline": request.on_deadline,
        "overdue": request.overdue,
        "complaint": request.complaint,
        "answered": request.answer_id is not None,
        "flow_runs": [run.flow_run_id for run in request.runs],
        "asked": asked,
    }


def title_of(request: ReviewRequest, clock: Clock, history: History) -> str:
    """Say which request it is, by when it is to be decided, what was wrong with the last answer, and who has signed."""
    left = "" if request.deadline_lab is None else f"; {_deadline(request, request.deadline_lab - clock.lab(), clock)}"
    first = notice(request, history.proposals)
    answered = "; answered, being carried out" if request.answer_id is not None else ""
    return f"request {request.number} of campaign {request.campaign}{left}{answered}" + (f"\n{first}" if first else "")


def _deadline(request: ReviewRequest, left: float, clock: Clock) -> str:
    if request.overdue:
        return "deadline passed, it waits on"
    wall = clock.wall_seconds(max(0.0, left))
    shown = "" if wall == max(0.0, left) else f", which is {wall / 60:.1f} min on the wall"
    return f"in {max(0.0, left) / 60:.0f} min of lab time{shown}: {request.on_deadline}"


def table_of(history: History, request: ReviewRequest) -> Table:
    """Lay out what is asked, one row per proposal."""
    asked = [history.proposals[(one.proposal_id, one.revision)] for one in request.asked]
    space, objective = files_of(history.campaign)
    columns = [f"{column} / {unit}" if (unit := space.units.get(column)) else column for column in space.columns]
    table = Table("proposal", *columns, "expected, with 90 % intervals", "asked because")
    for one, proposal in zip(request.asked, asked, strict=True):
        name = str(one.number) if one.revision == 1 else f"{one.number} rev. {one.revision}"
        values = [value if isinstance(value := proposal.configuration[column], str) else f"{value:.5g}" for column in space.columns]
        table.add_row(
            name, *values, expected(proposal.provenance.predicted, objective.units), "; ".join(reason.text for reason in one.reasons)
        )
    return table


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


def show_page(number: int | None, campaign: str | None, *, lab: Path | None, as_json: bool, html: Path | None) -> None:
    """Print the decision page that belongs to a request, or write it as one HTML file."""
    from flows.review import rendering  # loads what draws, which a decision need not wait for

    if as_json and html is not None:
        raise BadInput("give one of --json and --html, not both")
    with opened(campaign, lab, read_only=True) as (found, store, history):
        request = request_of(history, number)
        title = title_of(request, clock_of(found, store), history)
        page = json.loads(store.page(request.page_sha256 or "").text)
    if as_json:
        emit(page)
    elif html is not None:
        html.write_text(rendering.html(page), encoding="utf-8")
        console.print(str(html))
    else:
        console.print(title if request.waits else _over(history, request), markup=False)
        console.print(Markdown(rendering.markdown(page, pictures=False)))


def _over(history: History, request: ReviewRequest) -> str:
    """Say what became of a request that waits for nobody any more."""
    kept = history.answers.get(request.answer_id or "")
    told = outcome(history, request, kept) if kept is not None else request.reason or "no reason kept"
    return f"request {request.number} of campaign {request.campaign} is {request.status}: {told}"


def decide(number: int | None, campaign: str | None, decision: Decision, *, lab: Path | None, as_json: bool) -> None:
    """Answer a request.

    Raises:
        BadInput: The answer is not complete, not legal, or was refused by the ledger; says why.
    """
    with opened(campaign, lab) as (found, store, history):
        request = request_of(history, number)
        answer = _answer(history, store, request, decision)
        kept = store.answer(answer, code=decision.code, now=clock_of(found, store).now())
    if as_json:
        emit({"answer": kept.answer_id, "status": kept.status, "reason": kept.reason})
    if kept.status is AnswerStatus.REFUSED:
        raise BadInput(f"the answer to request {request.number} was refused: {kept.reason}")
    if not as_json:
        console.print(f"request {request.number}: {said(kept, request, history.proposals)}; {FOLLOWS}", markup=False)


def _answer(history: History, store: SqlStore, request: ReviewRequest, decision: Decision) -> Answer:
    edits: Mapping[int, Mapping[str, float | str]] = {}
    if decision.set:
        edits = _checked_edits(history, store, request, decision.set)
    if decision.approve_rest and decision.reject_rest is not None:
        raise BadInput("give one of --approve-rest and --reject-rest, not both")
    verdicts = verdicts_of(
        request,
        approved=decision.approve,
        rejected=dict(_refusals(decision.reject)),
        edits=edits,
        rest="approve" if decision.approve_rest else decision.reject_rest,
    )
    return answer_of(request, uuid7(), reviewer=decision.by, verdicts=verdicts, comment=decision.comment)


def _refusals(texts: Sequence[str]) -> Iterator[tuple[int, str]]:
    for text in texts:
        number, equals, reason = text.partition("=")
        if not (equals and is_number(number) and reason.strip()):
            raise BadInput(f"--reject {text!r}: expected NUMBER=REASON")
        yield int(number), reason.strip()


def _checked_edits(history: History, store: SqlStore, request: ReviewRequest, texts: Sequence[str]) -> dict[int, dict[str, float | str]]:
    """Read edits and refuse at once what the campaign would refuse."""
    from flows.review.editing import editor_of  # loads the models' libraries, which an answer without edits need not wait for

    editor = editor_of(history, store)
    edits = edits_of(texts, editor.space)
    for one in (one for one in request.asked if one.number in edits):
        proposal = history.proposals[(one.proposal_id, one.revision)]
        try:
            editor.check({**proposal.configuration, **edits[one.number]}, times=proposal.replicates)
        except BadInput as error:
            raise BadInput(f"proposal {one.number}: {error}") from error
    return edits


def withdraw_approval(number: int, campaign: str | None, *, lab: Path | None, by: str, reason: str) -> None:
    """Take an approval back before its first run is dispatched."""
    with opened(campaign, lab) as (found, store, history):
        taken = withdraw(store, history, number, by=by, reason=reason, now=clock_of(found, store).now())
    console.print(f"proposal {taken.number} revision {taken.revision} is withdrawn")


def suggest(campaign: str | None, values: Sequence[str], *, lab: Path | None, by: str, reason: str) -> None:
    """Record a hand-made proposal; the campaign has it reviewed as its file says.

    Raises:
        BadInput: The campaign has ended, or the values are not legal.
    """
    from flows.plans.plan import stored_plan
    from flows.review.suggestion import suggestion  # loads the models' libraries

    with opened(campaign, lab) as (found, store, history):
        if history.campaign.status in (CampaignStatus.FINISHED, CampaignStatus.ABORTED):
            raise BadInput(f"campaign {history.campaign.name} has ended: {history.campaign.status} ({history.campaign.reason})")
        plan = stored_plan(history.campaign)
        stocks = StockBook(store, history.campaign.name)
        made = suggestion(plan, history, stocks, values_of(values, plan.space), author=by, reason=reason)
        store.add_proposals([made], by=Actor.person(by), now=clock_of(found, store).now())
    console.print(f"proposal {made.number} of campaign {made.campaign}: suggested by {made.author}, reviewed when the campaign next looks")
