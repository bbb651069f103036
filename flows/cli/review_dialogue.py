"""`athanor review ask`: the dialogue on a terminal, over a lab's ledger, which is never held open while a person thinks."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from getpass import getpass

import typer
from rich.console import RenderableType
from rich.markdown import Markdown
from rich.prompt import Prompt
from rich.text import Text
from typing_extensions import override

from flows.cli.console import console
from flows.cli.dialogue import LEFT_OPEN, Edits, Matter, Talk, hold
from flows.cli.review import print_request
from flows.plans.lab import Lab
from flows.plans.snapshots import files_of
from flows.review.answering import is_number
from flows.running.review_operations import ReviewState, give, look, page_of, request_of
from orchestrator.domain.lifecycle import ReviewStatus
from orchestrator.domain.review import ReviewRequest
from orchestrator.errors import BadInput
from orchestrator.history import History


class Terminal(Talk):
    """Asks on the terminal; what people wrote is never taken for markup."""

    @override
    def say(self, shown: RenderableType) -> None:
        console.print(Text(shown) if isinstance(shown, str) else shown)

    @override
    def ask(self, question: str, *, hidden: bool = False) -> str:
        if hidden:
            return getpass(question).strip()  # not the console's own: that shows the question first, and then ends the echo
        return _Prompt(Text(question), console=console, show_default=False)(default="").strip()


class _Prompt(Prompt):
    prompt_suffix = ""


def offer(seen: ReviewState) -> None:
    """Ask which of the requests just listed is to be decided now; Enter leaves."""
    waiting = {one.number: one for one in seen.history.open_requests if one.answer_id is None}
    if not waiting:
        return
    with _leaving("left without an answer"):
        request = _chosen(waiting)
        if request is not None:
            console.print(hold(Terminal(), _matter(seen, request)))


def ask(lab: Lab, campaign: str | None, number: int | None) -> None:
    """Lead through a request.

    Raises:
        BadInput: No such request, or one that waits no more.
    """
    seen = look(lab, campaign)
    request = request_of(seen.history, number)
    if (over := _over(seen.history, request)) is not None:
        raise BadInput(over)
    print_request(seen, request)
    with _leaving(LEFT_OPEN.format(request.number)):
        console.print(hold(Terminal(), _matter(seen, request)))


def _chosen(waiting: dict[int, ReviewRequest]) -> ReviewRequest | None:
    """Ask which request; nothing typed is none of them."""
    numbers = ", ".join(map(str, waiting))
    while True:
        typed = Terminal().ask(f"decide now: number of a request ({numbers}), or Enter to leave: ")
        if not typed:
            return None
        if is_number(typed) and int(typed) in waiting:
            return waiting[int(typed)]
        Terminal().say(f"there is no request {typed!r} that waits; expected one of {numbers}")


@contextmanager
def _leaving(line: str) -> Iterator[None]:
    """Say in a line that nothing was sent where the person leaves by Ctrl-C or the end of input."""
    try:
        yield
    except (EOFError, KeyboardInterrupt) as error:
        console.print(f"\n{line}")
        raise typer.Exit(130) from error


def _matter(seen: ReviewState, request: ReviewRequest) -> Matter:
    """Put together what is asked; the ledger is opened anew for each look."""
    lab, history = seen.lab, seen.history
    space, objective = files_of(history.campaign)

    def page() -> RenderableType:
        from flows.review import rendering  # loads what draws, which a decision need not wait for

        return Markdown(rendering.markdown(page_of(lab, request), pictures=False))

    def edits() -> Edits:
        from flows.running.plan_operations import editor_for  # loads the models' libraries

        return editor_for(lab, history)

    def over() -> str | None:
        now = look(lab, request.campaign).history
        return _over(now, now.requests[request.request_id])

    return Matter(
        request=request,
        proposals={one.number: history.proposals[(one.proposal_id, one.revision)] for one in request.asked},
        space=space,
        units=objective.units,
        needs_code=seen.needs_code,
        page=page,
        edits=edits,
        over=over,
        give=partial(give, lab),
    )


def _over(history: History, request: ReviewRequest) -> str | None:
    """Say why a request waits no more; None while it does."""
    if request.answer_id is not None:
        answer = history.answers[request.answer_id]
        return f"request {request.number} was answered by {answer.reviewer} ({answer.via})"
    if request.status is not ReviewStatus.OPEN:
        return f"request {request.number} is {request.status} ({request.reason or 'no reason kept'})"
    return None
