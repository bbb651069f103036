"""All that may be benchmarked, by name."""

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Final

from models.baselines import BASELINES
from models.single import MetaLearner

_REGISTRY: Final = "models.learners"


def _registered() -> Mapping[str, Callable[[], MetaLearner]]:
    """Return what the learners' own registry lists, where there is one."""
    if find_spec(_REGISTRY) is None:
        return {}
    found: Mapping[str, Callable[[], MetaLearner]] = import_module(_REGISTRY).LEARNERS
    return found


LEARNERS: Final[Mapping[str, Callable[[], MetaLearner]]] = {**BASELINES, **_registered()}
"""Name -> what makes the learner: the baselines, and whatever learns from history."""
