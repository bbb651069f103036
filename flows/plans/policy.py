"""A plan's policy, ready to compute: here the models' libraries are loaded, which reading a plan does without."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.plans.cost import cost_of
from flows.plans.plan import Plan
from models.base import Learner
from models.gaussian_processes.believed import BelievedLearner
from models.inputs.encoding import Encoding
from models.meta_learning.adapted import adapted_learner
from models.meta_learning.checkpoint import PriorFile
from models.meta_learning.registry import restore_prior
from orchestrator.domain.objective import Objective
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.surrogate_spec import SurrogateSpec
from orchestrator.errors import BadInput
from orchestrator.ports import Policy
from policies.registry import build_policy

if TYPE_CHECKING:
    from flows.plans.twins.bound import BoundTwin


def policy_of(plan: Plan, settings: Mapping[str, Any] | None = None, *, lab: Path | None = None) -> Policy:
    """Build a plan's policy.

    Args:
        plan: The campaign's files.
        settings: Those that a proposal was made with, to compute it again; None for the plan's own.
        lab: The lab's folder, where tables of a twin's predictions are kept; None: nowhere.

    Raises:
        BadInput: A learner cannot read what the prior holds.
    """
    spec = plan.file.spec
    wanted = plan.policy.chosen.model_dump(exclude_none=True) if settings is None else settings
    try:
        if plan.mean is None:
            learner = learner_of(plan.space, plan.objective, spec.surrogate, plan.prior)
        else:
            learner = _of_twin(plan, plan.mean, lab)
    except BadInput as error:
        raise BadInput(f"{plan.file.path}: {error}") from error
    return build_policy(plan.policy.kind, plan.space, plan.objective, wanted, learner, cost_of(plan, wanted))


def _of_twin(plan: Plan, twin: "BoundTwin", lab: Path | None) -> Learner:
    from flows.plans.twins.mean import twin_learner  # loads the simulators, which whoever asks and tells has no need of
    from flows.plans.twins.table import KEPT

    folder = None if lab is None else lab / KEPT
    return twin_learner(twin, plan.space, plan.objective, guard=plan.file.spec.surrogate.guard, folder=folder)


def learner_of(space: SearchSpace, objective: Objective, surrogate: SurrogateSpec, prior: PriorFile | None) -> Learner | None:
    """Return what adapts a prior to what is measured, or fits learned beliefs; None for the policy's own Gaussian process.

    Raises:
        BadInput: The prior does not fit space, targets or task, or a learner cannot read what it holds; or it would be a twin, which
            belongs to a bench.
    """
    if surrogate.mean == "twin":
        raise BadInput('surrogate.mean = "twin" belongs to a campaign that a bench with [twin] carries out; leave it out here')
    if surrogate.beliefs == "learned":
        return BelievedLearner.of(Encoding(space))
    return None if prior is None else adapted_learner(replace(prior, restore=restore_prior), space, objective.measured, surrogate)
