"""A lab's ledger, opened, and a campaign found in it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager

from flows.plans.lab import Lab
from orchestrator.clock import Instant
from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import CampaignStatus, RunStatus
from orchestrator.domain.records import CampaignRecord, ExperimentRun
from orchestrator.errors import BadInput
from orchestrator.history import History
from orchestrator.ports import CampaignStore, ReadStore, Store
from orchestrator.store.sql import SqlStore, database_of


def open_store(lab: Lab, *, create: bool = False, read_only: bool = False) -> AbstractContextManager[Store]:
    """Open a lab's ledger for as long as a `with` lasts; make it where it is missing, or write nothing, where that is said.

    Raises:
        BadInput: There is no ledger, and none is to be made.
        StoreError: It is damaged, no ledger, or of a newer schema.
    """
    return closing(SqlStore.open(lab.ledger, create=create, read_only=read_only))


def hold_campaign(lab: Lab, name: str, *, take_over: bool) -> AbstractContextManager[str | None]:
    """Hold a campaign in its ledger, where processes on other machines see who does; a silent holder is ended where that is said.

    Raises:
        LockHeld: Another process holds it.
    """
    return database_of(lab.ledger).holding(name, take_over=take_over)


def has_ledger(lab: Lab) -> bool:
    """Say whether a lab has a ledger yet: the first command that writes makes it."""
    return database_of(lab.ledger).exists()


def the_campaign(store: ReadStore, lab: Lab, name: str | None) -> CampaignRecord:
    """Return the named campaign, or the only one of the lab.

    Raises:
        BadInput: None of that name, or several to choose from.
    """
    records = {record.name: record for record in store.campaigns()}
    if name is None and len(records) == 1:
        return next(iter(records.values()))
    if not records:
        raise BadInput(f"lab {lab.path} has no campaign yet; `run` or `dry-run` begins one")
    if name is None:
        raise BadInput(f"lab {lab.path} has {len(records)} campaigns; name one of: {', '.join(records)}")
    if name not in records:
        raise BadInput(f"lab {lab.path} has no campaign {name!r}; it has {', '.join(records)}")
    return records[name]


@contextmanager
def open_campaign(lab: Lab, name: str | None, *, read_only: bool = False) -> Iterator[tuple[Store, History]]:
    """Open a lab's ledger and read a campaign's history."""
    with open_store(lab, read_only=read_only) as store:
        yield store, History.of(store.changes(the_campaign(store, lab, name).name))


def record_status(
    store: CampaignStore, record: CampaignRecord, status: CampaignStatus, reason: str | None, *, by: str, now: Instant
) -> CampaignRecord:
    """Record that a campaign is paused, aborted or what else, and why; return it as it then is."""
    changed = record.evolve(status=status, reason=reason)
    store.update_campaign(changed, kind=EventKind(status), by=by, now=now)
    return changed


def unknown_runs(history: History) -> list[ExperimentRun]:
    """Return the runs whose end nobody saw: a person has to say what became of them."""
    return [run for run in history.runs.values() if run.status is RunStatus.UNKNOWN]
