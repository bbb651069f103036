"""What a person changes, checked at once as the campaign will check it, and predicted as the campaign will predict it."""

from collections.abc import Mapping
from dataclasses import dataclass

from flows.recipe import steps_of
from flows.wiring import Plan, stored_plan
from orchestrator.domain.records import Prediction
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.loop import History, knowledge


@dataclass(frozen=True, slots=True)
class Editor:
    """A stored campaign's own limits and model, for values that nobody has sent yet."""

    plan: Plan
    history: History

    @property
    def space(self) -> SearchSpace:
        """The campaign's search space, with what its bench can reach."""
        return self.plan.space

    def check(self, configuration: Configuration) -> None:
        """Refuse what the campaign would refuse.

        Raises:
            BadInput: A value, constraint, limit or stock that does not allow it.
        """
        self.plan.space.check(configuration)
        steps_of(self.plan.recipe, configuration)

    def predict(self, configuration: Configuration) -> Mapping[str, Prediction]:
        """Say what is expected of a measurement there, from all that is known now; empty where there is no model."""
        return next(iter(self.plan.policy.predict(knowledge(self.history), [configuration])), {})


def editor_of(history: History) -> Editor:
    """Build the editor of a stored campaign, from its files as they were when it began."""
    return Editor(stored_plan(history.campaign), history)
