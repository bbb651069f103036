"""`athanor review` and `athanor people`: what may be typed. Each command imports what it needs when it is called."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.options import ByOption, JsonOption, KindOption, LabOption, hand_on, kind_of

review_app = typer.Typer(
    help="Show and decide what waits for people.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
people_app = typer.Typer(
    help="Who may sign, and their one-time codes.", no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None
)
CampaignOption = Annotated[str | None, typer.Option("--campaign", help="The campaign, where the lab has several.")]
RequestArgument = Annotated[int | None, typer.Argument(help="The request's number; may be left out where one is open.")]
SignerOption = Annotated[str, typer.Option("--by", help="Who says so.")]


@review_app.callback()
def review(context: typer.Context, campaign: CampaignOption = None, lab: LabOption = None, as_json: JsonOption = False) -> None:
    """Show what waits for people, and on a terminal ask whether it is to be decided now."""
    if context.invoked_subcommand is not None:
        hand_on(context, context.invoked_subcommand)
        return
    from flows.cli.review import list_requests
    from flows.cli.review_dialogue import is_terminal, offer

    list_requests(campaign, lab=lab, as_json=as_json)
    if is_terminal() and not as_json:
        offer(campaign, lab=lab)


@review_app.command(name="ask")
def review_ask(number: RequestArgument = None, campaign: CampaignOption = None, lab: LabOption = None) -> None:
    """Decide a request in a dialogue on the terminal: question by question, and nothing is sent before you say so."""
    from flows.cli.review_dialogue import ask

    ask(number, campaign, lab=lab)


@review_app.command(name="show")
def review_show(
    number: RequestArgument = None,
    campaign: CampaignOption = None,
    lab: LabOption = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write it as one HTML file instead.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print a request's decision page, as it was shown."""
    from flows.cli.review import show_page

    show_page(number, campaign, lab=lab, as_json=as_json, html=html)


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
    from flows.cli.review import Decision, decide

    decision = Decision(approve or (), reject or (), edits or (), approve_rest, reject_rest, by, code, comment)
    decide(number, campaign, decision, lab=lab, as_json=as_json)


@review_app.command(name="withdraw")
def review_withdraw(
    proposal: Annotated[int, typer.Argument(help="The approved proposal's number.")],
    by: SignerOption,
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    campaign: CampaignOption = None,
    lab: LabOption = None,
) -> None:
    """Take an approval back, until its first run is dispatched."""
    from flows.cli.review import withdraw_approval

    withdraw_approval(proposal, campaign, lab=lab, by=by, reason=reason)


@people_app.command(name="add")
def people_add(
    name: Annotated[str, typer.Argument(help="The person's name, as it is to stand in the ledger.")],
    lab: LabOption = None,
    by: ByOption = "operator",
    as_json: JsonOption = False,
    dry: KindOption = None,
) -> None:
    """Register somebody who may sign and print a sheet of one-time codes."""
    from flows.cli.people import add_person

    add_person(name, lab=lab, by=by, as_json=as_json, kind=kind_of(dry))


@people_app.command(name="revoke")
def people_revoke(
    name: Annotated[str, typer.Argument(help="Who.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    lab: LabOption = None,
    by: ByOption = "operator",
) -> None:
    """Let somebody sign no more."""
    from flows.cli.people import revoke_person

    revoke_person(name, lab=lab, by=by, reason=reason)


@people_app.command(name="list")
def people_list(lab: LabOption = None, as_json: JsonOption = False) -> None:
    """Show who may sign."""
    from flows.cli.people import list_people

    list_people(lab=lab, as_json=as_json)
