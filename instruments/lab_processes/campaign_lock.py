"""One campaign process per lab: its lock, and the sign of life by which a later process can tell whether it goes on."""

import os
import threading
import time
from pathlib import Path
from typing import Final

from typing_extensions import override

from instruments.lab_processes.locks import SILENT_AFTER, FileLock, HeldLock, read_holder, take_over
from instruments.lab_processes.process_identity import Process

_SIGN_SECONDS: Final = 1.0
_CAMPAIGN: Final = "campaign "
"""Stands before the campaign's name in what the holder of the lock is called."""


class LifeSign:
    """A thread that shows that its process gets time to run: it writes the monotonic clock into a file each second."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="life-sign", daemon=True)

    def start(self) -> None:
        """Write the first beat and go on with it."""
        self._path.write_text(_beat(), encoding="ascii")
        self._thread.start()

    def _run(self) -> None:
        with self._path.open("r+b", buffering=0) as file:
            while not self._ended.wait(_SIGN_SECONDS):
                os.pwrite(file.fileno(), _beat().encode(), 0)  # fixed width: never read half written

    def stop(self) -> None:
        """End the thread; may be repeated."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()


def _beat() -> str:
    return f"{time.monotonic():020.3f}"


class CampaignLock(HeldLock):
    """One campaign process per lab, with a sign of life by which a later one can tell whether it goes on."""

    def __init__(self, lab: Path, name: str, *, take_over: bool = False, silent_after: float = SILENT_AFTER) -> None:
        """Prepare.

        Args:
            lab: The lab folder.
            name: The campaign's name.
            take_over: Whether a suspended or silent holder is killed; a fresh one never is.
            silent_after: Wall seconds without a sign of life that count as silence.
        """
        self._lock = FileLock(lab / "campaign.lock", what=f"{_CAMPAIGN}{name}", lab=lab)
        self._sign_path = lab / "campaign.alive"
        self._take_over = take_over
        self._silent_after = silent_after
        self._sign: LifeSign | None = None
        self.displaced: str | None = None
        """One line about the process that was killed for it."""

    @override
    def acquire(self) -> None:
        """Take the lab. LockHeld has the holder's pid, start and age."""
        if self._take_over:
            self.displaced = take_over(self._lock, sign=self._sign_path, silent_after=self._silent_after)
        else:
            self._lock.acquire()
        self._sign = LifeSign(self._sign_path)
        self._sign.start()

    @override
    def release(self) -> None:
        """Give the lab back; may be repeated."""
        if self._sign is not None:
            self._sign.stop()
            self._sign = None
        self._lock.release()


def campaign_holder(lab: Path) -> Process | None:
    """Return the live campaign process of a lab, if there is one."""
    found = read_holder(lab / "campaign.lock")
    return found.process if found else None


def carried_campaign(lab: Path) -> str | None:
    """Return the name of the campaign that a live process of a lab carries, if there is one."""
    found = read_holder(lab / "campaign.lock")
    return found.what.removeprefix(_CAMPAIGN) if found else None
