"""How a run talks to its devices: again after silence, through lost links, and for evidence after a doubtful command."""

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from instruments.bench.file import BenchFile
from instruments.bench.wires import Wires
from instruments.drivers.protocol import Call, Driver, Finding, StepVerdict
from instruments.host.gate import Gate
from instruments.host.journal import Journal
from orchestrator.clock import Clock
from orchestrator.domain.lifecycle import RunStatus, StepKind
from orchestrator.domain.records import Reading, RunRequest, Step
from orchestrator.errors import InstrumentError, LinkError, OutcomeUnknown, ProtocolError, Sent

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
RESENDS: Final = 2
"""How often a command that certainly did nothing, or that may be repeated, is sent again."""
_JITTER: Final = (0.05, 0.25)
"""Wall seconds between attempts, drawn at random, so that two hosts on one bus do not repeat in step."""
RECONNECT_FOR: Final = 30.0
"""Wall seconds for which a lost link under a running dose or program is opened anew before a person is asked."""
RECONNECT_EVERY: Final = 1.0
FIND_SECONDS: Final = 5.0
"""Wall seconds that a device may take to say what became of a step while nothing else depends on it."""
ONCE: Final = frozenset({StepKind.DOSING, StepKind.PROGRAM})
RESENDABLE: Final = (LinkError, ProtocolError, OutcomeUnknown)
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
class DeviceAccess:
    """The devices, as one run sees them."""

    tools: Tools
    request: RunRequest
    reopened: set[str] = field(default_factory=set)
    """Instruments whose link was opened anew during the run: their settings may be gone."""

    def call(self, step: Step) -> Call:
        """Return the driver's view of a step."""
        request = self.request
        return Call(step.command, step.arguments, request.run_key, request.campaign, request.position, step.index)

    def on(self, step: Step, work: Callable[[Driver], _T]) -> _T:
        """Do something with a step's driver once."""
        instrument = instrument_of(step)
        return self.tools.wires.of(instrument).call(instrument, work, tick=self.tools.tick)

    def set(self, step: Step) -> Mapping[str, float | str]:
        """Send a setting, through a lost link too; return what was sent."""
        call = self.call(step)
        return self.patiently(step, lambda driver: driver.perform(call))

    def again(self, instrument: str, work: Callable[[Driver], _T]) -> _T:
        """Ask something that changes nothing, again after a silent or garbled answer."""
        wire = self.tools.wires.of(instrument)
        for left in reversed(range(RESENDS + 1)):
            self.tools.checkpoint()
            try:
                return wire.call(instrument, work, tick=self.tools.tick)
            except RESENDABLE as error:
                if left == 0:
                    raise
                logger.warning("run %s: asking %s again after: %s", self.request.run_key, instrument, error)
                self.tools.pause(random.uniform(*_JITTER))
                if left == 1 and isinstance(error, LinkError):
                    self._open_again(instrument)
        raise AssertionError  # the loop returns or raises

    def read(self, channels: Sequence[str]) -> tuple[Reading, ...]:
        """Read `instrument.channel` names now, device by device.

        Raises:
            InstrumentError: A device did not answer.
        """
        wanted: dict[str, list[str]] = {}
        for name in channels:
            instrument, _, channel = name.partition(".")
            wanted.setdefault(instrument, []).append(channel)
        readings: list[Reading] = []
        for instrument, names in wanted.items():
            readings += self.again(instrument, _reading(names))
        return tuple(readings)

    def patiently(self, step: Step, work: Callable[[Driver], _T]) -> _T:
        """Ask, or set, through a lost link, opening it anew.

        Raises:
            OutcomeUnknown: It stayed lost.
        """
        deadline = time.monotonic() + RECONNECT_FOR
        while True:
            self.tools.checkpoint()
            try:
                return self.on(step, work)
            except RESENDABLE as error:
                if time.monotonic() > deadline:
                    message = f"{step.instrument} cannot be asked what became of it: {error}"
                    raise OutcomeUnknown(message, sent=Sent.MAYBE) from error
                self.tools.pause(RECONNECT_EVERY)
                self.recover(step, error)

    def recover(self, step: Step, error: InstrumentError) -> None:
        """Pause after an error, and open the link anew when it was lost."""
        self.tools.pause(random.uniform(*_JITTER))
        self.tools.checkpoint()
        if isinstance(error, LinkError):
            self._open_again(instrument_of(step))

    def _open_again(self, instrument: str) -> None:
        try:
            self.tools.wires.of(instrument).open(tick=self.tools.tick)
        except RESENDABLE as error:
            logger.warning("the link of %s is still lost: %s", instrument, error)
        else:
            self.reopened |= self.tools.wires.neighbours(instrument)

    # ----------------------------------------------------------------- evidence

    def find(self, step: Step, baseline: Mapping[str, Any]) -> Finding:
        """Ask the device what became of a step; "not executed" only after its longest queueing time.

        Raises:
            OutcomeUnknown: The device cannot be asked.
        """
        call = self.call(step)
        finding = self.patiently(step, lambda driver: driver.reconcile(call, baseline))
        queueing = self.tools.bench.driver(instrument_of(step)).LONGEST_QUEUEING
        if finding.verdict is StepVerdict.NOT_EXECUTED and queueing > 0:
            self.tools.pause(queueing)
            finding = self.patiently(step, lambda driver: driver.reconcile(call, baseline))
        return finding

    def find_now(self, step: Step, baseline: Mapping[str, Any]) -> Finding:
        """Ask the device once what became of a step, in every state of the bench and from any thread.

        Raises:
            InstrumentError: The device does not answer.
        """
        call, instrument = self.call(step), instrument_of(step)
        wire = self.tools.wires.of(instrument)
        return wire.attempt(instrument, lambda driver: driver.reconcile(call, baseline), seconds=FIND_SECONDS)


def instrument_of(step: Step) -> str:
    """Return the instrument of a step that acts on one."""
    if step.instrument is None:
        raise AssertionError(f"step {step.index} {step.do} has no instrument")
    return step.instrument


def _reading(channels: Sequence[str]) -> Callable[[Driver], tuple[Reading, ...]]:
    return lambda driver: driver.read(channels)
