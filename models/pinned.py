"""Functions of a surrogate with the values at some points drawn: what a new point adds to them, over and over.

An improvement over noisy measurements is a question about joint values at the measured points and a new one. The former stay
the same for a whole proposal: their root is computed once, and a new point is conditioned on what was drawn there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

JITTERS: Final = (1e-12, 1e-10, 1e-8, 1e-6, 1e-4)
"""Added in turn to the diagonal at the pins, relative to its largest entry, until there is a root: replicates are all but equal."""
LEAST_VARIANCE: Final = 1e-12
"""What a new point adds is at least this part of its variance: keeps the slope of the deviation finite at a pin."""


class Functions(Protocol):
    """The `k` independent functions of a surrogate: each distinct (target, component) once."""

    weights: tuple[float, ...]
    """Of the combinations of components."""
    functions: tuple[tuple[int, ...], ...]
    """Combination -> which function stands for each target."""

    def pinned(self, pins: Float[Tensor, "r d"]) -> "Pinned":
        """Compute what draws at some points, the pins, are made of."""
        ...


class Pinned(Protocol):
    """`k` functions given `r` pins.

    A draw at the pins is `means + roots @ z`; at a new point, given that draw, `mean + along @ z + apart * w` with standard
    normal `z` (r numbers) and `w`.
    """

    means: Float[Tensor, "k r"]
    roots: Float[Tensor, "k r r"]
    weights: tuple[float, ...]
    functions: tuple[tuple[int, ...], ...]

    def beside(self, X: Float[Tensor, "b d"]) -> tuple[Float[Tensor, "k b"], Float[Tensor, "k b r"], Float[Tensor, "k b"]]:
        """Return `mean`, `along` and `apart` of new points, each by itself."""
        ...


def moments(functions: Functions, X: Float[Tensor, "b d"]) -> tuple[Float[Tensor, "b m"], Float[Tensor, "b m"]]:
    """Return means and deviations of the targets at points, each by itself, over all combinations."""
    with torch.no_grad():
        mean, _, deviation = functions.pinned(X[:0]).beside(X)
    weights = torch.tensor(functions.weights, dtype=X.dtype, device=X.device)[:, None, None]
    which = torch.tensor(functions.functions, device=X.device)
    each = mean[which]
    middle = (weights * each).sum(dim=0)
    variance = (weights * (deviation[which].square() + (each - middle).square())).sum(dim=0)
    return middle.mT, variance.sqrt().mT


def rooted(covariance: Float[Tensor, "k n n"]) -> Float[Tensor, "k n n"]:
    """Return lower roots, with as little as goes added to the diagonal."""
    if not covariance.numel():
        return covariance
    largest = covariance.diagonal(dim1=-2, dim2=-1).amax(dim=-1).clamp_min(LEAST_VARIANCE)
    eye = torch.eye(covariance.shape[-1], dtype=covariance.dtype, device=covariance.device)
    for jitter in (*JITTERS, 1.0):
        found = torch.linalg.cholesky_ex(covariance + (jitter * largest)[:, None, None] * eye)
        if not bool(found.info.any()):
            break
    root: Tensor = found.L
    return root


@dataclass(frozen=True, slots=True)
class JointFunctions(Functions):
    """BoTorch models of one target each, asked for joint posteriors: right for any, and slow."""

    models: Sequence[object]
    scales: Sequence[float]
    """What each model's outputs are multiplied by."""
    weights: tuple[float, ...]
    functions: tuple[tuple[int, ...], ...]
    lifting: Callable[[Tensor], Tensor] = lambda X: X
    """From the surrogate's inputs to the models'."""

    @override
    def pinned(self, pins: Float[Tensor, "r d"]) -> "JointlyPinned":
        pins = self.lifting(pins)
        with torch.no_grad():
            means, covariances = _joint(self.models, self.scales, pins) if len(pins) else _nothing(len(self.models), pins)
            return JointlyPinned(self, pins, means, rooted(covariances), self.weights, self.functions)


def _nothing(count: int, like: Tensor) -> tuple[Tensor, Tensor]:
    return like.new_zeros(count, 0), like.new_zeros(count, 0, 0)


@dataclass(frozen=True, slots=True)
class JointlyPinned(Pinned):
    """The same with the values at some points drawn."""

    of: JointFunctions
    pins: Float[Tensor, "r d"]
    means: Float[Tensor, "k r"]
    roots: Float[Tensor, "k r r"]
    weights: tuple[float, ...]
    functions: tuple[tuple[int, ...], ...]

    @override
    def beside(self, X: Float[Tensor, "b d"]) -> tuple[Float[Tensor, "k b"], Float[Tensor, "k b r"], Float[Tensor, "k b"]]:
        X, pins = self.of.lifting(X), self.pins.expand(len(X), *self.pins.shape)
        means, covariances = _joint(self.of.models, self.of.scales, torch.cat([pins, X.unsqueeze(-2)], dim=-2))
        variance = covariances[..., -1, -1]
        along = torch.linalg.solve_triangular(self.roots, covariances[..., -1, :-1].mT, upper=False).mT
        return means[..., -1], along, apart(variance, along)


def apart(variance: Float[Tensor, "k b"], along: Float[Tensor, "k b r"]) -> Float[Tensor, "k b"]:
    """Return the deviation that the draw at the pins leaves."""
    left: Tensor = variance - along.square().sum(dim=-1)
    return torch.maximum(left, LEAST_VARIANCE * variance.detach().clamp_min(LEAST_VARIANCE)).sqrt()


def _joint(models: Sequence[object], scales: Sequence[float], X: Float[Tensor, "*b q d"]) -> tuple[Tensor, Tensor]:
    """Return means "k *b q" and covariances "k *b q q"."""
    found = [model.posterior(X).distribution for model in models]  # type: ignore[attr-defined]  # botorch is untyped
    means = torch.stack([scale * one.mean for one, scale in zip(found, scales, strict=True)])
    return means, torch.stack([scale**2 * one.covariance_matrix for one, scale in zip(found, scales, strict=True)])
