"""What became of values: what was told, corrected and taken back, by whom and why, oldest first."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from orchestrator.domain.lifecycle import MeasurementStatus
from orchestrator.domain.records import Measurement
from orchestrator.history import History, outdated
from orchestrator.results import run_name


@dataclass(frozen=True, slots=True)
class ValueStory:
    """One measurement that a person told or changed, with all its revisions."""

    run_key: str
    target: str
    replicate: int
    line: str
    """`512.5 nm; corrected to 520 nm by Ada (typo); retracted by Ben (wrong vial)`."""


def value_stories(measurements: Iterable[Measurement], units: Mapping[str, str]) -> tuple[ValueStory, ...]:
    """Tell of each measurement that is not just what was reduced from a run, in the order of run key, target and replicate.

    Args:
        measurements: All revisions.
        units: By target.
    """
    by_key: dict[tuple[str, str, int], list[Measurement]] = {}
    for one in sorted(measurements, key=lambda each: each.revision):
        by_key.setdefault(one.key, []).append(one)
    return tuple(
        ValueStory(*key, "; ".join(_said(revisions, units.get(key[1], ""))))
        for key, revisions in sorted(by_key.items())
        if any(one.by is not None or one.status is MeasurementStatus.RETRACTED for one in revisions)
    )


def _said(revisions: Iterable[Measurement], unit: str) -> Iterator[str]:
    for one in revisions:
        value = "no value" if one.value is None else f"{one.value:.6g} {unit}".rstrip()
        value += "" if one.uncertainty is None else f" ± {one.uncertainty:.2g}"
        who = "" if one.by is None else f" by {one.by}"
        why = "" if one.reason is None else f" ({one.reason})"
        told = f"{'corrected to ' if one.revision > 1 else ''}{value}{who}"
        if one.status is MeasurementStatus.RETRACTED:
            yield f"{told}; retracted by {one.retracted_by or 'somebody'}{why}"
        else:
            yield f"{told}{'' if one.status is MeasurementStatus.ACCEPTED else f', {one.status}'}{why}"


def changed_values(history: History, units: Mapping[str, str], *, last: int) -> list[str]:
    """Say what became of the values that people told or changed, the last changed ones, oldest first.

    Args:
        history: The campaign.
        units: By target.
        last: So many at most; how many are left out is said.
    """
    stories = value_stories(history.revisions.values(), units)
    stories = tuple(sorted(stories, key=lambda one: _changed_at(history, one)))
    left_out = len(stories) - last
    lines = [_told(history, one) for one in stories[max(0, left_out) :]]
    return [f"{left_out} earlier ones: `athanor measure list`", *lines] if left_out > 0 else lines


def outdated_lines(history: History, units: Mapping[str, str]) -> dict[str, list[str]]:
    """Return by name of a proposal, not executed yet, which values changed since it was made and that it rested on."""
    stories = {(one.run_key, one.target, one.replicate): one for one in value_stories(history.revisions.values(), units)}
    return {name: [_told(history, stories[one.key]) for one in changed] for name, changed in outdated(history).items()}


def _told(history: History, story: ValueStory) -> str:
    run = history.runs[story.run_key]
    called = f"imported experiment {run.run_key}" if run.is_imported else f"run {run_name(history, run)}"
    which = f", replicate {story.replicate}" if story.replicate > 1 else ""
    return f"{story.target} of {called}{which}: {story.line}"


def _changed_at(history: History, story: ValueStory) -> int:
    key = (story.run_key, story.target, story.replicate)
    return max(history.seqs[(*key, one.revision)] for one in history.revisions.values() if one.key == key)
