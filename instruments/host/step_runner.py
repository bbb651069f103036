"""Carries out the steps of one run: commits each intent before the first byte, sends at most once, follows to the end."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any, Final, NoReturn

from instruments.bench.procedure import carried_by_doses, classify
from instruments.drivers.protocol import Finding, Outcome, Progress, StepVerdict
from instruments.host.device_access import ONCE, RESENDABLE, RESENDS, DeviceAccess, RunEnded, Tools, instrument_of
from instruments.host.journal_records import JournalStep, Transition
from orchestrator.domain.lifecycle import RunStatus, StepKind, StepStatus
from orchestrator.domain.records import Reading, RunRequest, Step, Until
from orchestrator.errors import DeviceError, InstrumentError, OutcomeUnknown, Sent

logger = logging.getLogger(__name__)

SLICE: Final = 0.2
"""Wall seconds of one slice of a wait: so soon does an abort act."""
POLL_LAB: Final = 1.0
POLL_WALL: Final = 0.05
"""A channel or a program is asked once per lab second, at high rates not more often than each 50 ms."""
_QUICK_POLLS: Final = 20
"""So often a call is asked sooner than a device would be: the pauses grow from 50 ms to 1.6 s."""
DOSE_POLL_WALL: Final = 0.5
"""A dose ends by itself; it is only watched, so that a fault shows early."""


@dataclass(slots=True)
class StepRunner:
    """Carries out the steps of one run, in the executor's thread."""

    tools: Tools
    request: RunRequest
    devices: DeviceAccess = field(init=False)
    _doses: dict[int, tuple[Step, Mapping[str, Any]]] = field(default_factory=dict)
    """Doses that run on the devices while the procedure goes on."""
    _doses_asked: float = 0.0
    _repeated: dict[int, int] = field(default_factory=dict)
    """How often a step was sent again that was under way."""

    def __post_init__(self) -> None:
        self.devices = DeviceAccess(self.tools, self.request)

    # ----------------------------------------------------------------- entry points

    def perform(self, step: Step) -> None:
        """Carry out a planned step.

        Raises:
            RunEnded: The run ends here.
        """
        try:
            self._restore()
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

    # ----------------------------------------------------------------- settings made again

    def reassert(self, steps: Sequence[JournalStep]) -> None:
        """Send state-setting steps again: a watchdog may have undone them while nobody watched.

        The last setting of each command goes out in the old order; the last of each instrument is waited for again, unless
        it is still in hand.

        Raises:
            InstrumentError: A setting could not be made, or what it leads to was not reached.
        """
        latest = {one.step.do: one.step for one in steps}
        done = {one.step.instrument: one.step for one in steps if one.status is StepStatus.DONE}
        for step in sorted(latest.values(), key=lambda one: one.index):
            logger.warning("run %s: step %d %s is set again", self.request.run_key, step.index, step.do)
            self.tools.gate.check_step(step, self.devices.read)
            self.devices.set(step)
            if step is done.get(step.instrument) and step.until is not None:
                self._reach(step.until, self.tools.clock.lab())

    def _restore(self) -> None:
        """Make the settings again of instruments whose link was opened anew; those with a dose under way keep theirs."""
        busy = {step.instrument for step, _ in self._doses.values()}
        stale, self.devices.reopened = self.devices.reopened - busy, self.devices.reopened & busy
        run = self.tools.journal.run(self.request.run_key)
        if stale and run is not None:
            self.reassert([one for one in run.steps if one.is_setting and one.step.instrument in stale])

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
        if self.devices.reopened:
            self._restore()

    def _record(self, step: Step) -> None:
        readings = self.devices.read(step.channels)
        self._refuse_ended_doses(step)
        self.commit(step, StepStatus.DONE, readings=_of_step(readings, step))

    def _refuse_ended_doses(self, step: Step) -> None:
        """Refuse what was read of a flow that had ended: the instruments were late, the recipe is not to blame.

        Asked after the reading, so that whatever still flows then has flowed all the while.
        """
        needed = carried_by_doses(self.tools.bench, step, self.request.steps[: step.index])
        if not needed:
            return
        self._poll_doses(due=0.0)
        if ended := sorted(needed - {str(dose.instrument) for dose, _ in self._doses.values()}):
            message = f"read only after the dose of {', '.join(ended)} had ended; a run is judged by what flows when it is read"
            raise DeviceError(message, sent=Sent.YES)

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
        """Send a step's command, again only where that can do no harm; return the evidence taken before it.

        Raises:
            InstrumentError: It was not carried out.
            RunEnded: Nobody can tell whether it was.
        """
        call, devices = self.devices.call(step), self.devices
        left = RESENDS
        while True:
            self.tools.checkpoint()
            self.tools.gate.check_step(step, devices.read)
            devices.on(step, lambda driver: driver.check(call))
            baseline = devices.again(instrument_of(step), lambda driver: driver.baseline(call))
            self.commit(step, StepStatus.INTENT, baseline=baseline)
            try:
                sent = devices.on(step, lambda driver: driver.perform(call))
            except InstrumentError as error:
                if self._was_executed(step, baseline, error):
                    self.commit(step, StepStatus.SENT, reason=str(error), sent=step.arguments)
                    return baseline
                if left == 0 or not isinstance(error, RESENDABLE):
                    raise
                left -= 1
                self.commit(step, StepStatus.PLANNED, reason=f"sent again after: {error}")
                devices.recover(step, error)
                continue
            self.commit(step, StepStatus.SENT, sent=sent)
            return baseline

    def _was_executed(self, step: Step, baseline: Mapping[str, Any], error: InstrumentError) -> bool:
        """Decide, after an error, whether a step that may happen only once has happened; state-setting may be repeated."""
        self.tools.checkpoint()
        if step.kind not in ONCE or error.sent is Sent.NO:
            return False
        finding = self.devices.find(step, baseline)
        if finding.verdict is StepVerdict.UNDECIDABLE:
            raise self.undecided(step, str(error), finding)
        note = {"run": self.request.run_key, "step": step.index, **_document(finding), "error": str(error)}
        self.tools.journal.note("reconciled", note)
        return finding.verdict not in (StepVerdict.NOT_EXECUTED, StepVerdict.MAY_REPEAT)

    def undecided(self, step: Step, reason: str, finding: Finding | None = None) -> RunEnded:
        """Mark a step unknown; the returned exception ends the run."""
        evidence = {"finding": _document(finding)} if finding is not None else {}
        self.commit(step, StepStatus.UNKNOWN, reason=reason, evidence=evidence)
        return RunEnded(RunStatus.UNKNOWN, f"step {step.index} {step.do}: {reason}")

    def _acknowledge(self, step: Step, status: StepStatus) -> None:
        if status is StepStatus.INTENT:
            self.commit(step, StepStatus.SENT, sent=step.arguments)
        if status is not StepStatus.ACKNOWLEDGED:
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
            (reading,) = self.devices.read((until.channel,))
            now = self.tools.clock.lab()
            if reading.value is None or reading.quality != "good" or abs(reading.value - until.target) > until.within:
                inside_since = None
            elif inside_since is None:
                inside_since = now
            if inside_since is not None and now - inside_since >= until.hold:
                return reading
            if now - started > until.timeout:
                raise _timed_out(until, reading.value)
            self._nap(self._poll_wall)
            self._poll_doses(due=DOSE_POLL_WALL)

    @property
    def _poll_wall(self) -> float:
        return max(POLL_WALL, self.tools.clock.wall_seconds(POLL_LAB))

    def _follow_program(self, step: Step, baseline: Mapping[str, Any]) -> None:
        quick = self._quick_polls(step)
        while (outcome := self._outcome(step, baseline)).progress is Progress.RUNNING:
            self._nap(next(quick, self._poll_wall))
            self._poll_doses(due=DOSE_POLL_WALL)
        self.adopt(step, outcome)

    def _quick_polls(self, step: Step) -> Iterator[float]:
        """Return the first pauses while a call runs: no wire is loaded by asking, and many calls take no time at all."""
        command = self.tools.bench.driver(instrument_of(step)).COMMANDS[step.command]
        pauses = (POLL_WALL * 1.2**number for number in range(_QUICK_POLLS))
        return takewhile(lambda pause: command.by_step and pause < self._poll_wall, pauses)

    def _outcome(self, step: Step, baseline: Mapping[str, Any]) -> Outcome:
        """Ask how a dose or a program stands; after a lost link, decide by reconciliation."""
        call, devices = self.devices.call(step), self.devices
        try:
            return devices.again(instrument_of(step), lambda driver: driver.outcome(call, baseline))
        except RESENDABLE as error:
            logger.warning("run %s, step %d %s: %s", self.request.run_key, step.index, step.do, error)
        finding = devices.patiently(step, lambda driver: driver.reconcile(call, baseline))
        if finding.verdict is StepVerdict.RUNNING:
            return Outcome(Progress.RUNNING)
        if finding.verdict is StepVerdict.FINISHED:
            return finding.outcome or devices.on(step, lambda driver: driver.outcome(call, baseline))
        if finding.verdict is StepVerdict.MAY_REPEAT:
            return self._repeat(step)
        reason = finding.evidence.get("reason", "after a lost link the device does not say what became of it")
        raise self.undecided(step, str(reason), finding)

    def _repeat(self, step: Step) -> Outcome:
        """Send what is harmless to repeat once more; not for ever, since it may be what ends its device."""
        self._repeated[step.index] = self._repeated.get(step.index, 0) + 1
        if self._repeated[step.index] > RESENDS:
            raise DeviceError(f"{step.do} was begun {RESENDS + 1} times, and each time its process ended without a word", sent=Sent.YES)
        self.commit(step, StepStatus.PLANNED, reason="sent again: it is harmless to repeat, or was not begun")
        self._send(step)
        self.commit(step, StepStatus.ACKNOWLEDGED)
        return Outcome(Progress.RUNNING)

    def adopt(self, step: Step, outcome: Outcome) -> None:
        """Record how a dose or a program has ended, with all that it brought, in one commit.

        Raises:
            RunEnded: It ended otherwise than planned; classified by the rules of the bench.
        """
        failed = outcome.progress is Progress.FAILED
        reason = (outcome.reason or f"ended with {outcome.code!r}") if failed else None
        evidence = {"code": outcome.code} if step.kind is StepKind.PROGRAM or failed else {}
        to = StepStatus.FAILED if failed else StepStatus.DONE
        self.commit(step, to, reason=reason, readings=_of_step(outcome.readings, step), evidence=evidence)
        if step.kind is StepKind.PROGRAM or failed:
            self._judge(step, outcome, failed=failed)

    def _judge(self, step: Step, outcome: Outcome, *, failed: bool) -> None:
        code = outcome.code or ("failed" if failed else None)
        status, reason = classify(self.tools.bench, code, self.tools.journal.readings(self.request.run_key))
        if status is RunStatus.FAILED and (step.kind is StepKind.DOSING or outcome.reason):
            reason = f"step {step.index} {step.do}{f': {outcome.reason}' if outcome.reason else f' ended with {code!r}'}"
        if status is RunStatus.COMPLETED and failed:
            status = RunStatus.FAILED
        if status is not RunStatus.COMPLETED:
            raise RunEnded(status, reason or f"step {step.index} {step.do} ended with {code!r}")

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
        key = self.request.run_key
        self.tools.journal.commit(Transition(key, to, step.index, reason, lab, evidence or {}, sent, baseline, readings))

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


def _document(finding: Finding) -> dict[str, Any]:
    return {"verdict": finding.verdict.value, "evidence": dict(finding.evidence)}
