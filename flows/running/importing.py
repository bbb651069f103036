"""Results of a file that somebody has: looked at, and brought once a person has seen what would become of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestrator.domain.campaign import load_campaign
from orchestrator.domain.entered import Entry
from orchestrator.errors import BadInput
from orchestrator.importing.preview import Preview, preview


@dataclass(frozen=True, slots=True)
class Results:
    """What is to be put into a campaign's ledger."""

    campaign_file: Path
    entries: Sequence[Entry]
    evidence: Mapping[str, str]
    """File, mapping and their hashes: how the entries came about."""


class Bring(Protocol):
    """Puts results into a ledger, all of them or none."""

    def __call__(self, results: Results) -> str:
        """Return a line that says what came of it."""
        ...


def look_at(file: Path, campaign_file: Path, mapping: Path | None = None, *, sheet: str | None = None) -> Preview:
    """Read a file as it would be brought, and write nothing; without a mapping, one is proposed.

    Raises:
        BadInput: A file cannot be read, or the mapping does not fit the campaign.
    """
    return preview(file, load_campaign(campaign_file, free=True), mapping, sheet=sheet)


def keep_proposal(seen: Preview, out: Path) -> None:
    """Write the proposed mapping into a new file.

    Raises:
        BadInput: The file is there already, or cannot be written.
    """
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(seen.mapping)
    except FileExistsError as error:
        raise BadInput(f"{out} is there already; expected a new file for the proposed mapping") from error
    except OSError as error:
        raise BadInput(f"{out} cannot be written: {error.strerror}") from error


def bring_results(seen: Preview, campaign_file: Path, bring: Bring) -> str:
    """Bring what a preview has shown.

    Args:
        seen: The preview, read by a mapping that a person declared.
        campaign_file: Whose results these are.
        bring: Puts them into the campaign's ledger.

    Returns:
        What came of it.

    Raises:
        BadInput: The mapping was only proposed, or something is in the way; nothing is brought.
    """
    if seen.mapping_sha256 is None:
        raise BadInput(
            f"{seen.file}: the mapping was only proposed, so nothing is brought; keep it (--propose-mapping), name it (--mapping)"
        )
    refuse_problems(seen)
    return bring(Results(campaign_file, seen.entries, seen.evidence))


def refuse_problems(seen: Preview) -> None:
    """Refuse a file of which not every cell could be read.

    Raises:
        BadInput: The first problem, and how many more there are.
    """
    if seen.problems:
        more = len(seen.problems) - 1
        raise BadInput(f"{seen.problems[0]}{f' (and {more} more)' if more else ''}; nothing was brought")
