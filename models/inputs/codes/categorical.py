"""Categories as tensors: one-hot."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from typing_extensions import override

from models.inputs.codes.code import Code, selection
from orchestrator.domain.parameters import CategoricalParameter
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput


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

    @override
    def encode(self, configuration: Configuration) -> list[float]:
        if complaint := self.parameter.complaint(configuration):
            raise BadInput(complaint)
        return [float(configuration[self.parameter.name] == category) for category in self.parameter.categories]

    @override
    def decode(self, inputs: Sequence[float]) -> dict[str, float | str]:
        return {self.legal.name: max(self.legal.categories, key=lambda name: inputs[self.parameter.categories.index(name)])}

    @override
    def carried(self, goal: Code, what: str) -> tuple[Tensor, Tensor]:
        if not isinstance(goal, CategoricalCode):
            raise self.stranger(goal, what)
        return selection(self.parameter.categories, goal.parameter.categories, f"{what}: parameter {self.parameter.name}: category")
