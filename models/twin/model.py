"""The discrepancy between a twin and the laboratory as one Gaussian model [Kennedy2001].

    y = m(x) + level + S b + T c + sum_g f_g + batch + run + readout        (or the same of logarithms)

with m the twin's prediction, S its sensitivities to calibratable constants (b ~ N(0, sd^2)), T candidate terms, f_g processes
over groups of inputs (`models.twin.groups`). Level, b and c are integrated out in closed form. Of runs that were repeated what
repeats share beyond all this is a component of its own, `unexplained`, and so is what runs of one batch share, `batch`.

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

Scale = Literal["additive", "multiplicative"]
UNEXPLAINED: Final = "unexplained"
BATCH: Final = "batch"
RUN: Final = "run to run"
READOUT: Final = "readout"
NOISE: Final = "noise"
"""Readout and run to run together, where no sample was read twice."""
LEVEL_SD: Final = 10.0
"""Of the level, in root mean squares of the residual: as good as unknown, and proper."""
MEDIANS: Final = {"group": 0.1, UNEXPLAINED: 0.03, BATCH: 0.1, RUN: 0.2, READOUT: 0.2, NOISE: 0.4}
"""Prior medians of variances, in mean squares of the residual, our own choice."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Residuals on one scale, and what may explain them."""

    pairs: Pairs
    scale: Scale
    residual: Float[Tensor, " n"]
    size: float
    """Root mean square of the residual about its mean."""
    coding: Coding
    coded: Coded

    @staticmethod
    def of(pairs: Pairs, scale: Scale) -> "Problem":
        """Take differences, or differences of logarithms, in which case all values must be positive."""
        residual = difference(scale, pairs.observed, pairs.conditions.mean)
        coding = Coding.of(pairs.conditions)
        return Problem(pairs, scale, residual, float(residual.std(correction=0)), coding, coding(pairs.conditions))

    @property
    def jacobian(self) -> float:
        """Return what the change of scale adds to the log density of the values."""
        return 0.0 if self.scale == "additive" else -float(self.pairs.observed.log().sum())

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
        if self.scale == "multiplicative":
            _positive("the twin's prediction", conditions.mean)
            slopes = slopes / conditions.mean.unsqueeze(1)
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
        """Return the variance of one reading of one run."""
        return sum(self.variance(name) for name in (RUN, READOUT, NOISE))


def difference(scale: Scale, observed: Float[Tensor, " n"], mean: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Return measured less predicted values, or those of logarithms.

    Raises:
        BadInput: A value that is not positive, where logarithms are compared.
    """
    if scale == "additive":
        return observed - mean
    _positive("the measured value", observed)
    _positive("the twin's prediction", mean)
    return observed.log() - mean.log()


def on(scale: Scale, mean: Float[Tensor, " n"], delta: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Return the target where measured less predicted values, or those of logarithms, are `delta`."""
    return mean + delta if scale == "additive" else mean * delta.exp()


def _positive(what: str, values: Float[Tensor, " n"]) -> None:
    if not bool((values > 0).all()):
        row = int((values <= 0).nonzero()[0])
        raise BadInput(f"{what} in row {row} is {float(values[row]):g}; expected a positive one, since logarithms are compared")


def model(problem: Problem, groups: Sequence[Group] = (), coefficients: Sequence[str] | None = None) -> Model:
    """Fit the variances of a choice of groups and coefficients; without a choice of these it has all constants and no term."""
    chosen = problem.constants if coefficients is None else tuple(coefficients)
    lines = problem.lines(problem.pairs.conditions, chosen)
    noises = _noises(problem.pairs)
    names = (*(group.name for group in groups), *noises)
    shapes = torch.stack([*(group.kernel(problem.coded, problem.coded) for group in groups), *noises.values()])
    medians = torch.tensor([MEDIANS.get(name, MEDIANS["group"]) for name in names], dtype=torch.float64) * problem.size**2
    fitted = fit(Components(lines @ lines.mT, names, shapes, medians), problem.residual)
    return Model(problem, tuple(groups), chosen, lines, fitted)


def _noises(pairs: Pairs) -> dict[str, Float[Tensor, "n n"]]:
    """Return the covariances of what no group explains, as far as repeats tell them apart."""
    found = {}
    if pairs.batched:
        found[BATCH] = _equal(pairs.batch_codes)
    if pairs.repeated:
        found[UNEXPLAINED] = _equal(pairs.repeat_codes)
    if pairs.read_twice:
        found[RUN] = _equal(pairs.sample_codes)
    found[READOUT if pairs.read_twice else NOISE] = torch.eye(len(pairs.observed), dtype=torch.float64)
    return found


def _equal(labels: Tensor) -> Float[Tensor, "n n"]:
    return (labels.unsqueeze(1) == labels).to(torch.float64)
