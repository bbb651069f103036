"""Policies by the names that people write in campaign files."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

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

_Settings = TypeVar("_Settings", bound=Frozen)


class NoSettings(Frozen):
    """For policies that have nothing to set."""


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
    if kind not in _BUILDERS:
        raise BadInput(f"unknown policy {kind!r}; expected one of {', '.join(_BUILDERS)}")
    return _BUILDERS[kind](space, objective, settings, learner or GaussianProcessLearner())


def _bayesian(space: SearchSpace, objective: Objective, settings: Mapping[str, Any], learner: Learner) -> Policy:
    return BayesianPolicy(space, objective, _checked("bayesian", BayesianSettings, settings), learner)


def _random(space: SearchSpace, _objective: Objective, settings: Mapping[str, Any], _learner: Learner) -> Policy:
    _checked("random", NoSettings, settings)
    return RandomPolicy(space)


def _sobol(space: SearchSpace, _objective: Objective, settings: Mapping[str, Any], _learner: Learner) -> Policy:
    _checked("sobol", NoSettings, settings)
    return SobolPolicy(space)


_BUILDERS: Final[Mapping[str, Callable[[SearchSpace, Objective, Mapping[str, Any], Learner], Policy]]] = {
    "bayesian": _bayesian,
    "random": _random,
    "sobol": _sobol,
}


def _checked(kind: str, model: type[_Settings], settings: Mapping[str, Any]) -> _Settings:
    legal = tuple(model.model_fields) or ("none",)
    try:
        return model.model_validate(dict(settings))
    except ValidationError as error:
        raise explain(error, what=f"settings of policy {kind!r}", legal={(): legal}) from error
