"""A budget of more than experiments: what does not fit is not proposed, not approved by hand and not begun."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from flows.plans.allowance import Allowance, refuse_uncounted, told, uncounted_before
from flows.plans.binding import campaign_binding
from flows.plans.stocks import stock_entries
from instruments.bench.file import load_bench
from instruments.bench.spec import StockSpec
from orchestrator.domain.budget import Budget
from orchestrator.domain.campaign import parse_campaign
from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import AnswerStatus, CampaignStatus
from orchestrator.domain.records import Step
from orchestrator.errors import BadInput
from orchestrator.history import History
from tests.flow.test_steps import NOW
from tests.reviewing.scripted import Desk, answer, approve, in_turn
from tests.reviewing.test_stocks import Dosing

DEMO = Path(__file__).parents[2] / "examples" / "cdse"
NEVER: dict[str, Any] = {"mode": "never"}


class Priced(Dosing):
    """Each run doses 2 mL of a stock that costs 3 EUR/mL, and takes half an hour."""

    def __init__(self, *, volume: str = "100 mL", each: float | None = 2.0, hours: float = 0.5) -> None:
        super().__init__(volume=volume, each=each)
        self.binding = stock_entries(
            {"precursor": StockSpec(species={"P": "1 mol/L"}, lot="A12", volume=volume, delivered_by="pump", price="3 EUR/mL")}
        )
        self.hours = hours

    @override
    def lab_seconds(self, history: History, steps: Sequence[Step], before: Sequence[Step]) -> float:
        return 3600 * self.hours


def desk_with(budget: dict[str, Any], *, batch: int = 1, rules: dict[str, Any] = NEVER, recipe: Priced | None = None) -> Desk:
    return Desk(in_turn(answer), general={"budget": budget, "batch": batch}, rules=rules, recipe=recipe or Priced())


@pytest.mark.parametrize(
    ("more", "carried_out", "why"),
    [
        ({"money": "20 EUR"}, 3, "budget, money: 2 of 20 EUR left, 6 needed"),
        ({"money": "18 EUR"}, 3, "budget, money: 0 of 18 EUR left, 6 needed"),
        ({"stocks": {"precursor": "5 mL"}}, 2, "budget, stock precursor: 1 of 5 mL left, 2 needed"),
        ({"lab_time": "15 min"}, 0, "budget, lab time: 0.25 of 0.25 h left, 0.5 needed"),
        ({"money": "1000 EUR"}, 8, "budget spent: 8 experiments"),
    ],
)
@pytest.mark.parametrize("batch", [1, 4])
def test_a_campaign_ends_when_no_further_experiment_fits(more: dict[str, Any], carried_out: int, why: str, batch: int) -> None:
    desk = desk_with({"experiments": 8, **more}, batch=batch)
    ended = desk.run()
    assert ended.status is CampaignStatus.FINISHED
    assert len(desk.box.requests) == carried_out
    assert desk.history.campaign.reason == why


def test_what_people_look_at_counts_as_if_it_were_spent() -> None:
    desk = desk_with({"experiments": 8, "money": "20 EUR"}, batch=4, rules={"mode": "always"})
    assert desk.run().status is CampaignStatus.FINISHED
    assert [len(one.asked) for one in desk.asked] == [3]
    assert len(desk.box.requests) == 3


def test_an_edit_that_the_budget_does_not_allow_is_refused_with_the_reason() -> None:
    desk = Desk(
        in_turn(lambda request: answer(request, approve(request, 0, x=1.0)), answer), general={"batch": 1}, recipe=Priced(each=None)
    )
    desk.general = {"budget": {"experiments": 1, "money": "11.9 EUR"}, "batch": 1}  # x = 1 costs 12 EUR
    assert desk.run().status is CampaignStatus.FINISHED
    refused = desk.history.answers[desk.answers[0].answer_id]
    assert refused.status is AnswerStatus.REFUSED
    assert refused.reason is not None
    assert "budget, money: 11.9 of 11.9 EUR left, 12 needed" in refused.reason


def test_what_was_approved_before_the_budget_shrank_pauses_the_campaign_before_it_begins() -> None:
    desk = desk_with({"experiments": 4, "money": "24 EUR"}, batch=4, recipe=Priced(volume="5 mL"))
    assert desk.run().status is CampaignStatus.PAUSED
    assert len(desk.box.requests) == 2
    resumed = desk.history.campaign.evolve(status=CampaignStatus.RUNNING, reason=None)
    desk.store.update_campaign(resumed, kind=EventKind.RESUMED, by="t", now=NOW)
    again = Desk(in_turn(answer), {"budget": {"experiments": 4, "money": "15 EUR"}, "batch": 4}, NEVER, recipe=Priced(), store=desk.store)
    assert again.run().status is CampaignStatus.PAUSED
    assert again.history.campaign.reason == "budget, money: 3 of 15 EUR left, 6 needed; raise the budget, then `athanor amend`"
    assert not again.box.requests


def test_the_account_tells_what_is_used_and_what_the_rest_may_take() -> None:
    desk = desk_with({"experiments": 4, "money": "14 EUR", "stocks": {"precursor": "50 mL"}})
    desk.run()
    allowance, binding = Allowance(Budget.model_validate({"experiments": 4, "money": "14 EUR"})), Priced().binding
    ended = allowance.account(desk.history, binding)["money"]
    assert (ended, told(ended)) == ({"used": 12.0, "limit": 14.0, "rest": None, "unit": "EUR"}, "12 of 14 EUR used")
    running = replace(desk.history, campaign=desk.history.campaign.evolve(status=CampaignStatus.RUNNING))
    assert told(allowance.account(running, binding)["money"]) == "12 of 14 EUR used; the experiments that are left take about 12 more"


FILE = """
[campaign]
name = "c"
budget = {budget}
bench = "bench.toml"
[[parameters]]
name = "x"
kind = "continuous"
min = 0
max = 1
[[targets]]
name = "y"
goal = "maximise"
"""


@pytest.mark.parametrize(
    ("budget", "names"),
    [
        ('{ experiments = 4, money = "3,5 EUR" }', ("campaign.budget.money", "3,5 EUR", "comma", "200 EUR")),
        ('{ experiments = 4, money = "-3 EUR" }', ("campaign.budget.money", "-3 EUR")),
        ('{ experiments = 4, money = "0 EUR" }', ("campaign.budget", "0 EUR", "above 0")),
        ('{ experiments = 4, lab_time = "3 mL" }', ("lab_time", "3 mL", "s")),
        ('{ experiments = 4, stocks = { se = "0 mL" } }', ("campaign.budget", "stocks.se", "above 0")),
        ('{ experiments = 4, time = "3 h" }', ("unknown key", "campaign.budget.time", "lab_time")),
        ('{ money = "20 EUR" }', ("campaign.budget.experiments", "missing")),
        ("0", ("campaign.budget.experiments", "0", "1")),
        ('"24"', ("campaign.budget.experiments", "24", "integer")),
    ],
)
def test_a_budget_that_cannot_be_is_one_line(budget: str, names: tuple[str, ...]) -> None:
    with pytest.raises(BadInput) as refused:
        parse_campaign(FILE.format(budget=budget), Path("c.toml"))
    assert "\n" not in str(refused.value)
    assert all(name in str(refused.value) for name in names), str(refused.value)


def test_a_plain_number_binds_what_it_always_bound() -> None:
    plain, table = (parse_campaign(FILE.format(budget=one), Path("c.toml")) for one in ("24", "{ experiments = 24 }"))
    assert campaign_binding(plain)["campaign: budget"] == campaign_binding(table)["campaign: budget"] == "24"
    limited = parse_campaign(FILE.format(budget='{ experiments = 24, money = "9 EUR" }'), Path("c.toml"))
    assert "9 EUR" in campaign_binding(limited)["campaign: budget"]


@pytest.mark.parametrize(
    ("budget", "names"),
    [
        ({"money": "9 USD"}, ("9 USD", "EUR")),
        ({"stocks": {"gold": "1 mL"}}, ("stocks.gold", "no such stock")),
    ],
)
def test_a_limit_that_nothing_is_counted_against_is_refused(budget: dict[str, Any], names: tuple[str, ...]) -> None:
    bench = load_bench(DEMO / "bench.toml")
    with pytest.raises(BadInput) as refused:
        refuse_uncounted(Budget.model_validate({"experiments": 3, **budget}), bench)
    assert all(name in str(refused.value) for name in names), str(refused.value)
    with pytest.raises(BadInput, match="belongs to a campaign with a bench"):
        refuse_uncounted(Budget.model_validate({"experiments": 3, **budget}), None)


def test_money_is_no_limit_where_earlier_runs_had_no_price_or_another_currency() -> None:
    desk = desk_with({"experiments": 1}, recipe=Priced())
    desk.run()
    euros, dollars = (Budget.model_validate({"experiments": 4, "money": money}) for money in ("20 EUR", "20 USD"))
    assert uncounted_before(euros, desk.history) is None
    assert "was paid in EUR" in (uncounted_before(dollars, desk.history) or "")
    unpriced = Desk(in_turn(answer), {"budget": 1, "batch": 1}, NEVER, recipe=Dosing())
    unpriced.run()
    assert "had no price" in (uncounted_before(euros, unpriced.history) or "")


def test_lab_time_is_for_how_long_at_least_one_run_occupied_the_bench() -> None:
    desk = desk_with({"experiments": 2}, batch=2)
    desk.run()
    first, second = desk.history.attempts()
    spans = ((first, 0.0, 4000.0, ((1000.0, 3000.0),)), (second, 500.0, 2000.0, ()))
    runs = {one.run_key: one.evolve(started_lab=start, ended_lab=end, with_people=waits) for one, start, end, waits in spans}
    used = Allowance(Budget(experiments=2)).used(replace(desk.history, runs=runs), waiting=False)
    assert used["lab_time"] == 3000.0  # 0 to 2000, and 3000 to 4000: from 2000 on there is only a person who is waited for
