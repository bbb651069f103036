"""The only crossing between configurations and tensors.

| parameter | inputs | code |
|---|---|---|
| continuous, discrete | 1 | (value - min) / (max - min); of logarithms where the scale is log |
| categorical | one per category | one-hot |
| composition | one per component | the fractions themselves |

Categories are one-hot instead of a Hamming kernel on integer codes: under a stationary kernel with one length scale per
input two categories a, b lie 1/l_a^2 + 1/l_b^2 apart, so that the data say which category stands alone; a Hamming kernel
has all of them equally far. One-hot inputs are also what learned features and descriptors replace one by one.

Decoding is exact: it yields legal values, not values near legal ones. What a configuration does not have stands at the centre
of its inputs (`models.inputs.presence`), and comes back as its `otherwise`.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from models.inputs.codes import Code, code_of
from models.inputs.presence import Presence, presence_of
from orchestrator.domain.parameters.composition import PRESENT
from orchestrator.domain.region import Region
from orchestrator.domain.restriction import Restriction
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration


@dataclass(frozen=True)
class Encoding:
    """Maps configurations of one search space to rows of `d` inputs and back.

    Restrictions change what is legal, never the scale: rows of all encodings of a space may be mixed.
    """

    space: SearchSpace
    restrictions: tuple[Restriction, ...] = ()

    @cached_property
    def region(self) -> Region:
        """Where proposals may lie."""
        return Region(self.space, self.restrictions)

    @cached_property
    def codes(self) -> tuple[Code, ...]:
        """One code per parameter, in order."""
        return tuple(map(code_of, self.space.parameters, self.region.space.parameters))

    @cached_property
    def bounds(self) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"]]:
        """The least and the greatest legal inputs."""
        low, high = ([value for code in self.codes for value in code.bounds[side]] for side in (0, 1))
        return torch.tensor(low, dtype=torch.float64), torch.tensor(high, dtype=torch.float64)

    def floors(self, X: Float[Tensor, "*b d"]) -> Float[Tensor, "*b d"]:
        """Return the least legal inputs while what is there stays there, and what is absent stays away."""
        low = self.bounds[0].expand_as(X).clone()
        there = self.presence.there(X)
        for code, where in zip(self.codes, self.slices, strict=True):
            if code.least:
                stays = X[..., where] > PRESENT
                if code.parameter.name in there:
                    stays = stays & there[code.parameter.name].unsqueeze(-1)
                low[..., where] = torch.where(stays, code.least, 0.0).to(X.dtype)
        return low

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Where each parameter's inputs stand."""
        ends = [sum(code.width for code in self.codes[: index + 1]) for index in range(len(self.codes))]
        return tuple(slice(end - code.width, end) for code, end in zip(self.codes, ends, strict=True))

    @cached_property
    def presence(self) -> Presence:
        """Where the parameters that are not always there are there."""
        return presence_of(self.space, self.codes, self.slices)

    @property
    def width(self) -> int:
        """Number of inputs, d."""
        return sum(code.width for code in self.codes)

    @property
    def latent(self) -> int:
        """How many uniform numbers `drawn` takes, whatever is restricted."""
        return sum(code.latent for code in self.codes)

    def drawn(self, U: Float[Tensor, "n k"]) -> Float[Tensor, "n d"]:
        """Map points of the unit cube to rows that are legal but for constraints and what is avoided."""
        parts = U.split([code.latent for code in self.codes], dim=1)  # type: ignore[no-untyped-call]  # torch is partly untyped
        return self.presence.settled(torch.cat([code.drawn(part) for code, part in zip(self.codes, parts, strict=True)], dim=1))

    def encode(self, configurations: Iterable[Configuration]) -> Float[Tensor, "n d"]:
        """Encode configurations, float64.

        Raises:
            BadInput: A category that the space does not have, or text where a number belongs.
        """
        rows = list(configurations)
        gone = [self.space.absent(row) for row in rows] if self.space.conditional else []
        return torch.cat([self._table(code, rows, gone) if code.parameter.when else code.table(rows) for code in self.codes], dim=1)

    def _table(self, code: Code, rows: Sequence[Configuration], gone: Sequence[Container[str]]) -> Float[Tensor, "n w"]:
        """Encode a parameter that is not in all of the rows."""
        there = [index for index, names in enumerate(gone) if code.parameter.name not in names]
        X = torch.tensor(code.centre, dtype=torch.float64).repeat(len(rows), 1)
        X[there] = code.table([rows[index] for index in there])
        return X

    def decode(self, x: Float[Tensor, " d"]) -> dict[str, float | str]:
        """Decode one row to a configuration whose every value is legal by itself (constraints are not looked at)."""
        values = x.tolist()
        decoded: dict[str, float | str] = {}
        for code, where in zip(self.codes, self.slices, strict=True):
            decoded |= code.decode(values[where])
        return self.space.settled(decoded) if self.space.conditional else decoded

    def numbers(self, X: Float[Tensor, "*b d"]) -> Mapping[str, Float[Tensor, " *b"]]:
        """Return all numeric columns in their units, differentiably, for constraints."""
        found = self._numbers_there(X)
        there = self.presence.there(X)
        for one in self.space.conditional:
            found |= {
                column: torch.where(there[one.name], found[column], float(value))
                for column, value in one.absence.items()
                if column in found
            }
        return found

    def _numbers_there(self, X: Float[Tensor, "*b d"]) -> dict[str, Float[Tensor, " *b"]]:
        found: dict[str, Tensor] = {}
        for code, where in zip(self.codes, self.slices, strict=True):
            found |= code.numbers(X[..., where])
        return found

    @cached_property
    def free(self) -> tuple[int, ...]:
        """Inputs that vary continuously."""
        pairs = zip(self.codes, self.slices, strict=True)
        return tuple(index for code, where in pairs if code.free for index in range(where.start, where.stop))

    @cached_property
    def affine(self) -> Mapping[str, tuple[int, float, float]]:
        """Numeric column -> (input, offset, factor) with column = offset + factor * input, where it is there; on a log scale none."""
        zero, one = (self._numbers_there(torch.full((self.width,), value, dtype=torch.float64)) for value in (0.0, 1.0))
        codes = ((code, where) for code, where in zip(self.codes, self.slices, strict=True) if code.affine)
        # each code yields its numeric columns in the order of its inputs
        owners = {column: where.start + place for code, where in codes for place, column in enumerate(code.parameter.units)}
        return {name: (index, float(zero[name]), float(one[name] - zero[name])) for name, index in owners.items()}
