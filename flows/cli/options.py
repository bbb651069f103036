"""Options and arguments that several commands share."""

from pathlib import Path
from typing import Annotated

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
