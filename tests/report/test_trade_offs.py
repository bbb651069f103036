"""What people are told of a front, or of a response that is to be known: summary, overview, progress and report."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from flows.cli.progress import progress_table
from flows.report.data import ReportData, assemble
from flows.report.figures import targets
from flows.report.overview import Links, overview_markdown
from flows.report.page import render_report
from flows.report.quantities import axis_label
from flows.report.slices import quantities
from flows.report.svg import best_so_far_svg
from flows.report.tables import experiment_heads, experiment_rows
from flows.report.trade_offs import certainty, certainty_table, front_table, fronts
from flows.running.carry import progress_line
from orchestrator.attained import attained, attained_line, front_lines, front_of
from orchestrator.domain.front import covered_share
from orchestrator.domain.objective import Objective
from orchestrator.history import History
from orchestrator.ports import Changes
from orchestrator.suggestions import CERTAINTY
from orchestrator.summary import best_configuration
from tests.report import cases
from tests.report.document import parse

PARETO = Objective(targets=cases.OBJECTIVE.targets, kind="pareto", reference={"quantum_yield": 0.1})
TWO = Objective(targets=cases.OBJECTIVE.targets[1:], kind="pareto")
LEVEL = Objective(targets=cases.OBJECTIVE.targets[1:2], kind="level", reference={"fwhm": 40.0})
EXPLORE = Objective(targets=cases.OBJECTIVE.targets, kind="explore")


def learning(objective: Objective) -> Changes:
    """Return a campaign whose proposals say how well the response was known."""
    changes, proposals = cases.campaign(), []
    for one in changes.proposals:
        known = {"sd": dict.fromkeys(objective.names, 8.0 / one.number)}
        if objective.kind == "level":
            known["uncertain"] = {"fwhm": 0.5 / one.number}
        proposals.append(one.evolve(provenance=one.provenance.evolve(details={CERTAINTY: known})))
    return replace(changes, proposals=tuple(proposals))


def report(objective: Objective, changes: Changes | None = None) -> ReportData:
    return assemble(changes or cases.campaign(), cases.SPACE, objective, cases.no_readings, cases.circumstances())


def shown(history: History, objective: Objective) -> str:
    console = Console(file=StringIO(), width=200, record=True)
    console.print(progress_table(history, objective, 24))
    return console.export_text()


def test_the_front_is_told_with_its_hypervolume_wherever_a_campaign_is_shown() -> None:
    past = History.of(cases.campaign())
    front, share = front_of(past, PARETO), attained(past, PARETO)
    assert len(front) >= 2
    assert share is not None
    line = f"front of {len(front)}, hypervolume {share:.4f}"
    assert attained_line(past, PARETO) == line
    assert progress_line(past, PARETO, 24).endswith(f"experiments ended, {line}")
    assert line in shown(past, PARETO)
    assert line in overview_markdown(past, PARETO, 24, Links(report=Path("report.html")))
    summary = best_configuration(past, PARETO, cases.SPACE.units)
    assert summary is not None
    assert summary.splitlines() == [line, *(f"  {one}" for one in front_lines(past, PARETO, cases.SPACE.units))]


def test_the_hypervolume_of_a_report_never_falls_and_ends_at_what_all_cover() -> None:
    data = report(TWO)
    heights = [value for _, value in data.best_so_far]
    assert heights == sorted(heights)
    assert heights[-1] == pytest.approx(covered_share(TWO, (one.values for one in data.experiments)))
    assert "hypervolume: best so far" in best_so_far_svg(data)


def test_a_report_draws_every_pair_of_targets_and_lists_the_front() -> None:
    data = report(PARETO)
    figure = fronts(data)
    assert len([one for one in figure.data if one.name == "front"]) == 3
    assert {len(one.x) for one in figure.data if one.name == "front"} == {len(data.front)}
    heads, rows = front_table(data)
    assert [row[0] for row in rows] == [one.name for one in data.front]
    assert all(len(row) == len(heads) for row in rows)
    page = parse(render_report(data))
    assert "Front" in page.text
    assert "no other betters" in page.text
    assert "objective front, reference point quantum_yield 0.1" in page.text
    assert sum(row.is_best for row in experiment_rows(data)) == len(data.front)


def test_a_front_shows_no_objective_beside_its_targets() -> None:
    data = report(PARETO)
    assert "objective" not in [head for head, _ in experiment_heads(data)]
    assert [one.label for one in quantities(data)] == [axis_label(one.name, one.unit) for one in PARETO.targets]


def test_what_was_imported_counts_for_the_hypervolume_as_it_does_for_the_front() -> None:
    data = report(PARETO)
    leading = data.front[0]
    later = replace(data, experiments=tuple(one for one in data.experiments if one is not leading), imported=(leading,))
    assert later.best_so_far[-1][1] == pytest.approx(data.best_so_far[-1][1])
    share = parse(render_report(data)).text.partition(" hypervolume, front of")[0].split()[-1]
    assert parse(render_report(later)).text.partition(" hypervolume, front of")[0].split()[-1] == share


def test_the_overview_lists_a_front_with_units_and_without_what_is_absent() -> None:
    past = History.of(cases.campaign())
    links, units = Links(report=Path("report.html")), cases.SPACE.units
    some = next(iter(units))
    page = overview_markdown(past, PARETO, 24, links, units=units, present=lambda one: {key: one[key] for key in one if key != some})
    assert all(f"{some} " not in line for line in page.splitlines() if line.startswith("- "))
    other = next(name for name, unit in units.items() if unit and name != some)
    assert f"{units[other]}" in page.partition("## So far")[2]
    assert "no front yet" in overview_markdown(History(past.campaign), PARETO, 24, links)


@pytest.mark.parametrize("objective", [EXPLORE, LEVEL])
def test_a_report_of_a_response_says_how_well_it_is_known(objective: Objective) -> None:
    changes = learning(objective)
    data = report(objective, changes)
    page = parse(render_report(data))
    assert "What is known" in page.text
    assert ("border at fwhm 40 nm" if objective is LEVEL else "know wavelength, fwhm, quantum_yield everywhere") in page.text
    assert "No experiment has a value" not in page.text
    assert len(certainty(data).data) == len(objective.targets) + (objective.kind == "level")
    assert certainty_table(data)[0][0] == f"mean sd {objective.targets[0].name}"
    assert ("not known to 95 %" in page.text) is (objective is LEVEL)
    levels = [one.y0 for one in targets(data).layout.shapes or ()]
    assert levels == ([40.0] if objective is LEVEL else [])
    past = History.of(changes)
    assert attained(past, objective) is None
    assert "mean sd fwhm" in attained_line(past, objective)
    assert ("of the space uncertain" in attained_line(past, objective)) is (objective is LEVEL)
    assert attained_line(past, objective) in shown(past, objective)
    assert best_configuration(past, objective, {}) == attained_line(past, objective)


def test_before_there_is_a_model_a_report_of_a_response_is_empty() -> None:
    page = parse(render_report(report(EXPLORE)))
    assert "Nothing was proposed by a model yet." in page.text
    assert attained_line(History.of(cases.campaign()), EXPLORE) == "no model yet"
