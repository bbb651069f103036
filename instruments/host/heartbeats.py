"""Heartbeats that the host has seen, and its own, by which its next life tells how long nobody looked after the bench."""

import math
import os
import threading
import time
from pathlib import Path
from typing import Final

from orchestrator.clock import Clock

SUPERVISOR_SILENCE: Final = 10.0
"""Wall seconds without the supervisor's question after which the host takes no new run and feeds no watchdog."""
_BEAT: Final = 0.2
"""Wall seconds between the host's own heartbeats at least."""


class Heartbeats:
    """In wall seconds on the monotonic clock: when supervisor and campaign were last heard, and when the bench last had work."""

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


class LastLifeTime:
    """The file that tells the next life of the host when this one ended, in lab seconds.

    Not synced: it has to survive a kill, and after a power cut an older value only makes the gap look longer.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        """Read what the last life left; None when there was none."""
        self._clock = clock
        self._written = 0.0
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        text = os.pread(self._descriptor, 64, 0).decode("ascii", errors="replace")
        self.last = float(text) if text.strip() else None

    def beat(self) -> None:
        """Write the lab time, a few times a second at most."""
        if time.monotonic() - self._written >= _BEAT:
            self._written = time.monotonic()
            os.pwrite(self._descriptor, f"{self._clock.lab():032.6f}".encode(), 0)

    def gap(self) -> float:
        """Return the lab seconds since the last life; infinite when unknown or when the lab's clock was started anew."""
        now = self._clock.lab()
        return math.inf if self.last is None or now < self.last else now - self.last

    def close(self) -> None:
        """Release the file."""
        os.close(self._descriptor)
