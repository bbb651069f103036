"""What a person changes, checked at once as the campaign will check it, and predicted as the campaign will predict it."""

from collections.abc import Mapping
from dataclasses import dataclass

from flows.plans.plan import Plan, stored_plan
from flows.plans.policy import policy_of
from flows.plans.stocks import StockBook
from flows.review.written import check_written
from orchestrator.domain.records import Prediction
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.loop import History, knowledge
from orchestrator.ports import Policy, Store


@dataclass(frozen=True, slots=True)
class Editor:
    """A stored campaign's own limits and model, for values that nobody has sent yet."""

    plan: Plan
    policy: Policy
    history: History
    stocks: StockBook

    @property
    def space(self) -> SearchSpace:
        """The campaign's search space, with what its bench can reach."""
        return self.plan.space

    @property
    def units(self) -> Mapping[str, str]:
        """Unit of each target."""
        return self.plan.objective.units

    def check(self, configuration: Configuration, *, times: int) -> None:
        """Refuse what the campaign would refuse.

        Args:
            configuration: What a person wrote, whole.
            times: How many runs it would give.

        Raises:
            BadInput: A value, constraint, restriction, limit or stock that does not allow it.
        """
        check_written(self.plan.space, self.plan.recipe, self.stocks, self.history, configuration, times=times)

    def predict(self, configuration: Configuration) -> Mapping[str, Prediction]:
        """Say what is expected of a measurement there, from all that is known now; empty where there is no model."""
        return next(iter(self.policy.predict(knowledge(self.history), [configuration])), {})


def editor_of(history: History, store: Store) -> Editor:
    """Build the editor of a stored campaign, from the files that it goes by; the store is not needed afterwards."""
    plan = stored_plan(history.campaign)
    return Editor(plan, policy_of(plan), history, StockBook(store, history.campaign.name))
