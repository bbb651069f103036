"""Athanor from Python: look into labs, steer campaigns, or ask and tell without any bench.

Names are bound when they are first used, so that `import athanor` loads nothing else.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:  # for type checkers and editors; at run time `__getattr__` binds the same names
    from athanor.lab import CampaignHandle as CampaignHandle
    from athanor.lab import LabHandle as LabHandle
    from athanor.lab import Origin as Origin
    from athanor.lab import open_lab as open_lab
    from athanor.optimizer import Best as Best
    from athanor.optimizer import Optimizer as Optimizer
    from athanor.started import StartedCampaign as StartedCampaign
    from athanor.started import start as start
    from flows.report.export.campaign import ExportOptions as ExportOptions
    from flows.running.review_operations import Decision as Decision
    from models.meta_learning.checkpoint import load_prior as load_prior
    from orchestrator.domain.constraints import ExpressionConstraint as ExpressionConstraint
    from orchestrator.domain.constraints import LinearConstraint as LinearConstraint
    from orchestrator.domain.objective import Objective as Objective
    from orchestrator.domain.objective import Outcome as Outcome
    from orchestrator.domain.objective import Target as Target
    from orchestrator.domain.parameters import CategoricalParameter as CategoricalParameter
    from orchestrator.domain.parameters import CompositionParameter as CompositionParameter
    from orchestrator.domain.parameters import ContinuousParameter as ContinuousParameter
    from orchestrator.domain.parameters import DiscreteParameter as DiscreteParameter
    from orchestrator.domain.space import SearchSpace as SearchSpace
    from orchestrator.errors import AthanorError as AthanorError
    from orchestrator.errors import BadInput as BadInput
    from orchestrator.suggestions import Explanation as Explanation
    from orchestrator.suggestions import Suggestion as Suggestion

_HOMES: Final[dict[str, str]] = {
    "AthanorError": "orchestrator.errors",
    "BadInput": "orchestrator.errors",
    "Best": "athanor.optimizer",
    "CampaignHandle": "athanor.lab",
    "CategoricalParameter": "orchestrator.domain.parameters",
    "CompositionParameter": "orchestrator.domain.parameters",
    "ContinuousParameter": "orchestrator.domain.parameters",
    "Decision": "flows.running.review_operations",
    "DiscreteParameter": "orchestrator.domain.parameters",
    "Explanation": "orchestrator.suggestions",
    "ExportOptions": "flows.report.export.campaign",
    "ExpressionConstraint": "orchestrator.domain.constraints",
    "LabHandle": "athanor.lab",
    "LinearConstraint": "orchestrator.domain.constraints",
    "Objective": "orchestrator.domain.objective",
    "Optimizer": "athanor.optimizer",
    "Origin": "athanor.lab",
    "Outcome": "orchestrator.domain.objective",
    "SearchSpace": "orchestrator.domain.space",
    "StartedCampaign": "athanor.started",
    "Suggestion": "orchestrator.suggestions",
    "Target": "orchestrator.domain.objective",
    "load_prior": "models.meta_learning.checkpoint",
    "open_lab": "athanor.lab",
    "start": "athanor.started",
}
"""Public name -> the module that it stands in."""

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'athanor' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
