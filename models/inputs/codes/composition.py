"""Compositions as tensors: the fractions themselves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import ClassVar, Final

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from models.inputs.codes.code import Code, number_of, picked, selection
from orchestrator.domain.parameters import CompositionParameter
from orchestrator.domain.parameters.composition import on_simplex
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
        return self.legal.most < self.width

    @override
    def encode(self, configuration: Configuration) -> list[float]:
        return [number_of(configuration, column) for column in self.legal.columns]

    @override
    def decode(self, inputs: Sequence[float]) -> dict[str, float | str]:
        if self.legal.fixed is not None:
            return self.legal.point(self.legal.fixed)
        fractions = on_simplex(inputs, self.legal.max_components)
        return self.legal.point(fractions if self.legal.parts is None else on_lattice(fractions, self.legal.parts))

    @override
    def numbers(self, X: Float[Tensor, "*b w"]) -> dict[str, Float[Tensor, " *b"]]:
        return {column: X[..., index] for index, column in enumerate(self.legal.columns)}

    @override
    def drawn(self, U: Float[Tensor, "n w"]) -> Float[Tensor, "n v"]:
        """Draw uniformly from the simplex of the components chosen (normalised exponentials), then go to the lattice."""
        if self.legal.fixed is not None:
            return torch.tensor(self.legal.fixed, dtype=U.dtype).expand(len(U), -1)
        members = _subsets(self.width, self.legal.most)
        amounts = (-torch.log1p(-U[:, 1:])).clamp_min(_LEAST_AMOUNT) * members[picked(U[:, 0], len(members))]
        fractions = amounts / amounts.sum(dim=1, keepdim=True)
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


def on_lattice(fractions: Sequence[float], parts: int) -> list[float]:
    """Take the nearest fractions that are whole multiples of 1/parts and sum to one (largest remainders go up)."""
    exact = [fraction * parts for fraction in fractions]
    counts = [math.floor(value + _ROUNDING) for value in exact]
    order = sorted(range(len(exact)), key=lambda index: counts[index] - exact[index])
    for index in order[: parts - sum(counts)]:
        counts[index] += 1
    return [count / parts for count in counts]


def _on_lattice(fractions: Float[Tensor, "n c"], parts: int) -> Float[Tensor, "n c"]:
    """Do for many rows what `on_lattice` does for one."""
    exact = fractions * parts
    counts = (exact + _ROUNDING).floor()
    rank = (counts - exact).argsort(dim=1, stable=True).argsort(dim=1)
    return (counts + (rank < parts - counts.sum(dim=1, keepdim=True))) / parts


@lru_cache(maxsize=64)
def _subsets(width: int, most: int) -> Float[Tensor, "s c"]:
    """Return which components may be present together, each subset of at most `most` once; all where all may be."""
    if most == width:
        return torch.ones(1, width, dtype=torch.float64)
    chosen = [members for size in range(1, most + 1) for members in combinations(range(width), size)]
    return torch.tensor([[float(index in members) for index in range(width)] for members in chosen], dtype=torch.float64)
