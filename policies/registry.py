"""Policies by the names that people write in campaign files."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import ValidationError

from models.base import Learner
from models.gaussian_processes.single_task import GaussianProcessLearner
from orchestrator.domain.objective import Objective
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Frozen, explain
from orchestrator.errors import BadInput
from orchestrator.ports import Policy
from policies.bayesian import BayesianPolicy, BayesianSettings
from policies.initial import SobolPolicy
from policies.random_search import RandomPolicy


class NoSettings(Frozen):
    """For policies that have nothing to set."""


_POLICIES: Final[Mapping[str, tuple[type[Frozen], Callable[[SearchSpace, Objective, Any, Learner], Policy]]]] = {
    "bayesian": (BayesianSettings, BayesianPolicy),
    "random": (NoSettings, lambda space, *_: RandomPolicy(space)),
    "sobol": (NoSettings, lambda space, *_: SobolPolicy(space)),
}
"""Name -> its settings, and what builds it from space, objective, settings and learner."""


def build_policy(
    kind: str, space: SearchSpace, objective: Objective, settings: Mapping[str, Any], learner: Learner | None = None
) -> Policy:
    """Build a policy.

    Args:
        kind: Its name.
        space: What may be varied.
        objective: What is wanted.
        settings: The policy's own.
        learner: Makes the surrogate of a policy that has one; a Gaussian process where it is left out.

    Raises:
        BadInput: Unknown kind or setting, or a setting out of range; names the legal ones.
    """
    if kind not in _POLICIES:
        raise BadInput(f"unknown policy {kind!r}; expected one of {', '.join(_POLICIES)}")
    model, build = _POLICIES[kind]
    try:
        checked = model.model_validate(dict(settings))
    except ValidationError as error:
        raise explain(error, what=f"settings of policy {kind!r}", legal={(): tuple(model.model_fields) or ("none",)}) from error
    return build(space, objective, checked, learner or GaussianProcessLearner())
