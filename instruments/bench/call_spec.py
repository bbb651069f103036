"""The tables `[instruments.NAME.calls.CALL]` of a bench file: what an instrument does when it is asked to, with units."""

import math
from typing import Annotated, Final

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema

from instruments.drivers.protocol import ArgumentSpec, DeclaredCall, Driver, Limit, ReturnSpec
from orchestrator.domain.values import Frozen
from orchestrator.domain.written import Flag, Number, Quantity, duration_schema, never, quantity_schema
from orchestrator.errors import BadInput
from orchestrator.units import parse, parse_difference
from orchestrator.units import unit as known_unit

TEXT: Final = "text"
"""Stands in the place of a unit where a value is a text."""
_NAME: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
PATH: Final = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$"
"""Of a part of an object: names with dots between them."""
FUNCTION: Final = r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_.]*$"


def _seconds(value: object) -> object:
    return parse(value, "s", what="time_limit") if isinstance(value, str) else value


def unit_alone(value: object) -> object:
    """Read a unit alone as a table with nothing else in it."""
    return {"unit": value} if isinstance(value, str) else value


_TimeLimit = Annotated[Number, Field(gt=0), BeforeValidator(_seconds), WithJsonSchema(duration_schema("wall"))]
_Bound = Annotated[Quantity, WithJsonSchema(quantity_schema("`unit`", "40 degC"))]


class ReturnKeys(Frozen):
    """One value that a call gives back: its unit alone, or a table."""

    unit: str = ""
    """Its unit; "" for a pure number, "text" for a text."""
    min: _Bound | None = None
    """Least value that is believed; the run has failed below it."""
    max: _Bound | None = None
    """Greatest value that is believed; the run has failed above it."""


class ArgumentKeys(Frozen):
    """One argument of a call: its unit alone, or a table."""

    model_config = ConfigDict(json_schema_extra={"if": {"required": ["choices"]}, "then": never("min", "max")})

    unit: str = ""
    """In which it is handed over, as a plain number; "" for a pure number, "text" for a text."""
    min: _Bound | None = None
    """Least value that is ever handed over."""
    max: _Bound | None = None
    """Greatest value that is ever handed over."""
    default: Quantity | None = None
    """Value where a step leaves the argument out; without it a step must give one."""
    choices: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """The words that a text may be."""


_Argument = Annotated[ArgumentKeys, BeforeValidator(unit_alone, json_schema_input_type=str | ArgumentKeys)]
_Return = Annotated[ReturnKeys, BeforeValidator(unit_alone, json_schema_input_type=str | ReturnKeys)]


class CallSpec(Frozen):
    """One call: a function, a command or instructions, as its driver takes it."""

    function: Annotated[str, Field(pattern=FUNCTION)] | None = None
    """A Python function as "module:name", from a module beside the bench file or one that its interpreter can import."""
    command: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """A command line, word by word, never read by a shell; `{ARGUMENT}` in a word is the argument's value."""
    output: str | None = None
    """How the command gives its returns: "json" (the default) or "csv" on its standard output, or the name of a file
    (`.json`, `.csv`) that it writes to the place that `{output}` in `command` is."""
    set: Annotated[str, Field(pattern=PATH)] | None = None
    """The property of an object that the one argument, or `value`, is given to; dots lead to parts of the object."""
    value: bool | Number | str | None = None
    """What the property is always set to; such a call has no argument."""
    readback: Flag = True
    """Whether the property is read back and compared once it is set."""
    within: _Bound | None = None
    """By how much a number that is read back may differ, in the argument's unit; left out, by nothing."""
    method: Annotated[str, Field(pattern=PATH)] | None = None
    """The method of an object that is called with the arguments by their names; one that is asynchronous is awaited."""
    safe: Flag = False
    """Whether `safe_state` may list it: it needs no argument, and is carried out whatever else is."""
    instructions: Annotated[str, Field(min_length=1)] | None = None
    """What a person is asked to do; `{ARGUMENT}` is the argument's value."""
    arguments: dict[Annotated[str, Field(pattern=_NAME)], _Argument] = Field(default_factory=dict)
    """What is handed over: argument -> unit, or a table."""
    returns: dict[Annotated[str, Field(pattern=_NAME)], _Return] = Field(default_factory=dict)
    """What comes back: name -> unit, or a table; each is a channel of the instrument."""
    time_limit: _TimeLimit | None = None
    """After so many wall seconds it is ended, with all processes that it has started; without one it has all the time it takes."""
    repeatable: Flag = False
    """Whether it may be carried out again where a crash leaves nobody able to say whether it was; else a person is asked."""
    pure: Flag = False
    """Whether it touches nothing outside itself, so that a dry run may carry out the very same."""
    simulated: Annotated[str, Field(pattern=FUNCTION)] | None = None
    """A Python function, as "module:name", that a dry run carries out in its place."""


def declared_call(what: str, spec: CallSpec) -> DeclaredCall:
    """Return a call with its units and ranges read.

    Raises:
        BadInput: An unknown unit, an empty range, or a default outside what is legal.
    """
    arguments = {name: _argument(f"{what}, arguments.{name}", one) for name, one in spec.arguments.items()}
    return DeclaredCall(
        arguments=arguments,
        returns={name: ReturnSpec(*unit_and_range(f"{what}, returns.{name}", one)) for name, one in spec.returns.items()},
        function=spec.function,
        command=spec.command or (),
        output=spec.output or "json",
        set=spec.set,
        value=spec.value,
        readback=spec.readback,
        within=_within(what, spec, arguments),
        method=spec.method,
        safe=spec.safe,
        instructions=spec.instructions,
        time_limit=spec.time_limit,
        repeatable=spec.repeatable,
        pure=spec.pure,
        simulated=spec.simulated,
    )


def check_keys(instrument: str, calls: dict[str, CallSpec], driver: type[Driver], name: str) -> None:
    """Refuse keys of calls that the driver does not read.

    Raises:
        BadInput: One line that names the call, the key and those that are legal.
    """
    for call, spec in calls.items():
        legal = {"arguments", "returns", *driver.CALL_KEYS}
        if strangers := sorted(spec.model_fields_set - legal):
            raise BadInput(
                f"instrument {instrument}, calls.{call}: driver {name!r} reads no {strangers[0]!r} of a call; "
                f"it reads {', '.join(sorted(legal)) if driver.CALL_KEYS else 'no calls at all'}"
            )


def _within(what: str, spec: CallSpec, arguments: dict[str, ArgumentSpec]) -> float:
    """Read a tolerance, a difference in the unit of the one argument."""
    if spec.within is None:
        return 0.0
    units = [one.unit for one in arguments.values() if one.unit is not None]
    if spec.set is None or len(units) != 1 or not spec.readback:
        raise BadInput(f"{what}: within = {spec.within!r} belongs to a number that is set and read back")
    within = parse_difference(spec.within, units[0], what=f"{what}, within")
    if within < 0.0:
        raise BadInput(f"{what}: within = {spec.within!r}; expected 0 or more")
    return within


def _argument(what: str, keys: ArgumentKeys) -> ArgumentSpec:
    if keys.choices is not None and keys.unit not in ("", TEXT):
        raise BadInput(f"{what}: unit = {keys.unit!r} and choices = {list(keys.choices)!r}; words have no unit")
    unit, limit = unit_and_range(what, keys if keys.choices is None else keys.evolve(unit=TEXT))
    choices = keys.choices or ()
    if keys.default is None:
        return ArgumentSpec(unit, limit, choices=choices)
    if unit is None:
        if not isinstance(keys.default, str) or (choices and keys.default not in choices):
            raise BadInput(f"{what}: default = {keys.default!r}; expected {' or '.join(choices) or 'a text'}")
        return ArgumentSpec(unit, limit, keys.default, choices=choices)
    default = parse(keys.default, unit, what=f"{what}, default")
    if limit is not None and not limit.low <= default <= limit.high:
        raise BadInput(f"{what}: default = {default:g}; expected {limit.low:g} to {limit.high:g} {unit}".rstrip())
    return ArgumentSpec(unit, limit, default)


def unit_and_range(what: str, keys: ArgumentKeys | ReturnKeys) -> tuple[str | None, Limit | None]:
    """Return the unit, None for a text, and the range that a table of a value gives.

    Raises:
        BadInput: An unknown unit, or an empty range.
    """
    if keys.unit == TEXT:
        if keys.min is not None or keys.max is not None:
            raise BadInput(f"{what}: a text has neither min nor max")
        return None, None
    try:
        known_unit(keys.unit)
    except BadInput as error:
        raise BadInput(f"{what}: {error}") from error
    low = -math.inf if keys.min is None else parse(keys.min, keys.unit, what=f"{what}, min")
    high = math.inf if keys.max is None else parse(keys.max, keys.unit, what=f"{what}, max")
    if low >= high:
        raise BadInput(f"{what}: min {low:g} must be below max {high:g} {keys.unit}".rstrip())
    return keys.unit, None if keys.min is None and keys.max is None else Limit(low, high)
