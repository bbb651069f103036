"""All values of a campaign with their history, and those that are still to come."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flows.plans.lab import Lab, clock_of
from flows.plans.ledger import open_campaign
from flows.plans.snapshots import files_of
from flows.report.values import value_stories
from orchestrator.domain.records import Measurement
from orchestrator.history import History
from orchestrator.results import run_name


@dataclass(frozen=True, slots=True)
class Listed:
    """One measurement in its newest revision."""

    run: str
    """The run's code, or its key."""
    measurement: Measurement
    unit: str
    story: str | None
    """All its revisions in words; None where it is just what was reduced from the run."""

    @property
    def line(self) -> str:
        """Say it for people."""
        one = self.measurement
        spread = "" if one.uncertainty is None else f" ± {one.uncertainty:.2g}"
        value = "no value" if one.value is None else f"{one.value:.6g}{spread} {self.unit}".rstrip()
        which = f"{one.target}" + (f", replicate {one.replicate}" if one.replicate > 1 else "")
        reason = f" ({one.reason})" if one.reason and self.story is None else ""
        told = f": {self.story}" if self.story is not None else ""
        return f"{self.run}  {which}: {value}, {one.status}{reason}{told}"

    @property
    def document(self) -> dict[str, Any]:
        """Say it for a program."""
        kept = self.measurement.model_dump(mode="json", exclude={"campaign", "measurement_id", "raw_sha256", "known_since"})
        return {"run": self.run, "unit": self.unit, **kept, "history": self.story}


@dataclass(frozen=True, slots=True)
class ValueList:
    """What a campaign has, and what it waits for."""

    campaign: str
    values: tuple[Listed, ...]
    awaited: tuple[Mapping[str, Any], ...]
    """`run`, `target`, `until` in words, and `due_lab` in lab seconds; None for no end."""


def value_list(lab: Lab, campaign: str | None) -> ValueList:
    """List the values of a campaign, and what it waits for."""
    with open_campaign(lab, campaign, read_only=True) as (store, history):
        _, objective = files_of(history.campaign)
        now = clock_of(lab, store).lab() if history.awaited else 0.0
    stories = {(one.run_key, one.target, one.replicate): one.line for one in value_stories(history.revisions.values(), objective.units)}
    values = tuple(
        Listed(run_name(history, history.runs[one.run_key]), one, objective.units.get(one.target, ""), stories.get(key))
        for key, one in sorted(history.measurements.items())
    )
    return ValueList(history.campaign.name, values, tuple(awaited_values(history, now)))


def awaited_values(history: History, now: float) -> Iterator[Mapping[str, Any]]:
    """Yield what is still to come: `run`, `target`, `until`, `due_lab`.

    Args:
        history: The campaign.
        now: Lab seconds.
    """
    for run_key, targets in sorted(history.awaited.items()):
        run = run_name(history, history.runs[run_key])
        for target, due in targets.items():
            yield {"run": run, "run_key": run_key, "target": target, "until": _until(due, now), "due_lab": due}


def _until(due: float | None, now: float) -> str:
    if due is None:
        return "for as long as it takes"
    left = (due - now) / 3600
    return f"{left:.1f} h of lab time are left" if left > 0 else "overdue"
