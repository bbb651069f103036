"""What the cost of an experiment takes off its score: `share * log(cost / typical)`, the cost being what it adds to those before it.

With the whole budget left, improvement per cost is maximised; as it runs out, improvement alone [Lee2020, "Cost-aware Bayesian
optimization", arXiv:2003.10870, EI-cool]. Divided by a typical cost, the score stays near what it is without, and one cost
for all leaves it as it is, bit for bit.

Costs are exact wherever points are compared: starts, steps between values, ends. Only while a search climbs, where slopes are needed
and points may be beyond what a bench can do, they are read off a spline through exact ones.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor

from models.inputs.encoding import Encoding
from orchestrator.domain.values import Configuration
from orchestrator.ports import Cost
from orchestrator.suggestions import Suggestion

EVERY: Final = 5
"""Each so-many-th proposal of a campaign leaves cost out, so that what is dear is not left unknown for ever."""
DRAWN: Final = 3
"""Points of a space-filling design that are drawn for each that is taken, the cheapest, as [Lee2020]'s designs are cost-effective."""
LEAST: Final = 0.01
"""Part of a typical cost below which costs count as equal: what costs nothing is not worth everything."""
KNOTS: Final = 256
"""Points at most through which the spline goes."""


@dataclass(frozen=True, slots=True)
class Spline:
    """The cubic polyharmonic spline through given values: sum of w_i |x - x_i|^3, plus what is affine in x [Wendland2005, ch. 8]."""

    knots: Float[Tensor, "k d"]
    weights: Float[Tensor, " k"]
    slopes: Float[Tensor, " d"]
    level: float

    @classmethod
    def through(cls, X: Float[Tensor, "k d"], values: Float[Tensor, " k"]) -> "Spline":
        """Fit it; where inputs depend on each other, as fractions do, the smallest coefficients are taken."""
        affine = torch.cat([torch.ones(len(X), 1, dtype=X.dtype), X], dim=1)
        corner = X.new_zeros(affine.shape[1], affine.shape[1])
        system = torch.cat([torch.cat([_cubes(X, X), affine], dim=1), torch.cat([affine.T, corner], dim=1)])
        wanted = torch.cat([values, values.new_zeros(len(corner))]).unsqueeze(-1)
        found = torch.linalg.lstsq(system, wanted, driver="gelsd").solution.squeeze(-1)
        return cls(X, found[: len(X)], found[len(X) + 1 :], float(found[len(X)]))

    def __call__(self, X: Float[Tensor, "*n d"]) -> Float[Tensor, " *n"]:
        """Return its values, differentiably."""
        return _cubes(X, self.knots) @ self.weights + X @ self.slopes + self.level


def _cubes(X: Float[Tensor, "*n d"], knots: Float[Tensor, "k d"]) -> Float[Tensor, "*n k"]:
    return (X.unsqueeze(-2) - knots).square().sum(dim=-1).pow(1.5)


@dataclass(frozen=True, slots=True)
class Charge:
    """What the cost of the next experiment takes off its score."""

    cost: Cost
    encoding: Encoding
    after: Configuration | None
    """The state that the bench will be in."""
    share: float
    """Of the budget that is left; 0 where cost is left out."""
    typical: float
    """The median over the space of costs above zero, in the cost's unit."""
    spline: Spline
    """Of log(cost / typical)."""
    smooth: bool = False
    """Whether the spline stands for the exact costs everywhere."""

    def __call__(self, X: Float[Tensor, "*b q d"]) -> Float[Tensor, " *b"]:
        """Return what is subtracted; points with a gradient, and all where that is wanted, go by the spline."""
        if not self.share:
            return X.new_zeros(X.shape[:-2])
        relative = self.spline(X) if self.smooth or X.requires_grad else self._exact(X)
        return self.share * relative.sum(dim=-1)

    def _exact(self, X: Float[Tensor, "*n d"]) -> Float[Tensor, " *n"]:
        rows = [self.encoding.decode(x) for x in X.reshape(-1, X.shape[-1])]
        return _relative(self.cost.amounts(rows, self.after), self.typical).to(X).reshape(X.shape[:-1])

    def told(self, row: Configuration) -> dict[str, Any]:
        """Say it of one configuration for people."""
        amounts = self.cost.amounts([row], self.after)
        subtracted = self.share * float(_relative(amounts, self.typical))
        return {"amount": amounts[0], "typical": self.typical, "unit": self.cost.unit, "share": self.share, "subtracted": subtracted}


def charge(cost: Cost, encoding: Encoding, everywhere: Float[Tensor, "n d"], *, number: int, carried: Sequence[Configuration]) -> Charge:
    """Say what cost takes off the score of the next experiment.

    Args:
        cost: Of experiments.
        encoding: Of the space.
        everywhere: Feasible points all over it, encoded.
        number: Of the proposal, from 1 on.
        carried: All that comes before it on the bench, in order.
    """
    after = carried[-1] if carried else None
    knots = everywhere[torch.linspace(0, len(everywhere) - 1, min(KNOTS, len(everywhere))).round().long()]
    amounts = cost.amounts([encoding.decode(x) for x in knots], after)
    counted = torch.tensor([one for one in amounts if 0 < one < math.inf] or [1.0], dtype=torch.float64)
    typical = float(counted.median())
    relative = _relative(amounts, typical)
    known = relative.isfinite()
    spline = Spline.through(knots[known], relative[known])
    return Charge(cost, encoding, after, 0.0 if number % EVERY == 0 else cost.left(carried), typical, spline)


def cheapest(
    cost: Cost, drawn: Sequence[Suggestion], count: int, *, number: int, carried: Sequence[Configuration]
) -> tuple[Suggestion, ...]:
    """Take so many of a design's points, each the cheapest after the one before it; each so-many-th is simply the next.

    Args:
        cost: Of experiments.
        drawn: Points in the order in which the design has them; of equally cheap ones the first is taken.
        count: How many.
        number: Of the first proposal, from 1 on.
        carried: All that comes before it on the bench, in order.
    """
    left, chosen = list(drawn), list[Suggestion]()
    while left and len(chosen) < count:
        after = chosen[-1].configuration if chosen else carried[-1] if carried else None
        amounts = cost.amounts([one.configuration for one in left], after)
        free = (number + len(chosen)) % EVERY == 0
        chosen.append(left.pop(0 if free else amounts.index(min(amounts))))
    return tuple(chosen)


def _relative(amounts: Sequence[float], typical: float) -> Float[Tensor, " n"]:
    """Return log(cost / typical), exactly 0 for a typical one."""
    return (torch.tensor(amounts, dtype=torch.float64) / typical).clamp_min(LEAST).log()
