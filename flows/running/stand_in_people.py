"""In a dry run nobody is there: what people would bring back comes from stand-ins, by the way that people's answers take.

The bench and the ledger see answers to steps, and values that are told after a run; whose they are, their name says. What
they say follows from all that the steps of the run set, as a stand-in of a device measures it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import floor, log10
from typing import Final

from flows.plans.plan import Plan
from flows.plans.sampled_priors import sampled_priors
from flows.plans.simulated import SimulatedBench
from flows.running.waiting_steps import WaitingStep, steps_waiting
from orchestrator.clock import Clock
from orchestrator.domain.entered import Entered
from orchestrator.domain.events import STAND_IN, Actor
from orchestrator.domain.identity import uuid7
from orchestrator.domain.objective import Measured
from orchestrator.domain.records import ExperimentRun, Step
from orchestrator.domain.work import WantedValue, WorkAnswer
from orchestrator.errors import BadInput
from orchestrator.history import History
from orchestrator.ports import Bench, Result, Store
from orchestrator.results import Said, added
from orchestrator.work import check_answer
from simulators.declarations import StandInSection
from simulators.interpolation import SampledFunction
from simulators.responses import ResponseSection, Room
from simulators.setting import Setting, Value, reach_of

_ANSWER_S: Final = 600.0
"""Lab s that a person takes, where nothing is declared."""
_LATER_S: Final = 3600.0
"""Lab s until a value comes that is waited for as long as it takes, where nothing is declared."""
_DIGITS: Final = 5
"""That a good balance shows."""
_WHY: Final = "dry run"


@dataclass(frozen=True)
class StandInPeople:
    """Answers in people's place, in one campaign of a dry lab."""

    made: SimulatedBench
    targets: Mapping[str, Measured]
    """Those whose values come after the run."""
    room: Room
    store: Store
    bench: Bench
    clock: Clock

    @classmethod
    def of(cls, plan: Plan, made: SimulatedBench, *, seed: int, store: Store, bench: Bench, clock: Clock) -> "StandInPeople":
        """Make them for a campaign.

        Args:
            plan: The campaign.
            made: What answers its bench.
            seed: The plant's.
            store: The ledger.
            bench: Asks what waits.
            clock: The plant's.

        Raises:
            BadInput: A response that cannot be had.
        """
        targets = {one.name: one for one in plan.objective.measured if one.name in made.later}
        folder = made.plant.parent if made.plant is not None else plan.file.path.parent
        sampled = {name: SampledFunction.model_validate(one) for name, one in sampled_priors(made, seed).items()}
        room = Room(seed, _settings(plan), folder, _declared(made, targets), sampled)
        for name, target in targets.items():
            room.prepare(name, target.unit)
        for name, wanted in _wanted(plan, made):
            room.prepare(name, wanted.unit or "", Setting(wanted.low, wanted.high))
        return cls(made, targets, room, store, bench, clock)

    def act(self, history: History) -> bool:
        """Answer what is due by now; return whether anything was recorded."""
        answers = (
            [self._answer(one) for one in steps_waiting(history, self.bench) if self._is_due(one)] if self.made.stand_ins.people else []
        )
        for answer in answers:
            self.store.answer_work(answer, code=None, now=self.clock.now(), stand_in=True)
        results = list(self._results(history))
        for result in results:
            who = Actor(f"{STAND_IN}{result.measurements[0].target}")
            self.store.record_results([result], by=who, now=self.clock.now())
        return bool(answers or results)

    # ----------------------------------------------------------------- steps

    def _section(self, waiting: WaitingStep) -> StandInSection:
        return self.made.sections.stand_ins.get(waiting.step.instrument or "", StandInSection())

    def _is_due(self, waiting: WaitingStep) -> bool:
        asked = waiting.since_lab or 0.0
        return waiting.answer is None and self.clock.lab() >= asked + (self._section(waiting).dose_s or _ANSWER_S)

    def _answer(self, waiting: WaitingStep) -> WorkAnswer:
        """Answer a step: what it is asked for, or that it went wrong, by the declared chance or since no legal value came of it."""
        section, room = self._section(waiting), self.room.at(_made(waiting.proposal.steps))
        if room.luck(f"{waiting.step.do} of run {waiting.code}") < section.failures:
            return self._said(waiting, {}, section.reason)
        try:
            answer = self._said(waiting, {one.name: self._brought(room, waiting, one) for one in waiting.order.values})
            check_answer(waiting.order, answer, what=waiting.step.do)
        except BadInput as error:
            return self._said(waiting, {}, str(error))
        return answer

    def _brought(self, room: Room, waiting: WaitingStep, wanted: WantedValue) -> str:
        channel = f"{waiting.step.instrument}.{wanted.name}"
        if wanted.unit is None:
            return room.word(channel)
        value = _rounded(room.answer(channel, wanted.unit, self.clock.lab(), Setting(wanted.low, wanted.high)))
        return f"{value!r} {wanted.unit}".rstrip()

    @staticmethod
    def _said(waiting: WaitingStep, values: Mapping[str, str], wrong: str | None = None) -> WorkAnswer:
        return WorkAnswer(
            answer_id=uuid7(),
            campaign=waiting.run.campaign,
            run_key=waiting.run.run_key,
            step=waiting.step.index,
            person=f"{STAND_IN}{waiting.order.person or waiting.step.instrument}",
            outcome="done" if wrong is None else "went-wrong",
            values=dict(values),
            reason=wrong,
            via="dry-run",
        )

    # ----------------------------------------------------------------- what comes after the run

    def _results(self, history: History) -> Iterator[Result]:
        for run_key, awaited in history.awaited.items():
            run = history.runs[run_key]
            for target in awaited:
                if run.ingested and self.clock.lab() >= (run.ended_lab or 0.0) + self._delay(target):
                    yield self._result(history, run, target)

    def _delay(self, target: str) -> float:
        declared = self.made.sections.responses.get(target)
        if declared is not None and declared.after_s is not None:
            return declared.after_s
        due = self.targets[target].due
        return _LATER_S if due is None else due / 2

    def _result(self, history: History, run: ExperimentRun, target: str) -> Result:
        room = self.room.at(_made(history.proposals[run.approval].steps))
        said = Said(f"{STAND_IN}{target}", _WHY)
        try:
            entered = Entered(_rounded(room.answer(target, self.targets[target].unit, self.clock.lab())))
        except BadInput as error:  # a laboratory's own function
            entered = Entered(None, reason=str(error))
        return Result((added(history, run, target, entered, said),))


def _made(steps: tuple[Step, ...]) -> dict[str, Value]:
    """Return all that the steps of a run set, by `instrument.command.argument`; the last one counts."""
    return {f"{step.do}.{name}": value for step in steps if step.instrument is not None for name, value in step.arguments.items()}


def _settings(plan: Plan) -> dict[str, Setting]:
    """Return how far the steps of the campaign's experiments reach, as its sampled configurations show."""
    made = [_made(plan.recipe.expand(one)) for one in plan.sample]
    return {name: reach_of([one[name] for one in made if name in one]) for name in dict.fromkeys(name for one in made for name in one)}


def _wanted(plan: Plan, made: SimulatedBench) -> Iterator[tuple[str, WantedValue]]:
    """Yield what people are asked for, by `instrument.channel`."""
    for step in plan.recipe.expand(plan.sample[0]):
        if step.work is not None and step.instrument in made.stand_ins.people:
            yield from ((f"{step.instrument}.{wanted.name}", wanted) for wanted in step.work.values if wanted.unit is not None)


def _declared(made: SimulatedBench, targets: Mapping[str, Measured]) -> dict[str, ResponseSection]:
    """Return what is declared; a smooth target without a range of its own lies on the scale that the campaign judges it by."""
    found = dict(made.sections.responses)
    for name, target in targets.items():
        section = found.get(name, ResponseSection())
        if section.between is None and target.scale is not None:
            found[name] = section.model_copy(update={"between": target.scale})
    return found


def _rounded(value: float) -> float:
    """Round a value as people read it."""
    return value if value == 0.0 else round(value, _DIGITS - 1 - floor(log10(abs(value))))
