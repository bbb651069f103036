"""Numbers that stand as text, read without guessing; no unit is known here, so that what must start at once can read too."""

import math
import re
from typing import Final

from orchestrator.errors import BadInput

SHOWN: Final = 60
"""So many characters of what came a message shows."""
NUMBER: Final = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
"""A number as text: digits 0 to 9, at most one decimal point, an exponent. `float` reads more (2_20, nan, other scripts' digits)."""
_NUMBER: Final = re.compile(NUMBER)
_QUANTITY: Final = re.compile(rf"\s*((?>{NUMBER}))\s*+(1\s*/.*?|(?![\d.,;_'’+\-]|[eE]\b|[eExX]\d).*?)\s*", re.DOTALL)
"""A number and what may be a unit, such as mL or 1/s: nothing that could belong to the number."""
_NOT_FINITE: Final = re.compile(r"\s*[+-]?(nan|inf|infinity)\b", re.IGNORECASE)
_MISREADINGS: Final = (
    (re.compile(r"\d\s*[,٫٬]|[,٫٬]\s*\d"), "a comma does not say whether it is a decimal point or parts thousands"),
    (re.compile(r"\d[\s_'’]+\d"), "its digits stand in groups"),
    (re.compile(r"\.[0-9]*\."), "it has more than one point"),
    (re.compile(r"(?![0-9])\d"), "it has other digits than 0 to 9"),
)
"""What people write where a number is expected, and why it is not read as one."""


def number(text: str, *, what: str, kind: str = "number", expected: str = "one with a decimal point, like 1.5") -> float:
    """Read a number that stands as text, without guessing: a decimal comma, thousands and other notations are refused.

    Args:
        text: The number; blanks around it do not count.
        what: The name of the thing, for the message.
        kind: What it is meant to be, for the message.
        expected: What the message asks for.

    Raises:
        BadInput: Not a number, or one that a float cannot hold.
    """
    is_number = _NUMBER.fullmatch(text.strip()) is not None
    if not is_number and not _NOT_FINITE.match(text):
        raise BadInput(f"{what}: {shown(text)} is not a {kind}{misreading(text)}; expected {expected}")
    value = float(text) if is_number else math.nan
    if not math.isfinite(value):
        raise BadInput(f"{what}: {shown(text)} is not finite; expected {expected}")
    if value == 0.0 and re.search("[1-9]", re.split("[eE]", text)[0]):
        raise BadInput(f"{what}: {shown(text)} is too small to be told from zero; expected {expected}")
    return value


def split(text: str) -> tuple[str, str]:
    """Part a text such as "10 mL/min" into its number and its unit; all of it is the number where it has no such form."""
    match = _QUANTITY.fullmatch(text)
    return (match[1], match[2]) if match else (text, "")


def shown(text: str) -> str:
    """Quote what came for a message, shortened where it is long."""
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")


def brief(value: object) -> str:
    """Write whatever came on one line for a message, shortened where it is long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def misreading(text: str) -> str:
    """Say why a text is not read as a number, after a colon; nothing where there is no more to say."""
    return next((f": {reason}" for pattern, reason in _MISREADINGS if pattern.search(text)), "")
