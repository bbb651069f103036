"""Advice stands in the ledger before anything is done by it, is shown, and is told once."""

from dataclasses import dataclass, field
from pathlib import Path

from typing_extensions import override

from flows.cli.progress import progress_table
from flows.report.adaptations import advices
from flows.report.overview import Links, overview_markdown
from flows.running.actions import Steps
from flows.running.notices import Teller
from instruments.notification import Event, Notifier
from orchestrator.domain.events import EventKind
from orchestrator.domain.identity import uuid7
from orchestrator.domain.lifecycle import CampaignStatus
from orchestrator.domain.restriction import Allowed, Restriction
from orchestrator.domain.stop import RULE, Advice, StopSpec
from orchestrator.history import History
from orchestrator.ports import Knowledge
from policies.random_search import RandomPolicy
from tests.flow.test_steps import NOW, OBJECTIVE, SPACE, Box, carry, steps_over


class Surer(RandomPolicy):
    """Expects less of another experiment with each that it sees."""

    @override
    def advice(self, knowledge: Knowledge, *, improvement: float, seed: int) -> Advice | None:
        seen = len(knowledge.observations)
        if seen < 2:
            return None
        return Advice(improvement=improvement, chance=0.1 / seen, expected=0.1 / seen, low=0.0, high=0.2 / seen, measured=seen)


@dataclass(frozen=True)
class Narrowed(RandomPolicy):
    """Keeps what restricted it when it was asked for advice."""

    seen: list[tuple[Restriction, ...]] = field(default_factory=list, compare=False)

    @override
    def advice(self, knowledge: Knowledge, *, improvement: float, seed: int) -> Advice | None:
        self.seen.append(knowledge.restrictions)
        return None


def steps_with(stop: StopSpec | None, *, budget: int, batch: int = 1) -> Steps:
    return steps_over(Box(), policy=Surer(SPACE), stop=stop, budget=budget, batch=batch)


def test_a_rule_that_finishes_ends_the_campaign_once_it_holds() -> None:
    steps = steps_with(StopSpec(action="finish"), budget=10)
    ended = carry(steps)
    assert ended.status is CampaignStatus.FINISHED
    assert ended.reason.startswith(RULE)
    assert "chance of 3.3 %" in ended.reason
    assert len(steps.history.attempts()) == 3
    assert steps.history.campaign.reason == ended.reason


def test_of_a_batch_all_are_carried_out_before_the_rule_ends_it() -> None:
    steps = steps_with(StopSpec(action="finish"), budget=10, batch=4)
    assert carry(steps).reason.startswith(RULE)
    assert len(steps.history.attempts()) == 4


def test_advice_alone_stops_nothing_and_stands_in_the_ledger_each_time() -> None:
    steps = steps_with(StopSpec(), budget=4)
    assert carry(steps).reason == "budget spent: 4 experiments"
    said = advices(steps.setup.store.events("c"))
    assert [one.measured for one in said] == [2, 3, 4]
    assert steps.history.campaign.advice == said[-1]


def test_what_is_taken_out_of_the_search_for_some_batches_only_may_still_be_found() -> None:
    steps = steps_over(Box(), policy=(policy := Narrowed(SPACE)), stop=StopSpec(), budget=2)
    for last in (None, 9):
        allowed = Allowed(min=0.1 if last else 0.0, max=0.2 if last else 0.5)
        made = Restriction(restriction_id=uuid7(), campaign="c", author="Ann", columns={"x": allowed}, last_batch=last)
        steps.setup.store.restrict(made, by="person Ann", now=NOW)
    carry(steps)
    assert all(0.1 <= float(one.configuration["x"]) <= 0.2 for one in steps.history.newest()), "both bind proposals"
    assert [[one.last_batch for one in some] for some in policy.seen] == [[None], [None]]


def test_without_a_rule_nothing_is_computed_or_kept() -> None:
    steps = steps_with(None, budget=3)
    carry(steps)
    assert advices(steps.setup.store.events("c")) == ()
    adaptations = [one.payload for one in steps.setup.store.events("c") if one.kind == EventKind.ADAPTED]
    assert len(adaptations) == 3
    assert "advice" not in str(adaptations)


def test_the_views_show_the_advice_and_people_are_told_once() -> None:
    steps = steps_with(StopSpec(), budget=4)
    told: list[tuple[str, str]] = []

    def send(_address: str, title: str, body: str) -> bool:
        told.append((title, body))
        return True

    notifier = Notifier(["json://127.0.0.1:1"], send=send)
    teller = Teller(notifier, stop=StopSpec())
    carry(steps)
    history = steps.history
    for _ in range(2):
        teller.tell(History(history.campaign.evolve(status=CampaignStatus.RUNNING)))
    notifier.close()
    assert [title for title, _ in told] == [f"Athanor ({Event.ENOUGH}): campaign c"]
    assert history.campaign.advice is not None
    line = history.campaign.advice.line
    assert told[0][1] == line
    assert progress_table(history, OBJECTIVE, 4).caption == line
    assert line in overview_markdown(history, OBJECTIVE, 4, Links(Path("report.html")))
