"""The cold start: the yardstick is BoTorch's model, and what beliefs are learned from leaves a family out."""

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
import torch
from botorch import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from gpytorch.mlls import ExactMarginalLogLikelihood

from benchmarks.cold.__main__ import arms, log_improvement, replay, table
from benchmarks.cold.averaging import LEAST_WEIGHT, LEVEL_VARIANCE, NAMES, Beliefs, Draws, averaged, distances, normal_draws, standard
from benchmarks.cold.learning import VAGUE, Part, learn
from benchmarks.cold.plain import expected, fit
from benchmarks.cold.tasks import ColdTask
from models.gaussian_processes.kernels import Layout


def drawn_task(rows: int = 40, *, family: str = "f") -> ColdTask:
    """Return a task of two numbers; the second one says nothing."""
    X = torch.rand(rows, 2, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    values = torch.sin(4.0 * X[:, 0])
    return ColdTask("t", family, Layout((0, 1), (slice(0, 1), slice(1, 2))), ("number", "number"), X, tuple((v,) for v in values.tolist()))


def part(family: str, length: float) -> Part:
    """Return evenly spaced rows of a wave of a given length scale, in one number."""
    x = torch.linspace(0.0, 1.0, 20, dtype=torch.float64)
    return Part(family, ("number",), (x.unsqueeze(1) - x).square().unsqueeze(-1), standard(torch.sin(x / length)))


def test_the_yardstick_is_fitted_as_botorch_fits_it() -> None:
    task = drawn_task(12)
    y = standard(torch.tensor(task.scores, dtype=torch.float64))
    model = SingleTaskGP(task.X, y.unsqueeze(-1), outcome_transform=None)
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    found = fit(task.X.numpy(), y.numpy())
    assert found.lengths == pytest.approx(model.covar_module.lengthscale.detach().flatten().numpy(), rel=0.01)
    assert found.noise == pytest.approx(model.likelihood.noise.item(), rel=0.01)
    asked = torch.tensor([[0.2, 0.3], [0.9, 0.1]], dtype=torch.float64)
    posterior = model.posterior(asked)
    mean, variance = expected(found, task.X.numpy(), y.numpy(), asked.numpy())
    assert mean == pytest.approx(posterior.mean.detach().flatten().numpy(), abs=0.01)
    assert variance == pytest.approx(posterior.variance.detach().flatten().numpy(), rel=0.05)


def test_an_average_is_that_of_exact_processes() -> None:
    task, chosen = drawn_task(), [0, 3, 9]
    normal, apart = normal_draws(4, 1)
    draws = Draws.of(VAGUE.means + VAGUE.deviations * normal, apart, task.kinds)
    y = standard(torch.tensor([task.scores[index] for index in chosen], dtype=torch.float64))
    found = averaged(draws, task, chosen, y)
    weights = torch.softmax(draws.evidence(distances(task, task.X[chosen], task.X[chosen]), y), dim=0)
    heard = draws.some(weights > LEAST_WEIGHT)
    assert found.weights.numpy() == pytest.approx(weights[weights > LEAST_WEIGHT].numpy(), rel=0.01)
    whole = heard.covariance(distances(task, task.X, task.X))
    for number in range(len(heard.noise)):
        K = whole[number].numpy()
        noisy = K[np.ix_(chosen, chosen)] + (float(heard.noise[number]) + 1e-6) * np.eye(3)
        gain = np.linalg.solve(noisy, K[chosen]).T
        assert found.means[number].numpy() == pytest.approx(gain @ y.numpy(), abs=1e-6)
        left = np.diag(K) - (gain * K[chosen].T).sum(axis=1)
        assert found.variances[number].numpy() == pytest.approx(left, abs=1e-6)
        assert K[0, 0] == pytest.approx(float(heard.variance[number]) + LEVEL_VARIANCE)


def test_beliefs_follow_the_length_scales_of_their_parts_and_not_of_the_family_left_out() -> None:
    found = learn([part("rough", 0.08), part("smooth", 0.5)], leave=("rough", "smooth"))
    number = NAMES.index("number")
    assert float(found["rough"].means[number]) > float(found["smooth"].means[number]) + 0.5


def test_what_was_written_is_read_again() -> None:
    assert Beliefs.read(VAGUE.written()).written() == VAGUE.written()


def test_improvement_is_that_of_the_closed_form() -> None:
    mean, variance = torch.tensor([0.3], dtype=torch.float64), torch.tensor([0.25], dtype=torch.float64)
    improvement = 0.5 * (NormalDist().pdf(-0.4) - 0.4 * NormalDist().cdf(-0.4))
    assert float(log_improvement(mean, variance, 0.5)) == pytest.approx(math.log(improvement))


def test_all_arms_begin_with_the_same_rows_and_ask_for_each_row_once() -> None:
    task = drawn_task()
    replays = [replay(task, score, 3) for score in arms(task, {"f": VAGUE}).values()]
    assert len({tuple(rows[:5]) for rows in replays}) == 1
    assert all(len(set(rows)) == len(rows) == 20 for rows in replays)
    assert replay(replace(task, name="u"), arms(task, {"f": VAGUE})["plain"], 3)[:5] != replays[0][:5]


def test_the_table_names_the_worst_task() -> None:
    areas = {("plain", "t"): 0.2, ("plain", "u"): 0.2, ("beliefs", "t"): 0.1, ("beliefs", "u"): 0.4}
    rows = [{"surrogate": who, "task": task, "seed": 0, "regret_area": area} for (who, task), area in areas.items()]
    assert "| beliefs | 1 [1, 1] | u | 2 [2, 2] | 1 |" in table(rows)
