"""What may be proposed next: rows of a table that are left, or the points of an open space; and the best of it."""

import math
from dataclasses import dataclass
from typing import Final, Protocol

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from policies.acquisition import LogImprovement
from policies.optimise import Found, Search, best_row, score_blocks
from policies.pool import Pool

HOPELESS: Final = -20.0
"""Log improvement, in spreads of the scores, below which no sample improves: what is computed there is BoTorch's smoothing."""


class Options(Protocol):
    """What may be proposed next."""

    def encoded(self, seed: int) -> Float[Tensor, "n d"]:
        """Return all of it, or some where it is a continuum: what the search looks at first."""
        ...

    def best(self, acquisition: LogImprovement, around: Float[Tensor, "k d"], seed: int) -> Found | None:
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
    def best(self, acquisition: LogImprovement, around: Float[Tensor, "k d"], seed: int) -> Found | None:
        if not self.indices:
            return None
        index, value = best_row(acquisition, self.pool.blocks, self.indices, torch.Generator().manual_seed(seed))
        return Found(dict(self.pool.rows[index]), value)

    def is_hopeless(self, acquisition: LogImprovement) -> bool:
        """Say whether no row improves on the level in any sample: its order would be that of the tails."""
        values = score_blocks(acquisition, self.pool.blocks)[list(self.indices)]
        return float(values.max()) < HOPELESS + math.log(acquisition.scale)


@dataclass(frozen=True, slots=True)
class Open(Options):
    """An open space."""

    search: Search

    @override
    def encoded(self, seed: int) -> Float[Tensor, "n d"]:
        return self.search.everywhere(seed)

    @override
    def best(self, acquisition: LogImprovement, around: Float[Tensor, "k d"], seed: int) -> Found | None:
        return self.search.best(acquisition, around, seed=seed)
