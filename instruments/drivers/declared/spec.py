"""The keys of a device profile, as people write them: a device without Python.

One kind of table serves all three engines; which keys an engine reads, and which it needs, is checked at the end.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from orchestrator.domain.values import Frozen
from orchestrator.domain.written import Flag, Number, Whole
from orchestrator.errors import BadInput
from orchestrator.units import unit as parse_unit


def _is_pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from error
    return text


def _has_value(text: str) -> str:
    if "value" not in re.compile(_is_pattern(text)).groupindex:
        raise ValueError(f"{text!r} has no group (?P<value>...): what of the answer is the value")
    return text


def _is_unit(text: str) -> str:
    try:
        parse_unit(text)
    except BadInput as error:
        raise ValueError(str(error)) from error
    return text


_NAME: Final = r"^[a-z][a-z0-9_]*$"
Name = Annotated[str, Field(pattern=_NAME)]
Pattern = Annotated[str, AfterValidator(_is_pattern)]
Unit = Annotated[str, AfterValidator(_is_unit)]
Seconds = Annotated[Number, Field(gt=0, le=600)]
Register = Annotated[Whole, Field(ge=0, le=65535)]
NodeName = str | Annotated[tuple[str, ...], Field(min_length=1)]
Engine = Literal["line", "modbus", "opcua"]
NumberType = Literal["int16", "uint16", "int32", "uint32", "float32", "int", "float", "bool"]
OF_REGISTERS: Final = frozenset({"int16", "uint16", "int32", "uint32", "float32"})


class ProfileGeneralSpec(Frozen):
    """What the profile is."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    """What it is called: small letters, digits and hyphens."""
    driver: Engine
    """How the device speaks: lines of text, Modbus registers, or nodes of an OPC-UA server."""
    version: str = "1"
    """Of the profile."""
    about: str = ""
    """Which devices it fits, and what must be set at them."""
    sources: Annotated[tuple[str, ...], Field(min_length=1)]
    """Where each command and each number comes from: manual and page, or a public driver."""


class ErrorSpec(Frozen):
    """What the device is asked after each command."""

    query: str
    """The question."""
    ok: Pattern
    """Regular expression of the answer when nothing went wrong."""


class LineSpec(Frozen):
    """How lines are framed; for `driver = "line"`."""

    start: str = ""
    """Begins each request and each answer."""
    prefix: str = ""
    """Stands before each request's text: `{address}` of the bench file, an option, or `{sequence}`."""
    terminator: Annotated[str, Field(min_length=1)] = "\r\n"
    """Ends a request."""
    reply_terminator: Annotated[str, Field(min_length=1)] | None = None
    """Ends an answer; without it, as a request ends."""
    echo: Flag = False
    """Whether the device repeats each request before it answers."""
    ack: Pattern | None = None
    """Regular expression of the answer to a command; without it commands are not answered."""
    refused: Pattern | None = None
    """Regular expression of what it says instead of an answer when it does not do what it was asked."""
    checksum: Literal["none", "xor", "sum", "crc16"] = "none"
    """Over all bytes before it: their exclusive or, their sum in a byte, or the CRC of Modbus with its low byte first."""
    checksum_place: Literal["before-terminator", "after-terminator"] = "before-terminator"
    """Where it stands."""
    checksum_form: Literal["bytes", "hex"] = "bytes"
    """As it is, or as capital hexadecimal digits."""
    gap: Annotated[Number, Field(ge=0, le=10)] = 0.0
    """Wall seconds that the device needs between two requests."""
    timeout: Seconds = 1.0
    """Wall seconds to wait for an answer."""
    error: ErrorSpec | None = None
    """Asked after each command, but for safe actions."""

    @model_validator(mode="after")
    def _check(self) -> "LineSpec":
        if self.checksum == "none" and self.model_fields_set & {"checksum_place", "checksum_form"}:
            raise ValueError("checksum_place and checksum_form need a checksum")
        return self


class ModbusSpec(Frozen):
    """How registers are read; for `driver = "modbus"`."""

    frame: Literal["rtu", "tcp"] | None = None
    """Without it, RTU on a serial link and TCP on a tcp link."""
    word_order: Literal["big", "little"] = "big"
    """Whether the high or the low word of a value in two registers comes first."""
    gap: Annotated[Number, Field(ge=0, le=10)] = 0.0
    """Wall seconds between two requests."""
    timeout: Seconds = 1.0
    """Wall seconds to wait for an answer."""


class OptionSpec(Frozen):
    """One of the `options` that the bench file may set."""

    default: str | Number | None = None
    """Where the bench file says nothing; without it, it must."""
    pattern: Pattern = ".*"
    """Regular expression of what is legal."""
    about: str = ""
    """What it is."""


class QuestionSpec(Frozen):
    """How one value is asked for."""

    query: str | None = None
    """Line: the request."""
    timeout: Seconds | None = None
    """Line: wall seconds to wait, where this question needs longer."""
    register_: Annotated[Register | None, Field(alias="register")] = None
    """Modbus: the register, counted from 0."""
    table: Literal["holding", "input"] = "holding"
    """Modbus: which registers; function 3 or 4."""
    type: NumberType | None = None
    """Modbus: how the number is written; `int16` without it."""
    bit: Annotated[Whole | None, Field(ge=0, le=15)] = None
    """Modbus: one bit of the register, 0 the lowest; the value is 0 or 1."""
    node: NodeName | None = None
    """OPC-UA: the node's browse path below Objects, `A/B/C` or `URI|A/B/C`; or a list of such names, each with its own URI."""


class IdentitySpec(QuestionSpec):
    """How the device says what it is."""

    model: Pattern = ".*"
    """Regular expression of the answer; groups `model`, `serial_number`, `firmware` and `boot_id` are told apart."""
    serial_number: Name | None = None
    """The channel that says it, where the answer does not."""
    firmware: Name | None = None
    """The channel that says it."""
    boot_id: Name | None = None
    """The channel whose value changes with each power-up: evidence that a counter was not reset."""


class ProfileChannelSpec(QuestionSpec):
    """One channel that can be read."""

    unit: Unit = ""
    """Unit of the value; empty for a pure number or a text."""
    text: Flag = False
    """Whether the value is a text."""
    scale: Number | Annotated[str, Field(pattern=r"^-?[a-z][a-z0-9_]*$")] = 1.0
    """What the device says is multiplied by this, or by this option, or by `-option`."""
    reply: Annotated[str, AfterValidator(_has_value)] | None = None
    """Line: regular expression of the answer, with the group `(?P<value>...)`."""
    bad: Pattern | None = None
    """Regular expression of what the device says when it has no value: the reading is of bad quality."""
    min: Number | None = None
    """Least value that the device can measure, in `unit`: what is below is no value, and of bad quality."""
    max: Number | None = None
    """Greatest value that it can measure."""


class ProfileArgumentSpec(Frozen):
    """One argument of a command."""

    unit: Unit = ""
    """Its unit; empty for a pure number."""
    min: Number | None = None
    """Least value that the device takes."""
    max: Number | None = None
    """Greatest value that it takes."""
    resolution: Annotated[Number, Field(gt=0)] | None = None
    """The device counts in steps of this; without it, as many digits as are sent."""
    scale: Number | Name = 1.0
    """What is sent is divided by this, or by this option."""
    values: tuple[str, ...] = ()
    """For a text: what is legal."""
    default: str | Number | None = None
    """Value where a step leaves it out."""

    @model_validator(mode="after")
    def _check(self) -> "ProfileArgumentSpec":
        if self.values and self.model_fields_set & {"unit", "min", "max", "resolution", "scale"}:
            raise ValueError("an argument is a text, of `values`, or a number; not both")
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError(f"min = {self.min:g}, max = {self.max:g}; expected min below max")
        return self


class ReadbackSpec(Frozen):
    """What the device says of a setting afterwards; another value is an error."""

    channel: Name
    """The channel that says it."""
    within: Annotated[Number, Field(ge=0)] = 0.0
    """How far it may be off, in the channel's unit."""
    equals: str | Number | None = None
    """What it must be; without it, what the command's only argument is."""


class DoneSpec(Frozen):
    """When a dose is over."""

    channel: Name
    """The channel that says it."""
    equals: str | Number
    """What it says when no dose is under way."""


class EvidenceSpec(Frozen):
    """The counter by which a dose whose end nobody saw is judged."""

    channel: Name
    """A channel that only grows, and only by doses."""
    grows_by: Name | Annotated[Number, Field(gt=0)]
    """The argument by which a dose makes it grow, in the same unit; or a number."""


class ActSpec(Frozen):
    """What is sent."""

    model_config = ConfigDict(populate_by_name=True)

    send: str | Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Line: one line or several, with `{ARGUMENT:.2f}` for values."""
    register_: Annotated[Register | None, Field(alias="register")] = None
    """Modbus: the register that is written, counted from 0."""
    function: Literal[6, 16] | None = None
    """Modbus: writes one register or several; without it 6, or 16 for a value in two registers."""
    node: NodeName | None = None
    """OPC-UA: the node that is written."""
    method: NodeName | None = None
    """OPC-UA: the method that is called, without arguments or with those of `send`, each as "NAME = VALUE"."""
    type: NumberType | None = None
    """How the number is written; `int16` in registers, `float` in nodes without it."""
    value: str | Number | None = None
    """What is written; without it, the command's only argument. A text names an argument."""


class CommandSpec(ActSpec):
    """One command of a procedure."""

    kind: Literal["state-setting", "dosing"]
    """Whether it may be sent again."""
    argument: dict[Name, ProfileArgumentSpec] = Field(default_factory=dict)
    """Its arguments."""
    ack: Pattern | None = None
    """Line: regular expression of its answer, where it is another one."""
    timeout: Seconds | None = None
    """Line: wall seconds to wait, where this command takes longer."""
    readback: ReadbackSpec | None = None
    """Read after it, and compared."""
    sparing: Flag = False
    """Whether nothing is sent where the readback has the value already: for settings in a memory that wears."""
    done: DoneSpec | None = None
    """A dose needs it."""
    evidence: EvidenceSpec | None = None
    """A dose without it whose end nobody saw is unknown: a person decides, it is never sent again."""
    cancel: Name | None = None
    """The safe action that ends a dose; a dose needs it."""

    @model_validator(mode="after")
    def _check(self) -> "CommandSpec":
        dose = self.kind == "dosing"
        if dose and (self.done is None or self.cancel is None):
            raise ValueError("a dose needs `done`, which tells its end, and `cancel`, the safe action that ends it")
        if not dose and (self.done or self.evidence or self.cancel):
            raise ValueError("done, evidence and cancel belong to a dose")
        if self.sparing and (self.readback is None or dose):
            raise ValueError("sparing needs a readback, and no dose")
        return self


class SafeSpec(ActSpec):
    """One safe action: sent at once, nothing is asked before."""


class WatchdogSpec(ActSpec):
    """The device's own communication watchdog: sent when it is armed, and at least every third of its time."""

    min: Seconds = 1.0
    """Least wall seconds that it takes; `{seconds}` in `send`, or the value that is written."""
    max: Annotated[Number, Field(gt=0)] = 3600.0
    """Greatest wall seconds that it takes."""
    reply: Pattern | None = None
    """Line: regular expression of the answer, where there is one."""


class ProfileSpec(Frozen):
    """A whole profile."""

    profile: ProfileGeneralSpec
    """What the profile is."""
    line: LineSpec = LineSpec()
    """How lines are framed."""
    modbus: ModbusSpec = ModbusSpec()
    """How registers are read."""
    options: dict[Name, OptionSpec] = Field(default_factory=dict)
    """What the bench file may set, and patterns may name."""
    identity: IdentitySpec | None = None
    """How the device says what it is; without it the first channel is read to see that it is there."""
    channels: Annotated[dict[Name, ProfileChannelSpec], Field(min_length=1)]
    """What can be read, one `[channels.NAME]` each."""
    commands: dict[Name, CommandSpec] = Field(default_factory=dict)
    """What a procedure can do, one `[commands.NAME]` each."""
    safe: dict[Name, SafeSpec] = Field(default_factory=dict)
    """Safe actions, one `[safe.NAME]` each."""
    watchdog: WatchdogSpec | None = None
    """The device's own communication watchdog, where it has one."""

    def acts(self) -> Mapping[str, ActSpec]:
        """Return all that is sent, by where it stands."""
        commands = {f"commands.{name}": one for name, one in self.commands.items()}
        safe = {f"safe.{name}": one for name, one in self.safe.items()}
        return {**commands, **safe, **({"watchdog": self.watchdog} if self.watchdog else {})}


def legal_keys() -> Mapping[tuple[str, ...], tuple[str, ...]]:
    """Return the legal keys by where they stand, for the line about an unknown one."""
    places: tuple[tuple[tuple[str, ...], type[Frozen]], ...] = (
        ((), ProfileSpec),
        (("profile",), ProfileGeneralSpec),
        (("line",), LineSpec),
        (("modbus",), ModbusSpec),
        (("identity",), IdentitySpec),
        (("channels", "*"), ProfileChannelSpec),
        (("commands", "*"), CommandSpec),
        (("commands", "*", "argument", "*"), ProfileArgumentSpec),
        (("safe", "*"), SafeSpec),
    )
    return {place: tuple(keys_of(kind)) for place, kind in places}


def keys_of(kind: type[Frozen]) -> Iterator[str]:
    """Iterate over the keys of a table as they are written."""
    return (field.alias or name for name, field in kind.model_fields.items())
