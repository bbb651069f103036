"""Variances are the most probable ones, their evidence is the integral, and predictions are those of another library."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern

from models.twin.groups import CHANNEL_LENGTH, Coded, Group
from models.twin.model import LEVEL_SD, Problem, model
from models.twin.pairs import Conditions
from models.twin.posterior import _moments
from models.twin.variances import WIDTH, Components, _curvature, _loss, fit
from tests.discrepancy.making import normal, pairs


def components(rows: int = 30) -> Components:
    z = normal(rows, 2, seed=5)
    shapes = torch.stack([z[:, [0]] @ z[:, [0]].mT, z[:, [1]] @ z[:, [1]].mT, torch.eye(rows, dtype=torch.float64)])
    return Components(
        torch.ones(rows, rows, dtype=torch.float64), ("a", "b", "noise"), shapes, torch.tensor([0.1, 0.1, 0.4], dtype=torch.float64)
    )


def test_gradient_and_curvature_are_those_of_differences() -> None:
    parts, r = components(), normal(30, seed=6) + normal(30, 2, seed=5)[:, 0]
    centre, at, step = parts.medians.log(), torch.tensor([0.2, -1.0, -0.3], dtype=torch.float64), 1e-5
    slopes = []
    for axis in torch.eye(3, dtype=torch.float64):
        (up, upward), (down, downward) = (_loss(parts, r, at + sign * step * axis, centre) for sign in (1, -1))
        assert float(_loss(parts, r, at, centre)[1] @ axis) == pytest.approx((up - down) / (2 * step), rel=1e-6)
        slopes.append((upward - downward) / (2 * step))
    torch.testing.assert_close(_curvature(parts, r, at), torch.stack(slopes), rtol=1e-5, atol=1e-6)


def test_the_evidence_is_near_the_integral_over_the_variance() -> None:
    r, one = normal(40, seed=7), torch.tensor([0.4], dtype=torch.float64)
    parts = Components(torch.zeros(40, 40, dtype=torch.float64), ("noise",), torch.eye(40, dtype=torch.float64).unsqueeze(0), one)

    def density(log_variance: float) -> float:
        likelihood = norm(0, math.exp(log_variance / 2)).logpdf(r.numpy()).sum()
        return float(math.exp(likelihood + 60) * norm(math.log(0.4), WIDTH).pdf(log_variance))

    assert fit(parts, r).log_evidence == pytest.approx(math.log(quad(density, -5, 5, points=(0.0,))[0]) - 60, abs=0.01)


def test_a_component_that_explains_nothing_changes_the_evidence_by_little() -> None:
    parts, r = components(), normal(30, seed=8)
    without = Components(parts.known, ("noise",), parts.shapes[2:], parts.medians[2:])
    assert -2.0 < fit(parts, r).log_evidence - fit(without, r).log_evidence < 0.5


def test_columns_are_integrated_out_as_a_normal_density_says() -> None:
    problem = Problem.of(pairs(), "additive")
    fitted = model(problem, (), ("rate", "quench"))
    H = torch.stack([problem.pairs.conditions.sensitivities[:, 0] * 0.5, problem.pairs.conditions.terms[:, 0]], dim=1)
    level = (LEVEL_SD * max(problem.size, abs(float(problem.residual.mean())))) ** 2
    V = level + H @ H.mT + torch.einsum("c,cij->ij", fitted.fitted.variances, fitted.fitted.components.shapes)
    value, _ = _loss(fitted.fitted.components, problem.residual, fitted.fitted.log_variances, fitted.fitted.log_variances)
    known = multivariate_normal(np.zeros(len(V)), V.numpy()).logpdf(problem.residual.numpy())
    assert -value - 0.5 * len(V) * math.log(2 * math.pi) == pytest.approx(known, abs=1e-4)


def test_predictions_are_those_of_scikit_learn() -> None:
    problem, group = Problem.of(pairs(), "additive"), Group("humidity", channel=0)
    fitted = model(problem, (group,), ())
    size, unexplained, noise = fitted.fitted.variances.tolist()
    level = (LEVEL_SD * max(problem.size, abs(float(problem.residual.mean())))) ** 2
    kernel = ConstantKernel(level) + ConstantKernel(size / 2) * (DotProduct(0.0) + Matern(CHANNEL_LENGTH, nu=2.5))
    z = problem.coded.channels[:, [0]].numpy()
    same = unexplained * fitted.fitted.components.shapes[1].numpy() + noise * np.eye(len(z))
    K = kernel(z) + same
    one = problem.pairs.conditions
    fresh = Conditions(
        one.columns, one.controls[:5], one.environment[:5] + 1, one.mean[:5], one.sensitivities[:5], one.terms[:5], one.lots[:5]
    )
    at = problem.coding(fresh).channels[:, [0]].numpy()
    mean, variance, reading = _moments(fitted, fresh, fitted.fitted.variances)
    np.testing.assert_allclose(mean.numpy(), kernel(at, z) @ np.linalg.solve(K, problem.residual.numpy()), rtol=1e-5)
    spread = kernel.diag(at) + unexplained - np.einsum("ij,ji->i", kernel(at, z), np.linalg.solve(K, kernel(z, at)))
    np.testing.assert_allclose(variance.numpy(), spread, rtol=1e-5)
    np.testing.assert_allclose(reading.numpy(), noise)


def test_without_repeats_scikit_learns_own_fit_predicts_the_same() -> None:
    problem, group = Problem.of(pairs(), "additive"), Group("humidity", channel=0)
    z, w = (Coded(problem.coded.controls, one, problem.coded.lots) for one in (problem.coded.channels, problem.coded.channels + 0.3))
    kernel = 0.5 * (DotProduct(0.0, "fixed") + Matern(CHANNEL_LENGTH, "fixed", nu=2.5))
    process = GaussianProcessRegressor(kernel, alpha=0.7, optimizer=None).fit(z.channels[:, [0]].numpy(), problem.residual.numpy())
    K = group.kernel(z, z) + 0.7 * torch.eye(len(z), dtype=torch.float64)
    expected = process.predict(w.channels[:, [0]].numpy())
    np.testing.assert_allclose((group.kernel(w, z) @ torch.linalg.solve(K, problem.residual)).numpy(), expected, rtol=1e-8)
