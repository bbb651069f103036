"""Laplace's classifier agrees with its textbook form, with quadrature where that is possible, and learns reason by reason."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import norm
from torch import Tensor

from models.feasibility import (
    LEAST_PROBABILITY,
    LatentKernel,
    LearnedFeasibility,
    classifier,
    fit_classifier,
    learn_feasibility,
    log_evidence,
)
from models.gaussian_processes.kernels import Layout
from models.inputs.encoding import Encoding
from models.inputs.features import Features
from orchestrator.domain.space import SearchSpace

LAYOUT = Layout((0, 1), (slice(0, 1), slice(1, 2)))
THETA = torch.tensor([0.7, -0.4, -0.6, 0.3], dtype=torch.float64)
KERNEL = LatentKernel.of(LAYOUT, THETA)
LEVEL = 1.0
"""Of the latent function where nothing is known, as the model states it."""
PLANE = Features(
    Encoding(
        SearchSpace.model_validate(
            {"parameters": [{"kind": "continuous", "name": name, "unit": "", "min": 0, "max": 1} for name in ("a", "b")]}
        )
    )
)


def rows(count: int, seed: int = 0) -> Float[Tensor, "n 2"]:
    return torch.rand(count, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def signs_of(F: Float[Tensor, "n 2"]) -> Float[Tensor, " n"]:
    """Fail in a corner and, against the rule, once elsewhere: no perfect border."""
    signs = torch.where(F.sum(dim=-1) > 0.8, 1.0, -1.0).double()
    signs[3] = -signs[3]
    return signs


def numbers(tensor: Tensor) -> NDArray[np.float64]:
    found: NDArray[np.float64] = tensor.numpy()
    return found


def test_mode_evidence_and_predictions_are_those_of_the_textbooks_formulas_with_plain_inverses() -> None:
    F, new = rows(14), rows(5, seed=1)
    signs = signs_of(F)
    K, y = numbers(KERNEL(F, F)) + 1e-6 * np.eye(14), numbers(signs)
    inverse = np.linalg.inv(K)

    def against(g: NDArray[np.float64]) -> float:
        return float(0.5 * (g - LEVEL) @ inverse @ (g - LEVEL) - norm.logcdf(y * g).sum())

    root = np.linalg.cholesky(K)  # in units of the prior the minimum is round, and found to more digits
    g = LEVEL + root @ minimize(lambda z: against(LEVEL + root @ z), np.zeros(14), method="BFGS", options={"gtol": 1e-9}).x
    step = 1e-4
    curvature = -(norm.logcdf(y * (g + step)) - 2 * norm.logcdf(y * g) + norm.logcdf(y * (g - step))) / step**2
    slope = (norm.logcdf(y * (g + step)) - norm.logcdf(y * (g - step))) / (2 * step)
    evidence = -against(g) - 0.5 * np.linalg.slogdet(np.eye(14) + K @ np.diag(curvature))[1]
    beside = numbers(KERNEL(new, F))
    mean = LEVEL + beside @ slope
    variance = numbers(KERNEL(new, new)).diagonal() - np.einsum("nk,kl,nl->n", beside, np.linalg.inv(K + np.diag(1 / curvature)), beside)

    found = classifier(KERNEL, F, signs)
    assert found.evidence == pytest.approx(evidence, abs=1e-5)
    assert found.moments(new)[0].numpy() == pytest.approx(mean, abs=1e-4)
    assert found.moments(new)[1].numpy() == pytest.approx(variance, abs=1e-4)
    assert found.log_probability(new).exp().numpy() == pytest.approx(norm.cdf(mean / np.sqrt(1 + variance)), abs=1e-5)


@pytest.mark.parametrize("signs", [(1.0,), (-1.0,), (1.0, -1.0), (-1.0, -1.0)])
@pytest.mark.parametrize(("logs", "close"), [(-6.0, 0.03), (0.5, 0.07)])
def test_with_one_or_two_runs_it_is_as_close_to_exact_integration_as_its_kind_is(
    signs: tuple[float, ...], logs: float, close: float
) -> None:
    """The error falls with the latent function's variance: the Gaussian is around the peak of a lopsided density."""
    kernel = LatentKernel.of(LAYOUT, torch.tensor([logs, logs, -0.6, 0.3], dtype=torch.float64))
    F, new = rows(len(signs), seed=3), rows(3, seed=4)
    joint = torch.cat([F, new[:1]])
    covariance = numbers(kernel(joint, joint))
    axis = np.linspace(-12.0, 14.0, 261)
    grid = np.stack([one.ravel() for one in np.meshgrid(*[axis] * len(signs), indexing="ij")], axis=-1)
    K, beside = covariance[:-1, :-1] + 1e-6 * np.eye(len(signs)), covariance[-1, :-1]
    away = grid - LEVEL
    density = np.exp(-0.5 * np.einsum("nk,kl,nl->n", away, np.linalg.inv(K), away)) / math.sqrt(np.linalg.det(2 * math.pi * K))
    weight = density * np.prod([norm.cdf(sign * grid[:, index]) for index, sign in enumerate(signs)], axis=0)
    weight *= (axis[1] - axis[0]) ** len(signs)
    mean = LEVEL + away @ np.linalg.solve(K, beside)
    left = covariance[-1, -1] - beside @ np.linalg.solve(K, beside)
    exact = float((weight * norm.cdf(mean / math.sqrt(1 + left))).sum() / weight.sum())

    found = classifier(kernel, F, torch.tensor(signs, dtype=torch.float64))
    chance = float(found.log_probability(new[:1]).exp())
    assert found.evidence == pytest.approx(math.log(weight.sum()), abs=0.1)
    assert chance == pytest.approx(exact, abs=close)


def test_the_evidences_slope_is_that_of_finite_differences() -> None:
    F = rows(12)
    signs = signs_of(F)

    def evidence(theta: Tensor) -> Tensor:
        return log_evidence(LatentKernel.of(LAYOUT, theta)(F, F), signs)

    theta = THETA.clone().requires_grad_()
    (slope,) = torch.autograd.grad(evidence(theta), theta)
    assert slope.tolist() == pytest.approx(_differences(evidence, THETA), abs=1e-6)


def _differences(function: Callable[[Tensor], Tensor], at: Tensor, step: float = 1e-5) -> list[float]:
    moves = step * torch.eye(len(at), dtype=at.dtype)
    return [float(function(at + move) - function(at - move)) / (2 * step) for move in moves]


def learned(count: int = 40) -> LearnedFeasibility:
    """What a rule teaches that fails below a = 0.4, and for another reason above b = 0.8."""
    X = rows(count)
    cold, thick = X[:, 0] < 0.4, (X[:, 0] >= 0.4) & (X[:, 1] > 0.8)
    return learn_feasibility(PLANE, X[~cold & ~thick], {"cold": X[cold], "thick": X[thick]})


def test_a_border_is_learned_and_each_reason_has_its_own() -> None:
    found = learned()
    X = torch.tensor([[0.1, 0.3], [0.8, 0.95], [0.8, 0.3]], dtype=torch.float64)
    spared = found.spared(X)
    assert list(spared) == ["cold", "thick"]
    assert [round(chance) for chance in spared["cold"].tolist()] == [0, 1, 1]
    assert [round(chance) for chance in spared["thick"].tolist()][1:] == [0, 1]
    together = found.log_probability(X.unsqueeze(-2)).exp()
    assert together.tolist() == pytest.approx((spared["cold"] * spared["thick"]).clamp_min(LEAST_PROBABILITY).tolist())


def test_an_infeasible_run_says_nothing_of_a_reason_that_it_did_not_meet() -> None:
    X, new = rows(20), rows(4, seed=1)
    good, cold, thick = X[:10], X[10:15], X[15:]
    alone = learn_feasibility(PLANE, good, {"cold": cold}).spared(new)["cold"]
    assert torch.equal(learn_feasibility(PLANE, good, {"thick": thick, "cold": cold}).spared(new)["cold"], alone)


def test_the_order_in_which_runs_came_does_not_change_a_bit() -> None:
    X, new = rows(30), rows(50, seed=1).unsqueeze(-2)
    good, bad = X[:18], X[18:]
    there = learn_feasibility(PLANE, good, {"x": bad[:5], "y": bad[5:]}).log_probability(new)
    back = learn_feasibility(PLANE, good.flip(0), {"y": bad[5:].flip(0), "x": bad[:5].flip(0)}).log_probability(new)
    assert torch.equal(there, back)


@pytest.mark.parametrize("count", [0, 1])
def test_runs_of_one_kind_alone_are_legal(count: int) -> None:
    X = rows(6)
    found = learn_feasibility(PLANE, X[:count], {"": X[3:]}).spared(X)[""]
    assert bool((found > 0).all())
    assert bool((found < 1).all())


def test_equal_rows_that_ended_differently_leave_a_chance_between() -> None:
    X = rows(1).repeat(8, 1)
    (chance,) = learn_feasibility(PLANE, X[:4], {"": X[4:]}).spared(X[:1])[""].tolist()
    assert 0.3 < chance < 0.7


def test_no_chance_is_less_than_the_least_and_gradients_are_finite_everywhere() -> None:
    grid = torch.cartesian_prod(*[torch.linspace(0, 1, 9, dtype=torch.float64)] * 2).unsqueeze(-2).requires_grad_()
    values = learned(120).log_probability(grid)
    (slope,) = torch.autograd.grad(values.sum(), grid)
    assert float(values.detach().min()) >= math.log(LEAST_PROBABILITY)
    assert float(values.detach().exp().max()) > 0.9
    assert bool(slope.isfinite().all())
    assert float(slope.abs().max()) > 1.0


def test_the_chance_rises_with_the_slope_that_it_reports() -> None:
    found, at = learned(), torch.tensor([0.45, 0.5], dtype=torch.float64)

    def value(x: Tensor) -> Tensor:
        return found.log_probability(x.reshape(1, 1, 2))[0]

    x = at.clone().requires_grad_()
    (slope,) = torch.autograd.grad(value(x), x)
    assert slope.tolist() == pytest.approx(_differences(value, at), abs=1e-5)


def test_many_runs_of_a_perfect_border_still_fit() -> None:
    F = rows(150)
    signs = torch.where(F[:, 0] > 0.5, 1.0, -1.0).double()
    found = fit_classifier(LAYOUT, F, signs)
    assert float(((found.log_probability(F).exp() > 0.5) == (signs > 0)).double().mean()) > 0.97
