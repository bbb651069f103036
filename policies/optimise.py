"""Where the acquisition is largest: over tables exactly, over open spaces by local search from many feasible starts.

Here starts climb one by one, as they did for `bayesian/1`; today's climb together (`policies.batched`).

Open spaces alternate as BoTorch's mixed optimiser does: discrete moves to the best legal neighbour, then BoTorch's
continuous optimiser (L-BFGS-B, or SLSQP under constraints) with the discrete inputs held. Here every point looked at is
legal as it stands, and nothing is rounded afterwards.

BoTorch's own `optimize_acqf_mixed_alternating` (0.18.1, botorch/optim/optimize_mixed.py) would do instead of this module
and `policies.planes` but for two limits. It knows no nonlinear constraints: it hands on
`nonlinear_inequality_constraints=None`, so that an expression such as the share of the stocks in a flow cannot be kept. And
it raises "Equality constraints can only be used with continuous degrees of freedom", while the fractions of a composition on
a lattice are discrete and sum to one. It also draws from Python's global generator. When both limits are lifted, these
modules can go.
"""

import logging
import math
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from typing import Any, Final

import torch
from botorch.exceptions.errors import OptimizationGradientError
from botorch.generation import gen_candidates_scipy
from jaxtyping import Float
from torch import Tensor

from models.inputs.encoding import Encoding
from models.inputs.presence import CHOSEN
from orchestrator.domain.distance import unlike
from orchestrator.domain.parameters.composition import PRESENT
from orchestrator.domain.values import Configuration
from policies.acquisition import Acquisition
from policies.constraints import Continuous, proposable
from policies.planes import Planes
from policies.pool import BLOCK, Blocks, blocks
from policies.sampling import SobolPoints, drawn_width, feasible

logger = logging.getLogger(__name__)

_TIE: Final = 1e-9
"""Scores within this part of each other are equal but for the order of summation."""
_DEPENDENT: Final = 1e-7
"""Equalities whose weights, of length one, differ by less are one."""
_GAIN: Final = 1e-6
"""Least gain in the log score for which the search goes on."""
ROUNDS: Final = 6
"""Alternations between discrete and continuous moves."""
_MOVES: Final = 32
"""Discrete moves in a row."""
_SWITCHES: Final = 32
"""Nearest values of linked discrete parameters that are looked at in a move."""
_ITERATIONS: Final = 50
"""Steps of the continuous optimiser per round."""
_NEAR: Final = 0.05
"""Standard deviation, in encoded units, of starts around the best measured points."""
RETREATS: Final = (0.0, 1e-9, 1e-7, 1e-5, 1e-3, 1e-2, 0.03, 0.1, 0.2, 0.35, 0.5, 0.75)
"""How far to step back towards a legal start from an end that float noise put across a constraint, or that is an experiment taken."""
_FACES: Final = 2
"""Starts on further sets of components, per start, where a component that is there has a least share."""
_LOOKS: Final = 16
"""Feasible points looked at, per point wanted, for such as the bench tells apart from the experiments taken."""

_Row = dict[str, float | str]
Scored = Callable[[Sequence[_Row]], Tensor]
"""From rows to their scores " n"."""


@dataclass(frozen=True, slots=True)
class Found:
    """A configuration and its score."""

    row: _Row
    value: float


def least_gain(found: Found) -> float:
    """Return by how much another score must be larger to count as better: less is the order of summation."""
    return _TIE * max(1.0, abs(found.value)) if math.isfinite(found.value) else 0.0


def score_blocks(acquisition: Acquisition, table: Blocks) -> Float[Tensor, " n"]:
    """Score all points of a table; a point without a number scores minus infinity."""
    with torch.no_grad():
        parts = [acquisition(part) for part in table]
    return torch.nan_to_num(torch.cat(parts), nan=-math.inf, posinf=math.inf, neginf=-math.inf)


def score_all(acquisition: Acquisition, X: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """Score single points; a point without a number scores minus infinity."""
    return score_blocks(acquisition, blocks(X))


def best_row(acquisition: Acquisition, table: Blocks, open_: Sequence[int], generator: torch.Generator) -> tuple[int, float]:
    """Return the best of the open rows of a table and its score; the generator chooses among equals.

    Rows that are not open are scored too: the same tensors each time let models keep what they computed.
    """
    values = score_blocks(acquisition, table)[list(open_)]
    best = float(values.max())
    equal = (values >= best - least_gain(Found({}, best))).nonzero().flatten()
    chosen = int(equal[torch.randint(len(equal), (1,), generator=generator)])
    return open_[chosen], best


@dataclass(frozen=True)
class Search:
    """Looks for the best legal configuration of an open space."""

    encoding: Encoding
    restarts: int
    raw_samples: int
    taken: tuple[Configuration, ...] = ()
    """Experiments of the batch and running ones: the bench must tell what is found apart from each."""

    @cached_property
    def _planes(self) -> Planes:
        return Planes(self.encoding)

    @cached_property
    def _constraints(self) -> Continuous:
        return Continuous(self.encoding)

    def best(self, acquisition: Acquisition, around: Float[Tensor, "k d"], *, seed: int) -> Found | None:
        """Return the best configuration found; None where the bench tells nothing apart from what is taken.

        Args:
            acquisition: What is to be large.
            around: Good points already measured.
            seed: Of starts.

        Raises:
            BadInput: The constraints leave nothing.
        """
        generator = torch.Generator().manual_seed(seed)
        raw = [*self._raw(seed), *self._nearby(around, generator)]
        if not raw:
            return None
        values = self.scored(acquisition, raw)
        chosen = _starts(values, self.restarts, generator)
        starts, others = (
            [Found(raw[index], float(values[index])) for index in some] for some in (chosen, self._on_other_faces(raw, values, chosen))
        )
        if self.encoding.space.conditional:  # a category that brings much in looks bad at any one point of it: it climbs before it is left
            starts, others = self._polished(acquisition, starts), self._polished(acquisition, others)
        starts += others
        return max(self._climb_all(acquisition, starts), key=lambda found: found.value)

    def everywhere(self, seed: int) -> Float[Tensor, "n d"]:
        """Return feasible points all over the space that the bench tells apart from what is taken.

        Raises:
            BadInput: The constraints leave nothing.
        """
        return self.encoding.encode(self._raw(seed))

    def nearby(self, around: Float[Tensor, "k d"], *, seed: int) -> Float[Tensor, "n d"]:
        """Return feasible points around some."""
        return self.encoding.encode(self._nearby(around, torch.Generator().manual_seed(seed)))

    def _on_other_faces(self, rows: Sequence[_Row], values: Float[Tensor, " n"], chosen: Sequence[int]) -> list[int]:
        """Return the best points of the best faces on which no start is yet: a face is judged by where its climb ends.

        Faces differ in which components are there that have a least share, and in the categories that say which parameters are.
        """
        columns, deciding = [index for index, share in enumerate(self._least) if share], list(self.encoding.presence.deciding)
        if not columns and not deciding:
            return []
        X = self.encoding.encode(rows)
        faces = [tuple(face) for face in torch.cat([X[:, columns] > PRESENT, X[:, deciding] > CHOSEN], dim=1).tolist()]
        seen, best = {faces[index] for index in chosen}, list[int]()
        for index in values.argsort(descending=True, stable=True).tolist():
            if faces[index] not in seen:
                seen.add(faces[index])
                best.append(index)
        return best[: _FACES * self.restarts]

    @cached_property
    def _least(self) -> tuple[float, ...]:
        """What of each input's component is there at least, where it is there; 0 where any share will do."""
        return tuple(code.least for code in self.encoding.codes for _ in range(code.width))

    def _raw(self, seed: int) -> Iterator[_Row]:
        stream = islice(feasible(self.encoding, SobolPoints(drawn_width(self.encoding), seed)), _LOOKS * self.raw_samples)
        return islice((row for row in stream if self._is_new(row)), self.raw_samples)

    def _is_new(self, row: _Row) -> bool:
        return unlike(self.encoding.space, row, self.taken)

    def _within(self, rows: Sequence[_Row]) -> Iterator[_Row]:
        return (row for row in proposable(self.encoding, rows) if self._is_new(row))

    def _nearby(self, around: Float[Tensor, "k d"], generator: torch.Generator) -> Iterator[_Row]:
        """Vary good points: their neighbours, and small steps of what is continuous."""
        for x in around:
            rows = list(self._steps(self.encoding.decode(x)))
            noise = _NEAR * torch.randn(self.raw_samples // 8, len(x), dtype=x.dtype, generator=generator)
            shifted, moving = x.repeat(len(noise), 1), self._moving(x)
            shifted[:, moving] += noise[:, moving]
            rows += [self.encoding.decode(point) for point in shifted.clamp(*self.encoding.bounds)]
            yield from self._within(list(self._on_planes(rows)))

    def _moving(self, x: Float[Tensor, " d"]) -> list[int]:
        """Return the inputs that small steps change: free ones, but for those of components that no small step brings in."""
        near = self.encoding.encode([self.encoding.decode(x)])[0]
        return [index for index in self.encoding.free if not self._least[index] or float(near[index]) > PRESENT]

    def _on_planes(self, rows: Sequence[_Row]) -> Iterator[_Row]:
        """Bring rows that left the planes of linear equalities back onto them."""
        if not self._planes.exist:
            yield from rows
            return
        for x in self.encoding.encode(rows):
            if (mended := self._planes.mended(x)) is not None:
                yield self.encoding.decode(mended)

    def _steps(self, row: _Row) -> Iterator[_Row]:
        """Iterate over discrete moves; what several discrete parameters must make up together moves together."""
        yield from self.encoding.region.space.neighbours(row)
        if self._planes.exist:
            yield from map(self.encoding.decode, self._planes.switched(self.encoding.encode([row])[0], _SWITCHES))

    def _climb_all(self, acquisition: Acquisition, starts: Sequence[Found]) -> list[Found]:
        if self._is_box:
            return self._polish_box(acquisition, starts)
        return [self._climb(acquisition, start) for start in starts]

    @property
    def _is_box(self) -> bool:
        """Whether all inputs are free and nothing binds them: one batched optimisation does it all."""
        binding = self.encoding.region.space.constraints or self.encoding.region.avoided or self._constraints.equalities
        return len(self.encoding.free) == self.encoding.width and not binding

    def _climb(self, acquisition: Acquisition, found: Found) -> Found:
        scored = partial(self.scored, acquisition)
        found = self._polish(acquisition, self._move(scored, found))
        for _ in range(ROUNDS - 1):
            moved = self._move(scored, found)
            if moved is found:
                break
            found = self._polish(acquisition, moved)
        return found

    def _move(self, scored: Scored, found: Found) -> Found:
        """Go to the best legal neighbour until none is better."""
        for _ in range(_MOVES):
            rows = list(self._within(list(self._on_planes(list(self._steps(found.row))))))
            if not rows:
                break
            values = scored(rows)
            index = int(values.argmax())
            if float(values[index]) - found.value < _GAIN:
                break
            found = Found(rows[index], float(values[index]))
        return found

    def scored(self, acquisition: Acquisition, rows: Sequence[_Row]) -> Float[Tensor, " n"]:
        """Score rows, encoded block by block: the neighbours of a category are all others, and each is as wide."""
        starts = range(0, len(rows), BLOCK)
        return torch.cat([score_all(acquisition, self.encoding.encode(rows[start : start + BLOCK])) for start in starts])

    def _polish_box(self, acquisition: Acquisition, starts: Sequence[Found]) -> list[Found]:
        X = self.encoding.encode([start.row for start in starts]).unsqueeze(-2)
        ends = self._continuous(acquisition, X, {})
        return [self._take(acquisition, start, end) for start, end in zip(starts, ends.squeeze(-2), strict=True)]

    def _polished(self, acquisition: Acquisition, starts: Sequence[Found]) -> list[Found]:
        return [self._polish(acquisition, start) for start in starts]

    def _polish(self, acquisition: Acquisition, start: Found) -> Found:
        x = self._start(start.row)
        held = self._held(x)
        bound = len(independent(self._constraints.equalities, held))
        if len(held) + bound >= self.encoding.width or any(float(inside(x)) < 0 for inside in self._constraints.nonlinear):
            return start
        end = self._continuous(acquisition, x.view(1, 1, -1), {index: float(x[index]) for index in held})
        return self._take(acquisition, start, end.flatten())

    def _start(self, row: _Row) -> Float[Tensor, " d"]:
        """Encode a row without the float noise that puts it beyond a bound."""
        x = self.encoding.encode([row])[0].clamp(*self.encoding.bounds)
        return self.encoding.presence.settled(torch.maximum(x, self.encoding.floors(x)))

    def _held(self, x: Float[Tensor, " d"]) -> set[int]:
        """Return the inputs that the continuous optimiser must leave: discrete, absent and pinned ones, components that are not there."""
        held = set(range(self.encoding.width)) - set(self.encoding.free) | self.encoding.presence.absent(x)
        if self._planes.exist:
            held |= self._planes.pinned(x)
        for code, where in zip(self.encoding.codes, self.encoding.slices, strict=True):
            if code.few:
                held |= {index for index in range(where.start, where.stop) if float(x[index]) <= PRESENT}
        return held

    def _continuous(self, acquisition: Acquisition, X: Float[Tensor, "b 1 d"], held: dict[int, float]) -> Float[Tensor, "b 1 d"]:
        try:
            ends, _ = gen_candidates_scipy(
                X,
                acquisition,
                lower_bounds=self.encoding.floors(X[0, 0]),
                upper_bounds=self.encoding.bounds[1],
                inequality_constraints=self._free_part(
                    [*self._constraints.inequalities, *self._constraints.inequalities_beside(X[0, 0])], held
                ),
                equality_constraints=independent(self._constraints.equalities, held) or None,
                nonlinear_inequality_constraints=[(inside, True) for inside in self._bent(X[0, 0], held)] or None,
                options={"maxiter": _ITERATIONS},
                fixed_features=held or None,
            )
        except OptimizationGradientError as error:
            logger.info("no gradient at a start of the continuous search, which keeps the start: %s", error)
            return X
        moved: Tensor = ends.detach()
        return moved

    def _bent(self, x: Float[Tensor, " d"], held: Container[int]) -> list[Callable[[Tensor], Tensor]]:
        """Return the constraints that are not linear, without those that nothing changes while what is absent stays away.

        SLSQP goes astray by one without a slope, as `alloy.Ni * alloy.Fe` is where there is no Ni; `_take` holds the end against all.
        """
        if not any(self._least) and not self.encoding.space.conditional:
            return self._constraints.nonlinear
        free = [index for index in range(len(x)) if index not in held]
        return [inside for inside in self._constraints.nonlinear if bool(_slope(inside, x)[free].any())]

    def _free_part(self, constraints: list[tuple[Tensor, Tensor, float]], held: dict[int, float]) -> Any:
        """Leave out what has no free input: it holds already, by the start."""
        return [constraint for constraint in constraints if not set(constraint[0].tolist()) <= set(held)] or None

    def _take(self, acquisition: Acquisition, start: Found, end: Float[Tensor, " d"]) -> Found:
        """Take the end, or the last legal and new point on the way back from it, where it is better than the start."""
        x = self.encoding.encode([start.row])[0]
        for part in RETREATS:
            row = self.encoding.decode(end + part * (x - end))
            if self.encoding.region.complaint(row) is None and self._is_new(row):
                value = float(score_all(acquisition, self.encoding.encode([row])))
                return Found(row, value) if value > start.value else start
        return start


def independent(equalities: list[tuple[Tensor, Tensor, float]], held: Container[int]) -> list[tuple[Tensor, Tensor, float]]:
    """Leave out equalities that say nothing new of the free inputs: the optimiser takes none twice."""
    kept: list[tuple[Tensor, Tensor, float]] = []
    width = 1 + max((int(indices.max()) for indices, _, _ in equalities if len(indices)), default=0)
    matrix = torch.zeros(0, width, dtype=torch.float64)
    for indices, weights, level in equalities:
        row = torch.zeros(1, width, dtype=torch.float64)
        free = [place for place, index in enumerate(indices.tolist()) if index not in held]
        row[0, indices[free]] = weights[free]
        larger = torch.cat([matrix, row])
        if int(torch.linalg.matrix_rank(larger, atol=_DEPENDENT, rtol=0.0)) > len(kept):
            kept.append((indices, weights, level))
            matrix = larger
    return kept


def _slope(function: Callable[[Tensor], Tensor], x: Float[Tensor, " d"]) -> Float[Tensor, " d"]:
    with torch.enable_grad():
        point = x.detach().clone().requires_grad_()
        slope: Tensor = torch.autograd.grad(function(point), point)[0]
    return slope


def _starts(values: Float[Tensor, " n"], count: int, generator: torch.Generator) -> list[int]:
    """Choose the best point and others by chance, good ones more often (as BoTorch does: softmax of standardised scores)."""
    best = int(values.argmax())
    finite = values.isfinite()
    spread = float(values[finite].std()) if int(finite.sum()) > 1 else 0.0
    weight = torch.where(finite, ((values - values[best]) / (spread or 1.0)).exp(), 0.0)
    weight[best] = 0.0
    others = min(count - 1, int((weight > 0).sum()))
    drawn = torch.multinomial(weight, others, generator=generator).tolist() if others > 0 else []
    return [best, *drawn]
