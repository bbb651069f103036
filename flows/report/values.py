"""What became of values: what was told, corrected and taken back, by whom and why, oldest first."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from orchestrator.domain.lifecycle import MeasurementStatus
from orchestrator.domain.records import Measurement


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
        if any(one.by is not None or one.revision > 1 or one.status is MeasurementStatus.RETRACTED for one in revisions)
    )


def _said(revisions: Iterable[Measurement], unit: str) -> Iterator[str]:
    for one in revisions:
        value = "no value" if one.value is None else f"{one.value:.6g} {unit}".rstrip()
        value += "" if one.uncertainty is None else f" ± {one.uncertainty:.2g}"
        who = "" if one.by is None else f" by {one.by}"
        why = "" if one.reason is None else f" ({one.reason})"
        first = f"corrected to {value}" if one.revision > 1 else value
        yield f"{first}, {one.status}{who}{why}" if one.status is not MeasurementStatus.ACCEPTED else f"{first}{who}{why}"
