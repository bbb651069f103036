"""`athanor review ask`: the dialogue on a terminal, over a lab's ledger, which is never held open while a person thinks."""

import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from getpass import getpass
from pathlib import Path

import typer
from rich.console import RenderableType
from rich.markdown import Markdown
from rich.prompt import Prompt
from rich.text import Text
from typing_extensions import override

from flows.cli.dialogue import LEFT, Edits, Matter, Talk, hold
from flows.cli.review import opened, request_of, table_of, title_of
from flows.console import console
from flows.plans.lab import Lab, clock_of
from flows.plans.snapshots import files_of
from flows.review.answering import is_number
from orchestrator.domain.lifecycle import ReviewStatus
from orchestrator.domain.review import Answer, ReviewRequest
from orchestrator.errors import BadInput
from orchestrator.history import History
from orchestrator.store.sql import SqlStore


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


def is_terminal() -> bool:
    """Whether a person can be asked here."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def offer(campaign: str | None, *, lab: Path | None) -> None:
    """Ask which of the requests just listed is to be decided now; Enter leaves."""
    with opened(campaign, lab, read_only=True) as (found, _, history):
        waiting = {one.number: one for one in history.open_requests if one.answer_id is None}
    if not waiting:
        return
    with _leaving("left without an answer"):
        request = _chosen(waiting)
        if request is not None:
            console.print(hold(Terminal(), _matter(found, history, request)), markup=False)


def ask(number: int | None, campaign: str | None, *, lab: Path | None) -> None:
    """Lead through a request.

    Raises:
        BadInput: No terminal, no such request, or one that waits no more.
    """
    if not is_terminal():
        raise BadInput("`athanor review ask` needs a terminal; `athanor review decide` answers without one")
    with opened(campaign, lab, read_only=True) as (found, store, history):
        request, clock = request_of(history, number), clock_of(found, store)
    if (over := _over(history, request)) is not None:
        raise BadInput(over)
    console.print(title_of(request, clock, history), markup=False)
    console.print(table_of(history, request))
    with _leaving(LEFT.format(request.number)):
        console.print(hold(Terminal(), _matter(found, history, request)), markup=False)


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
        console.print(f"\n{line}", markup=False)
        raise typer.Exit(130) from error


@dataclass(frozen=True, slots=True)
class _Matters:
    """What the dialogue asks of the ledger, opened anew each time."""

    lab: Lab
    history: History
    request: ReviewRequest

    def page(self) -> RenderableType:
        from flows.review import rendering  # loads what draws, which a decision need not wait for

        with closing(SqlStore.open(self.lab.ledger, read_only=True)) as store:
            document = json.loads(store.page(self.request.page_sha256 or "").text)
        return Markdown(rendering.markdown(document, pictures=False))

    def edits(self) -> Edits:
        from flows.review.editing import editor_of  # loads the models' libraries

        with closing(SqlStore.open(self.lab.ledger, read_only=True)) as store:
            return editor_of(self.history, store)

    def over(self) -> str | None:
        with closing(SqlStore.open(self.lab.ledger, read_only=True)) as store:
            now = History.of(store.changes(self.request.campaign))
        return _over(now, now.requests[self.request.request_id])

    def give(self, answer: Answer, code: str | None) -> Answer:
        with closing(SqlStore.open(self.lab.ledger, create=False)) as store:
            return store.answer(answer, code=code, now=clock_of(self.lab, store).now())


def _matter(lab: Lab, history: History, request: ReviewRequest) -> Matter:
    with closing(SqlStore.open(lab.ledger, read_only=True)) as store:
        people = store.people()
    matters = _Matters(lab, history, request)
    space, objective = files_of(history.campaign)
    return Matter(
        request=request,
        proposals={one.number: history.proposals[(one.proposal_id, one.revision)] for one in request.asked},
        columns=space.columns,
        units=objective.units,
        needs_code=bool(people),
        page=matters.page,
        edits=matters.edits,
        over=matters.over,
        give=matters.give,
    )


def _over(history: History, request: ReviewRequest) -> str | None:
    """Say why a request waits no more; None while it does."""
    if request.answer_id is not None:
        answer = history.answers[request.answer_id]
        return f"request {request.number} was answered by {answer.reviewer} ({answer.via})"
    if request.status is not ReviewStatus.OPEN:
        return f"request {request.number} is {request.status} ({request.reason or 'no reason kept'})"
    return None
