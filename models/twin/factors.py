"""Which features of the environment made the difference.

Factors enter one after the other. At each step every factor that is left is tested against the residuals whitened by the model
so far: its statistic is the log of the evidence that it adds with a variance equal to that of the noise, its hyperparameters
fixed. The null comes from orders of the runs in blocks of time, the same for all factors, so that whatever the factors have in
common stays. Where runs were made in batches, batches change places, and the runs of each are turned within it: what had one value
in a batch keeps one. Each statistic is standardised over the orders, and a factor's p-value is the part of the orders in which the
largest of all factors reaches its own (Westfall and Young 1993, step-down): the chance of naming anything when nothing acts is
`ALPHA` at most. Of the factors beyond chance that with the most evidence enters, if it is worth `TOLD_APART`.

What was named is named together with a factor when leaving out either of the two changes the log evidence by less than
`TOLD_APART`, provided the other would be beyond chance by itself: the data do not say which of the two acts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from models.twin.groups import Group, basis, blocks, groups, interactions, product
from models.twin.model import Model, Problem, model

ALPHA: Final = 0.05
PERMUTATIONS: Final = 199
"""With the data as they are 200."""
TOLD_APART: Final = 2.0
"""Differences of log evidence from which two factors are told apart, and one is worth having: a factor of 7.4."""
MOST_COLUMNS: Final = 12
"""Columns that stand for a factor in the test."""
LEFT_OUT: Final = 0.01
"""Share of a factor's variance that the columns leave out."""


@dataclass(frozen=True, slots=True)
class Named:
    """A factor that made a difference, or several of which one did."""

    group: Group
    """The one with the most evidence; the model holds it."""
    together: tuple[str, ...]
    """All that it cannot be told from, itself first."""
    p_value: float
    gain: float
    """Log evidence of the model with it over that of the model without."""


@dataclass(frozen=True, slots=True)
class Factors:
    """The outcome for all factors."""

    named: tuple[Named, ...]
    p_values: dict[str, float]
    """Family-wise, of each factor that was tested, at the step at which it entered or the last."""
    model: Model
    """With the named groups and at most one interaction."""


@dataclass(frozen=True, slots=True)
class _Test:
    p_values: dict[str, float]
    single: dict[str, float]
    """P-values of a factor by itself."""
    gains: dict[str, float]


def find(problem: Problem, *, seed: int = 0) -> Factors:
    """Name what made a difference."""
    left, chosen = list(groups(problem.pairs)), list[Group]()
    p_values, alone = dict[str, float](), dict[str, float]()
    current = model(problem)
    while left:
        test = _tested(current, left, seed + len(chosen))
        alone = alone or test.single
        p_values |= test.p_values
        beyond = [group for group in left if test.p_values[group.name] <= ALPHA]
        best = max(beyond, key=lambda group: test.gains[group.name], default=None)
        more = model(problem, [*chosen, best]) if best is not None else current
        if best is None or more.log_evidence - current.log_evidence < TOLD_APART:
            break
        left.remove(best)
        chosen, current = [*chosen, best], more
    suspects = [group for group in groups(problem.pairs) if alone.get(group.name, 1.0) <= ALPHA]
    current = _pruned(problem, current)
    return Factors(_grouped(problem, current, suspects, p_values), p_values, _with_interaction(current))


def _pruned(problem: Problem, current: Model) -> Model:
    """Leave out what stood in for a factor that entered after it: worth less than `TOLD_APART` beside that one, and more without it."""
    costs = {group: current.log_evidence - _with(problem, current, without=[group]) for group in current.groups}
    for group in sorted(current.groups, key=lambda one: costs[one]):
        if costs[group] >= TOLD_APART:
            break
        for other in current.groups:
            alone = _with(problem, current, without=[other]) - _with(problem, current, without=[group, other])
            if other is not group and alone >= TOLD_APART:
                return _pruned(problem, model(problem, [one for one in current.groups if one is not group]))
    return current


def _with(problem: Problem, current: Model, *, without: Sequence[Group]) -> float:
    """Return the log evidence of a model that lacks some groups."""
    return model(problem, [one for one in current.groups if one not in without]).log_evidence


def _grouped(problem: Problem, current: Model, suspects: Sequence[Group], p_values: dict[str, float]) -> tuple[Named, ...]:
    """Join to each named factor what it cannot be told from."""
    found = []
    for group in current.groups:
        base = model(problem, [one for one in current.groups if one is not group])
        others = [one for one in suspects if one.name not in {named.name for named in current.groups}]
        alike = [one.name for one in others if _alike(problem, current, group, one)]
        found.append(Named(group, (group.name, *alike), p_values[group.name], current.log_evidence - base.log_evidence))
    return tuple(found)


def _alike(problem: Problem, current: Model, group: Group, other: Group) -> bool:
    """Say whether leaving out either of the two changes the log evidence by less than `TOLD_APART`."""
    rest = [one for one in current.groups if one.name not in (group.name, other.name)]
    both, first, second = (model(problem, [*rest, *pair]).log_evidence for pair in ((group, other), (group,), (other,)))
    return both - first < TOLD_APART and both - second < TOLD_APART


def _with_interaction(current: Model) -> Model:
    """Add the one interaction of what was named that adds the most evidence, if any adds enough."""
    problem, named = current.problem, current.groups
    pairs = [
        product(a, b) for number, a in enumerate(named) for b in named[number + 1 :] if a.channel is not None and b.channel is not None
    ]
    candidates = [*(one for group in named for one in interactions(problem.pairs, group)), *pairs]
    tried = [model(problem, [*named, one]) for one in candidates]
    best = max(tried, key=lambda one: one.log_evidence, default=current)
    return best if best.log_evidence - current.log_evidence >= TOLD_APART else current


def _tested(current: Model, left: Sequence[Group], seed: int) -> _Test:
    """Test the factors that are left against the whitened residuals of the model so far."""
    problem, factor = current.problem, current.fitted.factor()
    whitened = torch.linalg.solve_triangular(factor, problem.residual.unsqueeze(1), upper=False)
    whitening = torch.linalg.solve_triangular(factor, torch.eye(len(factor), dtype=factor.dtype), upper=False)
    orders = orders_of(problem.pairs.sample_codes, seed, problem.pairs.batch_codes if problem.pairs.batched else None)
    columns = [basis(one.kernel(problem.coded, problem.coded), share=LEFT_OUT, most=MOST_COLUMNS) for one in left]
    gains = torch.stack([_gains(whitening, whitened, one, orders, current.noise) for one in columns], dim=1)
    spread = gains.std(dim=0, correction=0)
    standard = (gains - gains.mean(dim=0)) / torch.where(spread > 0, spread, 1.0)
    largest = standard.max(dim=1).values
    return _Test(
        {one.name: float((largest >= standard[0, number]).double().mean()) for number, one in enumerate(left)},
        {one.name: float((gains[:, number] >= gains[0, number]).double().mean()) for number, one in enumerate(left)},
        {one.name: float(gains[0, number]) for number, one in enumerate(left)},
    )


def _gains(
    whitening: Float[Tensor, "n n"], whitened: Float[Tensor, "n 1"], columns: Float[Tensor, "n r"], orders: Tensor, variance: float
) -> Float[Tensor, " o"]:
    """Return the log evidence that columns of a variance add, their rows in each of the orders."""
    moved = variance**0.5 * whitening @ columns[orders]
    inner = moved.mT @ moved + torch.eye(columns.shape[1], dtype=columns.dtype)
    factor = torch.linalg.cholesky(inner)
    half = torch.linalg.solve_triangular(factor, moved.mT @ whitened, upper=False).squeeze(-1)
    found: Tensor = 0.5 * half.square().sum(dim=1) - factor.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    return found


def orders_of(samples: Tensor, seed: int, batches: Tensor | None = None) -> Tensor:
    """Return orders of the rows, the first the one that they came in; batches move in blocks of time, a sample's readings together.

    Without batches each run is one. A run of a batch that comes to the place of a larger one is there more than once.
    """
    generator = torch.Generator().manual_seed(seed)
    first = _first_rows(samples)
    batch_of = (samples if batches is None else batches)[first]
    members = [(batch_of == number).nonzero()[:, 0] for number in range(int(batch_of.max()) + 1)]
    width = blocks(len(members))
    found = [torch.arange(len(samples))]
    for _ in range(PERMUTATIONS):
        turned = torch.arange(len(members)).roll(int(torch.randint(width, (1,), generator=generator)))
        parts = turned.split(width)  # type: ignore[no-untyped-call]  # torch
        order = torch.cat([parts[number] for number in torch.randperm(len(parts), generator=generator).tolist()])
        found.append(first[order if batches is None else _moved(members, order, generator)][samples])
    return torch.stack(found)


def _moved(members: Sequence[Tensor], order: Tensor, generator: torch.Generator) -> Tensor:
    """Return for each run the one that comes to its place, of the batch that comes to its batch's."""
    moved = torch.empty(sum(map(len, members)), dtype=torch.long)
    for own, number in zip(members, order.tolist(), strict=True):
        other = members[number]
        start = int(torch.randint(len(other), (1,), generator=generator))
        moved[own] = other[(torch.arange(len(own)) + start) % len(other)]
    return moved


def _first_rows(samples: Tensor) -> Tensor:
    """Return each sample's first row."""
    return torch.tensor([int((samples == number).nonzero()[0, 0]) for number in range(int(samples.max()) + 1)])
