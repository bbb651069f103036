"""What may have made a difference, each as a Gaussian process of unit variance: the controls, a channel, the lot.

With channels z in their standard deviations over the pairs, and controls x in the unit cube,

    channel      (z z' + M(|z - z'| / 1.5)) / 2
    controls     (12 mean_i (x_i - 1/2)(x'_i - 1/2) + M(|x - x'| / (sqrt(d) / 2))) / 2
    lot          1 where equal, else 0
    interaction  the product of a channel's and another's, or a single control's

where M is the Matern-5/2 correlation. Half of each is a straight line, so that effects of constant slope cost one number, and
half any smooth curve. The length scales are fixed, our own choice: 60 runs tell variances, and hardly lengths beside them.
"""

import math
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from models.base import spread_of
from models.gaussian_processes.kernels import matern, squared_distances
from models.twin.pairs import Conditions, Pairs

CHANNEL_LENGTH: Final = 1.5
"""In standard deviations of the channel."""
CUBE: Final = 12.0
"""One over the variance of a number uniform between 0 and 1."""
CONTROLS: Final = "controls"
LOT: Final = "lot"


@dataclass(frozen=True, slots=True)
class Coded:
    """Conditions in the units of the kernels."""

    controls: Float[Tensor, "n d"]
    channels: Float[Tensor, "n k"]
    lots: Tensor
    """Numbers; -1 for a lot that no pair had."""

    def __len__(self) -> int:
        return len(self.controls)


@dataclass(frozen=True, slots=True)
class Coding:
    """Turns conditions into the kernels' units, as they were over the pairs."""

    centre: Float[Tensor, " k"]
    spread: Float[Tensor, " k"]
    """Standard deviations; one where a channel did not vary."""
    lots: tuple[str, ...]

    @staticmethod
    def of(conditions: Conditions) -> "Coding":
        """Learn units from conditions."""
        E = conditions.environment
        spread = torch.tensor([spread_of(column, correction=0) or 1.0 for column in E.mT], dtype=torch.float64)
        return Coding(E.mean(dim=0), spread, tuple(dict.fromkeys(conditions.lots)))

    def __call__(self, conditions: Conditions) -> Coded:
        """Code conditions."""
        known = {lot: number for number, lot in enumerate(self.lots)}
        lots = torch.tensor([known.get(lot, -1) for lot in conditions.lots] or [0] * len(conditions))
        return Coded(conditions.controls, (conditions.environment - self.centre) / self.spread, lots)


@dataclass(frozen=True, slots=True)
class Group:
    """A group of inputs that acts as one; an interaction has two parts."""

    name: str
    channel: int | None = None
    control: int | None = None
    """A single control; `controls` with neither is all of them."""
    parts: tuple["Group", ...] = ()

    @property
    def player(self) -> str:
        """Return to whom its effect is told: a single control belongs to the controls."""
        return CONTROLS if self.control is not None else self.name

    def kernel(self, A: Coded, B: Coded) -> Float[Tensor, "n m"]:
        """Return the covariances of unit variance."""
        if self.parts:
            first, second = self.parts
            return first.kernel(A, B) * second.kernel(A, B)
        if self.name == LOT:
            return ((A.lots.unsqueeze(1) == B.lots) & (A.lots.unsqueeze(1) >= 0)).to(A.controls.dtype)
        if self.channel is not None:
            z, w = A.channels[:, [self.channel]], B.channels[:, [self.channel]]
            return 0.5 * (z @ w.mT + matern(squared_distances(z, w) / CHANNEL_LENGTH**2))
        own = slice(None) if self.control is None else slice(self.control, self.control + 1)
        x, y = A.controls[:, own], B.controls[:, own]
        width = x.shape[1]
        line = CUBE * (x - 0.5) @ (y - 0.5).mT / width
        return 0.5 * (line + matern(squared_distances(x, y) / (0.25 * width)))

    def variance(self, A: Coded) -> Float[Tensor, " n"]:
        """Return the diagonal of the kernel; an unknown lot varies as any other."""
        if self.name == LOT:
            return torch.ones(len(A), dtype=A.controls.dtype)
        if self.parts:
            first, second = self.parts
            return first.variance(A) * second.variance(A)
        if self.channel is not None:
            return 0.5 * (A.channels[:, self.channel].square() + 1.0)
        own = slice(None) if self.control is None else slice(self.control, self.control + 1)
        return 0.5 * (CUBE * (A.controls[:, own] - 0.5).square().mean(dim=1) + 1.0)


def groups(pairs: Pairs) -> tuple[Group, ...]:
    """Return what may have made a difference: what varied over the pairs."""
    conditions = pairs.conditions
    named = zip(conditions.columns.names_of_channels, conditions.environment.mT, strict=True)
    channels = [Group(name, channel=number) for number, (name, values) in enumerate(named) if spread_of(values)]
    controls = [Group(CONTROLS)] if any(spread_of(column) for column in conditions.controls.mT) else []
    lots = [Group(LOT)] if len(set(conditions.lots)) > 1 else []
    return (*controls, *channels, *lots)


def interactions(pairs: Pairs, named: Group) -> tuple[Group, ...]:
    """Return the products of a named channel with each control."""
    if named.channel is None:
        return ()
    controls = pairs.conditions.columns.controls
    return tuple(Group(f"{named.name} x {name}", parts=(named, Group(name, control=number))) for number, name in enumerate(controls))


def product(first: Group, second: Group) -> Group:
    """Return the interaction of two named groups."""
    return Group(f"{first.name} x {second.name}", parts=(first, second))


def basis(kernel: Float[Tensor, "n n"], *, share: float, most: int) -> Float[Tensor, "n r"]:
    """Return the columns that make up all but a share of a kernel's variance about its mean, `most` at most."""
    centred = kernel - kernel.mean(dim=0) - kernel.mean(dim=1, keepdim=True) + kernel.mean()
    values, vectors = torch.linalg.eigh(centred)
    values, vectors = values.flip(0).clamp_min(0.0), vectors.flip(1)
    told = values.cumsum(0) / values.sum()
    rank = min(int((told < 1.0 - share).sum()) + 1, most)
    found: Tensor = vectors[:, :rank] * values[:rank].sqrt()
    return found


def blocks(rows: int) -> int:
    """Return how many rows in succession keep together in a permutation: the cube root, as in block bootstraps [Kunsch1989].

    [Kunsch1989]: H. R. Kunsch, Ann. Stat. 17, 1217 (1989), 10.1214/aos/1176347265.
    """
    return max(1, math.ceil(math.cbrt(rows)))
