"""Commands by which people decide: suggest, constrain, review and people. Each imports what it needs when it is called."""

import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.console import console, emit
from flows.cli.options import (
    ByOption,
    CampaignArgument,
    CampaignOption,
    JsonOption,
    KindOption,
    LabOption,
    ReasonOption,
    by_option,
    commands,
    hand_on,
    kind_of,
    person,
    the_lab,
)
from orchestrator.errors import BadInput

if TYPE_CHECKING:
    from orchestrator.domain.restriction import Restriction
    from orchestrator.history import History

app = commands()
review_app = typer.Typer(
    help="Show and decide what waits for people.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
people_app = typer.Typer(
    help="Who may sign, and their one-time codes.", no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None
)
RequestArgument = Annotated[int | None, typer.Argument(help="The request's number; may be left out where one is open.")]
SignerOption = Annotated[str, by_option("Who says so.")]


@app.command()
def suggest(
    values: Annotated[list[str], typer.Option("--set", help="PARAMETER=VALUE, one for each parameter.")],
    by: Annotated[str, by_option("Who suggests it: they cannot be the only one to approve it.")],
    campaign: CampaignArgument = None,
    reason: ReasonOption = "",
    lab: LabOption = None,
) -> None:
    """Record a proposal of your own; it goes through the same review as the policy's."""
    from flows.running import plan_operations

    made = plan_operations.suggest(the_lab(lab), campaign, values, by=by, reason=reason)
    console.print(f"proposal {made.number} of campaign {made.campaign}: suggested by {made.author}, reviewed when the campaign next looks")


# ---------------------------------------------------------------------- restrictions


@app.command()
def constrain(
    campaign: CampaignArgument = None,
    values: Annotated[list[str] | None, typer.Option("--set", help="PARAMETER=VALUE, =LOW..HIGH or =NAME,NAME.")] = None,
    batches: Annotated[int | None, typer.Option("--batches", min=1, help="For so many batches; else until it is lifted.")] = None,
    lift: Annotated[int | None, typer.Option("--lift", help="Take the restriction of this number away.")] = None,
    by: SignerOption = "",
    reason: ReasonOption = "",
    lab: LabOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fix or narrow a parameter for later proposals, lift a restriction, or list them."""
    if batches is not None and not values:
        raise BadInput("--batches says for how long --set holds; there is no --set")
    if values and lift is not None:
        raise BadInput("give one of --set and --lift, not both" if by.strip() else "a restriction needs --by NAME")
    if not values and lift is None:
        if by or reason:
            raise BadInput(f"{'--by' if by else '--reason'} goes with --set or --lift; without them restrictions are listed")
        _list_restrictions(campaign, lab, as_json=as_json)
    elif lift is not None:
        from flows.running import review_operations

        _tell_restriction(*review_operations.lift_restriction(the_lab(lab), campaign, lift, by=by, reason=reason), (), as_json=as_json)
    else:
        from flows.running import plan_operations

        made = plan_operations.restrict(the_lab(lab), campaign, values or (), batches=batches, by=by, reason=reason)
        _tell_restriction(made.restriction, made.history, [one.number for one in made.outside], as_json=as_json)


def _list_restrictions(campaign: str | None, lab: Path | None, *, as_json: bool) -> None:
    from flows.running import review_operations

    history = review_operations.look(the_lab(lab), campaign).history
    every = sorted(history.restrictions.values(), key=lambda one: one.number)
    if as_json:
        emit({"campaign": history.campaign.name, "restrictions": [_restriction_document(one) for one in every]})
        return
    if not every:
        console.print(f"campaign {history.campaign.name}: nothing is restricted")
    for one in every:
        console.print(_restriction_line(history, one))


def _tell_restriction(kept: "Restriction", history: "History", outside: Sequence[int], *, as_json: bool) -> None:
    if as_json:
        emit({**_restriction_document(kept), "outside": outside})
        return
    console.print(_restriction_line(history, kept))
    if outside:
        numbers = ", ".join(map(str, outside))
        console.print(f"these wait and lie outside; refuse or withdraw them if they are not to be carried out: proposal {numbers}")


def _restriction_line(history: "History", one: "Restriction") -> str:
    from flows.plans.snapshots import files_of

    space, _ = files_of(history.campaign)
    state = one.status if one.status == "lifted" or one.binds(history.last_batch + 1) else "over"
    reason = f": {one.reason}" if one.reason else ""
    return f"restriction {one.number} ({state}, by {one.author}{reason}): {one.shown(space.units)}"


def _restriction_document(one: "Restriction") -> dict[str, object]:
    return one.model_dump(mode="json", exclude={"restriction_id", "campaign"})


# ---------------------------------------------------------------------- requests


@review_app.callback()
def review(context: typer.Context, campaign: CampaignOption = None, lab: LabOption = None, as_json: JsonOption = False) -> None:
    """Show what waits for people, and on a terminal ask whether it is to be decided now."""
    if context.invoked_subcommand is not None:
        hand_on(context, context.invoked_subcommand)
        return
    from flows.cli.review import list_requests

    seen = list_requests(the_lab(lab), campaign, as_json=as_json)
    if _is_terminal() and not as_json:
        from flows.cli.review_dialogue import offer

        offer(seen)


def _is_terminal() -> bool:
    """Whether a person can be asked here."""
    return sys.stdin.isatty() and sys.stdout.isatty()


@review_app.command(name="ask")
def review_ask(number: RequestArgument = None, campaign: CampaignOption = None, lab: LabOption = None) -> None:
    """Decide a request in a dialogue on the terminal: question by question, and nothing is sent before you say so."""
    if not _is_terminal():
        raise BadInput("`athanor review ask` needs a terminal; `athanor review decide` answers without one")
    from flows.cli.review_dialogue import ask

    ask(the_lab(lab), campaign, number)


@review_app.command(name="show")
def review_show(
    number: RequestArgument = None,
    campaign: CampaignOption = None,
    lab: LabOption = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write it as one HTML file instead.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print a request's decision page, as it was shown."""
    if as_json and html is not None:
        raise BadInput("give one of --json and --html, not both")
    from flows.cli.review import print_page
    from flows.running.review_operations import look, page_of, request_of

    found = the_lab(lab)
    seen = look(found, campaign)
    request = request_of(seen.history, number)
    page = page_of(found, request)
    if as_json:
        emit(page)
    elif html is not None:
        from flows.review import rendering  # loads what draws

        html.write_text(rendering.html(page), encoding="utf-8")
        console.print(str(html))
    else:
        print_page(seen, request, page)


@review_app.command(name="decide")
def review_decide(
    by: SignerOption,
    number: RequestArgument = None,
    approve: Annotated[list[int] | None, typer.Option("--approve", help="A proposal's number; may be repeated.")] = None,
    reject: Annotated[list[str] | None, typer.Option("--reject", help="NUMBER=REASON; may be repeated.")] = None,
    edits: Annotated[list[str] | None, typer.Option("--set", help="NUMBER:PARAMETER=VALUE: approve with another value.")] = None,
    approve_rest: Annotated[bool, typer.Option("--approve-rest", help="Approve all that are not named.")] = False,
    reject_rest: Annotated[str | None, typer.Option("--reject-rest", help="Refuse all that are not named, for this reason.")] = None,
    code: Annotated[str | None, typer.Option("--code", envvar="ATHANOR_CODE", help="A one-time code from your sheet.")] = None,
    comment: Annotated[str, typer.Option("--comment", help="Kept with the decision.")] = "",
    campaign: CampaignOption = None,
    lab: LabOption = None,
    as_json: JsonOption = False,
) -> None:
    """Approve, edit or refuse what a request asks about: all of it in one decision."""
    from flows.cli.dialogue import FOLLOWS, said
    from flows.running.review_operations import Decision, decide, no_edits

    if approve_rest and reject_rest is not None:
        raise BadInput("give one of --approve-rest and --reject-rest, not both")
    decision = Decision(
        by=by,
        approve=approve or (),
        reject=dict(_refusals(reject or ())),
        approve_rest=approve_rest,
        reject_rest=reject_rest,
        comment=comment,
        code=code,
    )
    read = no_edits
    if edits:
        from flows.running.plan_operations import checked_edits  # loads the models' libraries

        read = partial(checked_edits, texts=edits)
    decided = decide(the_lab(lab), campaign, number, decision, edits=read)
    kept, request = decided.answer, decided.request
    if as_json:
        emit({"answer": kept.answer_id, "status": kept.status, "reason": kept.reason})
    if kept.status == "refused":
        raise BadInput(f"the answer to request {request.number} was refused: {kept.reason}")
    if not as_json:
        console.print(f"request {request.number}: {said(kept, request, decided.history.proposals)}; {FOLLOWS}")


def _refusals(texts: Sequence[str]) -> Iterator[tuple[int, str]]:
    from flows.review.answering import is_number

    for text in texts:
        number, equals, reason = text.partition("=")
        if not (equals and is_number(number) and reason.strip()):
            raise BadInput(f"--reject {text!r}: expected NUMBER=REASON")
        yield int(number), reason.strip()


@review_app.command(name="withdraw")
def review_withdraw(
    proposal: Annotated[int, typer.Argument(help="The approved proposal's number.")],
    by: SignerOption,
    reason: ReasonOption,
    campaign: CampaignOption = None,
    lab: LabOption = None,
) -> None:
    """Take an approval back, until its first run is dispatched."""
    from flows.running.review_operations import withdraw

    taken = withdraw(the_lab(lab), campaign, proposal, by=by, reason=reason)
    console.print(f"proposal {taken.number} revision {taken.revision} is withdrawn")


# ---------------------------------------------------------------------- people


@people_app.command(name="add")
def people_add(
    name: Annotated[str, typer.Argument(help="The person's name, as it is to stand in the ledger.", callback=person)],
    lab: LabOption = None,
    by: ByOption = "operator",
    as_json: JsonOption = False,
    dry: KindOption = None,
) -> None:
    """Register somebody who may sign and print a sheet of one-time codes."""
    from flows.plans.lab import find_or_make_lab
    from flows.running.operations import add_person

    made: list[str] = []
    found = find_or_make_lab(lab, here=Path.cwd(), kind=kind_of(dry), tell=made.append)
    codes = add_person(found, name, by=by)
    if as_json:
        emit({"name": name, "codes": codes, "lab": str(found.path), "kind": None if found.is_unsettled else found.kind})
        return
    for line in made:
        console.print(line)
    console.print(f"one-time codes of {name}; each works once, and nothing else proves who signs. Print them; they are not shown again.")
    for start in range(0, len(codes), 5):
        console.print("   ".join(codes[start : start + 5]))


@people_app.command(name="revoke")
def people_revoke(
    name: Annotated[str, typer.Argument(help="Who.")],
    reason: ReasonOption,
    lab: LabOption = None,
    by: ByOption = "operator",
) -> None:
    """Let somebody sign no more."""
    from flows.running.operations import revoke_person

    revoke_person(the_lab(lab), name, by=by, reason=reason)
    console.print(f"{name} may sign no more")


@people_app.command(name="list")
def people_list(lab: LabOption = None, as_json: JsonOption = False) -> None:
    """Show who may sign."""
    from flows.running.operations import people_of

    rows = [{"name": one.name, "revoked": one.revoked, "codes": len(one.codes)} for one in people_of(the_lab(lab))]
    if as_json:
        emit({"people": rows})
        return
    if not rows:
        console.print("nobody is registered: whoever reaches this lab may decide, under any name")
    for row in rows:
        console.print(f"{row['name']}: revoked" if row["revoked"] else f"{row['name']}: {row['codes']} codes left")
