"""What a report shows, assembled from the ledger's tables: pure, and complete enough to be drawn without the Store."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import fsum
from typing import Final

from flows.report.experiments import CampaignProgress, Experiment, experiments_of, imported_of, newest_measurements
from flows.report.prior import PriorStory
from flows.report.spectra import Spectrum, spectra_of
from flows.report.values import ValueStory, value_stories
from orchestrator.domain.objective import Objective
from orchestrator.domain.records import CampaignRecord, ExperimentRun, Measurement, Proposal, Reading, covered
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.stop import Advice
from orchestrator.domain.work import WorkAnswer
from orchestrator.ports import Changes, StoredEvent

BEST_SPECTRA: Final = 3
"""Experiments whose spectra are drawn: more curves in one figure can no longer be told apart."""
ReadingSource = Callable[[str], tuple[Reading, ...]]
"""Run key -> stored raw readings."""


@dataclass(frozen=True, slots=True)
class WorkPeriod:
    """When the work was done, and how fast lab time passed."""

    started: datetime | None = None
    """Earliest event, wall time."""
    ended: datetime | None = None
    """Latest event, wall time."""
    rate: float = 1.0
    """Lab seconds per wall second; 1 in a live lab."""

    @property
    def seconds(self) -> float | None:
        """Wall seconds from the earliest to the latest event; None where they are not known."""
        if self.started is None or self.ended is None:
            return None
        return (self.ended - self.started).total_seconds()


def process_of(events: Iterable[StoredEvent], *, rate: float = 1.0) -> WorkPeriod:
    """Take the earliest and the latest time of a campaign's events; a clock that was set back makes no negative duration.

    Args:
        events: Of one campaign.
        rate: Lab seconds per wall second.
    """
    walls = [datetime.fromisoformat(event.wall) for event in events]
    return WorkPeriod(min(walls), max(walls), rate) if walls else WorkPeriod(rate=rate)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a report says of a campaign beside its ledger tables."""

    bench: str
    """Name of the bench, or of the recorded table."""
    simulated: bool
    """Whether devices and clock were simulated."""
    head: tuple[int, str]
    """Sequence number and hash of the ledger's last event."""
    made: datetime
    """When the report is made."""
    budget: int | None = None
    """Experiments that the campaign may carry out; None where there is no limit."""
    process: WorkPeriod = field(default_factory=WorkPeriod)
    notes: Mapping[str, str] = field(default_factory=dict)
    """Further facts to print, label -> text, such as the prior and where it came from."""


@dataclass(frozen=True, slots=True)
class ReportData(CampaignProgress):
    """Everything that a report shows."""

    campaign: CampaignRecord
    space: SearchSpace
    circumstances: Circumstances
    proposals: tuple[Proposal, ...] = ()
    """All revisions, in the order of their numbers."""
    measurements: tuple[Measurement, ...] = ()
    """The newest revision of each."""
    stories: tuple[ValueStory, ...] = ()
    """Of the values that people told or changed."""
    spectra: tuple[Spectrum, ...] = ()
    prior: PriorStory | None = None
    """What the prior brought; None for a campaign without one."""
    work: tuple[WorkAnswer, ...] = ()
    """What people answered to steps that waited for them."""
    advices: tuple[Advice, ...] = ()
    """What was said of further experiments, in the order in which it was said."""

    @property
    def model_seconds(self) -> float:
        """Wall seconds spent on computing proposals, each batch once."""
        batches = {one.provenance.batch: one.provenance.seconds for one in self.proposals}
        return fsum(batches.values())

    @property
    def bench_seconds(self) -> float:
        """Wall seconds during which at least one attempt was on the bench and waited for nobody."""
        return self._wall_covered(span for run in self._attempts for span in run.active_lab)

    @property
    def people_seconds(self) -> float:
        """Wall seconds during which at least one attempt waited for a person, and the bench did nothing else."""
        either = (span for run in self._attempts for span in (*run.active_lab, *run.with_people))
        return self._wall_covered(either) - self.bench_seconds

    @property
    def _attempts(self) -> Iterator[ExperimentRun]:
        return (run for one in self.experiments for run in one.attempts)

    def _wall_covered(self, spans: Iterable[tuple[float, float]]) -> float:
        return covered(spans) / self.circumstances.process.rate


def assemble(
    changes: Changes,
    space: SearchSpace,
    objective: Objective,
    readings: ReadingSource,
    circumstances: Circumstances,
) -> ReportData:
    """Put a report's data together.

    Args:
        changes: Everything of the campaign, since sequence number 0.
        space: The campaign's search space.
        objective: The campaign's targets combined.
        readings: Asked for the raw readings of the best few experiments alone.
        circumstances: What the ledger's tables do not hold.

    Raises:
        Fault: A run whose proposal is not among the changes.
    """
    proposals = tuple(sorted(changes.proposals, key=lambda one: (one.number, one.revision)))
    measurements = newest_measurements(changes.measurements)
    experiments = experiments_of(changes, objective, space)
    imported = imported_of(changes, objective, space)
    stories = value_stories(changes.measurements, objective.units)
    spectra = tuple(spectrum for one in _leaders(experiments) for spectrum in spectra_of(one.index, readings(one.run.run_key)))
    known = (proposals, measurements, stories, spectra)
    return ReportData(objective, experiments, changes.campaign, space, circumstances, *known, imported=imported, work=changes.work)


def _leaders(experiments: Iterable[Experiment]) -> list[Experiment]:
    """Return the best few, the best first."""
    scored = [(one.score, -one.index, one) for one in experiments if one.score is not None]
    return [one for *_, one in sorted(scored, key=lambda entry: entry[:2], reverse=True)[:BEST_SPECTRA]]
