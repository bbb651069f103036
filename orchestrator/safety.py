"""The safety envelope: declared limits and interlocks as predicates over plain values.

The same envelope bounds the search, gates each expanded procedure before its run is stored, and stands in the host just
before the wire.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.domain.lifecycle import StepKind
from orchestrator.domain.records import Step
from orchestrator.domain.values import Frozen
from orchestrator.errors import InterlockError, LimitError
from orchestrator.expressions import Expression


@dataclass(frozen=True, slots=True)
class SetpointLimit:
    """A closed range of one argument of one instrument."""

    low: float
    high: float
    unit: str

    def allows(self, value: float) -> bool:
        """Say whether a finite value lies within."""
        slack = 1e-9 * max(abs(self.low), abs(self.high))
        return self.low - slack <= value <= self.high + slack


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
            commanded |= {f"{step.instrument}.{name}": value for name, value in step.arguments.items() if not isinstance(value, str)}

    def _limit_complaints(self, step: Step) -> Iterator[str]:
        if step.kind in (StepKind.READ, StepKind.WAIT):
            return
        for name, value in step.arguments.items():
            limit = self.limits.get(f"{step.instrument}.{name}")
            if limit is not None and (isinstance(value, str) or not limit.allows(value)):
                yield f"{step.do}: {name} = {value} {limit.unit}; allowed {limit.low:g} to {limit.high:g} {limit.unit}"

    def interlock_complaints(self, step: Step, values: Mapping[str, float]) -> Iterator[str]:
        """Yield one complaint for each interlock before this step that does not hold on the given values."""
        known = {**{name: value for name, (value, _) in self.constants.items()}, **values}
        units = {**{name: unit for name, (_, unit) in self.constants.items()}, **self.units}
        for interlock in self.interlocks:
            if interlock.before == step.do and (complaint := interlock.complaint(known, units)):
                yield complaint
