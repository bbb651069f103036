"""What an idle bench rests in: as its last run left it, parked, or safe. Remembered in the journal, so that a kill loses nothing.

in use ──> parking ──> parked ──> warming ──> in use        a kill in "parking" or "warming" leaves just that record
   └──────────┴──────────┴───────────┴─────> safe ──> in use, when the next run begins
"""

import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal

from pydantic import TypeAdapter

from instruments.host.journal import Journal
from orchestrator.domain.identity import uuid7
from orchestrator.domain.records import Step

_KEY: Final = "rest"


@dataclass(frozen=True, slots=True)
class Parked:
    """A bench with its idle settings, or on the way there or back."""

    phase: Literal["parking", "parked", "warming"]
    wall: str
    """When parking began, UTC."""
    lab: float
    """The same in lab seconds."""
    before: tuple[Step, ...]
    """The settings that stood before, to be made again."""


@dataclass(frozen=True, slots=True)
class SafeState:
    """One entering of the safe state, until the next run begins."""

    key: str
    """Of this entering alone."""
    reason: str
    asked: bool
    """Whether it follows from what somebody asked for or is told of (a stop, a run's end), not from the host's own judgement."""
    wall: str
    """When it was entered, UTC."""


@dataclass(frozen=True, slots=True)
class _State:
    bench_sha256: str
    parked: Parked | None = None
    safe: SafeState | None = None


_STATE: Final = TypeAdapter(_State)


class IdleState:
    """Whether the bench is parked or safe; each change is one durable commit. Safe to use from several threads."""

    def __init__(self, journal: Journal, bench_sha256: str) -> None:
        """Take over what an earlier life left; settings of another bench file are forgotten."""
        self._journal = journal
        self._lock = threading.Lock()
        text = journal.meta(_KEY)
        state = _State(bench_sha256) if text is None else _STATE.validate_json(text)
        if state.bench_sha256 != bench_sha256:
            if state.parked is not None:
                journal.note("parking forgotten", {"reason": "the bench file has changed"})
            state = replace(state, bench_sha256=bench_sha256, parked=None)
        self._state = state

    @property
    def parked(self) -> Parked | None:
        """The idle settings, or the way there or back; None while there are none."""
        return self._state.parked

    @property
    def is_parked(self) -> bool:
        """Whether all idle settings were made."""
        return self._state.parked is not None and self._state.parked.phase == "parked"

    @property
    def safe(self) -> SafeState | None:
        """How the safe state was entered; None since a run has begun."""
        return self._state.safe

    def document(self) -> dict[str, Any]:
        """Return everything as a JSON object."""
        found: dict[str, Any] = _STATE.dump_python(self._state, mode="json")
        return {"parked": found["parked"], "safe": found["safe"]}

    def begin_parking(self, before: tuple[Step, ...], *, lab: float) -> None:
        """Remember what stands, before the first idle setting goes out."""
        self._keep(replace(self._state, parked=Parked("parking", _now(), lab, before)))

    def advance(self, phase: Literal["parked", "warming"]) -> None:
        """Go on to the next phase; a bench that was made safe meanwhile stays so."""
        with self._lock:
            parked = self._state.parked
            if parked is not None:
                self._write(replace(self._state, parked=replace(parked, phase=phase)))

    def end_parking(self) -> None:
        """Forget the idle settings: what stood before stands again."""
        self._keep(replace(self._state, parked=None))

    def make_safe(self, reason: str, *, asked: bool, key: str | None = None) -> None:
        """Remember that the safe state was driven; the first reason stays, and nothing else stands.

        Args:
            reason: For people.
            asked: See `SafeState`.
            key: Of an entering that people were told of already; None for a new one.
        """
        with self._lock:
            if self._state.safe is None or self._state.parked is not None:
                safe = self._state.safe or SafeState(key or uuid7(), reason, asked, _now())
                self._write(replace(self._state, parked=None, safe=safe))

    def begin_run(self) -> None:
        """Note that the bench is in use."""
        if self._state.parked is not None or self._state.safe is not None:
            self._keep(_State(self._state.bench_sha256))

    def _keep(self, state: _State) -> None:
        with self._lock:
            self._write(state)

    def _write(self, state: _State) -> None:
        self._journal.set_meta(_KEY, _STATE.dump_json(state).decode())
        self._state = state


def _now() -> str:
    return datetime.now(UTC).isoformat()
