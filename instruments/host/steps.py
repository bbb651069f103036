"""Carries out the steps of one run: commits each intent before the first byte, sends at most once, follows to the end."""

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NoReturn, TypeVar

from instruments.benchfile import BenchFile
from instruments.driver import Call, Driver, Finding, Outcome, Progress, Verdict
from instruments.host.gate import Gate
from instruments.host.journal import Journal, JournalStep, Transition
from instruments.host.wires import Wires
from instruments.procedure import classify
from orchestrator.clock import Clock
from orchestrator.domain.lifecycle import RunStatus, StepKind, StepStatus
from orchestrator.domain.records import Reading, RunRequest, Step, Until
from orchestrator.errors import DeviceError, InstrumentError, LinkError, OutcomeUnknown, ProtocolError, Sent

logger = logging.getLogger(__name__)

T = TypeVar("T")
RESENDS: Final = 2
"""How often a command that certainly did nothing, or that may be repeated, is sent again."""
JITTER: Final = (0.05, 0.25)
"""Wall seconds between attempts, drawn at random, so that two hosts on one bus do not repeat in step."""
RECONNECT_FOR: Final = 30.0
"""Wall seconds for which a lost link under a running dose or program is opened anew before a person is asked."""
RECONNECT_EVERY: Final = 1.0
FIND_SECONDS: Final = 5.0
SLICE: Final = 0.2
"""Wall seconds of one slice of a wait: so soon does an abort act."""
POLL_LAB: Final = 1.0
POLL_WALL: Final = 0.05
"""A channel or a program is asked once per lab second, at high rates not more often than each 50 ms."""
DOSE_POLL_WALL: Final = 0.5
"""A dose ends by itself; it is only watched, so that a fault shows early."""
ONCE: Final = frozenset({StepKind.DOSING, StepKind.PROGRAM})
_RESENDABLE: Final = (LinkError, ProtocolError, OutcomeUnknown)
"""After these the device did nothing wrong; any other error would come again."""


class RunEnded(Exception):
    """The run in hand ends before its last step."""

    def __init__(self, status: RunStatus, reason: str, *, evidence: Mapping[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.evidence = dict(evidence or {})


@dataclass(frozen=True, slots=True)
class Tools:
    """What carrying out a run needs."""

    bench: BenchFile
    journal: Journal
    wires: Wires
    clock: Clock
    gate: Gate
    tick: Callable[[], None]
    """Shows that the executor is alive."""
    checkpoint: Callable[[], None]
    """Raises RunEnded when the run is to end now."""
    pause: Callable[[float], None]
    """Waits for wall seconds, returns early when the run is to end."""


@dataclass(slots=True)
class StepRunner:
    """Carries out the steps of one run, in the executor's thread."""

    tools: Tools
    request: RunRequest
    _doses: dict[int, tuple[Step, Mapping[str, Any]]] = field(default_factory=dict)
    """Doses that run on the devices while the procedure goes on."""
    _doses_asked: float = 0.0

    # ----------------------------------------------------------------- entry points

    def perform(self, step: Step) -> None:
        """Carry out a planned step.

        Raises:
            RunEnded: The run ends here.
        """
        try:
            if step.kind is StepKind.WAIT:
                self.commit(step, StepStatus.INTENT)
                self._wait(step, self.tools.clock.lab())
            elif step.kind is StepKind.READ:
                self.commit(step, StepStatus.INTENT)
                self._record(step)
            else:
                self._act(step)
        except InstrumentError as error:
            self._fail(step, error)

    def attach(self, known: JournalStep) -> None:
        """Follow a step that an earlier life of the host has begun.

        Raises:
            RunEnded: The run ends here.
        """
        step = known.step
        try:
            if step.kind is StepKind.WAIT:
                self._wait(step, known.started_lab or self.tools.clock.lab())
            elif step.kind is StepKind.READ:
                self._record(step)
            else:
                if known.status is not StepStatus.ACKNOWLEDGED:
                    self._acknowledge(step, known.status)
                self._follow(step, known.baseline)
        except InstrumentError as error:
            self._fail(step, error)

    def finish_doses(self) -> None:
        """Wait until the devices have ended all doses by themselves."""
        while self._doses:
            self._poll_doses(due=0.0)
            if self._doses:
                self._nap(max(POLL_WALL, min(DOSE_POLL_WALL, self.tools.clock.wall_seconds(POLL_LAB))))

    def reassert(self, steps: Sequence[JournalStep]) -> None:
        """Send finished state-setting steps again: a watchdog may have undone them while nobody watched.

        The last setting of each command goes out in the old order; the last of each instrument is waited for again.
        """
        latest = {one.step.do: one.step for one in steps}
        last = {one.step.instrument: one.step for one in steps}
        for step in sorted(latest.values(), key=lambda one: one.index):
            logger.info("run %s: step %d %s is set again", self.request.run_key, step.index, step.do)
            self.tools.gate.check_step(step, self.read)
            self._patiently(step, _performing(self.call(step)))
            if step is last[step.instrument] and step.until is not None:
                self._reach(step.until, self.tools.clock.lab())

    # ----------------------------------------------------------------- waiting and reading

    def _wait(self, step: Step, started: float) -> None:
        end = started + float(step.arguments["time"])
        while (left := end - self.tools.clock.lab()) > 0:
            self._nap(min(SLICE, self.tools.clock.wall_seconds(left)))
            self._poll_doses(due=DOSE_POLL_WALL)
        self.commit(step, StepStatus.DONE)

    def _nap(self, wall_seconds: float) -> None:
        self.tools.pause(wall_seconds)
        self.tools.checkpoint()

    def _record(self, step: Step) -> None:
        readings = self.read(step.channels)
        self.commit(step, StepStatus.DONE, readings=_of_step(readings, step))

    def read(self, channels: Sequence[str]) -> tuple[Reading, ...]:
        """Read `instrument.channel` names now, device by device; a silent or garbled answer is asked for again.

        Raises:
            InstrumentError: A device did not answer.
        """
        wanted: dict[str, list[str]] = {}
        for name in channels:
            instrument, _, channel = name.partition(".")
            wanted.setdefault(instrument, []).append(channel)
        readings: list[Reading] = []
        for instrument, names in wanted.items():
            readings += self._again(instrument, _reading(names))
        return tuple(readings)

    # ----------------------------------------------------------------- acting

    def _act(self, step: Step) -> None:
        if step.kind in ONCE:
            self._await_dose_of(step.instrument)
        baseline = self._send(step)
        if step.kind is StepKind.STATE_SETTING and step.until is None:
            self.commit(step, StepStatus.DONE)
            return
        self.commit(step, StepStatus.ACKNOWLEDGED)
        self._follow(step, baseline)

    def _send(self, step: Step) -> Mapping[str, Any]:
        call = self.call(step)
        left = RESENDS
        while True:
            self.tools.checkpoint()
            self.tools.gate.check_step(step, self.read)
            self._on(step, lambda driver: driver.check(call))
            baseline = self._again(_instrument(step), lambda driver: driver.baseline(call))
            self.commit(step, StepStatus.INTENT, baseline=baseline)
            try:
                sent = self._on(step, lambda driver: driver.perform(call))
            except InstrumentError as error:
                if self._was_executed(step, baseline, error):
                    self.commit(step, StepStatus.SENT, reason=str(error), sent=step.arguments)
                    return baseline
                if left == 0 or not isinstance(error, _RESENDABLE):
                    raise
                left -= 1
                self.commit(step, StepStatus.PLANNED, reason=f"sent again after: {error}")
                self._recover_link(step, error)
                continue
            self.commit(step, StepStatus.SENT, sent=sent)
            return baseline

    def _was_executed(self, step: Step, baseline: Mapping[str, Any], error: InstrumentError) -> bool:
        """Decide, after an error, whether a step that may happen only once has happened; state-setting may be repeated."""
        self.tools.checkpoint()
        if step.kind not in ONCE or error.sent is Sent.NO:
            return False
        finding = self.find(step, baseline)
        if finding.verdict is Verdict.UNDECIDABLE:
            raise self.undecided(step, f"{error}", finding)
        self.tools.journal.note("reconciled", {"run": self.request.run_key, "step": step.index, **_finding(finding), "error": str(error)})
        return finding.verdict is not Verdict.NOT_EXECUTED

    def find(self, step: Step, baseline: Mapping[str, Any]) -> Finding:
        """Ask the device what became of a step; "not executed" only after its longest queueing time.

        Raises:
            OutcomeUnknown: The device cannot be asked.
        """
        call = self.call(step)
        finding = self._patiently(step, lambda driver: driver.reconcile(call, baseline))
        queueing = self.tools.bench.driver(_instrument(step)).LONGEST_QUEUEING
        if finding.verdict is Verdict.NOT_EXECUTED and queueing > 0:
            self.tools.pause(queueing)
            finding = self._patiently(step, lambda driver: driver.reconcile(call, baseline))
        return finding

    def find_now(self, step: Step, baseline: Mapping[str, Any]) -> Finding:
        """Ask the device once what became of a step, in every state of the bench and from any thread.

        Raises:
            InstrumentError: The device does not answer.
        """
        call, instrument = self.call(step), _instrument(step)
        wire = self.tools.wires.of(instrument)
        return wire.attempt(instrument, lambda driver: driver.reconcile(call, baseline), seconds=FIND_SECONDS)

    def undecided(self, step: Step, reason: str, finding: Finding | None = None) -> RunEnded:
        """Mark a step unknown; the returned exception ends the run."""
        evidence = {"finding": _finding(finding)} if finding is not None else {}
        self.commit(step, StepStatus.UNKNOWN, reason=reason, evidence=evidence)
        return RunEnded(RunStatus.UNKNOWN, f"step {step.index} {step.do}: {reason}")

    def _acknowledge(self, step: Step, status: StepStatus) -> None:
        if status is StepStatus.INTENT:
            self.commit(step, StepStatus.SENT, sent=step.arguments)
        self.commit(step, StepStatus.ACKNOWLEDGED)

    # ----------------------------------------------------------------- following

    def _follow(self, step: Step, baseline: Mapping[str, Any]) -> None:
        if step.kind is StepKind.DOSING:
            self._doses[step.index] = (step, baseline)
        elif step.kind is StepKind.PROGRAM:
            self._follow_program(step, baseline)
        elif step.until is not None:
            last = self._reach(step.until, self.tools.clock.lab())
            self.commit(step, StepStatus.DONE, readings=_of_step((last,), step))

    def _reach(self, until: Until, started: float) -> Reading:
        inside_since: float | None = None
        while True:
            (reading,) = self.read((until.channel,))
            now = self.tools.clock.lab()
            if reading.value is None or reading.quality != "good" or abs(reading.value - until.target) > until.within:
                inside_since = None
            elif inside_since is None:
                inside_since = now
            if inside_since is not None and now - inside_since >= until.hold:
                return reading
            if now - started > until.timeout:
                raise _timed_out(until, reading.value)
            self._nap(max(POLL_WALL, self.tools.clock.wall_seconds(POLL_LAB)))
            self._poll_doses(due=DOSE_POLL_WALL)

    def _follow_program(self, step: Step, baseline: Mapping[str, Any]) -> None:
        while (outcome := self._outcome(step, baseline)).progress is Progress.RUNNING:
            self._nap(max(POLL_WALL, self.tools.clock.wall_seconds(POLL_LAB)))
            self._poll_doses(due=DOSE_POLL_WALL)
        self.adopt(step, outcome)

    def adopt(self, step: Step, outcome: Outcome) -> None:
        """Record how a dose or a program has ended, with all that it brought, in one commit.

        Raises:
            RunEnded: It ended otherwise than planned; classified by the rules of the bench.
        """
        failed = outcome.progress is Progress.FAILED
        reason = f"ended with {outcome.code!r}" if failed else None
        evidence = {"code": outcome.code} if step.kind is StepKind.PROGRAM else {}
        to = StepStatus.FAILED if failed else StepStatus.DONE
        self.commit(step, to, reason=reason, readings=_of_step(outcome.readings, step), evidence=evidence)
        if step.kind is StepKind.PROGRAM or failed:
            self._judge(step, outcome, failed=failed)

    def _judge(self, step: Step, outcome: Outcome, *, failed: bool) -> None:
        code = outcome.code or ("failed" if failed else None)
        status, reason = classify(self.tools.bench, code, self.tools.journal.readings(self.request.run_key))
        if status is RunStatus.COMPLETED and failed:
            status = RunStatus.FAILED
        if status is not RunStatus.COMPLETED:
            raise RunEnded(status, reason or f"step {step.index} {step.do} ended with {code!r}")

    def _outcome(self, step: Step, baseline: Mapping[str, Any]) -> Outcome:
        """Ask how a dose or a program stands; after a lost link, decide by reconciliation."""
        call = self.call(step)
        try:
            return self._again(_instrument(step), lambda driver: driver.outcome(call, baseline))
        except _RESENDABLE as error:
            logger.warning("run %s, step %d %s: %s", self.request.run_key, step.index, step.do, error)
        finding = self._patiently(step, lambda driver: driver.reconcile(call, baseline))
        if finding.verdict is Verdict.RUNNING:
            return Outcome(Progress.RUNNING)
        if finding.verdict is Verdict.FINISHED:
            return finding.outcome or self._on(step, lambda driver: driver.outcome(call, baseline))
        raise self.undecided(step, "after a lost link the device does not say what became of it", finding)

    def _poll_doses(self, *, due: float) -> None:
        if not self._doses or time.monotonic() - self._doses_asked < due:
            return
        self._doses_asked = time.monotonic()
        for index, (step, baseline) in list(self._doses.items()):
            try:
                outcome = self._outcome(step, baseline)
            except InstrumentError as error:
                self._fail(step, error)
            if outcome.progress is not Progress.RUNNING:
                del self._doses[index]
                self.adopt(step, outcome)

    def _await_dose_of(self, instrument: str | None) -> None:
        while any(step.instrument == instrument for step, _ in self._doses.values()):
            self._poll_doses(due=0.0)
            self._nap(POLL_WALL)

    # ----------------------------------------------------------------- the wire

    def _on(self, step: Step, work: Callable[[Driver], T]) -> T:
        instrument = _instrument(step)
        return self.tools.wires.of(instrument).call(instrument, work, tick=self.tools.tick)

    def _again(self, instrument: str, work: Callable[[Driver], T]) -> T:
        """Ask something that changes nothing, again after a silent or garbled answer."""
        wire = self.tools.wires.of(instrument)
        for left in reversed(range(RESENDS + 1)):
            self.tools.checkpoint()
            try:
                return wire.call(instrument, work, tick=self.tools.tick)
            except _RESENDABLE as error:
                if left == 0:
                    raise
                logger.warning("run %s: asking %s again after: %s", self.request.run_key, instrument, error)
                self.tools.pause(random.uniform(*JITTER))
                if left == 1 and isinstance(error, LinkError):
                    self._open_again(instrument)
        raise AssertionError  # the loop returns or raises

    def _patiently(self, step: Step, work: Callable[[Driver], T]) -> T:
        """Ask through a lost link, opening it anew.

        Raises:
            OutcomeUnknown: It stayed lost.
        """
        deadline = time.monotonic() + RECONNECT_FOR
        while True:
            self.tools.checkpoint()
            try:
                return self._on(step, work)
            except _RESENDABLE as error:
                if time.monotonic() > deadline:
                    message = f"{step.instrument} cannot be asked what became of it: {error}"
                    raise OutcomeUnknown(message, sent=Sent.MAYBE) from error
                self.tools.pause(RECONNECT_EVERY)
                self._recover_link(step, error)

    def _recover_link(self, step: Step, error: InstrumentError) -> None:
        self.tools.pause(random.uniform(*JITTER))
        self.tools.checkpoint()
        if isinstance(error, LinkError):
            self._open_again(_instrument(step))

    def _open_again(self, instrument: str) -> None:
        try:
            self.tools.wires.of(instrument).open()
        except _RESENDABLE as error:
            logger.warning("the link of %s is still lost: %s", instrument, error)

    # ----------------------------------------------------------------- the journal

    def commit(
        self,
        step: Step,
        to: StepStatus,
        *,
        reason: str | None = None,
        sent: Mapping[str, float | str] | None = None,
        baseline: Mapping[str, Any] | None = None,
        readings: tuple[Reading, ...] = (),
        evidence: Mapping[str, Any] | None = None,
    ) -> None:
        """Make one arrow of a step's life cycle durable."""
        lab = self.tools.clock.lab()
        self.tools.journal.commit(Transition(self.request.run_key, to, step.index, reason, lab, evidence or {}, sent, baseline, readings))

    def call(self, step: Step) -> Call:
        """Return the driver's view of a step."""
        request = self.request
        return Call(step.command, step.arguments, request.run_key, request.campaign, request.position)

    def _fail(self, step: Step, error: InstrumentError) -> NoReturn:
        if isinstance(error, OutcomeUnknown):
            raise self.undecided(step, str(error)) from error
        self.commit(step, StepStatus.FAILED, reason=str(error))
        raise RunEnded(RunStatus.FAILED, f"step {step.index} {step.do}: {error}") from error


def _timed_out(until: Until, value: float | None) -> DeviceError:
    got = "without a value" if value is None else f"at {value:g}"
    expected = f"{until.target:g} within {until.within:g} for {until.hold:g} lab s"
    return DeviceError(f"{until.channel} is {got} after {until.timeout:g} lab s; expected {expected}", sent=Sent.YES)


def _of_step(readings: Sequence[Reading], step: Step) -> tuple[Reading, ...]:
    return tuple(replace(one, step=step.index) for one in readings)


def _performing(call: Call) -> Callable[[Driver], Mapping[str, float | str]]:
    return lambda driver: driver.perform(call)


def _reading(channels: Sequence[str]) -> Callable[[Driver], tuple[Reading, ...]]:
    return lambda driver: driver.read(channels)


def _instrument(step: Step) -> str:
    if step.instrument is None:
        raise AssertionError(f"step {step.index} {step.do} has no instrument")
    return step.instrument


def _finding(finding: Finding) -> dict[str, Any]:
    return {"verdict": finding.verdict.value, "evidence": dict(finding.evidence)}
