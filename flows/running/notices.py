"""What people are told of a campaign, read off its history: each event once, however often it is looked at."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from flows.running.drifting import FOLLOWS
from flows.running.waiting_steps import WaitingStep
from instruments.notification import Event, Notifier
from orchestrator.commandline import typed
from orchestrator.domain.lifecycle import CampaignStatus, RunStatus
from orchestrator.domain.stop import StopSpec
from orchestrator.history import History
from orchestrator.results import run_name

_ENDS: Final = {
    CampaignStatus.FINISHED: Event.FINISHED,
    CampaignStatus.ABORTED: Event.FINISHED,
    CampaignStatus.PAUSED: Event.PAUSED,
}


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells people what a history holds that they should know of."""

    notifier: Notifier
    where: str = ""
    """Address of the page where they may look and answer; empty without one."""
    stop: StopSpec | None = None
    """When further experiments are worth nothing; None where nobody asks."""

    def tell(self, history: History, waiting: Iterable[WaitingStep] = ()) -> None:
        """Tell what is new; never waits.

        Args:
            history: The campaign so far.
            waiting: The steps that wait for people on the bench.
        """
        self._tell_requests(history)
        self._tell_work(waiting)
        self._tell_unknown(history)
        self._tell_overdue(history)
        self._tell_advice(history)
        self._tell_drifts(history)
        self._tell_end(history)

    def _tell_requests(self, history: History) -> None:
        for request in history.open_requests:
            if request.answer_id is None:
                count, name = len(request.asked), history.campaign.name
                body = f"{count} proposal{'s' if count > 1 else ''} to approve, edit or reject: {self.where or 'athanor review'}"
                self.notifier.notify(Event.WAITING, f"campaign {name}, request {request.number}", body, key=f"request {request.request_id}")

    def _tell_work(self, waiting: Iterable[WaitingStep]) -> None:
        for one in (one for one in waiting if one.answer is None):
            body = f"{one.step.do} waits for {one.whom}: {typed('work', one.code)}"
            key = f"work {one.run.run_key} {one.step.index}"
            self.notifier.notify(Event.WAITING, f"campaign {one.run.campaign}, run {one.code}", body, key=key)

    def _tell_overdue(self, history: History) -> None:
        for run in history.attempts():
            for target in history.missing(run):
                called = run_name(history, run)
                late = typed("measure", "add", called, f"{target}=...", "--by", "NAME")
                body = f"no value of {target} came in time, and nobody waits for it any longer; it is taken all the same: {late}"
                key = f"overdue {run.run_key} {target}"
                self.notifier.notify(Event.OVERDUE, f"campaign {run.campaign}, run {called}", body, key=key)

    def _tell_advice(self, history: History) -> None:
        """Tell once that the rule of stopping holds: by the campaign's name alone, so that a rule which comes and goes says no more."""
        name, advice = history.campaign.name, history.campaign.advice
        if self.stop is not None and advice is not None and self.stop.holds(advice):
            self.notifier.notify(Event.ENOUGH, f"campaign {name}", advice.line, key=f"advice {name}")

    def _tell_drifts(self, history: History) -> None:
        """Tell each alarm once, and what follows from it."""
        for one in history.campaign.drifts:
            body = f"{one.line}; {FOLLOWS[one.then]}; look: {typed('twin', 'drift', history.campaign.name)}"
            key = f"drift {history.campaign.name} {one.run_key} {one.target}"
            self.notifier.notify(Event.DRIFT, f"campaign {history.campaign.name}", body, key=key)

    def _tell_unknown(self, history: History) -> None:
        for run in history.runs.values():
            if run.status is RunStatus.UNKNOWN:
                body = f"nobody saw how run {run.run_key} ended; look at the bench, then: {typed('resolve', run.run_key)}"
                self.notifier.notify(Event.UNKNOWN, f"campaign {history.campaign.name}", body, key=f"unknown {run.run_key}")

    def _tell_end(self, history: History) -> None:
        record = history.campaign
        if (event := _ENDS.get(record.status)) is not None:
            key = f"campaign {record.name} {record.fence} {record.status}"
            self.notifier.notify(event, f"campaign {record.name}", f"{record.status}: {record.reason or ''}", key=key)
