"""The flow's steps: each carries one of the loop's actions out and records it in the ledger."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from flows.plans.proposing import Proposer, batch_seed
from flows.plans.recipe import Recipe
from flows.review.desk import Asker, PageOf, ReviewDesk, TerminalOnly, plain_page
from flows.running.delivering import deliver
from flows.running.drifting import DriftDesk, References
from flows.running.recording import Recorder, Timings
from flows.running.stand_in_people import StandInPeople
from flows.running.waiting_steps import WaitingStep, waiting_in
from orchestrator.clock import Clock
from orchestrator.domain.campaign import GeneralSpec
from orchestrator.domain.events import BY_CAMPAIGN, EventKind
from orchestrator.domain.lifecycle import CampaignStatus, ProposalStatus, RunStatus
from orchestrator.domain.objective import Objective
from orchestrator.domain.records import ExperimentRun, Proposal, RunReport, RunRequest
from orchestrator.domain.review_rules import ReviewSpec
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.stop import Advice, StopSpec
from orchestrator.domain.values import digest
from orchestrator.errors import NeedsPerson, StoreError
from orchestrator.history import History, knowledge, lessons
from orchestrator.loop import NOTHING_LEFT, Adapt, Deliver, Execute, Expire, GiveUp, Ingest, Propose, Reconcile, Review, Settle, Watch
from orchestrator.ports import Bench, DriftWatch, Policy, Store

logger = logging.getLogger(__name__)

VERSION_DIGITS: Final = 12
"""Hexadecimal digits by which an adaptation is called: enough to tell those of one lab apart."""


@dataclass(frozen=True)
class Setup:
    """Everything that the steps use, built by the wiring."""

    spec: GeneralSpec
    space: SearchSpace
    objective: Objective
    policy: Policy
    recipe: Recipe
    bench: Bench
    store: Store
    clock: Clock
    fence: int
    bench_sha256: str = ""
    rules: ReviewSpec = field(default_factory=ReviewSpec)
    asker: Asker = field(default_factory=TerminalOnly)
    page: PageOf = plain_page
    timings: Timings = field(default_factory=Timings)
    stand_ins: StandInPeople | None = None
    """Answer in people's place; None where people do it themselves."""
    stop: StopSpec | None = None
    """When further experiments are worth nothing; None where nobody asks."""
    drift: DriftWatch | None = None
    """Looks whether the bench differs from its twin in another way than before; None where nobody asks."""


class Steps:
    """Carries actions out; keeps the history up to date with the ledger."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        places = (setup.recipe, setup.store, setup.clock)
        self.desk = ReviewDesk(setup.spec.name, setup.rules, setup.space, *places, setup.spec.budget, setup.page, setup.policy.predict)
        self.history = History.of(setup.store.changes(setup.spec.name))
        self._nothing_beside: frozenset[str] | None = None
        """What was in hand when nothing was proposed; None where something was when the policy was last asked."""
        self._nothing_because = NOTHING_LEFT
        self.doing: str | None = None
        """What is being done just now, for people who watch; None while the loop waits."""
        self._used_positions: set[str] | None = None
        self._revisions: dict[str, int] = {}
        self._waiting: dict[str, WaitingStep] = {}
        """By run key."""
        self._leaders: dict[str, str] | None = None
        self.watched = None if setup.drift is None else 0
        """Ledger number up to which it was looked for a drift; None where nobody asks."""

    @property
    def recorder(self) -> Recorder:
        """What writes runs into the ledger."""
        setup = self.setup
        reducing = (setup.recipe, setup.objective)
        return Recorder(setup.store, setup.bench, setup.clock, lambda: reducing, by=BY_CAMPAIGN, timings=setup.timings)

    def refresh(self) -> History:
        """Fold in what changed in the ledger, by us or by anybody else."""
        started = time.perf_counter()
        self.history = self.history.updated(self.setup.store.changes(self.setup.spec.name, since=self.history.seq))
        self.setup.timings.add("ledger", started)
        return self.history

    @property
    def exhausted(self) -> str | None:
        """Why nothing was proposed when the policy was last asked, where what may have stood in its way is still in hand."""
        return self._nothing_because if self._nothing_beside is not None and self._nothing_beside == self._in_hand() else None

    def _in_hand(self) -> frozenset[str]:
        asked = (one.proposal_id for one in self.history.newest() if one.status is ProposalStatus.PROPOSED)
        awaited = (f"{run_key} {target}" for run_key, targets in self.history.awaited.items() for target in targets)
        return frozenset([*asked, *awaited, *(run.run_key for run in self.history.attempts() if run.status.is_open)])

    # ----------------------------------------------------------------- propose and decide

    def propose(self, action: Propose) -> tuple[Proposal, ...]:
        """Ask the policy for a batch and record it."""
        started = time.perf_counter()
        suggested = Proposer(self.setup.spec, self.setup.policy, self.setup.recipe).batch(self.history, action.count)
        proposals, spent = self.desk.means.allowance.fitting(self.history, suggested)
        self._nothing_beside = None if proposals else self._in_hand()
        self._nothing_because = NOTHING_LEFT if spent is None else spent
        if spent is not None:
            logger.warning("campaign %s: %d of %d proposals; %s", self.setup.spec.name, len(proposals), len(suggested), spent)
        elif 0 < len(proposals) < action.count:
            shared = self.setup.space.shared
            beside = f" beside its first one's {', '.join(shared)} (`same_in_batch`)" if shared else ""
            logger.warning(
                "campaign %s, batch %d: %d of %d proposals; the bench tells no more experiments apart in what is left%s (`resolution`)",
                self.setup.spec.name,
                proposals[0].provenance.batch,
                len(proposals),
                action.count,
                beside,
            )
        self.setup.timings.add("model", started)
        self._ledger(lambda: self.setup.store.add_proposals(proposals, by=BY_CAMPAIGN, now=self.setup.clock.now()))
        return proposals

    def review(self, action: Review) -> None:
        """Have proposals decided: by the campaign's written rules, or by people."""
        started = time.perf_counter()
        self.desk.review(self.history, action.proposals)
        self.setup.timings.add("review", started)

    def carry_out_answer(self, action: Settle) -> None:
        """Carry out what a person answered."""
        self._ledger(lambda: self.desk.carry_out_answer(self.history, action.request, action.answer))
        if any(run.status is RunStatus.QUEUED for run in self.refresh().runs.values()):
            self.setup.bench.warm()

    def expire(self, action: Expire) -> None:
        """Let a request's deadline decide."""
        self._ledger(lambda: self.desk.expire(self.history, action.request))

    def renew(self) -> None:
        """Have what waits under files of before expanded and asked anew."""
        if self.history.campaign.status is CampaignStatus.RUNNING and self.desk.renew(self.history):
            self.refresh()

    @property
    def waiting(self) -> tuple[WaitingStep, ...]:
        """The steps that wait for people on the bench, as it told of them last."""
        return tuple(self._waiting.values())

    def put_to_people(self) -> None:
        """Have every open request asked, and no other; and what waits on the bench."""
        self.setup.asker.keep_work(waiting=bool(self._waiting))
        self.setup.asker.keep([one for one in self.history.open_requests if one.answer_id is None])

    # ----------------------------------------------------------------- carry out

    def execute(self, action: Execute) -> None:
        """Record the dispatch, then hand the run to the bench.

        An approval that has lapsed or was withdrawn is not carried out; a stock or a budget that does not suffice pauses the campaign.
        """
        if self._was_taken_back(action.run) or self._lacks_means(action.run):
            return
        run = action.run.evolve(status=RunStatus.DISPATCHED, position=self._allot(action.run), fence=self.setup.fence)
        try:
            self.recorder.update(run, kind=EventKind.DISPATCHED)
        except StoreError:
            if self._is_waiting(action.run):
                raise
            return  # a person withdrew the approval between two looks at the ledger: who writes first wins
        self._submit(run)

    def _was_taken_back(self, run: ExperimentRun) -> bool:
        """Whether the run's approval has ended: withdrawn by a person, or lapsed, which is found out and recorded here."""
        if not self._is_waiting(run):
            return True
        return self.desk.lapse(self.history, run) is not None

    def _lacks_means(self, run: ExperimentRun) -> bool:
        """Whether nothing may begin: a stock or the budget does not suffice, which is recorded here, or the campaign was paused for it."""
        proposal = self.history.proposals[run.approval]
        record = self.history.campaign
        if record.status is not CampaignStatus.RUNNING:
            return True
        missing = self.desk.means.missing(self.history, proposal.binding, proposal.steps, waiting=False)
        if not missing:
            return False
        reason = f"{'; '.join(missing)}; {' and '.join(missing.values())}, then `athanor amend`"
        paused = record.evolve(status=CampaignStatus.PAUSED, reason=reason)
        self._ledger(lambda: self.setup.store.update_campaign(paused, kind=EventKind.PAUSED, by=BY_CAMPAIGN, now=self.setup.clock.now()))
        self.refresh()
        return True

    def _is_waiting(self, run: ExperimentRun) -> bool:
        return self.refresh().runs[run.run_key].status is RunStatus.QUEUED

    def _submit(self, run: ExperimentRun) -> RunReport:
        proposal = self.history.proposals[run.approval]
        started = time.perf_counter()
        report = self.setup.bench.submit(
            RunRequest(
                run_key=run.run_key,
                run_id=run.run_id,
                attempt=run.attempt,
                campaign=run.campaign,
                fence=self.setup.fence,
                bench_sha256=self.setup.bench_sha256,
                steps=proposal.steps,
                position=run.position,
            )
        )
        self.setup.timings.add("host", started)
        return report

    def _allot(self, run: ExperimentRun) -> str | None:
        """Choose a sampler position that no run of this lab has had."""
        if not self.setup.recipe.positions:
            return None
        if self._used_positions is None:
            campaigns = [record.name for record in self.setup.store.campaigns()]
            runs = [one for name in campaigns for one in self.setup.store.changes(name).runs]
            self._used_positions = {one.position for one in runs if one.position is not None}
        free = next((one for one in self.setup.recipe.positions if one not in self._used_positions), None)
        if free is None:
            raise NeedsPerson(
                f"no free sampler position for run {run.run_key}: all {len(self.setup.recipe.positions)} were used in this lab"
            )
        self._used_positions.add(free)
        return free

    def reconcile(self, action: Reconcile, *, wait: float) -> bool:
        """Ask the bench how a run stands, for so many wall seconds, and record it; return whether anything has changed."""
        run, started = action.run, time.perf_counter()
        report = self.setup.bench.report(run.run_key, after=self._revisions.get(run.run_key, -1), wait=wait)
        self.setup.timings.add("bench", started)
        if report is None and run.status is RunStatus.RUNNING:
            self.recorder.lose(run)  # handed over again it would be carried out twice
            return True
        if report is None:
            # the ledger says dispatched, the host never saw it: the same key is handed over again, which is idempotent
            report = self._submit(run)
        self._revisions[run.run_key] = report.revision
        self._note_waiting(run, report)
        return self.recorder.record(self.history, run, report)

    def _note_waiting(self, run: ExperimentRun, report: RunReport) -> None:
        self._waiting.pop(run.run_key, None)
        if self.setup.stand_ins is not None:
            return
        for one in waiting_in(self.history, run, report):
            self._waiting[run.run_key] = one

    def stand_ins_answer(self) -> bool:
        """Have answered what people would be waited for; return whether anything was."""
        return self.setup.stand_ins is not None and self.setup.stand_ins.act(self.history)

    def deliver(self, action: Deliver) -> None:
        """Tell the bench what a person answered to a step that waits there."""
        self._waiting.pop(action.answer.run_key, None)
        self._ledger(lambda: deliver(self.setup.store, self.setup.bench, self.setup.clock, action.answer, by=BY_CAMPAIGN))

    # ----------------------------------------------------------------- ingest and adapt

    def ingest(self, action: Ingest) -> None:
        """Reduce a completed run's readings to measurements and record both."""
        self.recorder.ingest(self.history, action.run)

    def give_up(self, action: GiveUp) -> None:
        """Record that values which were to come after a run are overdue: it counts as without them, until they come all the same."""
        run = action.run.evolve(overdue=(*action.run.overdue, *action.targets))
        details = {"targets": [*action.targets]}
        self._ledger(
            lambda: self.setup.store.update_run(run, kind=EventKind.OVERDUE, by=BY_CAMPAIGN, now=self.setup.clock.now(), payload=details)
        )
        self.refresh()

    def watch(self, action: Watch) -> None:
        """Look for drifts of the bench, record each alarm, and do what the bench file wants of it."""
        setup, started = self.setup, time.perf_counter()
        assert setup.drift is not None, "nobody asked for it"
        references = References(setup.space, setup.recipe, self.desk.means, setup.policy)
        DriftDesk(setup.drift, references, setup.store, setup.clock, self._ledger, self.refresh).look()
        self.watched = action.as_of
        setup.timings.add("model", started)

    def adapt(self, action: Adapt) -> None:
        """Let the surrogate learn from all that is accepted and record it: now where it adapts a prior, else when it is asked."""
        record = self.history.campaign.evolve(adapted=action.as_of, adapted_counts="events")
        payload: dict[str, Any] = {"policy": self.setup.policy.name, "lessons": lessons(self.history)}
        started = time.perf_counter()
        if constant := self.setup.objective.constant(self.history.accepted.values()):
            payload["constant"] = [*constant]
        if learned := self.setup.policy.adapt(knowledge(self.history)):
            payload |= self._adaptation(learned, round(time.perf_counter() - started, 4))
        if self.setup.stop is not None:
            record = record.evolve(advice=self._advice(self.setup.stop.improvement))
            if record.advice is not None:
                payload["advice"] = record.advice.model_dump()
        self.setup.timings.add("model", started)
        self._ledger(
            lambda: self.setup.store.update_campaign(
                record, kind=EventKind.ADAPTED, by=BY_CAMPAIGN, now=self.setup.clock.now(), payload=payload
            )
        )

    def _advice(self, improvement: float) -> Advice | None:
        """Ask the policy what further experiments may still bring, drawn as if for the next batch; what ends by itself binds nothing."""
        seed, known = batch_seed(self.setup.spec.seed, self.history.last_batch + 1), knowledge(self.history)
        lasting = tuple(one for one in known.restrictions if one.last_batch is None)
        return self.setup.policy.advice(replace(known, restrictions=lasting), improvement=improvement, seed=seed)

    def _adaptation(self, learned: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Describe an adaptation: its version, what it brought, and where another component took the lead."""
        leaders = leaders_of(learned)
        if self._leaders is None:
            known = (event.payload["details"] for event in self.setup.store.events(self.setup.spec.name) if event.kind == EventKind.ADAPTED)
            self._leaders = next((leaders_of(one) for one in reversed(list(known)) if "fit" in one), {})
        switched = {name: [self._leaders[name], now] for name, now in leaders.items() if self._leaders.get(name, now) != now}
        self._leaders = leaders
        return {**learned, "version": digest(dict(learned))[:VERSION_DIGITS], "seconds": seconds, "switched": switched}

    # ----------------------------------------------------------------- the campaign's end

    def close_campaign(self, status: CampaignStatus, reason: str) -> None:
        """Record how the campaign ended or why it paused, unless the ledger says so already."""
        if status is not CampaignStatus.PAUSED:
            self._ledger(lambda: self.desk.close(self.history, f"campaign {status}: {reason}"))
        if self.history.campaign.status is status:
            return
        record = self.history.campaign.evolve(status=status, reason=reason)
        self._ledger(lambda: self.setup.store.update_campaign(record, kind=EventKind(status), by=BY_CAMPAIGN, now=self.setup.clock.now()))

    def abort(self) -> None:
        """End every run that waits or that the bench still has, and record how they ended."""
        self.recorder.end_all(self.refresh, reason=f"campaign aborted: {self.history.campaign.reason or 'no reason recorded'}")

    def _ledger(self, write: Callable[[], object]) -> None:
        self.recorder.write(write)


def leaders_of(learned: Mapping[str, Any]) -> dict[str, str]:
    """Return the component that weighs most, by target; a target of one component has no leader."""
    weights = {target: one.get("weights", {}) for target, one in learned["fit"].items()}
    return {target: max(one, key=one.__getitem__) for target, one in weights.items() if one}
