"""What a new point adds to the trade-offs between targets: log noisy expected improvements over draws at what was measured.

The values at measured and pending points are drawn once per proposal; a new point is conditioned on them. Gains
(`policies.fronts`) are averaged over draws and over the surrogate's components; only the average is a logarithm.
"""

import math
from dataclasses import dataclass
from typing import Final

import torch
from botorch.utils.sampling import draw_sobol_normal_samples
from jaxtyping import Float
from torch import Tensor

from models.base import Surrogate
from models.pinned import Functions, Pinned
from orchestrator.domain.front import corner
from policies.drawn import EXAMINATIONS, SEED_LIMIT, at_pins, targets_of
from policies.fronts import Aim, ChebyshevAim, Gain, HypervolumeAim, VolumeAim
from policies.score import Score

_CELLS: Final = 2**18
"""Numbers that are computed together: more no longer fit into a processor's cache."""

_DRAWS: Final = 2048
"""Quasi-random draws of each component: a chance is then known to about a tenth of a per cent of what it is."""


def is_by_volume(targets: int, *, listed: bool) -> bool:
    """Say whether a front is improved on by its hypervolume: of two targets, and of three where what may be proposed is listed."""
    return targets == 2 or (targets == 3 and listed)


@dataclass(frozen=True, slots=True)
class Utilities:
    """The targets' utilities above the reference point, each in its own spread."""

    score: Score
    corner: tuple[float, ...]
    scales: tuple[float, ...]

    @staticmethod
    def among(score: Score, mean: Float[Tensor, "n m"], sd: Float[Tensor, "n m"]) -> "Utilities":
        """Take the spread of each utility among points that are known, and within what is known of them: smoothing is on a scale of one."""
        plain = _plain(score)
        known = torch.cat([mean, mean + sd, mean - sd])
        spreads = [float(plain.one(index, known[:, index]).std()) for index in range(len(plain.scales))]
        return Utilities(score, plain.corner, tuple(spread if spread > 0 else 1.0 for spread in spreads))

    def one(self, target: int, samples: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return the utility of one target's samples."""
        found: Tensor = self.score.objective.targets[target].utility(self.score.units[target] * samples)
        return (found - self.corner[target]) / self.scales[target]

    def all(self, samples: Float[Tensor, "n m"]) -> Float[Tensor, "m n"]:
        """Return the utilities of samples of all targets."""
        return torch.stack([self.one(index, samples[:, index]) for index in range(len(self.scales))])

    def combined(self, pinned: Pinned, samples: Float[Tensor, "k s b"]) -> Float[Tensor, "m c s b"]:
        """Return the utilities in all combinations, those of each function computed once."""
        rows = []
        for target in range(len(self.scales)):
            found = {which: self.one(target, samples[which]) for which in sorted({one[target] for one in pinned.functions})}
            rows.append(torch.stack([found[one[target]] for one in pinned.functions]))
        return torch.stack(rows)


@dataclass(frozen=True, slots=True)
class DrawnTradeOff:
    """What new points add in each draw, averaged; the logarithm of it, in units of `scale`."""

    pinned: Pinned
    utilities: Utilities
    gain: Gain
    scale: float
    at_pins: Float[Tensor, "k s r"]
    """Standard normal draws, one set for each function; functions of one target share theirs."""
    beyond: Float[Tensor, "k s 1"]
    """The same at the new point."""

    def __call__(self, X: Float[Tensor, "*b 1 d"]) -> Float[Tensor, " *b"]:
        """Score single points."""
        flat = X.reshape(-1, X.shape[-1])
        if flat.requires_grad:
            return self._values(flat).reshape(X.shape[:-2])
        some = torch.split(flat, max(1, _CELLS // self.gain.cells))
        return torch.cat([self._values(block) for block in some]).reshape(X.shape[:-2])

    def _values(self, X: Float[Tensor, "b d"]) -> Float[Tensor, " b"]:
        mean, along, apart = self.pinned.beside(X)
        samples = mean.unsqueeze(1) + self.at_pins @ along.mT + self.beyond * apart.unsqueeze(1)
        gained = self.gain(self.utilities.combined(self.pinned, samples)).mean(dim=1)
        weights = torch.tensor(self.pinned.weights, dtype=gained.dtype, device=gained.device)
        return (weights @ gained).log()


def drawn_trade_off(
    functions: Functions,
    utilities: Utilities,
    known: Float[Tensor, "m n"],
    *,
    measured: Float[Tensor, "n d"],
    pending: Float[Tensor, "p d"],
    expected: Float[Tensor, "e d"] | None,
    listed: bool,
    samples: int,
    seed: int,
) -> DrawnTradeOff:
    """Draw what is to be improved on: `measured` and `pending`, or what is expected at points that nobody has measured.

    Args:
        functions: Of the surrogate.
        utilities: Of its targets.
        known: What is expected of them at `measured`, or at `expected`.
        measured: Where anything was measured that may still be proposed.
        pending: What is under way.
        expected: Where nothing is measured: where most is expected.
        listed: Whether all that may be proposed is.
        samples: Joint draws.
        seed: Of draws and of a scalarisation's weights.
    """
    aim = _aim(utilities, known, seed, listed=listed)
    pins = torch.unique(pending, dim=0)
    if expected is None:
        pins = torch.cat([_leading(functions, utilities, aim, torch.unique(measured, dim=0), seed), pending])
    pinned, targets = functions.pinned(pins), len(utilities.scales)
    draws = draw_sobol_normal_samples(d=(len(pins) + 1) * targets, n=samples, seed=seed % SEED_LIMIT, device=pins.device, dtype=pins.dtype)
    Z = draws.reshape(samples, len(pins) + 1, targets).permute(2, 0, 1)[targets_of(pinned)]
    with torch.no_grad():
        U = utilities.combined(pinned, at_pins(pinned, Z[..., :-1]))
        if expected is not None:
            level = utilities.combined(pinned, pinned.beside(expected)[0].unsqueeze(1))
            U = torch.cat([U, level.expand(-1, -1, samples, -1)], dim=-1)
        gain = aim.gain(U)
    return DrawnTradeOff(pinned, utilities, gain, aim.scale, Z[..., :-1], Z[..., -1:])


def _aim(utilities: Utilities, known: Float[Tensor, "m n"], seed: int, *, listed: bool) -> Aim:
    if not is_by_volume(len(known), listed=listed):
        return ChebyshevAim.drawn(known, seed % SEED_LIMIT)
    scale = math.prod(utilities.scales)
    return HypervolumeAim(scale) if len(known) == 2 else VolumeAim(scale)


def _leading(functions: Functions, utilities: Utilities, aim: Aim, X: Float[Tensor, "n d"], seed: int) -> Float[Tensor, "r d"]:
    """Return the points that are to be improved on in some draw of some combination."""
    if len(X) < 2:
        return X
    with torch.no_grad():
        pinned = functions.pinned(X)
        generator = torch.Generator().manual_seed(seed % SEED_LIMIT)
        Z = torch.randn(len(utilities.scales), EXAMINATIONS, len(X), dtype=X.dtype, generator=generator).to(X.device)
        leaders = aim.leaders(utilities.combined(pinned, at_pins(pinned, Z[targets_of(pinned)])))
    return X[leaders.any(dim=0).any(dim=0)]


def leading_expected(surrogate: Surrogate, score: Score, X: Float[Tensor, "n d"], count: int) -> Float[Tensor, "k d"]:
    """Return points whose expected utilities none betters, evenly along the first target; better than the reference point or not."""
    with torch.no_grad():
        mean = surrogate.posterior(X.unsqueeze(-2)).mean.squeeze(-2)
        U = _plain(score).all(mean)
    betters = (U.unsqueeze(-1) >= U.unsqueeze(-2)).all(dim=0) & (U.unsqueeze(-1) > U.unsqueeze(-2)).any(dim=0)
    kept = (~betters.any(dim=0)).nonzero().flatten()
    kept = kept[U[0, kept].argsort(descending=True, stable=True)]
    places = torch.linspace(0, len(kept) - 1, min(count, len(kept))).round().long()
    return X[kept[places]]


def chance_to_join(surrogate: Surrogate, score: Score, x: Float[Tensor, "1 d"], attained: Float[Tensor, "n m"]) -> float:
    """Return the chance that a new measurement is better than the reference point and is bettered by none that is attained.

    Args:
        surrogate: Of all targets.
        score: The objective, and the units of the surrogate's outputs.
        x: The configuration, encoded.
        attained: Utilities of what was measured, above the reference point.
    """
    plain, chance = _plain(score), 0.0
    draws = draw_sobol_normal_samples(d=len(score.units), n=_DRAWS, seed=0, dtype=x.dtype, device=x.device)
    with torch.no_grad():
        noise = surrogate.variance_parts(x)[1]
        for weight, model in surrogate.components():
            posterior = model.posterior(x)
            U = plain.all(posterior.mean + (posterior.variance + noise).sqrt() * draws).T
            bettered = (attained >= U.unsqueeze(1)).all(dim=-1).any(dim=-1)
            chance += weight * float(((U > 0).all(dim=-1) & ~bettered).to(x.dtype).mean())
    return chance


def _plain(score: Score) -> Utilities:
    return Utilities(score, corner(score.objective), tuple(1.0 for _ in score.objective.targets))
