"""How long a run takes in lab time: its waits and holds, and what is declared of how fast a setpoint is reached."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from instruments.bench.file import BenchFile
from orchestrator.domain.lifecycle import StepKind
from orchestrator.domain.records import Step, Until
from orchestrator.errors import BadInput
from orchestrator.units import parse

DIFFERENCES: Final = {"degC": "delta_degC", "degF": "delta_degF"}
"""Units whose differences have another one."""


@dataclass(frozen=True, slots=True)
class Duration:
    """An estimate in lab seconds."""

    least: float
    """Waits, and the time for which each `until` must hold."""
    reaching: float | None
    """How long setpoints take to be reached at the declared rates; None where an `until` has none."""


def duration_of(bench: BenchFile, steps: Sequence[Step], before: Sequence[Step] = ()) -> Duration:
    """Estimate how long a run takes.

    Args:
        bench: Declares the rates.
        steps: Of the run.
        before: Of the run before it, whose setpoints it starts from; where there is none, from the lower limits.
    """
    waits = sum(float(step.arguments["time"]) for step in steps if step.kind is StepKind.WAIT)
    untils = [(step, step.until) for step in steps if step.until is not None]
    standing = {step.until.channel: step.until.target for step in before if step.until is not None}
    reaching: float | None = 0.0
    for step, until in untils:
        one = _reaching(bench, step, until, standing)
        reaching = None if one is None or reaching is None else reaching + one
        standing[until.channel] = until.target
    return Duration(waits + sum(until.hold for _, until in untils), reaching)


def _reaching(bench: BenchFile, step: Step, until: Until, standing: Mapping[str, float]) -> float | None:
    spec = bench.spec.procedure.steps[step.index].until
    start = standing.get(until.channel, _lowest(bench, step, until))
    if spec is None or spec.rate is None or start is None:
        return None
    rate = rate_of(spec.rate, bench.channel_units[until.channel], what=step.do)
    return max(0.0, abs(until.target - start) - until.within) / rate


def _lowest(bench: BenchFile, step: Step, until: Until) -> float | None:
    """Return the lower limit of the setpoint that is to be reached."""
    names = (f"{step.instrument}.{name}" for name, value in step.arguments.items() if value == until.target)
    return next((bench.envelope.limits[name].low for name in names if name in bench.envelope.limits), None)


def rate_of(rate: str, unit: str, *, what: str) -> float:
    """Return a declared rate in the channel's unit per second.

    Raises:
        BadInput: Another dimension, or not above zero.
    """
    found = parse(rate, f"{DIFFERENCES.get(unit, unit) or 1}/s", what=f"{what}, rate")
    if found <= 0:
        raise BadInput(f"{what}, rate: {rate!r}; expected one above 0")
    return found
