"""Numbers as tensors: (value - min) / (max - min), of logarithms on a log scale."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from models.inputs.codes.code import Bend, Code, number_of
from orchestrator.domain.parameters import ContinuousParameter, DiscreteParameter
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput
from orchestrator.units import convert

_EDGE: Final = 1e-9
"""An input this near to a bound is the bound: optimisers stop a rounding error short of it."""


@dataclass(frozen=True, slots=True)
class _NumberCode(Code):
    """Shared by both kinds of number."""

    parameter: ContinuousParameter | DiscreteParameter

    def _input(self, value: float) -> float:
        start, span = self.parameter.axis
        return (self.parameter.place(value) - start) / span

    def _value(self, x: float) -> float:
        start, span = self.parameter.axis
        return math.exp(start + span * x) if self.parameter.on_log_scale else start + span * x

    def _values(self, x: Float[Tensor, " *b"]) -> Float[Tensor, " *b"]:
        start, span = self.parameter.axis
        return (start + span * x).exp() if self.parameter.on_log_scale else start + span * x

    @override
    def encode(self, configuration: Configuration) -> list[float]:
        return [self._input(number_of(configuration, self.parameter.name))]

    @override
    def numbers(self, X: Float[Tensor, "*b w"]) -> dict[str, Float[Tensor, " *b"]]:
        return {self.parameter.name: self._values(X[..., 0])}

    @override
    def carried(self, goal: Code, what: str) -> tuple[Tensor, Tensor]:
        if not isinstance(goal, _NumberCode):
            raise self.stranger(goal, what)
        own, theirs = self.parameter, goal.parameter
        try:
            low, high = (convert(end, own.unit, theirs.unit) for end in (own.ends[0], own.ends[0] + own.axis[1]))
        except BadInput as error:
            raise BadInput(
                f"{what}: parameter {own.name} is in {theirs.unit or '1'} there and in {own.unit or '1'} in the campaign"
            ) from error
        if theirs.on_log_scale and low <= 0:
            raise BadInput(f"{what}: parameter {own.name} is on a log scale there and begins at {own.ends[0]:g} {own.unit} in the campaign")
        start, span = theirs.axis
        return torch.tensor([[(high - low) / span]], dtype=torch.float64), torch.tensor([(low - start) / span], dtype=torch.float64)

    @override
    def bend(self, goal: Code) -> Bend | None:
        if self.affine and goal.affine:
            return None
        assert isinstance(goal, _NumberCode)
        theirs, (start, span) = goal.parameter, goal.parameter.axis
        zero, one = (convert(value, self.parameter.unit, theirs.unit) for value in (0.0, 1.0))

        def carry(x: Tensor) -> Tensor:
            values = zero + (one - zero) * self._values(x)
            return ((values.clamp_min(math.exp(start - span)).log() if theirs.on_log_scale else values) - start) / span

        return carry


@dataclass(frozen=True, slots=True)
class ContinuousCode(_NumberCode):
    """Code of a continuous parameter that may vary."""

    legal: ContinuousParameter

    @property
    @override
    def bounds(self) -> tuple[list[float], list[float]]:
        return [self._input(self.legal.min)], [self._input(self.legal.max)]

    @override
    def decode(self, inputs: Sequence[float]) -> dict[str, float | str]:
        (low,), (high,) = self.bounds
        if inputs[0] <= low + _EDGE or inputs[0] >= high - _EDGE:
            return {self.legal.name: self.legal.min if inputs[0] <= low + _EDGE else self.legal.max}
        return {self.legal.name: self._value(inputs[0])}

    @override
    def drawn(self, U: Float[Tensor, "n w"]) -> Float[Tensor, "n v"]:
        (low,), (high,) = self.bounds
        return low + U * (high - low)


@dataclass(frozen=True, slots=True)
class DiscreteCode(_NumberCode):
    """Code of a discrete parameter, or of a continuous one that is held."""

    legal: DiscreteParameter

    @override
    def decode(self, inputs: Sequence[float]) -> dict[str, float | str]:
        return {self.legal.name: self.legal.nearest(self._value(inputs[0]))}
