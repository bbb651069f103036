"""How events of earlier schema versions read today; sealed events are never rewritten."""

from collections.abc import Callable, Mapping
from typing import Any, Final

Payload = dict[str, Any]
Upcast = Callable[[Payload], Payload]
ANY: Final = "*"
"""Stands for every kind of event: documents of a table come in events of many kinds."""
_PLACEHOLDER: Final = (0.0, None, "cdse-emission/1", 1)
"""Value, uncertainty, reduction and revision that were written where nothing could be reduced.

What that reduction did measure always had an uncertainty, and what a person typed has a later revision; the other reduction
of that time wrote no placeholders. So a zero that was measured or typed stays a zero.
"""


def absent(document: Payload) -> Payload:
    """Return a measurement's document of schema version 1 with null where nothing had been measured."""
    found = tuple(document.get(name) for name in ("value", "uncertainty", "reduction", "revision"))
    return {**document, "value": None} if found == _PLACEHOLDER and document.get("status") != "accepted" else document


def _without_placeholders(payload: Payload) -> Payload:
    documents = payload.get("documents", {})
    if "measurements" not in documents:
        return payload
    return {**payload, "documents": {**documents, "measurements": [absent(one) for one in documents["measurements"]]}}


UPCASTS: Final[Mapping[tuple[str, int], Upcast]] = {(ANY, 1): _without_placeholders}
"""(kind, schema version) -> how its payload reads in the next version; a kind without an entry has not changed."""
