"""How the methods of a driver say what they are: commands with their arguments, channels, safe actions."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MethodType
from typing import Any, Final, TypeVar, cast

from instruments.drivers.protocol import ArgumentSpec, ChannelSpec, CommandSpec, Limit
from orchestrator.domain.lifecycle import StepKind
from orchestrator.errors import BadInput
from orchestrator.units import unit as parse_unit

_F = TypeVar("_F", bound=Callable[..., Any])
_KINDS: Final = {one.value: one for one in (StepKind.STATE_SETTING, StepKind.DOSING, StepKind.PROGRAM)}


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
        low, high = (float("-inf") if self.low is None else self.low), (float("inf") if self.high is None else self.high)
        if low >= high:
            raise BadInput(f"{what}: low = {low:g}, high = {high:g}; expected low below high")
        if self.resolution is not None and not self.resolution > 0.0:
            raise BadInput(f"{what}: resolution = {self.resolution!r}; expected more than 0")
        limit = None if self.low is None and self.high is None else Limit(low, high)
        return ArgumentSpec(self.unit, limit, self.default, self.resolution)


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


def _marked(method: Callable[..., Any] | Marked) -> Marked:
    return method if isinstance(method, Marked) else Marked(method)


def command(kind: str, **arguments: Argument) -> Callable[[_F], _F]:
    """Declare a method as a command; its name is the command's, its parameters are the arguments.

    The method sends the command once. It may return what was really sent; without a value that is what it was called with.

    Args:
        kind: `state-setting` (may be sent again), `dosing` or `program` (at most once; the driver needs `outcome` and `cancel`).
        arguments: Name of a parameter -> what it takes.

    Raises:
        BadInput: An unknown kind, or an argument that makes no sense.
    """

    def mark(method: _F) -> _F:
        marked = _marked(method)
        what = f"command {marked.method.__name__}"
        if kind not in _KINDS:
            raise BadInput(f"{what}: kind {kind!r}; expected {', '.join(sorted(_KINDS))}")
        if (taken := list(inspect.signature(marked.method).parameters)[1:]) != list(arguments):
            raise BadInput(f"{what}: the method takes {', '.join(taken) or 'nothing'}; declared: {', '.join(arguments) or 'nothing'}")
        specs = {name: one.spec(f"{what}, argument {name}") for name, one in arguments.items()}
        marked.command = CommandSpec(_KINDS[kind], specs)
        return cast("_F", marked)

    return mark


def channel(unit: str = "") -> Callable[[_F], _F]:
    """Declare a method as a channel: it asks the device and returns a number in this unit, or a text.

    Raises:
        BadInput: An unknown unit.
    """

    def mark(method: _F) -> _F:
        marked = _marked(method)
        _check_unit(unit, f"channel {marked.method.__name__}")
        marked.channel = ChannelSpec(unit)
        return cast("_F", marked)

    return mark


def safe(method: _F) -> _F:
    """Declare a method as a safe action: no argument, no reading, no lock and no condition before what it sends."""
    marked = _marked(method)
    marked.is_safe = True
    return cast("_F", marked)


def _check_unit(text: str, what: str) -> None:
    try:
        parse_unit(text)
    except BadInput as error:
        raise BadInput(f"{what}: {error}") from error


def marks_of(driver: type) -> Mapping[str, Marked]:
    """Return all marked methods of a class by their names, those that it inherits among them."""
    found = {name: value for one in reversed(driver.__mro__) for name, value in vars(one).items()}
    return {name: value for name, value in found.items() if isinstance(value, Marked)}
