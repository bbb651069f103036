"""Which parameters encoded configurations have, told by the inputs of the categories that their conditions name.

What is absent stands at the centre of its inputs (the middle of a range, equal parts of names or components): two
configurations without it do not differ by it, and of all single points the centre is the one from which none that has it
is farther than half its range. That one has it and another has not is told by the inputs of the category beside it. So the
kernel stays one of points in a Euclidean space, and with it positive definite. Leaving what is absent out of a product of
kernels would not be: with correlations k(a, c) = k(b, c) = 1 to a point without it, k(a, b) must be 1 too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from models.inputs.codes import Code
from orchestrator.domain.space import SearchSpace

CHOSEN: Final = 0.5
"""Of inputs that are one where a category is chosen, and zero elsewhere, so much in sum says that one of them is."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Where one parameter is there."""

    name: str
    own: slice
    """Its inputs."""
    centre: tuple[float, ...]
    """What they are where it is absent."""
    needed: tuple[tuple[str, tuple[int, ...], slice], ...]
    """Parameters that the condition names, inputs of which one must be chosen, and all of their inputs."""


@dataclass(frozen=True, slots=True)
class Presence:
    """Where the conditional parameters of a space are there."""

    conditions: tuple[Condition, ...] = ()
    """Each after those of the parameters that it names."""

    def there(self, X: Float[Tensor, "*b d"]) -> dict[str, Bool[Tensor, " *b"]]:
        """Say of each conditional parameter in which rows it is there."""
        found: dict[str, Tensor] = {}
        for one in self.conditions:
            holds = torch.ones(X.shape[:-1], dtype=torch.bool, device=X.device)
            for name, inputs, _ in one.needed:
                holds &= X[..., list(inputs)].sum(dim=-1) > CHOSEN
                if name in found:
                    holds &= found[name]
            found[one.name] = holds
        return found

    @property
    def deciding(self) -> tuple[int, ...]:
        """The inputs of all categories of the parameters that conditions name."""
        return tuple(sorted({index for one in self.conditions for _, _, where in one.needed for index in range(where.start, where.stop)}))

    def settled(self, X: Float[Tensor, "*b d"]) -> Float[Tensor, "*b d"]:
        """Put what is absent at its centre; rows in which nothing is absent stay as they are."""
        if not self.conditions:
            return X
        there, X = self.there(X), X.clone()
        for one in self.conditions:
            centre = torch.tensor(one.centre, dtype=X.dtype, device=X.device)
            X[..., one.own] = torch.where(there[one.name].unsqueeze(-1), X[..., one.own], centre)
        return X

    def absent(self, x: Float[Tensor, " d"]) -> frozenset[int]:
        """Return the inputs of what one row does not have."""
        there = self.there(x) if self.conditions else {}
        return frozenset(index for one in self.conditions if not there[one.name] for index in range(one.own.start, one.own.stop))


def presence_of(space: SearchSpace, codes: Sequence[Code], slices: Sequence[slice]) -> Presence:
    """Return where the conditional parameters of a space are there, by where each parameter's inputs stand."""
    places = {code.parameter.name: (code, where) for code, where in zip(codes, slices, strict=True)}

    def needed(name: str, categories: Sequence[str]) -> tuple[str, tuple[int, ...], slice]:
        code, where = places[name]
        return name, tuple(where.start + place for place, category in enumerate(code.parameter.names) if category in categories), where

    return Presence(
        tuple(
            Condition(one.name, places[one.name][1], tuple(places[one.name][0].centre), tuple(needed(*each) for each in one.when.items()))
            for one in space.conditional
        )
    )
