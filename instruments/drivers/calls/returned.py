"""Judges what a call gave back by what was declared of it."""

import math
from collections.abc import Mapping
from typing import Any, Final

from instruments.drivers.protocol import DeclaredCall, ReturnSpec
from orchestrator.errors import BadInput
from orchestrator.numerals import brief
from orchestrator.units import convert, parse

WRONG: Final = "wrong returns"
"""The word, for rules, of a call that gave back something else than was declared."""


def values_of(call: DeclaredCall, returns: Mapping[str, Any]) -> dict[str, float | str]:
    """Return what came back, numbers in the declared units.

    Args:
        call: As declared.
        returns: Name -> [value, unit], unit None where the value came without one.

    Raises:
        BadInput: One line: what is missing, not declared, no finite number, of the wrong unit, or outside its range.
    """
    listed = ", ".join(call.returns) or "none"
    if missing := [name for name in call.returns if name not in returns]:
        raise BadInput(f"it returned no {missing[0]!r}; it returned {', '.join(returns) or 'nothing'}, declared: {listed}")
    if strangers := [name for name in returns if name not in call.returns]:
        raise BadInput(f"it returned {strangers[0]!r}, which is not declared; declared: {listed}")
    return {name: value_of(name, spec, *returns[name]) for name, spec in call.returns.items()}


def value_of(name: str, spec: ReturnSpec, value: Any, given: str | None) -> float | str:
    """Return one value as it was declared.

    Raises:
        BadInput: One line, as of `values_of`.
    """
    if isinstance(value, dict) and "no value" in value:
        raise BadInput(f"it returned {name} = {value['no value']}; expected {_expected(spec)}")
    if spec.unit is None:
        if not isinstance(value, str) or given is not None:
            raise BadInput(f"it returned {name} = {brief(value)}; expected a text")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise BadInput(f"it returned {name} = {'nothing' if value is None else brief(value)}; expected {_expected(spec)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise BadInput(f"it returned {name} = {value}, which is not finite; expected {_expected(spec)}")
    number = _in_unit(name, spec.unit, value, given)
    if spec.limit is not None and not spec.limit.low <= number <= spec.limit.high:
        raise BadInput(f"it returned {name} = {number:g} {spec.unit}; believed are {spec.limit.low:g} to {spec.limit.high:g} {spec.unit}")
    return number


def _in_unit(name: str, unit: str, value: float | str, given: str | None) -> float:
    try:
        if given is None or isinstance(value, str):
            return parse(value, unit, what=name)
        if not given.strip() and unit not in ("", "1"):
            raise BadInput(f"{value:g} came with an empty unit")
        return convert(float(value), given, unit)
    except BadInput as error:
        shown = brief(value) if given is None else f"{brief(value)} in {given!r}"
        raise BadInput(f"it returned {name} = {shown}; expected a number in {unit or '1'} ({error})") from error


def _expected(spec: ReturnSpec) -> str:
    return "a text" if spec.unit is None else f"a number in {spec.unit}" if spec.unit else "a number"
