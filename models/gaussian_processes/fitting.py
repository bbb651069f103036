"""The most probable numbers of a process: what is minimised, and how."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


def negative_log_density(K: Float[Tensor, "n n"], residual: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """Return the negative log density, less a constant, of residuals whose covariance, noise included, is `K`."""
    factor = torch.linalg.cholesky(K)
    half = torch.linalg.solve_triangular(factor, residual.unsqueeze(-1), upper=False)
    found: Tensor = 0.5 * half.square().sum() + factor.diagonal().log().sum()
    return found


def minimise(loss: Callable[[Tensor], Tensor], start: Float[Tensor, " p"], **options: Any) -> Float[Tensor, " p"]:
    """Return where L-BFGS finds a loss of a few numbers least; options are those of torch's optimiser."""
    theta = start.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([theta], line_search_fn="strong_wolfe", **options)

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = loss(theta)
        value.backward()  # type: ignore[no-untyped-call]  # torch's own
        return value

    with torch.enable_grad():
        optimiser.step(closure)  # type: ignore[no-untyped-call]  # torch's own
    return theta.detach()
