"""Why runs came to nothing: what the twin says there, what separates them from those that did not, and what is unusual about one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from flows.studies.twins.compared import Compared
from flows.studies.twins.ended import Ended
from models.twin.failures import LEAST_CASES, Separated, Values, separated
from orchestrator.errors import BadInput
from simulators.twins.terms import DAY, ELAPSED

BY_THE_TWIN: Final = " by the twin"
"""Behind the name of a quantity that is no measurement but what the twin says of a run."""


@dataclass(frozen=True)
class Failing:
    """What is known of one reason."""

    reason: str
    cases: tuple[Ended, ...]
    """All runs that it ended, in the order of time."""
    tried: tuple[Ended, ...]
    """Of these the ones that by the twin work, and whose surroundings are known: what there is to explain."""
    spared: tuple[Ended, ...]
    """Runs that were spared it, and whose surroundings are known."""
    said_in_vain: int
    """Runs of which the twin says it and that gave something."""
    separated: Separated | None
    """None where there are too few."""

    @cached_property
    def said(self) -> Mapping[str, int]:
        """What the twin says of the cases, and how often; empty that they work."""
        found = dict[str, int]()
        for one in self.cases:
            found[one.said] = found.get(one.said, 0) + 1
        return found


def failing(found: Compared, *, seed: int = 0) -> tuple[Failing, ...]:
    """Say of each reason what separates its runs from others, the most frequent reason first.

    Runs that the twin itself gives up for the same reason need no explanation and are not tried.
    """
    reasons = dict[str, int]()
    for one in found.ended:
        if one.reason:
            reasons[one.reason] = reasons.get(one.reason, 0) + 1
    return tuple(_failing(found, reason, seed) for reason in sorted(reasons, key=lambda one: (-reasons[one], one)))


def _failing(found: Compared, reason: str, seed: int) -> Failing:
    cases = tuple(one for one in found.ended if one.reason == reason)
    tried = tuple(one for one in cases if one.said != reason and one.environment is not None)
    spared = tuple(one for one in found.ended if one.completed and one.reason != reason and one.environment is not None)
    in_vain = sum(one.said == reason and not one.reason for one in found.ended)
    told = None
    if min(len(tried), len(spared)) >= LEAST_CASES:
        rows = in_time(found, tried, spared)
        told = separated([one.reason == reason for one in rows], factors(found, rows), seed=seed)
    return Failing(reason, cases, tried, spared, in_vain, told)


def in_time(found: Compared, tried: Sequence[Ended], spared: Sequence[Ended]) -> list[Ended]:
    """Return both kinds of runs in the order of time."""
    keys = {one.run.run_key for one in (*tried, *spared)}
    return [one for one in found.ended if one.run.run_key in keys]


def factors(found: Compared, rows: Sequence[Ended]) -> dict[str, Values]:
    """Return all that may have made the difference, a value for each run: what was set, surroundings, lots, what the twin says.

    What a run lacks, as a parameter that is not there with another one's category, is no factor.
    """
    columns: dict[str, list[object]] = {name: [one.configuration.get(name) for one in rows] for name in found.plain.space.columns}
    names = dict.fromkeys(name for one in rows for name in (one.environment or {}))
    columns |= {name: [(one.environment or {}).get(name) for one in rows] for name in names}
    columns |= {name: [one.lots.get(name) for one in rows] for name in found.rows[0].lots}
    columns |= {f"{name}{BY_THE_TWIN}": [one.predicted.get(name) for one in rows] for name in found.plain.outputs}
    made = dict[str, Values]()
    for name, column in columns.items():
        if numbers := [float(one) for one in column if isinstance(one, int | float)]:
            if len(numbers) == len(rows) and bool(np.isfinite(numbers).all()):
                made[name] = numbers
        elif len(labels := [one for one in column if isinstance(one, str)]) == len(rows):
            made[name] = labels
    return made


def unit_of(found: Compared, factor: str) -> str:
    """Return the unit of a factor; empty for labels and pure numbers."""
    if factor == ELAPSED:
        return DAY
    if factor.endswith(BY_THE_TWIN):
        return found.plain.measured_units[factor.removesuffix(BY_THE_TWIN)]
    return found.plain.space.units.get(factor) or found.units.get(factor, ("", 0.0))[0]


@dataclass(frozen=True)
class Unusual:
    """What was unusual about one run."""

    one: Ended
    among: int
    """Runs that gave something, with which it is compared."""
    factors: tuple[tuple[str, float | str, float | None, float | None], ...]
    """Name, value, and the range of the others, of each number beyond it; of a label that none of them has the range is None."""
    as_unusual: int
    """How many of the others are themselves beyond all the rest in something."""


def unusual(found: Compared, number: int) -> tuple[Unusual, ...]:
    """Say in what the runs of a proposal lie beyond all that gave something.

    Raises:
        BadInput: The proposal has no run that has ended, or too few others gave something.
    """
    mine = [one for one in found.ended if one.number == number]
    if not mine:
        raise BadInput(f"proposal {number} has no run that has ended; expected one of a run that was carried out or failed")
    return tuple(_unusual(found, one) for one in mine)


def _unusual(found: Compared, one: Ended) -> Unusual:
    others = [each for each in found.ended if not each.reason and each.environment is not None and each.number != one.number]
    if one.environment is None or len(others) < LEAST_CASES:
        lacks = "its surroundings are not known" if one.environment is None else f"{len(others)} others gave something"
        raise BadInput(f"proposal {one.number}: {lacks}; expected known ones, and at least {LEAST_CASES} others to compare with")
    beyond = _beyond(found, one, others)
    ranked = sum(bool(_beyond(found, each, [other for other in others if other is not each])) for each in others)
    return Unusual(one, len(others), beyond, ranked)


def _beyond(found: Compared, one: Ended, others: Sequence[Ended]) -> tuple[tuple[str, float | str, float | None, float | None], ...]:
    result = list[tuple[str, float | str, float | None, float | None]]()
    for name, (own, *rest) in factors(found, [one, *others]).items():
        if name == ELAPSED:  # the first and the last run are beyond all others
            continue
        if isinstance(own, str):
            if own not in rest:
                result.append((name, own, None, None))
            continue
        numbers = [float(each) for each in rest]
        low, high = min(numbers), max(numbers)
        if not low <= own <= high:
            result.append((name, own, low, high))
    return tuple(result)
