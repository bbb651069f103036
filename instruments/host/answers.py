"""What people answer to the steps that wait for them, into the journal: each answer once, and the first one counts."""

import threading
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from instruments.host.journal import Journal
from instruments.host.journal_records import JournalRun, JournalStep, Transition
from orchestrator.clock import Clock
from orchestrator.domain.lifecycle import StepKind, StepStatus
from orchestrator.domain.records import Reading
from orchestrator.domain.values import canonical
from orchestrator.domain.work import WorkAnswer, WorkOrder
from orchestrator.errors import BadInput, HostError
from orchestrator.work import check_answer

_ANSWER: Final = "answer"
"""Where a step's evidence has what a person said."""
_SAID: Final = {"not-done": "not done", "went-wrong": "it went wrong"}


class AnswerRefused(HostError):
    """The step was answered otherwise, or waits for nobody."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Takes people's answers, from any thread."""

    journal: Journal
    clock: Clock
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while an answer is taken, and while a run's end is recorded: either comes first."""

    def take(self, answer: WorkAnswer) -> None:
        """Record an answer and with it the step's end, in one commit; the same one again changes nothing.

        Raises:
            AnswerRefused: There is another answer, or the step does not wait.
            BadInput: No such step, not by whom was asked, or values that cannot be taken: the step waits on.
        """
        with self.lock:
            run = self.journal.run(answer.run_key)
            if run is None or not 0 <= answer.step < len(run.steps):
                raise BadInput(f"run {answer.run_key} has no step {answer.step} here")
            known = run.steps[answer.step]
            if not self._is_known(known, answer):
                self.journal.commit(self._end(run, known, answer, _order_of(known)))

    def _is_known(self, known: JournalStep, answer: WorkAnswer) -> bool:
        what = f"step {known.step.index} {known.step.do} of run {answer.run_key}"
        if _ANSWER in known.baseline:
            before = WorkAnswer.model_validate(known.baseline[_ANSWER])
            if (before.answer_id, before.words) == (answer.answer_id, answer.words):
                return True
            raise AnswerRefused(f"{what} was answered by {before.person}; the first answer counts")
        if known.step.kind is StepKind.PERSON and not known.is_open:
            raise AnswerRefused(f"{what} is {known.status}{f' ({known.reason})' if known.reason else ''}; nobody waits for an answer")
        return False

    def _end(self, run: JournalRun, known: JournalStep, answer: WorkAnswer, order: WorkOrder) -> Transition:
        values = check_answer(order, answer, what=known.step.do)
        document = answer.model_dump(mode="json")
        units = {wanted.name: wanted.unit or "" for wanted in order.values}
        raw, now = canonical(document).encode(), self.clock.now()
        readings = tuple(
            Reading(
                step=known.step.index,
                instrument=known.step.instrument or "",
                channel=name,
                unit=units[name],
                quality="good",
                wall=now.wall,
                lab=now.lab,
                value=None if isinstance(value, str) else value,
                text=value if isinstance(value, str) else None,
                raw=raw,
                sha256=sha256(raw).hexdigest(),
            )
            for name, value in values.items()
        )
        said = _SAID.get(answer.outcome)
        return Transition(
            run.run_key,
            StepStatus.DONE if said is None else StepStatus.FAILED,
            known.step.index,
            None if said is None else f"{said}, says {answer.person}: {answer.reason}",
            now.lab,
            baseline={_ANSWER: document},
            readings=readings,
        )


def _order_of(known: JournalStep) -> WorkOrder:
    if known.step.work is None:
        raise BadInput(f"step {known.step.index} {known.step.do} asks nobody anything")
    return known.step.work
