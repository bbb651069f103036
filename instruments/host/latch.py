"""The latch: after a stop nothing is executed until a person with a name and a reason says so.

`LAB/latched.json` decides, since the supervisor latches and `athanor resume` unlatches also while no host lives; the
journal follows it. Latching writes the file first and unlatching removes it last, so that a kill in between leaves the
bench latched.
"""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from instruments.host.journal import Journal
from instruments.lab_processes.state_files import LATCHED, read_state_file, write_state_file

logger = logging.getLogger(__name__)

_KEY: Final = "latched"


class Latch:
    """Whether the bench is latched, and why."""

    def __init__(self, lab: Path, journal: Journal) -> None:
        """Take over what the file says, also when it changed while no host lived."""
        self._path = lab / LATCHED
        self._journal = journal
        self._state: dict[str, Any] | None = None
        if self._path.exists():
            self._remember(read_state_file(self._path) or {"reason": "latched", "by": "unknown"})
        elif journal.meta(_KEY) is not None:
            journal.note("unlatched", {"while": "no host lived", "was": json.loads(journal.meta(_KEY) or "{}")})
            journal.set_meta(_KEY, None)

    def _remember(self, state: dict[str, Any]) -> None:
        self._state = state
        if self._journal.meta(_KEY) is None:
            self._journal.note("latched", state)
        self._journal.set_meta(_KEY, json.dumps(state))

    @property
    def state(self) -> dict[str, Any] | None:
        """Reason, by whom and since when; None while the bench is free."""
        return self._state

    @property
    def reason(self) -> str:
        """One line for the runs that end by it."""
        state = self._state or {}
        return f"bench latched by {state.get('by')}: {state.get('reason')}"

    def set(self, *, reason: str, by: str) -> None:
        """Latch; the first reason stays."""
        if self._state is None:
            state = {"reason": reason, "by": by, "wall": datetime.now(UTC).isoformat()}
            self._state = state  # nothing new begins, even when the disk is full
            write_state_file(self._path, state)
            self._remember(state)
            logger.warning("latched by %s: %s", by, reason)

    def clear(self, *, reason: str, by: str) -> None:
        """Unlatch; may be repeated."""
        self._journal.note("unlatched", {"reason": reason, "by": by, "was": self._state})
        self._journal.set_meta(_KEY, None)
        self._path.unlink(missing_ok=True)
        self._state = None
        logger.warning("unlatched by %s: %s", by, reason)
