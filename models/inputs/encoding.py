"""The only crossing between configurations and tensors.

| parameter | inputs | code |
|---|---|---|
| continuous, discrete | 1 | (value - min) / (max - min) |
| categorical | one per category | one-hot |
| composition | one per component | the fractions themselves |

Categories are one-hot instead of a Hamming kernel on integer codes: under a stationary kernel with one length scale per
input two categories a, b lie 1/l_a^2 + 1/l_b^2 apart, so that the data say which category stands alone; a Hamming kernel
has all of them equally far. One-hot inputs are also what learned features and descriptors replace one by one.

Decoding is exact: it yields legal values, not values near legal ones.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol, assert_never

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter, DiscreteParameter, Parameter
from orchestrator.domain.region import Region
from orchestrator.domain.restriction import Restriction
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput

EDGE: Final = 1e-9
"""An input this near to a bound is the bound: optimisers stop a rounding error short of it."""
ROUNDING: Final = 1e-9
"""A fraction this little below a multiple (float noise) is that multiple."""


class Code(Protocol):
    """How one parameter becomes `width` inputs and comes back."""

    @property
    def width(self) -> int:
        """Number of inputs."""
        ...

    @property
    def free(self) -> bool:
        """Whether the inputs vary continuously."""
        ...

    @property
    def bounds(self) -> tuple[list[float], list[float]]:
        """The least and the greatest legal inputs."""
        return [0.0] * self.width, [1.0] * self.width

    def encode(self, configuration: Configuration) -> list[float]:
        """Return the inputs; values outside the bounds (measured ones) are extrapolated, not clipped."""
        ...

    def decode(self, inputs: Sequence[float]) -> dict[str, float | str]:
        """Return the legal value that the inputs stand for."""
        ...

    def numbers(self, X: Float[Tensor, "*b w"]) -> dict[str, Float[Tensor, " *b"]]:
        """Return the numeric columns in their units, differentiably."""
        ...


@dataclass(frozen=True, slots=True)
class _Scaled(Code):
    """Shared by both kinds of number."""

    parameter: ContinuousParameter | DiscreteParameter

    @property
    @override
    def width(self) -> int:
        return 1

    @property
    def span(self) -> float:
        """Length of the range; 1 where there is a single value."""
        return (self.parameter.max - self.parameter.min) or 1.0

    @override
    def encode(self, configuration: Configuration) -> list[float]:
        return [(_number(configuration, self.parameter.name) - self.parameter.min) / self.span]

    @override
    def numbers(self, X: Float[Tensor, "*b w"]) -> dict[str, Float[Tensor, " *b"]]:
        return {self.parameter.name: self.parameter.min + self.span * X[..., 0]}


@dataclass(frozen=True, slots=True)
class ContinuousCode(_Scaled):
    """Code of a continuous parameter that may vary."""

    legal: ContinuousParameter

    @property
    @override
    def free(self) -> bool:
        return True

    @property
    @override
    def bounds(self) -> tuple[list[float], list[float]]:
        return [(self.legal.min - self.parameter.min) / self.span], [(self.legal.max - self.parameter.min) / self.span]

    @override
    def decode(self, inputs: Sequence[float]) -> dict[str, float | str]:
        (low,), (high,) = self.bounds
        if inputs[0] <= low + EDGE or inputs[0] >= high - EDGE:
            return {self.legal.name: self.legal.min if inputs[0] <= low + EDGE else self.legal.max}
        return {self.legal.name: self.parameter.min + self.span * inputs[0]}


@dataclass(frozen=True, slots=True)
class DiscreteCode(_Scaled):
    """Code of a discrete parameter, or of a continuous one that is held."""

    legal: DiscreteParameter

    @property
    @override
    def free(self) -> bool:
        return False

    @override
    def decode(self, inputs: Sequence[float]) -> dict[str, float | str]:
        value = self.parameter.min + self.span * inputs[0]
        return {self.legal.name: min(self.legal.values, key=lambda legal: abs(legal - value))}


@dataclass(frozen=True, slots=True)
class CategoricalCode(Code):
    """Code of a categorical parameter."""

    parameter: CategoricalParameter
    legal: CategoricalParameter

    @property
    @override
    def width(self) -> int:
        return len(self.parameter.categories)

    @property
    @override
    def free(self) -> bool:
        return False

    @override
    def encode(self, configuration: Configuration) -> list[float]:
        if complaint := self.parameter.complaint(configuration):
            raise BadInput(complaint)
        return [float(configuration[self.parameter.name] == category) for category in self.parameter.categories]

    @override
    def decode(self, inputs: Sequence[float]) -> dict[str, float | str]:
        return {self.legal.name: max(self.legal.categories, key=lambda name: inputs[self.parameter.categories.index(name)])}

    @override
    def numbers(self, X: Float[Tensor, "*b w"]) -> dict[str, Float[Tensor, " *b"]]:
        return {}


@dataclass(frozen=True, slots=True)
class CompositionCode(Code):
    """Code of a composition."""

    parameter: CompositionParameter

    @property
    @override
    def width(self) -> int:
        return len(self.parameter.components)

    @property
    @override
    def free(self) -> bool:
        return self.parameter.step is None and self.parameter.fixed is None

    @override
    def encode(self, configuration: Configuration) -> list[float]:
        return [_number(configuration, column) for column in self.parameter.columns]

    @override
    def decode(self, inputs: Sequence[float]) -> dict[str, float | str]:
        if self.parameter.fixed is not None:
            return dict(zip(self.parameter.columns, self.parameter.fixed, strict=True))
        fractions = on_simplex(inputs, self.parameter.max_components)
        if self.parameter.step is not None:
            fractions = on_lattice(fractions, round(1 / self.parameter.step))
        return dict(zip(self.parameter.columns, fractions, strict=True))

    @override
    def numbers(self, X: Float[Tensor, "*b w"]) -> dict[str, Float[Tensor, " *b"]]:
        return {column: X[..., index] for index, column in enumerate(self.parameter.columns)}


def _number(configuration: Configuration, column: str) -> float:
    value = configuration[column]
    if isinstance(value, str):
        raise BadInput(f"{column} = {value!r} is not a number")
    return float(value)


def on_simplex(amounts: Sequence[float], most: int | None = None) -> list[float]:
    """Scale amounts to fractions that sum to one, keeping only the `most` largest."""
    kept = sorted(range(len(amounts)), key=lambda index: -amounts[index])[: most or len(amounts)]
    positive = [amount if index in kept and amount > EDGE else 0.0 for index, amount in enumerate(amounts)]
    total = math.fsum(positive)
    if total <= 0:
        return [float(index == kept[0]) for index in range(len(amounts))]
    return [amount / total for amount in positive]


def on_lattice(fractions: Sequence[float], parts: int) -> list[float]:
    """Take the nearest fractions that are whole multiples of 1/parts and sum to one (largest remainders go up)."""
    exact = [fraction * parts for fraction in fractions]
    counts = [math.floor(value + ROUNDING) for value in exact]
    order = sorted(range(len(exact)), key=lambda index: counts[index] - exact[index])
    for index in order[: parts - sum(counts)]:
        counts[index] += 1
    return [count / parts for count in counts]


def _code(parameter: Parameter, legal: Parameter) -> Code:
    """Return the code at the scale of one parameter that decodes to what is legal now."""
    match legal:
        case ContinuousParameter():
            assert isinstance(parameter, ContinuousParameter)
            return ContinuousCode(parameter, legal)
        case DiscreteParameter():
            assert isinstance(parameter, ContinuousParameter | DiscreteParameter)
            return DiscreteCode(parameter, legal)
        case CategoricalParameter():
            assert isinstance(parameter, CategoricalParameter)
            return CategoricalCode(parameter, legal)
        case CompositionParameter():
            return CompositionCode(legal)
    assert_never(legal)


@dataclass(frozen=True)
class Encoding:
    """Maps configurations of one search space to rows of `d` inputs and back.

    Restrictions change what is legal, never the scale: rows of all encodings of a space may be mixed.
    """

    space: SearchSpace
    restrictions: tuple[Restriction, ...] = ()

    @cached_property
    def region(self) -> Region:
        """Where proposals may lie."""
        return Region(self.space, self.restrictions)

    @cached_property
    def codes(self) -> tuple[Code, ...]:
        """One code per parameter, in order."""
        return tuple(map(_code, self.space.parameters, self.region.space.parameters))

    @cached_property
    def bounds(self) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"]]:
        """The least and the greatest legal inputs."""
        low, high = ([value for code in self.codes for value in code.bounds[side]] for side in (0, 1))
        return torch.tensor(low, dtype=torch.float64), torch.tensor(high, dtype=torch.float64)

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Where each parameter's inputs stand."""
        ends = [sum(code.width for code in self.codes[: index + 1]) for index in range(len(self.codes))]
        return tuple(slice(end - code.width, end) for code, end in zip(self.codes, ends, strict=True))

    @property
    def width(self) -> int:
        """Number of inputs, d."""
        return sum(code.width for code in self.codes)

    def encode(self, configurations: Iterable[Configuration]) -> Float[Tensor, "n d"]:
        """Encode configurations, float64.

        Raises:
            BadInput: A category that the space does not have, or text where a number belongs.
        """
        rows = [[value for code in self.codes for value in code.encode(row)] for row in configurations]
        return torch.tensor(rows, dtype=torch.float64).reshape(len(rows), self.width)

    def decode(self, x: Float[Tensor, " d"]) -> dict[str, float | str]:
        """Decode one row to a configuration whose every value is legal by itself (constraints are not looked at)."""
        values = x.tolist()
        decoded: dict[str, float | str] = {}
        for code, where in zip(self.codes, self.slices, strict=True):
            decoded |= code.decode(values[where])
        return decoded

    def numbers(self, X: Float[Tensor, "*b d"]) -> Mapping[str, Float[Tensor, " *b"]]:
        """Return all numeric columns in their units, differentiably, for constraints."""
        found: dict[str, Tensor] = {}
        for code, where in zip(self.codes, self.slices, strict=True):
            found |= code.numbers(X[..., where])
        return found

    @cached_property
    def free(self) -> tuple[int, ...]:
        """Inputs that vary continuously."""
        pairs = zip(self.codes, self.slices, strict=True)
        return tuple(index for code, where in pairs if code.free for index in range(where.start, where.stop))

    @cached_property
    def affine(self) -> Mapping[str, tuple[int, float, float]]:
        """Numeric column -> (input, offset, factor) with column = offset + factor * input."""
        zero = self.numbers(torch.zeros(self.width, dtype=torch.float64))
        one = self.numbers(torch.ones(self.width, dtype=torch.float64))
        owners = {column: index for code, where in zip(self.codes, self.slices, strict=True) for column, index in _owned(code, where)}
        return {name: (owners[name], float(zero[name]), float(one[name] - zero[name])) for name in zero}


def _owned(code: Code, where: slice) -> Iterable[tuple[str, int]]:
    # each code yields its numeric columns in the order of its inputs
    return zip(code.numbers(torch.zeros(code.width)), range(where.start, where.stop), strict=False)
