"""Parks a bench that nobody uses and warms it up again, in the executor's thread, through the same gate as every run.

What stands before is remembered first; then each idle setting is sent and read back. Warming up sends what stood before
and waits for nothing: the procedure itself waits for what it needs.
"""

import logging
from collections.abc import Sequence
from typing import Any

from instruments.host.choosing import RunChoice
from instruments.host.device_access import DeviceAccess, Tools
from instruments.host.idle_state import IdleState
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.domain.records import RunRequest, Step

logger = logging.getLogger(__name__)


class Parker:
    """Carries out the park steps of a bench, and undoes them."""

    def __init__(self, tools: Tools, idle_state: IdleState, steps: Sequence[Step], choice: RunChoice) -> None:
        """Prepare, with the idle settings in `steps`; the idle time counts from now."""
        self._choice = choice
        self._tools = tools
        self._idle_state = idle_state
        self._steps = tuple(steps)
        self._after = tools.bench.spec.bench.park_after
        self._idle_since = tools.clock.lab()

    def begin_idle(self) -> None:
        """Count the idle time from now."""
        self._idle_since = self._tools.clock.lab()

    @property
    def due(self) -> bool:
        """Whether nothing runs or waits, and the bench has been idle for so long; a safe bench is never parked."""
        parked = self._idle_state.parked
        if self._after is None or self._idle_state.safe is not None or self._idle_state.is_parked:
            return False
        interrupted = parked is not None and parked.phase == "parking"
        if not interrupted and self._tools.clock.lab() - self._idle_since < self._after:
            return False
        return not self._choice.in_use

    def park(self) -> None:
        """Make the idle settings; once more from the first when an earlier life was interrupted.

        Raises:
            InstrumentError: A setting could not be made.
            RunEnded: The host leaves, or the bench was stopped or has an alarm.
        """
        known = self._idle_state.parked
        before = known.before if known is not None else self._standing()
        self._idle_state.begin_parking(before, lab=self._tools.clock.lab())
        self._note("parking", before=_shown(before), steps=_shown(self._steps))
        sent = self._send(self._steps)
        self._note("parked", sent=sent)  # before it counts: a kill in between repeats settings, and hides none
        self._idle_state.advance("parked")

    def warm(self, why: str) -> None:
        """Make the settings again that stood before parking; nothing on a bench that is not parked.

        Raises:
            InstrumentError, RunEnded: As in `park`.
        """
        parked = self._idle_state.parked
        if parked is None:
            return
        self._idle_state.advance("warming")
        self._note("warming", why=why, steps=_shown(parked.before))
        sent = self._send(parked.before)
        self._note("warmed", sent=sent)
        self._idle_state.end_parking()
        self.begin_idle()

    def _standing(self) -> tuple[Step, ...]:
        """Return the settings that the last run left on the instruments that parking touches, in their order."""
        run = self._tools.journal.latest(RunStatus.COMPLETED)  # one that ended otherwise has left a safe bench
        if run is None or run.request.bench_sha256 != self._tools.bench.sha256:
            return ()
        touched = {step.instrument for step in self._steps}
        latest = {one.step.do: one.step for one in run.steps if one.is_setting and one.step.instrument in touched}
        return tuple(step.evolve(until=None) for step in sorted(latest.values(), key=lambda one: one.index))

    def _send(self, steps: Sequence[Step]) -> list[dict[str, Any]]:
        request = RunRequest("upkeep", "upkeep", 1, "", 0, self._tools.bench.sha256, tuple(steps))
        devices = DeviceAccess(self._tools, request)
        sent = []
        for step in steps:
            self._tools.checkpoint()
            self._tools.gate.check_step(step, devices.read)
            sent.append({"do": step.do, "sent": dict(devices.set(step))})
        return sent

    def _note(self, kind: str, **detail: Any) -> None:
        logger.info("%s: %s", kind, detail)
        self._tools.journal.note(kind, {"lab": self._tools.clock.lab(), **detail})


def _shown(steps: Sequence[Step]) -> list[dict[str, Any]]:
    return [{"do": step.do, "arguments": step.arguments, "units": step.units} for step in steps]
