"""A device that nobody simulated, made from its declaration: what was set is shown, followed or counted, the rest is measured.

No witness: it does what the declaration says, and would be wrong wherever that is wrong. What it adds is guessed by rules:

- a number that is not a setting's own readback follows the last setting in its unit, with a lag;
- a counter grows evenly while a dose lasts; a dose lasts as long as its rate says, where one is set, else `dose_s`;
- a safe action ends doses and switches the device off: what follows settings goes back to rest, 22 degC or 0, until a
  channel that shows the switch says otherwise, or, where none does, until the next command;
- what the procedure reads and nothing of this says is measured (`simulators.responses`); all else is 0, or a text of the
  declared shape.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from typing_extensions import override

from orchestrator.errors import BadInput
from orchestrator.units import convert
from simulators.body import Body
from simulators.clock import Moment
from simulators.declarations import Declaration, DeclaredChannel, DeclaredCommand, StandInSection, Value
from simulators.responses import Room
from simulators.setting import Setting
from simulators.truth import PhysicalEvent, Record, TruthValue

logger = logging.getLogger(__name__)

_AMBIENT_DEGC: Final = 22.0
_SLACK: Final = 1e-6
"""Relative excess over a range that the rounding of numbers on a wire explains."""
_DOSE_S: Final = 5.0
_COUNTS: Final = 1e6
"""Counts at which a counter begins that counts down."""
_HALF: Final = 0.5
"""Where a dose that fails ends."""


@dataclass(slots=True)
class Dose:
    """A dose or a program under way, or the last one."""

    command: str
    began: float
    lasts: float
    """Lab s."""
    grows: Mapping[str, float]
    """Channel -> by how much."""
    ends: float
    """Lab s at which it ends: earlier than it lasts where it fails."""
    reason: str | None = None
    """Why it ends short."""
    is_over: bool = False

    def share(self, lab_s: float) -> float:
        """Return how much of it is done."""
        return min(1.0, max(0.0, (min(lab_s, self.ends) - self.began) / self.lasts))


class StandIn(Body):
    """What all stand-ins do alike; how they are asked is their subclasses'."""

    FAULTS = frozenset({"power-cycle"})

    def __init__(self, name: str, options: Mapping[str, Any], record: Record, random: np.random.Generator) -> None:
        """Switch it on; `options` holds its declaration, its section of the plant file and the plant's room."""
        self.declared: Declaration = options["declaration"]
        self.section: StandInSection = options["section"]
        self.room: Room = options["room"]
        self._boots = 0
        self._of_units = {
            argument.unit: True
            for command in self.declared.commands.values()
            if command.kind == "state-setting"
            for argument in command.arguments.values()
            if argument.unit
        }
        super().__init__(name, options, record, random)

    # ----------------------------------------------------------------- its state

    @override
    def switch_on(self) -> None:
        commands = self.declared.commands.values()
        shown = {channel for one in commands for channel in (*one.shows, *one.sets)} | {
            key for one in self.declared.safe.values() for key in one
        }
        self._boots += 1
        self._shown: dict[str, Value | None] = {name: self._at_rest(name) for name in self.declared.channels if name in shown}
        self._counters = {name: self._counter_at_start(name) for one in commands for name in one.counts}
        self._busy_says = {name: (says, self.busy_value(name, says)) for one in commands for name, says in one.done.items()}
        self._followed: dict[str, float] = {}
        self._values = {name: self.rest(one.unit) for name, one in self.declared.channels.items() if self._follows(name)}
        self.dose: Dose | None = None
        self.doses = 0
        self._is_off = False
        self._watch: float | None = None
        self._heard = 0.0

    def _counter_at_start(self, channel: str) -> float:
        """Return 0; what counts down on the wire begins so high that it never runs out."""
        scale = self.declared.profile.get("channels", {}).get(channel, {}).get("scale", 1.0)
        return _COUNTS * scale if scale < 0.0 else 0.0

    def busy_value(self, channel: str, idle: Value) -> Value:  # noqa: ARG002 - a text may know of others
        """Return what a channel says while a dose is under way, given what it says else."""
        return "busy" if isinstance(idle, str) else 0.0 if idle else 1.0

    @staticmethod
    def rest(unit: str) -> float:
        """Return the value in the unit of a device that does nothing: 22 degC or 0."""
        try:
            return convert(_AMBIENT_DEGC, "degC", unit) if unit else 0.0
        except BadInput:
            return 0.0

    def _at_rest(self, channel: str) -> Value | None:
        one = self.declared.channels[channel]
        return None if one.text else self.rest(one.unit)

    def _follows(self, channel: str) -> bool:
        one, commands = self.declared.channels[channel], self.declared.commands.values()
        is_known = any(channel in (*of.shows, *of.sets, *of.counts, *of.done) for of in commands)
        return not one.text and one.unit in self._of_units and not is_known and f"{self.name}.{channel}" not in self.room.declared

    @property
    def is_off(self) -> bool:
        """Whether a safe action has switched it off."""
        switches = {name: value for shown in self.declared.safe.values() for name, value in shown.items()}
        if switches:
            return all(_same(self._shown.get(name), value) for name, value in switches.items())
        return self._is_off

    @property
    def is_busy(self) -> bool:
        """Whether a dose or a program is under way."""
        return self.dose is not None and not self.dose.is_over

    def value(self, channel: str) -> Value | None:
        """Return what a channel says; None for a text of which nothing is known, and where there is no value."""
        one, full = self.declared.channels[channel], f"{self.name}.{channel}"
        if full in self.room.declared:
            return self._measured(full, one)
        if (told := self.told_by(channel)) is not None:
            return told if one.text else _number(told)
        if channel in self._busy_says:
            return self._busy_says[channel][int(self.is_busy)]
        if channel in self._counters:
            return self._counters[channel] + self._grown(channel)
        if channel in self._shown:
            return self._shown[channel]
        if channel in self._values:
            return self._values[channel]
        if one.text:
            return self.room.word(full, Setting(values=one.values)) if one.measured and not self.declared.profile else None
        return self._measured(full, one) if one.measured else self.rest("")

    def _measured(self, full: str, channel: DeclaredChannel) -> float | None:
        try:
            return self.room.answer(full, channel.unit, self.lab_s, Setting(channel.low, channel.high))
        except BadInput as error:  # a laboratory's own function
            logger.error("%s has no value: %s", full, error)
            return None

    def _grown(self, channel: str) -> float:
        return self.dose.grows.get(channel, 0.0) * self.dose.share(self.lab_s) if self.dose is not None and not self.dose.is_over else 0.0

    # ----------------------------------------------------------------- time

    @override
    def live(self, now: Moment) -> None:
        super().live(now)
        if self._watch is not None and now.wall - self._heard > self._watch:
            self._watch = None
            self._let_go("watchdog")

    @override
    def advance(self, lab_s: float) -> None:
        for name, value in self._values.items():
            unit = self.declared.channels[name].unit
            target = self.rest(unit) if self.is_off else self._followed.get(unit, self.rest(unit))
            self._values[name] = target + (value - target) * math.exp(-(lab_s - self.lab_s) / self._lag(unit))
        if self.dose is not None and not self.dose.is_over and lab_s >= self.dose.ends:
            self._end_dose(self.dose.ends, self.dose.reason or "completed")

    def _lag(self, unit: str) -> float:
        return self.section.lag_s or (60.0 if self.rest(unit) else 1.0)

    @override
    def next_change(self) -> float | None:
        return self.dose.ends if self.dose is not None and not self.dose.is_over else None

    @override
    def describe(self) -> Mapping[str, TruthValue]:
        busy: TruthValue = self.dose.command if self.dose is not None and self.is_busy else None
        values = {name: value for name, value in (self._values | self._shown).items() if value is not None}
        return {**values, **{name: self.value(name) for name in self._counters}, "busy": busy, "off": self.is_off, "stand_in": True}

    # ----------------------------------------------------------------- commands

    def hear(self, *, seconds: float | None = None) -> None:
        """Feed the watchdog, or arm it with so many wall seconds."""
        self._heard = self.now().wall
        self._watch = seconds or self._watch

    def refusal(self, command: str, values: Mapping[str, Value]) -> str | None:
        """Say why a command is not carried out; None where it is."""
        spec = self.declared.commands[command]
        for name, value in values.items():
            if (argument := spec.arguments.get(name)) is None:
                continue
            if argument.values and value not in argument.values:
                return f"{name} = {value!r}"
            if not isinstance(value, str) and not _lies_within(value, argument.low, argument.high):
                return f"{name} = {value:g}"
        return "busy" if spec.kind != "state-setting" and self.is_busy else None

    def take(self, command: str, values: Mapping[str, Value], *, run_key: str | None = None, switches_on: bool = True) -> str | None:
        """Carry a command out; return why not where it is refused, and nothing has happened."""
        reason = self.refusal(command, values)
        if reason is not None:
            return reason
        spec = self.declared.commands[command]
        for name, value in values.items():
            self.room.set(f"{self.name}.{command}.{name}", value)
        if spec.kind == "state-setting":
            self._tell("setpoint", spec, values, run_key, command=command)
        else:
            self._begin(command, spec, values, run_key)
        self._shown.update({channel: values[argument] for channel, argument in spec.shows.items() if argument in values})
        self._shown.update(spec.sets)
        if spec.kind == "state-setting":
            units = {name: argument.unit for name, argument in spec.arguments.items() if argument.unit}
            self._followed |= {units[name]: value for name, value in values.items() if name in units and not isinstance(value, str)}
        self._is_off = self._is_off and not switches_on
        return None

    def _begin(self, command: str, spec: DeclaredCommand, values: Mapping[str, Value], run_key: str | None) -> None:
        grows = {channel: self._amount(by, values) for channel, by in spec.counts.items()}
        fails = self.room.luck(self.name) < self.section.failures
        lasts = self._lasts(spec, values)
        ends = self.lab_s + lasts * (_HALF if fails else 1.0)
        self.dose, self.doses = Dose(command, self.lab_s, lasts, grows, ends, self.section.reason if fails else None), self.doses + 1
        self._tell("dose", spec, values, run_key, phase="start", command=command)

    @staticmethod
    def _amount(by: str | float, values: Mapping[str, Value]) -> float:
        return float(values.get(by, 0.0)) if isinstance(by, str) else by

    def _lasts(self, spec: DeclaredCommand, values: Mapping[str, Value]) -> float:
        """Return the lab s of a dose: its amount over the rate that is set, where there is one that fits."""
        for name, argument in spec.arguments.items():
            for unit, rate in self._followed.items():
                amount = values.get(name)
                if argument.unit and isinstance(amount, float | int) and rate > 0.0 and amount > 0.0:
                    try:
                        return amount / convert(rate, unit, f"({argument.unit})/s")
                    except BadInput:
                        continue
        return self.section.dose_s or _DOSE_S

    def _end_dose(self, lab_s: float, cause: str) -> None:
        dose = self.dose
        if dose is None or dose.is_over:
            return
        share = dose.share(lab_s)
        for channel, amount in dose.grows.items():
            self._counters[channel] += amount * share
        dose.is_over = True
        if share < 1.0:
            dose.reason = dose.reason or cause
        self._record(PhysicalEvent(lab_s, self.name, "dose", {"phase": "end", "command": dose.command, "cause": cause, "share": share}))

    def cancel(self) -> None:
        """End a dose or a program."""
        self._end_dose(self.lab_s, "cancelled")

    def make_safe(self, action: str) -> None:
        """Carry a safe action out."""
        self._end_dose(self.lab_s, "stopped")
        self._shown.update(self.declared.safe.get(action, {}))
        self._is_off = True
        self.log("safe-state", cause=action)

    def _let_go(self, cause: str) -> None:
        for shown in self.declared.safe.values():
            self._shown.update(shown)
        self._is_off = True
        self._end_dose(self.lab_s, cause)
        self.log("safe-state", cause=cause)

    def _tell(self, event: str, spec: DeclaredCommand, values: Mapping[str, Value], run_key: str | None, **more: TruthValue) -> None:
        named = {_with_unit(name, spec.arguments[name].unit if name in spec.arguments else None): value for name, value in values.items()}
        self._record(PhysicalEvent(self.lab_s, self.name, event, {**more, **named}, run_key))

    # ----------------------------------------------------------------- what it says of itself

    @property
    def identity(self) -> dict[str, str]:
        """What it is, by the words of a profile: model and serial number as the bench file has them, the number of power-ups."""
        known = {"model": self.declared.model, "serial_number": self.declared.serial_number, "boot_id": str(self._boots)}
        return {name: one for name, one in known.items() if one is not None}

    def told_by(self, channel: str) -> str | None:
        """Return what a channel says that tells who the device is; None for all others."""
        asked = self.declared.profile.get("identity") or {}
        return next((self.identity[key] for key in self.identity if asked.get(key) == channel and key != "model"), None)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _same(one: Value | None, other: Value) -> bool:
    return one is not None and str(one) == str(other) if isinstance(other, str) or isinstance(one, str) else one == other


def _lies_within(value: float, low: float | None, high: float | None) -> bool:
    slack = _SLACK * max(abs(value), abs(low or 0.0), abs(high or 0.0))
    return math.isfinite(value) and (low is None or value >= low - slack) and (high is None or value <= high + slack)


def _with_unit(name: str, unit: str | None) -> str:
    return f"{name}_{unit.replace('/', '_per_')}" if unit else name
