"""The discrepancy between a twin and the laboratory as one Gaussian model [Kennedy2001].

    y = m(x) + level + S b + T c + sum_g f_g + batch + run + readout        (or the same of logarithms, or of shares of m)

with m the twin's prediction, S its sensitivities to calibratable constants (b ~ N(0, sd^2)), T candidate terms, f_g processes
over groups of inputs (`models.twin.groups`). Level, b and c are integrated out in closed form. Of runs that were repeated what
repeats share beyond all this is a component of its own, `unexplained`, and so is what runs of one batch share, `batch`.

Where shares of the prediction are compared, `(y - m)/w` with w = |m|, effects go with the prediction and readings have a floor besides:
noise of the same size everywhere, as instruments have whose deviation is stated as a number and a per cent.

[Kennedy2001]: M. C. Kennedy, A. O'Hagan, J. R. Stat. Soc. B 63, 425 (2001), 10.1111/1467-9868.00294.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from models.twin.groups import Coded, Coding, Group
from models.twin.pairs import Coefficient, Conditions, Pairs
from models.twin.variances import Components, Fitted, fit
from orchestrator.errors import BadInput

Scale = Literal["additive", "multiplicative", "proportional"]
UNEXPLAINED: Final = "unexplained"
BATCH: Final = "batch"
RUN: Final = "run to run"
READOUT: Final = "readout"
NOISE: Final = "noise"
"""Readout and run to run together, where no sample was read twice."""
FLOOR: Final = "floor of the readout"
"""Noise that does not go with the prediction, where all else does."""
LEAST_SHARE: Final = 0.01
"""Of the root mean square of the predictions, our own choice: what is below is compared as if it were so much."""
LEVEL_SD: Final = 10.0
"""Of the level, in root mean squares of the residual: as good as unknown, and proper."""
MEDIANS: Final = {"group": 0.1, UNEXPLAINED: 0.03, BATCH: 0.1, RUN: 0.2, READOUT: 0.2, NOISE: 0.4, FLOOR: 0.4}
"""Prior medians of variances, in mean squares of the residual, our own choice."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Residuals on one scale, and what may explain them."""

    pairs: Pairs
    scale: Scale
    residual: Float[Tensor, " n"]
    size: float
    """Root mean square of measured less predicted values about their mean; over `reference`, where shares are compared."""
    coding: Coding
    coded: Coded
    reference: float
    """Root mean square of the predictions."""

    @staticmethod
    def of(pairs: Pairs, scale: Scale) -> "Problem":
        """Take differences, shares, or differences of logarithms, in which case all values must be positive."""
        reference, coding = float(pairs.conditions.mean.square().mean().sqrt()), Coding.of(pairs.conditions)
        weights = _weights(scale, pairs.conditions, reference)
        residual = _left(scale, pairs.observed, pairs.conditions, weights)
        off = difference(scale, pairs.observed, pairs.conditions.mean, weights)
        off = off * weights / reference if scale == "proportional" else off
        return Problem(pairs, scale, residual, float(off.std(correction=0)), coding, coding(pairs.conditions), reference)

    @property
    def jacobian(self) -> float:
        """Return what the change of scale adds to the log density of the values."""
        if self.scale == "multiplicative":
            return -float(self.pairs.observed.log().sum())
        return -float(self.weights(self.pairs.conditions).log().sum())

    def weights(self, conditions: Conditions) -> Float[Tensor, " n"]:
        """Return what a small change of the target is divided by to be on the scale."""
        return _weights(self.scale, conditions, self.reference)

    def left(self, observed: Float[Tensor, " n"], conditions: Conditions) -> Float[Tensor, " n"]:
        """Return measured values less what the twin says with no constant off, on the scale."""
        return _left(self.scale, observed, conditions, self.weights(conditions))

    def target(self, conditions: Conditions, delta: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Return the target where what is `left` is `delta`."""
        weights = self.weights(conditions)
        delta = delta - _moved(conditions, weights)
        return conditions.mean * delta.exp() if self.scale == "multiplicative" else conditions.mean + weights * delta

    def floor(self, conditions: Conditions) -> Float[Tensor, " n"]:
        """Return the variance of the readout's floor in each row, over that where the prediction is `reference`."""
        return (self.reference / self.weights(conditions).clamp_min(LEAST_SHARE * self.reference)).square()

    @property
    def coefficients(self) -> tuple[Coefficient, ...]:
        """Return the constants, then the candidate terms."""
        columns = self.pairs.conditions.columns
        return (*columns.constants, *columns.terms)

    @property
    def constants(self) -> tuple[str, ...]:
        """Return the constants' names."""
        return tuple(one.name for one in self.pairs.conditions.columns.constants)

    def lines(self, conditions: Conditions, coefficients: Sequence[str]) -> Float[Tensor, "n 1+p"]:
        """Return the columns of level and chosen coefficients, each times its prior's standard deviation."""
        names = [one.name for one in self.coefficients]
        own = [names.index(name) for name in coefficients]
        sds = torch.tensor([self.coefficients[number].sd for number in own], dtype=torch.float64)
        slopes = torch.cat([conditions.sensitivities, conditions.terms], dim=1)[:, own] * sds
        slopes = slopes / self.weights(conditions).unsqueeze(1)
        level = LEVEL_SD * max(self.size, abs(float(self.residual.mean())))
        return torch.cat([torch.full((len(conditions), 1), level, dtype=torch.float64), slopes], dim=1)


@dataclass(frozen=True, slots=True)
class Model:
    """A choice of groups and terms, fitted."""

    problem: Problem
    groups: tuple[Group, ...]
    coefficients: tuple[str, ...]
    """Constants and terms that it holds."""
    lines: Float[Tensor, "n 1+p"]
    fitted: Fitted

    @property
    def log_evidence(self) -> float:
        """Return the log evidence of the values."""
        return self.fitted.log_evidence + self.problem.jacobian

    def variance(self, name: str) -> float:
        """Return a component's variance; zero where the model has none of the name."""
        names = self.fitted.components.names
        return float(self.fitted.variances[names.index(name)]) if name in names else 0.0

    @property
    def noise(self) -> float:
        """Return the variance of one reading of one run; where the prediction is `reference`, if it differs from run to run."""
        return sum(self.variance(name) for name in (RUN, READOUT, NOISE, FLOOR))


def difference(scale: Scale, observed: Float[Tensor, " n"], mean: Float[Tensor, " n"], weights: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Return measured less predicted values over weights, or differences of logarithms.

    Raises:
        BadInput: A value that is not positive, where logarithms are compared.
    """
    if scale != "multiplicative":
        return (observed - mean) / weights
    _positive("the measured value", observed)
    _positive("the twin's prediction", mean)
    return observed.log() - mean.log()


def _weights(scale: Scale, conditions: Conditions, reference: float) -> Float[Tensor, " n"]:
    if scale == "additive":
        return torch.ones_like(conditions.mean)
    if scale == "proportional":
        return conditions.mean.abs().clamp_min(LEAST_SHARE * reference)
    _positive("the twin's prediction", conditions.mean)
    return conditions.mean


def _left(scale: Scale, observed: Float[Tensor, " n"], conditions: Conditions, weights: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Return what is measured less the prediction, that taken along its tangent to where no constant is off."""
    return difference(scale, observed, conditions.mean, weights) + _moved(conditions, weights)


def _moved(conditions: Conditions, weights: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Return what the deviations at which conditions are told change, by the derivatives there."""
    if not conditions.at:
        return torch.zeros_like(conditions.mean)
    return conditions.sensitivities @ torch.tensor(conditions.at, dtype=torch.float64) / weights


def _positive(what: str, values: Float[Tensor, " n"]) -> None:
    if not bool((values > 0).all()):
        row = int((values <= 0).nonzero()[0])
        raise BadInput(f"{what} in row {row} is {float(values[row]):g}; expected a positive one, since logarithms are compared")


def model(problem: Problem, groups: Sequence[Group] = (), coefficients: Sequence[str] | None = None) -> Model:
    """Fit the variances of a choice of groups and coefficients; without a choice of these it has all constants and no term."""
    chosen = problem.constants if coefficients is None else tuple(coefficients)
    lines = problem.lines(problem.pairs.conditions, chosen)
    noises = _noises(problem)
    names = (*(group.name for group in groups), *noises)
    shapes = torch.stack([*(group.kernel(problem.coded, problem.coded) for group in groups), *noises.values()])
    medians = torch.tensor([MEDIANS.get(name, MEDIANS["group"]) for name in names], dtype=torch.float64) * problem.size**2
    fitted = fit(Components(lines @ lines.mT, names, shapes, medians), problem.residual)
    return Model(problem, tuple(groups), chosen, lines, fitted)


def _noises(problem: Problem) -> dict[str, Float[Tensor, "n n"]]:
    """Return the covariances of what no group explains, as far as repeats tell them apart."""
    found, pairs = dict[str, Tensor](), problem.pairs
    if pairs.batched:
        found[BATCH] = _equal(pairs.batch_codes)
    if pairs.repeated:
        found[UNEXPLAINED] = _equal(pairs.repeat_codes)
    if pairs.read_twice:
        found[RUN] = _equal(pairs.sample_codes)
    found[READOUT if pairs.read_twice else NOISE] = torch.eye(len(pairs.observed), dtype=torch.float64)
    if problem.scale != "additive":
        found[FLOOR] = torch.diag(problem.floor(pairs.conditions))
    return found


def _equal(labels: Tensor) -> Float[Tensor, "n n"]:
    return (labels.unsqueeze(1) == labels).to(torch.float64)
