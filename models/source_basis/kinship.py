"""Which sources are near relatives, from what is known about the tasks (substrate, precursor, ligand: descriptors).

    weight_t ~ exp(-sum_k rate_k (z_k - z_tk)^2)

with rates learned by leaving tasks out: each source is explained by the weighted average of the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import minimize
from torch import Tensor

_Array = np.ndarray[Any, np.dtype[np.float64]]

FLOOR: Final = 0.02
"""Added to the unexplained share of a task's variance: a task that is explained to 98 % asks for no more."""
SHRINKAGE: Final = 0.01
"""Weight of the squared logarithms of the rates: sources that say nothing leave them at one."""
STARTS: Final = (0.0, 1.5)
"""Logarithms of the rates from which the search starts; the loss has several valleys."""
EVALUATIONS: Final = 300


@dataclass(frozen=True, slots=True)
class Kinship:
    """Weights of sources by their descriptors."""

    rates: Float[Tensor, " k"]
    descriptors: Float[Tensor, "t k"]
    low: Float[Tensor, " k"]
    span: Float[Tensor, " k"]
    """Descriptors are scaled to 0..1 over the sources."""

    def weights(self, task: Float[Tensor, " k"], chosen: Sequence[int]) -> Float[Tensor, " t"]:
        """Return weights of all sources that sum to one, zero where not chosen."""
        distance = ((self._scaled(self.descriptors) - self._scaled(task)).square() * self.rates).sum(dim=-1)
        kept = torch.full_like(distance, float("-inf"))
        kept[list(chosen)] = -distance[list(chosen)]
        return torch.softmax(kept, dim=0)

    def _scaled(self, z: Float[Tensor, "*b k"]) -> Float[Tensor, "*b k"]:
        return (z - self.low) / self.span


def learn_kinship(
    descriptors: Float[Tensor, "t k"],
    functions: Sequence[Float[Tensor, "n t"]],
    values: Sequence[Float[Tensor, " n"]],
    others: Sequence[Sequence[int]],
) -> Kinship | None:
    """Learn the rates; None where nothing is known about the tasks or they are all alike.

    Args:
        descriptors: Of the sources.
        functions: Per source: all sources' functions at its rows.
        values: Per source: its own values in its own standard units.
        others: Per source: the sources that it may be explained by.
    """
    low = descriptors.amin(dim=0)
    span = descriptors.amax(dim=0) - low
    if not len(span) or not bool((span > 0).any()):
        return None
    first = Kinship(torch.ones_like(low), descriptors, low, torch.where(span > 0, span, 1.0))
    usable = [index for index, rest in enumerate(others) if rest]

    def loss(logs: _Array) -> float:
        kin = Kinship(torch.tensor(logs).exp(), first.descriptors, first.low, first.span)
        misfits = [_misfit(functions[one] @ kin.weights(descriptors[one], others[one]), values[one]) for one in usable]
        return float(np.mean(misfits)) + SHRINKAGE * float(np.mean(logs**2))

    options = {"maxfev": EVALUATIONS}
    found = [minimize(loss, np.full(len(low), start), method="Nelder-Mead", options=options) for start in STARTS]
    best = min(found, key=lambda one: float(one.fun))
    return Kinship(torch.tensor(best.x).exp(), first.descriptors, first.low, first.span)


def _misfit(average: Float[Tensor, " n"], values: Float[Tensor, " n"]) -> float:
    gain = (average @ values) / (average @ average + 1e-12)
    return float(((values - gain * average).square().mean() + FLOOR).log())
