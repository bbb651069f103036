"""Names of drivers and how they are built: those that come with Athanor, those of installed packages, files beside the bench."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from instruments.drivers.calls.adapters import PyLabRobotMachine, PyMeasureInstrument
from instruments.drivers.calls.command import Commands
from instruments.drivers.calls.python import PythonFunctions
from instruments.drivers.declared.profiles import find_profile, shipped_profiles
from instruments.drivers.device import Device
from instruments.drivers.eurotherm import EurothermOven
from instruments.drivers.lads import LadsUnit
from instruments.drivers.new_era import NewEraPump
from instruments.drivers.person import PersonDriver
from instruments.drivers.protocol import Driver, Settings
from orchestrator import plugins
from orchestrator.clock import Clock
from orchestrator.errors import AthanorError, BadInput
from orchestrator.plugins import LOADING_SECONDS, Plugin, find_plugin

DRIVERS: Final[Mapping[str, type[Driver]]] = {
    "new-era": NewEraPump,
    "eurotherm-modbus": EurothermOven,
    "lads": LadsUnit,
    "person": PersonDriver,
    "python": PythonFunctions,
    "command": Commands,
    "pymeasure": PyMeasureInstrument,
    "pylabrobot": PyLabRobotMachine,
}
"""Those that come with Athanor; a plug-in cannot take such a name."""


def find_driver(name: str, folder: Path, *, seconds: float = LOADING_SECONDS) -> type[Driver]:
    """Return the class of a driver.

    Args:
        name: Of a driver or a profile that comes with Athanor, of a driver of an installed package, `./FILE.py:CLASS`, or
            `./FILE.toml`.
        folder: Where the bench file lies.
        seconds: Wall seconds that the import of a plug-in may take.

    Raises:
        BadInput: There is none of this name, or the plug-in cannot be loaded; one line that says why.
    """
    if name in DRIVERS:
        return DRIVERS[name]
    plugin = driver_plugin(name, folder, seconds=seconds)
    if plugin is None:
        raise BadInput(
            f"unknown driver {name!r}; known: {', '.join(sorted({*DRIVERS, *shipped_profiles(), *plugins.installed(plugins.DRIVERS)}))}"
        )
    driver: type[Driver] = plugin.thing
    return driver


def driver_plugin(name: str, folder: Path, *, seconds: float = LOADING_SECONDS) -> Plugin | None:
    """Return the plug-in, or the profile, that a driver's name stands for; None for a driver of Athanor's own, and for none.

    Raises:
        BadInput: The plug-in cannot be loaded, or is no driver; the profile is wrong.
    """
    if name in DRIVERS:
        return None
    if (profile := find_profile(name, folder)) is not None:
        return Plugin(plugins.DRIVERS, name, profile.driver, profile.source, profile.sha256)
    plugin = find_plugin(plugins.DRIVERS, name, folder, seconds=seconds)
    if plugin is not None and not _is_driver(plugin.thing):
        raise BadInput(f"driver {name!r} ({plugin.source}) is {plugin.thing!r:.80}; expected a subclass of athanor.drivers.Driver")
    return plugin


def _is_driver(thing: Any) -> bool:
    return isinstance(thing, type) and Device in thing.__mro__


def build_driver(name: str, transport: Any, settings: Settings, clock: Clock) -> Driver:
    """Find a driver by its name and build it on an open link; nothing is sent.

    Raises:
        BadInput: No driver of this name, or it needs another kind of link or further settings.
    """
    try:
        driver = find_driver(name, settings.folder).declared(settings)
    except BadInput as error:
        raise BadInput(f"{settings.name}: {error}") from error
    return bind(driver, name, transport, settings, clock)


def bind(driver: type[Driver], name: str, transport: Any, settings: Settings, clock: Clock) -> Driver:
    """Build a driver on an open link, or on none where it opens its device itself or needs no link; nothing is sent.

    Raises:
        BadInput: It needs another kind of link or further settings, or the code of a plug-in fails.
    """
    kind = transport.kind if transport is not None else "own" if settings.device is not None else "none"
    if kind not in (driver.LINKS or ("none",)):
        needed = f"a link of kind {' or '.join(driver.LINKS)}" if driver.LINKS else "no link"
        raise BadInput(f"{settings.name}: driver {name!r} needs {needed}, got {kind}")
    try:
        return driver(transport, settings, clock)
    except AthanorError:
        raise
    except Exception as error:  # a plug-in may raise anything
        raise BadInput(f"{settings.name}: driver {name!r} cannot be built: {type(error).__name__}: {error}") from error
