"""All meta-learners by name, and their priors from checkpoints."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from models.networks import deep_kernel, maml
from models.source_basis.guarded import DefaultLearner, restore_default
from models.source_basis.learner import SourceBasisLearner, restore_source_basis
from models.tasks import Family, MetaLearner, Prior
from orchestrator.errors import BadInput

META_LEARNERS: Final[Mapping[str, Callable[[], MetaLearner]]] = {
    "default": DefaultLearner,
    "source-basis": SourceBasisLearner,
    "deep-kernel": deep_kernel.DeepKernel,
    "anil": maml.Anil,
    "maml": maml.Maml,
}
"""Name in meta-training and benchmark files -> what makes the learner."""

_RESTORERS: Final[Mapping[str, Callable[[Mapping[str, Any], Family], Prior]]] = {
    "default": restore_default,
    "source-basis": restore_source_basis,
    "deep-kernel": deep_kernel.restore_deep_kernel,
    "anil": maml.restore_gradient_prior,
    "maml": maml.restore_gradient_prior,
}


def restore_prior(name: str, state: Mapping[str, Any], family: Family) -> Prior:
    """Return the prior that a learner left in a checkpoint.

    Raises:
        BadInput: No such learner.
    """
    if name not in _RESTORERS:
        raise BadInput(f"learner {name!r} is unknown; known: {', '.join(_RESTORERS)}")
    return _RESTORERS[name](state, family)
