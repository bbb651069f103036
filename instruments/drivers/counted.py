"""Doses whose evidence is a counter of the device: what has left it since it was switched on."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from typing_extensions import override

from instruments.drivers.device import Device
from instruments.drivers.protocol import Call, Finding, Outcome, Progress, StepVerdict
from orchestrator.domain.lifecycle import StepKind
from orchestrator.domain.records import Reading
from orchestrator.errors import DeviceError, Sent

_SHARE: Final = 0.01
"""A dose within 1 % of what was asked is complete."""


class Counted(Device):
    """One device that counts what it doses.

    The counter is read before the intent to dose is journalled. One that has not moved since means that nothing was dosed,
    one that has moved by the dose means that all of it was; anything else nobody can tell. A device that was switched off
    meanwhile counts from zero again: it is known by its `boot_id`, and without one a counter at zero proves nothing.
    """

    COUNTERS: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """Command -> (the channel that counts, the argument by which it grows, in the same unit)."""

    def is_busy(self) -> bool:
        """Ask whether a dose is running."""
        raise NotImplementedError(f"{type(self).__name__} has no is_busy, which says whether a dose is running")

    @override
    def baseline(self, call: Call) -> Mapping[str, Any]:
        counted = {} if call.command not in self.COUNTERS else {"counter": _value(self._counter(call)), "boot_id": self.identify().boot_id}
        return {**super().baseline(call), **counted}

    @override
    def outcome(self, call: Call, baseline: Mapping[str, Any]) -> Outcome:
        """Say how a dose stands; one that has ended short has failed."""
        if call.command not in self.COUNTERS:
            return super().outcome(call, baseline)
        if self.is_busy():
            return Outcome(Progress.RUNNING)
        reading = self._counter(call)
        is_complete = abs(_value(reading) - float(baseline["counter"]) - self._asked(call)) <= self._tolerance(call)
        return Outcome(Progress.FINISHED, "completed", (reading,)) if is_complete else Outcome(Progress.FAILED, "stopped-short", (reading,))

    @override
    def reconcile(self, call: Call, baseline: Mapping[str, Any]) -> Finding:
        if self.COMMANDS[call.command].kind is StepKind.STATE_SETTING or call.command not in self.COUNTERS:
            return super().reconcile(call, baseline)
        busy, boot, counter = self.is_busy(), self.identify().boot_id, _value(self._counter(call))
        evidence = {"busy": busy, "counter": counter, "boot_id": boot, "baseline": dict(baseline)}
        grown, asked, slack = counter - float(baseline["counter"]), self._asked(call), self._tolerance(call)
        same_life = boot == baseline["boot_id"] and (boot is not None or baseline["counter"] > 0)
        if not same_life or not -slack < grown < asked + slack:
            return Finding(StepVerdict.UNDECIDABLE, evidence)
        if busy:
            return Finding(StepVerdict.RUNNING, evidence, Outcome(Progress.RUNNING))
        if abs(grown - asked) <= slack:
            return Finding(StepVerdict.FINISHED, evidence, Outcome(Progress.FINISHED, "completed"))
        return Finding(StepVerdict.NOT_EXECUTED if grown == 0.0 else StepVerdict.UNDECIDABLE, evidence)

    def _counter(self, call: Call) -> Reading:
        (reading,) = self.read([self.COUNTERS[call.command][0]])
        if reading.value is None:
            raise DeviceError(f"{reading.name} is of {reading.quality} quality: a dose has no evidence without it", sent=Sent.NO)
        return reading

    def _asked(self, call: Call) -> float:
        return float(self._counted(call, self.COUNTERS[call.command][1], call.arguments[self.COUNTERS[call.command][1]]))

    def _tolerance(self, call: Call) -> float:
        """Return how far a complete dose may be from what was asked: the counter's grain, or a share."""
        grain = self.COMMANDS[call.command].arguments[self.COUNTERS[call.command][1]].resolution
        return max(grain or 0.0, _SHARE * self._asked(call))


def _value(reading: Reading) -> float:
    return float("nan") if reading.value is None else reading.value
