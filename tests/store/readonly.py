"""Folders that may only be read: by a read-only mount, which binds root too, and for a user who has no right to write."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

NOBODY = 65534


@contextmanager
def mounted(folder: Path) -> Iterator[None]:
    """Let a folder be a read-only disk."""
    for options in (["--bind", str(folder), str(folder)], ["-o", "remount,bind,ro", str(folder)]):
        done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
        if done.returncode:
            subprocess.run(["umount", str(folder)], capture_output=True, check=False)
            pytest.skip(f"no read-only mount here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def forbidden(folder: Path) -> Iterator[None]:
    """Be a user who may read a folder and no more; root stops being root, for whom permissions mean nothing."""
    was = os.geteuid()
    folder.chmod(0o555)
    try:
        if was == 0:
            os.seteuid(NOBODY)
        yield
    finally:
        os.seteuid(was)
        folder.chmod(0o755)


READ_ONLY: list[Callable[[Path], AbstractContextManager[None]]] = [mounted, forbidden]
