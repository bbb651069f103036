"""The base of all frozen domain values."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.errors import BadInput
from orchestrator.numerals import misreading

Configuration = Mapping[str, float | str]
"""A value for every column of a search space: parameter name, or `composition.component`; floats in declared units."""


class Frozen(BaseModel):
    """A value that checks itself when made and never changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def evolve(self, **changes: Any) -> Self:
        """Copy with changes, checked like a new one."""
        return type(self).model_validate({**self.model_dump(), **changes})


def canonical(document: Any) -> str:
    """Write a JSON document in its one canonical form: sorted keys, no spaces, shortest floats."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(document: Any) -> str:
    """Return the sha256 of a document's canonical form."""
    return hashlib.sha256(canonical(document).encode()).hexdigest()


def explain(error: ValidationError, *, what: str, legal: Mapping[tuple[str, ...], tuple[str, ...]] | None = None) -> BadInput:
    """Turn pydantic's first complaint into one clear line.

    Args:
        error: What pydantic raised.
        what: The file or the thing that was read.
        legal: Legal keys by location of an unknown key's parent; `*` stands for any name in it.
    """
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "(top)"
    if first["type"] == "extra_forbidden":
        parent = tuple(str(part) for part in first["loc"][:-1] if not isinstance(part, int))
        keys = next((keys for place, keys in (legal or {}).items() if _is_at(place, parent)), ())
        hint = f"; legal here: {', '.join(keys)}" if keys else ""
        return BadInput(f"{what}: unknown key {where}{hint}")
    if first["type"] == "missing":
        return BadInput(f"{what}: {where} is missing")
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] in ("float_type", "int_type") and isinstance(first["input"], str):
        message += misreading(first["input"])
    if first["type"] != "value_error":
        return BadInput(f"{what}: {where} = {first['input']!r}: {message}")
    return BadInput(f"{what}: {where}: {message}" if first["loc"] else f"{what}: {message}")


def _is_at(place: tuple[str, ...], parent: tuple[str, ...]) -> bool:
    return len(place) == len(parent) and all(want in ("*", found) for want, found in zip(place, parent, strict=True))
