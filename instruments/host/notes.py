"""The small JSON files by which the processes of a lab find each other, and their names."""

import json
import logging
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

logger = logging.getLogger(__name__)

HOST: Final = "host.json"
HOST_ERROR: Final = "host-error.json"
SUPERVISOR: Final = "supervisor.json"
LATCHED: Final = "latched.json"
STARTED: Final = "started.json"
PLANT: Final = "plant"
ENDPOINTS: Final = "endpoints.json"


def write_note(path: Path, document: Any) -> None:
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


def leave_word(path: Path, document: Any) -> None:
    """Write a note that tells why a process ends; on a full disk the log has to do."""
    try:
        write_note(path, document)
    except OSError as error:
        logger.error("%s could not be written: %s", path, error)


def read_note(path: Path) -> dict[str, Any]:
    """Read a file that `write_note` wrote; empty when there is none or it is no JSON object."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def write_latch(lab: Path, *, reason: str, by: str, lines: Sequence[str] = (), key: str | None = None) -> None:
    """Leave a bench latched; the first reason stays. A full disk is logged: the safe state was driven already.

    Args:
        lab: The lab folder.
        reason: Why.
        by: Who.
        lines: What became of each safe action.
        key: Names this entering of the safe state where people are told of it; the next host takes it over.
    """
    if (lab / LATCHED).exists():
        return
    note = {"reason": reason, "by": by, "wall": datetime.now(UTC).isoformat(), "safe_state": list(lines), **({"key": key} if key else {})}
    try:
        write_note(lab / LATCHED, note)
    except OSError:
        logger.exception("bench could not be latched (%s)", reason)
