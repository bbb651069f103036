"""How a run ends in the journal alone: by the host, or by a person's word where there can be no host."""

from pathlib import Path
from typing import Any, Final

from instruments.host.journal import Journal
from instruments.host.journal_records import JournalRun, JournalStep, Transition
from instruments.host.unattended import journal_without_host
from orchestrator.clock import Clock
from orchestrator.domain.lifecycle import EvidenceKey, RunStatus, StepStatus
from orchestrator.domain.records import RunReport
from orchestrator.errors import Fault

RUN_ENDED: Final = "run ended: "
_VERDICTS: Final[dict[str, tuple[RunStatus, str, dict[str, Any]]]] = {
    "done": (RunStatus.FAILED, "executed, result lost", {}),
    "not-done": (RunStatus.FAILED, "not executed", {EvidenceKey.NOT_EXECUTED: True}),
    "discard": (RunStatus.ABORTED, "discarded", {}),
}
"""What each of a person's verdicts makes of a run: status, reason, evidence."""


class JournalEnds:
    """Ends of runs and their steps in a journal."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock

    def run(self, run_key: str) -> JournalRun:
        """Return a run that must be in the journal; Fault when it is not."""
        run = self._journal.run(run_key)
        if run is None:
            raise Fault(f"run {run_key} is not in the journal")
        return run

    def close_steps(self, run: JournalRun, reason: str) -> None:
        """Close the steps of a run that ends: those in hand have failed, those not begun are skipped."""
        for known in run.steps:
            if known.is_open or known.status in (StepStatus.PLANNED, StepStatus.UNKNOWN):
                to = StepStatus.SKIPPED if known.status is StepStatus.PLANNED else StepStatus.FAILED
                self._close_step(run, known, to, f"{RUN_ENDED}{reason}")

    def _close_step(self, run: JournalRun, known: JournalStep, to: StepStatus, reason: str) -> None:
        self._journal.commit(Transition(run.run_key, to, known.step.index, reason, self._clock.lab()))

    def close_run(self, run: JournalRun, to: RunStatus, reason: str | None, evidence: dict[str, Any]) -> None:
        """Commit a run's end."""
        self._journal.commit(Transition(run.run_key, to, reason=reason, lab=self._clock.lab(), evidence=evidence))

    def close_as(self, run: JournalRun, verdict: str, said: dict[str, Any]) -> None:
        """Close an unknown run as a person says: `done`, `not-done` or `discard`."""
        status, reason, evidence = _VERDICTS[verdict]
        for known in run.steps:
            if verdict == "done" and known.status is StepStatus.UNKNOWN:
                self._close_step(run, known, StepStatus.DONE, f"done, says {said['by']}")
        self.close_steps(self.run(run.run_key), reason)
        self.close_run(run, status, reason, {**evidence, "by": said["by"], "reason": said["reason"], "resolved": said})


def word_alone(run_key: str, verdict: str, said: dict[str, Any], clock: Clock) -> RunReport:
    """Return how a run ended that is in no journal: as a person says."""
    status, reason, evidence = _VERDICTS[verdict]
    return RunReport(run_key, 0, status, reason, evidence={**evidence, "resolved": said}, ended_lab=clock.lab())


def close_without_host(lab: Path, run_key: str, verdict: str, said: dict[str, Any], clock: Clock) -> RunReport:
    """End a run by a person's word in the place of the lab's host; no device is asked.

    Args:
        lab: The lab folder.
        run_key: The run.
        verdict: `done`, `not-done` or `discard`.
        said: Verdict, reason and by whom, for the record.
        clock: The lab's.

    Returns:
        How the run ended; that of the journal when it had ended before, and the person's word alone where it never arrived.

    Raises:
        LockHeld: A host owns the journal.
    """
    with journal_without_host(lab, what="resolve") as journal:
        run = None if journal is None else journal.run(run_key)
        if journal is None or run is None:
            return word_alone(run_key, verdict, said, clock)
        ends = JournalEnds(journal, clock)
        if not run.status.is_terminal:
            journal.note("resolved", {"run": run_key, "without": "a host", **said})
            ends.close_as(run, verdict, said)
        return ends.run(run_key).report()
