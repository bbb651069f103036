"""Asking a policy for a batch, and writing down all that its answer depended on."""

import hashlib
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Final

import torch

from flows.plans.recipe import Recipe
from orchestrator.domain.campaign import GeneralSpec
from orchestrator.domain.identity import uuid7
from orchestrator.domain.records import Proposal, Provenance
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput, NeedsPerson
from orchestrator.history import History, knowledge
from orchestrator.ports import Knowledge, Policy
from orchestrator.suggestions import Suggestion

_LIBRARIES: Final = ("athanor", "torch", "botorch", "gpytorch")


def batch_seed(campaign_seed: int, batch: int) -> int:
    """Return the seed of a batch: a function of the campaign's seed and the batch's number alone."""
    return int(hashlib.sha256(f"{campaign_seed}/{batch}".encode()).hexdigest()[:8], 16) & 0x7FFFFFFF


@dataclass(frozen=True, slots=True)
class Proposer:
    """A campaign's policy and what its suggestions become."""

    spec: GeneralSpec
    policy: Policy
    recipe: Recipe

    def batch(self, history: History, count: int, *, elsewhere: Sequence[Configuration] = ()) -> tuple[Proposal, ...]:
        """Return the next batch; nothing where the policy has nothing left.

        Args:
            history: The campaign so far.
            count: How many are asked for.
            elsewhere: What is being carried out beside it, of which the history knows nothing.

        Raises:
            NeedsPerson: Restrictions leave the policy nothing; names them.
        """
        started = time.perf_counter()
        number = history.last_batch + 1
        seed = batch_seed(self.spec.seed, number)
        known = knowledge(history)
        suggestions = self._ask(replace(known, pending=(*known.pending, *elsewhere)), count, seed)
        seconds = round(time.perf_counter() - started, 4)
        first = len(history.newest()) + 1
        made = []
        for position, one in enumerate(suggestions):
            provenance = self._provenance(one, as_of=history.seq, seed=seed).evolve(
                batch=number, position=position, count=count, seconds=seconds
            )
            made.append(self._proposal(one, number=first + position, provenance=provenance))
        return tuple(made)

    def _ask(self, known: Knowledge, count: int, seed: int) -> tuple[Suggestion, ...]:
        """Ask the policy; where restrictions leave it nothing, people must lift one."""
        numbers = ", ".join(str(one.number) for one in known.restrictions)
        try:
            found = self.policy.propose(known, count=count, seed=seed)
        except BadInput as error:
            if not known.restrictions:
                raise
            raise NeedsPerson(f"restrictions {numbers}: {error}; `athanor constrain --lift NUMBER` takes one away") from error
        if not found and known.restrictions and not known.pending:
            raise NeedsPerson(f"restrictions {numbers} leave nothing to propose; `athanor constrain --lift NUMBER` takes one away")
        return found

    def _proposal(self, suggestion: Suggestion, *, number: int, provenance: Provenance) -> Proposal:
        return Proposal(
            proposal_id=uuid7(),
            campaign=self.spec.name,
            number=number,
            configuration=suggestion.configuration,
            steps=self.recipe.expand(suggestion.configuration),
            binding=dict(self.recipe.binding),
            replicates=self.spec.replicates,
            provenance=provenance,
        )

    def _provenance(self, suggestion: Suggestion, *, as_of: int, seed: int) -> Provenance:
        return Provenance(
            policy=suggestion.policy,
            as_of=as_of,
            seed=seed,
            settings=self.policy.settings,
            acquisition=suggestion.acquisition,
            predicted=dict(suggestion.predicted),
            details=dict(suggestion.details),
            threads=torch.get_num_threads(),
            device="cpu",
            versions={**{name: version(name) for name in _LIBRARIES}, "python": platform.python_version()},
        )
