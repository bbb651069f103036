"""Which recorded factor separates the runs that came to nothing for one reason from those that were spared it.

A factor is tried by its splits: a number at each gap between neighbouring values, a label against all others. On either side of a
split runs fail with a rate of their own, of which nothing is known (Jeffreys' prior, Beta(1/2, 1/2)), so that of `k` failures in `n`
runs the evidence is

    B(k + 1/2, n - k + 1/2) / B(1/2, 1/2)

in closed form [Gelman2013, section 2.4]. The gain of a split is the log of that of both sides over that of all runs; a factor's is that
of a split of which every gap is as likely as another. That does not change with the scale of a factor, and any law that rises or falls
has a split that it makes uneven.

Whether it could be chance is told as for `models.twin.factors`: orders of the runs in blocks of time, the largest standardised gain of
all factors in each, 0.05 for all together. A further factor is tried within either side of those before it, and within the runs alone
that most fail by these, as where it takes heat and humid air together; both are as likely.

[Gelman2013]: A. Gelman et al., Bayesian Data Analysis, 3rd ed., CRC Press (2013).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from models.twin.factors import ALPHA, TOLD_APART, orders_of
from orchestrator.errors import BadInput

LEAST_CASES: Final = 4
"""Failures of a reason, and spared runs, below which nothing is tried: our own choice, three in one block of time are no more than one."""
MOST_NAMED: Final = 3
"""Factors that are named for one reason at most, our own choice: a fourth would be tried on some five runs a cell."""
INTERVAL: Final = 0.95
"""Chance that the interval of a threshold holds it, where a step is the law."""
_SEEDS_APART: Final = 1_000

Values = Sequence[float] | Sequence[str]
"""Of a factor, run by run: numbers, or labels."""


@dataclass(frozen=True, slots=True)
class Side:
    """Runs on one side of a split."""

    failed: int
    runs: int


@dataclass(frozen=True, slots=True)
class Separation:
    """A factor that separates runs that failed from others, or several of which one does."""

    factor: str
    together: tuple[str, ...]
    """All that it cannot be told from, itself first."""
    p_value: float
    """Family-wise, at the step at which it was named."""
    gain: float
    """Log evidence that it adds."""
    label: str | None
    """The one that is apart from all others; None of a number."""
    threshold: float | None
    """In the factor's unit: the middle of the most probable gap; None of labels."""
    interval: tuple[float, float] | None
    """Central interval of `INTERVAL` of the threshold's posterior; None of labels."""
    above: bool
    """Whether more fail above the threshold, or with the label."""
    within: tuple[str, ...]
    """The factors before it, where it was tried among the runs that most fail by these; empty where it was tried among all."""
    spared: Side
    """Where fewer fail."""
    failing: Side
    """Where more do."""


@dataclass(frozen=True, slots=True)
class Separated:
    """What is known of one reason."""

    named: tuple[Separation, ...]
    p_values: Mapping[str, float]
    """Family-wise, of each factor that varied, at the step at which it was named or at the last one."""


def separated(failed: Sequence[bool], factors: Mapping[str, Values], *, seed: int = 0) -> Separated:
    """Name the factors that separate runs that failed from those that did not.

    Args:
        failed: Run by run, in the order of time: whether it failed for the reason in question.
        factors: What may have made the difference: a value for each run.
        seed: Of the orders that make the null.

    Raises:
        BadInput: Fewer than `LEAST_CASES` failed or did not, or a factor has another number of values.
    """
    for name, values in factors.items():
        if len(values) != len(failed):
            raise BadInput(f"{name} has {len(values)} values; expected one for each of {len(failed)} runs")
    count = sum(failed)
    if count < LEAST_CASES or len(failed) - count < LEAST_CASES:
        raise BadInput(f"{count} of {len(failed)} runs failed; expected at least {LEAST_CASES} that did and {LEAST_CASES} that did not")
    tried = [_Tried.of(name, values) for name, values in factors.items() if len(set(values)) > 1]
    return _named(torch.tensor(list(failed), dtype=torch.float64), tried, seed)


@dataclass(frozen=True, slots=True, eq=False)
class _Tried:
    """A factor with its splits."""

    name: str
    masks: Float[Tensor, "n s"]
    """One where a run is below the gap, or has the label."""
    edges: Float[Tensor, "s 2"] | None
    """The values on either side of each gap; None of labels."""
    labels: tuple[str, ...]

    @staticmethod
    def of(name: str, values: Values) -> "_Tried":
        if isinstance(values[0], str):
            labels = tuple(dict.fromkeys(map(str, values)))
            labels = labels[:1] if len(labels) == 2 else labels  # of two each is all others of the other
            masks = torch.tensor([[float(value == label) for label in labels] for value in values], dtype=torch.float64)
            return _Tried(name, masks, None, labels)
        numbers = torch.tensor([float(value) for value in values], dtype=torch.float64)
        known = torch.tensor(sorted(set(numbers.tolist())), dtype=torch.float64)
        return _Tried(name, (numbers.unsqueeze(1) <= known[:-1]).double(), torch.stack([known[:-1], known[1:]], dim=1), ())

    def gains(self, failed: Tensor, strata: Float[Tensor, "n g"], rows: Tensor) -> Float[Tensor, "o s"]:
        """Return the log evidence that each split adds, in each order: of all strata, then of the one alone in which most fail."""
        runs, bad = strata[rows], (strata * failed.unsqueeze(1))[rows]
        inside = torch.einsum("ns,ong->osg", self.masks, runs), torch.einsum("ns,ong->osg", self.masks, bad)
        all_runs, all_bad = strata.sum(dim=0), (strata * failed.unsqueeze(1)).sum(dim=0)
        apart = _evidence(inside[1], inside[0]) + _evidence(all_bad - inside[1], all_runs - inside[0])
        gains = apart - _evidence(all_bad, all_runs)
        return gains[..., 0] if strata.shape[1] == 1 else torch.cat([gains.sum(dim=-1), gains[..., _worst(failed, strata)]], dim=1)


def _worst(failed: Tensor, strata: Float[Tensor, "n g"]) -> int:
    """Return the stratum in which the largest share of the runs fails, by the mean of its rate."""
    return int((((strata * failed.unsqueeze(1)).sum(dim=0) + 0.5) / (strata.sum(dim=0) + 1.0)).argmax())


def _evidence(failed: Tensor, runs: Tensor) -> Tensor:
    """Return log B(k + 1/2, n - k + 1/2) / B(1/2, 1/2); the last is pi."""
    return torch.lgamma(failed + 0.5) + torch.lgamma(runs - failed + 0.5) - torch.lgamma(runs + 1.0) - math.log(math.pi)


def _mean(gains: Float[Tensor, "o s"]) -> Float[Tensor, " o"]:
    """Return the gain of a factor: each of its splits is as likely as another."""
    return gains.logsumexp(dim=1) - math.log(gains.shape[1])


@dataclass(frozen=True, slots=True)
class _Chosen:
    one: _Tried
    place: int
    """Of the split among `gains`: those of all strata, then those of the worst."""
    p_value: float

    @property
    def inside(self) -> Float[Tensor, " n"]:
        return self.one.masks[:, self.place % self.one.masks.shape[1]]

    @property
    def everywhere(self) -> bool:
        """Whether all strata are split."""
        return self.place < self.one.masks.shape[1]

    def divided(self, failed: Tensor, strata: Float[Tensor, "n g"]) -> Float[Tensor, "n h"]:
        """Return the strata with this split."""
        inside = self.inside.unsqueeze(1)
        if self.everywhere:
            return torch.cat([strata * inside, strata * (1.0 - inside)], dim=1)
        worst = _worst(failed, strata)
        rest = [column for number, column in enumerate(strata.mT) if number != worst]
        cell = strata[:, [worst]]
        return torch.cat([*(one.unsqueeze(1) for one in rest), cell * inside, cell * (1.0 - inside)], dim=1)


def _named(failed: Tensor, tried: list[_Tried], seed: int) -> Separated:
    """Name one factor after the other while one is beyond chance and adds enough."""
    chosen, left, suspects, p_values = list[_Chosen](), list(tried), list[_Tried](), dict[str, float]()
    while left and len(chosen) < MOST_NAMED:
        strata = _strata(failed, chosen)
        rows = orders_of(torch.arange(len(failed)), seed + _SEEDS_APART * len(chosen))
        gains = torch.stack([_mean(one.gains(failed, strata, rows)) for one in left], dim=1)
        found = _p_values(gains)
        p_values |= {one.name: float(p) for one, p in zip(left, found, strict=True)}
        if not chosen:
            alone = (gains >= gains[0]).double().mean(dim=0)
            suspects = [one for one, p in zip(left, alone, strict=True) if p <= ALPHA]
        beyond = [place for place, p in enumerate(found) if p <= ALPHA and gains[0, place] >= TOLD_APART]
        if not beyond:
            break
        best = left[max(beyond, key=lambda place: float(gains[0, place]))]
        chosen.append(_Chosen(best, _best_split(failed, strata, best), p_values[best.name]))
        left.remove(best)
    if len(chosen) > 1:  # the first only stood in for the second where it adds nothing beside it
        chosen = [one for one in chosen if _gain(failed, one.one, _others(chosen, one)) >= TOLD_APART]
    others = [one for one in suspects if all(one is not each.one for each in chosen)]
    return Separated(tuple(_told(failed, one, chosen[:place], others) for place, one in enumerate(chosen)), p_values)


def _others(chosen: Sequence[_Chosen], one: _Chosen) -> list[_Chosen]:
    return [other for other in chosen if other is not one]


def _p_values(gains: Float[Tensor, "o f"]) -> Float[Tensor, " f"]:
    """Return the share of orders in which the largest standardised gain of all factors reaches each one's own."""
    spread = gains.std(dim=0, correction=0)
    standard = (gains - gains.mean(dim=0)) / torch.where(spread > 0, spread, 1.0)
    return (standard.max(dim=1, keepdim=True).values >= standard[0]).double().mean(dim=0)


def _strata(failed: Tensor, chosen: Sequence[_Chosen]) -> Float[Tensor, "n g"]:
    """Return which runs lie in which cell of the chosen factors' splits."""
    strata = torch.ones(len(failed), 1, dtype=torch.float64)
    for one in chosen:
        strata = one.divided(failed, strata)
    return strata


def _best_split(failed: Tensor, strata: Tensor, one: _Tried) -> int:
    return int(one.gains(failed, strata, torch.arange(len(failed)).unsqueeze(0))[0].argmax())


def _gain(failed: Tensor, one: _Tried, beside: Sequence[_Chosen]) -> float:
    """Return the log evidence that a factor adds within the cells of others."""
    return float(_mean(one.gains(failed, _strata(failed, beside), torch.arange(len(failed)).unsqueeze(0))))


def _told(failed: Tensor, one: _Chosen, before: Sequence[_Chosen], others: Sequence[_Tried]) -> Separation:
    """Say where a named factor splits the runs that those before it left together, and what it cannot be told from."""
    strata = _strata(failed, before)
    gains = one.one.gains(failed, strata, torch.arange(len(failed)).unsqueeze(0))[0]
    split = _Chosen(one.one, int(gains.argmax()), one.p_value)
    scope = torch.ones(len(failed), dtype=torch.bool) if split.everywhere else strata[:, _worst(failed, strata)].bool()
    inside = split.inside.bool()
    first, second = (Side(int(failed[which & scope].sum()), int((which & scope).sum())) for which in (inside, ~inside))
    more_inside = first.failed * second.runs > second.failed * first.runs
    alike = [other.name for other in others if _alike(failed, one, other, before)]
    label, threshold, interval = None, None, None
    if one.one.edges is None:
        label = one.one.labels[split.place % len(one.one.labels)]
    else:
        count = len(one.one.edges)
        threshold = float(one.one.edges[split.place % count].mean())
        interval = _interval(one.one.edges, gains[:count] if split.everywhere else gains[count:])
    return Separation(
        factor=one.one.name,
        together=(one.one.name, *alike),
        p_value=one.p_value,
        gain=float(_mean(gains.unsqueeze(0))),
        label=label,
        threshold=threshold,
        interval=interval,
        above=more_inside if label is not None else not more_inside,
        within=() if split.everywhere else tuple(each.one.name for each in before),
        spared=second if more_inside else first,
        failing=first if more_inside else second,
    )


def _alike(failed: Tensor, one: _Chosen, other: _Tried, beside: Sequence[_Chosen]) -> bool:
    """Say whether either adds less than `TOLD_APART` beside the other."""
    second = _Chosen(other, _best_split(failed, _strata(failed, beside), other), 1.0)
    return _gain(failed, other, [*beside, one]) < TOLD_APART and _gain(failed, one.one, [*beside, second]) < TOLD_APART


def _interval(edges: Float[Tensor, "s 2"], gains: Float[Tensor, " s"]) -> tuple[float, float]:
    """Return the central interval of the threshold: every place within a gap is as likely as another."""
    told = gains.softmax(dim=0).cumsum(dim=0)
    low, high = (_quantile(edges, told, level) for level in ((1.0 - INTERVAL) / 2.0, (1.0 + INTERVAL) / 2.0))
    return low, high


def _quantile(edges: Tensor, told: Tensor, level: float) -> float:
    gap = min(int((told < level).sum()), len(told) - 1)
    before = float(told[gap - 1]) if gap else 0.0
    share = (level - before) / max(float(told[gap]) - before, 1e-300)
    return float(edges[gap, 0] + min(max(share, 0.0), 1.0) * (edges[gap, 1] - edges[gap, 0]))
