"""A fitted Gaussian process whose hyperparameters are in doubt: several of it, each with others that the data allow.

With ten measurements a length scale is known to a factor of two, and the one that fits best makes a process surer than
anybody can be. Where only the order of proposals counts, that does little; where a chance is said to people, it does. Draws of
log length scales, log noise, log amplitude and level come from the posterior whose mode the fit has found, by importance
resampling [Rubin1988] from a normal distribution around that mode.

The numbers below are no one's published ones: they are this package's choice, judged by how often the intervals of stopping
advice hold (`benchmarks/stopping.py`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from models.base import Model
from models.gaussian_processes.stack import TINY, Member

TRIED: Final = 512
"""Draws of the normal distribution, among which those that are kept are chosen by their weights."""
WIDER: Final = 1.25
"""Deviations of the normal distribution in those of the mode's curvature: its tails must not be shorter than the posterior's."""
LEAST_CURVATURE: Final = 0.25
"""Where the posterior is flatter, the normal distribution has a deviation of two, in logarithms."""
SCALE: Final = math.log(0.7)
"""Prior mean of a log length scale."""
SCALE_SPREAD: Final = 0.8
"""Prior deviation of a log length scale."""
AMPLITUDE: Final = 1.0
"""Prior deviation of the log amplitude around the data's own spread, which the fit takes as known."""
CLIMB: Final = 50
"""Steps to the mode."""
_CELLS: Final = 2**17
"""Covariances that are computed together: more no longer fit into a processor's cache."""
_JITTER: Final = 1e-8
_MISFIT: Final = -1e12
"""Log density where a covariance has no root."""


@dataclass(frozen=True, slots=True)
class _Posterior:
    """Log density of hyperparameters "p h": log length scales, log noise, log amplitude, level."""

    model: Model
    X: Float[Tensor, "n d"]
    Y: Float[Tensor, " n"]
    floor: float
    """Of the noise."""

    def __call__(self, H: Float[Tensor, "p h"]) -> Float[Tensor, " p"]:
        scales, noise, amplitude, level = self.parts(H)
        fit = log_likelihood(self.X, self.Y, scales, noise, amplitude, level)
        prior = -0.5 * ((H[:, :-3] - SCALE) / SCALE_SPREAD).square().sum(dim=-1)
        prior = prior + self.model.likelihood.noise_covar.noise_prior.log_prob(noise) + noise.log()
        found: Tensor = fit + prior - 0.5 * (H[:, -2] / AMPLITUDE).square()
        return found

    def parts(self, H: Float[Tensor, "p h"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return H[:, :-3].exp(), H[:, -3].exp().clamp_min(self.floor), H[:, -2].exp(), H[:, -1]


def log_likelihood(
    X: Float[Tensor, "n d"],
    Y: Float[Tensor, " n"],
    scales: Float[Tensor, "p d"],
    noise: Float[Tensor, " p"],
    amplitude: Float[Tensor, " p"],
    level: Float[Tensor, " p"],
) -> Float[Tensor, " p"]:
    """Return the log marginal likelihoods of Matern-5/2 processes [Rasmussen2006, eq. 2.30]."""
    scaled = X / scales.unsqueeze(-2)
    squares = scaled.square().sum(dim=-1)
    squared = squares.unsqueeze(-1) + squares.unsqueeze(-2) - 2.0 * scaled @ scaled.mT
    eye = torch.eye(len(X), dtype=X.dtype, device=X.device)
    found = torch.linalg.cholesky_ex(_matern(squared, amplitude[:, None, None]) + (noise + _JITTER)[:, None, None] * eye)
    half = torch.linalg.solve_triangular(found.L, (Y - level.unsqueeze(-1)).unsqueeze(-1), upper=False).squeeze(-1)
    logarithms = found.L.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)
    fit = -0.5 * half.square().sum(dim=-1) - logarithms - 0.5 * len(X) * math.log(2.0 * math.pi)
    return torch.where(found.info == 0, fit, _MISFIT)


def _matern(squared: Float[Tensor, "p n n"], amplitude: Float[Tensor, "p 1 1"]) -> Float[Tensor, "p n n"]:
    """Return the covariances of `stack.materns`, here with a slope of the amplitude too."""
    r = (5.0 * squared.clamp_min(TINY)).sqrt()
    return amplitude * (1.0 + r + r.square() / 3.0) * torch.exp(-r)


def doubtful(model: Model, member: Member, count: int, generator: torch.Generator) -> list[Member]:
    """Return a fitted process with other hyperparameters that its data allow.

    Args:
        model: BoTorch's, with the priors that it was fitted with.
        member: The same as numbers.
        count: How many.
        generator: Draws them.
    """
    floor = float(model.likelihood.noise_covar.raw_noise_constraint.lower_bound)
    density = _Posterior(model, member.X, member.Y, floor)
    noise = member.noise[:1].clamp_min(floor)
    scales = noise.new_full((member.X.shape[-1],), SCALE)
    mode = _mode(density, torch.cat([scales, noise.log(), noise.new_zeros(1), member.coefficients]))
    some = max(1, _CELLS // len(member.X) ** 2)

    def densities(H: Float[Tensor, "p h"]) -> Float[Tensor, " p"]:
        return torch.cat([density(part) for part in torch.split(H, some)])

    with torch.no_grad():
        scales, noises, amplitudes, levels = density.parts(likely(densities, mode, _curvature(density, mode), count, generator))
    drawn = zip(scales, noises, amplitudes, levels, strict=True)
    return [
        replace(
            member,
            factors=1.0 / scale.unsqueeze(0),
            amplitudes=amplitude.reshape(1),
            coefficients=level.reshape(1),
            noise=one.expand_as(member.noise),
        )
        for scale, one, amplitude, level in drawn
    ]


def likely(
    densities: Callable[[Float[Tensor, "p h"]], Float[Tensor, " p"]],
    mode: Float[Tensor, " h"],
    curvature: Float[Tensor, "h h"],
    count: int,
    generator: torch.Generator,
) -> Float[Tensor, "c h"]:
    """Draw from a density by importance resampling from a normal distribution around its mode.

    Args:
        densities: Logarithms of the density.
        mode: Where it is largest.
        curvature: Second derivatives of the falling logarithm there.
        count: How many.
        generator: Draws them.
    """
    Z = torch.randn(TRIED, len(mode), dtype=mode.dtype, generator=generator)
    H = mode + WIDER * Z @ _root(curvature).mT
    weights = torch.softmax(densities(H) + 0.5 * Z.square().sum(dim=-1), dim=0)
    return H[_resampled(weights, count, generator)]


def _mode(density: _Posterior, start: Float[Tensor, " h"]) -> Float[Tensor, " h"]:
    """Climb to the most probable hyperparameters."""

    def falling(h: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        point = torch.tensor(h, dtype=start.dtype).requires_grad_()
        value = -density(point.unsqueeze(0)).squeeze(0)
        slope: Tensor = torch.autograd.grad(value, point)[0]
        return value.item(), slope.numpy()

    found = minimize(falling, start.numpy(), jac=True, method="L-BFGS-B", options={"maxiter": CLIMB})
    return torch.tensor(found.x, dtype=start.dtype)


def _curvature(density: _Posterior, mode: Float[Tensor, " h"]) -> Float[Tensor, "h h"]:
    found: Tensor = torch.autograd.functional.hessian(  # type: ignore[no-untyped-call]  # torch's own
        lambda h: -density(h.unsqueeze(0)).squeeze(0), mode
    )
    return found


def _root(curvature: Float[Tensor, "h h"]) -> Float[Tensor, "h h"]:
    """Return a root of the covariance that the curvature at a mode says."""
    values, vectors = torch.linalg.eigh(torch.nan_to_num(0.5 * (curvature + curvature.mT)))  # without a number: as flat as can be
    root: Tensor = vectors * values.clamp_min(LEAST_CURVATURE).rsqrt()
    return root


def _resampled(weights: Float[Tensor, " p"], count: int, generator: torch.Generator) -> Tensor:
    """Choose by weight, as evenly as can be: at equal steps along the running sum, from a drawn place."""
    at = (torch.arange(count, dtype=weights.dtype) + torch.rand((), dtype=weights.dtype, generator=generator)) / count
    return torch.searchsorted(weights.cumsum(0), at).clamp_max(len(weights) - 1)
