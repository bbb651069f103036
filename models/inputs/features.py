"""From encoded configurations to what learned models compare: descriptors of categories, properties of elements.

`Features` is the identity on numbers. A categorical with descriptors becomes its descriptor columns (scaled to unit
range); one without stays one-hot. A composition keeps its fractions and gains, per elemental property, the
fraction-weighted mean and spread, and the mixing entropy. All of it is differentiable in the encoded inputs, so that
continuous spaces are searched with gradients.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from models.inputs.encoding import Encoding
from orchestrator.domain.parameters import Parameter
from orchestrator.errors import BadInput

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
        return torch.cat(self._parts(X), dim=-1)

    def _parts(self, X: Float[Tensor, "*b d"]) -> list[Tensor]:
        codes = zip(self.encoding.codes, self.encoding.slices, self._tables, strict=True)
        return [X[..., where] if table is None else code.described(X[..., where], table) for code, where, table in codes]

    @cached_property
    def groups(self) -> tuple[slice, ...]:
        """Where each parameter's features stand, in the parameters' order."""
        widths = [part.shape[-1] for part in self._parts(torch.zeros(1, self.encoding.width, dtype=torch.float64))]
        ends = [sum(widths[: index + 1]) for index in range(len(widths))]
        return tuple(slice(end - width, end) for end, width in zip(ends, widths, strict=True))

    @cached_property
    def _tables(self) -> tuple[Tensor | None, ...]:
        return tuple(_table(parameter, self.descriptors.get(parameter.name)) for parameter in self.encoding.space.parameters)


def _table(parameter: Parameter, known: Mapping[str, Sequence[float]] | None) -> Tensor | None:
    """Return the properties of a parameter's names, each column scaled to 0..1."""
    if known is None:
        return None
    names = parameter.names
    missing = [name for name in names if name not in known]
    if missing or not names:
        raise BadInput(f"parameter {parameter.name}: no descriptors of {missing[0] if missing else 'a number'}; has {', '.join(known)}")
    table = torch.tensor([list(known[name]) for name in names], dtype=torch.float64)
    low, high = table.amin(dim=0), table.amax(dim=0)
    return (table - low) / torch.where(high > low, high - low, 1.0)
