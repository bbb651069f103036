"""What may be proposed next: rows of a table that are left, or the points of an open space; and the best of it."""

import math
from dataclasses import dataclass
from typing import Final, Protocol

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from models.base import Surrogate
from models.pinned import Functions, moments
from policies.acquisition import LogImprovement, Question
from policies.exploring import LEARNT
from policies.limits import chances, counts_as_kept
from policies.optimise import Found, Search, best_row
from policies.pareto import leading_expected
from policies.pool import Pool, blocks
from policies.score import Score

INCUMBENTS: Final = 3
"""Best measured points around which the search looks closely."""
ALONG: Final = 5
"""The same of a front."""
HOPELESS: Final = -20.0
"""Log improvement, in spreads of the scores, below which no sample improves: what is computed there is BoTorch's smoothing."""


class Options(Protocol):
    """What may be proposed next."""

    def encoded(self, seed: int) -> Float[Tensor, "n d"]:
        """Return all of it, or some where it is a continuum: what the search looks at first."""
        ...

    def best(self, question: Question, acquisition: LogImprovement) -> Found | None:
        """Return the best of it; None where there is nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Rows(Options):
    """Rows of a table that are left."""

    pool: Pool
    indices: tuple[int, ...]

    @override
    def encoded(self, seed: int) -> Float[Tensor, "n d"]:
        return self.pool.encoded[list(self.indices)]

    @override
    def best(self, question: Question, acquisition: LogImprovement) -> Found | None:
        if not self.indices:
            return None
        index, value = best_row(acquisition, self.pool.blocks, self.indices, torch.Generator().manual_seed(question.seed))
        return Found(dict(self.pool.rows[index]), value)


@dataclass(frozen=True, slots=True)
class Open(Options):
    """An open space."""

    search: Search
    last_resort: Search | None = None
    """Where the search finds nothing."""

    @override
    def encoded(self, seed: int) -> Float[Tensor, "n d"]:
        return self.search.everywhere(seed)

    @override
    def best(self, question: Question, acquisition: LogImprovement) -> Found | None:
        around = _incumbents(question)
        found = self.search.best(acquisition, around, seed=question.seed)
        if found is None and self.last_resort is not None:
            return self.last_resort.best(acquisition, around, seed=question.seed)
        return found


def _incumbents(question: Question) -> Float[Tensor, "k d"]:
    """Return good points that are known: the best expected ones, of a front a few all along it, none where nothing is best."""
    kind = question.score.objective.kind
    if kind in LEARNT:
        return question.goalposts[:0]
    if kind == "pareto":
        return leading_expected(question.surrogate, question.score, question.goalposts, ALONG)
    return best_expected(question.surrogate, question.score, question.goalposts, question.functions)[:INCUMBENTS]


def is_hopeless(found: Found, acquisition: LogImprovement, x: Float[Tensor, "1 d"]) -> bool:
    """Say whether the best, encoded as `x`, improves on the level in no sample: the order of scores would be that of the tails."""
    if acquisition.limited is not None:
        return float(acquisition.limited.improves(x)) == 0.0
    return found.value < HOPELESS + math.log(acquisition.scale)


def best_expected(surrogate: Surrogate, score: Score, X: Float[Tensor, "n d"], functions: Functions | None = None) -> Float[Tensor, "n d"]:
    """Return points in the order of their predicted scores, the best first; `functions` are the surrogate's, where they are known.

    Where there are limits, those that count as keeping them come first; the others follow in the order of their chance.
    """
    if functions is not None and not score.objective.outcomes:
        return X[score(moments(functions, X)[0]).argsort(descending=True, stable=True)]
    with torch.no_grad():
        scores = torch.cat([score(surrogate.posterior(block).mean.squeeze(-2)) for block in blocks(X)])
    if score.objective.outcomes:
        found = [chances(surrogate, score, block.squeeze(-2)) for block in blocks(X)]
        each, whole = torch.cat([one for one, _ in found]), torch.cat([one for _, one in found])
        ranks = scores.argsort(stable=True).argsort().to(scores.dtype)
        scores = torch.where(counts_as_kept(score, each), 2.0 + ranks, whole)
    return X[scores.argsort(descending=True, stable=True)]
