"""Which term the twin lacks, and which of its constants are off.

All are columns with normal coefficients, so that each one's evidence is in closed form but for the variances of noise. Only what
wins is refitted with the twin itself, nonlinearly.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import least_squares
from torch import Tensor

from models.twin.groups import Group
from models.twin.model import Model, Problem, model
from models.twin.posterior import coefficients
from orchestrator.errors import BadInput

STRONG: Final = 3.0
"""Log Bayes factor from which a term is taken up, a factor of 20: "strong" after Kass and Raftery (1995), 10.2307/2291091."""
CALIBRATED: Final = 0.5
"""Posterior over prior standard deviation below which a constant counts as calibrated."""
EVALUATIONS: Final = 50
"""Calls of the twin beside those for its derivatives, at most."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """How much a constant or a term explains by itself."""

    name: str
    log_bayes_factor: float
    """Of the model with it over that without, beside all constants."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is known of a constant's deviation, or a term's strength."""

    name: str
    mean: float
    sd: float
    prior_sd: float

    @property
    def calibrated(self) -> bool:
        """Whether the pairs halved what was not known."""
        return self.sd < CALIBRATED * self.prior_sd


@dataclass(frozen=True, slots=True)
class Refitted:
    """Constants and terms by the twin itself, in the order of the start."""

    estimates: tuple[Estimate, ...]
    mean: Float[Tensor, " n"]
    """The refitted twin's predictions of the pairs."""
    converged: bool


def ranking(problem: Problem, groups: Sequence[Group] = ()) -> tuple[Ranked, ...]:
    """Return constants and candidate terms, the one that explains most first."""
    names, base = problem.constants, model(problem, groups)
    gains = {name: base.log_evidence - _evidence(problem, groups, [one for one in names if one != name]) for name in names}
    terms = [one.name for one in problem.coefficients if one.name not in names]
    gains |= {name: _evidence(problem, groups, [*names, name]) - base.log_evidence for name in terms}
    return tuple(sorted((Ranked(name, gain) for name, gain in gains.items()), key=lambda one: -one.log_bayes_factor))


def taken_up(problem: Problem, groups: Sequence[Group] = ()) -> Model:
    """Take up terms one after the other while strong evidence is for one; the groups that still add evidence stay beside them.

    The first terms are sought without the groups, which would explain what the terms do.
    """
    current = model(problem)
    terms = [one.name for one in problem.coefficients if one.name not in problem.constants]
    while left := [name for name in terms if name not in current.coefficients]:
        best = max((model(problem, (), [*current.coefficients, name]) for name in left), key=lambda one: one.log_evidence)
        if best.log_evidence - current.log_evidence < STRONG:
            break
        current = best
    return _with_groups(current, groups)


def _with_groups(current: Model, groups: Sequence[Group]) -> Model:
    """Add the groups that add evidence, the one that adds most first."""
    left = list(groups)
    while left:
        tried = [model(current.problem, [*current.groups, group], current.coefficients) for group in left]
        best = max(tried, key=lambda one: one.log_evidence)
        if best.log_evidence <= current.log_evidence:
            break
        left.remove(best.groups[-1])
        current = best
    return current


def estimates(fitted: Model) -> tuple[Estimate, ...]:
    """Return what the pairs say of each coefficient of a model, the discrepancy present."""
    sds = {one.name: one.sd for one in fitted.problem.coefficients}
    return tuple(Estimate(name, mean, sd, sds[name]) for name, (mean, sd) in coefficients(fitted).items())


def refitted(fitted: Model, twin: Callable[[Float[Tensor, " p"]], Float[Tensor, " n"]]) -> Refitted:
    """Refit the coefficients of a model nonlinearly: the most probable ones under its discrepancy and noise, held fixed.

    Args:
        fitted: The model whose coefficients were found linearly; they are the start.
        twin: Predicts the pairs from the coefficients, in the model's order; each call evaluates the twin at all pairs.

    Raises:
        BadInput: Predictions of another shape, or that are not finite, or not positive where logarithms are compared.
    """
    start = estimates(fitted)
    whitening, sds = _whitening(fitted), torch.tensor([one.prior_sd for one in start], dtype=torch.float64)

    def misfit(at: np.ndarray) -> np.ndarray:
        theta = torch.from_numpy(at)
        left = _difference(fitted.problem, twin(theta * sds))
        found: np.ndarray = torch.cat([torch.linalg.solve_triangular(whitening, left.unsqueeze(1), upper=False).squeeze(1), theta]).numpy()
        return found

    found = least_squares(misfit, np.array([one.mean / one.prior_sd for one in start]), max_nfev=EVALUATIONS)
    spread = np.sqrt(np.diag(np.linalg.inv(found.jac.T @ found.jac)))
    best = torch.from_numpy(found.x) * sds
    made = [
        Estimate(one.name, value, float(size) * one.prior_sd, one.prior_sd)
        for one, value, size in zip(start, best.tolist(), spread, strict=True)
    ]
    return Refitted(tuple(made), twin(best), bool(found.success))


def _whitening(fitted: Model) -> Float[Tensor, "n n"]:
    """Return the Cholesky factor of the covariance of all but the coefficients: level, groups and noise."""
    components = fitted.fitted.components
    level = fitted.lines[:, :1]
    V = level @ level.mT + torch.einsum("c,cij->ij", fitted.fitted.variances, components.shapes)
    return torch.linalg.cholesky(V)


def _difference(problem: Problem, mean: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    y = problem.pairs.observed
    if mean.shape != y.shape or not bool(mean.isfinite().all()):
        raise BadInput(f"a twin's refit predicted {tuple(mean.shape)} values, finite or not; expected {len(y)} finite ones")
    if problem.scale == "additive":
        return y - mean
    if not bool((mean > 0).all()):
        raise BadInput(f"a twin's refit predicted {float(mean.min()):g}; expected positive values, since logarithms are compared")
    return y.log() - mean.log()


def _evidence(problem: Problem, groups: Sequence[Group], names: Sequence[str]) -> float:
    return model(problem, groups, names).log_evidence
