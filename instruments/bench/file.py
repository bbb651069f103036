"""The bench file: which instruments hang on which wires, their limits, safe state, stocks and the procedure.

Instruments are listed in the order in which the safe state is driven.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from instruments.bench.beside import files_beside
from instruments.bench.call_spec import ArgumentKeys, CallSpec, ReturnKeys, check_keys, declared_call
from instruments.bench.delivery import check_delivery
from instruments.bench.lanes import check_lane, check_objects
from instruments.bench.object_spec import ChannelKeys, ObjectSpec, check_object, declared_channels, declared_object
from instruments.bench.prices import Price
from instruments.bench.spec import BenchGeneralSpec, BenchSpec, EnvironmentSpec, FunctionSpec, HazardSpec, ParkSpec, StockSpec
from instruments.bench.twin_spec import ConstantKeys, TwinSpec
from instruments.drivers.completeness import require_complete
from instruments.drivers.functions import Function, FunctionKind
from instruments.drivers.protocol import Driver, Limit, Settings
from instruments.drivers.registry import driver_plugin, find_driver
from instruments.drivers.stand_in import stand_in_driver
from instruments.lab_processes.bench_copies import origin_of_copy
from orchestrator.domain.drift import DriftSpec
from orchestrator.domain.values import explain
from orchestrator.errors import BadInput, LimitError
from orchestrator.numerals import split
from orchestrator.plugins import LOADING_SECONDS, Plugin
from orchestrator.safety import Envelope, Interlock, SetpointLimit
from orchestrator.textfile import parse_toml, read_text
from orchestrator.units import parse, unit

_LEGAL: Final[Mapping[tuple[str, ...], tuple[str, ...]]] = {
    (): tuple(BenchSpec.model_fields),
    ("bench",): tuple(BenchGeneralSpec.model_fields),
    ("instruments", "*", "functions", "*"): tuple(FunctionSpec.model_fields),
    ("instruments", "*", "object"): tuple(one.alias or name for name, one in ObjectSpec.model_fields.items()),
    ("instruments", "*", "channels", "*"): tuple(ChannelKeys.model_fields),
    ("instruments", "*", "calls", "*"): tuple(CallSpec.model_fields),
    ("instruments", "*", "calls", "*", "arguments", "*"): tuple(ArgumentKeys.model_fields),
    ("instruments", "*", "calls", "*", "returns", "*"): tuple(ReturnKeys.model_fields),
    ("procedure", "steps"): ("do", "with", "channels", "until", "interrupted"),
    ("stocks", "*"): tuple(StockSpec.model_fields),
    ("hazards",): tuple(HazardSpec.model_fields),
    ("environment", "*"): tuple(EnvironmentSpec.model_fields),
    ("park",): tuple(ParkSpec.model_fields),
    ("park", "steps"): ("do", "with"),
    ("twin",): tuple(TwinSpec.model_fields),
    ("twin", "drift"): tuple(DriftSpec.model_fields),
    ("twin", "constants", "*"): tuple(ConstantKeys.model_fields),
}

_UNIT_OF_KIND: Final = {FunctionKind.TIMER_CONTROL: "ms"}
"""Units that the standard fixes."""

_RANGE: Final = re.compile(r"([A-Za-z])([0-9]{1,3}):([A-Za-z])([0-9]{1,3})")
"""First and last position of a sampler, by row and column."""


@dataclass(frozen=True)
class BenchFile:
    """A checked bench file with its hash."""

    path: Path
    text: str
    spec: BenchSpec
    beside: Mapping[str, bytes] = field(default_factory=dict)
    """Content of the other files that it consists of (drivers, what those read), by their paths beside it."""
    _drivers: dict[str, type[Driver]] = field(default_factory=dict, repr=False, compare=False)
    """Those that were asked for: a plug-in that hangs at its import keeps nobody from the others."""
    lab: Path | None = None
    """The lab whose certificate its secured links show; None where none is known."""
    origin: Path | None = None
    """Folder of the file that this is a lab's copy of; None where it is the file itself."""
    links_from: Path | None = None
    """From where the files of links count that a plant's stand in for; None where they are the file's own."""
    by_calls: frozenset[str] = frozenset()
    """Instruments whose driver gives its place to that of a stand-in, in a dry run."""

    def __post_init__(self) -> None:
        if self.by_calls:  # a bench that was aimed elsewhere has drivers of its own
            object.__setattr__(self, "_drivers", {})

    @property
    def folder(self) -> Path:
        """From where the paths count that the file names."""
        return self.origin or self.path.parent

    @property
    def links_folder(self) -> Path:
        """From where the paths count that its links name."""
        return self.folder if self.links_from is None else self.links_from

    def in_lab(self, lab: Path) -> "BenchFile":
        """Return the bench as one of a lab."""
        return replace(self, lab=lab, origin=origin_of_copy(lab, self.path))

    @cached_property
    def sha256(self) -> str:
        """The hash of the file's bytes, and of the files beside it where there are any."""
        own = hashlib.sha256(self.text.encode())
        for path, content in sorted(self.beside.items()):
            own.update(f"\0{path}\0{hashlib.sha256(content).hexdigest()}".encode())
        return own.hexdigest()

    @property
    def files(self) -> dict[str, bytes]:
        """All that loading the bench has read, by its path beside the bench file: what a copy has to hold."""
        return {self.path.name: self.text.encode(), **self.beside}

    @cached_property
    def plugins(self) -> dict[str, Plugin]:
        """The plug-ins among the drivers, by the name that the file gives them.

        Raises:
            BadInput: One cannot be loaded.
        """
        found = {one.driver: driver_plugin(one.driver, self.path.parent) for one in self.spec.instruments.values()}
        return {name: plugin for name, plugin in found.items() if plugin is not None}

    @cached_property
    def constants(self) -> dict[str, tuple[float, str]]:
        """Value and unit of each constant and of each `stocks.STOCK.SPECIES`."""
        table = {name: _named_quantity(raw, f"constant {name}") for name, raw in self.spec.constants.items()}
        for stock, described in self.spec.stocks.items():
            for species, raw in described.species.items():
                value = parse(raw, "mol/L", what=f"stock {stock}, {species}")
                table[f"stocks.{stock}.{species}"] = (value, "mol/L")
        return table

    @cached_property
    def constant_values(self) -> dict[str, float]:
        """Value of each of `constants`."""
        return {name: value for name, (value, _) in self.constants.items()}

    @cached_property
    def constant_units(self) -> dict[str, str]:
        """Unit of each of `constants`."""
        return {name: unit for name, (_, unit) in self.constants.items()}

    def driver(self, instrument: str, *, seconds: float = LOADING_SECONDS) -> type[Driver]:
        """Return the driver class of an instrument, with the commands and channels that the file declares of it.

        Args:
            instrument: Its name in the file.
            seconds: Wall seconds that the import of a plug-in may take.

        Raises:
            BadInput: No driver of this name, or a plug-in that cannot be loaded.
        """
        if instrument not in self._drivers:
            declared = self.declared(instrument)
            try:
                driver = find_driver(self.spec.instruments[instrument].driver, declared.folder, seconds=seconds)
            except BadInput as error:
                raise BadInput(f"instrument {instrument}: {error}") from error
            own = driver.declared(declared)
            self._drivers[instrument] = stand_in_driver(own, declared.calls) if instrument in self.by_calls else own
        return self._drivers[instrument]

    def settings(self, instrument: str) -> Settings:
        """Return what a driver is built with."""
        limits = {name: self._limit(instrument, name) for name in self.spec.instruments[instrument].limits}
        return replace(self.declared(instrument), limits=limits)

    def declared(self, instrument: str) -> Settings:
        """Return all that the file says of an instrument but its limits, whose units the driver knows."""
        spec = self.spec.instruments[instrument]
        watchdog = spec.watchdog.seconds if spec.watchdog else None
        return Settings(
            instrument,
            spec.address,
            spec.serial_number,
            spec.model,
            watchdog=watchdog,
            options=spec.options,
            folder=self.path.parent,
            functions={name: _function(f"instrument {instrument}, functions.{name}", one) for name, one in spec.functions.items()},
            device=self.spec.links[spec.link].device if spec.link in self.spec.links else None,
            calls={name: declared_call(f"instrument {instrument}, calls.{name}", one) for name, one in spec.calls.items()},
            made=declared_object(spec.object),
            channels=declared_channels(instrument, spec.channels),
            lab=self.lab,
            origin=self.origin,
        )

    def check_instruments(self) -> None:
        """Ask each driver whether its device can keep what the file says of it.

        Raises:
            BadInput: One line that names the file and the instrument.
        """
        for name in self.spec.instruments:
            try:
                self.driver(name).check_settings(self.settings(name))
            except (BadInput, LimitError) as error:
                told = str(error)
                raise BadInput(f"{self.path}: {told if told.startswith('instrument ') else f'instrument {told}'}") from error

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
    def hazard_limits(self) -> dict[str, tuple[float, str]]:
        """Value and unit of each hazard's limit."""
        return {one.name: _named_quantity(one.limit, f"hazard {one.name!r}, {one.side}") for one in self.spec.hazards}

    @cached_property
    def prices(self) -> dict[str, Price]:
        """Price of each stock that has one; all in one currency."""
        stocks = self.spec.stocks.items()
        prices = {name: Price.parse(one.price, what=f"stock {name}, price") for name, one in stocks if one.price is not None}
        if len(currencies := {one.currency for one in prices.values()}) > 1:
            raise BadInput(f"the stocks have prices in {' and '.join(sorted(currencies))}; expected one currency")
        return prices

    @property
    def currency(self) -> str | None:
        """Currency of all prices; None where there is none."""
        return next((one.currency for one in self.prices.values()), None)

    @cached_property
    def positions(self) -> tuple[str, ...]:
        """All sampler positions, row by row."""
        return _positions(self.spec.bench.positions) if self.spec.bench.positions else ()


def _function(what: str, spec: FunctionSpec) -> Function:
    if (spec.min is None) != (spec.max is None):
        raise BadInput(f"{what}: min = {spec.min!r}, max = {spec.max!r}; expected both or neither")
    own, span = spec.unit or _UNIT_OF_KIND.get(spec.kind, ""), None
    _refuse_unknown(own, what)
    if spec.min is not None and spec.max is not None:
        span = parse(spec.min, own, what=f"{what}, min"), parse(spec.max, own, what=f"{what}, max")
        if span[0] >= span[1]:
            raise BadInput(f"{what}: min {span[0]:g} must be below max {span[1]:g} {own}".rstrip())
    return Function(tuple(spec.function.split("/")), spec.kind, own, spec.total_unit or "", span, spec.states)


def _named_quantity(raw: str | float, what: str) -> tuple[float, str]:
    if not isinstance(raw, str):
        return float(raw), ""
    named = split(raw)[1]
    _refuse_unknown(named, f"{what} = {raw!r}")
    return parse(raw, named, what=what), named


def _refuse_unknown(named: str, what: str) -> None:
    try:
        unit(named)
    except BadInput as error:
        raise BadInput(f"{what}: {error}") from error


def _positions(text: str) -> tuple[str, ...]:
    found = _RANGE.fullmatch(text)
    if found is None:
        raise BadInput(f"bench.positions = {text!r}; expected a range like 'A1:H12'")
    rows, columns = range(ord(found[1]), ord(found[3]) + 1), range(int(found[2]), int(found[4]) + 1)
    return tuple(f"{chr(row)}{column}" for row in rows for column in columns)


def parse_bench(text: str, path: Path) -> BenchFile:
    """Check the text of a bench file.

    Raises:
        BadInput: One line that names the file, the key, what came and what is legal.
    """
    return _with_drivers(_parse(text, path))


def load_bench(path: Path) -> BenchFile:
    """Read and check a bench file, whether its drivers are complete and its stocks counted: what was stored is not asked again.

    Raises:
        BadInput: One line that names the file, the key, what came and what is legal.
    """
    return _with_drivers(_parse(read_text(path, what=f"bench file {path}"), path), complete=True)


def read_bench(path: Path) -> BenchFile:
    """Read a bench file for the safe state: no driver is loaded, since one that cannot be must not shield the others.

    Raises:
        BadInput: One line that names the file, the key, what came and what is legal.
    """
    return _parse(read_text(path, what=f"bench file {path}"), path)


def _parse(text: str, path: Path) -> BenchFile:
    document = parse_toml(text, what=f"bench file {path}")
    try:
        bench = BenchFile(path, text, BenchSpec.model_validate(document))
        _check_references(bench)
        return replace(bench, beside=files_beside(path.parent, bench.spec, bench.declared))
    except ValidationError as error:
        raise explain(error, what=str(path), legal=_LEGAL) from error
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error


def _check_references(bench: BenchFile) -> None:
    for name, spec in bench.spec.instruments.items():
        if spec.link is not None and spec.link not in bench.spec.links:
            raise BadInput(f"instrument {name}: unknown link {spec.link!r}; declared: {', '.join(bench.spec.links) or 'none'}")
    for stock, described in bench.spec.stocks.items():
        parse(described.volume, "mL", what=f"stock {stock}, volume")
        if described.delivered_by is not None and described.delivered_by not in bench.spec.instruments:
            raise BadInput(f"stock {stock}: delivered_by {described.delivered_by!r} is no instrument")
    _check_addresses(bench.spec)
    check_objects(bench.spec)
    _ = bench.constants, bench.positions, bench.hazard_limits, bench.prices


def _with_drivers(bench: BenchFile, *, complete: bool = False) -> BenchFile:
    try:
        if complete:
            _require_complete(bench)
        _check_drivers(bench)
    except BadInput as error:
        raise BadInput(f"{bench.path}: {error}") from error
    return bench


def _require_complete(bench: BenchFile) -> None:
    for name, spec in bench.spec.instruments.items():
        driver = bench.driver(name)
        try:
            require_complete(driver)
        except BadInput as error:
            raise BadInput(f"instrument {name}: driver {spec.driver!r}: {error}") from error
    for stock, described in bench.spec.stocks.items():
        if described.delivered_by is not None:
            check_delivery(stock, described.delivered_by, bench.driver(described.delivered_by).COMMANDS)


def _check_drivers(bench: BenchFile) -> None:
    for name, spec in bench.spec.instruments.items():
        check_object(name, spec.object, spec.channels, bench.driver(name), spec.driver)
        for action in spec.safe_state:
            if action not in bench.driver(name).SAFE_ACTIONS:
                legal = ", ".join(sorted(bench.driver(name).SAFE_ACTIONS)) or "none"
                raise BadInput(f"instrument {name}: unknown safe action {action!r}; legal: {legal}")
        check_lane(name, spec, bench.driver(name))
        check_keys(name, spec.calls, bench.driver(name), spec.driver)
    _ = bench.envelope


def _check_addresses(spec: BenchSpec) -> None:
    seen: dict[tuple[str, object], str] = {}
    for name, one in spec.instruments.items():
        if one.link is None:
            continue
        is_serial = one.link in spec.links and spec.links[one.link].kind == "serial"
        key = (one.link, one.address if is_serial else tuple(sorted(one.options.items())))
        if key in seen:
            same = f"have the same address {one.address}" if is_serial else "are the same device"
            raise BadInput(f"instruments {seen[key]} and {name} {same} on link {one.link}")
        seen[key] = name
