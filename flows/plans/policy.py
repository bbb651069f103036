"""A plan's policy, ready to compute: here the models' libraries are loaded, which reading a plan does without."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flows.plans.plan import Plan
from models.base import Learner
from models.meta_learning.adapted import adapted_learner
from models.meta_learning.registry import restore_prior
from orchestrator.errors import BadInput
from orchestrator.ports import Policy
from policies.registry import build_policy


def policy_of(plan: Plan, settings: Mapping[str, Any] | None = None) -> Policy:
    """Build a plan's policy.

    Args:
        plan: The campaign's files.
        settings: Those that a proposal was made with, to compute it again; None for the campaign file's own.

    Raises:
        BadInput: A learner cannot read what the prior holds.
    """
    wanted = plan.file.spec.policy
    return build_policy(wanted.kind, plan.space, plan.objective, wanted.settings if settings is None else settings, _learner(plan))


def _learner(plan: Plan) -> Learner | None:
    if plan.prior is None:
        return None
    spec = plan.file.spec
    try:
        return adapted_learner(replace(plan.prior, restore=restore_prior), plan.space, spec.targets, spec.surrogate)
    except BadInput as error:
        raise BadInput(f"{plan.file.path}: {error}") from error
