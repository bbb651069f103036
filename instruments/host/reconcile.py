"""What becomes of a run that an earlier life of the host left open: decided by evidence, never by a guess."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from instruments.drivers.protocol import Finding, Outcome, Progress, StepVerdict
from instruments.host.device_access import ONCE, RunEnded
from instruments.host.journal_records import JournalRun, JournalStep
from instruments.host.step_runner import StepRunner
from orchestrator.domain.lifecycle import EvidenceKey, RunStatus, StepKind, StepStatus
from orchestrator.errors import InstrumentError

logger = logging.getLogger(__name__)

_SAYS_NOTHING: Final = "the device does not say what became of it"


class Next(StrEnum):
    """What to do with an open step."""

    REPEAT = "repeat"
    """Nothing was executed, or it may be sent again: planned once more."""
    ADOPT = "adopt"
    """Executed to its end: take its result."""
    ATTACH = "attach"
    """Under way: follow it."""
    GIVE_UP = "give-up"
    """The interruption was longer than the step allows: the run has failed."""
    ASK = "ask"
    """Nobody can tell from here: a person decides."""


def decide_step(kind: StepKind, status: StepStatus, verdict: StepVerdict | None, *, may_go_on: bool) -> Next:
    """Decide about one open step.

    Args:
        kind: Of the step.
        status: `intent`, `sent` or `acknowledged`.
        verdict: What the device says; None for steps that may be repeated.
        may_go_on: Whether the interruption was short enough for the run.
    """
    if kind in ONCE:
        return _decide_once(status, verdict, may_go_on=may_go_on)
    if not may_go_on:
        return Next.GIVE_UP
    attachable = kind is StepKind.WAIT or (kind is StepKind.STATE_SETTING and status is StepStatus.ACKNOWLEDGED)
    return Next.ATTACH if attachable else Next.REPEAT


def _decide_once(status: StepStatus, verdict: StepVerdict | None, *, may_go_on: bool) -> Next:
    if verdict is StepVerdict.FINISHED:
        return Next.ADOPT
    contradiction = verdict is StepVerdict.NOT_EXECUTED and status is StepStatus.ACKNOWLEDGED
    if verdict in (None, StepVerdict.UNDECIDABLE) or contradiction:
        return Next.ASK
    if not may_go_on:
        return Next.GIVE_UP
    return Next.ATTACH if verdict is StepVerdict.RUNNING else Next.REPEAT


def is_last_act(run: JournalRun, known: JournalStep) -> bool:
    """Say whether nothing that may happen only once comes after a step of a run: then its end is the run's."""
    return not any(one.step.kind in ONCE and one.step.index > known.step.index for one in run.steps)


def allowed_gap(step: JournalStep) -> float:
    """Return for how many lab seconds a step may be left alone; negative for not at all."""
    rule = step.step.interrupted
    return math.inf if rule == "continue" else -1.0 if rule == "abort" else rule


@dataclass(frozen=True, slots=True)
class Interruption:
    """The gap in the host's life, and whether the run survives it."""

    gap: float
    """Lab seconds; infinite when the lab's clock was started anew."""
    allowed: float
    where: str

    @property
    def may_go_on(self) -> bool:
        """Whether every step in hand allows a gap as long as this one."""
        return self.gap <= self.allowed

    @property
    def reason(self) -> str:
        """One line for people."""
        allowed = "none" if self.allowed < 0 else f"at most {self.allowed:g}"
        return f"interrupted: {self.gap:.0f} lab s without a host at {self.where}; {allowed} allowed"


def interruption(run: JournalRun, gap: float) -> Interruption:
    """Judge a gap by the strictest of the steps in hand; between two steps, by the one that was finished last.

    A run that has not acted yet, or has nothing left to do, cannot be interrupted.
    """
    acted = [one for one in run.steps if one.status is not StepStatus.PLANNED]
    if not acted or all(one.status is StepStatus.DONE for one in run.steps):
        return Interruption(gap, math.inf, "its end" if acted else "its start")
    strictest = min([one for one in acted if one.is_open] or acted[-1:], key=allowed_gap)
    return Interruption(gap, allowed_gap(strictest), f"step {strictest.step.index} {strictest.step.do}")


@dataclass(frozen=True, slots=True)
class _Found:
    """An open step with what the device says of it."""

    known: JournalStep
    finding: Finding | None


class Reconciler:
    """Settles all open steps of one run with the devices."""

    def __init__(self, runner: StepRunner, run: JournalRun, gap: float) -> None:
        self._runner = runner
        self._run = run
        self._interruption = interruption(run, gap)

    def decide_open_steps(self) -> tuple[JournalStep, ...]:
        """Ask the devices and commit what they say; return the steps to attach to.

        Raises:
            RunEnded: Unknown, interrupted for too long, or ended by the device meanwhile.
        """
        found = [_Found(one, self._find(one)) for one in self._run.steps if one.is_open]
        programs = [one for one in found if one.known.step.kind is StepKind.PROGRAM and is_last_act(self._run, one.known)]
        program_done = any(_verdict(one) is StepVerdict.FINISHED for one in programs)
        go_on = self._interruption.may_go_on or program_done
        nexts = [(one, decide_step(one.known.step.kind, one.known.status, _verdict(one), may_go_on=go_on)) for one in found]
        self._adopt([one for one, then in nexts if then is Next.ADOPT])
        for one, then in nexts:
            if then is Next.ASK:
                evidence = one.finding.evidence if one.finding is not None else {}
                raise self._runner.undecided(one.known.step, str(evidence.get("reason", _SAYS_NOTHING)), one.finding)
        if not go_on:
            evidence = not_executed_evidence(self._run, found)
            raise RunEnded(RunStatus.FAILED, self._interruption.reason, evidence=evidence)
        for one, then in nexts:
            if then is Next.REPEAT:
                self._runner.commit(one.known.step, StepStatus.PLANNED, reason="not executed before the interruption")
        return tuple(one.known for one, then in nexts if then is Next.ATTACH)

    def _find(self, known: JournalStep) -> Finding | None:
        if known.step.kind not in ONCE:
            return None
        try:
            return self._runner.devices.find(known.step, known.baseline)
        except InstrumentError as error:
            return Finding(StepVerdict.UNDECIDABLE, {"error": str(error), "sent": error.sent.value})

    def _adopt(self, found: Sequence[_Found]) -> None:
        for one in found:
            if one.finding is not None:
                outcome = one.finding.outcome or Outcome(Progress.FINISHED)
                self._runner.adopt(one.known.step, outcome)


def _verdict(one: _Found) -> StepVerdict | None:
    return one.finding.verdict if one.finding is not None else None


def not_executed_evidence(run: JournalRun, found: Sequence[_Found] = ()) -> dict[str, Any]:
    """Return the evidence that nothing which may happen only once has happened in a run; empty when something has."""
    proven = {one.known.step.index for one in found if _verdict(one) is StepVerdict.NOT_EXECUTED}
    once = [one for one in run.steps if one.step.kind in ONCE]
    if any(_may_have_happened(one) and one.step.index not in proven for one in once):
        return {}
    findings = {str(one.known.step.index): dict(one.finding.evidence) for one in found if one.finding is not None}
    return {EvidenceKey.NOT_EXECUTED: True, "findings": findings}


def _may_have_happened(one: JournalStep) -> bool:
    if one.status is StepStatus.FAILED:
        return one.sent != {} or one.started_lab is not None
    return one.status not in (StepStatus.PLANNED, StepStatus.SKIPPED)
