"""From a campaign's encoding to a prior's: one affine map, so that gradients pass through it.

Both encodings are linear in the configuration, whatever their bounds and units, so that one matrix and one offset carry
a whole space over.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from models.inputs.encoding import Encoding
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter, DiscreteParameter, Parameter
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.units import convert


@dataclass(frozen=True, slots=True)
class Lift:
    """An affine map between two encodings."""

    matrix: Float[Tensor, "d e"]
    offset: Float[Tensor, " e"]

    def __call__(self, X: Float[Tensor, "*b d"]) -> Float[Tensor, "*b e"]:
        """Map rows of a campaign's `d` inputs to the prior's `e` inputs, differentiably."""
        return X @ self.matrix + self.offset


def lift(source: SearchSpace, goal: SearchSpace, *, what: str) -> Lift:
    """Build the map between the encodings of two spaces whose parameters have the same names.

    Args:
        source: The campaign's space.
        goal: The prior's space; its categories and components may be more.
        what: What a message calls the prior.

    Raises:
        BadInput: A parameter is missing, unknown or of another kind, or a category or component is unknown to the goal.
    """
    ours, theirs = Encoding(source), Encoding(goal)
    places = {parameter.name: (parameter, where) for parameter, where in zip(source.parameters, ours.slices, strict=True)}
    _check_names([parameter.name for parameter in goal.parameters], list(places), what)
    matrix = torch.zeros(ours.width, theirs.width, dtype=torch.float64)
    offset = torch.zeros(theirs.width, dtype=torch.float64)
    for parameter, columns in zip(goal.parameters, theirs.slices, strict=True):
        own, rows = places[parameter.name]
        matrix[rows, columns], offset[columns] = _block(own, parameter, what)
    return Lift(matrix, offset)


def _check_names(wanted: Sequence[str], given: Sequence[str], what: str) -> None:
    if missing := [name for name in wanted if name not in given]:
        raise BadInput(f"{what} needs parameter {missing[0]!r}, which the campaign does not have; it has {', '.join(given)}")
    if extra := [name for name in given if name not in wanted]:
        raise BadInput(f"{what} knows nothing of parameter {extra[0]!r}; it knows {', '.join(wanted)}")


def _block(own: Parameter, goal: Parameter, what: str) -> tuple[Tensor, Tensor]:
    match own, goal:
        case ContinuousParameter() | DiscreteParameter(), ContinuousParameter() | DiscreteParameter():
            return _numeric(own, goal, what)
        case CategoricalParameter(), CategoricalParameter():
            return _selection(own.categories, goal.categories, f"{what}: parameter {own.name}: category")
        case CompositionParameter(), CompositionParameter():
            # elements are written `ni` here and `Ni` there
            here, there = ([name.casefold() for name in one.components] for one in (own, goal))
            distinct = len(set(here)) == len(here) and len(set(there)) == len(there)
            pair: tuple[Sequence[str], Sequence[str]] = (here, there) if distinct else (own.components, goal.components)
            return _selection(pair[0], pair[1], f"{what}: parameter {own.name}: component")
    raise BadInput(f"{what}: parameter {own.name} is {goal.kind} there and {own.kind} in the campaign")


def _numeric(
    own: ContinuousParameter | DiscreteParameter, goal: ContinuousParameter | DiscreteParameter, what: str
) -> tuple[Tensor, Tensor]:
    span = (own.max - own.min) or 1.0  # a single value is encoded with span one
    try:
        low, high = convert(own.min, own.unit, goal.unit), convert(own.min + span, own.unit, goal.unit)
    except BadInput as error:
        raise BadInput(f"{what}: parameter {own.name} is in {goal.unit or '1'} there and in {own.unit or '1'} in the campaign") from error
    length = (goal.max - goal.min) or 1.0
    return torch.tensor([[(high - low) / length]], dtype=torch.float64), torch.tensor([(low - goal.min) / length], dtype=torch.float64)


def _selection(own: Sequence[str], goal: Sequence[str], what: str) -> tuple[Tensor, Tensor]:
    if unknown := [name for name in own if name not in goal]:
        raise BadInput(f"{what} {unknown[0]!r} is unknown to it; it knows {', '.join(goal)}")
    rows = [[float(name == other) for other in goal] for name in own]
    return torch.tensor(rows, dtype=torch.float64), torch.zeros(len(goal), dtype=torch.float64)
