"""Identifiers: some sort by the time they were made, some follow from what they name."""

import hashlib
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


def uuid8(namespace: UUID, name: str) -> str:
    """Make a UUID of version 8 from a name: the same for the same name, as RFC 9562, appendix B.2 has it with SHA-256.

    The first 128 bits of the hash over the namespace's bytes and the name's UTF-8, with version and variant put in.
    """
    value = int.from_bytes(hashlib.sha256(namespace.bytes + name.encode()).digest()[:16], "big")
    value = value & ~(0xF << 76) | 0x8 << 76
    return str(UUID(int=value & ~(0x3 << 62) | 0x2 << 62))


def uuid7() -> str:
    """Make a UUID of version 7 (RFC 9562, 6.2, method 1): 48 bits of Unix milliseconds, a 12-bit counter, 62 random bits.

    Those of one process sort in the order in which they were made: runs that one answer approves are carried out in the
    order in which they were asked about.
    """
    ticks = _TICKS.next()
    value = (ticks >> 12 & (1 << 48) - 1) << 80 | 0x7 << 76 | (ticks & 0xFFF) << 64 | 0x2 << 62 | secrets.randbits(62)
    return str(UUID(int=value))
