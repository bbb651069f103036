"""The bench file: which instruments hang on which wires, their limits, safe state, stocks and the procedure.

Instruments are listed in the order in which the safe state is driven.
"""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from instruments.driver import Driver, Limit, Settings
from instruments.registry import DRIVERS
from orchestrator.domain.values import Frozen, explain
from orchestrator.errors import BadInput
from orchestrator.safety import Envelope, Interlock, SetpointLimit
from orchestrator.units import parse, unit

Seconds = Annotated[float, Field(gt=0)]
_NAME: Final = r"^[a-z][a-z0-9_]*$"


def _seconds(value: Any, what: str) -> Any:
    return parse(value, "s", what=what) if isinstance(value, str) else value


class LinkSpec(Frozen):
    """One wire."""

    kind: Literal["serial", "opcua"]
    port: str | None = None
    """Serial: the device's path, best below /dev/serial/by-id."""
    url: str | None = None
    """OPC-UA: the endpoint."""
    frame: Annotated[str, Field(pattern=r"^[78][NEO][12]$")] = "8N1"
    baud: int = 19200

    @model_validator(mode="after")
    def _check(self) -> "LinkSpec":
        if (self.kind == "serial") != (self.port is not None) or (self.kind == "opcua") != (self.url is not None):
            raise ValueError("a serial link has a port, an opcua link a url")
        return self

    @property
    def endpoint(self) -> str:
        """The port or the url."""
        return self.port or self.url or ""


class WatchdogSpec(Frozen):
    """The device's own communication watchdog."""

    seconds: Seconds
    """Wall seconds of silence after which the device falls to its own safe state."""


class LimitSpec(Frozen):
    """A range as people write it, with units."""

    min: str | float
    max: str | float


class InstrumentSpec(Frozen):
    """One instrument on a link."""

    driver: str
    link: str
    address: int | None = None
    serial_number: str | None = None
    model: str | None = None
    limits: dict[str, LimitSpec] = Field(default_factory=dict)
    watchdog: WatchdogSpec | None = None
    safe_state: tuple[str, ...] = ()
    options: dict[str, str | float | int] = Field(default_factory=dict)


class StockSpec(Frozen):
    """One named stock solution."""

    species: Annotated[dict[str, str], Field(min_length=1)]
    """Concentration of each species, for example "0.2 mol/L"."""
    lot: str
    volume: str
    delivered_by: str | None = None
    """The instrument that pumps it; for the reagents' budget."""
    price: float | None = None
    """Per mL, in the lab's currency."""


class UntilSpec(Frozen):
    """When a step is done."""

    channel: str
    within: str
    hold: Annotated[str, Field(alias="for")]
    timeout: str


class GapSpec(Frozen):
    """The longest interruption that a run survives."""

    max_gap: str


class StepSpec(Frozen):
    """One step of the procedure, with expressions still in it."""

    do: str
    arguments: Annotated[dict[str, str | float], Field(alias="with")] = Field(default_factory=dict)
    channels: tuple[str, ...] = ()
    until: UntilSpec | None = None
    interrupted: Literal["abort", "continue"] | GapSpec = "abort"


class ProcedureSpec(Frozen):
    """The ordered steps that realise a configuration."""

    steps: Annotated[tuple[StepSpec, ...], Field(min_length=1)]


class InfeasibleRule(Frozen):
    """When a run's end is the recipe's fault: a device's code, or a reading beyond a value."""

    code: str | None = None
    reading: str | None = None
    below: float | None = None
    above: float | None = None
    reason: str

    @field_validator("below", "above", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return float(value) if isinstance(value, str) else value

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


class InterlockSpec(Frozen):
    """A condition before a command, as people write it."""

    name: str
    before: str
    expression: str
    unit: str = ""
    min: str | float | None = None
    max: str | float | None = None


class GeneralSpec(Frozen):
    """What concerns the bench as a whole; times are wall seconds."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    reduction: str
    """Name and version of the reduction from readings to measurements."""
    grace: Seconds = 60.0
    """Without a campaign's heartbeat for so long, the bench goes to its safe state."""
    restart_within: Seconds = 10.0
    """A host that is not ready after so long is replaced by the supervisor's safe state."""
    idle_exit: Seconds = 600.0
    """After so long without work the host leaves, the bench safe."""
    positions: str | None = None
    """Sampler positions as a range, for example "A1:H12"."""

    @field_validator("grace", "restart_within", "idle_exit", mode="before")
    @classmethod
    def _times(cls, value: Any) -> Any:
        return _seconds(value, "bench times")


class BenchSpec(Frozen):
    """A whole bench file."""

    bench: GeneralSpec
    constants: dict[str, str | float] = Field(default_factory=dict)
    links: Annotated[dict[Annotated[str, Field(pattern=_NAME)], LinkSpec], Field(min_length=1)]
    instruments: Annotated[dict[Annotated[str, Field(pattern=_NAME)], InstrumentSpec], Field(min_length=1)]
    stocks: dict[Annotated[str, Field(pattern=_NAME)], StockSpec] = Field(default_factory=dict)
    procedure: ProcedureSpec
    measured: dict[str, str] = Field(default_factory=dict)
    infeasible: InfeasibleSpec = InfeasibleSpec()
    interlocks: tuple[InterlockSpec, ...] = ()
    simulation: dict[Literal["plant"], str] = Field(default_factory=dict)
    """`plant`: the file that describes the simulated devices, beside this one."""


_LEGAL: Final[Mapping[tuple[str, ...], tuple[str, ...]]] = {
    (): tuple(BenchSpec.model_fields),
    ("bench",): tuple(GeneralSpec.model_fields),
    ("procedure", "steps"): ("do", "with", "channels", "until", "interrupted"),
}


@dataclass(frozen=True)
class BenchFile:
    """A checked bench file with its hash."""

    path: Path
    text: str
    spec: BenchSpec

    @property
    def sha256(self) -> str:
        """The hash of the file's bytes."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def constants(self) -> dict[str, tuple[float, str]]:
        """Value and unit of each constant and of each `stocks.STOCK.SPECIES`."""
        table = {name: _named_quantity(raw, f"constant {name}") for name, raw in self.spec.constants.items()}
        for stock, described in self.spec.stocks.items():
            for species, raw in described.species.items():
                value = parse(raw, "mol/L", what=f"stock {stock}, {species}")
                table[f"stocks.{stock}.{species}"] = (value, "mol/L")
        return table

    def driver(self, instrument: str) -> type[Driver]:
        """Return the driver class of an instrument."""
        return DRIVERS[self.spec.instruments[instrument].driver]

    def settings(self, instrument: str) -> Settings:
        """Return what a driver is built with."""
        spec = self.spec.instruments[instrument]
        limits = {name: self._limit(instrument, name) for name in spec.limits}
        watchdog = spec.watchdog.seconds if spec.watchdog else None
        return Settings(instrument, spec.address, spec.serial_number, spec.model, limits, watchdog, spec.options)

    def _limit(self, instrument: str, argument: str) -> Limit:
        what = f"instrument {instrument}, limits.{argument}"
        spec = self.spec.instruments[instrument].limits[argument]
        own = self._argument_units(instrument).get(argument)
        if own is None:
            legal = ", ".join(sorted(self._argument_units(instrument))) or "none"
            raise BadInput(f"{what}: the driver takes no such number; it takes {legal}")
        limit = Limit(parse(spec.min, own, what=f"{what}.min"), parse(spec.max, own, what=f"{what}.max"))
        if limit.low > limit.high:
            raise BadInput(f"{what}: min {limit.low:g} is above max {limit.high:g} {own}")
        return limit

    def _argument_units(self, instrument: str) -> dict[str, str]:
        specs = self.driver(instrument).COMMANDS.values()
        return {name: argument.unit for spec in specs for name, argument in spec.arguments.items() if argument.unit is not None}

    @cached_property
    def channel_units(self) -> dict[str, str]:
        """Unit of each `instrument.channel`."""
        return {f"{name}.{channel}": spec.unit for name in self.spec.instruments for channel, spec in self.driver(name).CHANNELS.items()}

    @cached_property
    def envelope(self) -> Envelope:
        """Limits (bench file and datasheet intersected) and interlocks."""
        return Envelope(self._setpoint_limits(), self._interlocks(), self.constants, self.channel_units)

    def _setpoint_limits(self) -> dict[str, SetpointLimit]:
        limits: dict[str, SetpointLimit] = {}
        for name, spec in self.spec.instruments.items():
            for command in self.driver(name).COMMANDS.values():
                for argument, described in command.arguments.items():
                    found = [one for one in (described.limit, self._limit(name, argument) if argument in spec.limits else None) if one]
                    if described.unit is not None and found:
                        both = found[0] if len(found) == 1 else found[0].intersect(found[1])
                        if both.low > both.high:
                            raise BadInput(
                                f"instrument {name}, limits.{argument}: nothing is left of the file's limits and the datasheet's "
                                f"{found[0].low:g} to {found[0].high:g} {described.unit}"
                            )
                        limits[f"{name}.{argument}"] = SetpointLimit(both.low, both.high, described.unit)
        return limits

    def _interlocks(self) -> tuple[Interlock, ...]:
        return tuple(
            Interlock(
                name=one.name,
                before=one.before,
                expression=one.expression,
                unit=one.unit,
                min=None if one.min is None else parse(one.min, one.unit, what=f"interlock {one.name!r}, min"),
                max=None if one.max is None else parse(one.max, one.unit, what=f"interlock {one.name!r}, max"),
            )
            for one in self.spec.interlocks
        )

    @cached_property
    def positions(self) -> tuple[str, ...]:
        """All sampler positions, row by row."""
        return _positions(self.spec.bench.positions) if self.spec.bench.positions else ()


def _named_quantity(raw: str | float, what: str) -> tuple[float, str]:
    if not isinstance(raw, str):
        return float(raw), ""
    named = raw.strip().partition(" ")[2].strip()
    try:
        unit(named)
    except BadInput as error:
        raise BadInput(f"{what} = {raw!r}: {error}") from error
    return parse(raw, named, what=what), named


def _positions(text: str) -> tuple[str, ...]:
    first, _, last = text.partition(":")
    try:
        rows = [chr(code) for code in range(ord(first[0]), ord(last[0]) + 1)]
        columns = range(int(first[1:]), int(last[1:]) + 1)
    except (IndexError, ValueError) as error:
        raise BadInput(f"bench.positions = {text!r}; expected a range like 'A1:H12'") from error
    return tuple(f"{row}{column}" for row in rows for column in columns)


def parse_bench(text: str, path: Path) -> BenchFile:
    """Check the text of a bench file.

    Raises:
        BadInput: One line that names the file, the key, what came and what is legal.
    """
    try:
        spec = BenchSpec.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"bench file {path} is not TOML: {error}") from error
    except ValidationError as error:
        raise explain(error, what=str(path), legal=_LEGAL) from error
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    bench = BenchFile(path, text, spec)
    try:
        _check_references(bench)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    return bench


def load_bench(path: Path) -> BenchFile:
    """Read and check a bench file.

    Raises:
        BadInput: One line that names the file, the key, what came and what is legal.
    """
    try:
        return parse_bench(path.read_text(encoding="utf-8"), path)
    except FileNotFoundError as error:
        raise BadInput(f"bench file {path} does not exist") from error
    except (UnicodeDecodeError, OSError) as error:
        raise BadInput(f"bench file {path} cannot be read: {error}") from error


def _check_references(bench: BenchFile) -> None:
    for name, spec in bench.spec.instruments.items():
        if spec.driver not in DRIVERS:
            raise BadInput(f"instrument {name}: unknown driver {spec.driver!r}; known: {', '.join(sorted(DRIVERS))}")
        if spec.link not in bench.spec.links:
            raise BadInput(f"instrument {name}: unknown link {spec.link!r}; declared: {', '.join(bench.spec.links)}")
        for action in spec.safe_state:
            if action not in bench.driver(name).SAFE_ACTIONS:
                legal = ", ".join(sorted(bench.driver(name).SAFE_ACTIONS))
                raise BadInput(f"instrument {name}: unknown safe action {action!r}; legal: {legal}")
    for stock, described in bench.spec.stocks.items():
        parse(described.volume, "mL", what=f"stock {stock}, volume")
        if described.delivered_by is not None and described.delivered_by not in bench.spec.instruments:
            raise BadInput(f"stock {stock}: delivered_by {described.delivered_by!r} is no instrument")
    _check_addresses(bench.spec)
    _ = bench.constants, bench.envelope, bench.positions


def _check_addresses(spec: BenchSpec) -> None:
    seen: dict[tuple[str, int | None], str] = {}
    for name, one in spec.instruments.items():
        key = (one.link, one.address)
        if key in seen:
            raise BadInput(f"instruments {seen[key]} and {name} have the same address {one.address} on link {one.link}")
        seen[key] = name
