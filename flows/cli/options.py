"""Options and arguments that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
import typer.core

from orchestrator.domain.events import person_named
from orchestrator.errors import BadInput

if TYPE_CHECKING:
    from flows.plans.lab import Lab

LabOption = Annotated[Path | None, typer.Option("--lab", help="Lab folder; else the one beside the file, or the only one here.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
DataOption = Annotated[
    Path | None, typer.Option("--data", envvar="ATHANOR_DATA", help="Folder of recorded tables, for recorded campaigns.")
]
FileArgument = Annotated[Path, typer.Argument(help="The campaign file.")]
CampaignArgument = Annotated[str | None, typer.Argument(help="The campaign; may be left out where the lab has one.")]
BenchOption = Annotated[
    Path | None, typer.Option("--bench", help="Bench file to go by while no bench host answers; else the one that the lab has noted.")
]


def person(name: str | None) -> str | None:
    """Refuse a name that only a dry run's stand-ins have.

    Raises:
        BadInput: It is one.
    """
    return None if name is None else person_named(name)


def by_option(told: str) -> Any:
    """Return the option that says who does something."""
    return typer.Option("--by", help=told, callback=person)


ByOption = Annotated[str, by_option("Who says so.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why.")]
CampaignOption = Annotated[str | None, typer.Option("--campaign", help="The campaign, where the lab has several.")]
KindOption = Annotated[
    bool | None, typer.Option("--dry/--live", help="Of what kind the lab is; where there is none, it is made.", show_default=False)
]


def commands() -> typer.Typer:
    """Return what a module's commands are registered with; `main` puts them together."""
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def the_lab(folder: Path | None) -> "Lab":
    """Open the lab that `--lab` names, else the only one here.

    Raises:
        BadInput: None here, or two.
    """
    from flows.plans.lab import find_lab

    return find_lab(folder, here=Path.cwd())


def kind_of(dry: bool | None) -> Literal["live", "dry"] | None:
    """Return what `KindOption` said; None where it said nothing."""
    return None if dry is None else "dry" if dry else "live"


def hand_on(group: typer.Context, subcommand: str) -> None:
    """Let options that stand before a subcommand count as if they stood behind it; one that stands there as well wins.

    Raises:
        BadInput: The subcommand has no such option.
    """
    assert isinstance(group.command, typer.core.TyperGroup)
    known = {parameter.name for parameter in group.command.commands[subcommand].params}
    given = {name: value for name, value in group.params.items() if value not in (None, False)}
    options = {parameter.name: parameter.opts[0] for parameter in group.command.params}
    if strangers := [options[name] for name in given if name not in known]:
        raise BadInput(f"{group.info_name} {subcommand} has no option {strangers[0]}; it stands before {subcommand} for nothing")
    group.default_map = {subcommand: given}
