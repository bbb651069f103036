"""How a run's books are closed: early, late by what its program brought meanwhile, or by a person's word."""

import logging
from typing import Any, Final

from instruments.driver import Outcome, Verdict
from instruments.host.entries import JournalRun, JournalStep, Transition
from instruments.host.exchange import ONCE, Exchange, RunEnded, Tools
from instruments.host.steps import StepRunner
from instruments.procedure import classify
from orchestrator.domain.lifecycle import RunStatus, StepKind, StepStatus
from orchestrator.errors import Fault, InstrumentError

logger = logging.getLogger(__name__)

CANCEL_SECONDS: Final = 5.0
"""Wall seconds that a device may take to cancel a dose or a program before the safe state is driven anyway."""
_RUN_ENDED: Final = "run ended: "
_VERDICTS: Final[dict[str, tuple[RunStatus, str, dict[str, Any]]]] = {
    "done": (RunStatus.FAILED, "executed, result lost", {}),
    "not-done": (RunStatus.FAILED, "not executed", {"not_executed": True}),
    "discard": (RunStatus.ABORTED, "discarded", {}),
}


class Books:
    """Ends of runs, in the journal and on the devices."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._journal = tools.journal

    def run(self, run_key: str) -> JournalRun:
        """Return a run that must be in the journal; Fault when it is not."""
        run = self._journal.run(run_key)
        if run is None:
            raise Fault(f"run {run_key} is not in the journal")
        return run

    # ----------------------------------------------------------------- early

    def cancel(self, run: JournalRun) -> None:
        """End the doses and programs that run on the devices, as well as it goes."""
        exchange = Exchange(self._tools, run.request)
        for known in run.steps:
            if known.is_open and known.step.kind in ONCE:
                self._cancel(exchange, known)

    def _cancel(self, exchange: Exchange, known: JournalStep) -> None:
        instrument, call = known.step.instrument or "", exchange.call(known.step)
        try:
            self._tools.wires.of(instrument).attempt(instrument, lambda driver: driver.cancel(call), seconds=CANCEL_SECONDS)
        except InstrumentError as error:
            logger.error("run %s: %s was not cancelled: %s", call.run_key, known.step.do, error)

    def close_steps(self, run: JournalRun, reason: str) -> None:
        """Close the steps of a run that ends: those in hand have failed, those not begun are skipped."""
        for known in run.steps:
            if known.is_open or known.status in (StepStatus.PLANNED, StepStatus.UNKNOWN):
                to = StepStatus.SKIPPED if known.status is StepStatus.PLANNED else StepStatus.FAILED
                self._close_step(run, known, to, f"{_RUN_ENDED}{reason}")

    def _close_step(self, run: JournalRun, known: JournalStep, to: StepStatus, reason: str) -> None:
        self._journal.commit(Transition(run.run_key, to, known.step.index, reason, self._tools.clock.lab()))

    def close_run(self, run: JournalRun, to: RunStatus, reason: str | None, evidence: dict[str, Any]) -> None:
        """Commit a run's end."""
        self._journal.commit(Transition(run.run_key, to, reason=reason, lab=self._tools.clock.lab(), evidence=evidence))

    def raise_old_end(self, run: JournalRun) -> None:
        """End a run again whose end an earlier life had begun but not recorded.

        Raises:
            RunEnded: As it had ended then.
        """
        for known in run.steps:
            if known.status is StepStatus.UNKNOWN:
                raise RunEnded(RunStatus.UNKNOWN, f"step {known.step.index} {known.step.do}: {known.reason}")
        closed = [known for known in run.steps if known.status in (StepStatus.FAILED, StepStatus.SKIPPED)]
        if not closed and "code" not in run.evidence:
            return
        status, reason = classify(self._tools.bench, run.evidence.get("code"), self._journal.readings(run.run_key))
        if status is not RunStatus.COMPLETED:
            raise RunEnded(status, reason or "")
        for known in sorted(closed, key=lambda one: (one.reason or "").startswith(_RUN_ENDED)):  # the cause before its effects
            reason = known.reason or ""
            cause = (
                reason.removeprefix(_RUN_ENDED) if reason.startswith(_RUN_ENDED) else f"step {known.step.index} {known.step.do}: {reason}"
            )
            raise RunEnded(RunStatus.FAILED, cause)

    # ----------------------------------------------------------------- late

    def adopt_late(self, run: JournalRun, evidence: dict[str, Any]) -> bool:
        """Close an unknown run by what its program has brought meanwhile; return whether that settled it."""
        exchange = Exchange(self._tools, run.request)
        for known in run.steps:
            if known.step.kind is not StepKind.PROGRAM or not (known.is_open or known.status is StepStatus.UNKNOWN):
                continue
            try:
                finding = exchange.find_now(known.step, known.baseline)
            except InstrumentError as error:
                logger.warning("run %s: %s cannot be asked: %s", run.run_key, known.step.do, error)
                continue
            if finding.verdict is Verdict.FINISHED and finding.outcome is not None:
                self._close_adopted(run, known, finding.outcome, evidence)
                return True
        return False

    def _close_adopted(self, run: JournalRun, known: JournalStep, outcome: Outcome, evidence: dict[str, Any]) -> None:
        status: RunStatus = RunStatus.COMPLETED
        reason: str | None = None
        try:
            StepRunner(self._tools, run.request).adopt(known.step, outcome)
        except RunEnded as ended:
            status, reason = ended.status, ended.reason
        self.close_steps(self.run(run.run_key), "its program was adopted late")
        self.close_run(run, status, reason, evidence)
        logger.info("run %s: its program was adopted late, the run is %s", run.run_key, status)

    # ----------------------------------------------------------------- by a person

    def close_as(self, run: JournalRun, verdict: str, said: dict[str, Any]) -> None:
        """Close an unknown run as a person says: `done`, `not-done` or `discard`."""
        status, reason, evidence = _VERDICTS[verdict]
        for known in run.steps:
            if verdict == "done" and known.status is StepStatus.UNKNOWN:
                self._close_step(run, known, StepStatus.DONE, f"done, says {said['by']}")
        self.close_steps(self.run(run.run_key), reason)
        self.close_run(run, status, reason, {**evidence, "by": said["by"], "reason": said["reason"], "resolved": said})
