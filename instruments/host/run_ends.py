"""How a run ends with its devices: early, or late by what its program brought meanwhile."""

import logging
from typing import Any, Final

from instruments.bench.procedure import classify
from instruments.drivers.protocol import Outcome, StepVerdict
from instruments.host.closing import RUN_ENDED, JournalEnds
from instruments.host.device_access import ONCE, DeviceAccess, RunEnded, Tools
from instruments.host.journal_records import JournalRun, JournalStep
from instruments.host.reconcile import is_last_act
from instruments.host.step_runner import StepRunner
from orchestrator.domain.lifecycle import RunStatus, StepKind, StepStatus
from orchestrator.errors import InstrumentError

logger = logging.getLogger(__name__)

CANCEL_SECONDS: Final = 5.0
"""Wall seconds that a device may take to cancel a dose or a program before the safe state is driven anyway."""


class RunEnds(JournalEnds):
    """Ends of runs, in the journal and on the devices."""

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools.journal, tools.clock)
        self._tools = tools

    # ----------------------------------------------------------------- early

    def cancel(self, run: JournalRun) -> None:
        """End the doses and programs that run on the devices, as well as it goes."""
        devices = DeviceAccess(self._tools, run.request)
        for known in run.steps:
            if known.is_open and known.step.kind in ONCE:
                self._cancel(devices, known)

    def _cancel(self, devices: DeviceAccess, known: JournalStep) -> None:
        instrument, call = known.step.instrument or "", devices.call(known.step)
        try:
            self._tools.wires.of(instrument).attempt(instrument, lambda driver: driver.cancel(call), seconds=CANCEL_SECONDS)
        except InstrumentError as error:
            logger.error("run %s: %s was not cancelled: %s", call.run_key, known.step.do, error)

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
        for known in sorted(closed, key=lambda one: (one.reason or "").startswith(RUN_ENDED)):  # the cause before its effects
            reason = known.reason or ""
            cause = reason.removeprefix(RUN_ENDED) if reason.startswith(RUN_ENDED) else f"step {known.step.index} {known.step.do}: {reason}"
            raise RunEnded(RunStatus.FAILED, cause)

    # ----------------------------------------------------------------- late

    def adopt_late(self, run: JournalRun, evidence: dict[str, Any]) -> bool:
        """Close an unknown run by what its program has brought meanwhile; return whether that settled it."""
        devices = DeviceAccess(self._tools, run.request)
        for known in run.steps:
            is_open = known.is_open or known.status is StepStatus.UNKNOWN
            if known.step.kind is not StepKind.PROGRAM or not is_open or not is_last_act(run, known):
                continue
            try:
                finding = devices.find_now(known.step, known.baseline)
            except InstrumentError as error:
                logger.warning("run %s: %s cannot be asked: %s", run.run_key, known.step.do, error)
                continue
            if finding.verdict is StepVerdict.FINISHED and finding.outcome is not None:
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
