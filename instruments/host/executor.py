"""One thread that executes one run at a time, in the order of arrival, and looks after an idle bench."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from instruments.bench import safe_state
from instruments.bench.parking import park_steps
from instruments.bench.procedure import classify
from instruments.host.answers import Answers
from instruments.host.choosing import RunChoice
from instruments.host.device_access import ONCE, RunEnded, Tools
from instruments.host.gate import Gate
from instruments.host.journal_records import JournalRun, Transition
from instruments.host.parker import Parker
from instruments.host.parts import HostParts
from instruments.host.reconcile import Reconciler, interruption, not_executed_evidence
from instruments.host.run_ends import RunEnds
from instruments.host.step_runner import SLICE, StepRunner, WaitsForPerson
from orchestrator.domain.lifecycle import EvidenceKey, RunStatus, StepKind, StepStatus
from orchestrator.errors import Fault, InstrumentError

logger = logging.getLogger(__name__)

RECHECK_EVERY: Final = 5.0
"""Wall seconds after which the device of an unknown run is asked once more: a lost link may have come back."""


class NotSafe(Fault):
    """The host ends, and could not bring the bench into its safe state: somebody else has to."""


class Executor:
    """Executes runs; everything that acts on the bench for a run happens in its thread."""

    def __init__(self, host: HostParts) -> None:
        """Prepare; `start` begins with reconciliation."""
        self._host = host
        self._turn = time.monotonic()
        self._gap = host.last_life.gap()
        self._asleep = False
        self._rechecked = time.monotonic()
        self._in_hand: str | None = None
        self._leaving = threading.Event()
        self._alarm = threading.Event()
        self._verdict_lock = threading.Lock()
        self._handover = threading.Lock()
        self._upkeep = threading.Lock()
        """Held while an idle bench is parked, warmed up or made safe: one of them at a time."""
        self._warmth_wanted = threading.Event()
        self.ready = threading.Event()
        self.left = threading.Event()
        """Set when the thread has ended, by itself or because it was told to."""
        self.died: BaseException | None = None
        self._tools = Tools(host.bench, host.journal, host.wires, host.clock, Gate(host.bench), self._tick, self._checkpoint, self._pause)
        self._run_ends = RunEnds(self._tools)
        self._choice = RunChoice(host.journal, host.bench)
        self.answers = Answers(host.journal, host.clock)
        self._parker = Parker(self._tools, host.idle_state, park_steps(host.bench), self._choice)
        self._thread = threading.Thread(target=self._run, name="executor", daemon=True)

    # ----------------------------------------------------------------- from other threads

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def age(self) -> float:
        """Wall seconds since the thread's last turn."""
        return time.monotonic() - self._turn

    @property
    def in_hand(self) -> str | None:
        """The key of the run that is being executed."""
        return self._in_hand

    def wake(self) -> None:
        """Look for work, or for a reason to end the run in hand, now."""
        self._alarm.set()

    def leave(self) -> None:
        """End the run in hand, drive the safe state and end the thread."""
        self._leaving.set()
        self._alarm.set()

    def join(self, seconds: float) -> None:
        """Wait for the thread's end."""
        self._thread.join(seconds)

    def drop(self, run_key: str, reason: str) -> None:
        """Abort a run that still waits; one that has begun ends by its own checkpoints."""
        with self._handover:
            run = self._run_ends.run(run_key)
            if run.status is RunStatus.DISPATCHED and self._in_hand != run_key:
                self._run_ends.close_steps(run, reason)
                lab = self._host.clock.lab()
                self._host.journal.commit(
                    Transition(run_key, RunStatus.ABORTED, reason=reason, lab=lab, evidence={EvidenceKey.NOT_EXECUTED: True})
                )

    def make_safe(self, reason: str, *, asked: bool) -> tuple[safe_state.SafeAction, ...]:
        """Drive the safe state now; the next run wakes the bench by its start-up steps.

        Args:
            reason: For people.
            asked: Whether somebody asked for it or is told of its cause; else the supervisor tells of it.
        """
        self._asleep = True
        self._choice.unset(self._host.clock.lab())  # before: a kill in between makes settings again that still stand
        results = safe_state.drive(self._host.bench, self._host.wires)
        self._host.idle_state.make_safe(reason, asked=asked)
        self._host.journal.note("safe-state", {"reason": reason, "actions": [one.document() for one in results]})
        return results

    def make_idle_bench_safe(self, reason: str) -> tuple[safe_state.SafeAction, ...]:
        """Drive the safe state as somebody asked, after parking or warming up where that is under way."""
        with self._upkeep:
            return self.make_safe(reason, asked=True)

    def warm(self) -> bool:
        """Warm a parked bench up as soon as the thread gets to it; return whether there is anything to do."""
        if self._host.idle_state.parked is None:
            return False
        self._warmth_wanted.set()
        self.wake()
        return True

    def resolve(self, run_key: str, *, verdict: str, reason: str, by: str) -> None:
        """Settle an unknown run as a person says; what the device still gives under our key is adopted.

        Raises:
            Fault: The run is not unknown any more.
        """
        with self._verdict_lock:
            run = self._run_ends.run(run_key)
            if run.status is not RunStatus.UNKNOWN:
                raise Fault(f"run {run_key} is {run.status}; only an unknown run can be resolved")
            said = {"verdict": verdict, "reason": reason, "by": by}
            self._host.journal.note("resolved", {"run": run_key, **said})
            if verdict != "done" or not self._run_ends.adopt_late(run, {"resolved": said}):
                self._run_ends.close_as(run, verdict, said)
        self.wake()

    # ----------------------------------------------------------------- the thread

    def _run(self) -> None:
        try:
            self._recover()
            self.ready.set()
            while not self._leaving.is_set():
                self._alarm.clear()
                self._tick()
                if not self._next_run():
                    self._attend()
                    self._alarm.wait(SLICE)
            missed = [one for one in self.make_safe("the host leaves", asked=True) if not one.done]
            if missed:
                self.died = NotSafe("when the host left, not done was: " + "; ".join(one.line for one in missed))
        except BaseException as error:
            logger.exception("the executor died")
            self.died = error
            raise
        finally:
            self.left.set()

    def _tick(self) -> None:
        self._turn = time.monotonic()
        self._host.last_life.beat()

    def _pause(self, wall_seconds: float) -> None:
        self.ready.set()  # what takes longer than a question or two is waited for while already answering
        end = time.monotonic() + wall_seconds
        while (left := end - time.monotonic()) > 0 and not self._ends_now():
            self._tick()
            self._alarm.wait(min(SLICE, left))
            self._alarm.clear()
        self._tick()

    def _ends_now(self) -> bool:
        return self._leaving.is_set() or self._host.latch.state is not None or self._abort_reason() is not None

    def _abort_reason(self) -> str | None:
        return None if self._in_hand is None else self._host.journal.abort_reason(self._in_hand)

    def _checkpoint(self) -> None:
        """Raise RunEnded when somebody wants the run in hand to end."""
        self._tick()
        if (reason := self._abort_reason()) is not None:
            raise RunEnded(RunStatus.ABORTED, reason)
        if self._host.latch.state is not None:
            raise RunEnded(RunStatus.ABORTED, self._host.latch.reason)
        if self._leaving.is_set():
            raise RunEnded(RunStatus.FAILED, "interrupted: the bench host was told to leave")
        for complaint in self._host.wires.take_complaints().values():
            raise RunEnded(RunStatus.FAILED, complaint)

    # ----------------------------------------------------------------- runs

    def _next_run(self) -> bool:
        """Execute the run whose turn it is; none uses the bench while it is latched, beside an unknown, or with nobody there."""
        latched = self._host.latch.state is not None
        attended = self._host.heartbeats.campaign_silence <= self._host.bench.spec.bench.grace
        free = attended and not latched and not self._host.journal.runs(RunStatus.UNKNOWN)
        with self._handover:
            chosen = self._choice.next(free=free, latched=latched)
            self._in_hand = None if chosen is None else chosen.run_key
        if chosen is not None:
            self._execute(chosen.run_key, self._begin if chosen.status is RunStatus.DISPATCHED else self._go_on)
        return chosen is not None

    def _execute(self, run_key: str, work: Callable[[StepRunner, JournalRun], None]) -> None:
        """Do the outermost part of a run: whatever happens in it is recorded, and the bench is left safe."""
        run = self._run_ends.run(run_key)
        self._in_hand = run_key
        self._host.heartbeats.worked()
        runner = StepRunner(self._tools, run.request)
        try:
            work(runner, run)
            self._complete(runner)
        except WaitsForPerson:
            logger.info("run %s waits for a person", run_key)
        except RunEnded as ended:
            self._end_early(ended)
        except InstrumentError as error:
            self._end_early(RunEnded(RunStatus.FAILED, str(error)))
        except BaseException:
            logger.exception("run %s: an error of the host itself", run_key)
            self.make_safe(f"an error of the host in run {run_key}", asked=False)
            raise
        finally:
            self._in_hand = None
            self._host.heartbeats.worked()
            self._parker.begin_idle()

    def _begin(self, runner: StepRunner, run: JournalRun) -> None:
        self._checkpoint()
        self._make_ready(run)
        self._host.journal.commit(Transition(run.run_key, RunStatus.RUNNING, lab=self._host.clock.lab()))
        self._steps(runner, run)

    def _go_on(self, runner: StepRunner, run: JournalRun) -> None:
        """Take a run up again that has waited for a person."""
        self._checkpoint()
        self._run_ends.raise_old_end(run)
        self._make_ready(run)
        self._set_again(runner, run)
        if run.waiting is not None:
            raise WaitsForPerson
        self._steps(runner, run)

    def _make_ready(self, run: JournalRun) -> None:
        """Wake the bench and warm it up where the run is about to use it: people need neither."""
        if not self._choice.uses_next(run):
            return
        evidence: dict[str, Any] = {EvidenceKey.NOT_EXECUTED: True} if run.status is RunStatus.DISPATCHED else {}
        doing = "woken"
        try:
            self._wake_bench()
            doing = "warmed up"
            self._parker.warm(f"run {run.run_key}")
        except InstrumentError as error:
            raise RunEnded(RunStatus.FAILED, f"the bench could not be {doing}: {error}", evidence=evidence) from error
        self._host.idle_state.begin_run()

    def _wake_bench(self) -> None:
        """Go through the start-up steps again: after a safe state a device may have been switched off, or another one be there."""
        if self._asleep:
            self._host.wires.open(tick=self._tick)
            self._asleep = False

    def _set_again(self, runner: StepRunner, run: JournalRun) -> None:
        """Make a run's settings again where the bench was made safe while it waited, if its step allows for that."""
        since = self._choice.unset_since(run.run_key)
        if since is None:
            return
        broken = interruption(run, self._host.clock.lab() - since, what="since the bench was made safe")
        if not broken.may_go_on:
            raise RunEnded(RunStatus.FAILED, broken.reason)
        runner.reassert([known for known in run.steps if known.is_setting])
        self._choice.forget_unset(run.run_key)

    def _steps(self, runner: StepRunner, run: JournalRun) -> None:
        for known in run.steps:
            if known.status is StepStatus.PLANNED:
                self._checkpoint()
                runner.perform(known.step)

    def _complete(self, runner: StepRunner) -> None:
        runner.finish_doses()
        run = self._run_ends.run(runner.request.run_key)
        status, reason = classify(self._host.bench, run.evidence.get("code"), self._host.journal.readings(run.run_key))
        if status is not RunStatus.COMPLETED:
            raise RunEnded(status, reason or "")
        self._host.journal.commit(Transition(run.run_key, status, lab=self._host.clock.lab()))
        logger.info("run %s is completed", run.run_key)

    def _end_early(self, ended: RunEnded) -> None:
        """Cancel what runs, drive the safe state, then record the end; a run that only people took part in leaves the bench alone."""
        run = self._run_ends.run(self._in_hand or "")
        evidence = ended.evidence or (not_executed_evidence(run) if run.status is RunStatus.DISPATCHED else {})
        logger.warning("run %s ends %s: %s", run.run_key, ended.status, ended.reason)
        if not _is_of_people_alone(run):
            self._run_ends.cancel(run)
            self.make_safe(f"run {run.run_key} ended {ended.status}: {ended.reason}", asked=True)
        with self.answers.lock:
            if ended.status is not RunStatus.UNKNOWN:
                self._run_ends.close_steps(self._run_ends.run(run.run_key), ended.reason)
            lab = self._host.clock.lab()
            self._host.journal.commit(Transition(run.run_key, ended.status, reason=ended.reason, lab=lab, evidence=evidence))
        self._choice.forget_unset(run.run_key)

    # ----------------------------------------------------------------- after an interruption

    def _recover(self) -> None:
        """Settle what an earlier life left open; runs that wait for people first, since they are soon put aside again."""
        running = self._host.journal.runs(RunStatus.RUNNING)
        for run in sorted(running, key=lambda one: one.waiting is None):
            if not _is_of_people_alone(run):
                self._execute(run.run_key, self._resume)
        self._recheck_unknown()

    def _resume(self, runner: StepRunner, run: JournalRun) -> None:
        since = self._choice.unset_since(run.run_key)
        gap = self._gap if since is None else max(self._gap, self._host.clock.lab() - since)
        logger.warning("run %s was interrupted %.1f lab s ago", run.run_key, gap)
        self._checkpoint()
        self._run_ends.raise_old_end(run)
        attach = Reconciler(runner, run, gap).decide_open_steps()
        run = self._run_ends.run(run.run_key)
        busy = {known.step.instrument for known in attach if known.step.kind in ONCE}
        runner.reassert([known for known in run.steps if known.is_setting and known.step.instrument not in busy])
        self._choice.forget_unset(run.run_key)
        self.ready.set()
        for known in attach:
            runner.attach(known)
        self._steps(runner, self._run_ends.run(run.run_key))

    def _recheck_unknown(self) -> None:
        self._rechecked = time.monotonic()
        for run in self._host.journal.runs(RunStatus.UNKNOWN):
            with self._verdict_lock:
                if self._run_ends.run(run.run_key).status is RunStatus.UNKNOWN:
                    self._run_ends.adopt_late(run, {})

    # ----------------------------------------------------------------- an idle bench

    def _attend(self) -> None:
        if time.monotonic() - self._rechecked > RECHECK_EVERY:
            self._recheck_unknown()
        for complaint in self._host.wires.take_complaints().values():
            self.make_safe(complaint, asked=False)  # the next run arms everything anew
        times = self._host.bench.spec.bench
        if self._host.heartbeats.silence > times.grace and not self._asleep:
            self.make_safe(f"no campaign for {times.grace:g} s", asked=False)
        self._look_after_settings()
        if self._host.heartbeats.silence > times.idle_exit:
            logger.info("no work for %g s: leaving", times.idle_exit)
            self._leaving.set()

    def _look_after_settings(self) -> None:
        """Park the bench when it is due, or warm it up as somebody asked; what cannot be done makes the bench safe."""
        with self._upkeep:
            wanted = self._warmth_wanted.is_set()
            self._warmth_wanted.clear()
            if self._host.latch.state is not None or self._leaving.is_set():
                return
            try:
                if wanted:
                    self._parker.warm("asked for")
                elif self._parker.due:
                    self._parker.park()
            except (InstrumentError, RunEnded) as error:
                doing = "warmed up" if wanted else "parked"
                self._host.journal.note("upkeep-failed", {"doing": doing, "reason": str(error)})
                self.make_safe(f"the bench could not be {doing}: {error}", asked=self._ends_now())


def _is_of_people_alone(run: JournalRun) -> bool:
    """Whether people were asked and nothing else of the run was begun."""
    begun = [one.step.kind for one in run.steps if one.status not in (StepStatus.PLANNED, StepStatus.SKIPPED)]
    return bool(begun) and all(kind is StepKind.PERSON for kind in begun)
