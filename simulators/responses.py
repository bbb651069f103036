"""What a simulated measurement says: a smooth function of all that was set, a table, or a function of the laboratory's own.

The smooth function is a draw of a Gaussian process with a squared exponential kernel over the declared ranges, by random
Fourier features [Rahimi, Recht: Random features for large-scale kernel machines, NIPS 2007], pressed into its range by the
normal distribution. It depends on the seed and on the names of the settings alone, so that the same settings give the same
value in whatever order they were made, and an instrument that is added changes nothing of what was.
"""

import csv
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from orchestrator.errors import BadInput
from orchestrator.plugins import DEVICES, find_plugin, is_file
from simulators.interpolation import Drawn, SampledFunction
from simulators.setting import MIDDLE, Setting, Value, reach_of

_FEATURES: Final = 128
"""Random features: the kernel is met within a few hundredths."""
_NOISE: Final = 0.01
"""Standard deviation of a smooth function's reading, as a share of its range, where none is declared."""
_DAY: Final = 86400.0
_KEPT_OF_A_DAY: Final = 0.8
"""Autocorrelation from day to day of what is of kind `daily` (our own choice)."""
_NOISE_OF_DAYS: Final = 0.1
"""Noise of its readings where none is declared, as a share of the standard deviation of days."""
_SPREAD_OF_DAYS: Final = 0.05
"""Standard deviation of days of what is recorded of a laboratory and not declared, as a share of its reference (our own choice)."""
SOME_TEXT: Final = "stand-in"
"""What a text says that may be any."""

Function = Callable[[Mapping[str, Value]], float]
"""Settings by `instrument.command.argument` -> the value, in the channel's unit."""


class ResponseSection(BaseModel):
    """What one channel of a stand-in says: `[responses."INSTRUMENT.CHANNEL"]` of a plant file."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: Literal["smooth", "table", "function", "prior", "daily"] = "smooth"
    between: tuple[float, float] | None = None
    """Of a smooth function: least and greatest value, in the channel's unit; without it what the bench file takes (`min`, `max`),
    else 0 to 1, 0 to 100 for a percentage."""
    length_scale: float = Field(default=0.5, gt=0.0)
    """Of a smooth function: how far it keeps its value, as a share of each setting's range."""
    function: str | None = None
    """`MODULE:NAME`, or `./FILE.py:NAME` beside the plant file: settings by `instrument.command.argument` -> the value."""
    table: str | None = None
    """A CSV file beside the plant file."""
    column: str | None = None
    """Its column with the values."""
    prior: str | None = None
    """A meta-trained prior beside the plant file: the function of one task is drawn from it, by the seed."""
    target: str | None = None
    """Its target, where it knows several."""
    inputs: dict[str, str] = {}
    """`instrument.command.argument` -> its column of the table, or its parameter of the prior."""
    between_rows: Literal["nearest", "interpolated"] = "nearest"
    """What stands between rows: the nearest row, or rows weighted by the inverse square of their distance."""
    mean: float | None = None
    """Of kind `daily`: the value about which it changes, whatever is set, in the channel's unit."""
    day_s: Annotated[float, Field(gt=0.0)] = _DAY
    """Of kind `daily`: lab s of its days; shorter where a laboratory's weather is to change within a short dry run."""
    day_sd: Annotated[float, Field(ge=0.0)] | None = None
    """Of kind `daily`: standard deviation of days, in the channel's unit; each day keeps 0.8 of the day before."""
    noise: Annotated[float, Field(ge=0.0)] | None = None
    """Standard deviation, in the channel's unit; without it 1 % of a smooth function's range, a tenth of `day_sd`, else none."""
    relative_noise: float = Field(default=0.0, ge=0.0)
    """Standard deviation as a share of the value, beside `noise`."""
    drift_per_day: float = 0.0
    """What is added for each lab day."""
    after_s: Annotated[float, Field(ge=0.0)] | None = None
    """Of a target that comes later: lab s after its run; without it half of its `due`, else 3600."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kind == "function" and self.function is None:
            raise ValueError("a response of kind function names it: function = 'MODULE:NAME'")
        if self.kind == "table" and (self.table is None or self.column is None or not self.inputs):
            raise ValueError("a response of kind table needs table, column and inputs")
        if self.kind == "prior" and (self.prior is None or not self.inputs):
            raise ValueError("a response of kind prior needs prior and inputs")
        if self.kind == "daily" and (self.mean is None or self.day_sd is None):
            raise ValueError("a response of kind daily needs mean and day_sd")
        if self.between is not None and self.between[0] >= self.between[1]:
            raise ValueError(f"between = {list(self.between)}; expected the least value first")
        return self


_ANY: Final = Setting()


@dataclass
class Room:
    """What the stand-ins of one plant have in common: all that was last set, and what is measured of it."""

    seed: int
    settings: Mapping[str, Setting]
    """All that may be set, by `instrument.command.argument`."""
    folder: Path = Path()
    """From where files are named."""
    declared: Mapping[str, ResponseSection] = field(default_factory=dict)
    """What the plant file says of channels, by `instrument.channel`."""
    sampled: Mapping[str, SampledFunction] = field(default_factory=dict)
    """What was drawn from priors, by `instrument.channel`."""
    surroundings: Mapping[str, float] = field(default_factory=dict)
    """`instrument.channel` -> reference: what is recorded of the laboratory, where the plant file says nothing of it."""
    made: dict[str, Value] = field(default_factory=dict)
    """What was last set."""
    _functions: dict[str, Function] = field(default_factory=dict)
    _asked: dict[tuple[str, str], int] = field(default_factory=dict)
    _days: dict[str, list[float]] = field(default_factory=dict)

    def set(self, name: str, value: Value) -> None:
        """Note a setting, or the amount of a dose, by `instrument.command.argument`."""
        self.made[name] = value

    def at(self, settings: Mapping[str, Value]) -> "Room":
        """Return the room as one in which nothing but these settings was made."""
        return replace(self, made=dict(settings))

    def prepare(self, channel: str, unit: str, legal: Setting = _ANY) -> None:
        """Load what a channel's response needs; a table or a function that cannot be had is told here.

        Args:
            channel: `instrument.channel`.
            unit: Its unit.
            legal: What it may say.

        Raises:
            BadInput: One line that names the channel.
        """
        try:
            self._functions[channel] = self._function(channel, unit, legal)
        except (BadInput, ValueError) as error:
            raise BadInput(f"response {channel}: {error}") from error

    def answer(self, channel: str, unit: str, lab_s: float, legal: Setting = _ANY) -> float:
        """Measure: the value at all that is set, with its noise.

        What is of kind `daily` changes from day to day, linearly in between, whatever is set.

        The noise depends on the seed, the settings and how often the channel was read at just these: neither the order of
        experiments nor what else was asked meanwhile changes it. A smooth function, noise and drift with it, keeps to what is
        legal; what a table or a function of the laboratory's own says is said as it is.
        """
        if channel not in self._functions:
            self.prepare(channel, unit, legal)
        section, value = self._section(channel), float(self._functions[channel](dict(self.made)))
        noise = section.noise
        if noise is None:
            low, high = _range(section, unit, legal)
            noise = {"smooth": _NOISE * (high - low), "daily": _NOISE_OF_DAYS * (section.day_sd or 0.0)}.get(section.kind, 0.0)
        value += self._beyond_mean(channel, section, lab_s)
        spread = math.hypot(noise, section.relative_noise * value)
        said = value + spread * float(self._random(channel).standard_normal()) + section.drift_per_day * lab_s / _DAY
        return legal.nearest(said) if section.kind == "smooth" else said

    def around(self, lab_s: float) -> dict[str, float]:
        """Return what the room is like at a lab time, by `instrument.channel`: all that is of kind `daily`, without a reading's noise."""
        sections = {name: self._section(name) for name in {**self.surroundings, **self.declared}}
        return {
            name: (one.mean or 0.0) + self._beyond_mean(name, one, lab_s) + one.drift_per_day * lab_s / _DAY
            for name, one in sections.items()
            if one.kind == "daily"
        }

    def _beyond_mean(self, channel: str, section: ResponseSection, lab_s: float) -> float:
        return (section.day_sd or 0.0) * self._day(channel, lab_s / section.day_s) if section.kind == "daily" else 0.0

    def word(self, channel: str, legal: Setting = _ANY) -> str:
        """Say a text: one of those that are legal, by a smooth function of all that is set."""
        if not legal.values:
            return SOME_TEXT
        share = self._smooth(channel, 0.0, 1.0).value(self.made)
        return legal.values[min(int(share * len(legal.values)), len(legal.values) - 1)]

    def luck(self, name: str) -> float:
        """Draw a number from 0 to 1, another one each time; the same with the same seed."""
        return float(self._random(f"luck of {name}").random())

    def _random(self, name: str) -> np.random.Generator:
        state = repr(sorted(self.made.items()))
        turn = self._asked[(name, state)] = self._asked.get((name, state), -1) + 1
        return _generator(self.seed, name, state, turn)

    def _day(self, channel: str, days_gone: float) -> float:
        """Return how far the day is from the mean, in standard deviations of days."""
        day, share = divmod(max(0.0, days_gone), 1.0)
        days = self._days.setdefault(channel, [])
        while len(days) < int(day) + 2:
            drawn = float(_generator(self.seed, channel, "day", len(days)).standard_normal())
            days.append(_KEPT_OF_A_DAY * days[-1] + math.sqrt(1.0 - _KEPT_OF_A_DAY**2) * drawn if days else drawn)
        return (1.0 - share) * days[int(day)] + share * days[int(day) + 1]

    def _section(self, channel: str) -> ResponseSection:
        return self.declared.get(channel) or self._undeclared(channel)

    def _undeclared(self, channel: str) -> ResponseSection:
        about = self.surroundings.get(channel)
        return ResponseSection() if about is None else ResponseSection(kind="daily", mean=about, day_sd=_SPREAD_OF_DAYS * abs(about))

    def _function(self, channel: str, unit: str, legal: Setting) -> Function:
        section = self._section(channel)
        if unknown := sorted(set(section.inputs) - set(self.settings)):
            raise BadInput(f"inputs name {unknown[0]!r}; what can be set: {', '.join(sorted(self.settings)) or 'nothing'}")
        if section.kind == "function":
            return _loaded(section.function or "", self.folder)
        if section.kind == "table":
            return _Table.read(section, self.folder, self.settings).value
        if section.kind == "prior":
            if channel not in self.sampled:
                raise BadInput("nothing was drawn from its prior; a plant that is started by `athanor` is given it")
            return Drawn(section.inputs, self.sampled[channel], unit).value
        if section.kind == "daily":
            return lambda _: section.mean or 0.0
        return self._smooth(channel, *_range(section, unit, legal)).value

    def _smooth(self, channel: str, low: float, high: float) -> "_Smooth":
        scale = self._section(channel).length_scale
        return _Smooth(_generator(self.seed, channel), self.seed, channel, self.settings, scale, low, high)


def _range(section: ResponseSection, unit: str, legal: Setting) -> tuple[float, float]:
    if section.between is not None:
        if (legal.nearest(section.between[0]), legal.nearest(section.between[1])) != section.between:
            low, high = ("any" if one is None else f"{one:g}" for one in (legal.low, legal.high))
            raise BadInput(f"between = {list(section.between)}; the bench file takes {low} to {high}".rstrip())
        return section.between
    width = 100.0 if unit in ("percent", "%") else 1.0
    if legal.low is None:
        return (0.0, width) if legal.high is None else (min(0.0, legal.high - width), legal.high)
    return legal.low, legal.low + width if legal.high is None else legal.high


# ---------------------------------------------------------------------- a smooth function


class _Smooth:
    """A draw of a Gaussian process."""

    def __init__(
        self, random: np.random.Generator, seed: int, channel: str, settings: Mapping[str, Setting], scale: float, low: float, high: float
    ) -> None:
        self._phases = random.uniform(0.0, 2.0 * math.pi, _FEATURES)
        self._weights = random.standard_normal(_FEATURES) * math.sqrt(2.0 / _FEATURES)
        self._frequencies = {name: _generator(seed, channel, name).standard_normal(_FEATURES) / scale for name in settings}
        self._settings, self._low, self._high = settings, low, high

    def value(self, made: Mapping[str, Value]) -> float:
        """Return the value at these settings."""
        angles = self._phases.copy()
        for name, frequencies in self._frequencies.items():
            share = self._settings[name].share(made[name]) if name in made else MIDDLE
            angles += frequencies * share
        drawn = float(self._weights @ np.cos(angles))
        return self._low + (self._high - self._low) * 0.5 * (1.0 + math.erf(drawn / math.sqrt(2.0)))


# ---------------------------------------------------------------------- a table


@dataclass(frozen=True, slots=True)
class _Table:
    """Rows of settings, as shares of their ranges, and their values."""

    names: Sequence[str]
    settings: Mapping[str, Setting]
    rows: np.ndarray[Any, np.dtype[np.float64]]
    values: np.ndarray[Any, np.dtype[np.float64]]
    is_nearest: bool

    @classmethod
    def read(cls, section: ResponseSection, folder: Path, settings: Mapping[str, Setting]) -> "_Table":
        """Read a table.

        Raises:
            BadInput: It cannot be read, or lacks a column or a number.
        """
        path = folder / (section.table or "")
        try:
            with path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"table {path} cannot be read: {error}") from error
        if not rows:
            raise BadInput(f"table {path} has no rows")
        ranged = {name: _ranged(settings[name], rows, column, path) for name, column in section.inputs.items()}
        shares = [
            [ranged[name].share(_cell(row, column, path, line)) for name, column in section.inputs.items()] for line, row in _numbered(rows)
        ]
        values = [_number(row, section.column or "", path, line) for line, row in _numbered(rows)]
        return cls(list(section.inputs), ranged, np.array(shares), np.array(values), section.between_rows == "nearest")

    def value(self, made: Mapping[str, Value]) -> float:
        """Return the value at these settings."""
        here = np.array([self.settings[name].share(made[name]) if name in made else MIDDLE for name in self.names])
        distances = np.square(self.rows - here).sum(axis=1)
        if self.is_nearest or distances.min() == 0.0:
            return float(self.values[int(distances.argmin())])
        weights = 1.0 / distances
        return float(weights @ self.values / weights.sum())


def _numbered(rows: Sequence[Mapping[str, str]]) -> Sequence[tuple[int, Mapping[str, str]]]:
    return list(enumerate(rows, start=2))


def _ranged(setting: Setting, rows: Sequence[Mapping[str, str]], column: str, path: Path) -> Setting:
    """Give a setting without a range that of its column: distances count shares of ranges."""
    if setting.values or (setting.low is not None and setting.high is not None):
        return setting
    return reach_of([_cell(row, column, path, line) for line, row in _numbered(rows)])


def _cell(row: Mapping[str, str], column: str, path: Path, line: int) -> Value:
    if row.get(column) is None:
        raise BadInput(f"table {path}, line {line}: no column {column!r}; it has {', '.join(row)}")
    try:
        return float(row[column])
    except ValueError:
        return row[column]


def _number(row: Mapping[str, str], column: str, path: Path, line: int) -> float:
    value = _cell(row, column, path, line)
    if isinstance(value, str) or not math.isfinite(value):
        raise BadInput(f"table {path}, line {line}: {column} = {value!r}; expected a number")
    return value


# ---------------------------------------------------------------------- a function


def _loaded(name: str, folder: Path) -> Function:
    if is_file(name):
        found = find_plugin(DEVICES, name, folder)
        function: Any = None if found is None else found.thing
    else:
        module, _, member = name.partition(":")
        try:
            function = getattr(import_module(module), member)
        except (ImportError, AttributeError, ValueError) as error:
            raise BadInput(f"function {name!r} cannot be loaded: {error}; expected 'MODULE:NAME' or './FILE.py:NAME'") from error
    if not callable(function):
        raise BadInput(f"{name!r} is {function!r:.80}; expected a function of the settings")
    return _Checked(name, function).value


@dataclass(frozen=True, slots=True)
class _Checked:
    """A laboratory's own function; what it gives is a number, or the reading is none."""

    name: str
    function: Callable[[Mapping[str, Value]], Any]

    def value(self, made: Mapping[str, Value]) -> float:
        try:
            value = float(self.function(made))
        except Exception as error:  # other people's code
            raise BadInput(f"{self.name} failed at {dict(made)}: {type(error).__name__}: {error}") from error
        if not math.isfinite(value):
            raise BadInput(f"{self.name} gave {value} at {dict(made)}; expected a finite number")
        return value


# ---------------------------------------------------------------------- chance


def _generator(*parts: object) -> np.random.Generator:
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype=np.uint32))
