"""What people do to a campaign and its lab, each act once: the command line, Prefect's page and a script call the same operation.

An operation takes values, returns what came of it, prints nothing, and raises AthanorError. `campaign` is a name, or None
for the only one of the lab; `by` and `reason` go into the ledger. These load no model, no instrument library and no Prefect;
acts that need more stand in `run_operations`, `review_operations`, `plan_operations` and `report_operations`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flows.plans.allowance import Allowance
from flows.plans.lab import Lab, clock_of
from flows.plans.ledger import open_campaign, open_store, record_status, the_campaign, unknown_runs
from flows.plans.snapshots import file_of, files_of
from flows.plans.stocks import StockBook, stock_entries_of
from flows.report.adaptations import Adaptation, adaptations
from flows.report.quantities import chance_to_keep
from flows.report.values import outdated_lines
from flows.review.approvals import lapse_waiting
from flows.running.value_list import awaited_values
from instruments.lab_processes.bench_process import unlatch
from instruments.lab_processes.processes import process_table
from orchestrator.attained import attained_line, front_lines
from orchestrator.commandline import typed
from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import CampaignStatus
from orchestrator.domain.records import CampaignRecord
from orchestrator.domain.review import Person, draw_codes
from orchestrator.errors import BadInput, StoreError
from orchestrator.history import History, not_executed, outdated
from orchestrator.store.place import LedgerPlace
from orchestrator.suggestions import KEPT
from orchestrator.summary import limits_kept

SHEET: Final = 40
"""One-time codes on a person's sheet."""

# ---------------------------------------------------------------------- the campaign's course


def pause(lab: Lab, campaign: str | None, *, by: str, reason: str) -> CampaignRecord:
    """Pause a campaign: a ledger event that the loop reads on its next turn; return it as paused.

    Raises:
        BadInput: It is paused already, or has ended.
    """
    with open_store(lab) as store:
        record = the_campaign(store, lab, campaign)
        refuse_repeated(record, CampaignStatus.PAUSED)
        record.refuse_ended()
        return record_status(store, record, CampaignStatus.PAUSED, f"{reason} (by {by})", by=by, now=clock_of(lab, store).now())


def refuse_repeated(record: CampaignRecord, status: CampaignStatus) -> None:
    """Refuse to bring a campaign where it is.

    Raises:
        BadInput: It is there already.
    """
    if record.status is status:
        raise BadInput(f"campaign {record.name} is {status} already ({record.reason})")


@dataclass(frozen=True, slots=True)
class Resumed:
    """What became of a campaign and its bench."""

    campaign: CampaignRecord
    was_latched: bool
    lapsed: int
    """Approvals that waited, and are decided anew."""


def resume(lab: Lab, campaign: str | None, *, by: str, reason: str) -> Resumed:
    """Lift a pause and unlatch a stopped bench; that of a campaign which has ended is unlatched, and no more.

    Raises:
        BadInput: Not paused, or a run's outcome is still unknown.
    """
    with open_campaign(lab, campaign) as (store, history):
        record = history.campaign
        if unknown := unknown_runs(history):
            key = unknown[0].run_key
            raise BadInput(f"campaign {record.name}: the outcome of run {key} is unknown; settle it with `{typed('resolve', key)}`")
        was_latched = unlatch(lab.path, by=by, reason=reason)
        if record.status is not CampaignStatus.PAUSED and not was_latched:
            raise BadInput(f"campaign {record.name} is {record.status}, not paused")
        now, lapsed = clock_of(lab, store).now(), 0
        if was_latched:  # nobody who approved before knew of it
            lapsed = lapse_waiting(store, history, f"the bench was stopped since, and released by {by}: {reason}", by=by, now=now)
        if record.status is CampaignStatus.PAUSED:
            seen = {"forgiven_seq": history.seq, "forgiven": 0, "forgiven_infeasible": 0}
            record = record.evolve(status=CampaignStatus.RUNNING, reason=None, **seen)
            store.update_campaign(record, kind=EventKind.RESUMED, by=by, now=now, payload={"reason": reason})
    return Resumed(record, was_latched, lapsed)


# ---------------------------------------------------------------------- people


def add_person(lab: Lab, name: str, *, by: str) -> tuple[str, ...]:
    """Register somebody who may sign, or replace a sheet by a fresh one, also before the lab's first run; return the sheet's codes."""
    codes = tuple(draw_codes(SHEET))
    with open_store(lab, create=True) as store:
        store.keep(Person(name=name).with_codes(codes), kind=EventKind.PERSON_ADDED, by=by, now=clock_of(lab, store).now())
    return codes


def revoke_person(lab: Lab, name: str, *, by: str, reason: str) -> None:
    """Let somebody sign no more; what they have signed stays.

    Raises:
        BadInput: Nobody of that name, or revoked before.
    """
    with open_store(lab) as store:
        people = {person.name: person for person in store.people()}
        if name not in people:
            raise BadInput(f"lab {lab.path} knows no person {name!r}; it knows {', '.join(people) or 'nobody'}")
        if people[name].revoked:
            raise BadInput(f"{name} may sign no more since an earlier revocation; nothing is changed")
        revoked = people[name].evolve(revoked=True, codes=())
        store.keep(revoked, kind=EventKind.PERSON_REVOKED, by=by, now=clock_of(lab, store).now(), reason=reason)


def people_of(lab: Lab) -> tuple[Person, ...]:
    """Return everybody who may sign, or might."""
    with open_store(lab, read_only=True) as store:
        return tuple(store.people())


# ---------------------------------------------------------------------- looking


@dataclass(frozen=True, slots=True)
class Standing:
    """How a campaign stands."""

    lab: Lab
    history: History
    adapted: Sequence[Adaptation]
    """How far the prior was trusted, each time that it was adapted."""
    stocks: Mapping[str, str]
    """What is left of each stock."""
    account: Mapping[str, Mapping[str, Any]]
    """Of money, lab time and stocks: what is used, its limit, and what the experiments that are left may take."""
    processes: Mapping[str, Any]
    """By name; None for one that does not run."""
    lab_seconds: float = 0.0
    """Lab time."""

    @property
    def attained(self) -> list[str]:
        """What is attained where no single experiment is best: of a front what each experiment gave, or how well the response is known."""
        space, objective = files_of(self.history.campaign)
        if objective.kind == "utility":
            return []
        front = front_lines(self.history, objective, space.units, space.present) if objective.ranked else ()
        return [attained_line(self.history, objective), *front]

    @property
    def constant(self) -> tuple[str, ...]:
        """Which targets have not varied yet."""
        measured = self.history.accepted.values()
        return files_of(self.history.campaign)[1].constant(measured) if len(measured) > 1 else ()

    @property
    def limits(self) -> list[str]:
        """How many runs keep which limit on what comes out, and how likely open proposals will."""
        if not self.history.accepted:
            return []
        chances = [
            f"proposal {one.number} keeps the limits with a chance of {chance_to_keep(kept)}"
            for one in not_executed(self.history)
            if (kept := one.provenance.details.get(KEPT))
        ]
        return [*limits_kept(self.history, files_of(self.history.campaign)[1]), *chances]

    @property
    def awaited(self) -> list[Mapping[str, Any]]:
        """The values that come after their runs and have not come yet."""
        return list(awaited_values(self.history, self.lab_seconds))

    @property
    def outdated(self) -> dict[int, list[str]]:
        """By number of a proposal, not carried out yet, which values it rested on have changed since."""
        if not outdated(self.history):
            return {}
        lines = outdated_lines(self.history, files_of(self.history.campaign)[1].units)
        return {one.number: lines[one.proposal_id] for one in self.history.newest() if one.proposal_id in lines}

    @property
    def restrictions(self) -> list[str]:
        """What the next batch must keep to."""
        found = self.history.restricted(self.history.last_batch + 1)
        units = files_of(self.history.campaign)[0].units if found else {}
        return [f"restriction {one.number}: {one.shown(units)}" for one in found]


def standing(lab: Lab, campaign: str | None) -> Standing:
    """Look how a campaign stands."""
    processes = process_table(lab.path)
    with open_campaign(lab, campaign, read_only=True) as (store, history):
        record = history.campaign
        adapted = adaptations(store.events(record.name))
        entries = stock_entries_of(record.snapshot.get("files", {}).get("bench", ""))
        now = clock_of(lab, store).lab() if history.awaited else 0.0
        stocks = StockBook(store, record.name).lines(history, entries)
        account = Allowance(file_of(record).spec.campaign.budget).account(history, entries)
        return Standing(lab, history, adapted, stocks, account, processes, now)


@dataclass(frozen=True, slots=True)
class LedgerCheck:
    """What came of checking a ledger."""

    ledger: LedgerPlace
    events: int
    head: str
    complaints: tuple[str, ...]

    def refuse_damaged(self) -> None:
        """Raise StoreError where something disagrees."""
        if self.complaints:
            raise StoreError(f"ledger {self.ledger} is damaged: {len(self.complaints)} complaints, the first: {self.complaints[0]}")


def verify(lab: Lab) -> LedgerCheck:
    """Check the ledger's chain and tables."""
    with open_store(lab, read_only=True) as store:
        complaints, (events, head) = store.verify(), store.head()
    return LedgerCheck(lab.ledger, events, head, tuple(complaints))
