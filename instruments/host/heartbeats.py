"""Signs of life that the host has seen, in wall seconds on the monotonic clock."""

import threading
import time
from typing import Final

SUPERVISOR_SILENCE: Final = 10.0
"""Wall seconds without the supervisor's question after which the host takes no new run and feeds no watchdog."""


class Pulse:
    """When supervisor and campaign were last heard, and when the bench last had work."""

    def __init__(self) -> None:
        """Count from now: whoever started the host was alive then."""
        now = time.monotonic()
        self._lock = threading.Lock()
        self._supervisor = now
        self._campaign = now
        self._work = now

    def supervisor_asked(self) -> None:
        """The supervisor asked whether we are alive."""
        with self._lock:
            self._supervisor = time.monotonic()

    def campaign_heard(self) -> None:
        """A campaign process with a current fencing number was heard."""
        with self._lock:
            self._campaign = time.monotonic()

    def worked(self) -> None:
        """A run arrived, goes on or has ended."""
        with self._lock:
            self._work = time.monotonic()

    @property
    def supervisor_silence(self) -> float:
        """Wall seconds since the supervisor's last question."""
        return time.monotonic() - self._supervisor

    @property
    def supervised(self) -> bool:
        """Whether the supervisor asked lately."""
        return self.supervisor_silence <= SUPERVISOR_SILENCE

    @property
    def campaign_silence(self) -> float:
        """Wall seconds since a campaign's last heartbeat."""
        return time.monotonic() - self._campaign

    @property
    def silence(self) -> float:
        """Wall seconds since the later of the last heartbeat and the last work."""
        return time.monotonic() - max(self._campaign, self._work)
