"""Seeded faults, injected from outside the wire and triggered by commands."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from simulators.truth import PhysicalEvent, Record


class FaultKind(StrEnum):
    """What goes wrong."""

    NO_REPLY = "no-reply"
    """The device is hung: it neither acts nor answers."""
    REQUEST_LOST = "request-lost"
    """The bytes never reach the device."""
    REPLY_LOST = "reply-lost-after-execution"
    LATE_REPLY = "late-reply"
    """The device acts at once and answers `delay_s` (wall) later, into whatever is asked then."""
    ACKNOWLEDGE_AND_IGNORE = "acknowledge-and-ignore"
    HALF_FRAME = "half-frame"
    BYTE_FLIP = "byte-flip"
    POWER_CYCLE = "power-cycle"
    STALL = "stall"
    """A pump's motor is blocked; an oven's heating element is dead until `repair`."""
    SENSOR_BREAK = "sensor-break"
    """An oven's sensor is broken until `repair`."""
    WRONG_TEMPLATE = "wrong-template"
    """An unknown template is silently replaced by the first one."""
    START_REPLY_LOST = "start-reply-lost"
    PROGRAM_FAILURE = "program-failure"
    """The program ends with outcome `code`."""
    ABORT_MID_RUN = "abort-mid-run"
    BAD_STATUS = "bad-status"
    """The sample spectrum comes with a Bad status code."""
    STATE_BAD = "state-bad"
    """After a start the unit's state is Bad for `delay_s` (wall): BadWaitingForInitialData."""
    TRANSLATED = "translated-states"
    """A server speaks German of its states, until `repair`."""


PLATFORM_KINDS = frozenset(
    {
        FaultKind.WRONG_TEMPLATE,
        FaultKind.START_REPLY_LOST,
        FaultKind.PROGRAM_FAILURE,
        FaultKind.ABORT_MID_RUN,
        FaultKind.BAD_STATUS,
        FaultKind.STATE_BAD,
        FaultKind.TRANSLATED,
        FaultKind.LATE_REPLY,
        FaultKind.POWER_CYCLE,
    }
)
SERIAL_KINDS = frozenset(FaultKind) - PLATFORM_KINDS | {FaultKind.POWER_CYCLE, FaultKind.LATE_REPLY}
PUMP_KINDS = SERIAL_KINDS - {FaultKind.SENSOR_BREAK}
BODILY_KINDS = frozenset({FaultKind.POWER_CYCLE, FaultKind.STALL, FaultKind.SENSOR_BREAK, FaultKind.TRANSLATED})
"""Faults that need no command to happen."""


class FaultSpec(BaseModel):
    """One fault as written in a plant file or sent through the back door."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    device: str
    fault: FaultKind
    pattern: str = "*"
    """Shell pattern over the command's text: `RUN`, `RAT*`, `write 2 *`, `start Characterise`."""
    nth: int = Field(default=1, ge=1)
    """First matching command that is hit; 1 is the next one."""
    count: int = Field(default=1, ge=0)
    """How many commands are hit; 0 = until cleared."""
    probability: float = Field(default=1.0, gt=0.0, le=1.0)
    """Chance of each matching command from the nth on."""
    now: bool = False
    """Happen at once, without a command: power-cycle, stall, sensor-break and translated-states only."""
    delay_s: float = Field(default=0.5, ge=0.0)
    """Wall s, of a late reply and of a state that is Bad."""
    only: Literal["any", "out-of-range"] = "any"
    """Of acknowledge-and-ignore: which set commands are ignored."""
    code: str = "failed"
    """Of program-failure: the outcome."""


@dataclass(slots=True)
class _Armed:
    spec: FaultSpec
    seen: int = 0
    hits: int = 0


class FaultBook:
    """The armed faults of a plant."""

    def __init__(self, record: Record, lab_now: Callable[[], float], rng: np.random.Generator) -> None:
        self._record = record
        self._lab_now = lab_now
        self._rng = rng
        self._armed: list[_Armed] = []

    def arm(self, spec: FaultSpec) -> None:
        """Add a fault; one that happens at once is only recorded, its doing is the caller's."""
        self._note(spec, "injected", "")
        if not spec.now:
            self._armed.append(_Armed(spec))

    def clear(self, device: str | None = None) -> None:
        """Remove the armed faults of one device, or all."""
        self._armed = [armed for armed in self._armed if device not in (None, armed.spec.device)]

    def pending(self) -> tuple[FaultSpec, ...]:
        """List the armed faults."""
        return tuple(armed.spec for armed in self._armed)

    def take(self, device: str, command: str, kinds: frozenset[FaultKind] = frozenset(FaultKind)) -> FaultSpec | None:
        """Find the fault that hits this command, if any; it is then recorded."""
        for armed in self._armed:
            if armed.spec.device == device and armed.spec.fault in kinds and self._hits(armed, command):
                self._note(armed.spec, "triggered", command)
                return armed.spec
        return None

    def flip(self, frame: bytes) -> bytes:
        """Damage one bit of a frame."""
        place, bit = int(self._rng.integers(len(frame))), int(self._rng.integers(8))
        return frame[:place] + bytes([frame[place] ^ 1 << bit]) + frame[place + 1 :]

    def _hits(self, armed: _Armed, command: str) -> bool:
        if not fnmatchcase(command, armed.spec.pattern):
            return False
        armed.seen += 1
        if armed.seen < armed.spec.nth or self._rng.random() >= armed.spec.probability:
            return False
        armed.hits += 1
        if armed.hits == armed.spec.count:
            self._armed.remove(armed)
        return True

    def _note(self, spec: FaultSpec, phase: str, command: str) -> None:
        values = {"fault": spec.fault.value, "phase": phase, "command": command}
        self._record(PhysicalEvent(self._lab_now(), spec.device, "fault", values))
