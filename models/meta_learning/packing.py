"""Nested values as one flat dict of tensors and JSON strings, with a hash over their content.

A file's own bytes do not serve as identity: the same dict saved under two names differs. The hash runs over sorted
names, types, shapes and bytes.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from torch import Tensor

from orchestrator.domain.values import canonical

TENSOR: Final = "$tensor"
"""Key of a JSON object that stands for a tensor: its value is the tensor's name."""
_NUMBER: Final = "$number"
"""Key of a JSON object that stands for an infinity or not-a-number, which JSON lacks."""

Flat = dict[str, Tensor | str]
_T = TypeVar("_T")


def pack(name: str, value: Any) -> Flat:
    """Flatten a value of dicts with text keys, sequences, tensors, numbers and text.

    Returns:
        The value's JSON text under `name`, and its tensors under names that begin with it.

    Raises:
        TypeError: A part that cannot be kept.
    """
    tensors: dict[str, Tensor] = {}
    text = canonical(_outline(name, value, tensors))
    return {name: text, **tensors}


def _outline(path: str, value: Any, tensors: dict[str, Tensor]) -> Any:
    match value:
        case Tensor():
            tensors[path] = value.detach().cpu().contiguous().clone()
            return {TENSOR: path}
        case float() if not math.isfinite(value):
            return {_NUMBER: repr(value)}
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            return {_text(path, key): _outline(f"{path}/{key}", part, tensors) for key, part in value.items()}
        case list() | tuple():
            return [_outline(f"{path}/{index}", part, tensors) for index, part in enumerate(value)]
    raise TypeError(f"{path}: a {type(value).__name__} cannot be kept in a prior")


def _text(path: str, key: object) -> str:
    if not isinstance(key, str) or key in (TENSOR, _NUMBER):
        raise TypeError(f"{path}: {key!r} is no legal key; expected text")
    return key


def unpack(name: str, flat: Mapping[str, Tensor | str]) -> Any:
    """Restore a value; sequences come back as lists.

    Raises:
        KeyError: A tensor is missing.
        ValueError: The text is not JSON.
        TypeError: A tensor stands where a text belongs.
    """
    return _restore(json.loads(_of_type(flat[name], str)), flat)


def _restore(value: Any, flat: Mapping[str, Tensor | str]) -> Any:
    if isinstance(value, list):
        return [_restore(part, flat) for part in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {TENSOR}:
        return _of_type(flat[value[TENSOR]], Tensor)
    if set(value) == {_NUMBER}:
        return float(value[_NUMBER])
    return {key: _restore(part, flat) for key, part in value.items()}


def _of_type(value: object, wanted: type[_T]) -> _T:
    if not isinstance(value, wanted):
        raise TypeError(f"a {type(value).__name__} stands where a {wanted.__name__} belongs")
    return value


def flat_hash(flat: Mapping[str, Tensor | str]) -> str:
    """Return the sha256 over sorted names, types, shapes and bytes."""
    total = hashlib.sha256()
    for name, value in sorted(flat.items()):
        kind, content = ("text", value.encode()) if isinstance(value, str) else (_kind(value), _bytes(value))
        total.update(f"{name}\0{kind}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def _kind(value: Tensor) -> str:
    return f"{value.dtype} {'x'.join(map(str, value.shape))}"


def _bytes(value: Tensor) -> bytes:
    array = value.detach().cpu().contiguous().numpy()
    return bytes(array.astype(array.dtype.newbyteorder("<")).tobytes())
