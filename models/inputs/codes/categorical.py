"""Categories as tensors: one-hot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from models.inputs.codes.code import Code, picked, selection
from orchestrator.domain.parameters import CategoricalParameter
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput


@lru_cache
def _places(categories: tuple[str, ...]) -> Mapping[str | float | None, int]:
    """Return where each of a parameter's names stands: looked up for each of thousands of rows."""
    return {name: place for place, name in enumerate(categories)}


@dataclass(frozen=True, slots=True)
class CategoricalCode(Code):
    """Code of a categorical parameter."""

    parameter: CategoricalParameter
    legal: CategoricalParameter
    one_hot: ClassVar[bool] = True
    counted: ClassVar[int] = 2

    @property
    @override
    def width(self) -> int:
        return len(self.parameter.categories)

    @property
    @override
    def centre(self) -> list[float]:
        return [1.0 / self.width] * self.width

    @override
    def encode(self, configuration: Configuration) -> list[float]:
        if complaint := self.parameter.complaint(configuration):
            raise BadInput(complaint)
        return [float(configuration[self.parameter.name] == category) for category in self.parameter.categories]

    @override
    def table(self, configurations: Sequence[Configuration]) -> Float[Tensor, "n w"]:
        places, name = _places(self.parameter.categories), self.parameter.name
        found = [places.get(row.get(name)) for row in configurations]
        for place, row in zip(found, configurations, strict=True):
            if place is None and (complaint := self.parameter.complaint(row)):
                raise BadInput(complaint)
        return torch.zeros(len(found), self.width, dtype=torch.float64).scatter_(1, torch.tensor(found).reshape(-1, 1).long(), 1.0)

    @override
    def decode(self, inputs: Sequence[float]) -> dict[str, float | str]:
        if len(self.legal.categories) == self.width:
            return {self.legal.name: self.parameter.categories[inputs.index(max(inputs))]}
        places = _places(self.parameter.categories)
        return {self.legal.name: max(self.legal.categories, key=lambda name: inputs[places[name]])}

    @override
    def drawn(self, U: Float[Tensor, "n w"]) -> Float[Tensor, "n v"]:
        places = _places(self.parameter.categories)
        legal = torch.tensor([places[name] for name in self.legal.categories])
        chosen = legal[picked(U[:, :1], len(legal))]
        return torch.zeros(len(U), self.width, dtype=U.dtype).scatter_(1, chosen, 1.0)

    @override
    def carried(self, goal: Code, what: str) -> tuple[Tensor, Tensor]:
        if not isinstance(goal, CategoricalCode):
            raise self.stranger(goal, what)
        return selection(self.parameter.categories, goal.parameter.categories, f"{what}: parameter {self.parameter.name}: category")
