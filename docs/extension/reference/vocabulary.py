"""Words with one meaning: exit codes, kinds of events, life cycles."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

from docs.extension.reference.markdown import code, plain, section, table
from flows.schemas.key_descriptions import members
from orchestrator import errors
from orchestrator.domain import lifecycle
from orchestrator.domain.events import EventKind

_MEANINGS: Final = {
    0: "Done, or nothing was to be done.",
    1: "What was typed or written is wrong; the line says what came and what was expected.",
    2: "The command was called in a way that there is not: an unknown option, a missing argument.",
    3: "Only a person can go on; the line says what to type.",
    4: "Athanor, a device or the machine is at fault.",
    130: "Interrupted by Ctrl-C.",
}


def exit_codes() -> str:
    """Write the exit codes, with the errors that lead to them."""
    raised: dict[int, list[str]] = {}
    for error in _below(errors.AthanorError):
        raised.setdefault(error.exit_code, []).append(error.__name__)
    rows = [(str(number), meaning, ", ".join(map(code, raised.get(number, ())))) for number, meaning in _MEANINGS.items()]
    unknown = set(raised) - set(_MEANINGS)
    assert not unknown, f"exit codes without a meaning: {unknown}"
    every = [(code(one.__name__), str(one.exit_code), plain(one.__doc__)) for one in _below(errors.AthanorError)]
    return (
        table(("exit code", "meaning", "errors in Python"), rows)
        + "\n"
        + section("Errors", table(("error", "exit code", "meaning"), every))
    )


def _below(error: type[errors.AthanorError]) -> Iterator[type[errors.AthanorError]]:
    yield error
    for one in error.__subclasses__():
        if one.__module__ == errors.__name__:
            yield from _below(one)


def events() -> str:
    """Write all kinds of events."""
    said = members(EventKind)
    return table(("kind", "what happened"), ((code(kind), said[kind.name]) for kind in EventKind))


def life_cycles() -> str:
    """Write each life cycle as a table of legal steps."""
    return "".join(_cycle(name, steps) for name, steps in vars(lifecycle).items() if name.endswith("_STEPS"))


def _cycle(name: str, steps: Mapping[Any, frozenset[Any]]) -> str:
    owner: type[StrEnum] = type(next(iter(steps)))
    said = members(owner)
    rows = [(code(one), ", ".join(map(code, sorted(steps.get(one, ())))) or "nothing: it has ended", said[one.name]) for one in owner]
    title = name.removesuffix("_STEPS").replace("_", " ").capitalize()
    return section(title, plain(owner.__doc__), table(("state", "may become", "meaning"), rows))
