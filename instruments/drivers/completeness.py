"""What a driver lacks though Python takes its class: found before a wire is opened, not when a dose has been sent.

Asked where a bench is checked and before a host opens it; not where a bench is made safe, since a class that is wanting
somewhere else may still be able to stop its device.
"""

from collections.abc import Iterator, Mapping
from inspect import getattr_static
from typing import Final

from instruments.drivers.counted import Counted
from instruments.drivers.device import Device
from instruments.drivers.marks import Marked
from instruments.drivers.protocol import Driver
from orchestrator.domain.lifecycle import StepKind
from orchestrator.errors import BadInput

_LINKS: Final = ("serial", "tcp", "visa", "opcua", "own")
_OURS: Final = "instruments.drivers."
"""Modules of the classes that drivers of other people are made from."""


def require_complete(driver: type[Driver]) -> None:
    """Refuse a driver whose commands could be begun and not followed, or whose methods are not what they are marked as.

    Raises:
        BadInput: One line that names the class, and what is missing.
    """
    for complaint in (*_of_any(driver), *(_of_device(driver) if issubclass(driver, Device) else ())):
        raise BadInput(f"{driver.__name__}: {complaint}")


def _of_any(driver: type[Driver]) -> Iterator[str]:
    if missing := sorted(name for name in ("LINKS", "COMMANDS", "CHANNELS", "SAFE_ACTIONS") if name not in dir(driver)):
        yield f"it has no {missing[0]}; expected a subclass of athanor.drivers.Driver"
        return
    if isinstance(driver.LINKS, str) or set(driver.LINKS) - set(_LINKS):  # none: no device, and no link
        yield f"LINKS = {driver.LINKS!r}; expected a tuple of {', '.join(_LINKS)}"
    if driver.identify is Driver.identify:
        yield "it has no method identify, which asks the device what it is"
    units: dict[str, tuple[str, str | None]] = {}
    for command, spec in driver.COMMANDS.items():
        for argument, one in spec.arguments.items():
            first, unit = units.setdefault(argument, (command, one.unit))
            if unit != one.unit:  # limits of a bench file go by the argument's name
                yield f"{argument} is in {unit!r} for {first} and in {one.unit!r} for {command}; expected one unit for one name"


def _of_device(driver: type[Device]) -> Iterator[str]:
    yield from _of_marks(driver)
    if driver.HAS_WATCHDOG and (driver.arm is Device.arm or driver.refresh is Device.refresh):
        yield "HAS_WATCHDOG, but it has no methods arm and refresh: nothing would make the device safe when we fall silent"
    if issubclass(driver, Counted):
        yield from _of_counters(driver)


def _of_marks(driver: type[Device]) -> Iterator[str]:
    for one in reversed(driver.__mro__):
        for name, value in vars(one).items():
            if isinstance(value, Marked) and not isinstance(getattr_static(driver, name), Marked):
                yield f"{name} replaces a marked method and is not marked itself; expected its @command, @channel or @safe again"
            if isinstance(value, Marked) and (base := _base_with(driver, name)) is not None:
                yield f"{name} is what {base.__name__} calls a method of its own; expected another name for the command or channel"
    if driver._commands is Device._commands and driver.perform is Device.perform:  # noqa: SLF001 - one package
        marked = {name for name, one in driver._MARKED.items() if one.command}  # noqa: SLF001
        if unmarked := sorted(set(driver.COMMANDS) - marked):
            yield f"COMMANDS has {unmarked[0]!r}, and no method of this name is marked @command"
    if driver._safe_actions is Device._safe_actions:  # noqa: SLF001
        marked = {name for name, one in driver._MARKED.items() if one.is_safe}  # noqa: SLF001
        if unmarked := sorted(driver.SAFE_ACTIONS - marked):
            yield f"SAFE_ACTIONS has {unmarked[0]!r}, and no method of this name is marked @safe"


def _base_with(driver: type[Device], name: str) -> type | None:
    """Return the class of ours that needs a name for itself."""
    bases = (one for one in driver.__mro__ if one.__module__.startswith(_OURS) and name in vars(one))
    return next((one for one in bases if not isinstance(vars(one)[name], Marked)), None)


def _of_counters(driver: type[Counted]) -> Iterator[str]:
    once = [name for name, one in driver.COMMANDS.items() if one.kind in (StepKind.DOSING, StepKind.PROGRAM)]
    if driver.outcome is Counted.outcome and (uncounted := [name for name in once if name not in driver.COUNTERS]):
        yield f"COUNTERS has no {uncounted[0]!r}, which would count as done as soon as it is sent; expected (CHANNEL, ARGUMENT) for it"
    if driver.COUNTERS and driver.is_busy is Counted.is_busy:
        yield f"it has no method is_busy, which says whether {next(iter(driver.COUNTERS))} is still running"
    if driver._asked is Counted._asked:  # noqa: SLF001 - one package; a profile's counters may grow by a number
        yield from _wrong_counters(driver, driver.COUNTERS)


def _wrong_counters(driver: type[Counted], counters: Mapping[str, object]) -> Iterator[str]:
    for command, counted in counters.items():
        spec = driver.COMMANDS.get(command)
        if spec is None or spec.kind is not StepKind.DOSING:
            yield f"COUNTERS has {command!r}, which is no dosing command"
        elif not isinstance(counted, tuple) or len(counted) != 2 or counted[0] not in driver.CHANNELS or counted[1] not in spec.arguments:
            yield f"COUNTERS[{command!r}] = {counted!r}; expected (CHANNEL, ARGUMENT), a channel of it and an argument of {command}"
        elif (unit := spec.arguments[counted[1]].unit) != driver.CHANNELS[counted[0]].unit:
            yield (
                f"COUNTERS[{command!r}]: {counted[1]} is in {unit!r}, its counter {counted[0]} in {driver.CHANNELS[counted[0]].unit!r}; "
                "expected one unit"
            )
