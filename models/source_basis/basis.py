"""The sources of a prior as functions: their averages, and the sets that random weights mix."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from models.inputs.features import Features
from models.source_basis.source_posterior import SourceBank, SourcePosterior
from models.tasks import Fidelity

FIDELITIES: Final[tuple[Fidelity, ...]] = ("measured", "simulated")
KEPT: Final = 64
"""Tables whose source functions are remembered; a pool of candidates is asked for again at each proposal."""


@dataclass
class Memory:
    """Source functions of tables that were asked for before.

    By whole tables, not by rows: a row's last digits depend on the table that it was computed in, and a proposal that is
    computed again must find the same digits.
    """

    tables: dict[bytes, Tensor] = field(default_factory=dict)

    def get(self, X: Float[Tensor, "*b n d"], compute: Callable[[Tensor], Tensor]) -> Float[Tensor, "*b n t"]:
        """Return what `compute` gives for a table, from memory where it is there."""
        flat = X.detach().reshape(-1, X.shape[-1]).contiguous()
        key = flat.numpy().tobytes()
        found = self.tables.pop(key, None)
        if found is None:
            if len(self.tables) >= KEPT:
                del self.tables[next(iter(self.tables))]
            with torch.no_grad():
                found = compute(flat)
        self.tables[key] = found  # last: what was not asked for longest goes first
        return found.reshape(*X.shape[:-1], found.shape[-1])


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

    @cached_property
    def _bank(self) -> SourceBank:
        return SourceBank.of(self.sources)

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
        return self.memory.get(X, self._computed)

    def _computed(self, X: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b n t"]:
        return self._bank(self.features(X))
