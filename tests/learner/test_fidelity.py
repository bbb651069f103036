"""A few measured sources among many simulated ones that are wrong: the simulations must not cost what was measured."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from models.source_basis.guarded import DefaultLearner
from models.tasks import Prior, TaskData
from tests.learner.cases import family, generator

MEASURED, SIMULATED, JUDGED = 3, 20, 6
ROWS = 24
SUPPORTS = (5, 10)
DRAWS = 4
PHASE = 0.4


def phases(index: int) -> tuple[float, float]:
    """Draw what makes a task differ from its kin: all tasks come from one distribution."""
    drawn = torch.Generator().manual_seed(7000 + index)
    one, other = (PHASE * torch.randn(2, generator=drawn, dtype=torch.float64)).tolist()
    return one, other


def truth(X: Tensor, index: int) -> Tensor:
    one, other = phases(index)
    return 50.0 + 10.0 * torch.sin(3.0 * X[:, 0] + one) + 6.0 * torch.cos(4.0 * X[:, 1] + other)


def biased(X: Tensor, index: int) -> Tensor:
    """Another gain and offset, and an optimum that lies elsewhere."""
    one, other = phases(100 + index)
    return 80.0 + 18.0 * torch.sin(3.0 * X[:, 0] + 1.2 + one) + 4.0 * torch.cos(4.0 * X[:, 1] + 1.0 + other)


def task(index: int, *, simulated: bool = False) -> TaskData:
    drawn = torch.Generator().manual_seed(100 * simulated + index)
    X = torch.rand(ROWS, 2, generator=drawn, dtype=torch.float64)
    clean = biased(X, index) if simulated else truth(X, index)
    Y = clean + 0.5 * torch.randn(ROWS, generator=drawn, dtype=torch.float64)
    return TaskData(f"{'simulated' if simulated else 'measured'} {index}", X, Y, fidelity="simulated" if simulated else "measured")


def error(prior: Prior, index: int, n: int) -> float:
    """Return the root mean squared error on a new task, over several supports."""
    X = torch.rand(300, 2, generator=generator(), dtype=torch.float64)
    found = []
    for draw in range(DRAWS):
        drawn = torch.Generator().manual_seed(1000 * index + draw)
        A = torch.rand(n, 2, generator=drawn, dtype=torch.float64)
        Y = truth(A, index) + 0.5 * torch.randn(n, generator=drawn, dtype=torch.float64)
        mean = prior.adapt(TaskData("judged", A, Y), generator=generator()).posterior(X.unsqueeze(-2)).mean.flatten()
        found.append(float((mean - truth(X, index)).square().mean()))
    return math.sqrt(sum(found) / len(found))


@pytest.mark.long
def test_twenty_biased_simulations_beside_three_measured_sources_are_no_worse_than_the_three_alone() -> None:
    measured = [task(index) for index in range(MEASURED)]
    alone = DefaultLearner().meta_train(measured, family(), generator=generator())
    both = DefaultLearner().meta_train(
        [*measured, *(task(index, simulated=True) for index in range(SIMULATED))], family(), generator=generator()
    )
    for n in SUPPORTS:
        ratios = [error(both, index, n) / error(alone, index, n) for index in range(MEASURED, MEASURED + JUDGED)]
        ratio = math.exp(sum(map(math.log, ratios)) / len(ratios))
        print(f"error with simulations over error without, n = {n}: {ratio:.3f}, worst {max(ratios):.3f}")
        assert ratio <= 1.05


def test_measured_sources_that_are_all_kin_learn_what_simulations_are_worth_from_the_simulations_alone() -> None:
    measured = [replace(task(index), group="one plate") for index in range(2)]
    simulated = [task(index, simulated=True) for index in range(3)]
    prior = DefaultLearner().meta_train([*measured, *simulated], family(), generator=generator())
    posterior = prior.adapt(task(5).rows(torch.arange(5)), generator=generator()).posterior(torch.rand(4, 1, 2, dtype=torch.float64))
    assert bool(posterior.mean.isfinite().all())
