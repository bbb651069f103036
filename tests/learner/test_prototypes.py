"""Outcomes of two classes: what prototypes add to the base rate."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy

from models.networks.prototypes import ClassPrior, PrototypeLearner
from models.tasks import Family, TaskData
from tests.learner.cases import NOTHING, generator
from tests.learner.recorded import couplings

FAILED = 5.0
"""Percent: less counts as a failed coupling."""
JUDGED = ("s4", "s6", "s8", "s10", "s13", "s15")
SUPPORT, DRAWS = 10, 12
BASE_ROWS = 2.0
"""Rows that the sources' rate counts for in the base rate, so that it is never 0 or 1."""


@pytest.mark.long
def test_prototypes_beat_the_base_rate_on_couplings_of_scaffolds_never_seen() -> None:
    family, recorded = couplings()
    tasks = {name: replace(task, Y=(task.Y < FAILED).double()) for name, task in recorded.items()}
    priors: dict[str | None, tuple[ClassPrior, float]] = {}
    losses: dict[str, tuple[float, float]] = {}
    for name in JUDGED:
        group = tasks[name].group
        if group not in priors:
            priors[group] = _trained(family, [task for task in tasks.values() if task.group != group])
        losses[name] = _losses(*priors[group], tasks[name])
    learned, base = (sum(pair[part] for pair in losses.values()) / len(JUDGED) for part in (0, 1))
    print(
        f"log loss at {SUPPORT}: prototypes {learned:.3f}, base rate {base:.3f}; by task",
        {k: tuple(round(x, 3) for x in v) for k, v in losses.items()},
    )
    assert learned < base


def _trained(family: Family, sources: Sequence[TaskData]) -> tuple[ClassPrior, float]:
    rate = float(torch.cat([task.Y for task in sources]).mean())
    return PrototypeLearner().meta_train(sources, family, generator=generator()), rate


def _losses(prior: ClassPrior, rate: float, task: TaskData) -> tuple[float, float]:
    """Return mean log losses on all other rows: of the prototypes, and of the rate in support and sources."""
    pairs = []
    for seed in range(DRAWS):
        order = torch.randperm(len(task.Y), generator=torch.Generator().manual_seed(seed))
        support, others = task.rows(order[:SUPPORT]), task.rows(order[SUPPORT:])
        chances = prior.adapt(support.X, support.Y, NOTHING).probability(others.X)
        base = (float(support.Y.sum()) + BASE_ROWS * rate) / (SUPPORT + BASE_ROWS)
        pairs.append((_log_loss(chances, others.Y), _log_loss(torch.full_like(others.Y, base), others.Y)))
    learned, plain = (sum(column) / DRAWS for column in zip(*pairs, strict=True))
    return learned, plain


def _log_loss(chances: Tensor, labels: Tensor) -> float:
    return float(binary_cross_entropy(chances, labels))
