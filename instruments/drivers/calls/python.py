"""A Python function as an instrument."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from instruments.drivers.calls.device import CalledDevice
from instruments.drivers.calls.process import interpreter_of
from instruments.drivers.protocol import DeclaredCall, Settings
from orchestrator.errors import BadInput


class PythonFunctions(CalledDevice):
    """Python functions, called in a process of their own.

    Each call of the bench file names one: `function = "module:name"`. Its arguments arrive as plain numbers in the declared
    units; it gives back a number where one return is declared, or a dict of them. `options.interpreter` names another Python,
    3.8 or later, in which nothing of Athanor has to be installed.
    """

    WHAT: ClassVar[str] = "Python functions"
    CALL_KEYS: ClassVar[frozenset[str]] = frozenset({"function", "time_limit", "repeatable", "pure", "simulated"})
    OPTIONS: ClassVar[frozenset[str]] = frozenset({"interpreter"})

    @classmethod
    @override
    def check_call(cls, settings: Settings, name: str, call: DeclaredCall) -> None:
        if call.function is None:
            raise BadInput(f'instrument {settings.name}, calls.{name}: function is missing; expected function = "module:name"')

    @classmethod
    @override
    def check_settings(cls, settings: Settings) -> None:
        interpreter_of(settings)

    @classmethod
    @override
    def files(cls, settings: Settings) -> Mapping[str, bytes]:
        return beside(settings)


def beside(settings: Settings) -> dict[str, bytes]:
    """Return the modules of calls' functions, and of what makes an object, that lie beside the bench file, by their paths from there."""
    named = [one for call in settings.calls.values() for one in (call.function, call.simulated) if one is not None]
    named += [] if settings.made is None else makers(settings.made.make, settings.made.arguments)
    found: dict[str, bytes] = {}
    for module in dict.fromkeys(one.partition(":")[0] for one in named):
        stem = Path(*module.split("."))
        for path in (stem.with_suffix(".py"), stem / "__init__.py"):
            if (settings.folder / path).is_file() and path.as_posix() not in found:
                found[path.as_posix()] = (settings.folder / path).read_bytes()
                break
    return found


def makers(make: str, given: Any) -> list[str]:
    """Return all that makes an object: its own maker, and those within what it is made with."""
    if isinstance(given, Mapping):
        inner = [one for name, value in given.items() if name != "make" for one in makers("", value)]
        return [one for one in (make, str(given.get("make", ""))) if one] + inner
    if isinstance(given, list | tuple):
        return [one for value in given for one in makers("", value)]
    return [make] if make else []
