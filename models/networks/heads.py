"""Hard output heads: whatever a model says, fractions sum to one, amounts are positive, ordered outputs stay ordered.

A head maps free numbers to legal outputs, and back, so that a surrogate is fitted in free numbers and its samples are
legal by construction. A penalty leaves the outputs free and only lowers a training loss; it guarantees nothing.
"""

from dataclasses import dataclass
from typing import Final, Protocol

import torch
from botorch.posteriors import TransformedPosterior
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus
from typing_extensions import override

from models.base import Model, Posterior
from models.gaussian_processes.plain_model import PlainModel

_LEAST: Final = 1e-9
"""Least fraction or amount in standard units: keeps logarithms of measured zeros finite."""


class Head(Protocol):
    """Maps `k` free numbers to `m` legal outputs."""

    def __call__(self, Z: Float[Tensor, "*b k"]) -> Float[Tensor, "*b m"]:
        """Return legal outputs, differentiably."""
        ...

    def free(self, Y: Float[Tensor, "*b m"]) -> Float[Tensor, "*b k"]:
        """Return the free numbers of legal outputs; outputs on the edge are moved inside by `_LEAST`."""
        ...

    def penalty(self, Y: Float[Tensor, "*b m"]) -> Float[Tensor, " *b"]:
        """Return how far free outputs are from legal ones, for a soft constraint; zero where they are legal."""
        ...


@dataclass(frozen=True, slots=True)
class Simplex(Head):
    """`m` fractions that sum to one, from `m` - 1 logarithms of ratios to the last."""

    @override
    def __call__(self, Z: Float[Tensor, "*b k"]) -> Float[Tensor, "*b m"]:
        return torch.softmax(torch.cat([Z, torch.zeros_like(Z[..., :1])], dim=-1), dim=-1)

    @override
    def free(self, Y: Float[Tensor, "*b m"]) -> Float[Tensor, "*b k"]:
        logs = Y.clamp_min(_LEAST).log()
        return logs[..., :-1] - logs[..., -1:]

    @override
    def penalty(self, Y: Float[Tensor, "*b m"]) -> Float[Tensor, " *b"]:
        return (Y.sum(dim=-1) - 1.0).square() + (-Y).clamp_min(0.0).square().sum(dim=-1)


@dataclass(frozen=True, slots=True)
class Positive(Head):
    """Amounts above zero: softplus, which is the identity for large ones."""

    @override
    def __call__(self, Z: Float[Tensor, "*b k"]) -> Float[Tensor, "*b m"]:
        return softplus(Z) + _LEAST

    @override
    def free(self, Y: Float[Tensor, "*b m"]) -> Float[Tensor, "*b k"]:
        amount = (Y - _LEAST).clamp_min(_LEAST)
        return amount + torch.log(-torch.expm1(-amount))

    @override
    def penalty(self, Y: Float[Tensor, "*b m"]) -> Float[Tensor, " *b"]:
        return (-Y).clamp_min(0.0).square().sum(dim=-1)


@dataclass(frozen=True, slots=True)
class Monotone(Head):
    """Outputs along an ordered axis (times, temperatures) that never fall: a start and positive rises."""

    @override
    def __call__(self, Z: Float[Tensor, "*b k"]) -> Float[Tensor, "*b m"]:
        return torch.cat([Z[..., :1], softplus(Z[..., 1:])], dim=-1).cumsum(dim=-1)

    @override
    def free(self, Y: Float[Tensor, "*b m"]) -> Float[Tensor, "*b k"]:
        rises = Y.diff(dim=-1).clamp_min(_LEAST)
        return torch.cat([Y[..., :1], rises + torch.log(-torch.expm1(-rises))], dim=-1)

    @override
    def penalty(self, Y: Float[Tensor, "*b m"]) -> Float[Tensor, " *b"]:
        return (-Y.diff(dim=-1)).clamp_min(0.0).square().sum(dim=-1)


class Constrained(PlainModel):
    """A model of free numbers, seen through a head: its samples are legal outputs; only samples are defined, no moments."""

    def __init__(self, model: Model, head: Head) -> None:
        super().__init__()
        self.model, self.head = model, head

    @property
    @override
    def num_outputs(self) -> int:
        return int(self.head(torch.zeros(1, self.model.num_outputs, dtype=torch.float64)).shape[-1])

    @override
    def predict(self, X: Float[Tensor, "*b q d"], *, noisy: bool) -> Posterior:
        return TransformedPosterior(self.model.posterior(X, observation_noise=noisy), sample_transform=self.head)
