"""Which steps of runs wait for people, by what the bench says."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from orchestrator.domain.lifecycle import RunStatus, StepKind, StepStatus
from orchestrator.domain.records import ExperimentRun, Proposal, RunReport, Step
from orchestrator.domain.run_code import run_code
from orchestrator.domain.work import WorkAnswer, WorkOrder
from orchestrator.history import History
from orchestrator.ports import Bench

IN_HAND: Final = (RunStatus.DISPATCHED, RunStatus.RUNNING)
"""Of such runs the bench can say something."""


@dataclass(frozen=True, slots=True)
class WaitingStep:
    """A step of a run that waits for a person."""

    run: ExperimentRun
    proposal: Proposal
    step: Step
    since_lab: float | None
    """Lab seconds at which it was asked."""
    answer: WorkAnswer | None = None
    """An answer that the ledger has and the bench has not taken yet."""
    may_be_left: bool = False
    """Whether the run outlasts a bench that is left alone: it has used no instrument so far, or its step says that it goes on."""

    @property
    def code(self) -> str:
        """The run's code on paper."""
        return run_code(self.proposal.number, self.run.replicate)

    @property
    def order(self) -> WorkOrder:
        """What is asked."""
        assert self.step.work is not None
        return self.step.work

    @property
    def whom(self) -> str:
        """Who is asked."""
        return self.order.person or "anybody"


def steps_waiting(history: History, bench: Bench) -> Iterator[WaitingStep]:
    """Yield the steps of a campaign that wait for people, by what the bench says."""
    for run in history.attempts():
        if run.status in IN_HAND and _asks_people(history, run) and (report := bench.report(run.run_key)) is not None:
            yield from waiting_in(history, run, report)


def _asks_people(history: History, run: ExperimentRun) -> bool:
    return any(step.kind is StepKind.PERSON for step in history.proposals[run.approval].steps)


def waiting_in(history: History, run: ExperimentRun, report: RunReport) -> Iterator[WaitingStep]:
    """Yield the step of a run that waits for a person, by what a report of the bench says; none where there is none."""
    proposal = history.proposals[run.approval]
    given = {(one.run_key, one.step): one for one in history.undelivered}
    used = any(proposal.steps[one.index].kind is not StepKind.PERSON for one in report.steps if one.status is not StepStatus.PLANNED)
    for known in report.steps:
        step = proposal.steps[known.index]
        if step.kind is StepKind.PERSON and known.status is StepStatus.INTENT and report.status.is_open:
            may_be_left = not used or step.interrupted == "continue"
            yield WaitingStep(run, proposal, step, known.started_lab, given.get((run.run_key, step.index)), may_be_left)
