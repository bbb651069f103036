"""What was recorded beside runs, in the newest units, and by the names that a twin knows."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import numpy as np

from flows.plans.twins.bound import BoundTwin
from orchestrator.domain.records import ExperimentRun
from orchestrator.errors import BadInput
from orchestrator.history import History
from orchestrator.units import convert, same_dimension
from simulators.twins.terms import DAY, ELAPSED, Recorded

MOST_WITHOUT: Final = 0.2
"""Part of the runs that may lack a channel before the channel is left out instead of them: our own choice."""
SAME: Final = 1e-6
"""Days by which what is as old as the campaign may differ from it from run to run: rounding."""
Units = Mapping[str, tuple[str, float]]
"""Unit and reference of each recorded quantity."""


def known(run: ExperimentRun, units: Units) -> dict[str, float]:
    """Return the mean of each quantity that was read, in the newest unit: an amended bench file may have changed it."""
    read = ((one, units[one.name][0]) for one in run.environment if one.name in units)
    return {one.name: convert(one.mean, one.unit, unit) for one, unit in read if one.mean is not None and same_dimension(one.unit, unit)}


def lots_of(run: ExperimentRun) -> dict[str, str]:
    """Return what the run took from, by the name under which it is recorded."""
    return {one.name: one.lot for one in run.environment if one.lot is not None}


def recorded(runs: Sequence[ExperimentRun]) -> tuple[Units, set[str], dict[str, int]]:
    """Return the newest unit and reference of each quantity, what nearly all runs have, lots among it, and how many lack each other one."""
    units = {one.name: (one.unit, one.reference) for run in runs for one in run.environment if one.lot is None}
    names = dict.fromkeys(one.name for run in runs for one in run.environment)
    lacking = {name: sum(name not in known(run, units) and name not in lots_of(run) for run in runs) for name in names}
    kept = {name for name, count in lacking.items() if count <= MOST_WITHOUT * len(runs)}
    return units, kept, {name: count for name, count in lacking.items() if name not in kept}


def imported(history: History, wanted: Collection[str], *, alone: bool) -> tuple[list[ExperimentRun], bool]:
    """Return imported runs of which surroundings were recorded, by their dates, and whether their times are of no clock.

    Args:
        history: Of the campaign.
        wanted: Keys of the runs that count.
        alone: Whether they are all that is compared: then dates are times, where all have one.

    Raises:
        BadInput: Something was recorded by the name of the lab time.
    """
    dates = {one.run_key: one.measured_at.timestamp() for one in history.measurements.values() if one.measured_at is not None}
    runs = [one for one in history.imported if one.run_key in wanted and one.environment]
    if any(one.name == ELAPSED for run in runs for one in run.environment):
        raise BadInput(f"something was recorded as {ELAPSED}, the name of the lab time since the first run; expected another name")
    runs.sort(key=lambda one: (dates.get(one.run_key, 0.0), one.run_key))
    timeless = bool(runs) and not (alone and all(one.run_key in dates for one in runs))
    return [one.evolve(started_lab=0.0 if timeless else dates[one.run_key]) for one in runs], timeless


def around(run: ExperimentRun, units: Units, names: Iterable[str], begin: float) -> dict[str, float] | None:
    """Return the numbers of what was recorded beside a run, and `ELAPSED` in days since `begin`; None where anything is missing."""
    numbers, lots = known(run, units), lots_of(run)
    if run.started_lab is None or any(name not in numbers and name not in lots for name in names):
        return None
    return {**{name: numbers[name] for name in names if name in numbers}, ELAPSED: convert(run.started_lab - begin, "s", DAY)}


def as_time(runs: Sequence[ExperimentRun], units: Units, names: Iterable[str]) -> list[str]:
    """Return what went with the time from run to run, as days since the only service: it cannot be told from `ELAPSED`."""
    first = runs[0]
    whole = [around(one, units, names, first.started_lab or 0.0) or {} for one in runs]
    return [
        name for name in names if name in whole[0] and np.ptp([one[name] - one[ELAPSED] for one in whole]) < SAME and units[name][0] == DAY
    ]


def for_twin(bound: BoundTwin, one: Recorded) -> Recorded:
    """Return a channel by the twin's name and in its unit, where it knows it."""
    for surrounding in bound.twin.environment:
        if recorded_as(bound, surrounding.name) == one.name:
            zero = convert(0.0, one.unit, surrounding.unit)
            scale = convert(one.scale, one.unit, surrounding.unit) - zero
            return Recorded(surrounding.name, surrounding.unit, convert(one.reference, one.unit, surrounding.unit), scale)
    return one


def surroundings(bound: BoundTwin, environment: Mapping[str, float], units: Units) -> dict[str, float]:
    """Return what was recorded, by the twin's names and in its units."""
    found = {}
    for one in bound.twin.environment:
        name = recorded_as(bound, one.name)
        if name in environment:  # what was not recorded stands at its reference
            found[one.name] = convert(environment[name], units.get(name, (DAY, 0.0))[0], one.unit)
    return found


def recorded_as(bound: BoundTwin, surrounding: str) -> str:
    """Return under which name a surrounding of the twin is recorded."""
    channel = bound.surroundings.get(surrounding)
    return surrounding if channel is None else channel.name
