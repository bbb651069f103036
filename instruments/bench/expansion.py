"""How one written step becomes a computed one: command, arguments and channels checked, expressions evaluated. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

from instruments.bench.duration import DIFFERENCES, rate_of
from instruments.bench.file import BenchFile
from instruments.bench.spec import GapSpec, StepSpec
from instruments.drivers.person import order_for
from instruments.drivers.protocol import ArgumentSpec, CommandSpec
from orchestrator.domain.lifecycle import StepKind
from orchestrator.domain.records import Step, Until
from orchestrator.errors import BadInput
from orchestrator.expressions import Expression
from orchestrator.units import parse

_PLAIN: Final = re.compile(r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?(\s+[A-Za-z%°µ].*)?\s*$")
_FIELD: Final = re.compile(r"\{(?P<expression>[^{}:\"']+)(?::(?P<unit>[^{}:\"']+))?\}")
"""`{T}` in a text is a parameter's value; `{V / tau : mL/min}` is an expression's in a unit. Quotes and nested braces are JSON's."""


@lru_cache
def _checked(text: str) -> Expression:
    """Return the expression of a text, which is parsed once and not for each configuration."""
    return Expression(text)


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument as written: a literal, an expression or a text with fields."""

    name: str
    raw: str | float
    spec: ArgumentSpec

    @property
    def expression(self) -> Expression | None:
        """The expression; None for a literal or a text."""
        if self.spec.unit is None or not isinstance(self.raw, str) or _PLAIN.match(self.raw):
            return None
        return _checked(self.raw)

    @property
    def parameters(self) -> frozenset[str]:
        """Names that it reads."""
        if self.expression is not None:
            return self.expression.names
        return frozenset(name for field in self.fields for name in field.names)

    @property
    def fields(self) -> tuple["TextField", ...]:
        """What stands in braces; none but in a text."""
        if self.spec.unit is not None or not isinstance(self.raw, str):
            return ()
        return tuple(TextField(found["expression"].strip(), (found["unit"] or "").strip()) for found in _FIELD.finditer(self.raw))


@dataclass(frozen=True, slots=True)
class TextField:
    """One pair of braces in a text: a parameter by its name, or an expression with the unit that its value is written in."""

    text: str
    unit: str

    @property
    def is_name(self) -> bool:
        """Whether it is a parameter's value as it stands."""
        return not self.unit and self.text.isidentifier()

    @property
    def names(self) -> frozenset[str]:
        """Names that it reads."""
        return frozenset({self.text}) if self.is_name else _checked(self.text).names

    def check(self, units: Mapping[str, str], columns: Sequence[str]) -> None:
        """Refuse an unknown name, and an expression of another dimension than its unit.

        Raises:
            BadInput: One line.
        """
        if not self.is_name:
            _checked(self.text).check(units, self.unit)
        elif self.text not in columns:
            raise BadInput(f"{{{self.text}}} is no parameter; declared: {', '.join(columns)}")

    def value(self, values: Mapping[str, Any], units: Mapping[str, str]) -> str:
        """Write the value, a computed number with as many digits as it has."""
        if self.is_name:
            return str(values[self.text])
        numbers = {name: values[name] for name in self.names}
        return str(float(_checked(self.text).evaluate(numbers, units, self.unit)))


def arguments_of(spec: StepSpec, command: CommandSpec) -> tuple[Argument, ...]:
    """Return the arguments of a step, defaults included."""
    given = {name: Argument(name, raw, command.arguments.get(name, ArgumentSpec(None))) for name, raw in spec.arguments.items()}
    defaults = {
        name: Argument(name, described.default, described) for name, described in command.arguments.items() if described.default is not None
    }
    return tuple({**defaults, **given}.values())


@dataclass(frozen=True, slots=True)
class Expansion:
    """Checks and computes the steps of one list in a bench file."""

    bench: BenchFile
    units: Mapping[str, str]
    """Of all names that expressions may use."""
    columns: Sequence[str] = ()
    """Parameters that texts may hold in braces."""
    what: str = "procedure step"
    """For messages."""

    # ----------------------------------------------------------------- checks

    def prepare(self, index: int, spec: StepSpec) -> tuple[StepSpec, CommandSpec]:
        """Check one step and return it with its command.

        Raises:
            BadInput: Unknown instrument, command, argument, channel or name; wrong dimensions.
        """
        command = self._command(index, spec)
        what = f"{self.what} {index} ({spec.do})"
        required = {name for name, one in command.arguments.items() if one.default is None}
        unknown = sorted(set(spec.arguments) - set(command.arguments))
        if unknown and not command.open_arguments:
            raise BadInput(f"{what}: unknown argument {unknown[0]!r}; legal: {', '.join(sorted(command.arguments)) or 'none'}")
        if missing := sorted(required - set(spec.arguments)):
            raise BadInput(f"{what}: argument {missing[0]!r} is missing")
        for argument in arguments_of(spec, command):
            self._check_argument(argument, what)
        for channel in (*spec.channels, *((spec.until.channel,) if spec.until else ())):
            if channel not in self.bench.channel_units:
                raise BadInput(f"{what}: unknown channel {channel!r}; known: {', '.join(sorted(self.bench.channel_units))}")
        if spec.until is not None and spec.until.rate is not None:
            rate_of(spec.until.rate, self.bench.channel_units[spec.until.channel], what=what)
        return spec, command

    def _command(self, index: int, spec: StepSpec) -> CommandSpec:
        what = f"{self.what} {index}"
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

    def _check_argument(self, argument: Argument, what: str) -> None:
        where = f"{what}, {argument.name}"
        try:
            if argument.expression is not None:
                assert argument.spec.unit is not None
                argument.expression.check(self.units, argument.spec.unit)
            elif argument.spec.unit is not None:
                parse(argument.raw, argument.spec.unit, what=argument.name)
            for field in argument.fields:
                field.check(self.units, self.columns)
        except BadInput as error:
            raise BadInput(f"{where}: {error}") from error

    # ----------------------------------------------------------------- computing

    def step(self, index: int, spec: StepSpec, command: CommandSpec, values: Mapping[str, Any]) -> Step:
        """Compute one prepared step.

        Args:
            index: Its place in the list, from 0.
            spec: As written.
            command: As `prepare` found it.
            values: Of all names, in their units.
        """
        found = arguments_of(spec, command)
        arguments = {one.name: self._compute(one, values) for one in found}
        return Step(
            index=index,
            do=spec.do,
            kind=command.kind,
            arguments=arguments,
            units={one.name: one.spec.unit for one in found if one.spec.unit is not None},
            channels=spec.channels,
            until=self._until(spec, arguments),
            interrupted=self._interrupted(index, spec, command),
            work=order_for(command, arguments),
        )

    def _interrupted(self, index: int, spec: StepSpec, command: CommandSpec) -> Literal["abort", "continue"] | float:
        if isinstance(spec.interrupted, GapSpec):
            return parse(spec.interrupted.max_gap, "s", what=f"step {index}, max_gap")
        if "interrupted" in spec.model_fields_set:
            return spec.interrupted
        waits = command.work is not None and not any(map(self._is_of_device, self.bench.spec.procedure.steps[:index]))
        return "continue" if command.by_step or waits else spec.interrupted

    def _is_of_device(self, spec: StepSpec) -> bool:
        """Whether a step leaves a device in a state that somebody must look after: a person does not care for a gap, a hot oven does."""
        command = self._command(0, spec)
        return command.kind in (StepKind.STATE_SETTING, StepKind.DOSING, StepKind.PROGRAM) and not command.by_step

    def _compute(self, argument: Argument, values: Mapping[str, Any]) -> float | str:
        if argument.spec.unit is None:
            texts = iter(field.value(values, self.units) for field in argument.fields)
            return _FIELD.sub(lambda _: next(texts), str(argument.raw))
        if argument.expression is None:
            return parse(argument.raw, argument.spec.unit, what=argument.name)
        numbers = {name: values[name] for name in argument.expression.names}
        return float(argument.expression.evaluate(numbers, self.units, argument.spec.unit))

    def _until(self, spec: StepSpec, arguments: Mapping[str, float | str]) -> Until | None:
        if spec.until is None:
            return None
        unit = self.bench.channel_units[spec.until.channel]
        difference = DIFFERENCES.get(unit, unit)
        target = next(value for value in arguments.values() if not isinstance(value, str))
        return Until(
            channel=spec.until.channel,
            target=target,
            within=parse(spec.until.within, difference, what=f"{spec.do}, within"),
            hold=parse(spec.until.hold, "s", what=f"{spec.do}, for"),
            timeout=parse(spec.until.timeout, "s", what=f"{spec.do}, timeout"),
        )
