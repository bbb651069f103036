"""The constraints of a search space: as masks over encoded rows, and as BoTorch's optimisers want them."""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from models.inputs.encoding import Encoding
from models.inputs.proximity import distances
from orchestrator.domain.constraints import Constraint, LinearConstraint
from orchestrator.domain.restriction import Restriction
from orchestrator.domain.values import Configuration


def meets_constraints(encoding: Encoding, X: Float[Tensor, "n d"]) -> Bool[Tensor, " n"]:
    """Say quickly which encoded rows meet all constraints; `Region.complaint` has the last word."""
    space, numbers = encoding.region.space, encoding.numbers(X)
    met = torch.ones(len(X), dtype=torch.bool)
    for constraint in space.constraints:
        value = torch.as_tensor(space.constraint_value(constraint, numbers), dtype=X.dtype).expand(len(X))
        (low, high), slack = limits(constraint), space.slack(constraint, numbers)
        met &= value.isfinite() & (value >= low - slack) & (value <= high + slack)
    return met


def limits(constraint: Constraint) -> tuple[float, float]:
    """Return a constraint's bounds, infinite where not given."""
    return -math.inf if constraint.min is None else constraint.min, math.inf if constraint.max is None else constraint.max


def linear_constraints(encoding: Encoding) -> list[LinearConstraint]:
    """Return the constraints that are linear in encoded inputs too: those on columns that are always there, and on no log scale."""
    return [one for one in _affine_constraints(encoding) if not _is_conditional(encoding, one)]


def _affine_constraints(encoding: Encoding) -> list[LinearConstraint]:
    linear = (one for one in encoding.region.space.constraints if isinstance(one, LinearConstraint))
    return [one for one in linear if set(one.coefficients) <= set(encoding.affine)]


def _is_conditional(encoding: Encoding, constraint: LinearConstraint) -> bool:
    """Say whether a constraint is linear only while what is there stays there."""
    return any(encoding.space.owners[column].when for column in constraint.coefficients)


def linear_row(encoding: Encoding, constraint: LinearConstraint) -> tuple[Float[Tensor, " d"], float]:
    """Return weights and offset with which a constraint's sum is weights . x + offset on encoded inputs."""
    weights, offset = torch.zeros(encoding.width, dtype=torch.float64), 0.0
    for column, factor in constraint.coefficients.items():
        index, low, span = encoding.affine[column]
        weights[index] += factor * span
        offset += factor * low
    return weights, offset


def proposable(encoding: Encoding, rows: Sequence[Configuration]) -> Iterator[dict[str, float | str]]:
    """Iterate over the rows that may be proposed."""
    if rows:
        met = meets_constraints(encoding, encoding.encode(rows)).tolist() if encoding.region.space.constraints else [True] * len(rows)
        yield from (dict(row) for row, good in zip(rows, met, strict=True) if good and encoding.region.complaint(row) is None)


@dataclass(frozen=True)
class Continuous:
    """Constraints between encoded inputs, for optimisers."""

    encoding: Encoding

    @cached_property
    def equalities(self) -> list[tuple[Tensor, Tensor, float]]:
        """Fractions that vary continuously sum to one, and linear constraints whose bounds are one number."""
        sums = [
            (torch.arange(where.start, where.stop), torch.ones(where.stop - where.start, dtype=torch.float64), 1.0)
            for code, where in zip(self.encoding.codes, self.encoding.slices, strict=True)
            if code.sums_to_one
        ]
        return [*sums, *(self._plane(one) for one in linear_constraints(self.encoding) if one.is_equality)]

    @cached_property
    def inequalities(self) -> list[tuple[Tensor, Tensor, float]]:
        """Linear constraints as BoTorch wants them: sum of coefficient * input >= bound."""
        return [side for one in linear_constraints(self.encoding) if not one.is_equality for side in self._sides(one, frozenset())]

    def inequalities_beside(self, x: Float[Tensor, " d"]) -> list[tuple[Tensor, Tensor, float]]:
        """Return those that are linear only while what is there at a point stays there."""
        gone = self.encoding.presence.absent(x)
        return [side for one in self._conditional for side in self._sides(one, gone)]

    @cached_property
    def _conditional(self) -> list[LinearConstraint]:
        return [one for one in _affine_constraints(self.encoding) if _is_conditional(self.encoding, one)]

    def _plane(self, constraint: LinearConstraint) -> tuple[Tensor, Tensor, float]:
        """Return an equality on the scale of its own inputs, so that the optimiser's tolerance means the same for all."""
        weights, offset = linear_row(self.encoding, constraint)
        scale = float(weights.norm()) or 1.0
        indices = weights.nonzero().flatten()
        return indices, weights[indices] / scale, (sum(limits(constraint)) / 2 - offset) / scale

    def _sides(self, constraint: LinearConstraint, gone: Collection[int]) -> Iterator[tuple[Tensor, Tensor, float]]:
        weights, offset = linear_row(self.encoding, constraint)
        for column, factor in constraint.coefficients.items():
            index, low, span = self.encoding.affine[column]
            if index in gone:
                weights[index] -= factor * span
                offset += factor * (float(self.encoding.space.owners[column].absence[column]) - low)
        indices = torch.tensor([self.encoding.affine[column][0] for column in constraint.coefficients])
        if constraint.min is not None:
            yield indices, weights[indices], constraint.min - offset
        if constraint.max is not None:
            yield indices, -weights[indices], offset - constraint.max

    @cached_property
    def margins(self) -> list[Callable[[Tensor], Tensor]]:
        """All other constraints, and distances from what is avoided, as functions of encoded points "b d" to be at least zero."""
        return [*self._bent, *(side for constraint in self._conditional for side in self._margins(constraint))]

    @cached_property
    def _bent(self) -> list[Callable[[Tensor], Tensor]]:
        linear, apart = _affine_constraints(self.encoding), [self._apart(one) for one in self.encoding.region.avoided]
        others = (one for one in self.encoding.region.space.constraints if one not in linear)
        return [*(side for constraint in others for side in self._margins(constraint)), *apart]

    @property
    def nonlinear(self) -> list[Callable[[Tensor], Tensor]]:
        """The margins of one encoded point, but for those of `inequalities_beside`."""
        return [lambda x, margin=margin: margin(x.unsqueeze(0))[0] for margin in self._bent]  # type: ignore[misc]  # one for each

    def _apart(self, restriction: Restriction) -> Callable[[Tensor], Tensor]:
        (centre,) = self.encoding.encode([restriction.around])
        return lambda X: distances(centre, X, self.encoding) - restriction.radius

    def _margins(self, constraint: Constraint) -> Iterator[Callable[[Tensor], Tensor]]:
        low, high = limits(constraint)
        # on the scale of its bounds, so that the optimiser's tolerance means the same for all
        scale = max(abs(bound) for bound in (low, high) if math.isfinite(bound)) or 1.0
        if math.isfinite(low):
            yield lambda X: (self._value(constraint, X) - low) / scale
        if math.isfinite(high):
            yield lambda X: (high - self._value(constraint, X)) / scale

    def _value(self, constraint: Constraint, X: Float[Tensor, "b d"]) -> Float[Tensor, " b"]:
        value = self.encoding.space.constraint_value(constraint, self.encoding.numbers(X))
        return torch.as_tensor(value, dtype=X.dtype).expand(len(X))
