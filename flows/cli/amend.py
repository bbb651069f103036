"""`athanor amend`: accept files that were changed under an unfinished campaign."""

from contextlib import closing
from pathlib import Path

from flows.cli.status import the_campaign
from flows.console import console, emit
from flows.plans.amendment import AMENDED, Amendment, amend
from flows.plans.lab import clock_of, find_lab
from flows.plans.plan import load_plan
from instruments.lab_processes.campaign_lock import CampaignLock
from orchestrator.commandline import typed
from orchestrator.errors import BadInput, LockHeld
from orchestrator.loop import History
from orchestrator.store.sql import SqlStore


def amend_campaign(file: Path, *, lab: Path | None, data: Path | None, by: str, reason: str, as_json: bool) -> None:
    """Show what differs from the ledger's files and record it as accepted.

    Raises:
        BadInput: No name or reason, a campaign that is being carried on, or a change that cannot be accepted.
    """
    if not by.strip() or not reason.strip():
        raise BadInput("amend: --by NAME and --reason TEXT are needed; they go into the ledger")
    found = find_lab(lab, here=file.resolve().parent)
    plan = load_plan(file, data=data)
    name = plan.file.name
    try:
        with CampaignLock(found.path, name), closing(SqlStore.open(found.ledger, create=False)) as store:
            made = amend(History.of(store.changes(the_campaign(store, found, name).name)), plan)
            now = clock_of(found, store).now()
            store.update_campaign(made.record, kind=AMENDED, by=f"person {by.strip()}", now=now, payload=made.payload(reason))
    except LockHeld as error:
        raise BadInput(f"campaign {name} is being carried on; `{typed('pause', name)}`, wait for its end, then amend: {error}") from error
    _tell(name, made, by=by.strip(), reason=reason, as_json=as_json)


def _tell(name: str, made: Amendment, *, by: str, reason: str, as_json: bool) -> None:
    if as_json:
        emit({"campaign": name, "by": by, **made.payload(reason)})
        return
    for line in made.difference:
        console.print(line, markup=False)
    console.print(
        f"campaign {name} goes on with its changed files ({', '.join(made.hashes)}; {reason}, by {by}): approvals and questions of before "
        f"lapse and are asked anew; {'resume, then ' if made.record.status == 'paused' else ''}run it with the same command as before"
    )
