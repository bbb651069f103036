"""The sources of a prior as functions: their averages, and the sets that random weights mix."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from models.features import Features
from models.source_posterior import SourcePosterior
from models.tasks import Fidelity

FIDELITIES: Final[tuple[Fidelity, ...]] = ("measured", "simulated")
KEPT: Final = 100_000
"""Rows whose source functions are remembered; a pool of candidates is asked for again at each proposal."""


@dataclass
class Memory:
    """Source functions of rows that were asked for before."""

    places: dict[bytes, int] = field(default_factory=dict)
    values: list[Tensor] = field(default_factory=list)
    joined: Tensor | None = None

    def make_room(self, rows: int) -> None:
        """Forget everything before there would be too much."""
        if len(self.places) + rows > KEPT:
            self.places.clear()
            self.values.clear()
            self.joined = None


@dataclass(frozen=True)
class Basis:
    """Mean functions of `t` sources, measured ones apart from simulated ones: the evidence weighs each kind by itself."""

    features: Features
    sources: tuple[SourcePosterior, ...]
    fidelities: tuple[Fidelity, ...]
    kinship: Float[Tensor, " t"] | None = None
    """Weights of an average by what is known about the tasks; None where nothing is."""
    chosen: tuple[int, ...] | None = None
    """Sources in use; all where None."""
    memory: Memory = field(default_factory=Memory, compare=False, repr=False)

    @cached_property
    def _sets(self) -> tuple[tuple[str, list[int]], ...]:
        used = range(len(self.sources)) if self.chosen is None else self.chosen
        sets = [(kind, [index for index in used if self.fidelities[index] == kind]) for kind in FIDELITIES]
        return tuple((kind, members) for kind, members in sets if members)

    @property
    def set_names(self) -> tuple[str, ...]:
        """The kinds of source there are."""
        return tuple(kind for kind, _ in self._sets)

    @property
    def columns(self) -> int:
        """Number of averages."""
        return len(self._sets) + (self.kinship is not None)

    def restricted(self, chosen: Sequence[int], kinship: Float[Tensor, " t"] | None) -> "Basis":
        """Return the basis of some of the sources; what is remembered is shared."""
        return replace(self, chosen=tuple(chosen), kinship=kinship)

    def __call__(self, X: Float[Tensor, "*b n d"]) -> tuple[Float[Tensor, "*b n a"], tuple[Float[Tensor, "*b n s"], ...]]:
        """Return the averages, and each set's functions over the root of their number."""
        if not self._sets:
            return X[..., :0], ()
        G = self.functions(X)
        sets = [G[..., members] for _, members in self._sets]
        averages = [functions.mean(dim=-1, keepdim=True) for functions in sets]
        if self.kinship is not None:
            averages.append((G @ self.kinship).unsqueeze(-1) - averages[0])
        return torch.cat(averages, dim=-1), tuple(functions / functions.shape[-1] ** 0.5 for functions in sets)

    def functions(self, X: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b n t"]:
        """Return all sources' means; remembered unless a gradient is asked for."""
        if X.requires_grad:
            return self._computed(X)
        rows = X.detach().reshape(-1, X.shape[-1]).contiguous()
        keys = [row.tobytes() for row in rows.numpy()]
        self.memory.make_room(len(keys))
        places = self.memory.places
        fresh = {key: index for index, key in enumerate(keys) if key not in places}
        if fresh:
            self._remember(list(fresh), rows[list(fresh.values())])
        joined = self._joined()
        return joined[[places[key] for key in keys]].reshape(*X.shape[:-1], len(self.sources))

    def _computed(self, X: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b n t"]:
        F = self.features(X)
        return torch.stack([source(F) for source in self.sources], dim=-1)

    def _remember(self, keys: Sequence[bytes], rows: Float[Tensor, "k d"]) -> None:
        memory = self.memory
        first = len(memory.places)
        with torch.no_grad():
            memory.values.append(self._computed(rows))
        memory.places.update({key: first + index for index, key in enumerate(keys)})
        memory.joined = None

    def _joined(self) -> Float[Tensor, "r t"]:
        memory = self.memory
        if memory.joined is None:
            memory.joined = torch.cat(memory.values)
            memory.values[:] = [memory.joined]
        return memory.joined
