"""What becomes of a campaign's runs where no process carries it: they are ended and recorded as its loop would do it."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from flows.plans.lab import Lab, clock_of
from flows.plans.recipe import Recipe, RecordedRecipe, WiredRecipe
from flows.plans.snapshots import file_of
from flows.review.approvals import close_requests
from flows.running.recording import Recorder
from instruments.bench.file import parse_bench
from instruments.bench.procedure import Procedure
from instruments.bench_client.client import HostClient
from instruments.host.unattended import unattended
from instruments.lab_processes.bench_process import host_alive, start_known_bench
from orchestrator.commandline import typed
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.domain.objective import Objective
from orchestrator.domain.records import CampaignRecord, ExperimentRun, RunReport
from orchestrator.errors import AthanorError, HostError
from orchestrator.history import History
from orchestrator.ports import Bench, ReadStore, RunStore, Store


def nothing_left_open(history: History) -> bool:
    """Say whether nothing of an aborted campaign is left open but what only a person can resolve."""
    waits = any(run.status.is_open or (run.status is RunStatus.COMPLETED and not run.ingested) for run in history.attempts())
    return not waits and not history.open_requests and not history.undelivered


def close_aborted(store: Store, lab: Lab, record: CampaignRecord, by: str) -> None:
    """Close all that an aborted campaign left open: questions, runs that wait, runs that the bench has or had.

    Raises:
        HostError: A run is still open on the bench, and cannot be ended now.
    """
    reason = f"campaign {record.status}: {record.reason}"
    close_requests(store, _look(store, record), reason, by=by, now=clock_of(lab, store).now())
    if not nothing_left_open(_look(store, record)):
        _have_ended(lab, _look(store, record), reason)
        with _bench(lab, record) as bench:
            _recorder(store, lab, record, bench, by).end_all(partial(_look, store, record), reason=reason)


def record_verdict(store: RunStore, lab: Lab, record: CampaignRecord, run: ExperimentRun, report: RunReport, said: dict[str, str]) -> None:
    """Record in the ledger what a person said of an unknown run, as the journal has it: `verdict`, `by` and `reason`."""
    with _bench(lab, record) as bench:
        _recorder(store, lab, record, bench, said["by"]).resolve(_look(store, record), run, report, said)


def _look(store: ReadStore, record: CampaignRecord) -> History:
    return History.of(store.changes(record.name))


def _recorder(store: RunStore, lab: Lab, record: CampaignRecord, bench: Bench, by: str) -> Recorder:
    return Recorder(store, bench, clock_of(lab, store), partial(_reducing, record), by)


def _reducing(record: CampaignRecord) -> tuple[Recipe, Objective]:
    """Return how a stored campaign's readings become values, without its policy or prior."""
    file = file_of(record)
    if file.bench_path is None:
        return RecordedRecipe(file.space().units, {}), file.objective
    bench = parse_bench(record.snapshot["files"]["bench"], file.bench_path)
    return WiredRecipe(bench, Procedure(bench, file.space()), {}), file.objective


@contextmanager
def _bench(lab: Lab, record: CampaignRecord) -> Iterator[Bench]:
    """Open the way to the lab's host, or to the journal that it left."""
    if host_alive(lab.path):
        with HostClient.of_lab(lab.path, campaign=record.name) as client:  # no fence: a person asks, and keeps no heartbeat
            yield client
    else:
        with unattended(lab.path) as journal:
            yield journal


def _have_ended(lab: Lab, history: History, reason: str) -> None:
    """Start a host that is gone where its journal has a run of the campaign open: only with the devices can that be ended.

    It finds the wish to end the run in the journal, before it sends anything.
    """
    if host_alive(lab.path):
        return
    with unattended(lab.path) as journal:
        reports = [journal.report(run.run_key) for run in history.attempts() if run.status.is_open]
        left = [report.run_key for report in reports if report is not None and report.status.is_open]
        for run_key in left:
            journal.abort(run_key, reason=reason)
    if not left:
        return
    try:
        start_known_bench(lab.path, endpoints=lab.endpoints)  # by the copy of its bench file first, as `resolve` does
    except AthanorError as error:
        name = history.campaign.name
        raise HostError(
            f"run {left[0]} is open on the bench, and its host does not start: {error}; then `{typed('abort', name)}` again"
        ) from error
