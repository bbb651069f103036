"""The drivers that a bench file can name, as people look them up."""

import inspect
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from instruments.drivers.declared.profiles import shipped_profiles
from instruments.drivers.marks import marks_of
from instruments.drivers.protocol import ArgumentSpec, CommandSpec, Driver
from instruments.drivers.registry import DRIVERS, driver_plugin, find_driver
from orchestrator import plugins
from orchestrator.errors import BadInput


def known_drivers() -> Iterator[dict[str, Any]]:
    """Describe every driver and profile that comes with Athanor, and every driver of an installed package, as JSON objects.

    A plug-in that cannot be loaded has `error` in the place of everything but `driver` and `from`.
    """
    own = sorted({*DRIVERS, *shipped_profiles()})
    for name in (*own, *(one for one in plugins.installed(plugins.DRIVERS) if one not in own)):
        try:
            yield driver_document(name, Path())
        except BadInput as error:
            yield {"driver": name, "from": plugins.installed(plugins.DRIVERS)[name], "error": str(error)}


def driver_document(name: str, folder: Path) -> dict[str, Any]:
    """Describe one driver as a JSON object: its links, commands, channels, safe actions, watchdog and options.

    Args:
        name: As a bench file names it.
        folder: Where a file that it names is looked for.

    Raises:
        BadInput: There is none of this name, or it cannot be loaded.
    """
    driver, plugin = find_driver(name, folder), driver_plugin(name, folder)
    return {
        "driver": name,
        "from": f"athanor {version('athanor')}" if plugin is None else plugin.source,
        "sha256": None if plugin is None else plugin.sha256,
        "about": inspect.cleandoc(driver.__doc__ or ""),
        "links": list(driver.LINKS),
        "commands": {command: _command(driver, command, spec) for command, spec in driver.COMMANDS.items()},
        "channels": {channel: {"unit": spec.unit, "about": _about(driver, channel)} for channel, spec in driver.CHANNELS.items()},
        "safe_actions": sorted(driver.SAFE_ACTIONS),
        "watchdog": driver.HAS_WATCHDOG,
        "options": sorted(driver.OPTIONS),
        "calls": ["arguments", "returns", *sorted(driver.CALL_KEYS)] if driver.CALL_KEYS else [],
    }


def _command(driver: type[Driver], name: str, spec: CommandSpec) -> dict[str, Any]:
    arguments = {argument: _argument(one) for argument, one in spec.arguments.items()}
    return {"kind": str(spec.kind), "about": _about(driver, name), "arguments": arguments, "further_arguments": spec.open_arguments}


def _argument(spec: ArgumentSpec) -> dict[str, Any]:
    limits = None if spec.limit is None else [spec.limit.low, spec.limit.high]
    return {"unit": spec.unit, "limits": limits, "resolution": spec.resolution, "default": spec.default}


def _about(driver: type[Driver], name: str) -> str:
    """Return the first line of what a command's or channel's method says of itself."""
    mark = marks_of(driver).get(name)
    return (mark.__doc__ or "").strip().partition("\n")[0] if mark else ""
