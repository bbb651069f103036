"""Formulation and procedure: configuration -> steps, and readbacks -> measured configuration. Pure.

The expansion happens once, before review: what is approved is what is sent.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final

from instruments.bench.duration import Duration, duration_of
from instruments.bench.environment import environment_channels
from instruments.bench.expansion import Expansion, arguments_of
from instruments.bench.expression_names import ranges_of, units_of, values_at
from instruments.bench.file import BenchFile
from instruments.bench.hazards import Hazard, check_hazards, firing_hazards
from instruments.bench.parking import park_steps
from instruments.bench.reagents import Reagents, reagents_of
from orchestrator.domain.constraints import ExpressionConstraint
from orchestrator.domain.lifecycle import RunStatus, StepKind
from orchestrator.domain.parameters import RELATIVE_TOLERANCE
from orchestrator.domain.records import Reading, Step
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput
from orchestrator.expressions import Expression
from orchestrator.intervals import Interval

ROUND_TRIP_TOLERANCE: Final = 1e-6
"""Relative to the column's range: formulation is exact arithmetic, only float noise may remain."""


class Procedure:
    """The procedure of a bench for the parameters of a campaign."""

    def __init__(self, bench: BenchFile, space: SearchSpace) -> None:
        """Check every step against the drivers and the space.

        Raises:
            BadInput: Unknown instrument, command, argument, channel or name; wrong dimensions; an unused parameter.
        """
        self.bench = bench
        self.space = space
        self._units = units_of(bench, space)
        self._expansion = Expansion(bench, self._units, space.columns)
        clash = sorted(set(bench.constants) & set(space.columns))
        if clash:
            raise BadInput(f"{clash[0]} is a parameter and a constant of the bench")
        self._steps = tuple(self._expansion.prepare(index, spec) for index, spec in enumerate(bench.spec.procedure.steps))
        self._check_used()
        self._check_measured()
        self._check_interlocks()
        check_hazards(bench, space)
        park_steps(bench)
        self._check_environment()

    # ----------------------------------------------------------------- expansion

    def expand(self, configuration: Configuration) -> tuple[Step, ...]:
        """Compute all steps of a configuration and check them against the envelope.

        Raises:
            LimitError, InterlockError: A setpoint or an order that the bench forbids.
        """
        values = values_at(self.bench, configuration)
        steps = tuple(self._expansion.step(index, spec, command, values) for index, (spec, command) in enumerate(self._steps))
        self.bench.envelope.check(steps)
        return steps

    def hazards(self, configuration: Configuration) -> tuple[Hazard, ...]:
        """Return the declared hazards that fire at a configuration; BadInput when one cannot be computed."""
        return firing_hazards(self.bench, self.space, configuration)

    # ----------------------------------------------------------------- checks

    def _check_used(self) -> None:
        used = {name for spec, command in self._steps for one in arguments_of(spec, command) for name in one.parameters}
        for parameter in self.space.parameters:
            if not used & set(parameter.columns):
                raise BadInput(f"parameter {parameter.name}: no step of the procedure uses it")

    def _check_measured(self) -> None:
        units = {**self._units, **self.bench.channel_units}
        for column in self.space.numeric_columns:
            units.pop(column)
        for column, text in self.bench.spec.measured.items():
            if column not in self.space.columns:
                continue  # a bench serves campaigns that vary less than it could
            try:
                Expression(text).check(units, self.space.units[column])
            except BadInput as error:
                raise BadInput(f"[measured] {column}: {error}") from error

    def _check_environment(self) -> None:
        for one in environment_channels(self.bench):
            if one.name in self.space.columns:
                raise BadInput(f"[environment] {one.name}: a parameter has this name; what is set is no environment")

    def _check_interlocks(self) -> None:
        units = {**self.bench.constant_units, **self.bench.channel_units}
        for interlock in self.bench.envelope.interlocks:
            try:
                Expression(interlock.expression).check(units, interlock.unit)
            except BadInput as error:
                raise BadInput(f"interlock {interlock.name!r}: {error}") from error

    # ----------------------------------------------------------------- reachable region

    def reachable(self) -> tuple[ExpressionConstraint, ...]:
        """Return the limits of every computed setpoint as constraints of the search space, but for those that always hold."""
        found: dict[tuple[str, float | None, float | None], ExpressionConstraint] = {}
        for spec, command in self._steps:
            for argument in arguments_of(spec, command):
                limit = self.bench.envelope.limits.get(f"{spec.do.partition('.')[0]}.{argument.name}")
                if limit is None or argument.expression is None or not argument.parameters & set(self.space.columns):
                    continue
                bounds = argument.expression.evaluate(self._ranges, self._units, limit.unit)
                low = limit.low if bounds.low < limit.low else None
                high = limit.high if bounds.high > limit.high else None
                if low is None and high is None:
                    continue
                constants = {name: pair for name, pair in self.bench.constants.items() if name in argument.parameters}
                found[(argument.expression.text, low, high)] = ExpressionConstraint(
                    expression=argument.expression.text, unit=limit.unit, min=low, max=high, constants=constants
                )
        return tuple(found.values())

    @cached_property
    def _ranges(self) -> dict[str, Interval]:
        return ranges_of(self.bench, self.space)

    # ----------------------------------------------------------------- measured configuration

    def measured(self, readings: Sequence[Reading], proposed: Configuration) -> dict[str, float | str]:
        """Compute the measured configuration from readbacks; a column without a rule keeps its proposed value.

        Raises:
            BadInput: A readback that a rule needs is missing or of bad quality.
        """
        last = {reading.name: reading for reading in readings}
        self._refuse_bad(last, proposed)
        return self._measured_from({name: one.value for name, one in last.items() if one.value is not None}, proposed)

    def _refuse_bad(self, last: Mapping[str, Reading], proposed: Configuration) -> None:
        """Refuse a readback whose last value is bad: an earlier good one says nothing of what happened later."""
        for column, text in self.bench.spec.measured.items():
            bad = sorted(name for name in Expression(text).names if name in last and last[name].quality == "bad")
            if bad and column in proposed:
                raise BadInput(f"[measured] {column}: the last reading of {bad[0]} is of bad quality")

    def _measured_from(self, readbacks: Mapping[str, float], proposed: Configuration) -> dict[str, float | str]:
        units = {**self.bench.constant_units, **self.bench.channel_units}
        measured = dict(proposed)
        for column, text in self.bench.spec.measured.items():
            if column in measured:
                measured[column] = float(
                    Expression(text).evaluate({**self.bench.constant_values, **readbacks}, units, self.space.units[column])
                )
        return measured

    def round_trip_complaint(self, configuration: Configuration) -> str | None:
        """Say where `measured(setpoints(x))` differs from x beyond float noise."""
        steps = self.expand(configuration)
        readbacks = {
            f"{step.instrument}.{name}": value
            for step in steps
            for name, value in step.arguments.items()
            if step.instrument is not None and not isinstance(value, str)
        }
        back = self._measured_from(readbacks, configuration)
        for column in self.space.numeric_columns:
            want, got = configuration[column], back[column]
            assert not isinstance(want, str)
            assert not isinstance(got, str)
            if abs(want - got) > ROUND_TRIP_TOLERANCE * max(abs(want), RELATIVE_TOLERANCE * self.space.largest(column)):
                return f"[measured] {column}: a configuration with {want:.6g} comes back as {got:.6g} {self.space.units[column]}"
        return None

    # ----------------------------------------------------------------- estimates

    def lab_seconds(self, steps: Sequence[Step]) -> float:
        """Return a run's least duration: its waits and the least time that each `until` needs."""
        return self.duration(steps).least

    def duration(self, steps: Sequence[Step], before: Sequence[Step] = ()) -> Duration:
        """Estimate a run's duration, after a run of the steps before."""
        return duration_of(self.bench, steps, before)

    def reagents(self, steps: Sequence[Step]) -> Reagents:
        """Sum the dosed volume of each stock, and what that costs."""
        return reagents_of(self.bench, steps)


def carried_by_doses(bench: BenchFile, step: Step, earlier: Sequence[Step]) -> frozenset[str]:
    """Return the instruments whose dose must still run when a step reads them.

    Their channel is the readback of a setting that only a dose carries out (a pump's flow), and a run is judged by it: the
    measured configuration or a rule of infeasibility rests on it. Once the dose has ended it says nothing of the recipe.

    Args:
        bench: Declares `[measured]` and `[infeasible]`.
        step: Reads channels.
        earlier: All steps before it.
    """
    judged = {name for text in bench.spec.measured.values() for name in Expression(text).names}
    judged |= {rule.reading for rule in bench.spec.infeasible.rules if rule.reading is not None}
    dosing = {one.instrument for one in earlier if one.kind is StepKind.DOSING}
    found = (channel.partition(".") for channel in judged & set(step.channels))
    return frozenset(name for name, _, channel in found if name in dosing and channel in _settings_of(bench, name))


def _settings_of(bench: BenchFile, instrument: str) -> frozenset[str]:
    commands = bench.driver(instrument).COMMANDS.values()
    return frozenset(name for command in commands if command.kind is StepKind.STATE_SETTING for name in command.arguments)


def classify(bench: BenchFile, code: str | None, readings: Sequence[Reading]) -> tuple[RunStatus, str | None]:
    """Decide how a run that was carried out has ended: completed, infeasible by a declared rule, or failed.

    Args:
        bench: Declares the rules.
        code: The device's word for how its program ended; None where there was no program.
        readings: All readings of the run.
    """
    for reason in _infeasible(bench, code, readings):
        return RunStatus.INFEASIBLE, reason
    if code not in (None, "completed"):
        return RunStatus.FAILED, f"program ended with {code!r}"
    return RunStatus.COMPLETED, None


def _infeasible(bench: BenchFile, code: str | None, readings: Sequence[Reading]) -> Iterator[str]:
    last = {reading.name: reading for reading in readings}  # a bad one is the instrument's fault, never the recipe's
    values = {name: one.value for name, one in last.items() if one.value is not None and one.quality != "bad"}
    for rule in bench.spec.infeasible.rules:
        if rule.code is not None:
            if rule.code == code:
                yield rule.reason
            continue
        value = values.get(rule.reading or "")
        if value is not None and ((rule.below is not None and value < rule.below) or (rule.above is not None and value > rule.above)):
            yield rule.reason
