"""Identifiers that sort by the time they were made."""

import secrets
import threading
import time
from uuid import UUID


class _Ticks:
    """Unix milliseconds with a counter of 12 bits: grows with each call, whatever the machine's clock does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> int:
        with self._lock:
            self._last = max(time.time_ns() // 1_000_000 << 12, self._last + 1)
            return self._last


_TICKS = _Ticks()


def uuid7() -> str:
    """Make a UUID of version 7 (RFC 9562, 6.2, method 1): 48 bits of Unix milliseconds, a 12-bit counter, 62 random bits.

    Those of one process sort in the order in which they were made: runs that one answer approves are carried out in the
    order in which they were asked about.
    """
    ticks = _TICKS.next()
    value = (ticks >> 12 & (1 << 48) - 1) << 80 | 0x7 << 76 | (ticks & 0xFFF) << 64 | 0x2 << 62 | secrets.randbits(62)
    return str(UUID(int=value))
