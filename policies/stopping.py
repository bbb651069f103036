"""When a campaign has done enough."""

from dataclasses import dataclass
from typing import Protocol

from typing_extensions import override

from orchestrator.domain.objective import Objective
from orchestrator.ports import Knowledge


class StoppingRule(Protocol):
    """Looks at what is known and says why to stop, or nothing."""

    def reason(self, knowledge: Knowledge) -> str | None:
        """Return why the campaign is over; None where it goes on."""
        ...


@dataclass(frozen=True, slots=True)
class BudgetSpent(StoppingRule):
    """Ends a campaign after a number of experiments."""

    experiments: int
    """Experiments that may be measured or found infeasible."""

    @override
    def reason(self, knowledge: Knowledge) -> str | None:
        spent = len(knowledge.observations) + len(knowledge.infeasible)
        return f"budget spent: {spent} of {self.experiments} experiments" if spent >= self.experiments else None


@dataclass(frozen=True, slots=True)
class GoalReached(StoppingRule):
    """Ends a campaign when a measured score is high enough."""

    objective: Objective
    score: float
    """On the objective's scale."""

    @override
    def reason(self, knowledge: Knowledge) -> str | None:
        scores = [self.objective.score_measured(observation.values) for observation in knowledge.observations]
        best = max((score for score in scores if score is not None), default=None)
        return f"goal reached: score {best:.4g}, wanted {self.score:.4g}" if best is not None and best >= self.score else None
