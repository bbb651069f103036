"""What the fitted discrepancy says anywhere: contributions, corrected predictions, Shapley values, local slopes.

The discrepancy is a sum of parts, so that the Shapley value of a part at x against a background of points b is its value there
less its mean over the background; an interaction f(x_g, x_h) is shared,

    phi_g = (f(x_g, x_h) - mean f(b_g, x_h) + mean f(x_g, b_h) - mean f(b_g, b_h)) / 2.

Means over the background are products of mean kernels: exact, without coalitions [Shapley1953, Janzing2020].
"""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from models.twin.groups import Coded, Group
from models.twin.model import BATCH, FLOOR, UNEXPLAINED, Model
from models.twin.pairs import Conditions

CHANCE: Final = 0.9
"""What intervals are meant to hold."""
NEAR: Final = (0.15, 0.5)
"""Standard deviations of the points about a run to which a line is fitted: of controls in the cube, of channels in their own."""
POINTS: Final = 512


@dataclass(frozen=True, slots=True)
class Corrected:
    """Predictions of the target without noise, in its unit, `n` points."""

    median: Float[Tensor, " n"]
    lower: Float[Tensor, " n"]
    upper: Float[Tensor, " n"]
    """Ends of an interval of `CHANCE`."""
    reading: tuple[Float[Tensor, " n"], Float[Tensor, " n"]]
    """Ends of an interval for one reading of one run."""


@dataclass(frozen=True, slots=True)
class Attributed:
    """Shapley values of the discrepancy, on the model's scale; `n` points, `g` players."""

    players: tuple[str, ...]
    values: Float[Tensor, "n g"]
    """Over the players they sum to the discrepancy less its mean over the pairs."""


@dataclass(frozen=True, slots=True)
class LocalLine:
    """A line fitted to the named groups' sum about one run [Ribeiro2016].

    [Ribeiro2016]: M. T. Ribeiro, S. Singh, C. Guestrin, KDD 2016, 1135, 10.1145/2939672.2939778.
    """

    slopes: dict[str, float]
    """Per unit of the cube of a control, per unit of a channel, on the model's scale."""
    explained: float
    """Part of the variance near the run that the line explains, 0 to 1."""


def coefficients(model: Model) -> dict[str, tuple[float, float]]:
    """Return mean and standard deviation of each constant's deviation and each term's strength, the discrepancy present."""
    factor, lines = model.fitted.factor(), model.lines[:, 1:]
    half = torch.linalg.solve_triangular(factor, lines, upper=False)
    mean = lines.mT @ _weights(model)
    variance = 1.0 - half.square().sum(dim=0)
    sds = {one.name: one.sd for one in model.problem.coefficients}
    pairs = zip(model.coefficients, mean.tolist(), variance.clamp_min(0.0).sqrt().tolist(), strict=True)
    return {name: (sds[name] * at, sds[name] * spread) for name, at, spread in pairs}


def corrected(model: Model, conditions: Conditions, *, draws: int = 0, seed: int = 0) -> Corrected:
    """Predict new runs: the twin, its constants as far as they are known now, its terms and the discrepancy.

    For the most probable variances, or with so many draws of them from their posterior: with many groups, or few pairs, intervals for
    the most probable ones are too narrow. The mixture is told by its mean and variance, as a normal. What runs differ by beyond all
    groups, where repeats or batches tell it, is in the intervals: new runs are of batches of their own.
    """
    mean, variance, noise = _averaged(model, conditions, draws, seed) if draws else _moments(model, conditions, model.fitted.variances)
    reach = float(torch.special.ndtri(torch.tensor(0.5 + CHANCE / 2, dtype=torch.float64)))
    wide, wider = reach * variance.sqrt(), reach * (variance + noise).sqrt()
    ends = (mean, mean - wide, mean + wide, mean - wider, mean + wider)
    median, lower, upper, *reading = (model.problem.target(conditions, end) for end in ends)
    return Corrected(median, lower, upper, (reading[0], reading[1]))


def _averaged(model: Model, conditions: Conditions, draws: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the moments over draws of the variances."""
    drawn = model.fitted.drawn(draws, torch.Generator().manual_seed(seed))
    means, variances, noises = (torch.stack(each) for each in zip(*(_moments(model, conditions, one) for one in drawn), strict=True))
    return means.mean(dim=0), variances.mean(dim=0) + means.var(dim=0, correction=0), noises.mean(dim=0)


def _moments(model: Model, conditions: Conditions, variances: Float[Tensor, " c"]) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean and variance of the discrepancy at new conditions, and the variance of a reading of a run, for given variances."""
    coded = model.problem.coding(conditions)
    own = model.problem.lines(conditions, model.coefficients).square().sum(dim=1)
    for size, group in zip(variances, model.groups, strict=False):  # the noises come after the groups
        own = own + size * group.variance(coded)
    noises = noises_of(model, conditions, variances)
    own = own + sum((noises.pop(name) for name in (UNEXPLAINED, BATCH) if name in noises), torch.zeros_like(own))
    noise = sum(noises.values(), torch.zeros_like(own))
    half, known = _conditioned(model, conditions, variances)
    return half.mT @ known, (own - half.square().sum(dim=0)).clamp_min(0.0), noise


def noises_of(model: Model, conditions: Conditions, variances: Float[Tensor, " c"]) -> dict[str, Float[Tensor, " n"]]:
    """Return the variance of each component that is no group, in new runs."""
    own = list(zip(model.fitted.components.names, variances, strict=True))[len(model.groups) :]
    everywhere = torch.ones(len(conditions), dtype=variances.dtype)
    return {name: size * (model.problem.floor(conditions) if name == FLOOR else everywhere) for name, size in own}


def _conditioned(model: Model, conditions: Conditions, variances: Float[Tensor, " c"]) -> tuple[Float[Tensor, "n m"], Float[Tensor, " n"]]:
    """Return the covariances of pairs and new conditions, and the pairs' residuals, both whitened by the pairs' covariance."""
    components, problem = model.fitted.components, model.problem
    coded = problem.coding(conditions)
    cross = model.lines @ problem.lines(conditions, model.coefficients).mT
    for size, group in zip(variances, model.groups, strict=False):
        cross = cross + size * group.kernel(problem.coded, coded)
    factor = torch.linalg.cholesky(components.known + torch.einsum("c,cij->ij", variances, components.shapes))
    known = torch.linalg.solve_triangular(factor, problem.residual.unsqueeze(1), upper=False).squeeze(1)
    return torch.linalg.solve_triangular(factor, cross, upper=False), known


def attributed(model: Model, conditions: Conditions) -> Attributed:
    """Return Shapley values at conditions, against the pairs."""
    problem = model.problem
    coded, weights, found = problem.coding(conditions), _weights(model), dict[str, Tensor]()
    lines = problem.lines(conditions, model.coefficients) - model.lines.mean(dim=0)
    for number, name in enumerate(model.coefficients, start=1):
        found[name] = lines[:, number] * (model.lines[:, number] @ weights)
    for group in model.groups:
        size = model.variance(group.name)
        for part, values in _shared(group, coded, problem.coded).items():
            found[part] = found.get(part, torch.zeros(len(conditions), dtype=torch.float64)) + size * (values @ weights)
    return Attributed(tuple(found), torch.stack(list(found.values()), dim=1) if found else torch.zeros(len(conditions), 0))


def _shared(group: Group, at: Coded, pairs: Coded) -> dict[str, Float[Tensor, "n m"]]:
    """Return each player's part of a group's kernel beside the pairs, less its mean over them."""
    if not group.parts:
        return {group.name: group.kernel(at, pairs) - group.kernel(pairs, pairs).mean(dim=0)}
    first, second = group.parts
    here, there = [part.kernel(at, pairs) for part in group.parts], [part.kernel(pairs, pairs) for part in group.parts]
    means = [one.mean(dim=0) for one in there]
    both, neither = here[0] * here[1], (there[0] * there[1]).mean(dim=0)
    one, other = here[0] * means[1], here[1] * means[0]
    return {first.player: 0.5 * (both - other + one - neither), second.player: 0.5 * (both - one + other - neither)}


def local_line(model: Model, conditions: Conditions, row: int, *, seed: int = 0) -> LocalLine:
    """Fit a line to what the named groups add about one run, at points drawn near it."""
    problem, generator = model.problem, torch.Generator().manual_seed(seed)
    here = problem.coding(conditions)
    X = _near(here.controls[row], NEAR[0], generator).clamp(0.0, 1.0)
    Z = _near(here.channels[row], NEAR[1], generator)
    points = Coded(X, Z, here.lots[row].expand(POINTS))
    total = torch.zeros(POINTS, dtype=torch.float64)
    for group in model.groups:
        total = total + model.variance(group.name) * group.kernel(points, problem.coded) @ _weights(model)
    columns = torch.cat([torch.ones(POINTS, 1, dtype=torch.float64), X, Z], dim=1)
    slopes = torch.linalg.lstsq(columns, total.unsqueeze(1)).solution.squeeze(1)
    spread = float(total.var())
    explained = 1.0 - float((total - columns @ slopes).var()) / spread if spread > 0 else 1.0
    units = torch.cat([torch.ones(X.shape[1], dtype=torch.float64), problem.coding.spread])
    head = conditions.columns
    names = (*head.controls, *head.names_of_channels)
    return LocalLine(dict(zip(names, (slopes[1:] / units).tolist(), strict=True)), explained)


def _near(centre: Float[Tensor, " d"], spread: float, generator: torch.Generator) -> Float[Tensor, "n d"]:
    return centre + spread * torch.randn(POINTS, len(centre), generator=generator, dtype=torch.float64)


def _weights(model: Model) -> Float[Tensor, " n"]:
    """Return the inverse of the rows' covariance times their residuals."""
    found: Tensor = torch.cholesky_solve(model.problem.residual.unsqueeze(1), model.fitted.factor()).squeeze(1)
    return found
