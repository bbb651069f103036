"""The kernel of a family: a product over all inputs at several lengths, and a sum over single parameters.

With inputs scaled by length scales (one per number, one per category set or table of properties' column),

    product_r(x, z) = M(|x - z| / r),        additive(x, z) = sum_p share_p M(|x_p - z_p|)

where M is the Matern-5/2 correlation and p runs over parameters. All are correlations (one on the diagonal); amplitudes
belong to whoever combines them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from models.inputs.features import Features

TINY: Final = 1e-20
"""Squared distances below it count as it: keeps the root's slope finite, and zero for equal points."""


def matern(squared: Float[Tensor, "*b n m"]) -> Float[Tensor, "*b n m"]:
    """Return the Matern-5/2 correlation at squared distances in length scales [Rasmussen2006]."""
    r = (5.0 * squared.clamp_min(TINY)).sqrt()
    return (1.0 + r + r.square() / 3.0) * torch.exp(-r)


def squared_distances(A: Float[Tensor, "*b n f"], B: Float[Tensor, "*b m f"]) -> Float[Tensor, "*b n m"]:
    """Return squared distances; expanded, since what is lost (1e-16 of the squared norms) is less than the jitter."""
    squares = A.square().sum(dim=-1).unsqueeze(-1) + B.square().sum(dim=-1).unsqueeze(-2)
    return (squares - 2.0 * A @ B.mT).clamp_min(0.0)


@dataclass(frozen=True)
class Layout:
    """Which features share a length scale, and which parameter they belong to."""

    blocks: tuple[int, ...]
    """Feature -> length scale: categories share one, everything else has its own."""
    parameters: tuple[slice, ...]
    """Parameter -> features."""

    @property
    def lengths(self) -> int:
        """Number of length scales."""
        return max(self.blocks) + 1

    @staticmethod
    def of(features: Features) -> "Layout":
        """Lay out the features of a family."""
        blocks: list[int] = []
        for code, where in zip(features.encoding.codes, features.groups, strict=True):
            one_hot = code.one_hot and code.parameter.name not in features.descriptors
            first = max(blocks, default=-1) + 1
            blocks += [first if one_hot else first + index for index in range(where.stop - where.start)]
        return Layout(tuple(blocks), features.groups)


def each_alone(layout: Layout, like: Float[Tensor, " f"]) -> list[Float[Tensor, " f"]]:
    """Return, for each parameter, ones at its features and zeros elsewhere."""
    found = []
    for where in layout.parameters:
        seen = torch.zeros_like(like)
        seen[where] = 1.0
        found.append(seen)
    return found


@dataclass(frozen=True)
class FamilyKernel:
    """The kernel with given length scales."""

    layout: Layout
    log_lengths: Float[Tensor, " l"]
    shares: Float[Tensor, " p"]
    """Of the additive part, by parameter; they sum to one."""

    def scaled(self, F: Float[Tensor, "*b n f"]) -> Float[Tensor, "*b n f"]:
        """Return features in length scales."""
        return F * torch.exp(-self.log_lengths)[list(self.layout.blocks)]

    def products(
        self, A: Float[Tensor, "*b n f"], B: Float[Tensor, "*b m f"], reaches: Sequence[float]
    ) -> tuple[Float[Tensor, "*b n m"], ...]:
        """Return the product at each multiple of the length scales; `A`, `B` are scaled."""
        squared = squared_distances(A, B)
        return tuple(matern(squared / reach**2) for reach in reaches)

    def additive(self, A: Float[Tensor, "*b n f"], B: Float[Tensor, "*b m f"]) -> Float[Tensor, "*b n m"]:
        """Return the sum over parameters; `A`, `B` are scaled."""
        total = torch.zeros((), dtype=A.dtype, device=A.device)
        for share, where in zip(self.shares, self.layout.parameters, strict=True):
            total = total + share * matern(squared_distances(A[..., where], B[..., where]))
        return total


def neutral_kernel(layout: Layout, *, dtype: torch.dtype = torch.float64) -> FamilyKernel:
    """Return the kernel of somebody who knows nothing of the family: lengths grow with the number of inputs [Hvarfner2024]."""
    length = 0.5 * math.log(layout.lengths / 2.0)
    parameters = len(layout.parameters)
    return FamilyKernel(
        layout, torch.full((layout.lengths,), length, dtype=dtype), torch.full((parameters,), 1.0 / parameters, dtype=dtype)
    )
