"""A prior that does not fit is not trusted, whatever use the process makes of it; one that fits is."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from models.source_basis.guarded import DefaultLearner
from models.tasks import TaskData
from tests.learner.cases import family, generator, tasks

MEASURED, DRAWS, SOURCES = 10, 10, 5
OFTEN = 0.9


def kin(task: TaskData) -> TaskData:
    return task


def permuted(task: TaskData) -> TaskData:
    return replace(task, Y=task.Y[torch.randperm(len(task.Y), generator=torch.Generator().manual_seed(int(task.name)))])


def flipped(task: TaskData) -> TaskData:
    return replace(task, Y=2 * task.Y.mean() - task.Y)


@pytest.mark.parametrize(("spoil", "trusted"), [(kin, True), (permuted, False), (flipped, False)])
@pytest.mark.long
def test_trust_after_ten_measurements_is_on_the_right_side_of_a_half(spoil: Callable[[TaskData], TaskData], trusted: bool) -> None:
    *sources, judged = tasks(SOURCES + 1, rows=40)
    prior = DefaultLearner().meta_train([spoil(task) for task in sources], family(), generator=generator())
    right = 0
    for draw in range(DRAWS):
        rows = torch.randperm(len(judged.Y), generator=torch.Generator().manual_seed(draw))[:MEASURED]
        trust = prior.adapt(judged.rows(rows), generator=generator()).description()["trust"]
        print(f"{spoil.__name__}: trust {trust}")
        right += (trust > 0.5) == trusted
    assert right >= OFTEN * DRAWS
