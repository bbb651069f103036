"""The safety envelope: declared limits and interlocks as predicates over plain values.

The same envelope bounds the search, gates each expanded procedure before its run is stored, and stands in the host just
before the wire.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from orchestrator.domain.lifecycle import StepKind
from orchestrator.domain.records import Step
from orchestrator.domain.values import Frozen
from orchestrator.errors import InterlockError, LimitError
from orchestrator.expressions import Expression

ROUNDING: Final = 1e-9
"""Share of a limit by which a value may miss it: what arithmetic loses where a proposal lies at a limit, far below any device's step."""


def lies_within(value: float, low: float, high: float) -> bool:
    """Say whether a finite value lies in a closed range, but for rounding: gate and driver must not judge differently."""
    slack = ROUNDING * max((abs(end) for end in (low, high) if math.isfinite(end)), default=0.0)  # an open end has none
    return low <= high and low - slack <= value <= high + slack


@dataclass(frozen=True, slots=True)
class SetpointLimit:
    """A closed range of one argument of one instrument."""

    low: float
    high: float
    unit: str

    def allows(self, value: float) -> bool:
        """Say whether a finite value lies within."""
        return lies_within(value, self.low, self.high)


@dataclass(frozen=True, slots=True)
class Margin:
    """How far a procedure stays from one limit that it touches."""

    name: str
    """`instrument.argument`, or the interlock's name."""
    value: float
    """The value that comes nearest to the limit, in `unit`."""
    limit: float
    """The end of the range that is nearest to it."""
    unit: str
    relative: float | None
    """Distance as a share of the range, 0 (at the limit) to 0.5 (in the middle); None where the range is open."""


def _margin(name: str, value: float, unit: str, low: float | None, high: float | None) -> Margin:
    ends = [end for end in (low, high) if end is not None]
    limit = min(ends, key=lambda end: abs(value - end))
    relative = None
    if low is not None and high is not None and math.isfinite(high - low):
        relative = max(0.0, min(value - low, high - value)) / (high - low) if high > low else 0.0
    return Margin(name, value, limit, unit, relative)


class Interlock(Frozen):
    """A condition that must hold before a command: `min <= expression <= max`."""

    name: str
    before: str
    """`instrument.command`."""
    expression: str
    """Over `instrument.channel` names and constants."""
    unit: str = ""
    min: float | None = None
    max: float | None = None

    def margin(self, values: Mapping[str, float], units: Mapping[str, str]) -> Margin | None:
        """Return the distance to the nearer end; None where a value is not known."""
        expression = Expression(self.expression)
        if (self.min is None and self.max is None) or expression.names - set(values):
            return None
        return _margin(self.name, float(expression.evaluate(values, units, self.unit)), self.unit, self.min, self.max)

    def complaint(self, values: Mapping[str, float], units: Mapping[str, str]) -> str | None:
        """Say why the condition does not hold; an unknown value does not satisfy it."""
        missing = sorted(Expression(self.expression).names - set(values))
        if missing:
            return f"interlock {self.name!r}: no fresh value of {missing[0]}"
        value = float(Expression(self.expression).evaluate(values, units, self.unit))
        if (self.min is not None and not value >= self.min) or (self.max is not None and not value <= self.max):
            bounds = [
                f"at least {self.min:g}" if self.min is not None else "",
                f"at most {self.max:g}" if self.max is not None else "",
            ]
            expected = " and ".join(bound for bound in bounds if bound)
            return f"interlock {self.name!r}: {self.expression} = {value:g} {self.unit}; expected {expected}"
        return None


@dataclass(frozen=True, slots=True)
class Envelope:
    """All limits and interlocks of a bench."""

    limits: Mapping[str, SetpointLimit]
    """By `instrument.argument`."""
    interlocks: tuple[Interlock, ...] = ()
    constants: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    """Value and unit of names that interlocks may use beside readings."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Unit of each `instrument.channel`."""

    def check(self, steps: Sequence[Step]) -> None:
        """Refuse a procedure with a setpoint outside its limits or an order that an interlock forbids.

        Raises:
            LimitError: Names instrument, argument, value and the legal range.
            InterlockError: Names the interlock; judged on the setpoints commanded before the step.
        """
        commanded: dict[str, float] = {name: value for name, (value, _) in self.constants.items()}
        for step in steps:
            for complaint in self._limit_complaints(step):
                raise LimitError(f"step {step.index} {complaint}")
            for complaint in self.interlock_complaints(step, commanded):
                raise InterlockError(f"step {step.index} {step.do}: {complaint}")
            commanded |= _numbers(step)

    def margins(self, steps: Sequence[Step]) -> tuple[Margin, ...]:
        """Return the distance to each limit and interlock that a procedure touches, the smallest where it does so often.

        Interlocks are judged as in `check`, on the setpoints commanded before the step.
        """
        commanded: dict[str, float] = {}
        nearest: dict[str, Margin] = {}
        for step in steps:
            for one in self._step_margins(step, commanded):
                known = nearest.get(one.name)
                if known is None or abs(one.value - one.limit) < abs(known.value - known.limit):
                    nearest[one.name] = one
            commanded |= _numbers(step)
        return tuple(nearest.values())

    def _step_margins(self, step: Step, commanded: Mapping[str, float]) -> Iterator[Margin]:
        for name, value in _numbers(step).items():
            limit = self.limits.get(name)
            if limit is not None:
                yield _margin(name, value, limit.unit, limit.low, limit.high)
        known, units = self._names(commanded)
        for interlock in self.interlocks:
            if interlock.before == step.do and (margin := interlock.margin(known, units)) is not None:
                yield margin

    def _names(self, values: Mapping[str, float]) -> tuple[dict[str, float], dict[str, str]]:
        """Return value and unit of each name that an interlock may use."""
        known = {**{name: value for name, (value, _) in self.constants.items()}, **values}
        return known, {**{name: unit for name, (_, unit) in self.constants.items()}, **self.units}

    def _limit_complaints(self, step: Step) -> Iterator[str]:
        if step.kind in (StepKind.READ, StepKind.WAIT):
            return
        for name, value in step.arguments.items():
            limit = self.limits.get(f"{step.instrument}.{name}")
            if limit is not None and (isinstance(value, str) or not limit.allows(value)):
                yield f"{step.do}: {name} = {value} {limit.unit}; allowed {limit.low:g} to {limit.high:g} {limit.unit}"

    def interlock_complaints(self, step: Step, values: Mapping[str, float]) -> Iterator[str]:
        """Yield one complaint for each interlock before this step that does not hold on the given values."""
        known, units = self._names(values)
        for interlock in self.interlocks:
            if interlock.before == step.do and (complaint := interlock.complaint(known, units)):
                yield complaint


def _numbers(step: Step) -> dict[str, float]:
    """Return the numeric setpoints of a step by `instrument.argument`; none of a wait or a reading."""
    if step.instrument is None:
        return {}
    return {f"{step.instrument}.{name}": value for name, value in step.arguments.items() if not isinstance(value, str)}
