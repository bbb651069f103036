"""The lock of a functional unit, as DI's LockingServices describe it (OPC 10000-100, 7).

Held by an application, known by its ApplicationUri, until it gives it back, is silent for `longest` seconds or loses its
session. Others may look; what they would change is refused (Bad_Locked, 7.5). Stop and Abort stay open to everybody: 7.5 says
"should" of the refusals, and stopping never needs anybody's consent. Whoever may connect may break a lock, since this device
knows one right only.
"""

from simulators.opcua_sessions import NOBODY, Caller

DONE = 0
ALREADY_LOCKED = -1
"""E_AlreadyLocked of InitLock."""
NOT_LOCKED = -1
"""E_NotLocked of the other three."""


class UnitLock:
    """Who holds the unit, and until when (wall s)."""

    def __init__(self, longest: float) -> None:
        self.longest = longest
        self.holder = NOBODY
        self.context = ""
        self._lapses_at = 0.0

    def take(self, caller: Caller, context: str, now: float) -> int:
        """Lock for a caller's application, unless the unit is locked, be it by itself."""
        if self.is_held(now):
            return ALREADY_LOCKED
        self.holder, self.context, self._lapses_at = caller, context, now + self.longest
        return DONE

    def renew(self, now: float) -> int:
        """Start the time anew."""
        if not self.is_held(now):
            return NOT_LOCKED
        self._lapses_at = now + self.longest
        return DONE

    def give_back(self, now: float) -> int:
        """Unlock."""
        if not self.is_held(now):
            return NOT_LOCKED
        self._release()
        return DONE

    def session_ended(self, session: str) -> bool:
        """Unlock if it was the holder's session; say whether."""
        ended = self.holder is not NOBODY and self.holder.session == session
        if ended:
            self._release()
        return ended

    def is_held(self, now: float) -> bool:
        """Say whether anybody holds the lock; one that has lapsed is released."""
        if self.holder is not NOBODY and now >= self._lapses_at:
            self._release()
        return self.holder is not NOBODY

    def refuses(self, caller: Caller, now: float) -> bool:
        """Say whether another application than the caller's holds the lock."""
        return self.is_held(now) and caller.application_uri != self.holder.application_uri

    def remaining(self, now: float) -> float:
        """Get the time (s) after which the lock lapses; 0 when there is none."""
        return self._lapses_at - now if self.is_held(now) else 0.0

    def _release(self) -> None:
        self.holder, self.context = NOBODY, ""
