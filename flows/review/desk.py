"""Decides proposals: by rule at once, else by a request to people, whose answers it carries out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final, Protocol

from typing_extensions import override

from flows.plans.allowance import Allowance, Means
from flows.plans.binding import changes
from flows.plans.recipe import Recipe, steps_of
from flows.review.approvals import close_requests, proposed_again, queued_run, taken_back, waiting_runs
from flows.review.by_hand import check_beside_batch, steps_by_hand
from orchestrator.clock import Clock
from orchestrator.domain.budget import Budget
from orchestrator.domain.distance import nearest
from orchestrator.domain.events import BY_CAMPAIGN, BY_DEADLINE, Actor, EventKind
from orchestrator.domain.identity import uuid7
from orchestrator.domain.lifecycle import AnswerStatus, ProposalStatus, ReviewStatus
from orchestrator.domain.records import ExperimentRun, Prediction, Proposal, Provenance
from orchestrator.domain.review import Answer, Page, Reason, ReviewRequest
from orchestrator.domain.review_rules import ReviewSpec
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration, canonical, digest
from orchestrator.errors import BadInput, StoreError
from orchestrator.history import History, knowledge, observations
from orchestrator.ports import Knowledge, ReviewStore
from orchestrator.review import (
    Quantities,
    asked_about,
    asked_again,
    avoided,
    by_deadline,
    by_rule,
    carry_out,
    decided,
    reasons_for,
    why_asked_again,
)

"""Who the ledger names for what the loop does by itself."""
PREDICTED_ANEW: Final = "a person's values, predicted with what was known at ledger event"
"""What an edited revision says of its prediction."""


class Asker(Protocol):
    """Puts open requests to people."""

    def keep(self, requests: Sequence[ReviewRequest]) -> None:
        """Have exactly these requests asked: begin what is missing, end what is over; never waits."""
        ...

    def keep_work(self, *, waiting: bool) -> None:
        """Have the steps asked that wait for people on the bench, where any do; never waits. Whoever asks nobody does nothing."""
        del waiting

    def close(self) -> None:
        """End all questions; the requests stay open in the ledger."""
        ...


class TerminalOnly(Asker):
    """Asks nobody: people look with `athanor review`."""

    @override
    def keep(self, requests: Sequence[ReviewRequest]) -> None:
        return

    @override
    def close(self) -> None:
        return


PageOf = Callable[[History, Sequence[Proposal], Mapping[str, Quantities]], Mapping[str, object]]
"""Makes a decision page's JSON from the history, what is asked, and what the rules saw by proposal id."""


Predict = Callable[[Knowledge, Sequence[Configuration]], tuple[Mapping[str, Prediction], ...]]
"""Says what is expected of each configuration from what is known; empty where there is no model."""


def nothing_predicted(_knowledge: Knowledge, _batch: Sequence[Configuration]) -> tuple[Mapping[str, Prediction], ...]:
    """Expect nothing: there is no model."""
    return ()


def plain_page(history: History, proposals: Sequence[Proposal], quantities: Mapping[str, Quantities]) -> Mapping[str, object]:
    """Show what is asked and what the rules saw, and nothing more."""
    asked = [{**one.model_dump(mode="json"), "quantities": dict(quantities[one.proposal_id].values)} for one in proposals]
    return {"schema": 1, "campaign": history.campaign.name, "proposals": asked}


@dataclass(frozen=True)
class ReviewDesk:
    """One campaign's rules and what they need to be carried out."""

    campaign: str
    spec: ReviewSpec
    space: SearchSpace
    recipe: Recipe
    store: ReviewStore
    clock: Clock
    budget: Budget
    page: PageOf = plain_page
    predict: Predict = nothing_predicted

    @cached_property
    def means(self) -> Means:
        """The account of what is left of stocks and budget."""
        return Means(self.store, self.campaign, Allowance(self.budget, self.recipe.lab_seconds))

    # ----------------------------------------------------------------- what is asked

    def review(self, history: History, proposals: Sequence[Proposal]) -> None:
        """Approve by rule what nobody needs to look at, and put the others to people in one request."""
        found = {one.proposal_id: self.quantities(history, one) for one in proposals}
        reasons = {one.proposal_id: reasons_for(one, found[one.proposal_id], self.spec) for one in proposals}
        for one in proposals:
            if not reasons[one.proposal_id]:
                self._approve_by_rule(one)
        waiting = [one for one in proposals if reasons[one.proposal_id]]
        if not waiting:
            return
        page = self._stored_page(history, waiting, found)
        now = self.clock.now()
        request = ReviewRequest(
            request_id=uuid7(),
            campaign=self.campaign,
            number=len(history.requests) + 1,
            asked=tuple(asked_about(one, (*_again(history, one), *reasons[one.proposal_id])) for one in waiting),
            page_sha256=page.sha256,
            opened_lab=now.lab,
            deadline_lab=None if self.spec.deadline is None else now.lab + self.spec.deadline,
            on_deadline=self.spec.on_deadline,
        )
        self.store.open_request(request, page, by=BY_CAMPAIGN, now=now)

    def quantities(self, history: History, proposal: Proposal) -> Quantities:
        """Return what the rules look at."""
        known = self.recipe.quantities(proposal.configuration)
        values = {f"sd.{name}": one.sd for name, one in proposal.provenance.predicted.items()}
        measured = [one.configuration for one in observations(history)]
        novelty = nearest(self.space, proposal.configuration, measured)
        return Quantities({**known.values, **values, "novelty": 1.0 if novelty is None else novelty}, known.hazards)

    def _stored_page(self, history: History, waiting: Sequence[Proposal], found: Mapping[str, Quantities]) -> Page:
        text = canonical(self.page(history, waiting, found))
        return Page(sha256=digest(text), campaign=self.campaign, text=text)

    def _approve_by_rule(self, proposal: Proposal) -> None:
        now = self.clock.now()
        self.store.decide(by_rule(proposal, self.spec, now), self._runs(proposal, now.lab), by=BY_CAMPAIGN, now=now)

    def _runs(self, proposal: Proposal, lab: float) -> tuple[ExperimentRun, ...]:
        return tuple(queued_run(proposal, replicate, lab) for replicate in range(1, proposal.replicates + 1))

    # ----------------------------------------------------------------- what came of it

    def carry_out_answer(self, history: History, request: ReviewRequest, answer: Answer) -> None:
        """Carry an answer out; one with an illegal edit is refused whole and the question asked again."""
        now = self.clock.now()
        try:
            settled = carry_out(
                request,
                answer,
                history.proposals,
                now=now,
                reasons=lambda one: reasons_for(one, self.quantities(history, one), self.spec),
                edit=partial(self.edit, history),
            )
        except BadInput as error:
            refused = answer.evolve(status=AnswerStatus.REFUSED, reason=str(error))
            self.store.settle(asked_again(request, str(error)), refused, (), (), by=BY_CAMPAIGN, now=now)
            return
        runs = [run for one in settled.approved for run in self._runs(one, now.lab)]
        closed, accepted = decided(request, answer)
        kept_away = avoided(settled, self.spec, history.last_batch, iter(uuid7, None))
        self.store.settle(closed, accepted, settled.proposals, runs, kept_away, by=Actor.person(answer.reviewer), now=now)

    def edit(self, history: History, proposal: Proposal, edits: Mapping[str, float | str]) -> Proposal:
        """Make the next revision with other values, expanded and checked anew, and predicted with what is known now.

        Raises:
            BadInput: A value, constraint, restriction, limit or stock that does not allow it, or files changed since it was shown.
        """
        if (changed := changes(proposal.binding, self.recipe.binding)) is not None:
            raise BadInput(f"what was shown has changed: {changed}")
        values = self.space.edited(proposal.configuration, edits)
        check_beside_batch(self.space, history, proposal, values)
        steps_by_hand(self.space, self.recipe, self.means, history, values, times=proposal.replicates)
        revised = self._revised(proposal, values)  # before it is predicted: what refuses is cheap
        return revised.evolve(provenance=self._predicted_anew(history, proposal, values))

    def _predicted_anew(self, history: History, proposal: Proposal, configuration: Configuration) -> Provenance:
        """Return whence an edited revision is: nobody optimised it, and it was predicted later than the policy proposed."""
        found = next(iter(self.predict(knowledge(history), [configuration])), {})
        return proposal.provenance.evolve(
            predicted=dict(found),
            predicted_as_of=history.seq if found else None,
            acquisition=None,
            details={"edited from revision": proposal.revision, **({"why": f"{PREDICTED_ANEW} {history.seq}"} if found else {})},
        )

    def _revised(self, proposal: Proposal, configuration: Configuration) -> Proposal:
        steps = steps_of(self.recipe, configuration)
        return proposed_again(proposal).evolve(configuration=dict(configuration), steps=steps, binding=dict(self.recipe.binding))

    def expire(self, history: History, request: ReviewRequest) -> None:
        """Let a request's deadline decide."""
        now = self.clock.now()
        closed, settled = by_deadline(request, history.proposals, now)
        if closed.status is ReviewStatus.OPEN:
            self.store.update_request(closed, kind=EventKind.REVIEW_OVERDUE, by=BY_DEADLINE, now=now)
            return
        runs = [run for one in settled.approved for run in self._runs(one, now.lab)]
        self.store.settle(closed, None, settled.proposals, runs, by=BY_DEADLINE, now=now)

    # ----------------------------------------------------------------- what ends it

    def close(self, history: History, reason: str) -> None:
        """Close all open requests: their campaign is over."""
        close_requests(self.store, history, reason, by=BY_CAMPAIGN, now=self.clock.now())

    def lapse(self, history: History, run: ExperimentRun) -> str | None:
        """Take an approval back when what it bound has changed or it is too old; return why, None where it holds.

        The revision that takes its place is expanded anew and goes through review again.
        """
        proposal = history.proposals[run.approval]
        now = self.clock.now()
        why = self._why_lapsed(proposal, now.lab)
        if why is None:
            return None
        waiting = waiting_runs(history).get(run.approval, [])
        ended, successor = self._lapsed(proposal, why)
        if successor is not None:
            successor = successor.evolve(replicates=len(waiting))
        why = ended.reason or why
        self.store.take_back(ended, [taken_back(one, why) for one in waiting], successor, by=BY_CAMPAIGN, now=now, reason=why)
        return why

    def _lapsed(self, proposal: Proposal, why: str) -> tuple[Proposal, Proposal | None]:
        """Return a revision that holds no more, and the one that takes its place; None where today's files do not allow it."""
        try:
            self.space.check(proposal.configuration)
            successor = self._revised(proposal, proposal.configuration)
        except BadInput as error:
            return proposal.evolve(status=ProposalStatus.LAPSED, reason=f"{why}; it is not asked again: {error}"), None
        return proposal.evolve(status=ProposalStatus.LAPSED, reason=why), successor

    def _why_lapsed(self, proposal: Proposal, lab: float) -> str | None:
        if self.spec.valid_for is not None and proposal.decided_lab is not None and lab - proposal.decided_lab > self.spec.valid_for:
            return f"approved {lab - proposal.decided_lab:.0f} s of lab time ago; valid for {self.spec.valid_for:g} s"
        if (changed := changes(proposal.binding, self.recipe.binding)) is not None:
            return f"what the approval bound has changed: {changed}"
        return None if self.recipe.expand(proposal.configuration) == proposal.steps else "the procedure expands to other steps"

    def renew(self, history: History) -> bool:
        """Have what waits for a decision, but was expanded from files of before, expanded anew; return whether anything was.

        A request about it is closed, unless it was answered: the answer is carried out first, and what it approves lapses.
        """
        stale = {(one.proposal_id, one.revision): one for one in history.newest() if self._is_stale(one)}
        if not stale:
            return False
        for request in history.open_requests:
            about = [stale.pop(key) for one in request.asked if (key := (one.proposal_id, one.revision)) in stale]
            if about and request.answer_id is None:
                self._supersede(request, [self._lapsed(one, self._why_asked_again(one)) for one in about])
        for one in stale.values():
            ended, successor = self._lapsed(one, self._why_asked_again(one))
            now = self.clock.now()
            if successor is not None:  # first: a kill in between loses a reason, not a proposal
                self.store.add_proposals([successor], by=BY_CAMPAIGN, now=now)
            self.store.decide(ended, (), by=BY_CAMPAIGN, now=now)
        return True

    def _is_stale(self, proposal: Proposal) -> bool:
        return proposal.status is ProposalStatus.PROPOSED and dict(proposal.binding) != dict(self.recipe.binding)

    def _why_asked_again(self, proposal: Proposal) -> str:
        return f"what it was expanded from has changed: {changes(proposal.binding, self.recipe.binding)}"

    def _supersede(self, request: ReviewRequest, lapsed: Sequence[tuple[Proposal, Proposal | None]]) -> None:
        """Close a request about revisions that hold no more, together with these."""
        closed = request.evolve(status=ReviewStatus.CLOSED, reason=f"superseded: {lapsed[0][0].reason}")
        written = [*(ended for ended, _ in lapsed), *(successor for _, successor in lapsed if successor is not None)]
        try:
            self.store.settle(closed, None, written, (), by=BY_CAMPAIGN, now=self.clock.now())
        except StoreError:
            known = {one.request_id: one for one in self.store.changes(self.campaign).requests}
            if known[request.request_id].answer_id is None:
                raise  # else somebody answered between two looks at the ledger: the answer is carried out first


def _again(history: History, proposal: Proposal) -> tuple[Reason, ...]:
    """Tell people, wherever they look, that they or others have decided on these values before, and why that no longer holds."""
    why = why_asked_again(proposal, history.proposals)
    return () if why is None else (Reason(name="again", text=f"asked again: {why}", standing=True),)
