"""What follows when a bench differs from its twin in another way than before: an alarm in the ledger, then what the bench file wants.

The ledger is written first and each answer names its alarm, so that whoever goes on after a crash raises no alarm twice and answers
each once.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flows.plans.allowance import Means
from flows.plans.recipe import Recipe
from flows.review.by_hand import steps_by_hand
from orchestrator.clock import Clock
from orchestrator.domain.drift import DriftAlarm, Then
from orchestrator.domain.events import BY_CAMPAIGN, EventKind
from orchestrator.domain.identity import uuid7
from orchestrator.domain.lifecycle import CampaignStatus
from orchestrator.domain.records import Proposal, Provenance
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput
from orchestrator.history import History, knowledge
from orchestrator.ports import DriftWatch, Policy, Store

logger = logging.getLogger(__name__)

POLICY: Final = "drift/1"
"""What stands for a policy in the provenance of a reference run."""
FOLLOWS: Final[Mapping[Then, str]] = {
    "tell": "the campaign goes on",
    "pause": "the campaign is paused",
    "reference": "a reference run is asked for",
    "recalibrate": "a revision of the twin is written once enough runs have come since",
}
"""What people are told of what follows."""


@dataclass(frozen=True, slots=True)
class References:
    """Makes reference runs: experiments that were carried out before the drift, as a campaign's own proposals."""

    space: SearchSpace
    recipe: Recipe
    means: Means
    policy: Policy

    def proposal(self, history: History, alarm: DriftAlarm) -> Proposal:
        """Return the reference run of an alarm; the one in the ledger where it is there already.

        Raises:
            BadInput: Nothing was measured before the drift, or limits, stocks or the budget do not allow it.
        """
        reason = f"reference run: {alarm.target} drifts, noticed with run {alarm.run_key}"
        for one in history.newest():
            if one.provenance.policy == POLICY and one.reason == reason:
                return one
        values = self._most_often(history, alarm)
        steps = steps_by_hand(self.space, self.recipe, self.means, history, values, times=1)
        predicted = next(iter(self.policy.predict(knowledge(history), [values])), {})
        return Proposal(
            proposal_id=uuid7(),
            campaign=history.campaign.name,
            number=max(one.number for one in history.newest()) + 1,
            configuration=dict(values),
            steps=steps,
            binding=dict(self.recipe.binding),
            reason=reason,
            provenance=Provenance(policy=POLICY, as_of=history.seq, seed=0, batch=0, predicted=dict(predicted)),
        )

    def _most_often(self, history: History, alarm: DriftAlarm) -> Configuration:
        """Return what was carried out most often before the drift and gave the quantity; of several the one that came first."""
        began = history.runs[alarm.since].started_lab or 0.0
        before = [run for run in history.attempts() if run.started_lab is not None and run.started_lab < began]
        asked = [history.proposals[run.approval].configuration for run in before if alarm.target in history.results.get(run.run_key, {})]
        if not asked:
            raise BadInput(f"no run before proposal {alarm.since_number} has measured {alarm.target}; expected one to repeat")
        times = Counter(map(self.space.key, asked))
        return max(asked, key=lambda one: times[self.space.key(one)])


@dataclass(frozen=True, slots=True)
class DriftDesk:
    """Records alarms of one campaign, and does what is to follow from each."""

    watch: DriftWatch
    references: References
    store: Store
    clock: Clock
    write: Callable[[Callable[[], object]], None]
    """Carries a change of the ledger out."""
    refresh: Callable[[], History]
    """Folds in what changed in the ledger."""

    def look(self) -> None:
        """Record the alarms that the ledger has not, the first ones first, and answer what has no answer yet."""
        history = self.refresh()
        while (alarm := self.watch.alarm(history)) is not None:
            history = self._record((*history.campaign.drifts, alarm), EventKind.DRIFTED, alarm.model_dump(mode="json"))
        for alarm in history.campaign.drifts:
            if alarm.done is None and (done := self._answered(alarm)) is not None:
                details = {"target": alarm.target, "run_key": alarm.run_key, "done": done}
                self._record(_with_answer(self.refresh(), alarm, done), EventKind.DRIFT_ANSWERED, details)

    def _answered(self, alarm: DriftAlarm) -> str | None:
        """Do what is to follow from an alarm; return what was done, or None where the ledger says it already, or it has to wait."""
        try:
            match alarm.then:
                case "pause":
                    return self._paused(alarm)
                case "reference":
                    return self._referred(alarm)
                case "recalibrate":
                    return self.watch.recalibrated(self.refresh(), alarm)
                case "tell":
                    return "told"
        except BadInput as error:
            logger.warning("%s; not done: %s", alarm.line, error)
            return f"not done: {error}"

    def _paused(self, alarm: DriftAlarm) -> str | None:
        """Pause the campaign and say so with the alarm, in one event; one that people have paused meanwhile stays as it is."""
        history = self.refresh()
        if history.campaign.status is not CampaignStatus.RUNNING:
            return f"{history.campaign.status} already"
        drifts = _with_answer(history, alarm, "paused")
        paused = history.campaign.evolve(status=CampaignStatus.PAUSED, reason=alarm.line, drifts=drifts)
        self.write(lambda: self.store.update_campaign(paused, kind=EventKind.PAUSED, by=BY_CAMPAIGN, now=self.clock.now()))
        return None

    def _referred(self, alarm: DriftAlarm) -> str:
        history = self.refresh()
        made = self.references.proposal(history, alarm)
        key = (made.proposal_id, made.revision)
        if key not in history.proposals:
            self.write(lambda: self.store.add_proposals([made], by=BY_CAMPAIGN, now=self.clock.now()))
        return f"proposal {self.refresh().proposals[key].number}"

    def _record(self, drifts: tuple[DriftAlarm, ...], kind: EventKind, details: Mapping[str, Any]) -> History:
        record = self.refresh().campaign.evolve(drifts=drifts)
        self.write(lambda: self.store.update_campaign(record, kind=kind, by=BY_CAMPAIGN, now=self.clock.now(), payload=details))
        return self.refresh()


def _with_answer(history: History, alarm: DriftAlarm, done: str) -> tuple[DriftAlarm, ...]:
    """Return the campaign's alarms, one of them answered."""
    return tuple(one.evolve(done=done) if one == alarm else one for one in history.campaign.drifts)
