"""What anybody would write in twenty lines of BoTorch; the yardstick."""

from dataclasses import dataclass
from typing import Any

import torch
from botorch import fit_gpytorch_mll
from botorch.acquisition import LogExpectedImprovement
from botorch.models import SingleTaskGP
from botorch.models.transforms import Normalize
from gpytorch.mlls import ExactMarginalLogLikelihood
from typing_extensions import override

from orchestrator.domain.objective import Objective
from orchestrator.domain.parameters import CategoricalParameter
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.ports import Knowledge, Policy
from orchestrator.suggestions import Suggestion


@dataclass(frozen=True)
class PlainBotorch(Policy):
    """SingleTaskGP and LogEI, BoTorch's defaults, over what is left of a candidate table."""

    space: SearchSpace
    objective: Objective

    @property
    @override
    def name(self) -> str:
        return "plain-botorch/1"

    @property
    @override
    def settings(self) -> dict[str, Any]:
        return {}

    @override
    def propose(self, knowledge: Knowledge, *, count: int, seed: int) -> tuple[Suggestion, ...]:
        asked = {self.space.key(row) for row in knowledge.excluded}
        left = [row for row in self.space.candidates or () if self.space.key(row) not in asked]
        X = self.inputs([dict(one.configuration) for one in knowledge.observations])
        Y = torch.tensor([[self.objective.score(one.values)] for one in knowledge.observations], dtype=torch.float64)
        model = SingleTaskGP(X, Y, input_transform=Normalize(X.shape[-1]))
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        with torch.no_grad():
            values = LogExpectedImprovement(model, best_f=Y.max())(self.inputs(left).unsqueeze(-2))
        return tuple(Suggestion(left[index], self.name) for index in values.topk(count).indices.tolist())

    def inputs(self, rows: list[dict[str, float | str]]) -> torch.Tensor:
        """Return rows as numbers, categories as ones and zeros."""
        return torch.tensor([self._numbers(row) for row in rows], dtype=torch.float64)

    def _numbers(self, row: Configuration) -> list[float]:
        numbers: list[float] = []
        for parameter in self.space.parameters:
            if isinstance(parameter, CategoricalParameter):
                numbers += [float(row[parameter.name] == category) for category in parameter.categories]
            else:
                numbers += [float(row[column]) for column in parameter.columns]
        return numbers
