"""What was asked of an optimizer and told to it, in order; folded into the history that a campaign's decisions depend on.

An optimizer has no ledger. What a campaign keeps there as proposals, runs and measurements is made here of what was asked
and told, so that `orchestrator.history.knowledge` reads both alike.
"""

from collections.abc import Iterable
from typing import Annotated, Final, Literal

from pydantic import Field

from orchestrator.domain.lifecycle import ProposalStatus, RunStatus
from orchestrator.domain.records import CampaignRecord, ExperimentRun, Measurement, Proposal
from orchestrator.domain.values import Frozen
from orchestrator.errors import BadInput
from orchestrator.history import Changes, History

NAME: Final = "optimizer"
"""What stands for a campaign's name where no file gives one."""
REDUCTION: Final = "told/1"
Outcome = Literal["measured", "infeasible", "failed"]


class Asked(Frozen):
    """One batch that was asked for."""

    kind: Literal["asked"] = "asked"
    proposals: Annotated[tuple[Proposal, ...], Field(min_length=1)]
    pending: tuple[dict[str, float | str], ...] = ()
    """What was being carried out beside it, that nobody had asked for here."""

    def changes(self, history: History) -> Changes:
        """Return what becomes of it: approved proposals, whose replicates all wait."""
        runs = tuple(_run(one, replicate) for one in self.proposals for replicate in range(1, one.replicates + 1))
        return Changes(history.seq + 1, history.campaign, self.proposals, runs)


class Told(Frozen):
    """What came of one experiment."""

    kind: Literal["told"] = "told"
    number: int
    """Of its proposal."""
    proposal: Proposal | None = None
    """The proposal itself, where nobody had asked for it."""
    outcome: Outcome = "measured"
    measured: dict[str, float | str] = Field(default_factory=dict)
    """The configuration that was carried out, where it is not the proposed one."""
    values: dict[str, float] = Field(default_factory=dict)
    """In the targets' units."""
    uncertainties: dict[str, float] = Field(default_factory=dict)
    """Standard uncertainties, in the targets' units."""
    reason: str = ""
    """Why it is infeasible, where that is said."""

    def changes(self, history: History) -> Changes:
        """Return what becomes of it: a run that has ended, of a proposal's replicates the first that waits, else one more.

        Raises:
            BadInput: There is no such proposal.
        """
        proposal = self.proposal or history.proposals.get((str(self.number), 1))
        if proposal is None:
            raise BadInput(f"it tells of experiment {self.number}, which was not asked for before")
        own = [run for run in history.runs.values() if run.proposal_id == proposal.proposal_id]
        waiting = next((run for run in own if run.status.is_open), None)
        run = (waiting or _run(proposal, len(own) + 1)).evolve(
            status=_STATUS[self.outcome], measured=self.measured, ingested=self.outcome == "measured", reason=self.reason or None
        )
        made = () if self.proposal is None else (self.proposal,)
        return Changes(history.seq + 1, history.campaign, made, (run,), tuple(self._measurements(run)))

    def _measurements(self, run: ExperimentRun) -> Iterable[Measurement]:
        for target, value in self.values.items():
            yield Measurement(
                measurement_id=f"{run.run_key}/{target}",
                campaign=run.campaign,
                run_key=run.run_key,
                target=target,
                value=value,
                uncertainty=self.uncertainties.get(target),
                reduction=REDUCTION,
            )


Event = Annotated[Asked | Told, Field(discriminator="kind")]
_STATUS: Final = {"measured": RunStatus.COMPLETED, "infeasible": RunStatus.INFEASIBLE, "failed": RunStatus.FAILED}


def _run(proposal: Proposal, replicate: int) -> ExperimentRun:
    """Make a run whose key sorts as a campaign's do: by proposal, then by replicate, whenever it was told."""
    key = f"{proposal.number:08d}-{replicate:08d}"
    return ExperimentRun(
        run_key=key, run_id=key, campaign=proposal.campaign, proposal_id=proposal.proposal_id, revision=1, replicate=replicate
    )


def numbered(proposal: Proposal) -> Proposal:
    """Return a proposal of an optimizer's own: called by its number, and approved by having been asked for."""
    return proposal.evolve(proposal_id=str(proposal.number), status=ProposalStatus.APPROVED)


def history_of(events: Iterable[Event]) -> History:
    """Fold what was asked and told, in order."""
    history = History(CampaignRecord(name=NAME))
    for event in events:
        history = after(history, event)
    return history


def after(history: History, event: Event) -> History:
    """Fold one more event in."""
    return history.updated(event.changes(history))
