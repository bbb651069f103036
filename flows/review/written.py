"""What a person wrote, checked as a whole before anything comes of it."""

from flows.plans.recipe import Recipe, steps_of
from flows.plans.stocks import StockBook
from orchestrator.domain.records import Step
from orchestrator.domain.region import Region
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput
from orchestrator.history import History


def check_written(
    space: SearchSpace, recipe: Recipe, stocks: StockBook, history: History, values: Configuration, *, times: int
) -> tuple[Step, ...]:
    """Return the steps of a configuration that a person edited or made.

    Args:
        space: The campaign's search space.
        recipe: Its bench's procedure.
        stocks: What is left of its bench's stocks.
        history: The campaign so far.
        values: What the person wrote, whole.
        times: How many runs it would give.

    Raises:
        BadInput: A value, constraint, restriction, limit, interlock or stock that does not allow it; names it.
    """
    space.check(values)
    Region(space, history.restricted(history.last_batch)).check_columns(values)
    steps = steps_of(recipe, values)
    if (complaint := stocks.complaint(history, recipe.binding, steps, times=times)) is not None:
        raise BadInput(complaint)
    return steps
