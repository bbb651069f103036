"""All that may be benchmarked, by name."""

from collections.abc import Callable, Mapping
from typing import Final

from models import learners
from models.baselines import BASELINES
from models.single import MetaLearner

LEARNERS: Final[Mapping[str, Callable[[], MetaLearner]]] = {**BASELINES, **learners.LEARNERS}
"""Name -> what makes the learner: the baselines, and whatever learns from history."""
