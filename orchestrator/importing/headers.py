"""Units that stand in a column's name, in the ways that people write them."""

import re
from typing import Final

from orchestrator.errors import BadInput
from orchestrator.units import unit

_FORMS: Final = (
    re.compile(r"(?P<name>.*\S)\s*\[(?P<unit>[^\[\]]+)\]"),
    re.compile(r"(?P<name>.*\S)\s*\((?P<unit>[^()]+)\)"),
    re.compile(r"(?P<name>.*\S)\s*/\s*\((?P<unit>[^()]+)\)"),
    re.compile(r"(?P<name>.*\S)\s*/\s*(?P<unit>[^/\s]+)"),
    re.compile(r"(?P<name>.*\S),\s*(?P<unit>\S+)"),
)
"""`T [°C]`, `Yield (%)`, `c / (mmol/L)`, `t / min` (a quantity over its unit, SI Brochure 5.4.1) and `T, °C`."""


def parted(header: str) -> tuple[str, str | None]:
    """Part a column's name into the quantity and its unit; None where what could be one is no unit that is known."""
    for form in _FORMS:
        found = form.fullmatch(header.strip())
        if found and is_unit(found["unit"]):
            return found["name"], found["unit"].strip()
    return header.strip(), None


def bare(text: str) -> str | None:
    """Return the unit that a cell of a units' row says, with brackets or without; None for none.

    Raises:
        BadInput: It is no unit that is known.
    """
    inner = re.sub(r"^\s*[\[(](.*)[\])]\s*$", r"\1", text).strip()
    if inner in ("", "-", "–", "1"):
        return None
    unit(inner)
    return inner


def is_unit(text: str) -> bool:
    """Say whether a text is a unit that is known."""
    if not text.strip() or text.strip() == "1":
        return False
    try:
        unit(text)
    except BadInput:
        return False
    return True
