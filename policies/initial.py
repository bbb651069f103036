"""Space-filling designs: what to measure before there is a model."""

from abc import abstractmethod
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

import torch
from typing_extensions import override

from models.inputs.encoding import Encoding
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.ports import Knowledge, Policy
from orchestrator.suggestions import Suggestion
from policies.batch import beside
from policies.pool import Pool, candidate_table, done, spread_out, used
from policies.sampling import Counted, SobolPoints, distinct, drawn_width, feasible, too_narrow
from policies.settings import POLICY_NAMES


@dataclass(frozen=True)
class DesignPolicy(Policy):
    """Proposes without a model: draws from the space, or rows of its candidate table."""

    space: SearchSpace

    @property
    @override
    def settings(self) -> dict[str, Any]:
        return {}

    @cached_property
    def _pool(self) -> Pool:
        return candidate_table(Encoding(self.space))

    @override
    def propose(self, knowledge: Knowledge, *, count: int, seed: int) -> tuple[Suggestion, ...]:
        """Propose `count` configurations that differ from all before while the space has such; never two that are one experiment.

        Raises:
            BadInput: The constraints leave nothing, or too little to be found.
        """
        draw = self._drawn if self.space.candidates is None else self._chosen
        if not self.space.shared:
            return tuple(Suggestion(row, self.name) for row in draw(knowledge, count, seed))
        rows = draw(knowledge, min(count, 1), seed)
        known = beside(self.space, replace(knowledge, pending=(*knowledge.pending, *rows)), rows)
        with suppress(BadInput):  # what the first has chosen may leave nothing else: then the batch is smaller, and that is said
            rows += draw(known, count - len(rows), seed) if rows and count > 1 else []
        return tuple(Suggestion(row, self.name) for row in rows)

    @abstractmethod
    def _drawn(self, knowledge: Knowledge, count: int, seed: int) -> list[dict[str, float | str]]:
        """Draw configurations."""

    @abstractmethod
    def _chosen(self, knowledge: Knowledge, count: int, seed: int) -> list[dict[str, float | str]]:
        """Choose rows of the candidate table."""


@dataclass(frozen=True)
class SobolPolicy(DesignPolicy):
    """Fills the feasible region evenly; from a candidate table, draws rows far apart."""

    @property
    @override
    def name(self) -> str:
        return POLICY_NAMES["sobol"]

    @override
    def _drawn(self, knowledge: Knowledge, count: int, seed: int) -> list[dict[str, float | str]]:
        # a campaign that asks with one seed walks along one sequence
        # where the region is so narrow that the sequence ends, it begins anew and leaves out what was used
        encoding = Encoding(self.space, knowledge.restrictions)
        for skipped in (done(knowledge), 0):
            stream = Counted(islice(feasible(encoding, SobolPoints(drawn_width(encoding), seed)), skipped, None))
            rows = distinct(stream, encoding, knowledge, count)
            if len(rows) == count:
                return rows
        if stream.count < count:
            raise too_narrow(encoding, count)
        return rows

    @override
    def _chosen(self, knowledge: Knowledge, count: int, seed: int) -> list[dict[str, float | str]]:
        pool, generator = self._pool, torch.Generator().manual_seed(seed)
        known = used(knowledge)
        left, chosen = pool.left(knowledge), list[dict[str, float | str]]()
        while left and len(chosen) < count:
            open_ = pool.told_apart(left, (*knowledge.pending, *chosen))
            (index,) = spread_out(pool.encoded, pool.encoding.encode((*known, *chosen)), open_, count=1, generator=generator)
            chosen.append(dict(pool.rows[index]))
            left.remove(index)
        return chosen
