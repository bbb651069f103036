"""Whether a lab folder can hold what a start writes: asked before anything is written or started, so that nothing is left half made."""

import os
from pathlib import Path
from typing import Final

from orchestrator.errors import BadInput, Fault

ROOM: Final = 10 * 2**20
"""Bytes: ledger and journal each keep a write-ahead log of 1000 pages of 4 kB before it is folded in (SQLite's
`wal_autocheckpoint`, https://sqlite.org/pragma.html), and a first experiment adds 0.7 MB of files beside them."""
FILES: Final = 64
"""Inodes: about 40 files and folders are made until a first experiment has ended, not counting Prefect's."""


def check_room(folder: Path) -> None:
    """Refuse a lab folder that cannot be made, cannot be written to, or lies on a full disk.

    Raises:
        BadInput: It is no folder, or may not be written to.
        Fault: The disk is full.
    """
    place = _standing(folder)
    if not place.is_dir():
        raise BadInput(f"lab folder {folder} cannot be made: {place} is a file")
    if not os.access(place, os.W_OK | os.X_OK):
        raise BadInput(f"lab folder {folder} cannot be written to: {place} is read-only, or belongs to another user")
    disk = os.statvfs(place)
    if (left := disk.f_bavail * disk.f_frsize) < ROOM:
        raise Fault(f"the disk of lab folder {folder} is full: {left / 1000:.0f} kB are left, a start needs {ROOM / 1000:.0f} kB")
    if disk.f_files and disk.f_favail < FILES:  # a file system that counts none makes them as it needs them
        raise Fault(f"the disk of lab folder {folder} is full: it takes {disk.f_favail} more files, a start needs {FILES}")


def _standing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    try:
        return next(one for one in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(one))
    except OSError as error:
        raise BadInput(f"lab folder {folder} cannot be looked at: {error.strerror}") from error
