"""Why a twin was wrong, from start to end: `analyse(pairs)`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch

from models.base import spread_of
from models.twin.factors import TOLD_APART, Factors, Named, find
from models.twin.groups import Group, groups
from models.twin.model import Model, Problem, Scale, model
from models.twin.pairs import Conditions, Pairs
from models.twin.posterior import attributed, coefficients
from models.twin.shares import Share, Split, split
from models.twin.terms import Estimate, Ranked, estimates, ranking, taken_up

CLEAR: Final = 0.7
"""Rank correlation of an effect with its channel from which it is said to rise or fall: our own choice."""
TURNS: Final = 6
"""Times that the twin is asked about other constants at most, our own choice: most need two."""
SETTLED: Final = 0.5
"""Log evidence that a step adds below which it is the last: a quarter of what a factor must be worth."""
SEED_OF_SHARES: Final = 1_000_003
"""Keeps draws of shares apart from those of orders."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the pairs say of one factor."""

    factor: str
    p_value: float
    """Family-wise over the factors that were left at the step at which it entered, or at the last."""
    named: bool
    """Whether it, or what it cannot be told from, is beyond chance and adds evidence enough."""
    together: tuple[str, ...]
    """What it cannot be told from, itself among them; empty where it is not named."""
    share: Share | None
    """Of the variance of measured less predicted values; None where it is not named."""
    direction: str
    """rises, falls, bends, or nothing where it is not named or has no direction."""
    gain: float
    """Log evidence that it adds; zero where it is not named."""
    settle: str
    """What data would settle it; nothing where it is settled. What had one value in each batch never is."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """All that is known of why a twin was wrong."""

    scale: Scale
    scale_gain: float
    """Log evidence of the scale chosen over that of differences; zero where these are compared."""
    findings: tuple[Finding, ...]
    """Named factors first, then the others by p-value."""
    ranking: tuple[Ranked, ...]
    """Constants and candidate terms."""
    estimates: tuple[Estimate, ...]
    """Constants, and the terms taken up, with the discrepancy present."""
    split: Split
    factors: Model
    """The discrepancy as functions of the named factors, without terms."""
    model: Model
    """With the terms taken up and what they leave of the factors: what corrected predictions are made of."""


def analyse(pairs: Pairs, *, seed: int = 0) -> Analysis:
    """Say which features of the environment made the difference, which term is missing, and how the variance splits.

    Args:
        pairs: Of one target, in the order of time.
        seed: Of the orders that make the null, and of draws.
    """
    problem, gain = on_scale(pairs)
    found = find(problem, seed=seed)
    final = taken_up(problem, found.model.groups)
    shares = split(found.model, seed=SEED_OF_SHARES + seed)
    return Analysis(problem.scale, gain, _findings(problem, found, shares), ranking(problem), estimates(final), shares, found.model, final)


def supposed(problem: Problem) -> Model:
    """Return the model of all groups, shown to act or not, with the terms that strong evidence is for: what new runs are predicted by.

    That nothing is named falsely costs power: what is not shown is not shown to be absent. The variances' priors keep small what the
    pairs say little of.
    """
    return model(problem, groups(problem.pairs), taken_up(problem).coefficients)


def settled(pairs: Pairs, twin: Callable[[Mapping[str, float]], Conditions | None]) -> Pairs:
    """Tell the pairs' conditions at the constants' most probable deviations, as long as that is more probable.

    A constant that is far off bends the prediction more than its derivative where it is not off says, and moves the columns of
    terms: what is left of that looks like an effect of the controls. Deviations keep their priors. Steps are those of Gauss and
    Newton under the discrepancy of all groups, halved where the evidence falls.

    Args:
        pairs: With conditions told at none.
        twin: What the twin says of the same rows, its constants at deviations by name; None where it says nothing of some row.
    """
    here, length = _probable(pairs), 1.0
    for _ in range(TURNS):
        aim = coefficients(here)
        names, at = here.problem.constants, here.problem.pairs.conditions.at or (0.0,) * len(here.problem.constants)
        conditions = twin({name: start + length * (aim[name][0] - start) for name, start in zip(names, at, strict=True)})
        there = None if conditions is None else _probable(replace(pairs, conditions=conditions))
        if there is None or there.log_evidence < here.log_evidence:
            length *= 0.5
        else:
            gained, here, length = there.log_evidence - here.log_evidence, there, 1.0
            if gained < SETTLED:
                break
    return here.problem.pairs


def _probable(pairs: Pairs) -> Model:
    problem, _ = on_scale(pairs)
    return model(problem, groups(pairs))


def on_scale(pairs: Pairs) -> tuple[Problem, float]:
    """Choose between differences, shares of the prediction, and differences of logarithms, by the evidence of the model of all groups.

    Differences are kept where nothing else is worth `TOLD_APART` more.
    """
    positive = bool((pairs.observed > 0).all() and (pairs.conditions.mean > 0).all())
    scales: tuple[Scale, ...] = ("proportional", "multiplicative") if positive else ("proportional",)
    everything, plain = groups(pairs), Problem.of(pairs, "additive")
    others = [model(Problem.of(pairs, scale), everything) for scale in scales]
    best = max(others, key=lambda one: one.log_evidence)
    gain = best.log_evidence - model(plain, everything).log_evidence
    return (best.problem, gain) if gain >= TOLD_APART else (plain, 0.0)


def _findings(problem: Problem, found: Factors, shares: Split) -> tuple[Finding, ...]:
    named = {one.group.name: one for one in found.named}
    rows = [_finding(problem, found, group, named.get(group.name), shares) for group in groups(problem.pairs)]
    return tuple(sorted(rows, key=lambda one: (not one.named, one.p_value)))


def _finding(problem: Problem, found: Factors, group: Group, named: Named | None, shares: Split) -> Finding:
    p_value = found.p_values[group.name]
    if named is None:
        joined = [one for one in found.named if group.name in one.together]
        settle = _settle(problem, joined[0].together) if joined else _within(problem, group)
        together = joined[0].together if joined else ()
        return Finding(group.name, p_value, bool(joined), together, None, "", 0.0, settle)
    share = next(one for one in shares.divergence if one.name == group.name)
    settle = _settle(problem, named.together) if len(named.together) > 1 else _within(problem, group)
    return Finding(group.name, p_value, True, named.together, share, _direction(found.model, group), named.gain, settle)


def _settle(problem: Problem, together: Sequence[str]) -> str:
    """Say what would tell factors apart."""
    first, *others = together
    said = f"vary {first} while {', '.join(others)} stays as it is"
    names = problem.pairs.conditions.columns.names_of_channels
    if first in names and others[0] in names:
        both = problem.coded.channels[:, [names.index(first), names.index(others[0])]]
        said += f" (over these runs {first} and {others[0]} correlate by {float(torch.corrcoef(both.mT)[0, 1]):.2f})"
    return said


def _within(problem: Problem, group: Group) -> str:
    """Say that a channel stayed as it was within each batch, and would have to be varied there."""
    if group.channel is None or not problem.pairs.batched:
        return ""
    values, batches = problem.coded.channels[:, group.channel], problem.pairs.batch_codes
    if any(spread_of(values[batches == number]) for number in range(int(batches.max()) + 1)):
        return ""
    return f"vary {group.name} within a batch: it had one value in each, so that whatever else a batch had is not told from it"


def _direction(fitted: Model, group: Group) -> str:
    """Say how an effect goes with its channel."""
    if group.channel is None:
        return ""
    effect = attributed(fitted, fitted.problem.pairs.conditions)
    values = effect.values[:, effect.players.index(group.name)]
    ranks = torch.stack([values, fitted.problem.coded.channels[:, group.channel]]).argsort(dim=1).argsort(dim=1).double()
    trend = float(torch.corrcoef(ranks)[0, 1])
    return "rises" if trend > CLEAR else "falls" if trend < -CLEAR else "bends"
