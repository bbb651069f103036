"""`athanor work`: what experiments wait for people to do, and the answers."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.console import console, emit
from flows.cli.options import JsonOption, LabOption, by_option, commands, the_lab
from orchestrator.errors import BadInput

if TYPE_CHECKING:
    from flows.running.waiting_steps import WaitingStep
    from flows.running.work_operations import StepReply, Work
    from orchestrator.domain.work import WorkAnswer

app = commands()
CampaignOption = Annotated[str | None, typer.Option("--campaign", help="The campaign, where several wait.")]


@app.command()
def work(
    words: Annotated[
        list[str] | None, typer.Argument(help="The run's code, as on the work order, then NAME=VALUE for each value.", metavar="[CODE] ...")
    ] = None,
    by: Annotated[str | None, by_option("Who has done it.")] = None,
    not_done: Annotated[str | None, typer.Option("--not-done", help="It was not done, for this reason: the run has failed.")] = None,
    went_wrong: Annotated[str | None, typer.Option("--went-wrong", help="It went wrong, for this reason: the run has failed.")] = None,
    code: Annotated[str | None, typer.Option("--code", envvar="ATHANOR_CODE", help="A one-time code from your sheet.")] = None,
    comment: Annotated[str, typer.Option("--comment", help="Kept with the answer.")] = "",
    print_to: Annotated[Path | None, typer.Option("--print", help="Write work orders to print, as one HTML file.")] = None,
    campaign: CampaignOption = None,
    lab: LabOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what experiments wait for people to do, and take what they bring back."""
    from flows.running.work_operations import StepReply, chosen, values_typed, waiting_work

    named, texts = _split(words or ())
    said = StepReply(by or "", values_typed(texts), code=code, comment=comment)
    if not_done is not None or went_wrong is not None:
        said = _failed(said, not_done, went_wrong)
    found = waiting_work(the_lab(lab), campaign)
    if print_to is not None:
        _print_orders(found, named, print_to)
    elif said.values or said.outcome != "done":
        _answer(found, chosen(found, named), said, as_json=as_json)
    elif named is None and (as_json or not _is_terminal()):
        _list(found, as_json=as_json)
    else:
        _lead(found, named, said)


def _split(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """Tell the run's code from values."""
    codes, texts = [word for word in words if "=" not in word], [word for word in words if "=" in word]
    if len(codes) > 1:
        raise BadInput(f'{codes[1]!r}: expected NAME=VALUE after the run\'s code, in quotes where it has blanks: weight="12.3 mg"')
    return next(iter(codes), None), texts


def _failed(said: "StepReply", not_done: str | None, went_wrong: str | None) -> "StepReply":
    from dataclasses import replace

    if said.values or (not_done is not None and went_wrong is not None):
        raise BadInput("give values, or --not-done, or --went-wrong; only one of them")
    return replace(said, outcome="went-wrong" if not_done is None else "not-done", reason=not_done if went_wrong is None else went_wrong)


def _is_terminal() -> bool:
    """Whether a person can be asked here."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _list(work: "Work", *, as_json: bool) -> None:
    if as_json:
        emit({"lab": str(work.lab.path), "waiting": [_document(one) for one in work.steps]})
        return
    if not work.steps:
        console.print("no experiment waits for a person")
    for one in work.steps:
        console.print(line_of(work, one))
    if work.steps:
        console.print("show one: athanor work CODE; answer: athanor work CODE NAME=VALUE ... --by NAME")


def line_of(work: "Work", one: "WaitingStep") -> str:
    """Say in a line what waits, for whom, and for how long."""
    since = "" if one.since_lab is None else f", asked {_ago(max(0.0, work.clock.lab() - one.since_lab))}"
    values = ", ".join(wanted.name for wanted in one.order.values)
    given = f"; answered by {one.answer.person}, and not told to the bench yet" if one.answer is not None else ""
    return f"{one.code}: {one.step.do} waits for {one.whom}{f' ({values})' if values else ''}, campaign {one.run.campaign}{since}{given}"


def _ago(seconds: float) -> str:
    """Say how long ago something was, as people count; a lab with people in it is live, so that its time is theirs."""
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min ago"
    return f"{minutes // 60} h ago" if minutes < 48 * 60 else f"{minutes // 1440} days ago"


def _document(one: "WaitingStep") -> dict[str, Any]:
    return {
        "code": one.code,
        "campaign": one.run.campaign,
        "run_key": one.run.run_key,
        "step": one.step.index,
        "do": one.step.do,
        **one.order.model_dump(mode="json"),
        "since_lab": one.since_lab,
        "answered": None if one.answer is None else one.answer.person,
    }


def _answer(work: "Work", waiting: "WaitingStep", said: "StepReply", *, as_json: bool) -> None:
    from flows.running.work_operations import answer_step

    if not said.by.strip():
        raise BadInput("who has done it? an answer needs --by NAME")
    kept = answer_step(work.lab, waiting, said)
    if as_json:
        emit({"answer": kept.answer_id, "status": kept.status, "reason": kept.refusal})
    if kept.status == "refused":
        raise BadInput(f"the answer to run {waiting.code} was refused: {kept.refusal}")
    if not as_json:
        console.print(told(waiting, kept))


def told(waiting: "WaitingStep", kept: "WorkAnswer") -> str:
    """Say in a line what an answer has come to."""
    values = ", ".join(f"{name} = {value}" for name, value in kept.values.items())
    what = f"{kept.outcome.replace('-', ' ')}{f', {values}' if values else ''}{f': {kept.reason}' if kept.reason else ''}"
    then = "the run goes on" if kept.outcome == "done" else "the run ends as failed"
    follows = then if kept.status == "accepted" else "kept; the campaign tells the bench when it goes on (`athanor run FILE`)"
    return f"run {waiting.code}, {waiting.step.do}: {what}, by {kept.person}; {follows}"


def _lead(work: "Work", named: str | None, said: "StepReply") -> None:
    from flows.cli.review_dialogue import Terminal
    from flows.cli.work_dialogue import ask, shown
    from flows.running.work_operations import chosen

    if named is None and len(work.steps) != 1:
        _list(work, as_json=False)
        if not work.steps:
            return
        named = Terminal().ask("which run? its code, or Enter to leave: ")
        if not named:
            return
    waiting = chosen(work, named)
    if _is_terminal():
        console.print(ask(Terminal(), work, waiting, said))
    else:
        console.print(shown(work, waiting))


def _print_orders(work: "Work", named: str | None, path: Path) -> None:
    from flows.report.work_order import work_orders
    from flows.running.work_operations import chosen, printed

    steps = work.steps if named is None else (chosen(work, named),)
    if not steps:
        raise BadInput("no experiment waits for a person; there is nothing to print")
    path.write_text(work_orders(printed(work, steps)), encoding="utf-8")
    console.print(f"{path}: {len(steps)} work order{'s' if len(steps) > 1 else ''}")
