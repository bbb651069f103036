"""Policies by the names that people write in campaign files."""

from collections.abc import Mapping
from typing import Any

from models.base import Learner
from models.gaussian_processes.single_task import GaussianProcessLearner
from orchestrator.domain.objective import Objective
from orchestrator.domain.space import SearchSpace
from orchestrator.ports import Cost, Policy
from policies.bayesian import BayesianPolicy
from policies.initial import SobolPolicy
from policies.random_search import RandomPolicy
from policies.settings import BayesianSettings, policy_choice


def build_policy(
    kind: str,
    space: SearchSpace,
    objective: Objective,
    settings: Mapping[str, Any],
    learner: Learner | None = None,
    cost: Cost | None = None,
) -> Policy:
    """Build a policy.

    Args:
        kind: Its name.
        space: What may be varied.
        objective: What is wanted.
        settings: The policy's own.
        learner: Makes the surrogate of a policy that has one; a Gaussian process where it is left out.
        cost: Of experiments, where the settings have it counted.

    Raises:
        BadInput: Unknown kind or setting, or a setting out of range; names the legal ones. Or the settings have a cost counted that
            nothing is known of.
    """
    chosen = policy_choice(kind, space, objective, settings).chosen
    if isinstance(chosen, BayesianSettings):
        return BayesianPolicy(space, objective, chosen, learner or GaussianProcessLearner(), cost)
    return RandomPolicy(space) if kind == "random" else SobolPolicy(space)
