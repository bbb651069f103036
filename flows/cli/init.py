"""The lab folders that `athanor init` starts from."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Final

from orchestrator.errors import BadInput


class Template(StrEnum):
    """What a new lab folder is for."""

    FLOW = "flow"
    DEVICES = "devices"
    FUNCTION = "function"
    MANUAL = "manual"
    BLANK = "blank"


@dataclass(frozen=True, slots=True)
class Scaffold:
    """What a template consists of."""

    folder: str
    """Where its files stand in this package."""
    files: tuple[str, ...]
    then: tuple[tuple[str, str], ...]
    """Commands in their order, and the file of each."""


SCAFFOLD: Final = ("campaign.toml", "prior.toml", "bench.toml", "plant.toml", "README.md")
"""The example of the CdSe flow bench."""
SCAFFOLDS: Final[Mapping[Template, Scaffold]] = {
    Template.FLOW: Scaffold("scaffold", SCAFFOLD, (("check", "campaign.toml"), ("dry-run", "campaign.toml"))),
    Template.DEVICES: Scaffold(
        "templates/devices",
        ("campaign.toml", "bench.toml", "plant.toml", "README.md"),
        (("check", "campaign.toml"), ("dry-run", "campaign.toml")),
    ),
    Template.FUNCTION: Scaffold(
        "templates/function",
        ("campaign.toml", "bench.toml", "film.py", "README.md"),
        (("check", "campaign.toml"), ("run", "campaign.toml")),
    ),
    Template.MANUAL: Scaffold(
        "templates/manual",
        ("campaign.toml", "bench.toml", "README.md"),
        (("check", "campaign.toml"), ("dry-run", "campaign.toml"), ("run", "campaign.toml")),
    ),
    Template.BLANK: Scaffold("templates/blank", ("campaign.toml", "bench.toml", "README.md"), (("check", "campaign.toml"),)),
}


def scaffold(directory: Path, template: Template = Template.FLOW) -> Scaffold:
    """Write an example into a folder, and return what it consists of.

    Raises:
        BadInput: A file of that name is there already; nothing is written.
    """
    chosen = SCAFFOLDS[template]
    taken = [name for name in chosen.files if (directory / name).exists()]
    if taken:
        raise BadInput(f"{directory / taken[0]} is there already; expected a folder without it")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name in chosen.files:
            text = files("flows.cli").joinpath(chosen.folder, name).read_text(encoding="utf-8")
            (directory / name).write_text(text, encoding="utf-8")
    except OSError as error:
        for name in chosen.files:  # none was there before: half of them would only be in the way of the next attempt
            with suppress(OSError):
                (directory / name).unlink(missing_ok=True)
        raise BadInput(f"{directory} cannot be written: {error.strerror}") from error
    return chosen
