"""Texts that a regular expression matches, and expressions of the texts that a profile sends: for devices made from declarations.

Python's own parser of patterns is asked what a pattern is made of; it is not documented, so that each text is held against
the pattern before anybody gets it, and a pattern that asks for more than shapes (looking ahead, for instance) has no text.
"""

import re
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from string import Formatter
from typing import Any, Final

_PARSER: Final = import_module("re._parser")
_WORD: Final = "stand-in"
"""What stands where a pattern takes anything."""
_PREFERRED: Final = "0A@a1 +-." + string.ascii_letters + string.digits + string.punctuation + "\r\n\t"
"""Characters in the order in which they are tried."""
_NUMBER: Final = r"\s*[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?"
_CHOICES: Final = 4
"""How many ways are tried where a pattern leaves a choice."""
_CATEGORIES: Final[Mapping[str, Callable[[str], bool]]] = {
    "CATEGORY_DIGIT": str.isdigit,
    "CATEGORY_NOT_DIGIT": lambda one: not one.isdigit(),
    "CATEGORY_SPACE": str.isspace,
    "CATEGORY_NOT_SPACE": lambda one: not one.isspace(),
    "CATEGORY_WORD": lambda one: one.isalnum() or one == "_",
    "CATEGORY_NOT_WORD": lambda one: not (one.isalnum() or one == "_"),
}


class NoText(ValueError):
    """A pattern that asks for more than a shape."""


def texts_of(pattern: str) -> Iterator[str]:
    """Iterate over a few different texts that the pattern matches as a whole, blanks around them left out; the shortest first."""
    seen = set()
    for is_filled in (False, True):
        for choice in range(_CHOICES):
            try:
                text = _Writer(choice, is_filled=is_filled).text(_PARSER.parse(pattern)).strip()
            except NoText:
                return
            if text not in seen and re.fullmatch(pattern, text):
                seen.add(text)
                yield text


def replaced(pattern: str, text: str, group: str, candidates: Sequence[str]) -> str | None:
    """Put the first candidate that fits in the place of a group of a text; None where the pattern takes none of them there."""
    found = re.fullmatch(pattern, text)
    if found is None or found.start(group) < 0:
        return None
    for one in candidates:
        changed = text[: found.start(group)] + one + text[found.end(group) :]
        again = re.fullmatch(pattern, changed)
        if again is not None and again[group] == one and changed == changed.strip():
            return changed
    return None


def shape_of(text: str, fields: Mapping[str, float | str], arguments: Mapping[str, Any]) -> str:
    """Write the regular expression of what a profile's text sends: a group for each argument, fields as they are.

    Args:
        text: As `str.format` takes it.
        fields: What is known of it; `{sequence}` alone is any one character.
        arguments: Those of a profile's command; `values` are the legal texts, none of them means a number.
    """
    shape, seen = "", set()
    for literal, field, form, _ in Formatter().parse(text):
        shape += re.escape(literal)
        if field is None:
            continue
        if field == "sequence":
            shape += "(?P<sequence>.)"
        elif field in arguments:
            what = "|".join(map(re.escape, arguments[field]["values"])) or _NUMBER
            shape += f"(?P={field})" if field in seen else f"(?P<{field}>{what})"
            seen.add(field)
        else:
            shape += re.escape(format(fields[field], form or ""))
    return shape


class _Writer:
    """Writes one text."""

    def __init__(self, choice: int, *, is_filled: bool) -> None:
        self._choice, self._is_filled = choice, is_filled

    def text(self, parsed: Any) -> str:
        return "".join(self._part(str(operation), value) for operation, value in parsed)

    def _part(self, operation: str, value: Any) -> str:
        if operation == "LITERAL":
            return chr(value)
        if operation == "ANY":
            return "0"
        if operation == "IN":
            return self._one_of([one for one in _PREFERRED if _is_in(value, one)])
        if operation == "NOT_LITERAL":
            return self._one_of([one for one in _PREFERRED if ord(one) != value])
        if operation == "BRANCH":
            return self.text(value[1][self._choice % len(value[1])])
        if operation == "SUBPATTERN":
            return self.text(value[3])
        if operation in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            return self._repeated(*value)
        if operation == "AT":
            return ""
        raise NoText(operation)

    def _one_of(self, fitting: Sequence[str]) -> str:
        if not fitting:
            raise NoText("no printable character")
        return fitting[self._choice % len(fitting)]

    def _repeated(self, least: int, most: Any, part: Any) -> str:
        anything = len(part) == 1 and str(part[0][0]) == "ANY"
        if anything and self._is_filled and int(most) > len(_WORD):
            return _WORD
        return self.text(part) * least


def _is_in(members: Sequence[tuple[Any, Any]], character: str) -> bool:
    inside, negated = False, False
    for operation, value in members:
        match str(operation):
            case "NEGATE":
                negated = True
            case "LITERAL":
                inside = inside or ord(character) == value
            case "RANGE":
                inside = inside or value[0] <= ord(character) <= value[1]
            case "CATEGORY":
                inside = inside or _CATEGORIES[str(value)](character)
    return inside != negated
