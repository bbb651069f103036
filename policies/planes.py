"""Points on the planes of linear equalities, which points drawn from the whole space would miss.

A thin slab counts as a plane: an equality, or bounds so near to each other, or to what the columns can reach, that
chance finds next to nothing between them. What is discrete is chosen first, among what the planes allow; what is
continuous is then drawn within the polytope that is left: in the direction of the point that was drawn, from the
polytope's centre (that of its largest ball), so far that volume counts and not radius. No point is thrown away: BoTorch's
mixed optimiser rounds what is discrete and then drops what is off a plane (`sample_feasible_points` of
botorch/optim/optimize_mixed.py, 0.18.1), which leaves nothing where discrete inputs are part of an equality; its equalities
are for continuous inputs alone.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from scipy.linalg import null_space
from scipy.optimize import linprog
from torch import Tensor

from models.inputs.codes import Code
from models.inputs.encoding import Encoding
from orchestrator.domain.constraints import LinearConstraint
from policies.constraints import limits, linear_constraints, linear_row
from policies.enumeration import MOST_ROWS

THIN: Final = 0.02
"""Part of what a sum can reach below which the room between its bounds is a plane's."""
LEVELS: Final = 4
"""Parallel planes that stand for a slab with room in it."""
EXTRA: Final = 3
"""Uniform numbers that a point on planes takes beside its coordinates: the discrete part, the level, the radius."""
SOLVED: Final = 1e-7
"""What the solver of linear programmes leaves of a violation: less room than this, in encoded units, is none."""
MOST_LOOKED_AT: Final = 10 * MOST_ROWS
"""So many rows of discrete values, the last not yet held against the planes, are written down; with more, chance finds some."""
NONE: Final = 1e-12
"""A length below it is float noise."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Slab:
    """low <= weights . x <= high on encoded inputs, weights of length one."""

    weights: Array
    low: float
    high: float
    thin: bool = False

    def at(self, level: int) -> float:
        """Return one of the values between the bounds."""
        return self.low + (self.high - self.low) * (level + 0.5) / LEVELS


@dataclass(frozen=True)
class Polytope:
    """Where `equal . x = at` and `bound . x <= limit`, with its centre."""

    equal: Array
    at: Array
    bound: Array
    limit: Array
    centre: Array

    @cached_property
    def inverse(self) -> Array:
        """The pseudo-inverse of the equalities."""
        found: Array = np.linalg.pinv(self.equal, rcond=SOLVED).astype(np.float64)
        return found

    @cached_property
    def dimensions(self) -> int:
        """In how many directions one may go."""
        rank = np.linalg.matrix_rank(self.equal, tol=SOLVED) if self.equal.size else 0
        return int(self.equal.shape[1] - rank)

    @cached_property
    def pinned(self) -> list[int]:
        """The inputs that have one value everywhere."""
        basis = null_space(self.equal, rcond=SOLVED) if self.equal.size else np.eye(self.equal.shape[1])
        still = np.abs(basis).max(axis=1, initial=0.0) < SOLVED
        return [int(index) for index in np.flatnonzero(still)]

    def onto(self, x: Array) -> Array:
        """Return the nearest point of the equalities, whatever the bounds."""
        moved: Array = x - self.inverse @ (self.equal @ x - self.at) if len(self.at) else x
        return moved

    def room(self, direction: Array) -> float:
        """Return how many times a direction fits between centre and bounds."""
        speed, left = self.bound @ direction, np.clip(self.limit - self.bound @ self.centre, 0.0, None)
        towards = speed > NONE
        return float((left[towards] / speed[towards]).min()) if towards.any() else 0.0

    def drawn(self, x: Array, radius: float) -> Array:
        """Return the point of the polytope that stands for a point of the space and a uniform number."""
        direction = self.onto(x) - self.centre
        if not self.dimensions or np.abs(direction).max(initial=0.0) < NONE:
            return self.centre
        return self.onto(self.centre + self.room(direction) * radius ** (1 / self.dimensions) * direction)

    def near(self, x: Array) -> Array:
        """Return a point of the polytope near a given one: on the way to the centre."""
        direction = self.onto(x) - self.centre
        if not self.dimensions or np.abs(direction).max(initial=0.0) < NONE:
            return self.centre
        return self.onto(self.centre + min(1.0, self.room(direction)) * direction)


def polytope(equal: Array, at: Array, bound: Array, limit: Array) -> Polytope | None:
    """Find the centre; None where there is no point. Bounds that hold with equality everywhere become equalities."""
    ball = _largest_ball(equal, at, bound, limit)
    if ball is None:
        return None
    if ball[1] < SOLVED:
        tight = [index for index in range(len(limit)) if _most_room(index, equal, at, bound, limit) < SOLVED]
        equal, at = np.vstack([equal, bound[tight]]), np.concatenate([at, limit[tight]])
        ball = _largest_ball(equal, at, bound, limit, slack=SOLVED)
        if ball is None:
            return None
    raw = Polytope(equal, at, bound, limit, ball[0])
    return Polytope(equal, at, bound, limit, raw.onto(ball[0]))


def _largest_ball(equal: Array, at: Array, bound: Array, limit: Array, slack: float = 0.0) -> tuple[Array, float] | None:
    """Return centre and radius of the largest ball within, among the points of the equalities (at most 1 wide)."""
    width = bound.shape[1]
    basis = null_space(equal, rcond=SOLVED) if equal.size else np.eye(width)
    reach = np.linalg.norm(bound @ basis, axis=1) if basis.shape[1] else np.zeros(len(bound))
    reach[reach < SOLVED] = 0.0  # a bound that is the same everywhere
    found = linprog(
        np.append(np.zeros(width), -1.0),
        A_ub=np.column_stack([bound, reach]),
        b_ub=limit + slack,
        A_eq=np.column_stack([equal, np.zeros(len(at))]) if len(at) else None,
        b_eq=at if len(at) else None,
        bounds=[*[(None, None)] * width, (0.0, 1.0)],
        method="highs",
    )
    return (found.x[:-1], float(found.x[-1])) if found.status == 0 else None


def _most_room(index: int, equal: Array, at: Array, bound: Array, limit: Array) -> float:
    given: dict[str, Any] = {"A_eq": equal, "b_eq": at} if len(at) else {}
    found = linprog(bound[index], A_ub=bound, b_ub=limit, bounds=(None, None), method="highs", **given)
    return float(limit[index] - found.fun) if found.status == 0 else 0.0


@dataclass(frozen=True)
class Planes:
    """The thin linear constraints of what is allowed, on encoded inputs."""

    encoding: Encoding
    _found: dict[Any, Polytope | None] = field(default_factory=dict, init=False, compare=False, repr=False)

    @property
    def exist(self) -> bool:
        """Whether there is any."""
        return any(row.thin for row in self.rows)

    @cached_property
    def rows(self) -> tuple[Slab, ...]:
        """All linear constraints; sums of fractions that vary continuously are planes beside others, not by themselves."""
        return tuple(filter(None, map(self._row, linear_constraints(self.encoding))))

    def _row(self, constraint: LinearConstraint) -> Slab | None:
        weights, offset = (linear_row(self.encoding, constraint)[0].numpy(), linear_row(self.encoding, constraint)[1])
        length, (least, most) = float(np.linalg.norm(weights)), self._reach(weights)
        if length == 0.0 or most - least <= NONE * length:
            return None
        low, high = (bound - offset for bound in limits(constraint))
        low, high, slack = max(low, least), min(high, most), SOLVED * (most - least)
        thin = -slack <= high - low <= THIN * (most - least)
        if constraint.is_equality or low > high:
            low = high = (low + high) / 2 if thin else low
        return Slab(weights / length, low / length, high / length, thin)

    def _reach(self, weights: Array, which: Sequence[int] | None = None) -> tuple[float, float]:
        low, high = (bound.numpy() for bound in self.encoding.bounds)
        index = list(range(len(weights)) if which is None else which)
        ends = np.stack([weights[index] * low[index], weights[index] * high[index]])
        return float(ends.min(axis=0).sum()), float(ends.max(axis=0).sum())

    @cached_property
    def _sums(self) -> tuple[Slab, ...]:
        made = []
        for code, where in zip(self.encoding.codes, self.encoding.slices, strict=True):
            if code.sums_to_one:
                weights = np.zeros(self.encoding.width)
                weights[where] = 1 / math.sqrt(where.stop - where.start)
                level = 1 / math.sqrt(where.stop - where.start)
                made.append(Slab(weights, level, level, thin=True))
        return tuple(made)

    # ----------------------------------------------------------------- what is discrete

    @cached_property
    def _linked(self) -> list[tuple[Code, slice]]:
        """The discrete parameters that planes bind."""
        pairs = zip(self.encoding.codes, self.encoding.slices, strict=True)
        planes = [row for row in self.rows if row.thin]
        return [(code, where) for code, where in pairs if not code.free and any(row.weights[where].any() for row in planes)]

    @cached_property
    def choices(self) -> Float[Tensor, "c d"] | None:
        """All values of the discrete parameters on planes that some continuous ones go with; None where they are too many."""
        if not self._linked:
            return None
        X, open_ = np.zeros((1, self.encoding.width)), {*self.encoding.free, *self._columns}
        for code, where in self._linked:
            if code.legal.size > MOST_ROWS or len(X) * code.legal.size > MOST_LOOKED_AT:
                return None
            values = np.array([code.encode(value) for value in code.legal.choices()])
            rows = np.repeat(X, len(values), axis=0)
            rows[:, where] = np.tile(values, (len(X), 1))
            open_ -= set(range(where.start, where.stop))
            X = self._completed(rows, sorted(open_))
        return torch.from_numpy(X) if len(X) <= MOST_ROWS else None

    def _completed(self, X: Array, open_: Sequence[int]) -> Array:
        """Leave out rows that no values of the inputs still open bring onto the planes."""
        keep = np.ones(len(X), dtype=bool)
        for row in (one for one in self.rows if one.thin):
            (least, most), held = self._reach(row.weights, open_), X @ row.weights
            slack = SOLVED * (1 + abs(row.low) + abs(row.high))
            keep &= (held + least <= row.high + slack) & (held + most >= row.low - slack)
        kept: Array = X[keep]
        return kept

    @property
    def _columns(self) -> list[int]:
        return [index for _, where in self._linked for index in range(where.start, where.stop)]

    # ----------------------------------------------------------------- points

    def placed(self, X: Float[Tensor, "n d"], U: Float[Tensor, "n 3"]) -> tuple[Float[Tensor, "n d"], Bool[Tensor, " n"]]:
        """Bring points onto the planes; says which of them have a place there.

        Args:
            X: Points that are legal but for constraints.
            U: Uniform numbers of their own.
        """
        X, there = X.clone(), torch.ones(len(X), dtype=torch.bool)
        if self.choices is not None and len(self.choices):
            picked = self.choices[(U[:, 0] * len(self.choices)).long().clamp_max(len(self.choices) - 1)]
            X[:, self._columns] = picked[:, self._columns]
        for index in range(len(X)):
            free, found = self._polytope(X[index], min(LEVELS - 1, int(U[index, 1] * LEVELS)))
            there[index] = found is not None
            if found is not None and free:
                X[index, free] = torch.from_numpy(found.drawn(X[index, free].numpy(), float(U[index, 2])))
        return X, there

    def mended(self, x: Float[Tensor, " d"]) -> Float[Tensor, " d"] | None:
        """Return a point of the planes near another, with the same discrete part; None where there is none."""
        free, found = self._polytope(x, None)
        if found is None:
            return None
        x = x.clone()
        if free:
            x[free] = torch.from_numpy(found.near(x[free].numpy()))
        return x

    def pinned(self, x: Float[Tensor, " d"]) -> set[int]:
        """Return the free inputs that the planes leave one value, given the discrete part of a point on them."""
        free, found = self._polytope(x, None)
        return {free[index] for index in found.pinned} if found is not None and free else set()

    def switched(self, x: Float[Tensor, " d"], count: int) -> Iterator[Float[Tensor, " d"]]:
        """Iterate over points that differ in the discrete part, the nearest first."""
        if self.choices is None:
            return
        away = (self.choices[:, self._columns] - x[self._columns]).abs().sum(dim=1)
        for index in away.argsort(stable=True)[: count + 1].tolist():
            if float(away[index]) > NONE:
                other = x.clone()
                other[self._columns] = self.choices[index, self._columns]
                yield other

    def is_empty(self) -> bool:
        """Say whether no point is on all planes, as far as that is known without drawing any."""
        if self.choices is not None and not len(self.choices):
            return True
        return not self._linked and self._polytope(torch.zeros(self.encoding.width, dtype=torch.float64), 0, absent=False)[1] is None

    def _polytope(self, x: Float[Tensor, " d"], level: int | None, *, absent: bool = True) -> tuple[list[int], Polytope | None]:
        """Return the inputs that may move and where they may be, given the others; each is computed once."""
        gone = self.encoding.presence.absent(x) if absent else ()
        free = [index for index in self.encoding.free if index not in gone and not (absent and self._is_absent(index, x))]
        held = [index for index in range(self.encoding.width) if index not in free]
        rest = np.zeros(self.encoding.width)
        rest[held] = x[held].numpy()
        sums = tuple(round(float(row.weights @ rest), 12) for row in (*self.rows, *self._sums))
        key = (tuple(free), sums, level, absent)
        if key not in self._found:
            self._found[key] = self._solved(free, sums, level, self._least if absent else {})
        return free, self._found[key]

    def _is_absent(self, index: int, x: Float[Tensor, " d"]) -> bool:
        """Say whether an input is the fraction of a component that is not there, where only few may be."""
        return index in self._few and float(x[index]) == 0.0

    @cached_property
    def _few(self) -> frozenset[int]:
        few = (where for code, where in zip(self.encoding.codes, self.encoding.slices, strict=True) if code.few)
        return frozenset(index for where in few for index in range(where.start, where.stop))

    @cached_property
    def _least(self) -> Mapping[int, float]:
        """What components that are there have at least, where not any share will do."""
        pairs = zip(self.encoding.codes, self.encoding.slices, strict=True)
        return {index: code.least for code, where in pairs if code.least for index in range(where.start, where.stop)}

    def _solved(self, free: list[int], sums: Sequence[float], level: int | None, least: Mapping[int, float]) -> Polytope | None:
        equal, at, bound, limit = [], [], [], []
        for row, taken in zip((*self.rows, *self._sums), sums, strict=True):
            weights = row.weights[free]
            if row.thin and (row.low == row.high or level is not None):
                value = (row.low if row.low == row.high else row.at(level or 0)) - taken
                if np.abs(weights).max(initial=0.0) > NONE:
                    equal.append(weights)
                    at.append(value)
                elif abs(value) > SOLVED * (1 + abs(row.low)) and row.low == row.high:
                    return None
                continue
            bound += [weights, -weights]
            limit += [row.high - taken, taken - row.low]
        low, high = (side.numpy()[free] for side in self.encoding.bounds)
        low = np.array([least.get(index, bottom) for index, bottom in zip(free, low, strict=True)])
        bound += [*np.eye(len(free)), *-np.eye(len(free))]
        limit += [*high, *-low]
        if not free:
            return Polytope(np.zeros((0, 0)), np.zeros(0), np.zeros((0, 0)), np.zeros(0), np.zeros(0))
        kept = np.isfinite(limit)
        G, h = np.array(bound)[kept], np.array(limit)[kept]
        return polytope(np.array(equal).reshape(len(at), len(free)), np.array(at), G, h)
