"""The keys of a bench file, as people write them: shapes and single values, checked one by one.

What takes drivers, units of channels or several tables at once is checked by `instruments.bench.file`.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from orchestrator.domain.values import Frozen
from orchestrator.numerals import number
from orchestrator.units import parse

Seconds = Annotated[float, Field(gt=0)]
_NAME: Final = r"^[a-z][a-z0-9_]*$"


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
    price: str | float | None = None
    """Amount, currency and volume, for example "12 EUR/mL"."""


class UntilSpec(Frozen):
    """When a step is done."""

    channel: str
    within: str
    hold: Annotated[str, Field(alias="for")]
    timeout: str
    rate: str | None = None
    """How fast the channel comes to its setpoint, for example "10 delta_degC/min"; for estimates of time alone."""


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


class InterlockSpec(Frozen):
    """A condition before a command, as people write it."""

    name: str
    before: str
    expression: str
    unit: str = ""
    min: str | float | None = None
    max: str | float | None = None


class HazardSpec(Frozen):
    """A quantity beyond which persons must sign, whatever the review rules say."""

    name: Annotated[str, Field(min_length=1)]
    value: Annotated[str, Field(min_length=1)]
    """An expression over parameters, constants and stocks."""
    above: str | float | None = None
    """The limit, with its unit; the value at the limit itself is harmless."""
    below: str | float | None = None
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
    arguments: Annotated[dict[str, str | float], Field(alias="with")] = Field(default_factory=dict)


class ParkSpec(Frozen):
    """The settings of a parked bench, in order."""

    steps: tuple[ParkStepSpec, ...] = ()


class BenchGeneralSpec(Frozen):
    """What concerns the bench as a whole; times are wall seconds, but for `park_after`."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    reduction: str
    """Name and version of the reduction from readings to measurements."""
    grace: Seconds = 60.0
    """Without a campaign's heartbeat for so long, the bench goes to its safe state."""
    restart_within: Seconds = 10.0
    """A host that is not ready after so long is replaced by the supervisor's safe state."""
    idle_exit: Seconds = 600.0
    """After so long without work the host leaves, the bench safe."""
    park_after: Seconds | None = None
    """Lab seconds without a run after which the bench is parked; None where it never is."""
    positions: str | None = None
    """Sampler positions as a range, for example "A1:H12"."""

    @field_validator("grace", "restart_within", "idle_exit", "park_after", mode="before")
    @classmethod
    def _times(cls, value: Any) -> Any:
        return parse(value, "s", what="bench times") if isinstance(value, str) else value


class BenchSpec(Frozen):
    """A whole bench file."""

    bench: BenchGeneralSpec
    constants: dict[str, str | float] = Field(default_factory=dict)
    links: Annotated[dict[Annotated[str, Field(pattern=_NAME)], LinkSpec], Field(min_length=1)]
    instruments: Annotated[dict[Annotated[str, Field(pattern=_NAME)], InstrumentSpec], Field(min_length=1)]
    stocks: dict[Annotated[str, Field(pattern=_NAME)], StockSpec] = Field(default_factory=dict)
    procedure: ProcedureSpec
    measured: dict[str, str] = Field(default_factory=dict)
    infeasible: InfeasibleSpec = InfeasibleSpec()
    interlocks: tuple[InterlockSpec, ...] = ()
    hazards: tuple[HazardSpec, ...] = ()
    park: ParkSpec = ParkSpec()
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
