"""Intervals that hold what they promise: an inflation of predicted deviations, learned over source tasks.

Every source plays the new task for a prior without it (and without its group); the 90 % quantile of |z| per number of
measurements, over 1.645, is the factor. It is learned where there are hundreds of held-out values: a campaign's own few
residuals carry no correction (measured: leave-one-out residuals on the fitted points made intervals worse).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import torch

from models.gaussian_processes.conditioning import Conditioned
from models.tasks import TaskData

SIZES: Final = (0, 3, 5, 10, 20, 50)
"""Numbers of measurements at which inflation is learned; in between it is interpolated, beyond them constant."""
LEVEL: Final = 0.9
_DRAWS: Final = 3
"""Supports of each size that are drawn from each source."""
JUDGED: Final = 150
"""Held-out rows of a source that are looked at."""
NARROWEST: Final = 0.8
"""Intervals are narrowed by no more than this: too wide costs experiments, too narrow costs trust."""
_NORMAL: Final = NormalDist().inv_cdf((1 + LEVEL) / 2)

Play = Callable[[int, TaskData], Conditioned]
"""Source's index and support -> the process of a prior that has not seen the source."""


@dataclass(frozen=True, slots=True)
class Inflation:
    """Factors on predicted standard deviations by number of measurements."""

    factors: tuple[float, ...] = (1.0,) * len(SIZES)

    def at(self, n: int) -> float:
        """Return the factor at `n` measurements, interpolated in log(1 + n)."""
        x, known = math.log1p(n), [math.log1p(size) for size in SIZES]
        for left in range(len(SIZES) - 1):
            if x <= known[left + 1]:
                part = max(0.0, (x - known[left]) / (known[left + 1] - known[left]))
                return self.factors[left] + part * (self.factors[left + 1] - self.factors[left])
        return self.factors[-1]


def learn_inflation(tasks: Sequence[TaskData], playing: Sequence[int], play: Play, generator: torch.Generator) -> Inflation:
    """Learn the factors.

    Args:
        tasks: The sources.
        playing: Those that play the new task; without any all factors are one.
        play: Adapts a prior that has not seen a source to some of its rows.
        generator: Draws the supports.
    """
    if not playing:
        return Inflation()
    return Inflation(tuple(_factor(tasks, playing, play, size, generator) for size in SIZES))


def _factor(tasks: Sequence[TaskData], playing: Sequence[int], play: Play, size: int, generator: torch.Generator) -> float:
    """Return the mean over sources of the quantile of |z|, so that a source with many rows does not decide alone."""
    quantiles = []
    for index in playing:
        task = tasks[index]
        if len(task.Y) < size + 5:
            continue
        scores = torch.cat([_scores(index, task, play, size, generator) for _ in range(1 if size == 0 else _DRAWS)])
        quantiles.append(float(torch.quantile(scores, LEVEL)))
    # sources with fewer rows than this size say nothing: what holds for fewer measurements is no worse a guess
    return max(NARROWEST, sum(quantiles) / len(quantiles) / _NORMAL) if quantiles else 1.0


def _scores(index: int, task: TaskData, play: Play, size: int, generator: torch.Generator) -> torch.Tensor:
    order = torch.randperm(len(task.Y), generator=generator)
    model = play(index, task.rows(order[:size]))
    held = task.rows(order[size : size + JUDGED])
    with torch.no_grad():
        found = model.posterior(held.X.unsqueeze(-2), observation_noise=True)
    scores: torch.Tensor = (held.Y - found.mean.flatten()).abs() / found.variance.flatten().sqrt()
    return scores
