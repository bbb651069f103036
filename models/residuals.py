"""What the surrogate does not explain, and which recorded channels go with it.

A channel that is no parameter (room temperature, day, lot of a stock) and drives a target leaves its trace in the
residuals. Residuals of a fit are small where the fit followed its own data, so those of predictions from all other
measurements are taken, each in its own standard deviation. For a Gaussian process with posterior mean mu and variance s^2
of the function at a measured point, and noise n^2 of the measurement, that is in closed form

    (y - mu) / (n^2 - s^2)^(1/2)

(of K + n^2 the inverse has the diagonal (n^2 - s^2) / n^4 [Rasmussen2006, 5.4.2]), with the hyperparameters left as they are.

The test: how much of the ranked residuals' variance a channel explains - a number by a parabola in its ranks, which sees
trends and optima alike, a category by its means - against the same of permuted residuals. All channels see the same
permutations, and what is compared is the least p-value of them all (Westfall and Young), so that the chance of naming any
channel when none matters is `ALPHA`, however many are recorded and whatever they have in common.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from models.base import Surrogate
from orchestrator.errors import BadInput

ALPHA: Final = 0.05
"""Chance of naming any channel when none matters."""
PERMUTATIONS: Final = 4999
"""With the data as they are 5,000: of one channel the least p-value is 0.0002, among c channels about c times that."""
DEGREE: Final = 2
"""Of the polynomial in a numeric channel's ranks."""
TIE: Final = 1e-9
"""Explained shares nearer than it are equal: float noise must not decide between them."""
DEPENDENT: Final = 1e-9
"""Singular values of a channel's columns, whose lengths are of the order of one, below it are zero but for float noise."""
FULL_LEVERAGE: Final = 1e-9
"""Least part of the noise variance that the function's variance at its own measurement leaves: it is smaller in an exact
process, and a surrogate whose predicted noise is not the one it was conditioned on might leave none."""

Channel = Sequence[float] | Sequence[str]
"""Numbers, or the names of categories, one per residual."""


@dataclass(frozen=True, slots=True)
class Association:
    """How a channel goes with residuals."""

    channel: str
    explained: float
    """Part of the ranked residuals' variance, 0 to 1; what chance alone explains is in it."""
    trend: float | None
    """Rank correlation, -1 to 1; None for categories."""
    p_value: float
    """Chance that any of the channels explains as much for one's kind when none matters."""

    @property
    def named(self) -> bool:
        """Whether it is beyond chance."""
        return self.p_value <= ALPHA


def leave_one_out(surrogate: Surrogate, X: Float[Tensor, "n d"], Y: Float[Tensor, "n m"]) -> Float[Tensor, "n m"]:
    """Return residuals of predictions from all other rows, each in its standard deviation.

    Args:
        surrogate: Conditioned on the rows, `m` targets.
        X: The measured configurations, encoded.
        Y: What was measured, in the units that the surrogate was given.
    """
    with torch.no_grad():
        mean = surrogate.posterior(X.unsqueeze(-2)).mean.squeeze(-2)
        function, noise = surrogate.variance_parts(X)
    left: Tensor = (Y - mean) / torch.maximum(noise - function, FULL_LEVERAGE * noise).sqrt()
    return left


def associations(residuals: Float[Tensor, " n"], channels: Mapping[str, Channel], *, seed: int = 0) -> tuple[Association, ...]:
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
    bases = [_basis(name, values, len(residuals)) for name, values in channels.items()]
    ranked = _standard(_ranks(residuals))
    permuted = ranked[_orders(len(ranked), seed)]
    shares = torch.stack([(permuted @ basis).square().sum(dim=1) for basis in bases], dim=1)
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


def _family_wise(shares: Float[Tensor, "r c"]) -> Float[Tensor, " c"]:
    """Turn shares into p-values among their own permutations, and those into p-values of the least one."""
    single = torch.stack([_tail(column, column) for column in shares.T], dim=1)
    return _tail(-single.min(dim=1).values, -single[0])


def _tail(sample: Float[Tensor, " r"], at: Float[Tensor, " k"]) -> Float[Tensor, " k"]:
    """Return the part of the sample that reaches each value."""
    below = torch.searchsorted(sample.sort().values, (at - TIE).contiguous())
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
    kept: Tensor = U[:, sizes > DEPENDENT]
    return kept


def _ranks(values: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Return ranks; equal values share their mean."""
    ordered = values.sort().values
    low, high = torch.searchsorted(ordered, values), torch.searchsorted(ordered, values, right=True)
    return (low + high).to(values.dtype) / 2


def _standard(values: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Centre and scale to length one; zeros where all are equal."""
    centred = values - values.mean()
    size = float(centred.norm())
    return centred / size if size > 0 else centred


def _trend(ranked: Float[Tensor, " n"], values: Channel) -> float | None:
    numbers = _numbers(values)
    return None if numbers is None else float(ranked @ _standard(_ranks(numbers)))
