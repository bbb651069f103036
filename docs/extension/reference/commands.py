"""Every command with its arguments and options, as `--help` says them."""

from collections.abc import Iterator
from typing import Any

import typer

from docs.extension.reference.markdown import code, plain, section, table
from flows.cli.main import app


def written() -> str:
    """Write all commands, grouped as they are called."""
    return "".join(_section(path, command) for path, command in leaves(typer.main.get_command(app), ("athanor",)))


def leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Iterate over all commands that can be called, with what is typed for them."""
    below = getattr(command, "commands", {})
    if not below or command.invoke_without_command:
        yield path, command
    for name, one in below.items():
        yield from leaves(one, (*path, name))


def _section(path: tuple[str, ...], command: Any) -> str:
    context = command.context_class(command, info_name=" ".join(path))
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
    usage = " ".join([*path, *(f"[{one.name.upper()}]" if not one.required else one.name.upper() for one in arguments), "[OPTIONS]"])
    rows = [(code(one.name.upper()), _help(one, context)) for one in arguments]
    rows += [(", ".join(map(code, (one.get_help_record(context) or ("",))[0].split(", "))), _help(one, context)) for one in options]
    return section(
        " ".join(path[1:]), f"```text\n{usage}\n```", plain(command.help), table(("argument or option", "meaning"), rows) if rows else ""
    )


def _help(parameter: Any, context: Any) -> str:
    record = parameter.get_help_record(context)
    return record[1] if record and record[1] else parameter.help or ""
