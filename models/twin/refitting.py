"""Constants and terms by the twin itself, nonlinearly, from all quantities at once: what one says of a constant counts for all.

The most probable coefficients under each model's discrepancy and noise, which are held as they were found linearly. The level that a
model leaves open is none of them: what a refitted twin is off by on average, its constants have to explain.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import least_squares
from torch import Tensor

from models.twin.model import Model, Problem, difference
from models.twin.posterior import coefficients
from models.twin.terms import Estimate
from orchestrator.errors import BadInput

EVALUATIONS: Final = 15
"""Steps, each with a call of the twin and one for each derivative, at most."""
STEP: Final = 0.05
"""Of the derivatives, in prior standard deviations, our own choice: simulators with steps of their own choosing are not smooth below."""


@dataclass(frozen=True, slots=True)
class Refitted:
    """Constants and terms by the twin itself."""

    estimates: tuple[Estimate, ...]
    converged: bool


Predicting = Callable[[Sequence[dict[str, float]]], Sequence[Sequence[Float[Tensor, " n"]]]]
"""Predicts the pairs of each model for each of many sets of coefficients, by name: whoever predicts many is quickest at once."""


def refitted(models: Sequence[Model], twin: Predicting) -> Refitted:
    """Refit the coefficients of the models of several quantities together.

    Args:
        models: One for each quantity; coefficients of the same name are the same.
        twin: Predicts the pairs of each model from all coefficients.

    Raises:
        BadInput: Predictions of another shape, or that are not finite, or not positive where logarithms are compared.
    """
    sds = {one.name: one.sd for model in models for one in model.problem.coefficients if one.name in model.coefficients}
    names, start = list(sds), _start(models)
    whitenings = [_whitening(one) for one in models]

    def at(point: np.ndarray) -> dict[str, float]:
        return {name: float(value) * sds[name] for name, value in zip(names, point, strict=True)}

    @lru_cache(maxsize=1)
    def remembered(point: tuple[float, ...]) -> np.ndarray:
        (found,) = computed([np.array(point)])
        return found

    def misfit(point: np.ndarray) -> np.ndarray:
        return remembered(tuple(point.tolist()))

    def computed(points: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [whitened(point, means) for point, means in zip(points, twin([at(point) for point in points]), strict=True)]

    def whitened(point: np.ndarray, means: Sequence[Float[Tensor, " n"]]) -> np.ndarray:
        parts = [np.asarray(point, dtype=np.float64)]
        for model, whitening, mean in zip(models, whitenings, means, strict=True):
            left = _difference(model.problem, mean).unsqueeze(1)
            parts.append(torch.linalg.solve_triangular(whitening, left, upper=False).squeeze(1).numpy())
        return np.concatenate(parts)

    def slopes(point: np.ndarray) -> np.ndarray:
        here = misfit(point)
        return np.stack([(there - here) / STEP for there in computed([point + STEP * one for one in np.eye(len(point))])], axis=1)

    found = least_squares(misfit, np.array([start[name] for name in names]), jac=slopes, max_nfev=EVALUATIONS)
    spread = np.sqrt(np.diag(np.linalg.inv(found.jac.T @ found.jac)))
    best = at(found.x)
    made = tuple(Estimate(name, best[name], float(size) * sds[name], sds[name]) for name, size in zip(names, spread, strict=True))
    return Refitted(made, bool(found.success))


def _start(models: Sequence[Model]) -> dict[str, float]:
    """Return the linear estimates in prior standard deviations, each weighed by what it has learned."""
    found: dict[str, list[tuple[float, float]]] = {}
    for model in models:
        sds = {one.name: one.sd for one in model.problem.coefficients}
        for name, (mean, sd) in coefficients(model).items():
            found.setdefault(name, []).append((mean / sds[name], max((sd / sds[name]) ** 2, 1e-12)))
    # each holds the prior once; together they are to hold it once, not once each
    return {name: _together(one) for name, one in found.items()}


def _together(estimates: Sequence[tuple[float, float]]) -> float:
    precision = 1.0 + sum(1.0 / variance - 1.0 for _, variance in estimates)
    return sum(mean / variance for mean, variance in estimates) / max(precision, 1.0)


def _whitening(model: Model) -> Float[Tensor, "n n"]:
    """Return the Cholesky factor of the covariance of groups and noise."""
    V = torch.einsum("c,cij->ij", model.fitted.variances, model.fitted.components.shapes)
    factor: Tensor = torch.linalg.cholesky(V)
    return factor


def _difference(problem: Problem, mean: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    y = problem.pairs.observed
    if mean.shape != y.shape or not bool(mean.isfinite().all()):
        raise BadInput(f"a twin's refit predicted {tuple(mean.shape)} values, finite or not; expected {len(y)} finite ones")
    return difference(problem.scale, y, mean, problem.weights(problem.pairs.conditions))
