"""What goes over a wire, for people who look on: the thread that owns a link writes it down while somebody listens.

Transports tell it; nothing is kept while nobody listens, so that drivers, those of plug-ins too, need not know of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what came back."""

    sent: bytes | str
    """The bytes of a line; of nodes, what was asked in words."""
    got: bytes | str
    """All bytes that came; empty where none did, or none were awaited. Of a node its value, status and source time."""


_LISTENING: ContextVar[list[Exchange] | None] = ContextVar("listening", default=None)


@contextmanager
def overheard() -> Iterator[list[Exchange]]:
    """Give a list that fills with what this thread exchanges over any link."""
    log: list[Exchange] = []
    token = _LISTENING.set(log)
    try:
        yield log
    finally:
        _LISTENING.reset(token)


def tell(sent: bytes | str, got: bytes | str) -> None:
    """Write an exchange down where somebody listens."""
    log = _LISTENING.get()
    if log is not None:
        log.append(Exchange(sent, got))
