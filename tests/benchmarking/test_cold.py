"""The cold start: the yardstick is BoTorch's model, and all arms have the same rows."""

import math
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
import torch
from botorch import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from gpytorch.mlls import ExactMarginalLogLikelihood

from benchmarks.cold.__main__ import arms, coverage, covered, foreseen, log_improvement, peers_table, replay, standard, table
from benchmarks.cold.plain import expected, fit
from benchmarks.cold.tasks import ColdTask
from benchmarks.cold.unseen import unseen
from models.base import TargetData
from models.gaussian_processes.beliefs import Lengths, learned
from models.gaussian_processes.believed import BelievedLearner
from models.gaussian_processes.kernels import Layout


def drawn_task(rows: int = 40, *, family: str = "f") -> ColdTask:
    """Return a task of two numbers; the second one says nothing."""
    X = torch.rand(rows, 2, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    values = torch.sin(4.0 * X[:, 0])
    return ColdTask("t", family, Layout((0, 1), (slice(0, 1), slice(1, 2))), ("number", "number"), X, tuple((v,) for v in values.tolist()))


def test_the_yardstick_is_fitted_as_botorch_fits_it() -> None:
    task = drawn_task(12)
    y = torch.from_numpy(standard(np.array(task.scores)))
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


def test_replays_expect_what_the_surrogate_of_a_campaign_expects() -> None:
    task, chosen = drawn_task(), [0, 3, 9, 20]
    values = torch.tensor(task.scores, dtype=torch.float64)
    mean, variance, _ = foreseen(task, learned(), chosen, standard(values[chosen].numpy()), slice(None))
    learner = BelievedLearner(Lengths(task.layout.blocks, task.kinds), learned())
    posterior = learner.fit([TargetData("y", task.X[chosen], values[chosen])], seed=0).posterior(task.X.unsqueeze(-2))
    level, spread = float(values[chosen].mean()), float(values[chosen].std())
    assert posterior.mean.flatten().numpy() == pytest.approx(level + spread * mean, abs=1e-6)
    assert posterior.variance.flatten().numpy() == pytest.approx(spread**2 * variance, abs=1e-6)


def test_improvement_is_that_of_the_closed_form() -> None:
    mean, variance = np.array([0.3]), np.array([0.25])
    improvement = 0.5 * (NormalDist().pdf(-0.4) - 0.4 * NormalDist().cdf(-0.4))
    assert float(log_improvement(mean, variance, 0.5)[0]) == pytest.approx(math.log(improvement))


def test_all_arms_begin_with_the_same_rows_and_ask_for_each_row_once() -> None:
    task = drawn_task()
    replays = [replay(task, score, 3) for score in arms(task, learned()).values()]
    assert len({tuple(rows[:5]) for rows in replays}) == 1
    assert all(len(set(rows)) == len(rows) == 20 for rows in replays)
    assert replay(replace(task, name="u"), arms(task, learned())["plain"], 3)[:5] != replays[0][:5]


def test_the_table_names_the_worst_task() -> None:
    areas = {("plain", "t"): 0.2, ("plain", "u"): 0.2, ("beliefs", "t"): 0.1, ("beliefs", "u"): 0.4}
    rows = [{"surrogate": who, "task": task, "seed": 0, "regret_area": area} for (who, task), area in areas.items()]
    assert "| beliefs | 1 [1, 1] | u | 2 [2, 2] | 1 |" in table(rows)


def test_peers_are_compared_on_the_seeds_that_both_have() -> None:
    rows = [{"surrogate": "beliefs", "task": task, "seed": seed, "regret_area": 0.2} for task in "tu" for seed in (0, 1)]
    areas = {("baybe", "t"): 0.1, ("baybe", "u"): 0.4, ("ax", "t"): 0.4, ("ax", "u"): 0.8}
    peers = [{"surrogate": who, "task": task, "seed": 1, "regret_area": area} for (who, task), area in areas.items()]
    found = peers_table(rows, [*peers, {"surrogate": "ax", "task": "t", "seed": 2, "regret_area": 0.01}])
    assert "| baybe | 1 [1, 1] | t | 2 [2, 2] | 1 |" in found
    assert "| ax | 0.354 [0.354, 0.354] | t | 0.5 [0.5, 0.5] | 1 |" in found
    assert "| the better one of each task | 1 [1, 1] | t | 2 [2, 2] | 1 |" in found


def test_coverage_is_the_part_of_the_rows_that_intervals_hold() -> None:
    assert covered(drawn_task(), learned(), 0, 10) > 0.5
    assert coverage([{"coverage": [0.8, 0.9, 1.0]}, {}, {"coverage": [0.9, 0.9, 0.8]}]).endswith(
        "85 % after 5, 90 % after 10, 90 % after 20"
    )


def test_rows_of_unseen_families_without_a_value_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "nano_assembly").mkdir()
    header = "oleylamine,cadmium_acetate,oleic_acid,selenium,fl_peak_intensity"
    table = f"{header}\n0,1,0,1,5.0\n0,1,0,1,7.0\n2,3,4,5,\n4,2,1,2,3.0\n"
    (tmp_path / "nano_assembly/cdse.csv").write_text(table, encoding="utf-8")
    task = next(unseen(tmp_path))
    assert task.replicates == ((5.0, 7.0), (3.0,))
    assert task.X.tolist() == [[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]]
