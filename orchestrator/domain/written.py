"""Numbers as people write them in files, and how JSON Schema says so to their editors.

A number is a number and no text or true; a quantity is a number in the unit that stands beside it, or a text with a unit of
its own. What takes the text apart is `orchestrator.units`; here stands what an editor can tell without units.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Strict, WithJsonSchema

UNIT: Final = "x-unit"
"""Key of a schema that says in which unit a number stands; validators pass over it."""

Whole = Annotated[int, Strict()]
"""A whole number."""
Number = Annotated[float, Strict()]
"""A number."""
Flag = Annotated[bool, Strict()]
"""true or false."""


def quantity_schema(unit: str, example: str, **bounds: float) -> dict[str, Any]:
    """Describe a number in a unit, or a text that begins with a number.

    Args:
        unit: What a bare number stands in, for people.
        example: A text that is legal.
        bounds: JSON Schema's own keywords for the number.
    """
    pattern = r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)"
    return {"type": ["number", "string"], **bounds, "pattern": pattern, "examples": [example], UNIT: unit}


def text_schema(unit: str, example: str) -> dict[str, Any]:
    """Describe a text that begins with a number and has a unit."""
    return {**quantity_schema(unit, example), "type": "string"}


def late_text_schema(unit: str, example: str) -> dict[str, Any]:
    """Describe a text with a unit that is read only where it is used."""
    return {"type": "string", "examples": [example], UNIT: unit}


def duration_schema(kind: str) -> dict[str, Any]:
    """Describe a duration above 0: `lab` or `wall` seconds, or a text."""
    return quantity_schema(f"{kind} s", "10 min", exclusiveMinimum=0)


InOwnUnit = Annotated[float, WithJsonSchema(quantity_schema("`unit`", "1.5 mL"))]
"""A quantity that the class converts to its field `unit`."""
InOwnDifference = Annotated[float, WithJsonSchema(quantity_schema("a difference in `unit`", "0.5 degC"))]
"""A difference that the class converts to its field `unit`."""
TextWithUnit = Annotated[str, WithJsonSchema(text_schema("as written", "2 mL"))]
"""A text with a unit, read where the dimension is known."""
Quantity = Annotated[str | Number, WithJsonSchema(quantity_schema("any", "2 mL"))]
"""A number or a text with a unit, read where the dimension is known."""


def either(*keys: str) -> dict[str, Any]:
    """Describe a table that has exactly one of some keys."""
    return {"oneOf": [{"required": [key]} for key in keys]}


def when(key: str, value: str, **then: Any) -> dict[str, Any]:
    """Describe what holds where a key has a value that stands in the file."""
    return {"if": {"properties": {key: {"const": value}}, "required": [key]}, "then": then}


def never(*keys: str) -> dict[str, Any]:
    """Describe a table that has none of some keys."""
    return {"not": {"anyOf": [{"required": [key]} for key in keys]}}


def own_unit(table: Mapping[str, Any]) -> str:
    """Return the `unit` that stands beside quantities; empty where there is none.

    Raises:
        ValueError: It is no text.
    """
    found = table.get("unit", "")
    if not isinstance(found, str):
        raise ValueError(f"unit = {found!r}: expected a text like 'degC', 'mL/min', 's', 'mol/L'")
    return found
