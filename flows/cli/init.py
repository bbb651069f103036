"""The lab folder that `athanor init` starts from."""

from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Final

from orchestrator.errors import BadInput

SCAFFOLD: Final = ("campaign.toml", "prior.toml", "bench.toml", "plant.toml", "README.md")
NEXT: Final = (("check", "campaign.toml"), ("dry-run", "campaign.toml"))
"""Commands in their order, and the file of each."""


def scaffold(directory: Path) -> None:
    """Write the example of the CdSe flow bench into a folder.

    Raises:
        BadInput: A file of that name is there already; nothing is written.
    """
    taken = [name for name in SCAFFOLD if (directory / name).exists()]
    if taken:
        raise BadInput(f"{directory / taken[0]} is there already; expected a folder without it")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name in SCAFFOLD:
            (directory / name).write_text(files("flows.cli").joinpath("scaffold", name).read_text(encoding="utf-8"), encoding="utf-8")
    except OSError as error:
        for name in SCAFFOLD:  # none was there before: half of them would only be in the way of the next attempt
            with suppress(OSError):
                (directory / name).unlink(missing_ok=True)
        raise BadInput(f"{directory} cannot be written: {error.strerror}") from error
