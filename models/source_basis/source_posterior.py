"""What one source task says: the posterior mean of a Gaussian process of its own, as a function over the whole space."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from models.base import spread_of
from models.gaussian_processes.fitting import minimise, negative_log_density
from models.gaussian_processes.kernels import FamilyKernel, Layout, each_alone, matern, squared_distances
from models.gaussian_processes.stack import Parts, materns
from models.tasks import TaskData

FIT_ROWS: Final = 240
"""Rows from which a source's hyperparameters are fitted: they are known well by then, and the cost is cubic."""
KEPT_ROWS: Final = 400
"""Rows of a source that its mean is computed from."""
ROWS_AT_ONCE: Final = 256
"""Rows of a table that all sources' means are computed of together: more no longer fit into a processor's cache."""
_FIT_ITERATIONS: Final = 60
LENGTH_SPREAD: Final = 1.0
AMPLITUDE_SPREAD: Final = 1.5
"""Standard deviations of the normal priors on the logarithms of length scales and of variances."""
NOISE_LOCATION: Final = -2.5
PRODUCT_LOCATION: Final = -0.5
ADDITIVE_LOCATION: Final = -1.5
"""Means of the normal priors on logarithms of variances, of a source in its own standard units."""
_LEAST_NOISE: Final = 1e-4


@dataclass(frozen=True)
class SourcePosterior:
    """One source's mean function, in the source's own standard units."""

    name: str
    kernel: FamilyKernel
    amplitudes: Float[Tensor, " 1p"]
    """Variances: of the product, then of each parameter's own part."""
    noise: float
    rows: Float[Tensor, "n f"]
    """Features of the rows that it was conditioned on."""
    weights: Float[Tensor, " n"]
    level: float
    spread: float
    """The source's own mean and standard deviation, in the target's unit."""

    def state(self) -> dict[str, Any]:
        """Return tensors and numbers for a checkpoint."""
        return {
            "name": self.name,
            "log_lengths": self.kernel.log_lengths,
            "amplitudes": self.amplitudes,
            "noise": self.noise,
            "rows": self.rows,
            "weights": self.weights,
            "level": self.level,
            "spread": self.spread,
        }


@dataclass(frozen=True)
class SourceBank:
    """The mean functions of `t` sources, computed together: tensors of all of them cost what those of one do."""

    layout: Layout
    inverse_lengths: Float[Tensor, "t 1 f"]
    amplitudes: Float[Tensor, "1p t 1 1"]
    rows: Float[Tensor, "t n f"]
    """In length scales; a source with fewer rows than the largest has zeros, whose weights are zero."""
    weights: Float[Tensor, "t n 1"]

    @staticmethod
    def of(sources: Sequence[SourcePosterior]) -> "SourceBank":
        """Lay sources of one family side by side."""
        layout = sources[0].kernel.layout
        lengths = torch.stack([torch.exp(-source.kernel.log_lengths)[list(layout.blocks)] for source in sources])
        rows = pad_sequence([source.kernel.scaled(source.rows) for source in sources], batch_first=True)
        weights = pad_sequence([source.weights for source in sources], batch_first=True)
        amplitudes = torch.stack([source.amplitudes for source in sources], dim=-1)
        return SourceBank(layout, lengths.unsqueeze(-2), amplitudes[..., None, None], rows, weights.unsqueeze(-1))

    @property
    def parts(self) -> Parts:
        """The same covariances, each part of each source beside the others; a lone parameter's own part is the product itself."""
        factors = self.inverse_lengths.squeeze(-2)
        seen = [torch.ones_like(factors[0])]
        if len(self.layout.parameters) > 1:
            seen += each_alone(self.layout, factors[0])
        amplitudes = self.amplitudes[: len(seen)].flatten(1).mT
        unscaled = self.rows / self.inverse_lengths
        return Parts.of(materns, factors.unsqueeze(1) * torch.stack(seen), amplitudes, unscaled)

    def __call__(self, F: Float[Tensor, "*b n f"]) -> Float[Tensor, "*b n t"]:
        """Return the posterior means at features, each in its source's own standard units."""
        flat = F.reshape(-1, F.shape[-1])
        found = torch.cat([self._means(some) for some in torch.split(flat, ROWS_AT_ONCE)])
        return found.reshape(*F.shape[:-1], len(self.rows))

    def _means(self, F: Float[Tensor, "n f"]) -> Float[Tensor, "n t"]:
        K = _covariance(self.layout, self.amplitudes, F * self.inverse_lengths, self.rows)
        return (K @ self.weights).squeeze(-1).mT


def restore_source(state: Mapping[str, Any], layout: Layout) -> SourcePosterior:
    """Return the source of a state."""
    kernel = FamilyKernel(layout, state["log_lengths"], _shares(state["amplitudes"]))
    numbers = {name: state[name] for name in ("name", "amplitudes", "noise", "rows", "weights", "level", "spread")}
    return SourcePosterior(kernel=kernel, **numbers)


def fit_source(
    task: TaskData,
    features: Float[Tensor, "n f"],
    layout: Layout,
    generator: torch.Generator,
    *,
    centred: bool = True,
    fitted: int = FIT_ROWS,
) -> SourcePosterior:
    """Fit a source's process by maximum a posteriori and condition it on its rows.

    Args:
        task: The source.
        features: Of its rows.
        layout: Of the family.
        generator: Draws the rows that are looked at.
        centred: Whether the mean is taken off; else values are divided by their root mean square, and far from all rows it is nought.
        fitted: Rows from which hyperparameters are fitted, at most.
    """
    level, spread = float(task.Y.mean()), spread_of(task.Y, correction=0) or 1.0
    if not centred:
        level, spread = 0.0, float(task.Y.square().mean().sqrt()) or 1.0
    y = (task.Y - level) / spread
    theta = _fit(features[some := _subset(len(y), fitted, generator)], y[some], layout)
    kept = _subset(len(y), KEPT_ROWS, generator)
    lengths, amplitudes, noise = _read(theta, layout)
    kernel = FamilyKernel(layout, lengths, _shares(amplitudes))
    rows = kernel.scaled(features[kept])
    K = _covariance(layout, amplitudes, rows, rows)
    weights = torch.linalg.solve(K + (float(noise) + _LEAST_NOISE) * torch.eye(len(kept), dtype=K.dtype), y[kept])
    return SourcePosterior(task.name, kernel, amplitudes, float(noise), features[kept], weights, level, spread)


def shared_kernel(sources: Sequence[SourcePosterior]) -> FamilyKernel:
    """Return the kernel of a family: geometric means of its sources' length scales, and of their amplitudes."""
    lengths = torch.stack([source.kernel.log_lengths for source in sources]).mean(dim=0)
    amplitudes = torch.stack([source.amplitudes.log() for source in sources]).mean(dim=0).exp()
    return FamilyKernel(sources[0].kernel.layout, lengths, _shares(amplitudes))


def _shares(amplitudes: Float[Tensor, " 1p"]) -> Float[Tensor, " p"]:
    own: Tensor = amplitudes[1:]
    return own / own.sum()


def _subset(rows: int, most: int, generator: torch.Generator) -> Tensor:
    if rows <= most:
        return torch.arange(rows)
    return torch.randperm(rows, generator=generator)[:most].sort().values


def _read(theta: Float[Tensor, " t"], layout: Layout) -> tuple[Tensor, Tensor, Tensor]:
    return theta[: layout.lengths], theta[layout.lengths : -1].exp(), theta[-1].exp()


def _covariance(
    layout: Layout, amplitudes: Float[Tensor, "1p *t"], A: Float[Tensor, "*b n f"], B: Float[Tensor, "*b m f"]
) -> Float[Tensor, "*b n m"]:
    """Return covariances of scaled features; a single parameter's own part is the product itself and is left out."""
    total: Tensor = amplitudes[0] * matern(squared_distances(A, B))
    if len(layout.parameters) > 1:
        for amplitude, where in zip(amplitudes[1:], layout.parameters, strict=True):
            total = total + amplitude * matern(squared_distances(A[..., where], B[..., where]))
    return total


def _fit(F: Float[Tensor, "n f"], y: Float[Tensor, " n"], layout: Layout) -> Float[Tensor, " t"]:
    """Return the most probable logarithms of length scales, variances and noise."""
    parameters, dtype = len(layout.parameters), F.dtype
    location = torch.cat(
        [
            torch.full((layout.lengths,), 0.3 + 0.5 * math.log(max(1.0, layout.lengths / 3.0)), dtype=dtype),
            torch.tensor([PRODUCT_LOCATION] + [ADDITIVE_LOCATION] * parameters + [NOISE_LOCATION], dtype=dtype),
        ]
    )
    width = torch.where(torch.arange(len(location)) < layout.lengths, LENGTH_SPREAD, AMPLITUDE_SPREAD)
    eye, blocks = torch.eye(len(y), dtype=dtype), list(layout.blocks)

    def loss(theta: Tensor) -> Tensor:
        lengths, amplitudes, noise = _read(theta, layout)
        A = F * torch.exp(-lengths)[blocks]
        misfit = negative_log_density(_covariance(layout, amplitudes, A, A) + (noise + _LEAST_NOISE) * eye, y)
        return misfit + 0.5 * ((theta - location) / width).square().sum()

    return minimise(loss, location, max_iter=_FIT_ITERATIONS, tolerance_change=1e-4)
