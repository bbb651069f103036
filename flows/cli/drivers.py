"""`athanor drivers`: what a bench file can name, and what can be told and asked of it."""

from pathlib import Path
from typing import Any

from rich.table import Table

from flows.cli.console import console, emit
from flows.plans.drivers import driver_document, known_drivers


def list_drivers(*, as_json: bool) -> None:
    """Print all drivers, one a line."""
    found = list(known_drivers())
    if as_json:
        emit(found)
        return
    table = Table(title="drivers", title_justify="left")
    table.add_column("driver", no_wrap=True)
    for heading in ("from", "links", "commands", "channels"):
        table.add_column(heading)
    for one in found:
        if "error" not in one:
            table.add_row(one["driver"], one["from"], ", ".join(one["links"]), _words(one["commands"]), _words(one["channels"]))
    console.print(table)
    for one in found:
        if "error" in one:
            console.print(f"  {one['error']}")


def show_driver(name: str, *, as_json: bool) -> None:
    """Print one driver with its commands, channels, safe actions, watchdog and options.

    Raises:
        BadInput: There is none of this name, or it cannot be loaded.
    """
    found = driver_document(name, Path())
    if as_json:
        emit(found)
        return
    console.print(f"{name}: {found['about'].partition(chr(10))[0]}")
    console.print(f"  from: {found['from']}")
    console.print(f"  links: {_words(found['links'])}")
    console.print(f"  safe actions: {_words(found['safe_actions'])}")
    console.print(f"  watchdog: {'yes' if found['watchdog'] else 'no: only the host and the supervisor can make it safe'}")
    console.print(f"  options: {_words(found['options'])}")
    if found["calls"]:
        console.print(f"  commands and channels: the calls that the bench file declares; of each it reads {_words(found['calls'])}")
        return
    console.print(_commands(found["commands"]))
    channels = Table(title="channels", title_justify="left")
    for heading in ("channel", "unit", "what"):
        channels.add_column(heading)
    for channel, one in found["channels"].items():
        channels.add_row(channel, one["unit"], one["about"])
    console.print(channels)


def _commands(commands: dict[str, Any]) -> Table:
    table = Table(title="commands", title_justify="left")
    for heading in ("command", "kind", "argument", "unit", "limits", "steps of"):
        table.add_column(heading, no_wrap=True)
    table.add_column("what")
    for command, one in commands.items():
        rows = [_argument(name, spec) for name, spec in one["arguments"].items()] or [("", "", "", "")]
        rows += [("any further", "", "", "")] if one["further_arguments"] else []
        for index, row in enumerate(rows):
            table.add_row(*((command, one["kind"]) if not index else ("", "")), *row, one["about"] if not index else "")
    return table


def _argument(name: str, spec: dict[str, Any]) -> tuple[str, str, str, str]:
    limits = "" if spec["limits"] is None else "{:g} to {:g}".format(*spec["limits"])
    unit = "text" if spec["unit"] is None else spec["unit"]
    return name, unit, limits, "" if spec["resolution"] is None else f"{spec['resolution']:g}"


def _words(words: Any) -> str:
    return ", ".join(words) or "none"
