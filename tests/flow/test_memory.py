"""What was freed between things that are still in use goes back to the system."""

import platform
from pathlib import Path

import pytest

from flows.running.malloc_trim import give_back

BLOCK, BLOCKS, KEPT = 40_000, 4_000, 50
"""Bytes of a block, how many there are, and every which one stays in use: 160 MB with holes."""


def resident() -> int:
    """Return what this process holds, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library cannot be asked")
def test_freed_memory_between_used_blocks_is_given_back() -> None:
    taken = [bytearray(BLOCK) for _ in range(BLOCKS)]
    kept = taken[::KEPT]
    full = resident()
    del taken
    give_back()
    assert full - resident() > BLOCK * BLOCKS / 2
    assert all(len(one) == BLOCK for one in kept)
