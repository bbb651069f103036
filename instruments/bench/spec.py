"""The keys of a bench file, as people write them: shapes and single values, checked one by one.

What takes drivers, units of channels or several tables at once is checked by `instruments.bench.file`.
"""

from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, field_validator, model_validator

from instruments.bench.call_spec import CallSpec
from instruments.bench.link_spec import LinkSpec
from instruments.bench.object_spec import Channel, Object
from instruments.bench.twin_spec import TwinSpec
from instruments.drivers.functions import FunctionKind
from orchestrator.domain.values import Frozen
from orchestrator.domain.written import (
    UNIT,
    Number,
    Quantity,
    TextWithUnit,
    Whole,
    duration_schema,
    either,
    late_text_schema,
    quantity_schema,
    text_schema,
)
from orchestrator.numerals import number
from orchestrator.units import parse


def _seconds(value: Any) -> Any:
    return parse(value, "s", what="bench times") if isinstance(value, str) else value


Seconds = Annotated[Number, Field(gt=0)]
WallSeconds = Annotated[Number, Field(gt=0), BeforeValidator(_seconds), WithJsonSchema(duration_schema("wall"))]
LabSeconds = Annotated[Number, Field(gt=0), BeforeValidator(_seconds), WithJsonSchema(duration_schema("lab"))]
Argument = Annotated[str | Number, WithJsonSchema({"type": ["number", "string"], "examples": ["V / tau"], UNIT: "the argument's"})]
Arguments = Annotated[dict[str, Argument], Field(alias="with")]
_DATE: Final = {"type": "string", "format": "date", "examples": ["2026-11-01"]}
_NAME: Final = r"^[a-z][a-z0-9_]*$"


def _a_day(written: object) -> object:
    """Refuse what is no day of a calendar: pydantic would count seconds from a number, and cut the hour off a midnight."""
    if type(written) is date or written is None:
        return written
    try:
        return date.fromisoformat(written if isinstance(written, str) and "-" in written else "")
    except ValueError as error:
        given = written.isoformat() if isinstance(written, datetime) else written
        raise ValueError(f"{given!r} is no day; expected a day, as 2026-11-01") from error


class WatchdogSpec(Frozen):
    """The device's own communication watchdog."""

    seconds: Seconds
    """Wall seconds of silence after which the device falls to its own safe state."""


class LimitSpec(Frozen):
    """A range as people write it, with units."""

    min: Quantity
    """Least value that is ever sent."""
    max: Quantity
    """Greatest value that is ever sent."""


class FunctionSpec(Frozen):
    """One function of a device, as the device offers it; held against the device when it is identified."""

    function: Annotated[str, Field(min_length=1)]
    """The device's own name of it (BrowseName); one that is nested in another stands after it: "Pump/Pressure"."""
    kind: Annotated[FunctionKind, WithJsonSchema({"type": "string", "enum": [str(kind) for kind in FunctionKind]})]
    """What it is; `reference/drivers` says which commands, channels and safe actions each kind has."""
    unit: str | None = None
    """Of its values; the device must state the same one."""
    total_unit: str | None = None
    """Of a totalizer's sum over time."""
    min: Quantity | None = None
    """Least value that is ever set; goes with `max`."""
    max: Quantity | None = None
    """Greatest value that is ever set."""
    states: tuple[str, ...] = ()
    """Names of its states, in the order of the device's numbers from 0."""


class InstrumentSpec(Frozen):
    """One instrument: on a link, or a person or a program that needs none."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["link"]},
                {"required": ["calls"]},
                {"required": ["object"]},
                {"properties": {"driver": {"pattern": r"\.py:"}}},  # whether a plug-in needs a link, only itself can say
            ]
        }
    )

    driver: str
    """The driver's name; `reference/drivers` lists them. Or a plug-in: a name of an installed package, or `./FILE.py:CLASS`."""
    link: str | None = None
    """The link that it hangs on, by its name in `[links]`; drivers that need none take none."""
    address: Whole | None = None
    """Its address on a wire that several devices share."""
    serial_number: str | None = None
    """Refused when the device says another one."""
    model: str | None = None
    """Refused when the device says another one; for some drivers it also sets the datasheet's limits."""
    limits: dict[str, LimitSpec] = Field(default_factory=dict)
    """Argument of the driver's commands (`flow`, `temperature`) -> range, in a unit that converts to the driver's."""
    watchdog: WatchdogSpec | None = None
    """The device's own communication watchdog, where it has one."""
    serviced: Annotated[date | None, BeforeValidator(_a_day), Field(exclude_if=lambda value: value is None), WithJsonSchema(_DATE)] = None
    """The day of its last service or calibration, as `2026-11-01`; a quantity of `[environment]` may count the days since."""
    safe_state: tuple[str, ...] = ()
    """Safe actions of the driver, in the order in which they are done; instruments go in the order of the file."""
    options: dict[str, str | Whole | Number] = Field(default_factory=dict)
    """The driver's own settings; `reference/drivers` lists them."""
    functions: dict[Annotated[str, Field(pattern=_NAME)], FunctionSpec] = Field(default_factory=dict)
    """What the device offers beside programs, one `[instruments.NAME.functions.FUNCTION]` each, for drivers that take it."""
    calls: dict[Annotated[str, Field(pattern=_NAME)], CallSpec] = Field(default_factory=dict)
    """What it does when it is asked to, one `[instruments.NAME.calls.CALL]` each, for drivers that take it; steps name it as
    `NAME.CALL`, and each of its returns is a channel."""
    object: Object | None = None
    """The object of another package that it is, for drivers that take it: a class, or a function that makes it."""
    channels: dict[Annotated[str, Field(pattern=_NAME)], Channel] = Field(default_factory=dict)
    """What is read of the object: name -> unit, or a table."""


Concentration = Annotated[str, WithJsonSchema(text_schema("converts to mol/L", "0.2 mol/L"))]


_PRICE: Final[dict[str, Any]] = {
    "type": "string",
    "pattern": r"^\s*([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*[A-Z]{3}\s*/",
    "examples": ["12 EUR/mL"],
    UNIT: "currency per volume",
}


class StockSpec(Frozen):
    """One named stock solution."""

    species: Annotated[dict[str, Concentration], Field(min_length=1)]
    """Concentration of each species, for example "0.2 mol/L"; expressions know it as `stocks.STOCK.SPECIES`."""
    lot: Annotated[str, Field(min_length=1)]
    """The bottle: what is left of it is counted by this name."""
    volume: TextWithUnit
    """All that was ever filled of this lot, for example "200 mL"; what is left is that, less what runs have dosed."""
    delivered_by: str | None = None
    """The instrument, person or function that delivers it, in a command with a volume among its arguments; without it nothing is
    counted."""
    price: Annotated[str | Number, WithJsonSchema(_PRICE)] | None = None
    """Amount, currency (three capital letters) and volume, for example "12 EUR/mL"; one currency for all stocks."""


class UntilSpec(Frozen):
    """When a step is done."""

    channel: str
    """What is read, as `instrument.channel`; it is compared with what the step has set."""
    within: Annotated[str, WithJsonSchema(late_text_schema("a difference in the channel's unit", "1 delta_degC"))]
    """How near to the setpoint counts as there."""
    hold: Annotated[str, Field(alias="for"), WithJsonSchema(late_text_schema("lab time", "60 s"))]
    """How long it must stay there."""
    timeout: Annotated[str, WithJsonSchema(late_text_schema("lab time", "20 min"))]
    """After so long without it the run has failed."""
    rate: Annotated[str, WithJsonSchema(late_text_schema("the channel's unit per time", "10 delta_degC/min"))] | None = None
    """How fast the channel comes to its setpoint; for estimates of time alone."""


class GapSpec(Frozen):
    """The longest interruption that a run survives."""

    max_gap: Annotated[str, WithJsonSchema(late_text_schema("lab time", "60 s"))]
    """After a longer gap the run has failed as interrupted."""


class StepSpec(Frozen):
    """One step of the procedure, with expressions still in it."""

    do: str
    """`instrument.command`; or `wait`, which lets lab time pass; or `read`, which reads channels."""
    arguments: Arguments = Field(default_factory=dict)
    """Argument of the command -> number, text with unit, or expression over parameters, constants and stocks."""
    channels: tuple[str, ...] = ()
    """`read`: what is read, as `instrument.channel`."""
    until: UntilSpec | None = None
    """When the step is done; without it, once the device has taken it."""
    interrupted: Literal["abort", "continue"] | GapSpec = "abort"
    """What an interruption of the host means for the run: it ends, goes on, or goes on after at most `max_gap`; where it is
    left out, a call of a person, a function or a command goes on."""


class ProcedureSpec(Frozen):
    """The ordered steps that realise a configuration."""

    steps: Annotated[tuple[StepSpec, ...], Field(min_length=1)]
    """The steps, one `[[procedure.steps]]` each, in order."""


class InfeasibleRule(Frozen):
    """When a run's end is the recipe's fault: a device's code, or a reading beyond a value."""

    model_config = ConfigDict(
        json_schema_extra={
            **either("code", "reading"),
            "if": {"required": ["reading"]},
            "then": {"anyOf": [{"required": ["below"]}, {"required": ["above"]}]},
        }
    )

    code: str | None = None
    """The device's own word for how its program ended, for example "clogged"."""
    reading: str | None = None
    """`instrument.channel`, whose last value of the run is compared; a rule has either this or `code`."""
    below: Annotated[Number, WithJsonSchema(quantity_schema("the channel's unit", "0.1"))] | None = None
    """Infeasible where the value is below it."""
    above: Annotated[Number, WithJsonSchema(quantity_schema("the channel's unit", "0.1"))] | None = None
    """Infeasible where the value is above it."""
    reason: str
    """What the ledger and the report say of such a run."""

    @field_validator("below", "above", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return number(value, what="infeasible rule") if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check(self) -> "InfeasibleRule":
        if (self.code is None) == (self.reading is None):
            raise ValueError("a rule has either a code or a reading")
        if self.reading is not None and self.below is None and self.above is None:
            raise ValueError(f"the rule on {self.reading} needs below or above")
        return self


class InfeasibleSpec(Frozen):
    """All rules; everything else that goes wrong is `failed`."""

    rules: tuple[InfeasibleRule, ...] = ()
    """The rules, in order; the first that holds gives the reason."""


class InterlockSpec(Frozen):
    """A condition before a command, as people write it."""

    name: str
    """What the refusal calls it."""
    before: str
    """The command that it guards, as `instrument.command`."""
    expression: str
    """What is compared: an expression over readings, constants and stocks."""
    unit: str = ""
    """Unit of the expression's value and of the bounds."""
    min: Annotated[Quantity, WithJsonSchema(quantity_schema("`unit`", "1.5 mL/min"))] | None = None
    """Least value at which the command is sent."""
    max: Annotated[Quantity, WithJsonSchema(quantity_schema("`unit`", "1.5 mL/min"))] | None = None
    """Greatest value at which the command is sent."""


class EnvironmentSpec(Frozen):
    """One quantity of the laboratory that is recorded with each experiment: what a channel reads, a lot, or the days since a service."""

    model_config = ConfigDict(json_schema_extra={**either("channel", "lot", "since"), "dependentRequired": {"channel": ["reference"]}})

    channel: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None
    """What is read, as `instrument.channel`: a number. What a call returns, or a person, is taken as it comes."""
    lot: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None
    """A stock, as `stocks.STOCK`, whose lot the experiment takes from."""
    since: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None
    """A device's day of service, as `instrument.serviced`: the days from it to the experiment's beginning."""
    reference: Annotated[
        Quantity | None,
        Field(exclude_if=lambda value: value is None),
        WithJsonSchema(quantity_schema("the channel's unit, or a time", "40 %")),
    ] = None
    """Where the goals of a campaign hold; needed of a channel, the day of service itself where nothing is said, and none of a lot."""
    every: LabSeconds = 30.0
    """Lab seconds from reading to reading, while an experiment is carried out; counts for nothing that a step brings."""

    @model_validator(mode="after")
    def _check(self) -> "EnvironmentSpec":
        given = [key for key in ("channel", "lot", "since") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(f"{' and '.join(given) or 'none'} of channel, lot and since is given; expected one of them")
        if self.channel is not None and self.reference is None:
            raise ValueError("reference is missing; expected where the goals hold")
        if self.lot is not None and self.reference is not None:
            raise ValueError("a lot has no reference")
        if self.channel is None and "every" in self.model_fields_set:
            raise ValueError(f"every is for a channel; a {given[0]} is not read")
        return self


class HazardSpec(Frozen):
    """A quantity beyond which persons must sign, whatever the review rules say."""

    model_config = ConfigDict(json_schema_extra=either("above", "below"))

    name: Annotated[str, Field(min_length=1)]
    """What people who must sign are told."""
    value: Annotated[str, Field(min_length=1)]
    """An expression over parameters, constants and stocks."""
    above: Annotated[Quantity, WithJsonSchema(quantity_schema("as written", "270 degC"))] | None = None
    """The limit, with its unit; the value at the limit itself is harmless."""
    below: Annotated[Quantity, WithJsonSchema(quantity_schema("as written", "270 degC"))] | None = None
    """The limit on the other side; a hazard has either this or `above`."""
    people: Literal[1, 2] = 2
    """How many persons must sign."""

    @model_validator(mode="after")
    def _check(self) -> "HazardSpec":
        if (self.above is None) == (self.below is None):
            raise ValueError(f"hazard {self.name!r} needs either above or below")
        return self

    @property
    def side(self) -> Literal["above", "below"]:
        """On which side of the limit the hazard lies."""
        return "below" if self.above is None else "above"

    @property
    def limit(self) -> str | float:
        """The limit as written."""
        return self.above if self.above is not None else self.below if self.below is not None else ""


class ParkStepSpec(Frozen):
    """One setting of a parked bench."""

    do: str
    """`instrument.command`, of a command that sets a state; doses and programs are refused."""
    arguments: Arguments = Field(default_factory=dict)
    """Argument of the command -> number, text with unit, or expression over constants and stocks."""


class ParkSpec(Frozen):
    """The settings of a parked bench, in order."""

    steps: tuple[ParkStepSpec, ...] = ()
    """The settings, one `[[park.steps]]` each, in order."""


class BenchGeneralSpec(Frozen):
    """What concerns the bench as a whole; times are wall seconds, but for `park_after`."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    """What people call the bench: small letters, digits and hyphens."""
    reduction: str
    """Name and version of the reduction from readings to measurements; or a plug-in, as `./FILE.py:NAME`."""
    grace: WallSeconds = 60.0
    """Without a campaign's heartbeat for so long, the bench goes to its safe state."""
    restart_within: WallSeconds = 10.0
    """A host that is not ready after so long is replaced by the supervisor's safe state."""
    idle_exit: WallSeconds = 600.0
    """After so long without work the host leaves, the bench safe."""
    park_after: LabSeconds | None = None
    """Lab seconds without a run after which the bench is parked; None where it never is."""
    positions: str | None = None
    """Sampler positions as a range, for example "A1:H12"."""


class BenchSpec(Frozen):
    """A whole bench file."""

    bench: BenchGeneralSpec
    """The bench as a whole."""
    constants: dict[str, Quantity] = Field(default_factory=dict)
    """Name -> number or text with unit, for expressions: `V = "2 mL"`."""
    links: dict[Annotated[str, Field(pattern=_NAME)], LinkSpec] = Field(default_factory=dict)
    """The wires, one `[links.NAME]` each; none where no driver needs one."""
    instruments: Annotated[dict[Annotated[str, Field(pattern=_NAME)], InstrumentSpec], Field(min_length=1)]
    """The instruments, one `[instruments.NAME]` each, in the order in which the safe state is driven."""
    stocks: dict[Annotated[str, Field(pattern=_NAME)], StockSpec] = Field(default_factory=dict)
    """The stock solutions, one `[stocks.NAME]` each."""
    procedure: ProcedureSpec
    """What is done for each experiment."""
    measured: dict[str, str] = Field(default_factory=dict)
    """Parameter -> expression over readings, constants and stocks: the configuration that was really there."""
    infeasible: InfeasibleSpec = InfeasibleSpec()
    """Which ends of a run are the recipe's fault."""
    interlocks: tuple[InterlockSpec, ...] = ()
    """Conditions before a command, one `[[interlocks]]` each; the host checks them just before the wire."""
    hazards: tuple[HazardSpec, ...] = ()
    """Quantities beyond which persons must sign, one `[[hazards]]` each."""
    environment: dict[Annotated[str, Field(pattern=_NAME)], EnvironmentSpec] = Field(default_factory=dict)
    """What is recorded of the laboratory with each experiment, one `[environment.NAME]` each: nothing is set by it."""
    park: ParkSpec = ParkSpec()
    """The settings of an idle bench; goes with `bench.park_after`."""
    twin: TwinSpec | None = None
    """The simulator that predicts what this bench makes; None where there is none."""
    simulation: dict[Literal["plant"], str] = Field(default_factory=dict)
    """`plant`: the file that describes the simulated devices, beside this one."""

    @model_validator(mode="after")
    def _check(self) -> "BenchSpec":
        if (self.bench.park_after is None) != (not self.park.steps):
            raise ValueError("bench.park_after and [[park.steps]] go together: when the bench is parked, and how")
        names = [hazard.name for hazard in self.hazards]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"hazard {twice[0]!r} is declared twice")
        return self
