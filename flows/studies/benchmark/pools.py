"""Tasks as a replay needs them: distinct candidates, what was measured at each, and what a learner may train on."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from models.inputs.encoding import Encoding
from models.tasks import TaskData
from orchestrator.domain.objective import Objective
from orchestrator.domain.values import Configuration
from orchestrator.ports import Observation


@dataclass(frozen=True)
class ReplayPool:
    """One task: every experiment that may be asked for; scores are larger where better.

    Shapes: `N` distinct candidates, `d` encoded inputs.
    """

    name: str
    group: str | None
    candidates: tuple[Configuration, ...]
    X: Float[Tensor, "N d"]
    replicates: tuple[tuple[float, ...], ...]
    """Per candidate the score of each recorded experiment, in the file's order."""

    @cached_property
    def scores(self) -> tuple[float, ...]:
        """Each candidate's mean score, by which experiments are judged."""
        return tuple(sum(values) / len(values) for values in self.replicates)

    def measured(self, seed: int) -> Float[Tensor, " N"]:
        """Return what an experiment at each candidate gives: one of its records, a function of task, seed and candidate alone."""
        generator = random.Random(f"{self.name}/{seed}/replicates")
        return torch.tensor([generator.choice(values) for values in self.replicates], dtype=torch.float64)

    @cached_property
    def data(self) -> TaskData:
        """All recorded experiments, as a source of a prior."""
        counts = torch.tensor([len(values) for values in self.replicates])
        values = torch.tensor([value for found in self.replicates for value in found], dtype=torch.float64)
        return TaskData(name=self.name, X=self.X.repeat_interleave(counts, dim=0), Y=values, group=self.group)


def make_pool(name: str, group: str | None, observations: Sequence[Observation], *, encoding: Encoding, objective: Objective) -> ReplayPool:
    """Gather observations by configuration, in the order in which configurations first occur."""
    found: dict[tuple[float | str, ...], list[float]] = {}
    first: dict[tuple[float | str, ...], Configuration] = {}
    for one in observations:
        key = encoding.space.key(one.configuration)
        first.setdefault(key, one.configuration)
        found.setdefault(key, []).append(float(objective.score(one.values)))
    return ReplayPool(
        name, group, tuple(first.values()), encoding.encode(first.values()), tuple(tuple(values) for values in found.values())
    )
