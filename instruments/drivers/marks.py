"""How the methods of a driver say what they are: commands with their arguments, channels, safe actions."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType, MethodType
from typing import Any, Final, TypeVar, cast

from instruments.drivers.protocol import ArgumentSpec, ChannelSpec, CommandSpec, Limit
from orchestrator.domain.lifecycle import StepKind
from orchestrator.errors import BadInput
from orchestrator.units import unit as parse_unit

_F = TypeVar("_F", bound=Callable[..., Any])
_KINDS: Final = {one.value: one for one in (StepKind.STATE_SETTING, StepKind.DOSING, StepKind.PROGRAM)}
_BY_NAME: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
"""Parameters that can be given by their names, as commands are called."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a command: a number in a unit within the datasheet's range, or a text."""

    unit: str | None
    """Of the number; empty for a pure number, None for a text."""
    low: float | None = None
    """Least value that the device takes."""
    high: float | None = None
    """Greatest value that it takes."""
    resolution: float | None = None
    """The device counts in steps of this."""
    default: float | str | None = None
    """Value where a step leaves the argument out; None where it must be given."""

    def spec(self, what: str) -> ArgumentSpec:
        """Check it and return it as the host knows it.

        Raises:
            BadInput: An unknown unit, an empty range, or a resolution that is no step.
        """
        if self.unit is not None:
            _check_unit(self.unit, what)
        self._check_numbers(what)
        low, high = (float("-inf") if self.low is None else self.low), (float("inf") if self.high is None else self.high)
        if not low < high:
            raise BadInput(f"{what}: low = {low:g}, high = {high:g}; expected low below high")
        if self.resolution is not None and not self.resolution > 0.0:
            raise BadInput(f"{what}: resolution = {self.resolution!r}; expected more than 0")
        limit = None if self.low is None and self.high is None else Limit(low, high)
        self._check_default(what, low, high)
        return ArgumentSpec(self.unit, limit, self.default, self.resolution)

    def _check_numbers(self, what: str) -> None:
        numbers = {"low": self.low, "high": self.high, "resolution": self.resolution}
        for name, value in numbers.items():
            if value is not None and self.unit is None:
                raise BadInput(f"{what}: {name} = {value!r} belongs to a number, and unit None makes it a text; a pure number has unit ''")
            if value is not None and not _is_number(value):
                raise BadInput(f"{what}: {name} = {value!r}; expected a number")

    def _check_default(self, what: str, low: float, high: float) -> None:
        if self.default is None:
            return
        if self.unit is None and not isinstance(self.default, str):
            raise BadInput(f"{what}: default = {self.default!r}; expected a text")
        if self.unit is not None and not (_is_number(self.default) and low <= float(self.default) <= high):
            raise BadInput(f"{what}: default = {self.default!r}; expected a number from {low:g} to {high:g}")


class Marked:
    """A method with what it declares; on a driver it is an ordinary method."""

    def __init__(self, method: Callable[..., Any]) -> None:
        self.method = method
        self.__doc__ = method.__doc__
        self.command: CommandSpec | None = None
        self.channel: ChannelSpec | None = None
        self.is_safe = False

    def __get__(self, driver: object | None, owner: type | None = None) -> Any:
        return self if driver is None else MethodType(self.method, driver)


def _marked(method: Callable[..., Any] | Marked, body: FrameType | None, mark: str) -> Marked:
    """Take a method of a class whose body is being read.

    Raises:
        BadInput: It is no method, cannot be awaited here, or takes the place of another marked one of the same class.
    """
    if isinstance(method, Marked):
        return method
    if not inspect.isfunction(method):
        raise BadInput(f"@{mark} marks {method!r:.60}; expected a method")
    if inspect.iscoroutinefunction(method) or inspect.isgeneratorfunction(method) or inspect.isasyncgenfunction(method):
        raise BadInput(f"{method.__name__} is asynchronous or a generator: calling it would do nothing; expected a plain method")
    if body is not None and isinstance(body.f_locals.get(method.__name__), Marked):
        raise BadInput(f"{method.__name__} is marked twice in one class: the first one would be lost; expected two names")
    return Marked(method)


def _takes(method: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return what a method takes beside the driver itself."""
    return list(inspect.signature(method).parameters.values())[1:]


def _refuse_arguments(method: Callable[..., Any], what: str) -> None:
    if needed := [one.name for one in _takes(method) if one.default is one.empty]:
        raise BadInput(f"{what}: the method takes {', '.join(needed)}; it is called with nothing")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def command(kind: str, **arguments: Argument) -> Callable[[_F], _F]:
    """Declare a method as a command; its name is the command's, its parameters are the arguments.

    The method sends the command once. It may return what was really sent; without a value that is what it was called with.

    Args:
        kind: `state-setting` (may be sent again), `dosing` or `program` (at most once; the driver needs `outcome` and `cancel`).
        arguments: Name of a parameter -> what it takes.

    Raises:
        BadInput: An unknown kind, or an argument that makes no sense.
    """
    if not isinstance(kind, str):
        raise BadInput(f'@command without a kind; expected @command("KIND"), KIND one of {", ".join(sorted(_KINDS))}')

    def mark(method: _F) -> _F:
        marked = _marked(method, _body(), "command")
        what = f"command {marked.method.__name__}"
        if kind not in _KINDS:
            raise BadInput(f"{what}: kind {kind!r}; expected {', '.join(sorted(_KINDS))}")
        taken = _takes(marked.method)
        if [one.name for one in taken] != list(arguments) or any(one.kind not in _BY_NAME for one in taken):
            shown = ", ".join(str(one) for one in taken) or "nothing"
            raise BadInput(f"{what}: the method takes {shown}; declared: {', '.join(arguments) or 'nothing'}")
        declared: Mapping[str, object] = arguments
        if strange := [name for name, one in declared.items() if not isinstance(one, Argument)]:
            raise BadInput(f"{what}, argument {strange[0]}: {declared[strange[0]]!r:.60}; expected an Argument")
        specs = {name: one.spec(f"{what}, argument {name}") for name, one in arguments.items()}
        marked.command = CommandSpec(_KINDS[kind], specs)
        return cast("_F", marked)

    return mark


def channel(unit: str = "", low: float | None = None, high: float | None = None) -> Callable[[_F], _F]:
    """Declare a method as a channel: it asks the device and returns a number in this unit, or a text.

    Args:
        unit: Of the number; empty for a pure number or a text.
        low: Least number that the device can measure: what is below is no value, and of bad quality.
        high: Greatest number that it can measure.

    Raises:
        BadInput: An unknown unit, or an empty range.
    """
    if not isinstance(unit, str):
        raise BadInput('@channel without a unit; expected @channel("UNIT"), and @channel() for a pure number or a text')

    def mark(method: _F) -> _F:
        marked = _marked(method, _body(), "channel")
        what = f"channel {marked.method.__name__}"
        _refuse_arguments(marked.method, what)
        marked.channel = ChannelSpec(unit, Argument(unit, low, high).spec(what).limit)
        return cast("_F", marked)

    return mark


def safe(method: _F) -> _F:
    """Declare a method as a safe action: no argument, no reading, no lock and no condition before what it sends.

    Raises:
        BadInput: It takes an argument.
    """
    marked = _marked(method, _body(), "safe")
    _refuse_arguments(marked.method, f"safe action {marked.method.__name__}")
    marked.is_safe = True
    return cast("_F", marked)


def _body() -> FrameType | None:
    """Return the frame of the class body that calls the mark which calls this."""
    frame = inspect.currentframe()
    mark = frame.f_back if frame is not None else None
    return mark.f_back if mark is not None else None


def _check_unit(text: str, what: str) -> None:
    try:
        parse_unit(text)
    except BadInput as error:
        raise BadInput(f"{what}: {error}") from error


def marks_of(driver: type) -> Mapping[str, Marked]:
    """Return all marked methods of a class by their names, those that it inherits among them."""
    found = {name: value for one in reversed(driver.__mro__) for name, value in vars(one).items()}
    return {name: value for name, value in found.items() if isinstance(value, Marked)}
