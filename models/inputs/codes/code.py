"""What every kind of parameter can do with tensors; a kind says the rest."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from math import inf
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from orchestrator.domain.parameters import Parameter
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput

Bend = Callable[[Tensor], Tensor]
"""A map of single inputs, differentiable."""


class Code(ABC):
    """How one parameter becomes `width` inputs and comes back."""

    __slots__ = ()

    parameter: Parameter
    """Gives the scale."""
    legal: Parameter
    """What decoding yields: what is left of the parameter."""
    one_hot: ClassVar[bool] = False
    """Whether the inputs stand for names of which one is chosen."""
    counted: ClassVar[int] = 1
    """How often the inputs count a difference: what leaves one name or component enters another."""

    @property
    def width(self) -> int:
        """Number of inputs."""
        return 1

    @property
    def latent(self) -> int:
        """How many uniform numbers a draw takes, whatever is restricted."""
        return 1

    @property
    def free(self) -> bool:
        """Whether the inputs vary continuously."""
        return self.legal.size == inf

    @property
    def affine(self) -> bool:
        """Whether each number is a multiple of its input and an offset."""
        return not self.parameter.on_log_scale

    @property
    def sums_to_one(self) -> bool:
        """Whether the inputs vary continuously but for their sum."""
        return False

    @property
    def few(self) -> bool:
        """Whether only some of the inputs may differ from zero."""
        return False

    @property
    def least(self) -> float:
        """Which inputs that differ from zero are legal: those from here on."""
        return 0.0

    @property
    def centre(self) -> list[float]:
        """The inputs of a parameter that is absent: as far from one end or name as from the other."""
        return [0.5] * self.width

    @property
    def bounds(self) -> tuple[list[float], list[float]]:
        """The least and the greatest legal inputs."""
        return [0.0] * self.width, [1.0] * self.width

    def table(self, configurations: Sequence[Configuration]) -> Float[Tensor, "n w"]:
        """Encode many configurations."""
        rows = [self.encode(row) for row in configurations]
        return torch.tensor(rows, dtype=torch.float64).reshape(len(rows), self.width)

    @abstractmethod
    def encode(self, configuration: Configuration) -> list[float]:
        """Return the inputs; values outside the bounds (measured ones) are extrapolated, not clipped."""

    @abstractmethod
    def decode(self, inputs: Sequence[float]) -> dict[str, float | str]:
        """Return the legal value that the inputs stand for."""

    def numbers(self, X: Float[Tensor, "*b w"]) -> dict[str, Float[Tensor, " *b"]]:  # noqa: ARG002 - names are no numbers
        """Return the numeric columns in their units, differentiably, in the order of the inputs."""
        return {}

    def drawn(self, U: Float[Tensor, "n w"]) -> Float[Tensor, "n v"]:
        """Return legal inputs, evenly spread, for points of the unit cube."""
        choices = torch.tensor([self.encode(one) for one in self.legal.choices()], dtype=U.dtype)
        return choices[picked(U[:, 0], len(choices))]

    def described(self, X: Float[Tensor, "*b w"], table: Float[Tensor, "w p"]) -> Float[Tensor, "*b f"]:
        """Return features of the inputs by the properties of what they stand for."""
        return X @ table

    @abstractmethod
    def carried(self, goal: "Code", what: str) -> tuple[Tensor, Tensor]:
        """Return matrix and offset that carry the inputs over to another's.

        Args:
            goal: The code of a prior's parameter of the same name.
            what: What a message calls the prior.

        Raises:
            BadInput: It is of another kind or unit, or lacks a name.
        """

    def bend(self, goal: "Code") -> Bend | None:  # noqa: ARG002 - names and fractions go straight
        """Return what carries an input over where no matrix does; None where one does."""
        return None

    def stranger(self, goal: "Code", what: str) -> BadInput:
        """Say that a prior's parameter is of another kind."""
        kinds = f"{goal.parameter.kind} there and {self.parameter.kind} in the campaign"
        return BadInput(f"{what}: parameter {self.parameter.name} is {kinds}")


def picked(U: Float[Tensor, "*n"], count: int) -> Tensor:
    """Return indices below `count` for uniform numbers."""
    return (U * count).long().clamp_max(count - 1)


def number_of(configuration: Configuration, column: str) -> float:
    """Return a column's number; raises BadInput where it is a text."""
    value = configuration[column]
    if isinstance(value, str):
        raise BadInput(f"{column} = {value!r} is not a number")
    return float(value)


def selection(own: Sequence[str], known: Sequence[str], what: str) -> tuple[Tensor, Tensor]:
    """Return matrix and offset that bring each name to its place among others."""
    if unknown := [name for name in own if name not in known]:
        raise BadInput(f"{what} {unknown[0]!r} is unknown to it; it knows {', '.join(known)}")
    rows = [[float(name == other) for other in known] for name in own]
    return torch.tensor(rows, dtype=torch.float64), torch.zeros(len(known), dtype=torch.float64)
