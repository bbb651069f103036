"""Units: one registry, plain floats inside, quantities at the edges.

Inside Athanor a float stands in degC, mL, mL/min, s, bar, mol/L, or in the unit declared beside it.
"""

import math
import re
from functools import lru_cache
from tokenize import TokenError
from typing import Any, Final

import pint

from orchestrator.errors import BadInput
from orchestrator.numerals import brief, number, shown, split

REGISTRY: Final[pint.UnitRegistry[float]] = pint.UnitRegistry(cache_folder=None)

_STRANGE: Final = re.compile(r"[^\w\s.·⋅%°Δ/*^()+\-⁺⁻]")
"""What stands in no unit: pint drops most of it, and all behind a `#`, without a word."""

_UNREADABLE: Final = (
    pint.errors.PintError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    IndexError,
    SyntaxError,
    TokenError,
    TypeError,
    ValueError,
)
"""What pint's parser raises on text that is no unit."""


@lru_cache(maxsize=512)
def unit(text: str) -> Any:
    """Parse a unit's name.

    Raises:
        BadInput: The registry does not know it.
    """
    name = text.strip()
    if name in ("", "1"):
        return REGISTRY.dimensionless
    try:
        if _STRANGE.search(name):
            raise ValueError("pint would drop some of it")
        return REGISTRY.Unit(name)
    except _UNREADABLE as error:
        raise BadInput(f"unknown unit {text!r}; expected one like 'degC', 'mL/min', 's', 'mol/L'") from error


def quantity(value: Any, unit_text: str) -> Any:
    """Bind a float or an array to a unit (offset units such as degC included)."""
    return REGISTRY.Quantity(value, unit(unit_text))


@lru_cache(maxsize=4096)
def convert(value: float, source: str, target: str) -> float:
    """Convert a number between two units.

    Raises:
        BadInput: The units have different dimensions.
    """
    if source == target:
        return value
    try:
        return float(quantity(value, source).to(unit(target)).magnitude)
    except pint.errors.DimensionalityError as error:
        raise BadInput(f"{value:g} {source} cannot be expressed in {target or '1'}") from error


def parse(raw: object, unit_text: str, *, what: str) -> float:
    """Read a number in `unit_text`, or a text such as "10 mL/min" which is converted.

    Args:
        raw: A number, or a number and a unit as text.
        unit_text: The unit of the result.
        what: The name of the thing, for the message.

    Raises:
        BadInput: Not a finite number, or a unit of another dimension.
    """
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return _finite(raw, raw, unit_text, what)
    example = f"text like '{f'1.5 {unit_text}'.rstrip()}'"
    if not isinstance(raw, str):
        raise BadInput(f"{what}: {brief(raw)} is not a quantity; expected a number in {unit_text or '1'} or {example}")
    digits, given = split(raw)
    value = number(digits, what=what, kind="quantity", expected=f"a number with a decimal point, {example}")
    try:
        value = convert(value, given or unit_text, unit_text)
    except BadInput as error:
        raise BadInput(f"{what}: {shown(raw)} has the wrong unit; expected one that converts to {unit_text or '1'}") from error
    return _finite(value, raw, unit_text, what)


def parse_difference(raw: object, unit_text: str, *, what: str) -> float:
    """Read a difference of two values in `unit_text`: 0.5 K is 0.5 degC apart, whatever their zeros.

    Raises:
        BadInput: Not a finite number, or a unit of another dimension.
    """
    given = split(raw)[1] if isinstance(raw, str) else ""
    if given.startswith("delta_"):  # pint's own word for it, which has no zero
        return parse_difference(f"{parse(raw, 'K', what=what)!r} K", unit_text, what=what)
    return parse(raw, unit_text, what=what) - (parse(f"0 {given}", unit_text, what=what) if given else 0.0)


def _finite(value: float, raw: object, unit_text: str, what: str) -> float:
    try:
        if math.isfinite(found := float(value)):
            return found
    except OverflowError:
        pass
    raise BadInput(f"{what}: {shown(str(raw))} is not finite; expected a number in {unit_text or '1'}")


def same_dimension(left: str, right: str) -> bool:
    """Say whether two units convert into each other."""
    return bool(unit(left).dimensionality == unit(right).dimensionality)
