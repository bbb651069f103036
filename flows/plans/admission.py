"""Whether a campaign goes on with the files as they are now: they are those of the ledger, or a person says why not."""

import difflib
from collections.abc import Mapping
from typing import Final

from flows.plans.plan import Plan, refuse_unconvertible
from flows.plans.surrogate import refuse_silent
from orchestrator.commandline import typed
from orchestrator.domain.lifecycle import CampaignStatus
from orchestrator.domain.records import CampaignRecord
from orchestrator.errors import BadInput

DIFF_LINES: Final = 20
"""Changed lines shown of a file that was edited under an unfinished campaign."""


def admit(record: CampaignRecord | None, plan: Plan) -> CampaignRecord | None:
    """Say how a `run` goes on with what the ledger holds.

    Args:
        record: The campaign as the ledger has it; None when it is new.
        plan: The files as they are now.

    Returns:
        The record to go on with; None for a new campaign.

    Raises:
        BadInput: The files are not those of the ledger; shows the difference and the ways on. Or a new campaign's targets are in
            units that its readings do not convert to, or its twin predicts too little.
    """
    if record is None:
        refuse_unconvertible(plan)
        refuse_silent(plan.file, plan.mean, plan.sample)
    if record is None or record.status is CampaignStatus.ABORTED:
        return record
    changed = difference(record.snapshot.get("files", {}), plan.snapshot["files"])
    if changed and record.status is CampaignStatus.FINISHED:
        raise BadInput(
            f"campaign {record.name} of this lab is finished ({record.reason}) and was carried out with other files; nothing is run. Give "
            f"the campaign another name, begin it in a new lab (--lab DIR), or put the files back\n{changed}"
        )
    if changed:
        raise BadInput(
            f"campaign {record.name} is unfinished and its files have changed; accept that with "
            f"`{typed('amend', plan.file.path)} --by NAME "
            f"--reason TEXT`, or put them back\n{changed}"
        )
    return record


def difference(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Show what differs between two sets of files, at most so many lines; empty when nothing does."""
    return "\n".join(changed_lines(old, new)[:DIFF_LINES])


def changed_lines(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Return all that differs between two sets of files, file by file, as unified differences."""
    lines: list[str] = []
    for name in sorted(set(old) | set(new)):
        before, after = old.get(name, "").splitlines(), new.get(name, "").splitlines()
        lines += list(difflib.unified_diff(before, after, f"{name} (ledger)", f"{name} (now)", lineterm="", n=0))
    return lines
