"""What is counted, by hand-checkable arithmetic."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from typing_extensions import override

TOP: Final = 0.05
"""The part of a pool that counts as found."""
RESAMPLES: Final = 5_000
LEVEL: Final = 0.95
AREA_FLOOR: Final = 0.005
"""Smaller regret areas count as it: both found the best at once, and a ratio of two luck-made numbers says nothing."""


def best_so_far(scores: Sequence[float]) -> list[float]:
    """Return the running maximum."""
    best, running = -math.inf, []
    for score in scores:
        best = max(best, score)
        running.append(best)
    return running


def regrets(running: Sequence[float], pool: Sequence[float]) -> list[float]:
    """Return (best in pool - best so far) / (best - worst in pool) after each experiment."""
    best, worst = max(pool), min(pool)
    return [(best - value) / (best - worst) for value in running]


def regret_area(running: Sequence[float], pool: Sequence[float], *, initial: int) -> float:
    """Return the mean regret over the experiments after the initial ones."""
    return fmean(regrets(running, pool)[initial:])


def threshold(pool: Sequence[float], part: float = TOP) -> float:
    """Return the least score within the best part of a pool; at least one candidate is in it."""
    return sorted(pool, reverse=True)[max(1, math.ceil(part * len(pool))) - 1]


def experiments_to_top(running: Sequence[float], pool: Sequence[float], *, initial: int, part: float = TOP) -> int | None:
    """Return how many experiments after the initial ones it took to reach the best part; 0: already there; None: never."""
    wanted = threshold(pool, part)
    reached = next((number for number, value in enumerate(running, start=1) if value >= wanted), None)
    return None if reached is None else max(0, reached - initial)


@dataclass(frozen=True, slots=True)
class Interval:
    """A statistic and its bootstrap interval."""

    value: float
    low: float
    high: float

    @override
    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


Pairs = Sequence[tuple[float, float]]
"""(candidate, yardstick) of the same seed."""


def difference(pairs: Pairs) -> float:
    """Return the mean of candidate - yardstick."""
    return fmean(one - other for one, other in pairs)


def ratio(pairs: Pairs) -> float:
    """Return mean candidate / mean yardstick; 1 where both are zero."""
    one, other = fmean(pair[0] for pair in pairs), fmean(pair[1] for pair in pairs)
    if other == 0.0:
        return 1.0 if one == 0.0 else math.inf
    return one / other


def floored_ratio(pairs: Pairs) -> float:
    """Return mean candidate / mean yardstick of regret areas, both at least `AREA_FLOOR`."""
    one, other = fmean(pair[0] for pair in pairs), fmean(pair[1] for pair in pairs)
    return max(one, AREA_FLOOR) / max(other, AREA_FLOOR)


def paired_bootstrap(
    tasks: Mapping[str, Pairs], statistic: Callable[[Pairs], float], *, seed: int = 0, geometric: bool = False, level: float = LEVEL
) -> Interval:
    """Resample seeds within each task, always both members of a pair; average the statistic over the tasks.

    Args:
        tasks: Task -> its pairs.
        statistic: Of one task's pairs.
        seed: Of the resampling.
        geometric: Average over tasks geometrically, as ratios are.
        level: Of the interval.
    """
    generator = random.Random(seed)
    average = _geometric_mean if geometric else fmean
    drawn = sorted(average([statistic(generator.choices(pairs, k=len(pairs))) for pairs in tasks.values()]) for _ in range(RESAMPLES))
    tail = (1 - level) / 2
    value = average([statistic(pairs) for pairs in tasks.values()])
    return Interval(value, drawn[int(tail * RESAMPLES)], drawn[math.ceil((1 - tail) * RESAMPLES) - 1])


def _geometric_mean(values: Sequence[float]) -> float:
    if any(value == 0.0 for value in values):
        return 0.0
    return math.exp(fmean(math.log(value) for value in values))
