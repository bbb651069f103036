"""All that may be benchmarked, by name."""

from collections.abc import Callable, Mapping
from typing import Final

from models.meta_learning import registry
from models.peers.baselines import BASELINES
from models.tasks import MetaLearner

LEARNERS: Final[Mapping[str, Callable[[], MetaLearner]]] = {**BASELINES, **registry.LEARNERS}
"""Name -> what makes the learner: the baselines, and whatever learns from history."""
