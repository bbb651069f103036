"""Whether a change is legal, by what the ledger holds."""

from collections.abc import Sequence
from typing import TypeVar

from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import (
    MEASUREMENT_STEPS,
    PROPOSAL_STEPS,
    RUN_STEPS,
    ProposalStatus,
    RunStatus,
    advance,
)
from orchestrator.domain.records import CampaignRecord, ExperimentRun, Measurement, Proposal
from orchestrator.domain.values import Frozen
from orchestrator.errors import BadInput, StoreError
from orchestrator.store.documents import CAMPAIGNS, PROPOSALS, RUNS, Kept, kept_of
from orchestrator.store.ledger import Reader

_Value = TypeVar("_Value", bound=Frozen)


def no_campaign(ledger: Reader, campaign: str) -> BadInput:
    """Say which campaigns there are."""
    names = ", ".join(one.name for one in everything(ledger, CAMPAIGNS))
    return BadInput(f"no campaign {campaign!r} in this ledger; it holds {names or 'none'}")


def campaign_of(ledger: Reader, name: str) -> CampaignRecord:
    """Return a campaign's state; BadInput when there is no such campaign."""
    found = get(ledger, CAMPAIGNS, name)
    if found is None:
        raise no_campaign(ledger, name)
    return found


def get(ledger: Reader, kept: Kept[_Value], *key: str | int) -> _Value | None:
    """Return what the ledger holds under a key."""
    text = ledger.find(kept.table, key)
    return None if text is None else kept.load(text)


def everything(ledger: Reader, kept: Kept[_Value]) -> tuple[_Value, ...]:
    """Return all that a small table holds, in the order of the keys."""
    return tuple(map(kept.load, ledger.everything(kept.table)))


def changed(ledger: Reader, kept: Kept[_Value], campaign: str, since: int = 0) -> tuple[tuple[int, _Value], ...]:
    """Return what of a campaign changed after an event, in the order of change, each with the number of that change's event."""
    return tuple((seq, kept.load(document)) for seq, document in ledger.changed(kept.table, campaign, since))


def find_stored(ledger: Reader, value: _Value) -> _Value | None:
    """Return what the ledger holds under a value's key."""
    kept = kept_of(value)
    return get(ledger, kept, *kept.key(value))


def name_of(value: Frozen) -> str:
    """Name a value for messages."""
    kept = kept_of(value)
    return f"{kept.table.removesuffix('s')} {'/'.join(map(str, kept.key(value)))}"


def known(ledger: Reader, value: _Value) -> _Value:
    """Return what the ledger holds under a value's key; StoreError when it holds nothing."""
    stored = find_stored(ledger, value)
    if stored is None:
        raise StoreError(f"{name_of(value)} is not in the ledger")
    return stored


def check_unknown(ledger: Reader, value: Frozen) -> None:
    """Refuse a key that the ledger holds already."""
    if find_stored(ledger, value) is not None:
        raise StoreError(f"{name_of(value)} is in the ledger already")


def check_same(what: str, old: object, new: object) -> None:
    """Refuse a difference."""
    if old != new:
        raise StoreError(f"{what} differs from what the ledger holds: {new!r} came, {old!r} expected")


def check_new_revision(ledger: Reader, proposal: Proposal) -> None:
    """An edit needs its original, which nobody approved meanwhile: both would be carried out."""
    check_unknown(ledger, proposal)
    check_same(f"status of new {name_of(proposal)}", ProposalStatus.PROPOSED, proposal.status)
    if proposal.revision > 1:
        former = known(ledger, proposal.evolve(revision=proposal.revision - 1))
        if former.status is ProposalStatus.APPROVED:
            raise StoreError(f"{name_of(former)} is approved; it cannot be edited any more")


def numbered(ledger: Reader, proposal: Proposal) -> Proposal:
    """Give a new proposal the next free number where its own is taken: a person may have suggested one meanwhile."""
    if proposal.revision > 1:
        return proposal
    highest = ledger.highest_number(PROPOSALS.table, proposal.campaign)
    return proposal if proposal.number > highest else proposal.evolve(number=highest + 1)


def check_decision(ledger: Reader, proposal: Proposal) -> None:
    """A decision binds what was shown, in its last revision."""
    stored, what = known(ledger, proposal), name_of(proposal)
    advance(PROPOSAL_STEPS, stored.status, proposal.status, what=what)
    check_same(f"content of {what}", stored.content_hash, proposal.content_hash)
    edited = find_stored(ledger, proposal.evolve(revision=proposal.revision + 1))
    if edited is not None and proposal.status is ProposalStatus.APPROVED:
        raise StoreError(f"{what} was edited; decide on revision {edited.revision}")


def check_queued(ledger: Reader, run: ExperimentRun, proposal: Proposal) -> None:
    """Refuse a new run that its proposal's approval does not give."""
    what = name_of(run)
    if proposal.status is not ProposalStatus.APPROVED:
        raise StoreError(f"{what} of {proposal.status} {name_of(proposal)}: only an approval gives runs")
    check_unknown(ledger, run)
    check_same(f"status of new {what}", RunStatus.QUEUED, run.status)
    key = (proposal.campaign, proposal.proposal_id, proposal.revision)
    check_same(f"proposal of {what}", key, (run.campaign, run.proposal_id, run.revision))


def _identity(run: ExperimentRun) -> tuple[object, ...]:
    return (run.run_id, run.attempt, run.campaign, run.proposal_id, run.revision, run.replicate)


def check_run_step(stored: ExperimentRun, run: ExperimentRun) -> None:
    """Refuse an illegal step of a run, and a run that became another one."""
    what = name_of(run)
    if stored.status != run.status:
        advance(RUN_STEPS, stored.status, run.status, what=what)
    check_same(f"identity of {what}", _identity(stored), _identity(run))


def check_successor(ledger: Reader, run: ExperimentRun, successor: ExperimentRun) -> None:
    """Only evidence that nothing was executed allows another attempt."""
    what = name_of(run)
    if not run.evidence:
        raise StoreError(f"{what} cannot be superseded without evidence that it was not executed")
    check_same(f"status of {what}", RunStatus.SUPERSEDED, run.status)
    check_unknown(ledger, successor)
    expected = _identity(run.evolve(attempt=run.attempt + 1))
    check_same(f"identity of the next attempt of {what}", expected, _identity(successor))
    check_same(f"status of new {name_of(successor)}", RunStatus.QUEUED, successor.status)


def check_correction(ledger: Reader, measurement: Measurement) -> EventKind:
    """Return what happens: a status changes by a legal step; another value is a new revision."""
    stored, what = find_stored(ledger, measurement), name_of(measurement)
    if stored is not None:
        advance(MEASUREMENT_STEPS, stored.status, measurement.status, what=what)
        check_same(f"content of {what}", content(stored), content(measurement))
        return EventKind(measurement.status)
    if measurement.revision == 1:
        raise StoreError(f"{what} is not in the ledger; a first revision comes by ingest")
    known(ledger, measurement.evolve(revision=measurement.revision - 1))
    return EventKind.CORRECTED


def check_result(ledger: Reader, measurement: Measurement) -> EventKind:
    """Return what happens with a value that a person tells, corrects or retracts: a first revision belongs to a completed run."""
    if find_stored(ledger, measurement) is not None or measurement.revision > 1:
        return check_correction(ledger, measurement)
    run, what = get(ledger, RUNS, measurement.run_key), name_of(measurement)
    if run is None or run.campaign != measurement.campaign:
        raise StoreError(f"{what} is of no run of campaign {measurement.campaign}")
    if run.status is not RunStatus.COMPLETED or not run.ingested:
        raise StoreError(f"{what}: its run is {run.status}{'' if run.ingested else ', its readings are not in the ledger yet'}")
    if measurement.replicate > 1:
        known(ledger, measurement.evolve(replicate=measurement.replicate - 1))
    return EventKind.ADDED


def check_imported(ledger: Reader, run: ExperimentRun, measurements: Sequence[Measurement]) -> None:
    """Refuse an experiment of elsewhere that the ledger has, that is none, or whose values are of another run."""
    check_unknown(ledger, run)
    what = name_of(run)
    if not run.is_imported or run.status is not RunStatus.COMPLETED or not run.ingested or not run.measured:
        raise StoreError(f"{what} is no imported run: it has to be completed, with its measured configuration")
    for one in measurements:
        first = (run.campaign, run.run_key, 1, 1)
        check_same(f"run, replicate and revision of {name_of(one)}", first, (one.campaign, one.run_key, one.replicate, one.revision))


def content(measurement: Measurement) -> tuple[object, ...]:
    """Return what was measured; its status may have changed since, and its identifier is drawn anew at each reduction.

    Who said it and why belongs to the status; the file that it was taken from, and when it was measured, to the value.
    """
    said = (measurement.measured_at, measurement.evidence)
    return (measurement.value, measurement.uncertainty, measurement.reduction, measurement.raw_sha256, *said)
