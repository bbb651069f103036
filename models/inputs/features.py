"""From encoded configurations to what learned models compare: descriptors of categories, properties of elements.

`Features` is the identity on numbers. A categorical with descriptors becomes its descriptor columns (scaled to unit
range); one without stays one-hot. A composition keeps its fractions and gains, per elemental property, the
fraction-weighted mean and spread, and the mixing entropy. All of it is differentiable in the encoded inputs, so that
continuous spaces are searched with gradients.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from models.inputs.encoding import Encoding
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, Parameter
from orchestrator.errors import BadInput

ENTROPY_FLOOR: Final = 1e-12
"""Fractions below it count as it: keeps the entropy's slope finite."""
SPREAD_FLOOR: Final = 1e-9
"""Least variance under the root of a spread: keeps its slope finite for a pure component."""

Descriptors = Mapping[str, Mapping[str, Sequence[float]]]
"""Parameter -> category or component -> its properties, in one order for all."""


@dataclass(frozen=True)
class Features:
    """Maps rows of `d` encoded inputs to `f` features."""

    encoding: Encoding
    descriptors: Descriptors = field(default_factory=dict)

    @cached_property
    def width(self) -> int:
        """Number of features, f."""
        return self(torch.zeros(1, self.encoding.width, dtype=torch.float64)).shape[-1]

    def __call__(self, X: Float[Tensor, "*b d"]) -> Float[Tensor, "*b f"]:
        """Compute features, float64, differentiably."""
        pairs = zip(self.encoding.space.parameters, self.encoding.slices, self._tables, strict=True)
        parts = [_part(parameter, X[..., where], table) for parameter, where, table in pairs]
        return torch.cat(parts, dim=-1)

    @cached_property
    def groups(self) -> tuple[slice, ...]:
        """Where each parameter's features stand, in the parameters' order."""
        zeros = torch.zeros(1, self.encoding.width, dtype=torch.float64)
        pairs = zip(self.encoding.space.parameters, self.encoding.slices, self._tables, strict=True)
        widths = [_part(parameter, zeros[..., where], table).shape[-1] for parameter, where, table in pairs]
        ends = [sum(widths[: index + 1]) for index in range(len(widths))]
        return tuple(slice(end - width, end) for end, width in zip(ends, widths, strict=True))

    @cached_property
    def _tables(self) -> tuple[Tensor | None, ...]:
        return tuple(_table(parameter, self.descriptors.get(parameter.name)) for parameter in self.encoding.space.parameters)


def _table(parameter: Parameter, known: Mapping[str, Sequence[float]] | None) -> Tensor | None:
    """Return the properties of a parameter's names, each column scaled to 0..1."""
    if known is None:
        return None
    names = parameter.categories if isinstance(parameter, CategoricalParameter) else getattr(parameter, "components", ())
    missing = [name for name in names if name not in known]
    if missing or not names:
        raise BadInput(f"parameter {parameter.name}: no descriptors of {missing[0] if missing else 'a number'}; has {', '.join(known)}")
    table = torch.tensor([list(known[name]) for name in names], dtype=torch.float64)
    low, high = table.amin(dim=0), table.amax(dim=0)
    return (table - low) / torch.where(high > low, high - low, 1.0)


def _part(parameter: Parameter, X: Float[Tensor, "*b w"], table: Float[Tensor, "w p"] | None) -> Float[Tensor, "*b f"]:
    if table is None:
        return X
    means = X @ table
    if not isinstance(parameter, CompositionParameter):
        return means
    spread = (X @ table.square() - means.square()).clamp_min(SPREAD_FLOOR).sqrt()
    shares = X.clamp_min(ENTROPY_FLOOR)
    entropy = -(shares * shares.log()).sum(dim=-1, keepdim=True)
    return torch.cat([X, means, spread, entropy], dim=-1)
