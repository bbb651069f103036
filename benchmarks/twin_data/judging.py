"""Predicts what was left out, by the twin corrected, by the best affine map with class means and by the twin alone, and judges it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.metrics import LEVEL, RESAMPLES, Interval
from benchmarks.twin_data.cases import Case
from models.twin.analysis import Analysis, analyse, on_scale, supposed
from models.twin.posterior import CHANCE, corrected

Array = NDArray[np.float64]
Split = tuple[Sequence[int], Sequence[int]]
"""Rows that are learned from, and rows that are predicted."""
DRAWS: Final = 64
"""Of the variances, for the predictions."""
Z: Final = float(torch.special.ndtri(torch.tensor(0.5 + CHANCE / 2, dtype=torch.float64)))


@dataclass
class Judged:
    """Predictions of rows that were left out."""

    groups: list[str] = field(default_factory=list)
    measured: list[float] = field(default_factory=list)
    twin: list[float] = field(default_factory=list)
    affine: list[float] = field(default_factory=list)
    corrected: list[float] = field(default_factory=list)
    held: list[bool] = field(default_factory=list)
    """Whether the corrected twin's interval for a reading holds what was measured."""
    affine_held: list[bool] = field(default_factory=list)
    """The same of the affine map, with the residuals' standard deviation on what it was fitted to."""
    shown: list[float] = field(default_factory=list)
    """Predictions by what is named alone, for the most probable variances; empty where nobody asked."""

    def errors(self, who: str) -> Array:
        """Return squared errors of `twin`, `affine`, `corrected` or `shown`."""
        found: Array = np.square(np.array(getattr(self, who)) - np.array(self.measured))
        return found

    def ratio(self, of: str = "corrected", to: str = "affine") -> Interval:
        """Return one's root mean square error over another's, with an interval by resampling groups."""
        return grouped(self.groups, [self.errors(of), self.errors(to)], lambda sums, _: float(np.sqrt(sums[0] / sums[1])))

    def error(self, who: str) -> Interval:
        """Return a root mean square error with an interval by resampling groups."""
        return grouped(self.groups, [self.errors(who)], lambda sums, count: float(np.sqrt(sums[0] / count)))

    def coverage(self, which: str = "held") -> Interval:
        """Return the part of intervals of 90 % that hold what was measured, in per cent."""
        held = 100.0 * np.array(getattr(self, which), dtype=np.float64)
        return grouped(self.groups, [held], lambda sums, count: float(sums[0] / count))


def grouped(groups: Sequence[str], values: Sequence[Array], statistic: Callable[[Array, float], float], *, seed: int = 0) -> Interval:
    """Bootstrap a statistic of sums, with whole groups resampled.

    Args:
        groups: Of each row.
        values: What is summed, one number a row each.
        statistic: Of the sums and the number of rows.
        seed: Of the resampling.
    """
    codes = np.unique(np.array(groups), return_inverse=True)[1]
    sums = np.stack([np.bincount(codes, one) for one in (*values, np.ones(len(codes)))])
    generator = np.random.default_rng(seed)
    drawn = np.sort([_of(statistic, sums[:, generator.integers(0, sums.shape[1], sums.shape[1])]) for _ in range(RESAMPLES)])
    tail = (1 - LEVEL) / 2
    return Interval(_of(statistic, sums), float(drawn[int(tail * RESAMPLES)]), float(drawn[-1 - int(tail * RESAMPLES)]))


def _of(statistic: Callable[[Array, float], float], sums: Array) -> float:
    total = sums.sum(axis=1)
    return statistic(total[:-1], float(total[-1]))


def left_out(case: Case) -> Iterator[Split]:
    """Leave out each group once."""
    for group in dict.fromkeys(case.groups):
        yield _parted(case, {group})


def folds(case: Case, count: int, *, seed: int) -> Iterator[Split]:
    """Leave out each of so many parts of the groups once."""
    names = sorted(set(case.groups))
    order = np.random.default_rng(seed).permutation(len(names))
    for number in range(count):
        yield _parted(case, {names[place] for place in order[number::count]})


def _parted(case: Case, out: set[str]) -> Split:
    inside = [row for row, group in enumerate(case.groups) if group not in out]
    return inside, [row for row, group in enumerate(case.groups) if group in out]


def judge(case: Case, splits: Iterable[Split], *, shown: bool = False) -> Judged:
    """Learn from one part, predict the other, for all splits.

    Args:
        case: What was measured beside a twin.
        splits: Which rows are learned from, and which are predicted.
        shown: Whether to predict by what is named alone, too.
    """
    found = Judged()
    for learned, asked in splits:
        predicted = case.predicted(learned)
        pairs, conditions, y = case.pairs(learned, predicted), case.conditions(asked, predicted), case.observed[list(asked)]
        said = corrected(supposed(on_scale(pairs)[0]), conditions, draws=DRAWS)
        affine, deviation = affine_map(case, predicted, learned, asked)
        found.groups += [case.groups[row] for row in asked]
        found.measured += y.tolist()
        found.twin += predicted[list(asked)].tolist()
        found.affine += affine.tolist()
        found.corrected += said.median.tolist()
        found.held += ((y >= said.reading[0]) & (y <= said.reading[1])).tolist()
        found.affine_held += ((y - affine).abs() <= Z * deviation).tolist()
        if shown:
            found.shown += corrected(analyse(pairs).model, conditions).median.tolist()
    return found


def explained(case: Case, which: Sequence[int] | None = None, *, seed: int = 0) -> dict[str, Any]:
    """Say what is named from all rows, or some."""
    rows = list(range(len(case))) if which is None else which
    return told(analyse(case.pairs(rows, case.predicted(rows)), seed=seed))


def affine_map(case: Case, predicted: Tensor, learned: Sequence[int], asked: Sequence[int]) -> tuple[Float[Tensor, " m"], float]:
    """Return the best affine map of the twin with class means, by least squares, and the deviation of its residuals.

    A class that nobody has seen stands at the mean of all.
    """
    y, m = case.observed[list(learned)], predicted[list(learned)]
    own = [case.classes[row] for row in learned]
    known = sorted(set(own))
    member = torch.tensor([[float(one == label) for label in known] for one in own], dtype=torch.float64)
    slope = m - member @ (member.mT @ m / member.sum(dim=0))
    flat = y - member @ (member.mT @ y / member.sum(dim=0))
    b = float(slope @ flat / slope.square().sum()) if float(slope.square().sum()) > 0 else 0.0
    shifts = dict(zip(known, (member.mT @ (y - b * m) / member.sum(dim=0)).tolist(), strict=True))
    mean = float((y - b * m).mean())
    left = y - b * m - torch.tensor([shifts[one] for one in own], dtype=torch.float64)
    spare = max(len(y) - len(known) - 1, 1)
    shift = torch.tensor([shifts.get(case.classes[row], mean) for row in asked], dtype=torch.float64)
    return b * predicted[list(asked)] + shift, float((left.square().sum() / spare).sqrt())


def told(analysis: Analysis) -> dict[str, Any]:
    """Say what was named."""
    named = [
        {
            "factor": one.factor,
            "p": one.p_value,
            "share": None if one.share is None else round(one.share.median, 3),
            "direction": one.direction,
            "together": list(one.together),
            "settle": one.settle,
        }
        for one in analysis.findings
        if one.named
    ]
    silent = {one.factor: one.p_value for one in analysis.findings if not one.named}
    settle = {one.factor: one.settle for one in analysis.findings if one.settle and not one.named}
    terms = list(analysis.model.coefficients)
    return {"scale": analysis.scale, "named": named, "not": silent, "not settled": settle, "terms": terms}
