"""A policy is told what experiments cost on its bench; what nobody could know is refused before anything begins."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from flows.plans.cost import cost_of
from flows.plans.plan import Plan, load_plan, stored_plan
from flows.plans.policy import policy_of
from flows.report.data import Circumstances, ReportData, assemble
from flows.report.page import render_report
from flows.report.spending import spending
from flows.review.rendering import markdown
from orchestrator.domain.lifecycle import ProposalStatus
from orchestrator.domain.objective import Objective, Outcome
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput
from orchestrator.history import History, knowledge
from orchestrator.suggestions import COST, Suggestion
from tests.crash.campaigns import quick_campaign
from tests.report import cases
from tests.reviewing.informed import Informed

UNTIL = 'timeout = "60 min" }'
RATE = 'timeout = "60 min", rate = "10 delta_degC/min" }'
MODEL = 'kind = "bayesian"\nrestarts = 1\nraw_samples = 32\nmc_samples = 32'
HOT, COOL = ({"T": T, "tau": 30.0, "c_se": 0.01, "ratio": 2.0} for T in (240.0, 230.0))


def plan(folder: Path, cost: str, *, budget: str = "{ experiments = 40 }", replicates: int = 1, rate: bool = True) -> Plan:
    file = quick_campaign(folder, budget=40)
    text = file.read_text().replace('kind = "sobol"', f'{MODEL}\ncost = "{cost}"')
    file.write_text(re.sub(r"budget = 40\b", f"budget = {budget}\nreplicates = {replicates}", text))
    bench = folder / "bench.toml"
    bench.write_text(bench.read_text().replace(UNTIL, RATE if rate else UNTIL))
    return load_plan(file)


def amounts(plan: Plan, batch: tuple[Configuration, ...], after: Configuration | None = None) -> tuple[float, ...]:
    cost = cost_of(plan, plan.policy.settings)
    assert cost is not None
    return cost.amounts(batch, after)


def test_money_is_what_the_doses_cost_whatever_came_before(tmp_path: Path) -> None:
    found = plan(tmp_path, "money", replicates=3)
    cd, se = 2 * 0.01 / 0.12, 0.01 / 0.06  # parts of the flow
    each = 2.0 / 30 * (4 * 30 + 120) * (0.35 * cd + 0.60 * se + 0.08 * (1 - cd - se))  # mL of all stocks, EUR/mL
    assert amounts(found, (HOT, COOL)) == pytest.approx((3 * each, 3 * each))
    assert amounts(found, (HOT,), COOL) == pytest.approx((3 * each,))


def test_time_begins_where_the_experiment_before_it_left_the_oven(tmp_path: Path) -> None:
    found, run = plan(tmp_path, "time", replicates=2), 60 + 4 * 30.0
    assert amounts(found, (HOT, COOL)) == pytest.approx((2 * run + (220 - 1) * 6, 2 * run + (210 - 1) * 6))
    assert amounts(found, (HOT, COOL), COOL) == pytest.approx((2 * run + 9 * 6, 2 * run))


def test_what_the_bench_refuses_costs_more_than_anything(tmp_path: Path) -> None:
    found = plan(tmp_path, "money")
    assert amounts(found, ({**HOT, "T": 300.0},)) == (float("inf"),)
    assert amounts(found, (HOT,), {**HOT, "T": 300.0}) == amounts(found, (HOT,))


@pytest.mark.parametrize(
    ("cost", "more", "left"),
    [
        ("money", "", 1 - 3 / 40),
        ("time", "", 1 - 3 / 40),
        ("time", ', lab_time = "1 h"', 1 - (3 * 180 + 219 * 6 + 9 * 6) / 3600),
        ("money", ', lab_time = "1 h"', 1 - 3 / 40),
        ("money", ', money = "1 EUR"', 0.0),
    ],
)
def test_the_share_that_is_left_is_of_what_is_limited_of_experiments_where_nothing_else_is(
    tmp_path: Path, cost: str, more: str, left: float
) -> None:
    found = plan(tmp_path, cost, budget=f"{{ experiments = 40{more} }}")
    counted = cost_of(found, found.policy.settings)
    assert counted is not None
    assert counted.left((HOT, COOL, COOL)) == pytest.approx(left)


def test_what_the_bench_was_given_and_what_waits_for_it_stands_in_order(tmp_path: Path) -> None:
    campaign = Informed(plan(tmp_path, "money"), runs=3)
    waiting = campaign.proposal(Suggestion(dict(HOT), "x"), 4, status=ProposalStatus.PROPOSED, replicates=2)
    refused = campaign.proposal(Suggestion(dict(COOL), "x"), 5, status=ProposalStatus.REJECTED)
    history = History.of(campaign.changes((waiting, refused)))
    assert knowledge(history).carried == (*campaign.plan.sample[:3], HOT, HOT)


def test_a_proposal_and_its_page_say_what_cost_took_off_and_come_out_again(tmp_path: Path) -> None:
    campaign = Informed(plan(tmp_path, "money", budget='{ experiments = 40, money = "60 EUR" }'), runs=6)
    now = policy_of(campaign.plan)
    stored = json.loads(json.dumps(now.settings))
    assert stored["cost"] == "money"
    again, known = policy_of(stored_plan(campaign.history.campaign), stored), knowledge(campaign.history)
    (one,), (other,) = (policy.propose(known, count=1, seed=3) for policy in (now, again))
    assert (one.configuration, one.acquisition, one.details[COST]) == (other.configuration, other.acquisition, other.details[COST])
    counted = cost_of(campaign.plan, campaign.plan.policy.settings)
    assert counted is not None
    assert one.details[COST]["share"] == counted.left(campaign.plan.sample[:6])
    page = campaign.page_of((campaign.proposal(one, 7),))
    shown, unit = {**page["proposals"][0]["cost"]}, one.details[COST]["unit"]
    assert shown.pop("unit") == unit == "EUR"
    assert shown == pytest.approx({name: value for name, value in one.details[COST].items() if name != "unit"}, rel=1e-5)
    told = rf"Its cost, {one.details[COST]['amount']:.5g} EUR where [\d.]+ EUR is typical, counts [+-][\d.e-]+ in the acquisition \(log\)"
    assert re.search(told, markdown(page))


def test_a_cost_that_nothing_is_known_of_is_refused_by_check(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r'policy\.cost = "time": oven\.set_temperature of bench\.toml waits .* rate'):
        plan(tmp_path / "a", "time", rate=False)
    found = plan(tmp_path / "b", "money")
    bench = tmp_path / "b" / "bench.toml"
    priced = bench.read_text()
    bench.write_text(priced.replace('price = "0.60 EUR/mL"\n', ""))
    with pytest.raises(BadInput, match=r'policy\.cost = "money": stock se of bench\.toml has no price'):
        load_plan(found.file.path)
    bench.write_text(re.sub(r'price = "\S+ EUR/mL"', 'price = "0 EUR/mL"', priced))
    with pytest.raises(BadInput, match="no experiment costs anything"):
        load_plan(found.file.path)


def test_a_cost_belongs_to_a_bench(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(
        '[campaign]\nname = "c"\nbudget = 3\n[[parameters]]\nname = "x"\nkind = "continuous"\nmin = 0\nmax = 1\n'
        '[[targets]]\nname = "y"\ngoal = "maximise"\n[policy]\ncost = "money"\n'
    )
    with pytest.raises(BadInput, match=r'c\.toml: policy\.cost = "money" belongs to a campaign with a bench'):
        load_plan(file, free=True)


def report(cost: str | None, objective: Objective = cases.OBJECTIVE) -> ReportData:
    changes = cases.campaign()
    if cost is not None:
        counted = (one.evolve(provenance=one.provenance.evolve(settings={"cost": cost})) for one in changes.proposals)
        changes = replace(changes, proposals=tuple(counted))
    circumstances: Circumstances = cases.circumstances()
    return assemble(changes, cases.SPACE, objective, cases.no_readings, circumstances)


def test_a_report_draws_what_was_spent_where_cost_counted() -> None:
    assert spending(report(None)) is None
    data = report("time")
    found = spending(data)
    assert found is not None
    best, measured = found.figure.data
    hours = [(one.lab_seconds or 0.0) / 3600 for one in data.experiments]
    spent = {one.index: sum(hours[: place + 1]) for place, one in enumerate(data.experiments)}
    assert list(best.x) == pytest.approx([spent[index] for index, _ in data.best_so_far])
    assert list(measured.x) == pytest.approx([spent[one.index] for one in data.scored])
    assert found.figure.layout.xaxis.title.text == "lab time used (h)"


def test_a_front_is_drawn_over_what_was_spent_too() -> None:
    data = report("time", Objective(targets=cases.OBJECTIVE.targets, kind="pareto"))
    found = spending(data)
    assert found is not None
    best, measured = found.figure.data
    assert list(measured.y) == list(best.y) == [height for _, height in data.best_so_far]
    assert found.figure.layout.yaxis.title.text == "hypervolume"
    assert "What lab time brought" in render_report(data)


def test_nothing_is_drawn_over_what_was_spent_where_nothing_is_best() -> None:
    assert spending(report("time", Objective(targets=cases.OBJECTIVE.targets, kind="explore"))) is None


def test_what_keeps_no_limit_is_hollow_over_what_was_spent() -> None:
    limited = cases.OBJECTIVE.evolve(outcomes=(Outcome(name="fwhm", unit="nm", max=33),))
    data = report("time", limited)
    found = spending(data)
    assert found is not None
    _, kept, violating = found.figure.data
    assert len(kept.x) == sum(one.may_be_best for one in data.scored)
    assert len(violating.x) == sum(not one.may_be_best for one in data.scored)
