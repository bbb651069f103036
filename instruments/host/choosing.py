"""Which run the bench turns to next: one that goes on after a person's answer, else one that has not begun.

Runs that wait for people stand side by side. A run holds nothing until it uses its first instrument; from then on all that
its steps use is its own until it ends, also while it waits for a person: nobody else changes what it has set. What it
needs is taken at once, so that two runs never wait for each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from instruments.bench.file import BenchFile
from instruments.host.journal import Journal
from instruments.host.journal_records import JournalRun, instruments_of
from orchestrator.domain.lifecycle import RunStatus, StepKind, StepStatus
from orchestrator.domain.records import Step

_UNSET: Final = "made-safe:"
_NOT_BEGUN: Final = (StepStatus.PLANNED, StepStatus.SKIPPED)


@dataclass(frozen=True, slots=True)
class RunChoice:
    """Chooses among the runs of a journal."""

    journal: Journal
    bench: BenchFile

    def next(self, *, free: bool, latched: bool = False) -> JournalRun | None:
        """Return the run to turn to; of several the one that arrived first, and one that has begun before one that has not.

        Args:
            free: Whether instruments may be used now: the bench is not latched, nothing is unknown, somebody is there.
            latched: Whether the bench is latched: whatever has begun is ended.
        """
        begun = self.journal.runs(RunStatus.RUNNING)
        for run in begun:
            if latched or run.abort is not None or (self._is_due(run) and self._may_go(run, begun, free=free)):
                return run
        if not free:
            return None
        return next((run for run in self.journal.runs(RunStatus.DISPATCHED) if self._may_go(run, begun, free=True)), None)

    def _is_due(self, run: JournalRun) -> bool:
        return run.waiting is None or self.unset_since(run.run_key) is not None

    def _may_go(self, run: JournalRun, begun: Sequence[JournalRun], *, free: bool) -> bool:
        if not self.uses_next(run):
            return True
        return free and not any(self._own(run) & self.held(other) for other in begun if other.run_key != run.run_key)

    # ----------------------------------------------------------------- whose instruments are whose

    def held(self, run: JournalRun) -> frozenset[str]:
        """Return the instruments that are a run's own until its end: all that it uses, once it has used one."""
        own = self._own(run)
        has_begun = any(self._own_of(one.step) for one in run.steps if one.status not in _NOT_BEGUN)
        return own if has_begun else frozenset()

    def uses_next(self, run: JournalRun) -> bool:
        """Whether a run uses instruments before it asks a person again or ends: planned ones, or its settings to be made again."""
        left = (one.step for one in run.steps if one.status is StepStatus.PLANNED)
        coming = takewhile(lambda step: step.kind is not StepKind.PERSON, left)
        return self.unset_since(run.run_key) is not None or any(instruments_of(step) for step in coming)

    def _own(self, run: JournalRun) -> frozenset[str]:
        return frozenset(name for one in run.steps for name in self._own_of(one.step))

    def _own_of(self, step: Step) -> frozenset[str]:
        """Return the instruments of a step but for those that keep no state: several runs use these by turns."""
        return frozenset(name for name in instruments_of(step) if self.bench.driver(name).HAS_STATE)

    @property
    def in_use(self) -> bool:
        """Whether a run waits for the bench, or has it; one that waits for a person and holds nothing does neither."""
        open_runs = self.journal.runs(RunStatus.DISPATCHED, RunStatus.RUNNING, RunStatus.UNKNOWN)
        return any(run.waiting is None or self.held(run) for run in open_runs)

    # ----------------------------------------------------------------- settings that are gone

    def unset(self, lab: float) -> None:
        """Remember of each run that waits and holds instruments that the bench is made safe under it, and when."""
        for run in self.journal.runs(RunStatus.RUNNING):
            if run.waiting is not None and self.held(run) and self.unset_since(run.run_key) is None:
                self.journal.set_meta(f"{_UNSET}{run.run_key}", repr(lab))

    def unset_since(self, run_key: str) -> float | None:
        """Return since which lab second a run's settings are gone; None where they stand."""
        text = self.journal.meta(f"{_UNSET}{run_key}")
        return None if text is None else float(text)

    def forget_unset(self, run_key: str) -> None:
        """Note that a run's settings were made again, or that it has ended."""
        if self.unset_since(run_key) is not None:
            self.journal.set_meta(f"{_UNSET}{run_key}", None)
