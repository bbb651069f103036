"""A program on a LADS unit, from its start to its end: what was asked for, what runs, what is proven."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from instruments.drivers.lads_paths import STARTED, UnitPaths
from instruments.drivers.lads_programs import Programs
from instruments.drivers.lads_results import LadsResult, ResultTable, node_reading
from instruments.drivers.lads_states import ABORTED, AT_REST, RUNNING, STOPPED, StateMachine, within
from instruments.drivers.protocol import Call, Finding, Outcome, Progress, Settings, StepVerdict
from instruments.transport.base import Name, NodeTransport
from orchestrator.clock import Clock
from orchestrator.domain.records import Reading
from orchestrator.errors import DeviceError, InstrumentError, LinkError, Sent

logger = logging.getLogger(__name__)

FOLLOWS: Final = 5.0
"""Wall seconds within which a device leaves a state after a method."""
LONGEST_SESSION: Final = 10.0
"""Wall seconds that our transport asks a server to keep a vanished client's session."""
MARGIN: Final = 2.0
"""Wall seconds added to a session's granted time: the server looks for dead ones now and then."""
_START: Final = 1.0
"""Wall seconds within which an acknowledged start shows in state or result, and a state that is not said is said again."""
_COMPLETED: Final = "completed"
_MOVING: Final = (RUNNING, "Stopping", "Aborting", "Clearing")
"""States of a unit that has a program in hand."""


class ProgramRuns:
    """The programs that one unit has run, runs, and is asked to run."""

    def __init__(self, transport: NodeTransport, paths: UnitPaths, settings: Settings, clock: Clock, outcome: Name) -> None:
        """Bind it; nothing is sent.

        Args:
            transport: The server.
            paths: Of the unit.
            settings: Of the instrument.
            clock: The bench's.
            outcome: Name of the vendor's variable for how a run ended.
        """
        self._transport = transport
        self._settings = settings
        self._clock = clock
        self.machine = StateMachine(transport, paths.state)
        self._programs = Programs(transport, paths, settings.name)
        self._results = ResultTable(transport, paths.results, outcome)
        self._aborted: set[str] = set()

    def boot_id(self) -> str | None:
        """Get when the server was started, which changes with each power-up; None where it does not say."""
        (started,) = self._transport.look([STARTED])
        return started.value.isoformat() if started is not None and isinstance(started.value, datetime) else None

    def state(self) -> str:
        """Get the unit's state, waiting a moment where the device does not say it.

        Raises:
            DeviceError: It still does not say it.
        """
        within(_START, lambda: self.machine.state() is not None)
        return self.machine.reading(self._settings.name)[1]

    # ----------------------------------------------------------------- start

    def start(self, call: Call) -> Mapping[str, float | str]:
        """Run a program template under our run key, once.

        Raises:
            InstrumentError: `sent` no up to StartProgram, maybe while it is called, yes once it was acknowledged.
        """
        template = str(call.arguments["template"])
        try:
            self._refuse_unready(template)
            place, arguments = self._programs.prepare(call, template)
        except InstrumentError as error:
            raise told_as(error, f"{error}; the program was not started", Sent.NO) from error
        self._programs.start(place, arguments)
        try:
            self._compare_started(call, template)
        except InstrumentError as error:
            raise told_as(error, f"{error}; StartProgram was acknowledged before", Sent.YES) from error
        return dict(call.arguments)

    def _refuse_unready(self, template: str) -> None:
        offered = self._programs.templates()
        if template not in offered:
            message = f"{self._settings.name} has no program {template!r}; it offers {', '.join(sorted(offered)) or 'none'}"
            raise DeviceError(message, sent=Sent.NO)
        if (state := self.state()) != STOPPED:
            raise DeviceError(f"{self._settings.name} is {state}; expected Stopped before a program (`clear` leaves Aborted)", sent=Sent.NO)

    def _compare_started(self, call: Call, template: str) -> None:
        """Check that the acknowledged program is the one that was asked for, and that it is there at all."""
        within(_START, lambda: self.machine.state() in _MOVING or self._results.find(call.run_key) is not None)
        result = self._results.find(call.run_key)
        active, run_id = self._programs.active()
        state = self.machine.state()
        name = self._settings.name
        if result is None and state in AT_REST:
            message = f"{name} acknowledged StartProgram {template!r} but is {state} and has no result of task {call.run_key}"
            raise DeviceError(message, sent=Sent.YES)
        started = {result.template} if result is not None else set()
        if state == RUNNING and (result is None or _is_active(result, run_id)):
            started.add(active)
        if wrong := sorted(one for one in started if one not in (template, None)):
            raise DeviceError(f"{name} acknowledged program {template!r} but runs {', '.join(map(repr, wrong))}", sent=Sent.YES)

    # ----------------------------------------------------------------- how it stands

    def outcome(self, call: Call, baseline: Mapping[str, Any]) -> Outcome:
        """Get how our program stands.

        The state is read before the result, because a device completes the result before it leaves the state.
        """
        within(_START, lambda: self.machine.state() in _MOVING or self._has_ended(call))
        state = self.machine.state()
        run_id = self._programs.active()[1]
        result = self._results.find(call.run_key)
        if result is not None:
            return self._outcome_of(call, result, run_id, state)
        if state not in AT_REST:
            return Outcome(Progress.RUNNING)
        restarted = baseline.get("boot_id") not in (None, self.boot_id())
        return Outcome(Progress.FAILED, "restarted" if restarted else "result-lost")

    def _has_ended(self, call: Call) -> bool:
        result = self._results.find(call.run_key)
        return result is not None and result.stopped is not None

    def _outcome_of(self, call: Call, result: LadsResult, run_id: str | None, state: str | None) -> Outcome:
        if result.template not in (call.arguments["template"], None):
            return Outcome(Progress.FAILED, "wrong-template")
        going_on = state == RUNNING and _is_active(result, run_id)
        if going_on or (result.stopped is None and state not in AT_REST):
            return Outcome(Progress.RUNNING)
        if result.stopped is None:
            return Outcome(Progress.FAILED, "interrupted", self._readings(result))
        word = result.outcome or ("aborted" if state == ABORTED or call.run_key in self._aborted else None)
        finished = word in (None, _COMPLETED)
        return Outcome(Progress.FINISHED if finished else Progress.FAILED, word, self._readings(result))

    def _readings(self, result: LadsResult) -> tuple[Reading, ...]:
        found = self._results.variables(result)
        return tuple(node_reading(self._settings, self._clock, name, value, unit) for name, value, unit in found)

    # ----------------------------------------------------------------- evidence

    def baseline(self) -> Mapping[str, Any]:
        """Get power-up, state, the results there are, and for how long the server remembers this session."""
        now = self._clock.now().wall
        return {
            "boot_id": self.boot_id(),
            "state": self.state(),
            "results": self._results.count(),
            "active_run": self._programs.active()[1],
            "session": self._transport.session,
            "granted_session": self._transport.granted_session,
            "wall": now.isoformat(),
        }

    def reconcile(self, call: Call, baseline: Mapping[str, Any]) -> Finding:
        """Decide by the result of our task id, the active program, the power-up and the age of the sending session.

        "Not executed" holds once the longest queueing time has passed since the command; where the server keeps sessions for
        longer than that, it is said only when the granted time is over.
        """
        state = self.state()
        run_id = self._programs.active()[1]
        result = self._results.find(call.run_key)
        evidence = self._evidence(baseline, state, run_id, result)
        if result is not None:
            outcome = self._outcome_of(call, result, run_id, state)
            verdict = StepVerdict.RUNNING if outcome.progress is Progress.RUNNING else StepVerdict.FINISHED
            return Finding(verdict, evidence, outcome)
        return Finding(StepVerdict.NOT_EXECUTED if _unmoved(evidence, baseline) else StepVerdict.UNDECIDABLE, evidence)

    def _evidence(self, baseline: Mapping[str, Any], state: str, run_id: str | None, result: LadsResult | None) -> dict[str, Any]:
        age = (self._clock.now().wall - datetime.fromisoformat(str(baseline["wall"]))).total_seconds()
        granted = float(baseline.get("granted_session") or 0.0)
        return {
            "boot_id": self.boot_id(),
            "state": state,
            "results": self._results.count(),
            "active_run": run_id,
            "result": result.run_id if result is not None else None,
            "age": age,
            "session_over": 0.0 < granted + MARGIN <= age,
            "baseline": dict(baseline),
        }

    # ----------------------------------------------------------------- ending

    def cancel(self, call: Call) -> None:
        """Abort our program and clear the unit for the next one; another program, and an abort by others, is left alone."""
        if self.state() != RUNNING:
            return
        result = self._results.find(call.run_key)
        if result is not None and _is_active(result, self._programs.active()[1]):
            self._aborted.add(call.run_key)
            self.abort()
            self.clear()

    def clear(self) -> None:
        """Set an aborted unit to Stopped."""
        if self.state() == ABORTED:
            self._programs.call_first("Clear")
        if not within(FOLLOWS, lambda: self.machine.state() == STOPPED):
            raise DeviceError(f"{self._settings.name} is {self.state()} after Clear; expected Stopped", sent=Sent.YES)

    def abort(self) -> None:
        """Call Abort, or Stop where there is none, unless the unit says that it is at rest; a refusal counts while something runs."""
        if self._is_at_rest():
            return
        try:
            self._programs.call_first("Abort", "Stop")
        except DeviceError as error:
            if not self._is_at_rest():
                raise
            logger.info("%s: nothing to abort: %s", self._settings.name, error)
        if not within(FOLLOWS, self._is_at_rest):
            raise DeviceError(f"{self._settings.name} acknowledged Abort but does not come to rest", sent=Sent.YES)

    def _is_at_rest(self) -> bool:
        state = self.machine.state()
        if state is None:
            logger.warning("%s: state unknown, taken as running", self._settings.name)
        return state in AT_REST


def told_as(error: InstrumentError, message: str, sent: Sent) -> InstrumentError:
    """Return an error of the same kind, with what is known of the command that it belongs to."""
    return (LinkError if isinstance(error, LinkError) else DeviceError)(message, sent=sent)


def _is_active(result: LadsResult, run_id: str | None) -> bool:
    """Say whether a running unit runs a result's program: by the run ids where the device tells both, else while it has no end."""
    return result.run_id == run_id if result.run_id and run_id else result.stopped is None


def _unmoved(evidence: Mapping[str, Any], baseline: Mapping[str, Any]) -> bool:
    """Say whether nothing can have been started since the baseline, nor can be any more."""
    same = all(evidence[key] == baseline.get(key) for key in ("boot_id", "state", "results", "active_run"))
    soon_over = float(baseline.get("granted_session") or 0.0) <= LONGEST_SESSION or evidence["session_over"]
    return same and evidence["boot_id"] is not None and evidence["state"] == STOPPED and bool(soon_over)
