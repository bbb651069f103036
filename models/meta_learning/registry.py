"""All meta-learners by name, and their priors from checkpoints."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from models.networks.deep_kernel import DeepKernel, restore_deep_kernel
from models.networks.maml import Anil, Maml, restore_gradient_prior
from models.source_basis.guarded import BelievingLearner, DefaultLearner, restore_default
from models.source_basis.learner import SourceBasisLearner, restore_source_basis
from models.tasks import Family, MetaLearner, Prior
from orchestrator.errors import BadInput

_LEARNERS: Final[Mapping[str, tuple[Callable[[], MetaLearner], Callable[[Mapping[str, Any], Family], Prior]]]] = {
    "default": (DefaultLearner, restore_default),
    "default-beliefs": (BelievingLearner, restore_default),
    "source-basis": (SourceBasisLearner, restore_source_basis),
    "deep-kernel": (DeepKernel, restore_deep_kernel),
    "anil": (Anil, restore_gradient_prior),
    "maml": (Maml, restore_gradient_prior),
}
"""Name in meta-training and benchmark files -> what makes the learner, and its prior from a state."""

META_LEARNERS: Final[Mapping[str, Callable[[], MetaLearner]]] = {name: make for name, (make, _) in _LEARNERS.items()}


def restore_prior(name: str, state: Mapping[str, Any], family: Family) -> Prior:
    """Return the prior that a learner left in a checkpoint.

    Raises:
        BadInput: No such learner.
    """
    if name not in _LEARNERS:
        raise BadInput(f"learner {name!r} is unknown; known: {', '.join(_LEARNERS)}")
    return _LEARNERS[name][1](state, family)
