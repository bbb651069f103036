"""What the surrogate does not explain, and which recorded channels go with it.

A channel that is no parameter (room temperature, day, lot of a stock) and drives a target leaves its trace in the
residuals. Those of a fit are small where the fit followed its own data, and go together where it was led astray by the
same ones. With prior mean m and covariance C of the measurements (noise included) the whitened ones,

    e = C^(-1/2) (y - m)

are independent, of variance one, and so are predictions from all other measurements in their standard deviations up to
what they have in common. Both follow from the posterior alone, mean mu and covariance S at the measured points, and the
noise N:   C^-1 = N^-1 - N^-1 S N^-1   and   C^-1 (y - m) = N^-1 (y - mu)   [Rasmussen2006, 2.2 and 5.4.2]; hyperparameters
are left as they are.

The test: how much of e the channel explains as a further linear part of the model (generalised least squares: what the
surrogate could have explained by itself does not count) - a number by a parabola in its ranks, which sees trends and
optima alike, a category by its means - against the same channel in permuted order. All channels see the same
permutations, and what is compared is the least p-value of them all (Westfall and Young), so that the chance of naming any
channel when none matters is `ALPHA`, however many are recorded and whatever they have in common. It holds whatever the
surrogate is worth, as long as runs could have come in any order; two channels that drift together cannot be told apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from scipy.stats import rankdata
from torch import Tensor

from models.base import Surrogate, TargetData
from orchestrator.errors import BadInput

ALPHA: Final = 0.05
"""Chance of naming any channel when none matters."""
PERMUTATIONS: Final = 1999
"""With the data as they are 2,000: of one channel the least p-value is 0.0005, among c channels about c times that."""
TOGETHER: Final = 250
"""Permutations looked at at a time, so that memory stays bounded."""
DEGREE: Final = 2
"""Of the polynomial in a numeric channel's ranks."""
_TIE: Final = 1e-9
"""Explained shares nearer than it are equal: float noise must not decide between them."""
_DEPENDENT: Final = 1e-9
"""Singular values of a channel's columns, whose lengths are of the order of one, below it are zero but for float noise."""
FULL_LEVERAGE: Final = 1e-9
"""Least part of the noise that the posterior leaves: more is left in an exact process, and a surrogate whose predicted noise
is not the one it was conditioned on might leave none."""

Channel = Sequence[float] | Sequence[str]
"""Numbers, or the names of categories, one per residual."""


@dataclass(frozen=True, slots=True)
class Association:
    """How a channel goes with residuals."""

    channel: str
    explained: float
    """Part of the whitened residuals' square, 0 to 1; what chance alone explains is in it."""
    trend: float | None
    """Rank correlation with the residuals left one out, -1 to 1; None for categories."""
    p_value: float
    """Chance that any of the channels explains as much for one's kind when none matters."""

    @property
    def named(self) -> bool:
        """Whether it is beyond chance."""
        return self.p_value <= ALPHA


@dataclass(frozen=True, slots=True)
class Residuals:
    """Residuals of one target."""

    leave_one_out: Float[Tensor, " n"]
    """Of predictions from all other rows, each in its standard deviation."""
    whitened: Float[Tensor, " n"]
    whitening: Float[Tensor, "n n"]
    """From deviations of measurements to independent ones."""


def residuals(surrogate: Surrogate, data: Sequence[TargetData]) -> tuple[Residuals, ...]:
    """Compute the residuals of each target.

    Args:
        surrogate: Conditioned on the data.
        data: Its targets' rows; each has one at least.
    """
    return tuple(_residuals(surrogate, target, number) for number, target in enumerate(data))


def _residuals(surrogate: Surrogate, data: TargetData, target: int) -> Residuals:
    rows = slice(target * len(data.X), (target + 1) * len(data.X))
    with torch.no_grad():
        posterior = surrogate.posterior(data.X)
        # block by block: all points of one target, then all of the next
        S = posterior.distribution.covariance_matrix[rows, rows]
        root = surrogate.variance_parts(data.X)[1][:, target].sqrt()
    score = (data.Y - posterior.mean[:, target]) / root
    left, V = torch.linalg.eigh(torch.eye(len(root), dtype=root.dtype) - S / root / root.unsqueeze(1))
    left = left.clamp_min(FULL_LEVERAGE)
    whitening, whitened = (V * left.sqrt()) @ V.T / root, (V / left.sqrt()) @ (V.T @ score)
    return Residuals(score / (V.square() @ left).sqrt(), whitened, whitening)


def associations(residuals: Residuals, channels: Mapping[str, Channel], *, seed: int = 0) -> tuple[Association, ...]:
    """Test which channels go with the residuals, the likeliest first.

    Args:
        residuals: Of one target.
        channels: Name -> what was recorded, in the order of the residuals; text is taken for categories.
        seed: Of the permutations.

    Raises:
        BadInput: A channel of another length, with a missing number, or of numbers and text.
    """
    if not channels:
        return ()
    rows = len(residuals.whitened)
    bases = [_basis(name, values, rows) for name, values in channels.items()]
    orders = _orders(rows, seed)
    shares = torch.stack([_explained(residuals, basis, orders) for basis in bases], dim=1)
    ranked = _standard(_ranks(residuals.leave_one_out))
    p_values = _family_wise(shares)
    found = [
        Association(name, float(shares[0, number]), _trend(ranked, values), float(p_values[number]))
        for number, (name, values) in enumerate(channels.items())
    ]
    return tuple(sorted(found, key=lambda one: (one.p_value, -one.explained)))


def _orders(rows: int, seed: int) -> Tensor:
    """Return orders of the rows; the first is the one that they came in."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(PERMUTATIONS, rows, generator=generator, dtype=torch.float64).argsort(dim=1)
    return torch.cat([torch.arange(rows).unsqueeze(0), drawn])


def _explained(residuals: Residuals, basis: Float[Tensor, "n k"], orders: Tensor) -> Float[Tensor, " r"]:
    """Return which part of the whitened residuals' square the channel explains beyond a constant, per order of its rows."""
    rows, width = basis.shape
    level = residuals.whitening.sum(dim=1)
    level = level / level.norm()
    rest = residuals.whitened - (level @ residuals.whitened) * level
    total = float(rest.square().sum())
    if width == 0 or total <= 0 or width >= rows - 1:  # nothing is explained in any order, or everything
        return torch.full((len(orders),), float(width >= rows - 1 and total > 0), dtype=basis.dtype)
    parts = []
    for some in orders.split(TOGETHER):  # type: ignore[no-untyped-call]  # torch
        moved = residuals.whitening @ basis[some]
        Q = torch.linalg.qr(moved - level.unsqueeze(1) * (level @ moved).unsqueeze(1)).Q
        parts.append((rest @ Q).square().sum(dim=1))
    return torch.cat(parts) / total


def _family_wise(shares: Float[Tensor, "r c"]) -> Float[Tensor, " c"]:
    """Turn shares into p-values among their own permutations, and those into p-values of the least one."""
    single = torch.stack([_tail(column, column) for column in shares.T], dim=1)
    return _tail(-single.min(dim=1).values, -single[0])


def _tail(sample: Float[Tensor, " r"], at: Float[Tensor, " k"]) -> Float[Tensor, " k"]:
    """Return the part of the sample that reaches each value."""
    below = torch.searchsorted(sample.sort().values, (at - _TIE).contiguous())
    return (len(sample) - below).to(sample.dtype) / len(sample)


def _basis(name: str, values: Channel, rows: int) -> Float[Tensor, "n k"]:
    """Return orthonormal columns, each of mean zero, that span what a channel can explain."""
    if len(values) != rows:
        raise BadInput(f"channel {name} has {len(values)} values; expected one for each of {rows} residuals")
    numbers = _numbers(values)
    if numbers is None:
        columns = _indicators(name, values)
    elif not bool(numbers.isfinite().all()):
        raise BadInput(f"channel {name} has a missing or infinite value at row {int((~numbers.isfinite()).nonzero()[0])}; expected numbers")
    else:
        ranks = _standard(_ranks(numbers))
        columns = torch.stack([ranks**power for power in range(1, DEGREE + 1)], dim=1)
    return _orthonormal(columns - columns.mean(dim=0))


def _numbers(values: Channel) -> Float[Tensor, " n"] | None:
    numbers = [value for value in values if not isinstance(value, str)]
    return torch.tensor(numbers, dtype=torch.float64) if len(numbers) == len(values) else None


def _indicators(name: str, values: Channel) -> Float[Tensor, "n k"]:
    if odd := [value for value in values if not isinstance(value, str)]:
        raise BadInput(f"channel {name} has text and numbers, such as {odd[0]!r}; expected one kind")
    kinds = sorted({str(value) for value in values})
    return torch.tensor([[float(value == kind) for kind in kinds] for value in values], dtype=torch.float64)


def _orthonormal(columns: Float[Tensor, "n k"]) -> Float[Tensor, "n r"]:
    U, sizes, _ = torch.linalg.svd(columns, full_matrices=False)
    kept: Tensor = U[:, sizes > _DEPENDENT]
    return kept


def _ranks(values: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Return ranks; equal values share their mean."""
    return torch.from_numpy(rankdata(values.numpy()))


def _standard(values: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Centre and scale to length one; zeros where all are equal."""
    centred = values - values.mean()
    size = float(centred.norm())
    return centred / size if size > 0 else centred


def _trend(ranked: Float[Tensor, " n"], values: Channel) -> float | None:
    numbers = _numbers(values)
    return None if numbers is None else float(ranked @ _standard(_ranks(numbers)))
