"""The campaign at a glance: right with nothing, with much, and with names that could break a table."""

from dataclasses import replace
from pathlib import Path

from flows.report.overview import Links, overview_markdown
from orchestrator.domain.lifecycle import CampaignStatus
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.records import CampaignRecord
from orchestrator.domain.review import ReviewRun
from orchestrator.history import History, best
from orchestrator.ports import Changes
from tests.report import cases
from tests.store.cases import proposal, request_for

OBJECTIVE = Objective(targets=(Target(name="yield", unit="mg", goal="maximise", low=0.0, high=10.0),))
LINKS = Links(Path("/lab/reports/c.html"), "/runs/flow-run/1")


def test_a_campaign_without_experiments_says_so() -> None:
    page = overview_markdown(History(CampaignRecord(name="c")), OBJECTIVE, 24, LINKS)
    assert page.startswith("# c: draft\n")
    assert "0 of 24, 24 left" in page
    assert "No experiment has a complete measurement yet." in page
    assert "[this flow run](/runs/flow-run/1)" in page


def test_a_reason_with_bars_and_line_breaks_stays_in_its_place() -> None:
    record = CampaignRecord(name="c", status=CampaignStatus.PAUSED, reason="pump | oven\n# stopped")
    first = overview_markdown(History(record), OBJECTIVE, 24, LINKS).splitlines()[0]
    assert first == "# c: paused (pump \\| oven # stopped)"


def test_a_campaign_in_full_swing_names_its_best_experiment_in_every_target() -> None:
    history = History.of(cases.campaign())
    found = best(history, cases.OBJECTIVE)
    assert found is not None
    page = overview_markdown(history, cases.OBJECTIVE, 24, LINKS)
    number = [run.run_key for run in history.attempts()].index(found[0].run_key) + 1
    assert f"## Best so far: experiment {number}, proposal " in page
    assert f"| objective | {found[1]:.5g} |" in page
    for target in cases.OBJECTIVE.targets:
        assert f"| {target.name}" in page
    assert not {"nan", "inf"} & set(page.split())
    assert len(page.encode()) < 100_000


def test_a_target_that_is_itself_the_objective_is_shown_once() -> None:
    least = Objective(targets=(Target(name="fwhm", unit="nm", goal="minimise"),))
    page = overview_markdown(History.of(cases.campaign()), least, 24, LINKS)
    assert "| fwhm (nm) |" in page
    assert "| objective |" not in page


def test_a_target_that_has_not_varied_is_named() -> None:
    history = History.of(cases.campaign())
    assert "constant" not in overview_markdown(history, cases.OBJECTIVE, 24, LINKS)
    same = replace(cases.campaign(), measurements=tuple(one.evolve(value=540.0) for one in cases.campaign().measurements))
    page = overview_markdown(History.of(same), cases.OBJECTIVE, 24, LINKS)
    assert f"{cases.OBJECTIVE.targets[0].name} is constant: " in page


def test_an_open_question_leads_to_the_run_in_which_it_is_put() -> None:
    asked = proposal()
    request, _ = request_for(asked, runs=(ReviewRun(flow_run_id="f7", key="k"),))
    record = CampaignRecord(name=asked.campaign, status=CampaignStatus.RUNNING)
    page = overview_markdown(History.of(Changes(2, record, (asked,), requests=(request,))), OBJECTIVE, 24, LINKS)
    assert "[request 1: 1 proposal](/runs/flow-run/f7)" in page
