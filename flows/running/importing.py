"""Results of a file that somebody has: looked at, and brought once a person has seen what would become of them."""

from collections.abc import Mapping
from pathlib import Path

from flows.plans.lab import find_lab, labs_in
from flows.plans.ledger import open_campaign
from flows.plans.snapshots import file_of
from flows.running import measuring
from orchestrator.commandline import typed
from orchestrator.domain.campaign import CampaignFile, load_campaign
from orchestrator.domain.records import Evidence
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.importing.preview import Preview, preview


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


def bring_results(seen: Preview, campaign_file: Path, *, lab: Path | None, by: str, reason: str) -> measuring.Brought:
    """Bring what a preview has shown.

    Args:
        seen: The preview, read by a mapping that a person declared.
        campaign_file: Whose results these are.
        lab: The lab's folder; None for the only one beside the campaign file.
        by: Who brings them.
        reason: Why; the mapping's hash is added to it.

    Raises:
        BadInput: The mapping was only proposed, something is in the way, or the ledger has the campaign in other names or units;
            nothing is brought.
    """
    if seen.mapping_sha256 is None:
        raise BadInput(f"{seen.file}: a proposed mapping brings nothing; keep it by --propose-mapping, name it by --mapping")
    refuse_problems(seen)
    file, here = load_campaign(campaign_file, free=True), campaign_file.resolve().parent
    if lab is None and not labs_in(here):
        begin = typed("measure", "begin", campaign_file, "--by", by or "NAME")
        raise BadInput(
            f"no lab in {here}; `{begin}` makes one with the campaign in its ledger (--dry: the dry run's), or name one with --lab DIR"
        )
    found = find_lab(lab, here=here)
    with open_campaign(found, file.name, read_only=True) as (_, history):
        refuse_other_units(file, file_of(history.campaign))
    why = f"{reason}; mapping {seen.mapping_sha256}" if reason else f"mapping {seen.mapping_sha256}"
    evidence = Evidence(name=seen.file, sha256=seen.sha256)
    return measuring.bring(found, file.name, seen.entries, by=by, reason=why, evidence=evidence, outside=True)


def refuse_other_units(file: CampaignFile, stored: CampaignFile) -> None:
    """Refuse results that were read in other names or units than those that the ledger has for the campaign.

    Raises:
        BadInput: Names the first that differs.
    """
    for what, mine, kept in (
        ("parameter", _units(file.space()), _units(stored.space())),
        ("target", _in(file.objective.units), _in(stored.objective.units)),
    ):
        for name in dict.fromkeys((*mine, *kept)):
            if mine.get(name) != kept.get(name):
                here, there = (one.get(name, "absent") for one in (mine, kept))
                raise BadInput(f"{file.path}: {what} {name} is {here}, and {there} in the ledger; `athanor amend` accepts a changed file")


def _units(space: SearchSpace) -> dict[str, str]:
    return {**dict.fromkeys(space.columns, "a name"), **_in(space.units)}


def _in(units: Mapping[str, str]) -> dict[str, str]:
    return {name: f"in {unit or '1'}" for name, unit in units.items()}


def refuse_problems(seen: Preview) -> None:
    """Refuse a file of which not every cell could be read.

    Raises:
        BadInput: The first problem, and how many more there are.
    """
    if seen.problems:
        more = len(seen.problems) - 1
        raise BadInput(f"{seen.problems[0]}{f' (and {more} more)' if more else ''}; nothing was brought")
