"""Which term the twin lacks, and which of its constants are off.

All are columns with normal coefficients, so that each one's evidence is in closed form but for the variances of noise. Only what
wins is refitted with the twin itself, nonlinearly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from models.twin.groups import Group
from models.twin.model import Model, Problem, model
from models.twin.posterior import coefficients

STRONG: Final = 3.0
"""Log Bayes factor from which a term is taken up, a factor of 20: "strong" after Kass and Raftery (1995), 10.2307/2291091."""
CALIBRATED: Final = 0.5
"""Posterior over prior standard deviation below which a constant counts as calibrated."""


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


def _evidence(problem: Problem, groups: Sequence[Group], names: Sequence[str]) -> float:
    return model(problem, groups, names).log_evidence
