"""Variance components: how much of a residual each of several covariances explains.

    r ~ N(0, V),   V = K_0 + sum_c theta_c K_c,   log theta_c ~ N(log m_c, WIDTH^2)

K_0 is known (columns with normal coefficients of known variance, integrated out), each theta is a variance. The most
probable theta is found by its analytic gradient, and the evidence is Laplace's approximation about it [MacKay1999] over the
logarithms: their priors are proper, so that a component that explains nothing changes the evidence by little and never by an
infinite amount.

[MacKay1999]: D. J. C. MacKay, Neural Comput. 11, 1035 (1999), 10.1162/089976699300016331.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import minimize
from torch import Tensor

WIDTH: Final = 1.5
"""Standard deviation of a logarithm of a variance before any data, our own choice: a factor of twenty either way is likely."""
RANGE: Final = 12.0
"""Logarithms of variances are looked for this far about the prior's median: eight of its deviations."""
STEPS: Final = 200
_JITTER: Final = 1e-9
"""Relative to the largest variance: keeps the factor of near-equal rows finite."""


@dataclass(frozen=True, slots=True)
class Components:
    """The covariances of one model; `c` of them with unknown variances, `n` rows."""

    known: Float[Tensor, "n n"]
    names: tuple[str, ...]
    shapes: Float[Tensor, "c n n"]
    """Covariances of unit variance."""
    medians: Float[Tensor, " c"]
    """Of the variances' priors, in squares of the residual's unit."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """Components with their most probable variances."""

    components: Components
    residual: Float[Tensor, " n"]
    log_variances: Float[Tensor, " c"]
    covariance: Float[Tensor, "c c"]
    """Of the logarithms, by Laplace's approximation."""
    log_evidence: float

    @property
    def variances(self) -> Float[Tensor, " c"]:
        """Return the most probable variances."""
        return self.log_variances.exp()

    def factor(self) -> Float[Tensor, "n n"]:
        """Return the Cholesky factor of the rows' covariance."""
        return _factor(self.components, self.variances)

    def drawn(self, count: int, generator: torch.Generator) -> Float[Tensor, "s c"]:
        """Draw variances."""
        half = torch.linalg.cholesky(self.covariance)
        normal = torch.randn(count, len(half), generator=generator, dtype=half.dtype)
        found: Tensor = (self.log_variances + normal @ half.mT).exp()
        return found


def fit(components: Components, residual: Float[Tensor, " n"]) -> Fitted:
    """Find the most probable variances, always from the prior's medians."""
    centre = components.medians.log()

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = _loss(components, residual, torch.from_numpy(at), centre)
        return value, slope.numpy()

    bounds = [(middle - RANGE, middle + RANGE) for middle in centre.tolist()]
    found = minimize(loss, centre.numpy(), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS})
    best = torch.from_numpy(found.x)
    curvature = _curvature(components, residual, best)
    spare = 0.5 * math.log(WIDTH**2) * len(best) + 0.5 * float(torch.logdet(curvature))
    evidence = -float(found.fun) - spare - 0.5 * len(residual) * math.log(2 * math.pi)
    return Fitted(components, residual, best, torch.linalg.inv(curvature), evidence)


def _factor(components: Components, variances: Float[Tensor, " c"]) -> Float[Tensor, "n n"]:
    V = components.known + (variances @ components.shapes.flatten(1)).view_as(components.known)
    V.diagonal().add_(_JITTER * V.diagonal().max())
    found: Tensor = torch.linalg.cholesky(V)
    return found


def _loss(components: Components, residual: Tensor, at: Tensor, centre: Tensor) -> tuple[float, Tensor]:
    """Return the negative log posterior of the logarithms, constants left out, and its gradient."""
    variances, away = at.exp(), (at - centre) / WIDTH
    factor = _factor(components, variances)
    P = torch.cholesky_inverse(factor)
    weights = P @ residual
    value = 0.5 * residual @ weights + factor.diagonal().log().sum() + 0.5 * away.square().sum()
    traces = components.shapes.flatten(1) @ P.flatten()
    squares = (components.shapes @ weights) @ weights
    return float(value), 0.5 * variances * (traces - squares) + away / WIDTH


def _curvature(components: Components, residual: Tensor, at: Tensor) -> Float[Tensor, "c c"]:
    """Return the Hessian of the loss, the prior's part alone where the likelihood's is not positive."""
    variances = at.exp()
    P = torch.cholesky_inverse(_factor(components, variances))
    weights, spread = P @ residual, P @ components.shapes
    moved = components.shapes @ weights
    second = moved @ P @ moved.mT - 0.5 * torch.einsum("cij,dji->cd", spread, spread)
    first = 0.5 * variances * (spread.diagonal(dim1=1, dim2=2).sum(dim=1) - moved @ weights)
    H = variances.unsqueeze(1) * variances * second + torch.diag(first)
    values, vectors = torch.linalg.eigh(0.5 * (H + H.mT))
    H = (vectors * values.clamp_min(0.0)) @ vectors.mT
    found: Tensor = H + torch.eye(len(H), dtype=H.dtype) / WIDTH**2
    return found
