"""What a page shows held against what came."""

import difflib
import re
from pathlib import Path
from typing import Final

HOME: Final = "/home/ada"
"""The folder in which a page's reader works."""
_NEVER_THE_SAME: Final = (
    (re.compile(r"\x1b\[[0-9;?]*[A-Za-z]"), ""),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "KEY"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "HASH"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(\+00:00|Z| UTC)?"), "TIME"),
    (re.compile(r"\b(pid|host|supervisor|process) \d+"), r"\1 N"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:PORT"),
)
_NUMBER: Final = re.compile(r"(?<![\w.])-?\d+(\.\d+)?(e[+-]?\d+)?(?![\w])")
_WIDTH: Final = re.compile(r"[━─ ]+")


def mismatch(shown: str, came: str, folder: Path, *, numbers_vary: bool = False) -> str | None:
    """Return how what came differs from what is shown, line by line; None where it does not.

    Args:
        shown: What the page says; `...` stands for anything.
        came: What was printed.
        folder: The page's folder, shown as that of a reader.
        numbers_vary: Numbers, and the width of what holds them, are not compared.
    """
    expected, found = _settled(shown, numbers_vary), _settled(came.replace(str(folder), HOME), numbers_vary)
    if re.fullmatch(_pattern(expected), "".join(f"{line}\n" for line in found)):
        return None
    missing = _first_missing(expected, found)
    difference = "\n".join(difflib.unified_diff(expected, found, "shown", "came", lineterm="", n=100))
    return f"{missing}\n{difference}"


def _first_missing(expected: list[str], found: list[str]) -> str:
    """Name the first line shown that nothing that came matches, behind what its forerunners matched."""
    left = iter(found)
    for line in expected:
        if line.strip() != "..." and not any(re.fullmatch(_line(line), one) for one in left):
            return f"this is shown and did not come: {line}"
    return "more came than is shown"


def _settled(text: str, numbers_vary: bool) -> list[str]:
    for pattern, instead in _NEVER_THE_SAME:
        text = pattern.sub(instead, text)
    if numbers_vary:
        text = _WIDTH.sub(" ", _NUMBER.sub("#", text))
    return [line.rstrip() for line in text.strip("\n").splitlines()]


def _pattern(lines: list[str]) -> str:
    return "".join("(?:.*\n)*?" if line.strip() == "..." else _line(line) + "\n" for line in lines)


def _line(line: str) -> str:
    return ".*?".join(re.escape(part) for part in line.split("..."))
