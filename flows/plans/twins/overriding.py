"""Constants of a twin that a file knows better than its declaration."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from instruments.bench.twin_spec import ConstantKeys
from orchestrator.errors import BadInput
from orchestrator.units import parse
from simulators.twins.declaration import Constant, Twin


def with_constants(twin: Twin, changed: Mapping[str, ConstantKeys], *, what: str) -> Twin:
    """Return a twin with what a file says of its constants.

    Args:
        twin: As declared.
        changed: Name -> what the file says of it.
        what: What a message calls the file.

    Raises:
        BadInput: It has no such constant, or the value does not convert or lies outside its bounds.
    """
    declared = {one.name: one for one in twin.constants}
    try:
        return twin.with_constants({name: _changed(declared.get(name), name, keys) for name, keys in changed.items()})
    except BadInput as error:
        raise BadInput(f"{what}: {error}") from error


def _changed(declared: Constant | None, name: str, keys: ConstantKeys) -> Constant:
    if declared is None:
        return Constant(name, "", 1.0, calibratable=False)  # refused by the twin, which says what it has
    numbers = {"value": keys.value, "low": keys.min, "high": keys.max}
    found: dict[str, Any] = {key: parse(raw, declared.unit, what=f"constant {name}") for key, raw in numbers.items() if raw is not None}
    return replace(
        declared,
        **found,
        sd=declared.sd if keys.sd is None else keys.sd,
        prior=keys.prior or declared.prior,
        calibratable=declared.calibratable if keys.calibratable is None else keys.calibratable,
    )
