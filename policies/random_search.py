"""The baseline: independent uniform draws."""

from dataclasses import dataclass

import torch
from typing_extensions import override

from models.inputs.encoding import Encoding
from orchestrator.ports import Knowledge
from policies.initial import DesignPolicy
from policies.sampling import Counted, RandomPoints, distinct, drawn_width, feasible, too_narrow
from policies.settings import POLICY_NAMES


@dataclass(frozen=True)
class RandomPolicy(DesignPolicy):
    """Draws uniformly from the feasible region; from a candidate table without repeats."""

    @property
    @override
    def name(self) -> str:
        return POLICY_NAMES["random"]

    @override
    def _drawn(self, knowledge: Knowledge, count: int, seed: int) -> list[dict[str, float | str]]:
        generator = torch.Generator().manual_seed(seed)
        encoding = Encoding(self.space, knowledge.restrictions)
        stream = Counted(feasible(encoding, RandomPoints(drawn_width(encoding), generator)))
        rows = distinct(stream, encoding, knowledge, count)
        if stream.count < count:
            raise too_narrow(encoding, count)
        return rows

    @override
    def _chosen(self, knowledge: Knowledge, count: int, seed: int) -> list[dict[str, float | str]]:
        generator = torch.Generator().manual_seed(seed)
        left, pool = self._pool.left(knowledge), self._pool
        order = [left[index] for index in torch.randperm(len(left), generator=generator).tolist()]
        rows: list[dict[str, float | str]] = []
        while order and len(rows) < count:
            index = pool.told_apart(order, (*knowledge.pending, *rows))[0]
            rows.append(dict(pool.rows[index]))
            order.remove(index)
        return rows
