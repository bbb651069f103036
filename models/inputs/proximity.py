"""How near a configuration is to what was measured, in units that a person can check by hand.

Per parameter: a number's difference as a part of its range; of a category 0 or 1; of a composition the fraction that would
have to be exchanged, which is half the sum of absolute differences. Both of the latter are half the L1 distance of the
encoded inputs. A distance is the mean over the parameters that both points have [Gower1971].
"""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from models.inputs.encoding import Encoding

WEAK_EVIDENCE: Final = 30
"""Below so many measurements explanations are marked as weakly founded: `benchmarks/explanations.py` says how often they err."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Measured points near a configuration, the nearest first."""

    indices: tuple[int, ...]
    """Rows of the measured points."""
    distances: tuple[float, ...]
    """0: equal; 1: every parameter at the other end of its range."""
    by_parameter: tuple[tuple[float, ...], ...]
    """Neighbour -> distance in each parameter, in the space's order, 0 where either has it not; `distances` are their means."""


def nearest_measured(point: Float[Tensor, " d"], measured: Float[Tensor, "n d"], encoding: Encoding, *, count: int = 3) -> Neighbours:
    """Find the measured points nearest to a configuration, both encoded; of equally near ones the earlier come first.

    Returns:
        `count` neighbours, or as many as were measured.
    """
    parts = parameter_distances(point, measured, encoding)
    distances = _means(parts, point, measured, encoding)
    order = distances.argsort(stable=True)[:count]
    by_parameter = tuple(tuple(row) for row in parts[order].tolist())
    return Neighbours(tuple(order.tolist()), tuple(distances[order].tolist()), by_parameter)


def parameter_distances(point: Float[Tensor, " d"], others: Float[Tensor, "n d"], encoding: Encoding) -> Float[Tensor, "n p"]:
    """Return distances parameter by parameter; 0 in one that either does not have."""
    differences = (others - point).abs()
    pairs = zip(encoding.codes, encoding.slices, strict=True)
    parts = torch.stack([differences[:, where].sum(dim=1) / code.counted for code, where in pairs], dim=1)
    return parts * _in_both(point, others, encoding) if encoding.space.conditional else parts


def distances(point: Float[Tensor, " d"], others: Float[Tensor, "n d"], encoding: Encoding) -> Float[Tensor, " n"]:
    """Return the mean over the parameters that both points have, differentiably: `orchestrator.domain.distance.distance`."""
    return _means(parameter_distances(point, others, encoding), point, others, encoding)


def _means(parts: Float[Tensor, "n p"], point: Float[Tensor, " d"], others: Float[Tensor, "n d"], encoding: Encoding) -> Tensor:
    if not encoding.space.conditional:
        return parts.mean(dim=1)
    return parts.sum(dim=1) / _in_both(point, others, encoding).sum(dim=1)


def _in_both(point: Float[Tensor, " d"], others: Float[Tensor, "n d"], encoding: Encoding) -> Float[Tensor, "n p"]:
    """Say by ones which parameters both points have."""
    here, there = encoding.presence.there(point), encoding.presence.there(others)
    always = torch.ones(len(others), dtype=others.dtype)
    names = (code.parameter.name for code in encoding.codes)
    return torch.stack([always * (here[name] & there[name]) if name in here else always for name in names], dim=1)
