"""Many small Gaussian processes as one: each kernel part of each of them in the same few tensor operations.

With ten to two hundred measurements a process's own tensors hold a few thousand numbers, and calling operations on them
costs more than the numbers do. Processes over the same features whose covariances are sums of the same kinds of parts,

    k(x, z) = sum_p a_p M(|s_p (x - z)|) + g(x) C g(z),      m(x) = g(x) c,      g = (1, source functions)

with factors s_p on the features (zero for those that a part does not see), are laid side by side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from typing_extensions import override

from models.pinned import Functions, Pinned, apart, rooted

TINY: Final = 1e-20
"""Squared distances below it count as it: keeps the root's slope finite."""
CELLS_AT_ONCE: Final = 2**17
"""Correlations that are computed together: more no longer fit into a processor's cache."""
_WIDE: Final = 64
"""Features from which on it is worth looking which of them are zero in all rows."""

Correlation = Callable[[Tensor, Tensor], Tensor]
"""From squared distances "*b p n m" and amplitudes "*b p 1 1" to weighted sums "*b n m"."""


class _Materns(torch.autograd.Function):
    """Weighted sum of Matern-5/2 correlations at squared distances [Rasmussen2006], whose slope needs no graph of its own."""

    @staticmethod
    @override
    def forward(ctx: Any, squared: Tensor, amplitudes: Tensor) -> Tensor:
        r = squared.clamp_min(TINY).mul_(5.0).sqrt_()
        falling = torch.exp(-r).mul_(amplitudes)
        ctx.save_for_backward(r, falling)
        return (falling * (1.0 + r + r.square() / 3.0)).sum(dim=-3)

    @staticmethod
    @override
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        r, falling = ctx.saved_tensors
        return gradient.unsqueeze(-3) * (-5.0 / 6.0) * falling * (1.0 + r), None


def materns(squared: Float[Tensor, "*b p n m"], amplitudes: Float[Tensor, "*b p 1 1"]) -> Float[Tensor, "*b n m"]:
    """Return weighted sums of Matern-5/2 correlations; amplitudes are constants."""
    found: Tensor = _Materns.apply(squared, amplitudes)  # type: ignore[no-untyped-call]  # torch's own
    return found


def gaussians(squared: Float[Tensor, "*b p n m"], amplitudes: Float[Tensor, "*b p 1 1"]) -> Float[Tensor, "*b n m"]:
    """Return weighted sums of Gaussian correlations; amplitudes are constants."""
    return (amplitudes * torch.exp(-0.5 * squared)).sum(dim=-3)


@dataclass(frozen=True, slots=True)
class Parts:
    """Kernel parts of `k` processes against fixed rows, padded to `n` each."""

    correlation: Correlation
    factors: Float[Tensor, "k p 1 f"]
    amplitudes: Float[Tensor, "k p 1 1"]
    rows: Float[Tensor, "k p n f"]
    """Times the factors."""
    squares: Float[Tensor, "k p 1 n"]
    seen: Integer[Tensor, " s"] | None = None
    """The features that are not zero in all rows, where they are few: of thousands of categories some were measured."""

    @staticmethod
    def of(
        correlation: Correlation, factors: Float[Tensor, "k p f"], amplitudes: Float[Tensor, "k p"], rows: Float[Tensor, "k n f"]
    ) -> "Parts":
        """Lay out the rows."""
        return Parts(correlation, factors.unsqueeze(2), amplitudes[..., None, None], *_scaled(rows.unsqueeze(1), factors.unsqueeze(2)))

    def over(self, F: Float[Tensor, "r f"]) -> "Parts":
        """Return the same parts against other rows."""
        rows, squares, seen = _scaled(F, self.factors)
        return replace(self, rows=rows, squares=squares, seen=seen)

    def beside(self, other: "Parts") -> "Parts":
        """Return the same parts against these rows, then another's."""
        rows = torch.cat([self.rows, other.rows], dim=-2)
        return replace(self, rows=rows, squares=torch.cat([self.squares, other.squares], dim=-1), seen=_few(rows))

    def __call__(self, F: Float[Tensor, "*k b f"]) -> Float[Tensor, "k b n"]:
        """Return the covariances of points' features with the rows; the same points for all processes, or some for each."""
        if self.seen is not None and F.dim() == 2:
            return self._of_few(F, self.seen)
        scaled = F.unsqueeze(-3) * self.factors
        # expanded: what is lost (1e-16 of the squared norms) is less than the jitter
        squared = scaled.square().sum(dim=-1, keepdim=True) + self.squares - 2.0 * scaled @ self.rows.mT
        return self.correlation(squared, self.amplitudes)

    def _of_few(self, F: Float[Tensor, "b f"], seen: Integer[Tensor, " s"]) -> Float[Tensor, "k b n"]:
        """Compute the same, products over the features that are seen alone."""
        squares = (F.square() @ self.factors.square().flatten(0, -2).mT).mT.reshape(*self.factors.shape[:2], len(F), 1)
        scaled = F[:, seen].unsqueeze(-3) * self.factors[..., seen]
        squared = squares + self.squares - 2.0 * scaled @ self.rows[..., seen].mT
        return self.correlation(squared, self.amplitudes)

    @property
    def cells(self) -> int:
        """How many numbers one point takes while it is computed."""
        held = self.rows.shape[-1] if self.seen is None else len(self.seen)
        return max(self.amplitudes.numel() * max(1, self.rows.shape[-2], held), self.rows.shape[-1])


def _scaled(rows: Float[Tensor, "*k n f"], factors: Float[Tensor, "k p 1 f"]) -> tuple[Tensor, Tensor, Tensor | None]:
    scaled = rows * factors
    return scaled, scaled.square().sum(dim=-1).unsqueeze(-2), _few(scaled)


def _few(rows: Float[Tensor, "k p n f"]) -> Integer[Tensor, " s"] | None:
    """Return the features that are not zero in all rows; None where they are not few."""
    width = rows.shape[-1]
    if width < _WIDE:
        return None
    seen = rows.flatten(0, -2).any(dim=0).nonzero().flatten()
    return seen if 2 * len(seen) < width else None


@dataclass(frozen=True, slots=True)
class Member:
    """One process of a stack, conditioned on its measurements, in its own standard units."""

    factors: Float[Tensor, "p f"]
    amplitudes: Float[Tensor, " p"]
    coefficients: Float[Tensor, " g"]
    """Means c of the coefficients of g."""
    spreads: Float[Tensor, "g g"]
    """Their covariance C."""
    X: Float[Tensor, "n d"]
    Y: Float[Tensor, " n"]
    noise: Float[Tensor, " n"]
    """Of each measurement, jitter included."""
    level: float
    spread: float
    """From standard units to the surrogate's."""
    inflation: float = 1.0
    """Factor on every deviation."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What all processes of a stack are functions of."""

    features: Callable[[Tensor], Tensor]
    sources: Callable[[Tensor], Tensor]
    """From points "b d" to source functions "b t"; `t` may be 0."""
    correlation: Correlation
    lifting: Callable[[Tensor], Tensor] = lambda X: X
    """From the surrogate's inputs to the processes'; support rows are lifted already."""

    def g(self, X: Float[Tensor, "b d"]) -> Float[Tensor, "b g"]:
        """Return one and the source functions."""
        return torch.cat([torch.ones_like(X[..., :1]), self.sources(X)], dim=-1)


@dataclass(frozen=True, slots=True)
class Stack(Functions):
    """Processes side by side, each conditioned on its `n` measurements (padded)."""

    ground: Ground
    parts: Parts
    coefficients: Float[Tensor, "k g 1"]
    spreads: Float[Tensor, "k g g"]
    shared: Float[Tensor, "k g n"]
    """C g(z) of the measured rows."""
    total: Float[Tensor, "k 1"]
    """The amplitudes' sum."""
    inverse: Float[Tensor, "k n n"]
    """Transposed inverse root of the measurements' covariance, zero where a row is padding."""
    known: Float[Tensor, "k n 1"]
    """The measurements, through the inverse root."""
    levels: Float[Tensor, "k 1"]
    sizes: Float[Tensor, "k 1"]
    """From standard units to the surrogate's."""
    deviations: Float[Tensor, "k 1"]
    """The same for deviations, inflated."""
    weights: tuple[float, ...]
    functions: tuple[tuple[int, ...], ...]

    @staticmethod
    def of(ground: Ground, members: Sequence[Member], combinations: Sequence[tuple[float, tuple[int, ...]]]) -> "Stack":
        """Lay members side by side."""
        with torch.no_grad():
            return _laid(ground, members, combinations)

    @override
    def pinned(self, pins: Float[Tensor, "r d"]) -> "PinnedStack":
        with torch.no_grad():
            Z = self.ground.lifting(pins)
            g, F = self.ground.g(Z), self.ground.features(Z)
            at_pins = self.parts.over(F)
            shared = self.spreads @ g.mT
            half = self.half(F, g)
            covariance = at_pins(F) + g @ shared - half @ half.mT
            root = rooted(covariance)
            eye = torch.eye(len(pins), dtype=root.dtype, device=root.device).expand_as(root)
            return PinnedStack(
                stack=self,
                parts=self.parts.beside(at_pins),
                shared=torch.cat([self.shared, shared], dim=-1),
                half=half.mT,
                inverse=torch.linalg.solve_triangular(root, eye, upper=False).mT,
                means=self.levels + self.sizes * (g @ self.coefficients + half @ self.known).squeeze(-1),
                roots=self.deviations.unsqueeze(-1) * root,
                weights=self.weights,
                functions=self.functions,
            )

    def half(self, F: Float[Tensor, "b f"], g: Float[Tensor, "b g"]) -> Float[Tensor, "k b n"]:
        """Return the covariances with the measurements, through the inverse root."""
        return (self.parts(F) + g @ self.shared) @ self.inverse


@dataclass(frozen=True, slots=True)
class PinnedStack(Pinned):
    """A stack whose values at `r` points are drawn."""

    stack: Stack
    parts: Parts
    """Against the measured rows, then the pins; `shared` likewise."""
    shared: Float[Tensor, "k g n+r"]
    half: Float[Tensor, "k n r"]
    inverse: Float[Tensor, "k r r"]
    """Transposed inverse root of what the measurements leave at the pins."""
    means: Float[Tensor, "k r"]
    roots: Float[Tensor, "k r r"]
    weights: tuple[float, ...]
    functions: tuple[tuple[int, ...], ...]

    @override
    def beside(self, X: Float[Tensor, "b d"]) -> tuple[Float[Tensor, "k b"], Float[Tensor, "k b r"], Float[Tensor, "k b"]]:
        X = self.stack.ground.lifting(X)
        g = self.stack.ground.g(X)  # of the whole table: sources are remembered by tables
        rows = max(1, CELLS_AT_ONCE // self.parts.cells)
        if len(X) <= rows:
            return self._beside(X, g)
        blocks = [self._beside(some, known) for some, known in zip(torch.split(X, rows), torch.split(g, rows), strict=True)]
        means, along, left = (torch.cat(columns, dim=1) for columns in zip(*blocks, strict=True))
        return means, along, left

    def _beside(self, X: Float[Tensor, "b d"], g: Float[Tensor, "b g"]) -> tuple[Tensor, Tensor, Tensor]:
        stack, measured = self.stack, self.stack.shared.shape[-1]
        covariances = self.parts(stack.ground.features(X)) + g @ self.shared
        half = covariances[..., :measured] @ stack.inverse
        mean = (g @ stack.coefficients + half @ stack.known).squeeze(-1)
        variance = stack.total + ((g @ stack.spreads) * g).sum(dim=-1) - half.square().sum(dim=-1)
        along = (covariances[..., measured:] - half @ self.half) @ self.inverse
        size = stack.deviations
        return stack.levels + stack.sizes * mean, size.unsqueeze(-1) * along, size * apart(variance, along)


def _laid(ground: Ground, members: Sequence[Member], combinations: Sequence[tuple[float, tuple[int, ...]]]) -> Stack:
    most = max(len(one.Y) for one in members)
    X = torch.stack([_padded(one.X, most) for one in members])
    there = torch.stack([torch.arange(most) < len(one.Y) for one in members]).to(X.device)
    flat = X.flatten(0, 1)
    F, g = (found.reshape(*X.shape[:2], found.shape[-1]) for found in (ground.features(flat), ground.g(flat)))
    amplitudes, spreads = torch.stack([one.amplitudes for one in members]), torch.stack([one.spreads for one in members])
    coefficients = torch.stack([one.coefficients for one in members]).unsqueeze(-1)
    parts, shared = Parts.of(ground.correlation, torch.stack([one.factors for one in members]), amplitudes, F), spreads @ g.mT
    both = there.unsqueeze(-1) & there.unsqueeze(-2)
    noise = torch.stack([_padded(one.noise, most, fill=1.0) for one in members])
    root = rooted(torch.where(both, parts(F) + g @ shared, 0.0) + torch.diag_embed(noise))
    eye = torch.eye(most, dtype=root.dtype, device=root.device).expand_as(root)
    inverse = torch.where(both, torch.linalg.solve_triangular(root, eye, upper=False), 0.0)
    Y = torch.stack([_padded(one.Y, most) for one in members]).unsqueeze(-1)
    levels, sizes, inflations = (
        torch.tensor([[getattr(one, name)] for one in members], dtype=X.dtype, device=X.device) for name in ("level", "spread", "inflation")
    )
    return Stack(
        ground=ground,
        parts=parts,
        coefficients=coefficients,
        spreads=spreads,
        shared=shared,
        total=amplitudes.sum(dim=-1, keepdim=True),
        inverse=inverse.mT.contiguous(),
        known=inverse @ (Y - g @ coefficients),
        levels=levels,
        sizes=sizes,
        deviations=sizes * inflations,
        weights=tuple(weight for weight, _ in combinations),
        functions=tuple(functions for _, functions in combinations),
    )


def _padded(rows: Tensor, most: int, *, fill: float = 0.0) -> Tensor:
    """Append rows until there are `most`."""
    return torch.cat([rows, rows.new_full((most - len(rows), *rows.shape[1:]), fill)])
