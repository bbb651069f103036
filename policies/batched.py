"""All starts of an open search climb together, each evaluation of the acquisition function serving all of them.

Constraints between inputs stand inside what is maximised, as an augmented Lagrangian [Nocedal2006]: BoTorch's optimiser takes
nonlinear ones for one start at a time only. Equalities are eliminated: in each start the inputs with most room to both
sides follow from the others. What comes out is pulled back to what is legal as it stands, as every end is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import torch
from botorch.optim.batched_lbfgs_b import fmin_l_bfgs_b_batched
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from policies.acquisition import Acquisition
from policies.optimise import RETREATS, ROUNDS, Found, Search, independent, least_gain, score_all

_STEPS: Final = 50
"""Of the optimiser where nothing binds."""
_BOUND_STEPS: Final = 20
"""Of the optimiser between two looks at the multipliers."""
_LOOKS: Final = 8
"""At the multipliers."""
STIFFNESS: Final = 3.0
"""First weight of a squared violation, against log values: with much more, a first step across a constraint meets a wall from
which the line search does not come back."""
_STIFFER: Final = 10.0
"""Factor on it where a violation has not become four times smaller."""
_SMALLER: Final = 4.0
_STILL: Final = 1e-4
"""Change of the loss, and of a multiplier, between two looks that counts as none."""
_SEARCHES: Final = 40
"""Tries of a line search."""
_RESTORATIONS: Final = 3
"""Steps back onto constraints that the multipliers left overstepped by a little."""
_INSIDE: Final = 1e-10
"""Margin, in parts of a bound, that they aim at: more than what decoding a point loses."""
_FLAT: Final = 1e-5
"""Relative gain of a step for which the optimiser goes on."""
_BEYOND: Final = 1e6
"""Loss where the acquisition or a constraint has no number: the line search turns back."""

_Array = NDArray[np.float64]


class BatchedSearch(Search):
    """Looks for the best legal configuration of an open space, from all starts at once."""

    @override
    def _climb_all(self, acquisition: Acquisition, starts: Sequence[Found]) -> list[Found]:
        scored = _Remembered(self, acquisition)
        found = self._polished(acquisition, [self._move(scored, start) for start in starts])
        for _ in range(ROUNDS - 1):
            moved = [self._move(scored, one) for one in found]
            restless = [index for index, (one, other) in enumerate(zip(found, moved, strict=True)) if one is not other]
            if not restless:
                break
            for index, one in zip(restless, self._polished(acquisition, [moved[index] for index in restless]), strict=True):
                found[index] = one
        return found

    @override
    def _polished(self, acquisition: Acquisition, starts: Sequence[Found]) -> list[Found]:
        if not (self.encoding.free and starts):
            return list(starts)
        X = torch.stack([self._start(start.row) for start in starts])
        ends = _Climb(self, X).ends(acquisition)
        return self._taken(acquisition, starts, ends)

    def _taken(self, acquisition: Acquisition, starts: Sequence[Found], ends: Float[Tensor, "b d"]) -> list[Found]:
        """Take each end, or the last legal and new point on the way back from it, where it is better than its start."""
        rows = [self._legal(start, end) for start, end in zip(starts, ends, strict=True)]
        values = score_all(acquisition, self.encoding.encode(rows)).tolist()
        better = zip(starts, rows, values, strict=True)
        return [Found(row, value) if value > start.value + least_gain(start) else start for start, row, value in better]

    def _legal(self, start: Found, end: Float[Tensor, " d"]) -> dict[str, float | str]:
        x = self.encoding.encode([start.row])[0]
        for part in RETREATS:
            row = self.encoding.decode(end + part * (x - end))
            if self.encoding.region.complaint(row) is None and self._is_new(row):
                return row
        return start.row

    def follow(self, x: Float[Tensor, " d"]) -> tuple[Float[Tensor, "f d"], list[int]]:
        """Return how a point moves with each free input (some stay, and what an equality leaves follows), and what follows."""
        free, held = list(self.encoding.free), self._held(x)
        moves = torch.zeros(len(free), self.encoding.width, dtype=x.dtype)
        rows = independent(self._constraints.equalities, held)
        open_ = [index for index in free if index not in held]
        if not rows:
            moves[[free.index(index) for index in open_], open_] = 1.0
            return moves, []
        equal = torch.zeros(len(rows), self.encoding.width, dtype=x.dtype)
        for place, (indices, weights, _) in enumerate(rows):
            equal[place, indices] = weights
        low, high = self.encoding.floors(x), self.encoding.bounds[1]
        room = torch.minimum(x - low, high - x)
        follows = _pivots(equal[:, open_], room[open_])
        pivots, leads = [open_[place] for place in follows], [index for place, index in enumerate(open_) if place not in follows]
        answer = -torch.linalg.solve(equal[:, pivots], equal[:, leads])
        for place, index in enumerate(leads):
            moves[free.index(index), index] = 1.0
            moves[free.index(index), pivots] = answer[:, place]
        return moves, pivots

    def margins(self, X: Float[Tensor, "b d"], low: Float[Tensor, "b d"], follows: Sequence[int]) -> Float[Tensor, "b c"]:
        """Return what is to be at least zero: constraints, and bounds of what follows from others, the lower ones each start's own."""
        high, which = self.encoding.bounds[1], list(follows)
        linear = [X[:, indices] @ weights - level for indices, weights, level in self._constraints.inequalities]
        bent = [margin(X) for margin in self._constraints.margins]
        return torch.cat([X[:, which] - low[:, which], high[which] - X[:, which], *(one.unsqueeze(-1) for one in (*linear, *bent))], dim=-1)


@dataclass(frozen=True)
class _Remembered:
    """Scores of rows, each computed once: who moves to the best of three thousand categories has seen all its neighbours."""

    search: BatchedSearch
    acquisition: Acquisition
    known: dict[object, float] = field(default_factory=dict)

    def __call__(self, rows: Sequence[dict[str, float | str]]) -> Float[Tensor, " n"]:
        keys = [self.search.encoding.space.key(row) for row in rows]
        new = [index for index, key in enumerate(keys) if key not in self.known]
        if new:
            values = self.search.scored(self.acquisition, [rows[index] for index in new]).tolist()
            self.known.update(zip((keys[index] for index in new), values, strict=True))
        return torch.tensor([self.known[key] for key in keys], dtype=torch.float64)


def _pivots(equal: Float[Tensor, "e o"], room: Float[Tensor, " o"]) -> list[int]:
    """Choose one input per equality, the roomiest first, so that the chosen columns are independent."""
    left, chosen = equal.clone(), []
    for _ in range(len(equal)):
        length = left.norm(dim=0)
        worth = torch.where(length > _INDEPENDENT * equal.norm(dim=0).clamp_min(_INDEPENDENT), length * (room + _INDEPENDENT), -1.0)
        best = int(worth.argmax())
        chosen.append(best)
        direction = left[:, best] / left[:, best].norm()
        left = left - direction.unsqueeze(-1) * (direction @ left)
    return chosen


_INDEPENDENT: Final = 1e-7
"""Part of a column's length that must be new for it to count as independent; also least room."""


@dataclass(frozen=True)
class _Climb:
    """One climb of `b` starts."""

    search: BatchedSearch
    X: Float[Tensor, "b d"]

    @cached_property
    def _moves(self) -> tuple[Float[Tensor, "b f d"], list[int]]:
        found = [self.search.follow(x) for x in self.X]
        return torch.stack([moves for moves, _ in found]), sorted({index for _, follows in found for index in follows})

    @cached_property
    def _floors(self) -> Float[Tensor, "b d"]:
        """Each start's own lower bounds: what is there stays there."""
        return self.search.encoding.floors(self.X)

    @cached_property
    def _y0(self) -> Float[Tensor, "b f"]:
        """Where the starts stand, from their own lower bounds on: the optimiser has one bound for all of them."""
        free = list(self.search.encoding.free)
        return self.X[:, free] - (self._floors - self.search.encoding.bounds[0])[:, free]

    def ends(self, acquisition: Acquisition) -> Float[Tensor, "b d"]:
        """Climb, looking at the multipliers as often as it takes."""
        follows = self._moves[1]
        with torch.no_grad():
            margins = self.search.margins(self.X, self._floors, follows)
        y, multipliers = self._y0.clone(), torch.zeros_like(margins)
        if not margins.shape[1]:
            return self._placed(self._climbed(acquisition, y, multipliers, STIFFNESS * torch.ones(len(y), 1), _STEPS)[0])
        stiffness, before = torch.full((len(y), 1), STIFFNESS, dtype=y.dtype), torch.full((len(y),), torch.inf, dtype=y.dtype)
        loss = torch.full_like(before, torch.inf)
        for _ in range(_LOOKS):
            last, known = loss, multipliers
            y, loss = self._climbed(acquisition, y, multipliers, stiffness, _BOUND_STEPS)
            margins = _finite(self.search.margins(self._placed(y), self._floors, follows))
            multipliers = (multipliers - stiffness * margins).clamp_min(0.0)
            violation = (-margins).amax(dim=1).clamp_min(0.0)
            stiffness = torch.where((violation > before / _SMALLER).unsqueeze(-1), _STIFFER * stiffness, stiffness)
            before = violation
            if bool(((last - loss).abs() < _STILL).all()) and bool(((multipliers - known).abs() < _STILL).all()):
                break
        return self._placed(self._restored(y))

    def _restored(self, y: Float[Tensor, "b f"]) -> Float[Tensor, "b f"]:
        """Go the shortest way, to first order, to where all margins are met: what is left is bent, not slanted."""
        free = list(self.search.encoding.free)
        low, high = (side[free] for side in self.search.encoding.bounds)
        for _ in range(_RESTORATIONS):
            point = y.clone().requires_grad_()
            with torch.enable_grad():
                margins = self.search.margins(self._placed(point), self._floors, self._moves[1])
                slopes = [torch.autograd.grad(one.sum(), point, retain_graph=True)[0] for one in margins.unbind(dim=1)]
            missing = (_INSIDE - _finite(margins)).clamp_min(0.0)
            slanted = torch.nan_to_num(torch.stack(slopes, dim=1)) * (missing > 0).unsqueeze(-1)
            y = (y + (torch.linalg.pinv(slanted) @ missing.unsqueeze(-1)).squeeze(-1)).clamp(low, high)
        return y

    def _placed(self, y: Float[Tensor, "b f"], which: Sequence[int] | None = None) -> Float[Tensor, "b d"]:
        index = slice(None) if which is None else list(which)
        away = (y - self._y0[index]).unsqueeze(-2) @ self._moves[0][index]
        return self.X[index] + away.squeeze(-2)

    def _climbed(
        self, acquisition: Acquisition, y: Float[Tensor, "b f"], multipliers: Tensor, stiffness: Tensor, steps: int
    ) -> tuple[Float[Tensor, "b f"], Float[Tensor, " b"]]:
        """Return where the starts end, and the loss there."""
        low, high = (side[list(self.search.encoding.free)].numpy() for side in self.search.encoding.bounds)

        def losses(values: _Array, batch_indices: Sequence[int]) -> tuple[_Array, _Array]:
            point = torch.from_numpy(values).requires_grad_()
            with torch.enable_grad():
                loss = self._losses(acquisition, point, batch_indices, multipliers, stiffness)
                (slope,) = torch.autograd.grad(loss.sum(), point)
            good = loss.detach().isfinite() & slope.isfinite().all(dim=1)
            return torch.where(good, loss.detach(), _BEYOND).numpy(), torch.where(good.unsqueeze(-1), slope, 0.0).numpy()

        found, values, _ = fmin_l_bfgs_b_batched(
            losses,
            y.numpy(),
            bounds=list(zip(low, high, strict=True)),
            maxiter=steps,
            factr=None,
            ftol=_FLAT,
            maxls=_SEARCHES,
            pass_batch_indices=True,
        )
        return torch.from_numpy(found), torch.from_numpy(np.asarray(values))

    def _losses(
        self, acquisition: Acquisition, y: Float[Tensor, "b f"], which: Sequence[int], multipliers: Tensor, stiffness: Tensor
    ) -> Float[Tensor, " b"]:
        X = self._placed(y, which)
        loss = -acquisition(X.unsqueeze(-2))
        if not multipliers.shape[1]:
            return loss
        pressed, weight = multipliers[list(which)], stiffness[list(which)]
        margins = self.search.margins(X, self._floors[list(which)], self._moves[1])
        return loss + (((pressed - weight * margins).clamp_min(0.0).square() - pressed.square()) / (2.0 * weight)).sum(dim=1)


def _finite(margins: Tensor) -> Tensor:
    return torch.nan_to_num(margins.detach(), nan=-1.0, posinf=0.0, neginf=-1.0)
