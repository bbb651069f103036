"""What the journal holds: runs, their steps, and the transitions between their states."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.domain.codec import REQUEST
from orchestrator.domain.environment import RunEnvironment, Sample
from orchestrator.domain.lifecycle import RunStatus, StepKind, StepStatus
from orchestrator.domain.records import Reading, RunReport, RunRequest, Step, StepReport
from orchestrator.domain.values import digest


@dataclass(frozen=True, slots=True)
class Transition:
    """One arrow of a life cycle: of a run, or of one of its steps."""

    run_key: str
    to: RunStatus | StepStatus
    step: int | None = None
    """Index of the step; None for the run itself."""
    reason: str | None = None
    lab: float | None = None
    """Lab seconds of the transition."""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """Added to what the run's row holds."""
    sent: Mapping[str, float | str] | None = None
    baseline: Mapping[str, Any] | None = None
    """For `intent`: the evidence that reconciliation compares with."""
    readings: tuple[Reading, ...] = ()
    """Recorded in the same commit; `seq` is given here."""
    request: RunRequest | None = None
    """For a run's arrival (`dispatched`)."""


@dataclass(frozen=True, slots=True)
class JournalStep:
    """One step as the journal knows it."""

    step: Step
    status: StepStatus
    reason: str | None
    sent: dict[str, float | str]
    baseline: dict[str, Any]
    started_lab: float | None
    ended_lab: float | None

    @property
    def is_open(self) -> bool:
        """Whether its end has not been seen."""
        return self.status in (StepStatus.INTENT, StepStatus.SENT, StepStatus.ACKNOWLEDGED)

    @property
    def is_setting(self) -> bool:
        """Whether it has set a state that should still hold."""
        return self.step.kind is StepKind.STATE_SETTING and self.status in (StepStatus.ACKNOWLEDGED, StepStatus.DONE)


@dataclass(frozen=True, slots=True)
class JournalRun:
    """One run as the journal knows it."""

    request: RunRequest
    status: RunStatus
    reason: str | None
    evidence: dict[str, Any]
    revision: int
    started_lab: float | None
    ended_lab: float | None
    abort: str | None
    """Why somebody asked to end it; None while nobody has."""
    steps: tuple[JournalStep, ...]
    environment: tuple[RunEnvironment, ...] = ()
    """What was recorded beside it; empty until it has ended."""

    @property
    def run_key(self) -> str:
        """The attempt's key."""
        return self.request.run_key

    @property
    def waiting(self) -> JournalStep | None:
        """The step that a person was asked for and has not answered; None where there is none."""
        return next((one for one in self.steps if one.step.kind is StepKind.PERSON and one.is_open), None)

    def report(self) -> RunReport:
        """Return what the campaign may know."""
        steps = tuple(
            StepReport(one.step.index, one.step.do, one.status, one.reason, one.sent, one.started_lab, one.ended_lab) for one in self.steps
        )
        times = (self.started_lab, self.ended_lab)
        return RunReport(self.run_key, self.revision, self.status, self.reason, steps, self.evidence, *times, self.environment)


def instruments_of(step: Step) -> frozenset[str]:
    """Return the instruments that a step uses or reads; a person is none."""
    if step.kind is StepKind.PERSON:
        return frozenset()
    channels = (*step.channels, *((step.until.channel,) if step.until is not None else ()))
    return frozenset({*(name.partition(".")[0] for name in channels), *((step.instrument,) if step.instrument else ())})


def content_hash(request: RunRequest) -> str:
    """Return the hash of what a run key stands for; a process that takes a campaign up raises the fence alone."""
    document = REQUEST.dump_python(request, mode="json")
    return digest({key: value for key, value in document.items() if key != "fence"})


def sample_of(reading: Reading) -> Sample:
    """Return a reading as a sample: a number of good quality, or why it is none."""
    if reading.value is None or not math.isfinite(reading.value):
        return Sample(lab=reading.lab, value=None, reason="it gave no number")
    if reading.quality != "good":
        return Sample(lab=reading.lab, value=None, reason=f"of {reading.quality} quality")
    return Sample(lab=reading.lab, value=reading.value)
