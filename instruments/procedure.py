"""Formulation and procedure: configuration -> steps, and readbacks -> measured configuration. Pure.

The expansion happens once, before review: what is approved is what is sent.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from instruments.benchfile import BenchFile, GapSpec, StepSpec
from instruments.driver import ArgumentSpec, CommandSpec
from orchestrator.domain.lifecycle import RunStatus, StepKind
from orchestrator.domain.records import Reading, Step, Until
from orchestrator.domain.space import CategoricalParameter, CompositionParameter, ExpressionConstraint, SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput
from orchestrator.expressions import Expression
from orchestrator.intervals import Interval
from orchestrator.safety import SetpointLimit
from orchestrator.units import parse

ROUND_TRIP_TOLERANCE: Final = 1e-6
"""Relative to the column's range: formulation is exact arithmetic, only float noise may remain."""
_PLAIN: Final = re.compile(r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?(\s+[A-Za-z%°µ].*)?\s*$")
_FIELD: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class _Argument:
    """One argument as written: a literal, an expression or a text with fields."""

    name: str
    raw: str | float
    spec: ArgumentSpec

    @property
    def expression(self) -> Expression | None:
        if self.spec.unit is None or not isinstance(self.raw, str) or _PLAIN.match(self.raw):
            return None
        return Expression(self.raw)

    @property
    def parameters(self) -> frozenset[str]:
        """Names that it reads."""
        if self.expression is not None:
            return self.expression.names
        return frozenset(_FIELD.findall(self.raw)) if isinstance(self.raw, str) else frozenset()


class Procedure:
    """The procedure of a bench for the parameters of a campaign."""

    def __init__(self, bench: BenchFile, space: SearchSpace) -> None:
        """Check every step against the drivers and the space.

        Raises:
            BadInput: Unknown instrument, command, argument, channel or name; wrong dimensions; an unused parameter.
        """
        self.bench = bench
        self.space = space
        self._units = {**{name: unit for name, (_, unit) in bench.constants.items()}, **space.units}
        clash = sorted(set(bench.constants) & set(space.columns))
        if clash:
            raise BadInput(f"{clash[0]} is a parameter and a constant of the bench")
        self._steps = tuple(self._prepare(index, spec) for index, spec in enumerate(bench.spec.procedure.steps))
        self._check_used()
        self._check_measured()
        self._check_interlocks()

    # ----------------------------------------------------------------- expansion

    def expand(self, configuration: Configuration) -> tuple[Step, ...]:
        """Compute all steps of a configuration and check them against the envelope.

        Raises:
            LimitError, InterlockError: A setpoint or an order that the bench forbids.
        """
        values = self._values(configuration)
        steps = tuple(self._step(index, spec, command, values) for index, (spec, command) in enumerate(self._steps))
        self.bench.envelope.check(steps)
        return steps

    def _values(self, configuration: Configuration) -> dict[str, Any]:
        return {**{name: value for name, (value, _) in self.bench.constants.items()}, **configuration}

    def _step(self, index: int, spec: StepSpec, command: CommandSpec, values: Mapping[str, Any]) -> Step:
        arguments = {one.name: self._compute(one, values) for one in self._arguments(spec, command)}
        return Step(
            index=index,
            do=spec.do,
            kind=command.kind,
            arguments=arguments,
            units={one.name: one.spec.unit for one in self._arguments(spec, command) if one.spec.unit is not None},
            channels=spec.channels,
            until=self._until(spec, arguments),
            interrupted=parse(spec.interrupted.max_gap, "s", what=f"step {index}, max_gap")
            if isinstance(spec.interrupted, GapSpec)
            else spec.interrupted,
        )

    def _compute(self, argument: _Argument, values: Mapping[str, Any]) -> float | str:
        if argument.spec.unit is None:
            return _FIELD.sub(lambda found: str(values[found[1]]), str(argument.raw))
        if argument.expression is None:
            return parse(argument.raw, argument.spec.unit, what=argument.name)
        numbers = {name: values[name] for name in argument.expression.names}
        return float(argument.expression.evaluate(numbers, self._units, argument.spec.unit))

    def _until(self, spec: StepSpec, arguments: Mapping[str, float | str]) -> Until | None:
        if spec.until is None:
            return None
        unit = self.bench.channel_units[spec.until.channel]
        difference = f"delta_{unit}" if unit in ("degC", "degF") else unit
        target = next(value for value in arguments.values() if not isinstance(value, str))
        return Until(
            channel=spec.until.channel,
            target=target,
            within=parse(spec.until.within, difference, what=f"{spec.do}, within"),
            hold=parse(spec.until.hold, "s", what=f"{spec.do}, for"),
            timeout=parse(spec.until.timeout, "s", what=f"{spec.do}, timeout"),
        )

    def _arguments(self, spec: StepSpec, command: CommandSpec) -> tuple[_Argument, ...]:
        given = {name: _Argument(name, raw, command.arguments.get(name, ArgumentSpec(None))) for name, raw in spec.arguments.items()}
        defaults = {
            name: _Argument(name, described.default, described)
            for name, described in command.arguments.items()
            if described.default is not None
        }
        return tuple({**defaults, **given}.values())

    # ----------------------------------------------------------------- checks

    def _prepare(self, index: int, spec: StepSpec) -> tuple[StepSpec, CommandSpec]:
        command = self._command(index, spec)
        what = f"procedure step {index + 1} ({spec.do})"
        required = {name for name, one in command.arguments.items() if one.default is None}
        if missing := sorted(required - set(spec.arguments)):
            raise BadInput(f"{what}: argument {missing[0]!r} is missing")
        unknown = sorted(set(spec.arguments) - set(command.arguments))
        if unknown and not command.open_arguments:
            raise BadInput(f"{what}: unknown argument {unknown[0]!r}; legal: {', '.join(sorted(command.arguments)) or 'none'}")
        for argument in self._arguments(spec, command):
            self._check_argument(argument, what)
        for channel in (*spec.channels, *((spec.until.channel,) if spec.until else ())):
            self._check_channel(channel, what)
        return spec, command

    def _command(self, index: int, spec: StepSpec) -> CommandSpec:
        what = f"procedure step {index + 1}"
        if spec.do == "wait":
            return CommandSpec(StepKind.WAIT, {"time": ArgumentSpec("s")})
        if spec.do == "read":
            if not spec.channels:
                raise BadInput(f"{what} (read): channels are missing")
            return CommandSpec(StepKind.READ)
        instrument, _, name = spec.do.partition(".")
        if instrument not in self.bench.spec.instruments:
            raise BadInput(f"{what}: {spec.do!r} names no instrument; declared: {', '.join(self.bench.spec.instruments)}, or wait, read")
        commands = self.bench.driver(instrument).COMMANDS
        if name not in commands:
            raise BadInput(f"{what}: {instrument} has no command {name!r}; legal: {', '.join(sorted(commands))}")
        return commands[name]

    def _check_argument(self, argument: _Argument, what: str) -> None:
        where = f"{what}, {argument.name}"
        try:
            if argument.expression is not None:
                assert argument.spec.unit is not None
                argument.expression.check(self._units, argument.spec.unit)
            elif argument.spec.unit is not None:
                parse(argument.raw, argument.spec.unit, what=argument.name)
        except BadInput as error:
            raise BadInput(f"{where}: {error}") from error
        unknown = sorted(argument.parameters - set(self.space.columns)) if argument.spec.unit is None else []
        if unknown:
            raise BadInput(f"{where}: {{{unknown[0]}}} is no parameter; declared: {', '.join(self.space.columns)}")

    def _check_channel(self, channel: str, what: str) -> None:
        if channel not in self.bench.channel_units:
            raise BadInput(f"{what}: unknown channel {channel!r}; known: {', '.join(sorted(self.bench.channel_units))}")

    def _check_used(self) -> None:
        used = {name for spec, command in self._steps for one in self._arguments(spec, command) for name in one.parameters}
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

    def _check_interlocks(self) -> None:
        units = {**{name: unit for name, (_, unit) in self.bench.constants.items()}, **self.bench.channel_units}
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
            for argument in self._arguments(spec, command):
                limit = self.bench.envelope.limits.get(f"{spec.do.partition('.')[0]}.{argument.name}")
                if limit is None or argument.expression is None or not argument.parameters & set(self.space.columns):
                    continue
                low, high = self._binding_limits(argument.expression, limit)
                if low is None and high is None:
                    continue
                constants = {name: pair for name, pair in self.bench.constants.items() if name in argument.parameters}
                found[(argument.expression.text, low, high)] = ExpressionConstraint(
                    expression=argument.expression.text, unit=limit.unit, min=low, max=high, constants=constants
                )
        return tuple(found.values())

    def _binding_limits(self, expression: Expression, limit: SetpointLimit) -> tuple[float | None, float | None]:
        """Return the limits that the expression may pass somewhere in the box of all parameters."""
        names: dict[str, Any] = {name: Interval(value, value) for name, (value, _) in self.bench.constants.items()}
        bounds = expression.evaluate({**names, **self._box}, self._units, limit.unit)
        return limit.low if bounds.low < limit.low else None, limit.high if bounds.high > limit.high else None

    @cached_property
    def _box(self) -> dict[str, Interval]:
        """The range of every numeric column."""
        box: dict[str, Interval] = {}
        for parameter in self.space.parameters:
            if isinstance(parameter, CompositionParameter):
                box |= {column: Interval(0.0, 1.0) for column in parameter.columns}
            elif not isinstance(parameter, CategoricalParameter):
                box[parameter.name] = Interval(parameter.min, parameter.max)
        return box

    # ----------------------------------------------------------------- measured configuration

    def measured(self, readings: Sequence[Reading], proposed: Configuration) -> dict[str, float | str]:
        """Compute the measured configuration from readbacks; a column without a rule keeps its proposed value.

        Raises:
            BadInput: A readback that a rule needs is missing.
        """
        last = {reading.name: reading.value for reading in readings if reading.value is not None and reading.quality != "bad"}
        return self._measured_from(last, proposed)

    def _measured_from(self, readbacks: Mapping[str, float], proposed: Configuration) -> dict[str, float | str]:
        constants = {name: value for name, (value, _) in self.bench.constants.items()}
        units = {**{name: unit for name, (_, unit) in self.bench.constants.items()}, **self.bench.channel_units}
        measured = dict(proposed)
        for column, text in self.bench.spec.measured.items():
            if column in measured:
                measured[column] = float(Expression(text).evaluate({**constants, **readbacks}, units, self.space.units[column]))
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
            if abs(want - got) > ROUND_TRIP_TOLERANCE * max(abs(want), 1e-12):
                return f"[measured] {column}: a configuration with {want:.6g} comes back as {got:.6g} {self.space.units[column]}"
        return None

    # ----------------------------------------------------------------- estimates

    def lab_seconds(self, steps: Sequence[Step]) -> float:
        """Estimate a run's duration: its waits and the least time that each `until` needs."""
        waits = sum(float(step.arguments["time"]) for step in steps if step.kind is StepKind.WAIT)
        return waits + sum(step.until.hold for step in steps if step.until is not None)

    def reagents(self, steps: Sequence[Step]) -> dict[str, float]:
        """Sum the dosed volume of each stock, in mL."""
        by_instrument = {spec.delivered_by: name for name, spec in self.bench.spec.stocks.items()}
        volumes: dict[str, float] = {}
        for step in steps:
            stock = by_instrument.get(step.instrument)
            if step.kind is StepKind.DOSING and stock is not None:
                volumes[stock] = volumes.get(stock, 0.0) + float(step.arguments["volume"])
        return volumes


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
    values = {reading.name: reading.value for reading in readings if reading.value is not None}
    for rule in bench.spec.infeasible.rules:
        if rule.code is not None:
            if rule.code == code:
                yield rule.reason
            continue
        value = values.get(rule.reading or "")
        if value is not None and ((rule.below is not None and value < rule.below) or (rule.above is not None and value > rule.above)):
            yield rule.reason
