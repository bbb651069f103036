"""What waits for people, on the terminal or as a document: the same as in Prefect's page, without it."""

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from flows.cli.console import console, emit
from flows.plans.lab import Lab
from flows.plans.snapshots import files_of
from flows.report.values import outdated_lines
from flows.review.outcome import expected, notice, outcome
from flows.running.review_operations import ReviewState, look
from orchestrator.clock import Clock
from orchestrator.commandline import typed
from orchestrator.domain.parameters.kind import ABSENT
from orchestrator.domain.review import ReviewRequest
from orchestrator.history import History, outdated
from orchestrator.review import why_asked_again


def list_requests(lab: Lab, campaign: str | None, *, as_json: bool) -> ReviewState:
    """Show what waits for people, and return it."""
    seen = look(lab, campaign)
    history = seen.history
    if as_json:
        emit({"campaign": history.campaign.name, "requests": [_document(history, one) for one in history.open_requests]})
        return seen
    if not history.open_requests:
        console.print(f"campaign {history.campaign.name}: nothing waits for people")
    for request in history.open_requests:
        print_request(seen, request)
        of = request.number, "--campaign", request.campaign, "--lab", lab.path
        console.print(f"decide: {typed('review', 'decide', *of)} --approve N --reject N=REASON --set N:PARAMETER=VALUE --by NAME")
        console.print(f"page: {typed('review', 'show', *of)}")
    return seen


def print_request(seen: ReviewState, request: ReviewRequest) -> None:
    """Print a request's title and what it asks about."""
    console.print(title_of(request, seen.clock, seen.history))
    console.print(table_of(seen.history, request))
    for line in _outdated(seen.history, request):
        console.print(line)


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
        there = space.present(proposal.configuration)
        values = [value if isinstance(value := there.get(column, ABSENT), str) else f"{value:.5g}" for column in space.columns]
        table.add_row(
            name, *values, expected(proposal.provenance.predicted, objective.units) or "-", "; ".join(reason.text for reason in one.reasons)
        )
    return table


def print_page(seen: ReviewState, request: ReviewRequest, page: dict[str, Any]) -> None:
    """Print the decision page that belongs to a request."""
    from rich.markdown import Markdown

    from flows.review import rendering  # loads what draws, which a list need not wait for

    console.print(title_of(request, seen.clock, seen.history) if request.waits else _over(seen.history, request))
    console.print(Markdown(rendering.markdown(page, pictures=False)))
    for line in _outdated(seen.history, request):
        console.print(line)


def _outdated(history: History, request: ReviewRequest) -> Iterator[str]:
    """Say which of what a request asks about rests on values that have changed since, also after its page was made."""
    asked = {one.proposal_id: one.number for one in request.asked}
    if not asked.keys() & outdated(history).keys():
        return
    lines = outdated_lines(history, files_of(history.campaign)[1].units)
    for name, number in asked.items():
        if name in lines:
            yield f"proposal {number} rests on what has changed since it was made: {'; '.join(lines[name])}"


def _over(history: History, request: ReviewRequest) -> str:
    """Say what became of a request that waits for nobody any more."""
    kept = history.answers.get(request.answer_id or "")
    told = outcome(history, request, kept) if kept is not None else request.reason or "no reason kept"
    return f"request {request.number} of campaign {request.campaign} is {request.status}: {told}"
