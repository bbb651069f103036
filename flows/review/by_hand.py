"""What a person changes or suggests: checked at once as the campaign will check it, and predicted as the campaign will predict it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flows.plans.allowance import Means
from flows.plans.plan import Plan, means_of, stored_plan
from flows.plans.policy import policy_of
from flows.plans.recipe import Recipe, steps_of
from orchestrator.domain.identity import uuid7
from orchestrator.domain.records import Prediction, Proposal, Provenance, Step
from orchestrator.domain.region import Region
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput
from orchestrator.history import History, knowledge
from orchestrator.ports import Policy, ReadStore

BY_HAND: Final = "person/1"
"""What stands for a policy in a hand-made proposal's provenance."""


def steps_by_hand(
    space: SearchSpace, recipe: Recipe, means: Means, history: History, values: Configuration, *, times: int
) -> tuple[Step, ...]:
    """Return the steps of a whole configuration that a person edited or made, and of which so many runs would be made.

    Raises:
        BadInput: A value, constraint, restriction, limit, interlock, stock or budget that does not allow it; names it.
    """
    space.check(values)
    Region(space, history.restricted(history.last_batch)).check_columns(values)
    steps = steps_of(recipe, values)
    if (complaint := means.complaint(history, recipe.binding, steps, times=times)) is not None:
        raise BadInput(complaint)
    return steps


def check_beside_batch(space: SearchSpace, history: History, proposal: Proposal, values: Configuration) -> None:
    """Refuse an edit of what is the same in a whole batch: the others of it, refused ones too, keep what the first has chosen.

    Raises:
        BadInput: Names the column, the value and what the batch has.
    """
    batch = proposal.provenance.batch
    if not batch or not any(one.provenance.batch == batch and one.proposal_id != proposal.proposal_id for one in history.newest()):
        return
    for column in space.shared:
        came, kept = (space.owners[column].shown(one[column]) for one in (values, proposal.configuration))
        if came != kept:
            raise BadInput(f"{column} = {came}: expected {kept}, which all proposals of batch {batch} have (same_in_batch)")


@dataclass(frozen=True, slots=True)
class Editor:
    """A stored campaign's own limits and model, for values that nobody has sent yet."""

    plan: Plan
    policy: Policy
    history: History
    means: Means

    @property
    def space(self) -> SearchSpace:
        """The campaign's search space, with what its bench can reach."""
        return self.plan.space

    @property
    def units(self) -> Mapping[str, str]:
        """Unit of each target."""
        return self.plan.objective.units

    def check(self, configuration: Configuration, *, times: int) -> tuple[Step, ...]:
        """Refuse with BadInput what the campaign would refuse, of so many runs; return its steps."""
        return steps_by_hand(self.plan.space, self.plan.recipe, self.means, self.history, configuration, times=times)

    def check_edit(self, proposal: Proposal, configuration: Configuration) -> None:
        """Refuse with BadInput what the campaign would refuse in a proposal's place."""
        check_beside_batch(self.plan.space, self.history, proposal, configuration)
        self.check(configuration, times=proposal.replicates)

    def predict(self, configuration: Configuration) -> Mapping[str, Prediction]:
        """Say what is expected of a measurement there, from all that is known now; empty where there is no model."""
        return next(iter(self.policy.predict(knowledge(self.history), [configuration])), {})


def editor_of(history: History, store: ReadStore) -> Editor:
    """Build the editor of a stored campaign, from the files that it goes by; the store is not needed afterwards."""
    plan = stored_plan(history.campaign)
    return Editor(plan, policy_of(plan), history, means_of(plan, store))


def proposal_by_hand(editor: Editor, values: Mapping[str, float | str], *, author: str, reason: str) -> Proposal:
    """Make a proposal of a person's values, expanded and checked like a policy's; its author cannot be the only signer.

    Raises:
        BadInput: No name, a column without value, or a value, constraint, limit or stock that does not allow it.
    """
    plan, history = editor.plan, editor.history
    if not author.strip():
        raise BadInput("a suggestion needs --by NAME")
    values = plan.space.completed(values)
    if missing := [column for column in plan.space.columns if column not in values]:
        raise BadInput(f"a suggestion needs a value for each parameter; {', '.join(missing)} missing")
    times = plan.file.spec.campaign.replicates
    steps = editor.check(values, times=times)
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
        provenance=Provenance(policy=BY_HAND, as_of=history.seq, seed=0, batch=0, predicted=dict(editor.predict(values))),
    )
