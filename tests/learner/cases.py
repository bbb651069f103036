"""A tiny family, and every learner with a short training: a new learner is one more line."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch

from models.inputs.encoding import Encoding
from models.inputs.features import Features
from models.networks import deep_kernel, maml
from models.networks.training import TrainingPlan
from models.source_basis.guarded import BelievingLearner, DefaultLearner, restore_default
from models.source_basis.learner import SourceBasisLearner, restore_source_basis
from models.tasks import Family, Prior, TaskData
from orchestrator.domain.parameters import ContinuousParameter
from orchestrator.domain.space import SearchSpace

PLAN: Final = TrainingPlan(steps=20, more=5, episodes=4, every=10)
LEARNERS: Final[Mapping[str, tuple[Any, Callable[[Mapping[str, Any], Family], Prior]]]] = {
    "default": (DefaultLearner(), restore_default),
    "default-beliefs": (BelievingLearner(), restore_default),
    "source-basis": (SourceBasisLearner(), restore_source_basis),
    "deep-kernel": (deep_kernel.DeepKernel(PLAN), deep_kernel.restore_deep_kernel),
    "anil": (maml.Anil(PLAN, members=2), maml.restore_gradient_prior),
    "maml": (maml.Maml(PLAN, members=2), maml.restore_gradient_prior),
}
NOTHING: Final = torch.zeros(0, dtype=torch.float64)


def family() -> Family:
    return Family(Features(Encoding(SearchSpace(parameters=tuple(ContinuousParameter(name=n, min=0.0, max=1.0) for n in "ab")))), "y")


def tasks(count: int = 3, rows: int = 20) -> list[TaskData]:
    generator = torch.Generator().manual_seed(5)
    found = []
    for index in range(count):
        X = torch.rand(rows, 2, generator=generator, dtype=torch.float64)
        Y = 50.0 + 10.0 * torch.sin(3.0 * X[:, 0] + 0.3 * index) + 5.0 * X[:, 1]
        found.append(TaskData(str(index), X, Y + 0.5 * torch.randn(rows, generator=generator, dtype=torch.float64)))
    return found


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
