"""What a prior says of its own ignorance and of a measurement's scatter, where both are known."""

import pytest
import torch
from torch import Tensor

from models.source_basis.learner import SourceBasisLearner
from models.tasks import Prior, TaskData, replicates
from tests.learner.cases import family, generator
from tests.learner.recorded import barrels

A, C = 0.3, 0.2
"""Of the simulator's scatter, sd = A + C |y|."""
BARREL_ROWS = (20, 150)
BARREL_DRAWS = 20


def truth(X: Tensor, index: int) -> Tensor:
    return 3.0 * torch.sin(4.0 * X.sum(dim=-1) + 0.5 * index)


def simulated(index: int, rows: int, seed: int) -> TaskData:
    """Measure each configuration twice."""
    drawn = torch.Generator().manual_seed(seed)
    X = torch.rand(rows // 2, 2, generator=drawn, dtype=torch.float64).repeat(2, 1)
    f = truth(X, index)
    return TaskData(str(index), X, f + (A + C * f.abs()) * torch.randn(rows, generator=drawn, dtype=torch.float64))


def test_scatter_that_grows_with_the_value_is_told_apart_from_ignorance() -> None:
    prior = SourceBasisLearner().meta_train([simulated(i, 160, seed=i) for i in range(5)], family(), generator=generator())
    measured, X = simulated(5, 120, seed=9), torch.rand(200, 2, generator=generator(), dtype=torch.float64)
    sizes = (6, 30, 120)
    order = torch.randperm(120, generator=generator())
    found = []
    for n in sizes:
        task = measured.rows(order[:n])
        surrogate = prior.adapt(task, generator=generator())
        found.append([part.squeeze(-1).sqrt() for part in surrogate.variance_parts(X)])
    expected = A + C * truth(X, 5).abs()
    for n, (_, aleatoric) in zip(sizes, found, strict=True):
        assert float((aleatoric / expected - 1.0).abs().mean()) < 0.25, n
    ignorance, scatter = ([float(pair[part].mean()) for pair in found] for part in (0, 1))
    assert ignorance[0] > ignorance[1] > ignorance[2]
    assert ignorance[2] < 0.7 * ignorance[0]
    assert min(scatter) > 0.8 * scatter[0]


@pytest.mark.long
def test_the_scatter_of_crossed_barrels_is_predicted_for_numbers_of_struts_never_seen() -> None:
    """Pooled over all four tasks, at each size of support.

    Not reached task by task with few rows: with 20 the sd of 6 and of 12 struts is predicted about a third too low.
    """
    known, tasks = barrels()
    scatter: dict[int, list[float]] = {n: [] for n in BARREL_ROWS}
    ignorance: dict[int, list[float]] = {n: [] for n in BARREL_ROWS}
    seen = []
    for name, judged in tasks.items():
        prior = SourceBasisLearner().meta_train([task for other, task in tasks.items() if other != name], known, generator=generator())
        repeated = replicates([judged])
        pooled = float((repeated.variances * repeated.freedom).sum() / repeated.freedom.sum())
        seen.append(pooled)
        for n in BARREL_ROWS:
            pairs = [_parts(prior, judged, n, seed) for seed in range(BARREL_DRAWS)]
            for found, part in ((ignorance, 0), (scatter, 1)):
                found[n].append(sum(pair[part] for pair in pairs) / BARREL_DRAWS)
        print(f"{name} struts, predicted over seen sd:", {n: round((scatter[n][-1] / pooled) ** 0.5, 3) for n in BARREL_ROWS})
    few, many = BARREL_ROWS
    for n in BARREL_ROWS:
        assert (sum(scatter[n]) / sum(seen)) ** 0.5 == pytest.approx(1.0, abs=0.25), n
    assert sum(scatter[many]) > 0.9 * sum(scatter[few])
    assert all(later < 0.7 * earlier for earlier, later in zip(ignorance[few], ignorance[many], strict=True))


def _parts(prior: Prior, judged: TaskData, n: int, seed: int) -> tuple[float, float]:
    """Return the mean epistemic and aleatoric variance at designs without support."""
    support = judged.rows(torch.randperm(len(judged.Y), generator=torch.Generator().manual_seed(seed))[:n])
    used = {tuple(row) for row in support.X.tolist()}
    held = judged.rows([index for index, row in enumerate(judged.X.tolist()) if tuple(row) not in used])
    surrogate = prior.adapt(support, generator=generator())
    epistemic, aleatoric = surrogate.variance_parts(held.X)
    return float(epistemic.mean()), float(aleatoric.mean())
