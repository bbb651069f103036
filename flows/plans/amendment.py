"""Accepting files that were changed under an unfinished campaign: what may change, and what the ledger keeps of it.

The event holds the new snapshot whole, as the first event holds the first one; what stood in the files when a proposal was
made is read from there (`Store.changes_until`), so that it can be computed again.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flows.plans.admission import changed_lines
from flows.plans.allowance import uncounted_before
from flows.plans.plan import Plan, is_added
from flows.plans.snapshots import files_of
from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.domain.objective import Objective
from orchestrator.domain.records import BEGINS, DRY_TWIN, CampaignRecord, ExperimentRun
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.history import History
from orchestrator.plugins import GROUPS
from orchestrator.ports import StoredEvent

_HASHED: Final = frozenset({"table", "prior"})
"""Files of which the snapshot holds the hash and not the text."""
_IDENTITIES: Final = tuple(f"{group.what} " for group in GROUPS)
"""Begin the names of installed plug-ins, of which it holds version and hash."""
_IN_HAND: Final = frozenset({RunStatus.DISPATCHED, RunStatus.RUNNING, RunStatus.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Amendment:
    """A campaign with its changed files."""

    record: CampaignRecord
    difference: tuple[str, ...]
    """Changed lines, as a unified difference."""
    hashes: Mapping[str, tuple[str | None, str | None]]
    """The sha256 before and after of each changed file; None where there was, or is, none."""
    former_bench: str | None = None
    """The hash that the bench had before with the files beside it; None where it had none."""

    def payload(self, reason: str) -> dict[str, Any]:
        """Return what the event says beside the snapshot."""
        files = {name: {"before": before, "after": after} for name, (before, after) in self.hashes.items()}
        bench = {} if self.former_bench is None else {"former_bench": self.former_bench}
        return {"reason": reason, "difference": list(self.difference), "files": files, **bench}


def amendment_of(history: History, plan: Plan, stand_ins: Mapping[str, str] | None = None) -> Amendment:
    """Put today's files in place of those that a campaign has in the ledger.

    Args:
        history: The campaign.
        plan: What today's files say.
        stand_ins: What people are told of each stand-in of a dry run by today's files.

    Raises:
        BadInput: The campaign is over, nothing changed, a run is in hand on the bench that changed, or the history could
            not be read under the new files.
    """
    record = history.campaign
    if record.status.is_over:
        raise BadInput(f"campaign {record.name} is {record.status} ({record.reason}): its files are what it was carried out with")
    before, after = record.snapshot["files"], plan.snapshot["files"]
    changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    if not changed:
        raise BadInput(f"campaign {record.name}: its files are those of the ledger; there is nothing to amend")
    if any(name == "bench" or is_added(name) for name in changed) and (run := _in_hand(history)) is not None:
        raise BadInput(
            f"run {run.run_key} is in hand ({run.status}): a bench file or a plug-in is changed between runs; put the old one back, "
            "let the campaign end the run and pause, then change and amend it"
        )
    _check_readable(history, plan, changed)
    kept = {name: record.snapshot[name] for name in ("rate", DRY_TWIN, *BEGINS) if name in record.snapshot}
    named = {"stand_ins": dict(stand_ins)} if stand_ins else {}
    hashes = {name: (_sha256(name, before.get(name)), _sha256(name, after.get(name))) for name in changed}
    now = record.evolve(snapshot={**plan.snapshot, **kept, **named}, advice=None)
    return Amendment(now, tuple(changed_lines(before, after)), hashes, record.snapshot.get("bench_sha256"))


def former_benches(events: Iterable[StoredEvent]) -> frozenset[str]:
    """Return the hashes of the bench files that a campaign had before its amendments."""
    amended = [event.payload["details"] for event in events if event.kind == EventKind.AMENDED]
    alone = {one["files"]["bench"]["before"] for one in amended if "bench" in one["files"]}
    return frozenset(alone | {one["former_bench"] for one in amended if "former_bench" in one})


def _in_hand(history: History) -> ExperimentRun | None:
    """Return a run that the bench has, or whose readings are yet to be read by the file that it was carried out with."""
    return next(
        (run for run in history.attempts() if run.status in _IN_HAND or (run.status is RunStatus.COMPLETED and not run.ingested)), None
    )


def _sha256(name: str, text: str | None) -> str | None:
    return text if text is None or name in _HASHED or name.startswith(_IDENTITIES) else hashlib.sha256(text.encode()).hexdigest()


# ---------------------------------------------------------------------- what the history needs


def _check_readable(history: History, plan: Plan, changed: Iterable[str]) -> None:
    """Refuse what would make the campaign's own measurements unreadable."""
    space, objective = files_of(history.campaign)
    for complaint in _unreadable(history, space, objective, plan):
        raise BadInput(f"{plan.file.path}: {complaint}; the campaign's history needs it: begin another campaign")
    if "table" in changed or ("bench" in history.campaign.snapshot["files"]) != (plan.bench is not None):
        raise BadInput(
            f"{plan.file.path}: campaign {plan.file.name} was measured on {history.campaign.snapshot['place']}; it cannot change"
        )


def _unreadable(history: History, space: SearchSpace, objective: Objective, plan: Plan) -> Iterator[str]:
    if (uncounted := uncounted_before(plan.file.spec.campaign.budget, history)) is not None:
        yield uncounted
    if (old := _columns(space)) != (new := _columns(plan.space)):
        yield f"the parameters' columns were {', '.join(old)} and are {', '.join(new)}"
    if (before := _targets(objective)) != (after := _targets(plan.objective)):
        yield f"the targets were {', '.join(before)} and are {', '.join(after)}"
    if any(space.absent(one.configuration) != plan.space.absent(one.configuration) for one in history.newest()):
        yield "what says where a parameter is there (when) would make other parameters of what was proposed absent"
    for parameter in plan.space.parameters:
        for column in (one for one in parameter.columns if one not in parameter.units):
            there = (plan.space.present(one.configuration) for one in history.newest())
            used = {str(one[column]) for one in there if column in one}
            if gone := sorted(used - set(parameter.names)):
                yield f"parameter {parameter.name} has no category {gone[0]!r} any more, which was proposed already"


def _columns(space: SearchSpace) -> tuple[str, ...]:
    return tuple(f"{column} ({unit})" if (unit := space.units.get(column)) else column for column in space.columns)


def _targets(objective: Objective) -> tuple[str, ...]:
    return tuple(f"{one.name} ({one.unit})" if one.unit else one.name for one in objective.measured)
