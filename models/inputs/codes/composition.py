"""Compositions as tensors: the fractions themselves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Final

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from models.inputs.codes.code import Code, number_of, selection
from orchestrator.domain.parameters import CompositionParameter
from orchestrator.domain.values import Configuration

_ROUNDING: Final = 1e-9
"""A fraction this little below a multiple (float noise) is that multiple."""
_LEAST_AMOUNT: Final = 1e-12
"""Keeps a sum of amounts above zero where a point lies on the cube's edge."""
_ENTROPY_FLOOR: Final = 1e-12
"""Fractions below it count as it: keeps the entropy's slope finite."""
_SPREAD_FLOOR: Final = 1e-9
"""Least variance under the root of a spread: keeps its slope finite for a pure component."""


@dataclass(frozen=True, slots=True)
class CompositionCode(Code):
    """Code of a composition."""

    parameter: CompositionParameter
    legal: CompositionParameter
    counted: ClassVar[int] = 2

    @property
    @override
    def width(self) -> int:
        return len(self.legal.components)

    @property
    @override
    def centre(self) -> list[float]:
        return [1.0 / self.width] * self.width

    @property
    @override
    def latent(self) -> int:
        # one number chooses the components, one per component their amounts
        return 1 + self.width

    @property
    @override
    def sums_to_one(self) -> bool:
        return self.free

    @property
    @override
    def few(self) -> bool:
        return self.legal.most < self.width or self.least > 0

    @property
    @override
    def least(self) -> float:
        return self.legal.least

    @override
    def encode(self, configuration: Configuration) -> list[float]:
        return [number_of(configuration, column) for column in self.legal.columns]

    @override
    def decode(self, inputs: Sequence[float]) -> dict[str, float | str]:
        return self.legal.point(self.legal.nearest(inputs))

    @override
    def numbers(self, X: Float[Tensor, "*b w"]) -> dict[str, Float[Tensor, " *b"]]:
        return {column: X[..., index] for index, column in enumerate(self.legal.columns)}

    @override
    def drawn(self, U: Float[Tensor, "n w"]) -> Float[Tensor, "n v"]:
        """Draw uniformly from the face of the components chosen (normalised exponentials), then go to the lattice."""
        if self.legal.fixed is not None:
            return torch.tensor(self.legal.fixed, dtype=U.dtype).expand(len(U), -1)
        members = torch.ones_like(U[:, 1:]) if not self.few else _subset(U[:, 0], self.width, self.legal.most)
        amounts = (-torch.log1p(-U[:, 1:])).clamp_min(_LEAST_AMOUNT) * members
        fractions = amounts / amounts.sum(dim=1, keepdim=True)
        if self.least:
            room = (1 - self.least * members.sum(dim=1, keepdim=True)).clamp_min(0.0)
            fractions = self.least * members + room * fractions
        return fractions if self.legal.parts is None else _on_lattice(fractions, self.legal.parts)

    @override
    def described(self, X: Float[Tensor, "*b w"], table: Float[Tensor, "w p"]) -> Float[Tensor, "*b f"]:
        means = X @ table
        spread = (X @ table.square() - means.square()).clamp_min(_SPREAD_FLOOR).sqrt()
        shares = X.clamp_min(_ENTROPY_FLOOR)
        entropy = -(shares * shares.log()).sum(dim=-1, keepdim=True)
        return torch.cat([X, means, spread, entropy], dim=-1)

    @override
    def carried(self, goal: Code, what: str) -> tuple[Tensor, Tensor]:
        if not isinstance(goal, CompositionCode):
            raise self.stranger(goal, what)
        own, theirs = self.parameter.components, goal.parameter.components
        # elements are written `ni` here and `Ni` there
        here, there = ([name.casefold() for name in names] for names in (own, theirs))
        distinct = len(set(here)) == len(here) and len(set(there)) == len(there)
        label = f"{what}: parameter {self.parameter.name}: component"
        return selection(here, there, label) if distinct else selection(own, theirs, label)


def _on_lattice(fractions: Float[Tensor, "n c"], parts: int) -> Float[Tensor, "n c"]:
    """Do for many rows what `on_lattice` does for one."""
    exact = fractions * parts
    counts = (exact + _ROUNDING).floor()
    rank = (counts - exact).argsort(dim=1, stable=True).argsort(dim=1)
    return (counts + (rank < parts - counts.sum(dim=1, keepdim=True))) / parts


def _subset(U: Float[Tensor, " n"], width: int, most: int) -> Float[Tensor, "n c"]:
    """Choose which components are present together, each subset of at most `most` as often: by its number, none is listed."""
    counts = _binomials(width)
    ends = counts[width, 1 : most + 1].cumsum(dim=0)
    rank = (U * ends[-1]).floor().clamp_max(ends[-1] - 1)
    size = torch.searchsorted(ends, rank, right=True)
    rank, left = rank - torch.cat([torch.zeros(1, dtype=U.dtype), ends])[size], size + 1
    chosen = []
    for others in reversed(range(width)):
        # so many subsets, first in their order, have this component
        having = torch.where(left > 0, counts[others, (left - 1).clamp_min(0)], 0.0)
        taken = (rank < having) | (left > others)
        chosen.append(taken)
        rank, left = torch.where(taken, rank, rank - having), left - taken.long()
    return torch.stack(chosen, dim=1).to(U.dtype)


@lru_cache(maxsize=64)
def _binomials(width: int) -> Float[Tensor, "n k"]:
    """Return how many subsets of k among n there are: exact below 2**53, and near enough to choose by beyond."""
    rows = [[float(math.comb(n, k)) for k in range(width + 1)] for n in range(width + 1)]
    return torch.tensor(rows, dtype=torch.float64)
