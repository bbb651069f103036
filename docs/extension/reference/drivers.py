"""Every driver: what it can be told and asked, within which limits."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from docs.extension.reference.markdown import code, plain, section, table
from flows.schemas.key_descriptions import members
from instruments.drivers.declared.profiles import find_profile, shipped_profiles
from instruments.drivers.functions import Function, FunctionKind
from instruments.drivers.lads_kinds import KINDS
from instruments.drivers.protocol import ArgumentSpec, CommandSpec
from instruments.drivers.registry import DRIVERS
from orchestrator.domain.lifecycle import StepKind


def written() -> str:
    """Write all drivers."""
    return "".join(_driver(name, driver) for name, driver in sorted(DRIVERS.items()))


def profiles() -> str:
    """Write all profiles that come with Athanor, with their sources."""
    found = [(name, one) for name in shipped_profiles() if (one := find_profile(name, Path())) is not None]
    return "".join(_driver(name, one.driver, _sources(one.spec.profile.sources)) for name, one in found)


def _sources(sources: Iterable[str]) -> str:
    return "Sources:\n\n" + "".join(f"- {plain(one)}\n" for one in sources)


def _driver(name: str, driver: Any, *more: str) -> str:
    facts = (
        ("link", " or ".join(f'`kind = "{kind}"`' for kind in driver.LINKS) or "none"),
        ("safe actions", _listed(driver.SAFE_ACTIONS)),
        ("options", _listed(driver.OPTIONS) or "none"),
        ("watchdog of its own", "yes" if driver.HAS_WATCHDOG else "no: when host and supervisor are both gone nothing makes it safe"),
        ("holds a command back for at most", f"{driver.LONGEST_QUEUEING:g} s (wall)"),
    )
    commands = [row for command, spec in driver.COMMANDS.items() for row in _command(command, spec)]
    channels = [(code(channel), code(spec.unit) or "pure number or text") for channel, spec in driver.CHANNELS.items()]
    return section(
        code(name),
        plain(driver.__doc__),
        table(("what", "of this driver"), facts),
        table(("command", "kind", "argument", "unit", "datasheet's limits", "in steps of", "default"), commands)
        if commands
        else f"Its commands are the calls that the bench file declares; it reads {_listed(driver.CALL_KEYS)} of them.",
        table(("channel", "unit"), channels)
        if channels
        else "Its channels are what `channels` declares, and what the calls return."
        if driver.OBJECT
        else "Its channels are what the calls return."
        if driver.CALL_KEYS
        else "What it can be read for, the device itself says; `channels` of a step names it.",
        *more,
    )


def _listed(words: Any) -> str:
    return ", ".join(map(code, sorted(words)))


def _command(name: str, spec: CommandSpec) -> list[tuple[str, ...]]:
    rows = [_argument(argument, one) for argument, one in spec.arguments.items()] or [("", "", "", "", "")]
    if spec.open_arguments:
        rows.append(("any further", "", "", "", ""))
    return [(code(name) if not index else "", str(spec.kind) if not index else "", *row) for index, row in enumerate(rows)]


def _argument(name: str, spec: ArgumentSpec) -> tuple[str, str, str, str, str]:
    limit = f"{spec.limit.low:g} to {spec.limit.high:g}" if spec.limit else ""
    unit = "text" if spec.unit is None else code(spec.unit) or "pure number"
    return code(name), unit, limit, "" if spec.resolution is None else f"{spec.resolution:g}", code(spec.default)


def kinds() -> str:
    """Write what the kinds of commands mean."""
    meanings = members(StepKind)
    return table(("kind", "may it be sent again"), ((code(kind), meanings[kind.name]) for kind in StepKind))


def functions() -> str:
    """Write what each kind of declared function offers, as one called NAME."""
    heads = ("`kind`", "what it is", "type of LADS", "commands", "channels", "safe actions")
    return table(heads, (_function(kind) for kind in FunctionKind))


def _function(kind: FunctionKind) -> tuple[str, ...]:
    one = KINDS[kind]("NAME", Function(("Name", "Mode"), kind, states=("a", "b")))
    words = (_listed(one.commands), _listed(one.channels), _listed(one.safe_actions))
    return code(kind), members(FunctionKind)[kind.name], code(one.TYPE), *words
