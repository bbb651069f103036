"""What an export is made from: a campaign's tables in the ledger, and the events that say when each row became what it is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final

from flows.report.experiments import Experiment, experiments_of, imported_of
from orchestrator.domain.objective import Objective
from orchestrator.domain.records import CampaignRecord, ExperimentRun, Reading
from orchestrator.domain.space import SearchSpace
from orchestrator.ports import Changes, StoredEvent

_SLACK: Final = timedelta(minutes=1)
"""How far the clocks of two machines may be apart before a moment that one of them noted counts as lost."""
Told = tuple[StoredEvent, Mapping[str, Any]]
"""An event, and the document of a row that it wrote."""


@dataclass(frozen=True)
class Source:
    """All that is known of one campaign."""

    changes: Changes
    """Everything since sequence number 0."""
    space: SearchSpace
    objective: Objective
    events: tuple[StoredEvent, ...]
    """Of the campaign."""
    head: tuple[int, str]
    """Sequence number and hash of the ledger's last event."""
    readings: Callable[[str], tuple[Reading, ...]] = lambda _: ()
    """Run key -> stored raw readings."""
    simulated: bool = False
    """Whether devices and clock were simulated."""

    @property
    def campaign(self) -> CampaignRecord:
        """The campaign's record."""
        return self.changes.campaign

    @cached_property
    def experiments(self) -> tuple[Experiment, ...]:
        """Attempts, proposals and results gathered."""
        return experiments_of(self.changes, self.objective, self.space)

    @cached_property
    def imported(self) -> tuple[Experiment, ...]:
        """Experiments that were done elsewhere."""
        return imported_of(self.changes, self.objective, self.space)

    @cached_property
    def runs(self) -> Mapping[str, ExperimentRun]:
        """All attempts by run key."""
        return {run.run_key: run for run in self.changes.runs}

    @cached_property
    def _told(self) -> dict[tuple[str, str], list[Told]]:
        """What events said of each row, by table and the row's name."""
        found: dict[tuple[str, str], list[Told]] = {}
        for event in self.events:
            for table, documents in event.payload.get("documents", {}).items():
                for document in documents:
                    if table in _NAMES:
                        found.setdefault((table, _name(document, _NAMES[table])), []).append((event, document))
        return found

    def told(self, table: str, *key: str | int) -> Sequence[Told]:
        """Return what the events said of one row, in order: (proposal_id, revision), run_key, answer_id, ..."""
        return self._told.get((table, "/".join(map(str, key))), ())

    @property
    def rate(self) -> float:
        """Lab seconds per wall second; 1 in a live lab."""
        return float(self.campaign.snapshot.get("rate", 1.0))

    def wall_of(self, run: ExperimentRun, lab: float | None) -> datetime | None:
        """Return the wall time of a moment that a run has in lab seconds alone.

        It is reckoned from the run's event that is nearest to it, at the rate of the lab's clock.

        Returns:
            None where nothing is known, or where it would lie outside of what the ledger saw of the run: a plant that was
            started anew begins to count lab seconds anew.
        """
        told = self.told("runs", run.run_key)
        if lab is None or not told:
            return None
        nearest = min((event for event, _ in told), key=lambda event: abs(event.lab - lab))
        try:
            found = wall(nearest) + timedelta(seconds=(lab - nearest.lab) / self.rate)
        except OverflowError:
            return None
        return found if wall(told[0][0]) - _SLACK <= found <= wall(told[-1][0]) + _SLACK else None


_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "proposals": ("proposal_id", "revision"),
    "runs": ("run_key",),
    "measurements": ("run_key", "target", "replicate", "revision"),
    "answers": ("answer_id",),
    "work_answers": ("answer_id",),
    "restrictions": ("restriction_id",),
}
"""What names a row of a table."""


def _name(document: Mapping[str, Any], fields: Sequence[str]) -> str:
    return "/".join(str(document[field]) for field in fields)


def wall(event: StoredEvent) -> datetime:
    """Return an event's wall time."""
    return datetime.fromisoformat(event.wall)


def when(name: str, told: Sequence[Told], *, at: int = 0) -> dict[str, Any]:
    """Return the two cells of a moment: when the row was written first, or at another place among its events."""
    return {name: wall(told[at][0]), f"{name}_lab": told[at][0].lab} if told else {}
