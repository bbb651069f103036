"""The small JSON files by which the processes of a lab find each other, and their names.

`lab.json` says which folder they belong to. In a copied lab they are the original's: there they say nothing, so that no
process, socket or wire of the original is stopped or steered from the copy. A lab that was moved is still itself.
"""

import json
import logging
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

logger = logging.getLogger(__name__)

LAB: Final = "lab.json"
HOST: Final = "host.json"
HOST_ERROR: Final = "host-error.json"
NOT_SAFE: Final = "NotSafe"
"""Kind of the host's error when it has left and could not make the bench safe."""
SUPERVISOR: Final = "supervisor.json"
LATCHED: Final = "latched.json"
STARTED: Final = "started.json"
PLANT: Final = "plant"
ENDPOINTS: Final = "endpoints.json"
STAND_INS: Final = "stand-ins.json"
"""What the plant makes stand-ins from, in its folder."""
TWIN: Final = "twin.json"
"""The twin that its tube runs, in its folder."""


def write_state_file(path: Path, document: Any) -> None:
    """Write a file that readers see whole or not at all, and that survives a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def record_exit_reason(path: Path, document: Any) -> None:
    """Write a note that tells why a process ends; on a full disk the log has to do."""
    try:
        write_state_file(path, document)
    except OSError as error:
        logger.error("%s could not be written: %s", path, error)


def read_state_file(path: Path) -> dict[str, Any]:
    """Read a file that `write_state_file` wrote; empty when there is none or it is no JSON object."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def folder_identity(folder: Path) -> dict[str, int]:
    """Return what a folder keeps when it is moved within its file system, and a copy of it does not have."""
    state = folder.stat()
    return {"device": state.st_dev, "inode": state.st_ino}


def is_copy(lab: Path) -> bool:
    """Say whether a lab folder is a copy of the one in which its notes were written."""
    identity = read_state_file(lab / LAB)
    return any(identity.get(key, now) != now for key, now in folder_identity(lab).items()) if identity else False


def read_lab_state(lab: Path, name: str) -> dict[str, Any]:
    """Read a note of a lab's own processes; empty when there is none, or when it is another lab's."""
    return {} if is_copy(lab) else read_state_file(lab / name)


def write_latch(lab: Path, *, reason: str, by: str, lines: Sequence[str] = (), key: str | None = None, again: bool = False) -> None:
    """Leave a bench latched; the first reason stays. A full disk is logged: the safe state was driven already.

    Args:
        lab: The lab folder.
        reason: Why.
        by: Who.
        lines: What became of each safe action.
        key: Names this entering of the safe state where people are told of it; the next host takes it over.
        again: Whether it stands in the place of what the same caller has written before.
    """
    if (lab / LATCHED).exists() and not again:
        return
    note = {"reason": reason, "by": by, "wall": datetime.now(UTC).isoformat(), "safe_state": list(lines), **({"key": key} if key else {})}
    try:
        write_state_file(lab / LATCHED, note)
    except OSError:
        logger.exception("bench could not be latched (%s)", reason)
