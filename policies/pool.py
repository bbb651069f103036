"""Tables of configurations: which rows are left, and draws from them that need no model."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from models.inputs.encoding import Encoding
from models.inputs.proximity import parameter_distances
from orchestrator.domain.region import Region
from orchestrator.domain.values import Configuration
from orchestrator.ports import Knowledge

BLOCK: Final = 512
"""Rows scored at a time; keeps the joint covariances with the measured points in the cache."""
Blocks = tuple[Float[Tensor, "c 1 d"], ...]
"""A table as t-batches of one point each, cut into blocks."""


def blocks(X: Float[Tensor, "n d"]) -> Blocks:
    """Cut a table into blocks."""
    return X.unsqueeze(-2).split(BLOCK)  # type: ignore[no-untyped-call,no-any-return]  # torch is partly untyped


@dataclass(frozen=True)
class Pool:
    """Configurations to choose from, each once, encoded once. Rows come back as they were given."""

    encoding: Encoding
    rows: tuple[dict[str, float | str], ...]

    @cached_property
    def encoded(self) -> Float[Tensor, "n d"]:
        """The table, encoded."""
        return self.encoding.encode(self.rows)

    @cached_property
    def blocks(self) -> Blocks:
        """The table in blocks, the same tensors each time: models may keep what they compute of them."""
        return blocks(self.encoded)

    @cached_property
    def _index(self) -> Mapping[tuple[float | str, ...], int]:
        return {self.encoding.space.key(row): index for index, row in enumerate(self.rows)}

    def without(self, configurations: Iterable[Configuration]) -> list[int]:
        """Return the indices of all rows but some; configurations that are no rows are passed over."""
        gone = {self._index.get(self.encoding.space.key(one)) for one in configurations}
        return [index for index in range(len(self.rows)) if index not in gone]

    def left(self, knowledge: Knowledge, *taken: Configuration) -> list[int]:
        """Return the indices of rows that were never proposed, are not pending, taken or infeasible, and that no restriction forbids."""
        return self.legal(self.without((*used(knowledge), *taken)), knowledge)

    def legal(self, indices: Iterable[int], knowledge: Knowledge) -> list[int]:
        """Return those of some rows that no restriction forbids."""
        region = Region(self.encoding.space, knowledge.restrictions)
        return [index for index in indices if region.is_whole or region.complaint(self.rows[index]) is None]

    def told_apart(self, indices: Sequence[int], others: Sequence[Configuration]) -> list[int]:
        """Return those of some rows that the bench tells apart from all others; all where it tells none apart.

        Whoever lists two rows means two experiments: rows closer than the resolution go together when nothing else is left.
        """
        apart = told_apart(self.encoding, self.encoded[list(indices)], self.encoding.encode(others)).tolist()
        return [index for index, good in zip(indices, apart, strict=True) if good] or list(indices)


def told_apart(encoding: Encoding, X: Float[Tensor, "n d"], others: Float[Tensor, "k d"]) -> Bool[Tensor, " n"]:
    """Say which points the bench tells apart from all others: `orchestrator.domain.distance.alike` on encoded rows."""
    least = _least(encoding)
    apart = torch.ones(len(X), dtype=torch.bool)
    for other in others:
        apart &= (parameter_distances(other, X, encoding) >= least).any(dim=1)
    return apart


def is_new(encoding: Encoding, row: Configuration, others: Float[Tensor, "k d"]) -> bool:
    """Say whether the bench tells a configuration apart from all others, which are encoded and many."""
    apart = parameter_distances(encoding.encode([row])[0], others, encoding) >= _least(encoding)
    return bool(apart.any(dim=1).all())


def _least(encoding: Encoding) -> Float[Tensor, " p"]:
    return torch.tensor([parameter.least_difference for parameter in encoding.space.parameters], dtype=torch.float64)


def candidate_table(encoding: Encoding) -> Pool:
    """Return the candidate table of a space, each configuration once."""
    unique = {encoding.space.key(row): dict(row) for row in reversed(encoding.space.candidates or ())}
    return Pool(encoding, tuple(reversed(unique.values())))


def used(knowledge: Knowledge) -> tuple[Configuration, ...]:
    """Return all configurations that were proposed, run or measured."""
    infeasible = (one.configuration for one in knowledge.infeasible)
    return (*knowledge.excluded, *knowledge.pending, *infeasible, *(one.configuration for one in knowledge.observations))


def done(knowledge: Knowledge) -> int:
    """Count what was proposed so far."""
    met = len(knowledge.observations) + len(knowledge.pending) + len(knowledge.infeasible) - knowledge.partial
    return max(len(knowledge.excluded), met)


def spread_out(
    X: Float[Tensor, "n d"], known: Float[Tensor, "k d"], left: Sequence[int], *, count: int, generator: torch.Generator
) -> list[int]:
    """Draw rows far from each other and from known ones, without repeats.

    Each is drawn with a chance in proportion to its squared distance from the nearest row taken before (the seeding of
    k-means++ [Arthur2007]): fills the space as farthest-point search does, without its liking for outliers.
    """
    chosen: list[int] = []
    distance = _squared(X, known).amin(dim=1) if len(known) else torch.ones(len(X), dtype=X.dtype)
    open_ = torch.zeros(len(X), dtype=torch.bool)
    open_[list(left)] = True
    for _ in range(min(count, len(left))):
        weight = torch.where(open_, distance.clamp_min(0.0), 0.0)
        weight = weight if weight.sum() > 0 else open_.to(X.dtype)
        index = int(torch.multinomial(weight, 1, generator=generator))
        first = not chosen and not len(known)
        chosen.append(index)
        open_[index] = False
        nearest = _squared(X, X[index : index + 1])[:, 0]
        distance = nearest if first else torch.minimum(distance, nearest)
    return chosen


def _squared(left: Float[Tensor, "n d"], right: Float[Tensor, "k d"]) -> Float[Tensor, "n k"]:
    # differences, not the expanded square: exact zeros for equal rows
    return (left.unsqueeze(1) - right.unsqueeze(0)).square().sum(dim=-1)
