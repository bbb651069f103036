"""Hand-made proposals: recorded as such, with their author, and put through the same review as any other."""

from collections.abc import Mapping
from typing import Final

from flows.plans.plan import Plan
from flows.plans.policy import policy_of
from flows.plans.stocks import StockBook
from flows.review.written import check_written
from orchestrator.domain.identity import uuid7
from orchestrator.domain.records import Proposal, Provenance
from orchestrator.errors import BadInput
from orchestrator.loop import History, knowledge

BY_HAND: Final = "person/1"
"""What stands for a policy in a hand-made proposal's provenance."""


def suggestion(plan: Plan, history: History, stocks: StockBook, values: Mapping[str, float | str], *, author: str, reason: str) -> Proposal:
    """Make a proposal of a person's values, expanded and checked like a policy's.

    Args:
        plan: The campaign's files.
        history: The campaign so far.
        stocks: The account of what is left of the bench's stocks.
        values: A value for every column of the search space.
        author: Who suggests it: they cannot be the only signer.
        reason: Why.

    Raises:
        BadInput: No name, a column without value, or a value, constraint, limit or stock that does not allow it.
    """
    if not author.strip():
        raise BadInput("a suggestion needs --by NAME")
    if missing := [column for column in plan.space.columns if column not in values]:
        raise BadInput(f"a suggestion needs a value for each parameter; {', '.join(missing)} missing")
    times = plan.file.spec.campaign.replicates
    steps = check_written(plan.space, plan.recipe, stocks, history, values, times=times)
    expected = next(iter(policy_of(plan).predict(knowledge(history), [values])), {})
    return Proposal(
        proposal_id=uuid7(),
        campaign=plan.file.name,
        number=max((one.number for one in history.newest()), default=0) + 1,
        configuration=dict(values),
        steps=steps,
        binding=dict(plan.recipe.binding),
        replicates=times,
        author=author.strip(),
        reason=reason or None,
        provenance=Provenance(policy=BY_HAND, as_of=history.seq, seed=0, batch=0, predicted=dict(expected)),
    )
