"""From a campaign's encoding to a prior's: one affine map, so that gradients pass through it.

Both encodings are linear in the configuration, whatever their bounds and units, so that one matrix and one offset carry
a whole space over; but for numbers on a log scale, here or there, which are carried one by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from models.inputs.codes import Bend
from models.inputs.encoding import Encoding
from models.inputs.presence import Presence
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput


@dataclass(frozen=True, slots=True)
class Lift:
    """A map between two encodings."""

    matrix: Float[Tensor, "d e"]
    offset: Float[Tensor, " e"]
    bends: tuple[tuple[int, int, Bend], ...] = ()
    """Inputs that are not carried by the matrix: which, where to, and how."""
    presence: Presence = field(default_factory=Presence)
    """Where the prior's parameters are there: what is absent stands at the centre of its own inputs."""

    def __call__(self, X: Float[Tensor, "*b d"]) -> Float[Tensor, "*b e"]:
        """Map rows of a campaign's `d` inputs to the prior's `e` inputs, differentiably."""
        lifted = X @ self.matrix + self.offset
        for own, goal, bend in self.bends:
            lifted[..., goal] = bend(X[..., own])
        return self.presence.settled(lifted)


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
    places = {code.parameter.name: (code, where) for code, where in zip(ours.codes, ours.slices, strict=True)}
    _check_names([parameter.name for parameter in goal.parameters], list(places), what)
    matrix = torch.zeros(ours.width, theirs.width, dtype=torch.float64)
    offset = torch.zeros(theirs.width, dtype=torch.float64)
    bends: list[tuple[int, int, Bend]] = []
    for code, columns in zip(theirs.codes, theirs.slices, strict=True):
        own, rows = places[code.parameter.name]
        if own.parameter.when != code.parameter.when:
            there = [f"only where {one.parameter.condition}" if one.parameter.when else "always" for one in (code, own)]
            raise BadInput(f"{what}: parameter {code.parameter.name} is there {there[0]}; in the campaign {there[1]}")
        matrix[rows, columns], offset[columns] = own.carried(code, what)
        if bend := own.bend(code):
            bends.append((rows.start, columns.start, bend))
    return Lift(matrix, offset, tuple(bends), theirs.presence)


def _check_names(wanted: Sequence[str], given: Sequence[str], what: str) -> None:
    if missing := [name for name in wanted if name not in given]:
        raise BadInput(f"{what} needs parameter {missing[0]!r}, which the campaign does not have; it has {', '.join(given)}")
    if extra := [name for name in given if name not in wanted]:
        raise BadInput(f"{what} knows nothing of parameter {extra[0]!r}; it knows {', '.join(wanted)}")
