"""The baseline: independent uniform draws."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from typing_extensions import override

from models.inputs.encoding import Encoding
from orchestrator.domain.space import SearchSpace
from orchestrator.ports import Knowledge, Policy, Suggestion
from policies.initial import suggestion
from policies.pool import Pool, candidate_table
from policies.sampling import Counted, RandomPoints, distinct, drawn_width, feasible, too_narrow
from policies.settings import POLICY_NAMES


@dataclass(frozen=True)
class RandomPolicy(Policy):
    """Draws uniformly from the feasible region; from a candidate table without repeats."""

    space: SearchSpace

    @property
    @override
    def name(self) -> str:
        return POLICY_NAMES["random"]

    @property
    @override
    def settings(self) -> dict[str, Any]:
        return {}

    @cached_property
    def _pool(self) -> Pool:
        return candidate_table(Encoding(self.space))

    @override
    def propose(self, knowledge: Knowledge, *, count: int, seed: int) -> tuple[Suggestion, ...]:
        """Propose `count` configurations that the bench tells apart, fewer where there are no more such.

        Raises:
            BadInput: The constraints leave nothing, or too little to be found.
        """
        generator = torch.Generator().manual_seed(seed)
        if self.space.candidates is None:
            rows = self._anywhere(knowledge, count, generator)
        else:
            rows = self._from_table(knowledge, count, generator)
        return tuple(suggestion(row, self.name) for row in rows)

    def _anywhere(self, knowledge: Knowledge, count: int, generator: torch.Generator) -> list[dict[str, float | str]]:
        encoding = Encoding(self.space, knowledge.restrictions)
        stream = Counted(feasible(encoding, RandomPoints(drawn_width(encoding), generator)))
        rows = distinct(stream, encoding, knowledge, count)
        if stream.count < count:
            raise too_narrow(encoding, count)
        return rows

    def _from_table(self, knowledge: Knowledge, count: int, generator: torch.Generator) -> list[dict[str, float | str]]:
        left, pool = self._pool.left(knowledge), self._pool
        order = [left[index] for index in torch.randperm(len(left), generator=generator).tolist()]
        rows: list[dict[str, float | str]] = []
        while order and len(rows) < count:
            index = pool.told_apart(order, (*knowledge.pending, *rows))[0]
            rows.append(dict(pool.rows[index]))
            order.remove(index)
        return rows
