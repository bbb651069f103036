"""What the first proposal of a batch chooses for all of it."""

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.domain.restriction import Allowed, Restriction
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.ports import Knowledge


def beside(space: SearchSpace, knowledge: Knowledge, batch: Sequence[Configuration]) -> Knowledge:
    """Hold what is the same in a batch at what its first proposal has, as a restriction does; as it is where there is nothing such."""
    if not (space.shared and batch):
        return knowledge
    first = {column: batch[0][column] for column in space.shared if column not in space.absent_columns(batch[0])}
    held = Restriction(restriction_id="", campaign="", author="the batch", columns={name: _only(value) for name, value in first.items()})
    return replace(knowledge, restrictions=(*knowledge.restrictions, held))


def _only(value: float | str) -> Allowed:
    return Allowed(names=(value,)) if isinstance(value, str) else Allowed(min=value, max=value)
