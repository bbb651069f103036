"""How a person's word on an unknown run reaches the journal: by the bench host, or without one where none can be had."""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path

from flows.console import console
from flows.plans.lab import Lab
from instruments.bench_client.client import HostClient
from instruments.host.closing import close_without_host, word_alone
from instruments.lab_processes.bench_process import start_known_bench
from orchestrator.clock import Clock
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.domain.records import CampaignRecord, ExperimentRun, RunReport
from orchestrator.errors import AthanorError, BadInput, HostError, LockHeld, NeedsPerson

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Word:
    """What a person says of a run."""

    verdict: str
    by: str
    reason: str


def settle(lab: Lab, record: CampaignRecord, run: ExperimentRun, word: Word, clock: Clock, *, bench: Path | None) -> RunReport:
    """Settle an unknown run in the journal; return how it ended.

    Args:
        lab: Where it lies.
        record: The run's campaign.
        run: The run.
        word: What a person says of it.
        clock: The lab's.
        bench: The bench file to start a host by; None for what the lab has noted.

    Raises:
        BadInput: The journal knows the run's end, and it is not what the person says.
        HostError: A host lives, but cannot be asked.
    """
    try:
        start_known_bench(lab.path, bench, lab.endpoints)
    except NeedsPerson:
        raise
    except AthanorError as error:
        console.print(f"no bench host can be asked: {error}")
        report = _alone(lab, run, word, clock)
        console.print("recorded by your word alone, without a bench host")
    else:
        with HostClient.of_lab(lab.path, campaign=record.name, fence=record.fence) as client:
            report = _by_host(client, run, word, clock)
    return _agreed(report, word)


def _by_host(client: HostClient, run: ExperimentRun, word: Word, clock: Clock) -> RunReport:
    known = client.report(run.run_key)
    if known is None:
        console.print("the bench host never heard of this run: recorded by your word alone")
        return word_alone(run.run_key, word.verdict, asdict(word), clock)
    return known if known.status.is_terminal else client.resolve(run.run_key, verdict=word.verdict, reason=word.reason, by=word.by)


def _alone(lab: Lab, run: ExperimentRun, word: Word, clock: Clock) -> RunReport:
    try:
        return close_without_host(lab.path, run.run_key, word.verdict, asdict(word), clock)
    except LockHeld as error:
        raise HostError(f"{error}; it does not answer: `athanor stop` ends it, then resolve again") from error


def _agreed(report: RunReport, word: Word) -> RunReport:
    """Return the report where it says what the person says, or knows better than `done`.

    Raises:
        BadInput: The run ended otherwise.
    """
    told = report.evidence.get("resolved")
    if report.status is RunStatus.COMPLETED and word.verdict != "done":
        raise BadInput(f"run {report.run_key} was completed, as the bench has found out meanwhile; type --done to take its result")
    if told is None:
        console.print(f"the bench has found out meanwhile: the run is {report.status} ({report.reason or 'its result is kept'})")
    return report
