"""Commands that change a campaign's course: pause, resume, abort, resolve."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from flows.cli.status import the_campaign
from flows.console import console
from flows.plans.lab import Lab, clock_of, find_lab
from flows.review.queueing import lapse_waiting
from flows.running.settling import Word, settle
from instruments.bench_client.client import HostClient
from instruments.lab_processes.bench_process import host_alive, shutdown_bench, unlatch
from instruments.lab_processes.plant_process import shutdown_plant
from instruments.lab_processes.state_files import LATCHED
from orchestrator.clock import Clock
from orchestrator.commandline import typed
from orchestrator.domain.lifecycle import CampaignStatus, RunStatus
from orchestrator.domain.records import CampaignRecord, ExperimentRun
from orchestrator.errors import AthanorError, BadInput
from orchestrator.loop import History, failures, infeasible
from orchestrator.ports import Changes
from orchestrator.store.sql import SqlStore


def _steer(campaign: str | None, lab: Path | None, to: CampaignStatus, by: str, reason: str) -> tuple[Lab, CampaignRecord]:
    found = find_lab(lab, here=Path.cwd())
    with closing(SqlStore.open(found.ledger, create=False)) as store:
        record = the_campaign(store, found, campaign)
        if record.status is to is CampaignStatus.ABORTED and not _is_settled(store, record):
            return found, record  # what could not be ended then is ended now
        if record.status is to:
            raise BadInput(f"campaign {record.name} is {to} already ({record.reason})")
        if record.status in (CampaignStatus.FINISHED, CampaignStatus.ABORTED):
            raise BadInput(f"campaign {record.name} has ended: {record.status} ({record.reason})")
        changed = record.evolve(status=to, reason=f"{reason} (by {by})")
        store.update_campaign(changed, kind=str(to), by=by, now=clock_of(found, store).now())
    return found, changed


def _is_settled(store: SqlStore, record: CampaignRecord) -> bool:
    from flows.running.ending import is_settled  # loads the instruments' libraries, which a pause need not wait for

    return is_settled(History.of(store.changes(record.name)))


def pause_campaign(campaign: str | None, *, lab: Path | None, by: str, reason: str) -> None:
    """Pause: a ledger event that the loop reads on its next turn."""
    _, record = _steer(campaign, lab, CampaignStatus.PAUSED, by, reason)
    console.print(f"campaign {record.name} is paused; the experiment in hand is finished")


def resume_campaign(campaign: str | None, *, lab: Path | None, by: str, reason: str) -> None:
    """Lift a pause and unlatch a stopped bench.

    Raises:
        BadInput: Not paused, or a run's outcome is still unknown.
    """
    found = find_lab(lab, here=Path.cwd())
    with closing(SqlStore.open(found.ledger, create=False)) as store:
        record = the_campaign(store, found, campaign)
        history = History.of(store.changes(record.name))
        runs = history.runs.values()
        unknown = [run.run_key for run in runs if run.status is RunStatus.UNKNOWN]
        if unknown:
            raise BadInput(
                f"campaign {record.name}: the outcome of run {unknown[0]} is unknown; settle it with `{typed('resolve', unknown[0])}`"
            )
        was_latched = unlatch(found.path, by=by, reason=reason)
        if record.status is not CampaignStatus.PAUSED and not was_latched:
            raise BadInput(f"campaign {record.name} is {record.status}, not paused")
        now, lapsed = clock_of(found, store).now(), 0
        if was_latched:  # nobody who approved before knew of it
            lapsed = lapse_waiting(store, history, f"the bench was stopped since, and released by {by}: {reason}", by=by, now=now)
        if record.status is CampaignStatus.PAUSED:
            seen = {"forgiven": len(failures(history)), "forgiven_infeasible": len(infeasible(history))}
            changed = record.evolve(status=CampaignStatus.RUNNING, reason=None, **seen)
            store.update_campaign(changed, kind="resumed", by=by, now=now, payload={"reason": reason})
    if record.status in (CampaignStatus.FINISHED, CampaignStatus.ABORTED):
        console.print(f"the bench is unlatched; campaign {record.name} stays {record.status}")
        return
    console.print(
        f"campaign {record.name} may go on{' and the bench is unlatched' if was_latched else ''}"
        f"{f'; {lapsed} approvals that waited lapse and are decided anew' if lapsed else ''}; run it with the same command as before"
    )


def abort_campaign(campaign: str | None, *, lab: Path | None, by: str, reason: str) -> None:
    """End a campaign for good; the experiment in hand is ended too, and the bench left safe."""
    found, record = _steer(campaign, lab, CampaignStatus.ABORTED, by, reason)
    console.print(f"campaign {record.name} is aborted")
    complaints = [_abort_in_hand(found, record, by)]
    if not _is_carried(found):
        complaints.append(_end_bench(found))
    told = [complaint for complaint in complaints if complaint is not None]
    for complaint in told[:-1]:
        console.print(str(complaint), markup=False)
    if told:  # only now: a run that cannot be ended must not keep the bench from being made safe
        raise told[-1]
    with closing(SqlStore.open(found.ledger, read_only=True)) as store:
        for run in _unknown_runs(store.changes(record.name)):
            console.print(f"nobody saw how run {run.run_key} ended: `{typed('resolve', run.run_key)}` settles it")


def _end_bench(lab: Lab) -> AthanorError | None:
    try:
        shutdown_bench(lab.path)
    except AthanorError as error:
        return error
    finally:  # simulated devices are ended in any case
        if lab.kind == "dry":
            shutdown_plant(lab.path)
    return None


def _abort_in_hand(lab: Lab, record: CampaignRecord, by: str) -> AthanorError | None:
    try:
        with closing(SqlStore.open(lab.ledger, create=False)) as store:
            _abort_runs(store, lab, record, by)
    except AthanorError as error:
        return error
    return None


def _abort_runs(store: SqlStore, lab: Lab, record: CampaignRecord, by: str) -> None:
    """Have the runs in hand ended; who carries the campaign records that, else we do."""
    from flows.running.ending import settle_aborted

    if not _is_carried(lab):
        settle_aborted(store, lab, record, by)
    elif host_alive(lab.path):
        client = HostClient.of_lab(lab.path, campaign=record.name)
        for run in store.changes(record.name).runs:
            if run.status in (RunStatus.DISPATCHED, RunStatus.RUNNING) and client.report(run.run_key) is not None:
                client.abort(run.run_key, reason=f"campaign {record.status}: {record.reason}")


def _is_carried(lab: Lab) -> bool:
    """Say whether a campaign process of the lab is alive: then it closes what it has opened."""
    from instruments.lab_processes.campaign_lock import campaign_holder

    return campaign_holder(lab.path) is not None


def resolve_run(run_key: str, verdicts: Sequence[str], *, lab: Path | None, by: str, reason: str, bench: Path | None = None) -> None:
    """Settle an unknown run: the host's journal first, the ledger second; without a host where none can be had.

    Raises:
        BadInput: Not one verdict, no name or reason, or the run is not unknown.
    """
    if len(verdicts) != 1:
        raise BadInput(f"resolve {run_key}: give exactly one of --done, --not-done, --discard; got {len(verdicts)}")
    if not by.strip() or not reason.strip():
        raise BadInput(f"resolve {run_key}: --by NAME and --reason TEXT are needed; they go into the ledger")
    from flows.running.ending import record_word

    found = find_lab(lab, here=Path.cwd())
    with closing(SqlStore.open(found.ledger, create=False)) as store:
        run, record = _unknown(store, run_key, found)
        report = settle(found, record, run, Word(verdicts[0], by, reason), clock_of(found, store), bench=bench)
        record_word(store, found, record, run, report, {"verdict": verdicts[0], "by": by, "reason": reason})
        _lift(store, record, by, clock_of(found, store))
        changes = store.changes(record.name)
    console.print(f"run {run_key} is settled: {verdicts[0]} ({reason}, by {by}); {_became(changes, run_key)}; {_next(changes, found)}")


def _became(changes: Changes, run_key: str) -> str:
    run = next(run for run in changes.runs if run.run_key == run_key)
    return f"it counts as {run.status}{f' ({run.reason})' if run.reason else ''}"


def _unknown_runs(changes: Changes) -> list[ExperimentRun]:
    return [run for run in changes.runs if run.status is RunStatus.UNKNOWN]


def _next(changes: Changes, lab: Lab) -> str:
    """Say what stands between a settled run and the campaign's going on."""
    campaign = changes.campaign
    if unknown := _unknown_runs(changes):
        return f"nobody saw either how run {unknown[0].run_key} ended: `{typed('resolve', unknown[0].run_key)}` settles it"
    if campaign.status in (CampaignStatus.FINISHED, CampaignStatus.ABORTED):
        return f"campaign {campaign.name} has ended: {campaign.status}"
    again = "run the campaign with the same command as before"
    if (lab.path / LATCHED).exists():
        return f"the bench is latched: first `athanor resume --by NAME --reason TEXT`; {again}"
    if campaign.status is CampaignStatus.PAUSED:
        return f"campaign {campaign.name} is paused ({campaign.reason}): first `{typed('resume', campaign.name)}`; {again}"
    return again


def _unknown(store: SqlStore, run_key: str, lab: Lab) -> tuple[ExperimentRun, CampaignRecord]:
    for record in store.campaigns():
        for run in store.changes(record.name).runs:
            if run.run_key == run_key:
                if run.status is not RunStatus.UNKNOWN:
                    raise BadInput(f"run {run_key} is {run.status}, not unknown; nothing to resolve")
                return run, record
    unknown = [run.run_key for record in store.campaigns() for run in store.changes(record.name).runs if run.status is RunStatus.UNKNOWN]
    raise BadInput(f"lab {lab.path} has no run {run_key!r}; unknown there: {', '.join(unknown) or 'none'}")


def _lift(store: SqlStore, record: CampaignRecord, by: str, clock: Clock) -> None:
    """Let the campaign go on when no unknown run is left."""
    changes = store.changes(record.name)
    if changes.campaign.reason == "unknown" and not any(run.status is RunStatus.UNKNOWN for run in changes.runs):
        changed = changes.campaign.evolve(status=CampaignStatus.RUNNING, reason=None)
        store.update_campaign(changed, kind="resumed", by=by, now=clock.now())
