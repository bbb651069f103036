"""Predicted densities of new measurements: mixtures of normal distributions, one per component of a surrogate."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, Normal

from models.base import Surrogate
from models.reproducible import repeatable


def predicted_parts(
    surrogate: Surrogate, X: Float[Tensor, "N d"]
) -> tuple[Float[Tensor, " c"], Float[Tensor, "c N"], Float[Tensor, "c N"]]:
    """Return weights, means and standard deviations of the components' predictions of one new measurement each."""
    with torch.no_grad(), repeatable(0):
        found = [(weight, model.posterior(X.unsqueeze(-2), observation_noise=True)) for weight, model in surrogate.components()]
        means = torch.stack([one.mean.reshape(-1) for _, one in found])
        deviations = torch.stack([one.variance.reshape(-1).sqrt() for _, one in found])
    weights = torch.tensor([weight for weight, _ in found], dtype=torch.float64)
    return weights / weights.sum(), means, deviations


def normal_mixture(weights: Float[Tensor, " c"], means: Float[Tensor, "c n"], deviations: Float[Tensor, "c n"]) -> MixtureSameFamily:
    """Return the mixture at `n` points; what is not a number stays one and is the caller's to judge."""
    parts = Normal(means.mT, deviations.mT, validate_args=False)
    return MixtureSameFamily(Categorical(weights.expand(means.shape[-1], -1), validate_args=False), parts, validate_args=False)
