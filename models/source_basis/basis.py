"""The sources of a prior as functions: their averages, and the sets that random weights mix."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from models.gaussian_processes.table_memory import TableMemory
from models.inputs.features import Features
from models.source_basis.source_posterior import SourceBank, SourcePosterior
from models.tasks import Fidelity

FIDELITIES: Final[tuple[Fidelity, ...]] = ("measured", "simulated")


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
    memory: TableMemory = field(default_factory=TableMemory, compare=False, repr=False)

    @cached_property
    def _sets(self) -> tuple[tuple[str, list[int]], ...]:
        """Return each kind with those in use: one that a restriction empties keeps its place, as functions that are nought."""
        used = range(len(self.sources)) if self.chosen is None else self.chosen
        kinds = [kind for kind in FIDELITIES if kind in self.fidelities]
        return tuple((kind, [index for index in used if self.fidelities[index] == kind]) for kind in kinds)

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
        return self.combined(self.functions(X)) if self._sets else (X[..., :0], ())

    def combined(self, G: Float[Tensor, "*b n t"]) -> tuple[Float[Tensor, "*b n a"], tuple[Float[Tensor, "*b n s"], ...]]:
        """Return averages and sets of source functions that are known; both are linear in them."""
        if not self._sets:
            return G[..., :0], ()
        sets = [G[..., members] if members else torch.zeros_like(G[..., :1]) for _, members in self._sets]
        averages = [functions.mean(dim=-1, keepdim=True) for functions in sets]
        if self.kinship is not None:
            plain = next((average for average, (_, members) in zip(averages, self._sets, strict=True) if members), averages[0])
            averages.append((G @ self.kinship).unsqueeze(-1) - plain)
        return torch.cat(averages, dim=-1), tuple(functions / functions.shape[-1] ** 0.5 for functions in sets)

    def functions(self, X: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b n t"]:
        """Return all sources' means; remembered unless a gradient is asked for."""
        if X.requires_grad:
            return self._computed(X)
        return self.memory.get(X, self._computed)

    def _computed(self, X: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b n t"]:
        return self._bank(self.features(X))
