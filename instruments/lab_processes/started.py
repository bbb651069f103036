"""What commands of a lab have started, which lab that is, and that they come one after the other.

`LAB/started.json` says what was started, so that the next command inherits it after a kill, and ends that and nothing else.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from instruments.lab_processes.bench_copies import LAST_COPY
from instruments.lab_processes.locks import FileLock
from instruments.lab_processes.process_identity import Process, reap
from instruments.lab_processes.state_files import (
    ENDPOINTS,
    HOST,
    HOST_ERROR,
    LAB,
    PLANT,
    STARTED,
    SUPERVISOR,
    folder_identity,
    is_copy,
    read_lab_state,
    read_state_file,
    write_state_file,
)
from orchestrator.domain.identity import uuid7
from orchestrator.errors import Fault

logger = logging.getLogger(__name__)

START_SECONDS: Final = 60.0
"""Wall seconds for a bench or a plant to come up on a busy machine; the supervisor gives up long before."""
START_POLL_SECONDS: Final = 0.05
PLANT_SECONDS: Final = 15.0
"""Wall seconds that a plant, or what has just been started, may take to end."""
_STARTER_PATIENCE: Final = 2 * START_SECONDS
_START_LOCK: Final = "start.lock"


@contextmanager
def starting(lab: Path) -> Iterator[None]:
    """Wait until no other command of the lab starts or ends anything, and keep the next one waiting."""
    lock = FileLock(lab / _START_LOCK, what="a starting command", lab=lab, named=False)
    lock.acquire(patience=_STARTER_PATIENCE)
    try:
        yield
    finally:
        lock.release()


def make_own(lab: Path, kind: str, *, identity: str | None = None, notes: Mapping[str, str] | None = None) -> None:
    """Note which folder a lab is; a copied one becomes a lab of its own, in which nothing was started yet.

    Args:
        lab: The lab folder.
        kind: Live or dry; what stands there already stays.
        identity: Identifier of a lab that is made; drawn where none is given.
        notes: What else is noted of a lab that is made; what stands there already stays.
    """
    if _knows_itself(lab):
        return
    with starting(lab):
        if _knows_itself(lab):  # another command was faster
            return
        if is_copy(lab):
            _forget_original(lab)
        known = {"kind": kind, **(notes or {}), **read_state_file(lab / LAB)}
        write_state_file(lab / LAB, {**known, "id": identity or uuid7(), **folder_identity(lab)})


def _knows_itself(lab: Path) -> bool:
    return not is_copy(lab) and "id" in read_state_file(lab / LAB)


def _forget_original(lab: Path) -> None:
    for name in (HOST, HOST_ERROR, SUPERVISOR, STARTED, LAST_COPY, f"{PLANT}/{ENDPOINTS}"):
        (lab / name).unlink(missing_ok=True)
    for lock in set(lab.glob("*.lock")) - {lab / _START_LOCK}:
        os.truncate(lock, 0)  # the holder's name that stands in it is not of this file's holder


def remember_or_end(lab: Path, process: Process, **entries: Any) -> None:
    """Note what was started; what no later command could find is ended at once."""
    try:
        _remember(lab, **entries)
    except OSError as error:
        process.terminate(PLANT_SECONDS)
        reap(process.pid)
        raise Fault(f"{lab / STARTED} cannot be written: {error.strerror}") from error


def _remember(lab: Path, **entries: Any) -> None:
    merged = {**read_lab_state(lab, STARTED), **entries}
    write_state_file(lab / STARTED, {name: entry for name, entry in merged.items() if entry is not None})


def forget_started(lab: Path, *names: str) -> None:
    """Strike out what has ended; on a full disk the dead process's name stands there and means nothing."""
    try:
        _remember(lab, **dict.fromkeys(names))
    except OSError as error:
        logger.error("%s cannot be written: %s", lab / STARTED, error)
