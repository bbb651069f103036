"""Text files that people make, TOML among them: what cannot be read is refused in a line with file, line and column."""

import re
import tomllib
from pathlib import Path
from typing import Any, Final

from orchestrator.errors import BadInput
from orchestrator.numerals import misreading

MARK: Final = "\ufeff"
"""A byte-order mark, as some editors write it at the beginning; it means nothing in UTF-8."""
_PLACE: Final = re.compile(r"\(at line (\d+), column \d+\)$")
_COMMA: Final = re.compile(r"=\s*[+-]?[0-9][0-9.]*,[0-9]")
"""A value that is no list and has a comma."""


def read_text(path: Path, *, what: str, encoding: str = "utf-8") -> str:
    """Read a text file; its lines end in a line feed, whatever they ended in.

    Args:
        path: The file.
        what: What a message calls it, its path among it.
        encoding: How it is written; never guessed.

    Raises:
        BadInput: There is none, it cannot be read, or it is written otherwise.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise BadInput(f"{what} does not exist") from error
    except (OSError, ValueError) as error:  # a path with a NUL is a ValueError
        raise BadInput(f"{what} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return decode(content, what=what, encoding=encoding)


def decode(content: bytes, *, what: str, encoding: str) -> str:
    """Read a file's bytes as text; see `read_text`.

    Raises:
        BadInput: They are written otherwise; says where.
    """
    try:
        text = content.decode(encoding)
    except UnicodeError as error:
        raise BadInput(f"{what}{_where(content, error)}; expected a file in {encoding}") from error
    return _lines(text)


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def place_of(text: str, index: int) -> tuple[int, int]:
    """Return line and column of a character, both from 1."""
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


def _where(content: bytes, error: UnicodeError) -> str:
    """Say what could not be decoded, by line and column."""
    if not isinstance(error, UnicodeDecodeError):
        return f": {error}"
    before = _lines(content[: error.start].decode(error.encoding, errors="replace"))
    line, column = place_of(before, len(before))
    marks = " (the file begins like UTF-16)" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
    return f", line {line}, column {column}: byte 0x{content[error.start]:02x} is not {error.encoding}: {error.reason}{marks}"


def read_toml(path: Path, *, what: str) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        BadInput: It cannot be read, or is not TOML; says at which line and column.
    """
    return parse_toml(read_text(path, what=what), what=what)


def parse_toml(text: str, *, what: str) -> dict[str, Any]:
    """Parse the text of a TOML file.

    Raises:
        BadInput: It is not TOML; says at which line and column.
    """
    try:
        return tomllib.loads(text.removeprefix(MARK))
    except (ValueError, RecursionError) as error:  # ValueError also of numbers with thousands of digits
        raise BadInput(f"{what} is not TOML: {str(error) or 'nested too deeply'}{_hint(text, str(error))}") from error


def _hint(text: str, complaint: str) -> str:
    place = _PLACE.search(complaint)
    line = text.split("\n")[int(place[1]) - 1] if place else ""
    return misreading(found[0]) if (found := _COMMA.search(line)) else ""
