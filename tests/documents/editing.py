"""Lines of TOML that are put into a file as a person would with an editor."""

import re
from collections.abc import Iterator
from typing import Final

_HEADER: Final = re.compile(r"\[+[^\[\]]+\]+\s*(#.*)?")
_KEY: Final = re.compile(r"([\w.\"-]+)\s*=")
_NAME: Final = re.compile(r'name\s*=\s*"([^"]*)"')


def changed(before: str, lines: str) -> str:
    """Return a file with these lines in it: each replaces the one of its name in its table, or is added to the table."""
    sections = _sections(before)
    for new in _sections(lines):
        if not (new[0] or any(_KEY.match(line) for line in new)):
            continue
        section = next((old for old in sections if _place(old) == _place(new)), None)
        if section is None:
            sections.append(["", *new])
            continue
        for name, value in _values(new):
            _put(section, name, value)
    return "\n".join(line for section in sections for line in section).strip("\n") + "\n"


def _sections(text: str) -> list[list[str]]:
    """Return the lines of each table, its header first; the first has none and an empty line instead."""
    found = [[""]]
    for line in text.splitlines():
        if _HEADER.fullmatch(line.strip()):
            found.append([line])
        else:
            found[-1].append(line)
    return found


def _place(section: list[str]) -> tuple[str, str | None]:
    header = section[0].partition("#")[0].strip()
    names = [match[1] for line in section if (match := _NAME.match(line))]
    return header, names[0] if header.startswith("[[") and names else None


def _values(section: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield keys with their lines: a value may go on over lines that have no key of their own."""
    gathered: list[tuple[str, list[str]]] = []
    for line in section[1:]:
        if match := _KEY.match(line):
            gathered.append((match[1], [line]))
        elif gathered and line.strip() and not line.startswith("#"):
            gathered[-1][1].append(line)
    yield from gathered


def _put(section: list[str], name: str, lines: list[str]) -> None:
    for at, line in enumerate(section):
        match = _KEY.match(line)
        if match is not None and match[1] == name:
            section[at : at + 1] = lines
            return
    last = max(at for at, line in enumerate(section) if at == 0 or (line.strip() and not line.startswith("#")))
    section[last + 1 : last + 1] = lines
