"""Options and arguments that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

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
ByOption = Annotated[str, typer.Option("--by", help="Who says so.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why.")]
KindOption = Annotated[
    bool | None, typer.Option("--dry/--live", help="Of what kind the lab is; where there is none, it is made.", show_default=False)
]


def kind_of(dry: bool | None) -> Literal["live", "dry"] | None:
    """Return what `KindOption` said; None where it said nothing."""
    return None if dry is None else "dry" if dry else "live"
