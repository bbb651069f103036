"""Acts that end runs: abort a campaign, and resolve a run whose end nobody saw, also where no process carries the campaign."""

from dataclasses import asdict, dataclass
from pathlib import Path

from flows.plans.lab import Lab, Tell, clock_of
from flows.plans.ledger import open_campaign, open_store, record_status, the_campaign, unknown_runs
from flows.running.operations import refuse_repeated
from flows.running.unattended_runs import close_aborted, nothing_left_open, record_verdict
from instruments.bench_client.client import HostClient
from instruments.host.closing import close_without_host, word_alone
from instruments.lab_processes.bench_process import host_alive, shutdown_bench, start_known_bench
from instruments.lab_processes.campaign_lock import carried_campaign
from instruments.lab_processes.plant_process import shutdown_plant
from orchestrator.clock import Clock
from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import CampaignStatus, RunStatus
from orchestrator.domain.records import CampaignRecord, ExperimentRun, RunReport
from orchestrator.errors import AthanorError, BadInput, HostError, LockHeld, NeedsPerson
from orchestrator.history import History
from orchestrator.ports import CampaignStore, ReadStore

# ---------------------------------------------------------------------- abort


@dataclass(frozen=True, slots=True)
class Aborted:
    """What an abort has come to."""

    campaign: CampaignRecord
    complaints: tuple[AthanorError, ...]
    """What could not be ended, or not be made safe."""
    unknown: tuple[ExperimentRun, ...]
    """Runs that a person must resolve."""


def abort(lab: Lab, campaign: str | None, *, by: str, reason: str, tell: Tell) -> Aborted:
    """End a campaign for good; the experiment in hand is ended too, and the bench left safe.

    What could not be ended at an earlier abort is ended now.

    Raises:
        BadInput: It has ended, and nothing is left open.
    """
    record = _record_abort(lab, campaign, by=by, reason=reason)
    tell(f"campaign {record.name} is aborted")
    complaints = [_end_runs(lab, record, by)]
    if carried_campaign(lab.path) is None:  # whatever was complained of: a run that cannot be ended must not keep the bench hot
        complaints.append(_end_bench(lab))
    with open_campaign(lab, record.name, read_only=True) as (_, history):
        told = tuple(complaint for complaint in complaints if complaint is not None)
        return Aborted(record, told, tuple(unknown_runs(history)))


def _record_abort(lab: Lab, campaign: str | None, *, by: str, reason: str) -> CampaignRecord:
    with open_store(lab) as store:
        record = the_campaign(store, lab, campaign)
        if record.status is CampaignStatus.ABORTED and not nothing_left_open(History.of(store.changes(record.name))):
            return record
        refuse_repeated(record, CampaignStatus.ABORTED)
        record.refuse_ended()
        return record_status(store, record, CampaignStatus.ABORTED, f"{reason} (by {by})", by=by, now=clock_of(lab, store).now())


def _end_runs(lab: Lab, record: CampaignRecord, by: str) -> AthanorError | None:
    """Have the runs in hand ended; who carries the campaign records that, else we do."""
    try:
        with open_store(lab) as store:
            if carried_campaign(lab.path) != record.name:
                close_aborted(store, lab, record, by)
            elif host_alive(lab.path):
                client = HostClient.of_lab(lab.path, campaign=record.name)
                for run in store.changes(record.name).runs:
                    if run.status in (RunStatus.DISPATCHED, RunStatus.RUNNING) and client.report(run.run_key) is not None:
                        client.abort(run.run_key, reason=f"campaign {record.status}: {record.reason}")
    except AthanorError as error:
        return error
    return None


def _end_bench(lab: Lab) -> AthanorError | None:
    try:
        shutdown_bench(lab.path)
    except AthanorError as error:
        return error
    finally:  # simulated devices are ended in any case
        if lab.kind == "dry":
            shutdown_plant(lab.path)
    return None


# ---------------------------------------------------------------------- resolve


@dataclass(frozen=True, slots=True)
class Word:
    """What a person says of a run."""

    verdict: str
    """`done`, `not-done` or `discard`."""
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a person's word on a run has come to."""

    run: ExperimentRun
    history: History


def resolve(lab: Lab, run_key: str, word: Word, *, bench: Path | None, tell: Tell) -> Resolved:
    """Close a run whose end nobody saw: in the host's journal first, in the ledger second; without a host where none can be had.

    A host is started by the bench file, else by what the lab has noted; `tell` is told what is found out.

    Raises:
        BadInput: No such run, or it is not unknown, or the journal knows that it ended otherwise.
        HostError: A host lives, but cannot be asked.
    """
    with open_store(lab) as store:
        run, record = _unknown_run(store, run_key, lab)
        clock = clock_of(lab, store)
        report = close_in_journal(lab, record, run, word, clock, bench=bench, tell=tell)
        record_verdict(store, lab, record, run, report, asdict(word))
        _lift_pause(store, record.name, word.by, clock)
        history = History.of(store.changes(record.name))
    return Resolved(history.runs[run_key], history)


def _unknown_run(store: ReadStore, run_key: str, lab: Lab) -> tuple[ExperimentRun, CampaignRecord]:
    histories = [History.of(store.changes(record.name)) for record in store.campaigns()]
    for history in histories:
        if (run := history.runs.get(run_key)) is not None:
            if run.status is not RunStatus.UNKNOWN:
                raise BadInput(f"run {run_key} is {run.status}, not unknown; nothing to resolve")
            return run, history.campaign
    unknown = [run.run_key for history in histories for run in unknown_runs(history)]
    raise BadInput(f"lab {lab.path} has no run {run_key!r}; unknown there: {', '.join(unknown) or 'none'}")


def _lift_pause(store: CampaignStore, campaign: str, by: str, clock: Clock) -> None:
    """Let the campaign go on when no unknown run is left."""
    history = History.of(store.changes(campaign))
    if history.campaign.reason == "unknown" and not unknown_runs(history):
        changed = history.campaign.evolve(status=CampaignStatus.RUNNING, reason=None)
        store.update_campaign(changed, kind=EventKind.RESUMED, by=by, now=clock.now())


def close_in_journal(
    lab: Lab, record: CampaignRecord, run: ExperimentRun, word: Word, clock: Clock, *, bench: Path | None, tell: Tell
) -> RunReport:
    """Close an unknown run in the journal; return how it ended.

    Raises:
        BadInput: The journal knows the run's end, and it is not what the person says.
        HostError: A host lives, but cannot be asked.
    """
    try:
        start_known_bench(lab.path, bench, lab.endpoints)
    except NeedsPerson:
        raise
    except AthanorError as error:
        tell(f"no bench host can be asked: {error}")
        report = _without_host(lab, run, word, clock)
        tell("recorded by your word alone, without a bench host")
    else:
        with HostClient.of_lab(lab.path, campaign=record.name, fence=record.fence) as client:
            report = _by_host(client, run, word, clock, tell)
    return _agreed(report, word, tell)


def _by_host(client: HostClient, run: ExperimentRun, word: Word, clock: Clock, tell: Tell) -> RunReport:
    known = client.report(run.run_key)
    if known is None:
        tell("the bench host never heard of this run: recorded by your word alone")
        return word_alone(run.run_key, word.verdict, asdict(word), clock)
    return known if known.status.is_terminal else client.resolve(run.run_key, verdict=word.verdict, reason=word.reason, by=word.by)


def _without_host(lab: Lab, run: ExperimentRun, word: Word, clock: Clock) -> RunReport:
    try:
        return close_without_host(lab.path, run.run_key, word.verdict, asdict(word), clock)
    except LockHeld as error:
        raise HostError(f"{error}; it does not answer: `athanor stop` ends it, then resolve again") from error


def _agreed(report: RunReport, word: Word, tell: Tell) -> RunReport:
    """Return the report where it says what the person says, or knows better than `done`.

    Raises:
        BadInput: The run ended otherwise.
    """
    if report.status is RunStatus.COMPLETED and word.verdict != "done":
        raise BadInput(f"run {report.run_key} was completed, as the bench has found out meanwhile; type --done to take its result")
    if report.evidence.get("resolved") is None:
        tell(f"the bench has found out meanwhile: the run is {report.status} ({report.reason or 'its result is kept'})")
    return report
