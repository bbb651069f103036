"""What stands on the page, and that nothing else is needed to show it."""

from dataclasses import replace

import plotly.graph_objects as go
import pytest

from flows.report.data import ReportData, assemble
from flows.report.figures import finish, on_top
from flows.report.page import SECTIONS, render_report
from orchestrator.domain.lifecycle import CampaignStatus, ProposalStatus, RunStatus
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import CategoricalParameter, ContinuousParameter
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.stop import Advice
from orchestrator.ports import Changes
from tests.report import cases
from tests.report.document import Document, parse


@pytest.fixture(scope="module")
def full() -> Document:
    return parse(render_report(cases.full_report(simulated=True)))


def page(changes: Changes, objective: Objective = cases.OBJECTIVE) -> Document:
    return parse(render_report(assemble(changes, cases.SPACE, objective, cases.no_readings, cases.circumstances())))


def test_the_page_asks_the_network_for_nothing(full: Document) -> None:
    assert all(url.startswith(("#", "data:")) for url in full.urls)
    assert not any("src" in attributes for tag, attributes in full.tags if tag == "script")
    assert full.count("iframe") == full.count("img") == full.count("object") == 0


def test_the_page_forbids_the_browser_to_load_anything(full: Document) -> None:
    policies = [one["content"] for tag, one in full.tags if tag == "meta" and one.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1
    assert policies[0].startswith("default-src 'none'")


def test_plotly_is_in_the_page_once() -> None:
    assert render_report(cases.full_report()).count("plotly.js v") == 1


def test_a_dry_run_is_called_simulated_and_a_live_one_is_not(full: Document) -> None:
    assert "SIMULATED" in full.text
    live = render_report(cases.full_report())
    assert "SIMULATED" not in parse(live).text
    assert "(SIMULATED)" not in live


def test_the_campaigns_facts_are_stated(full: Document) -> None:
    for fact in (
        "cdse-600", "finished : budget spent: 24 experiments", "cdse-flow", "2026-03-02 08:30 UTC", "2026-03-02 09:12 UTC",
        f"event 417 {cases.HEAD[1]}", "match 600 ± 5 nm, weight 2", "24 of 24", "prior cdse-2026-02, from simulated tasks",
    ):  # fmt: skip
        assert fact in full.text


def test_every_section_has_its_plots(full: Document) -> None:
    assert full.plots == [
        "plot-best", "plot-targets", "plot-slice-0", "plot-slice-1", "plot-slice-2", "plot-slice-3", "plot-calibration",
        "plot-spectra", "plot-durations",
    ]  # fmt: skip
    anchors = [attributes["id"] for tag, attributes in full.tags if tag == "section"]
    assert anchors == [one for one in SECTIONS if one not in ("stopping", "imported", "values")]  # which most campaigns have nothing for


def test_what_was_said_of_further_experiments_has_a_line_each() -> None:
    said = tuple(Advice(improvement=0.02, chance=0.3 / n, expected=0.05 / n, low=0, high=0.1 / n, measured=n) for n in (4, 10))
    shown = parse(render_report(replace(cases.full_report(), advices=said)))
    assert SECTIONS["stopping"] in shown.text
    for text in (
        "improves by more than expected remaining improvement 80 % interval 4 7.5 % 0.02",
        "0.013",
        "0 to 0.025",
        "3 %",
        "0.005",
        "0 to 0.01",
    ):
        assert text in shown.text


def test_the_coverage_of_each_target_is_told_in_words(full: Document) -> None:
    pairs = cases.full_report().comparisons("wavelength")
    inside = sum(pair.inside for pair in pairs)
    assert len(pairs) == 21
    assert f"wavelength (nm) {inside} of 21 inside = {100 * inside / 21:.0f} %" in full.text


def test_the_four_layers_of_a_run_stand_side_by_side(full: Document) -> None:
    assert "proposed approved commanded measured" in full.text
    assert "T (°C) 249.8 244 – 244.2" in full.text
    assert "oven.set_temperature.temperature (°C) 234.7 234.7 234.7 –" in full.text


def test_every_attempt_is_listed_with_key_reason_and_evidence(full: Document) -> None:
    assert "1 0195-0009-0 superseded not executed boot_id: unchanged" in full.text
    assert "2 0195-0009-1 completed" in full.text


def test_what_went_wrong_is_told_with_reasons(full: Document) -> None:
    for line in (
        "0195-0006-1 infeasible no particles formed",
        "0195-0011-1 failed pump_se answered 'S' (stalled) to dose 4.2 mL",
        "experiment 14, quantum_yield = 0.6735 quarantined reference drifted by 6 %",
        "proposal 25, revision 1 rejected by person Ada too close to boiling",
    ):
        assert line in full.text


def test_the_time_is_shared_out_between_bench_model_and_the_rest(full: Document) -> None:
    assert "bench busy 28 min 18 s 67.4 %" in full.text
    assert "computing proposals 1 min 52 s" in full.text
    assert "other: review, pauses, bookkeeping" in full.text


def test_a_campaign_without_experiments_says_so_and_draws_nothing() -> None:
    document = page(Changes(3, cases.record(status=CampaignStatus.RUNNING, reason=None)))
    assert document.plots == []
    assert "No experiment has been begun yet." in document.text
    assert "0 of 24" in document.text


def test_a_campaign_with_open_runs_alone_is_drawn() -> None:
    queued = cases.run(1, RunStatus.QUEUED, started_lab=None, ended_lab=None, measured={}, commanded={}, position=None)
    document = page(Changes(3, cases.record(), (cases.proposal(1),), (queued,)))
    assert document.plots == ["plot-best"]
    assert "No experiment has a value of every target yet." in document.text


def test_a_campaign_of_failures_alone_marks_them_and_gives_reasons() -> None:
    runs = (cases.run(1, RunStatus.FAILED), cases.run(2, RunStatus.INFEASIBLE), cases.run(3, RunStatus.UNKNOWN, reason=None))
    document = page(Changes(3, cases.record(), tuple(cases.proposal(number) for number in (1, 2, 3)), runs))
    assert document.plots == ["plot-best", "plot-durations"]
    assert "no reason recorded" in document.text
    assert "No target has been measured yet." in document.text


def test_a_missing_target_leaves_a_gap_and_no_objective() -> None:
    measured = [one for number in (1, 2) for one in cases.measurements(number) if one.target != "fwhm"]
    changes = Changes(3, cases.record(), (cases.proposal(1), cases.proposal(2)), (cases.run(1), cases.run(2)), tuple(measured))
    document = page(changes)
    assert "plot-targets" in document.plots
    assert "plot-slice-0" not in document.plots
    assert "plot-slice-1" in document.plots
    assert "No experiment has a value of every target yet." in document.text


def test_a_single_target_to_minimise_is_shown_as_itself_and_not_as_a_negative_score() -> None:
    document = parse(render_report(cases.alloys()))
    assert "best overpotential (mV), experiment 5" in document.text
    assert "278 best overpotential" in document.text
    assert "-278" not in document.text
    assert document.plots == ["plot-best", "plot-targets", "plot-slice-0", "plot-durations"]


def test_compositions_and_discrete_parameters_have_a_column_each() -> None:
    assert "alloy.Ni alloy.Fe alloy.Co loading (mg) overpotential (mV)" in parse(render_report(cases.alloys())).text


def test_a_target_that_has_not_varied_is_said_to_be_constant() -> None:
    proposals, runs = [cases.proposal(number) for number in (1, 2)], [cases.run(number) for number in (1, 2)]
    measured = [one.evolve(value=540.0) for number in (1, 2) for one in cases.measurements(number)]
    document = page(Changes(1, cases.record(), tuple(proposals), tuple(runs), tuple(measured)))
    assert f"{cases.OBJECTIVE.targets[0].name} is constant: 2 values of 540" in document.text


def test_a_single_scaled_target_has_an_objective_beside_it() -> None:
    objective = Objective(targets=(Target(name="wavelength", unit="nm", goal="match", value=600, tolerance=5),))
    measured = tuple(one for one in cases.measurements(1) if one.target == "wavelength")
    document = page(Changes(1, cases.record(), (cases.proposal(1),), (cases.run(1),), measured), objective)
    assert "plot-slice-1" in document.plots
    assert "outside tolerance" in document.text


def nasty() -> ReportData:
    """A campaign in which everything that people name or write is an attempt to break the page."""
    text = cases.NASTY
    space = SearchSpace(
        parameters=(
            ContinuousParameter(name="T", unit="degC", min=200, max=280),
            CategoricalParameter(name="ligand", categories=(text, "TOPO")),
        )
    )
    values = {"T": 240.0, "ligand": text}
    proposals = (
        cases.proposal(1, configuration=values, steps=(), decided_by=text, reason=text),
        cases.proposal(2, configuration=values, steps=(), status=ProposalStatus.REJECTED, decided_by=text, reason=text),
        cases.proposal(3, configuration=values, steps=()),
    )
    runs = (
        cases.run(1, reason=text, position=text, measured=values, commanded={text: text}, evidence={text: text}),
        cases.run(3, RunStatus.FAILED, run_key=text, run_id=text, reason=text, measured=values),
    )
    changes = Changes(1, cases.record(name=text, reason=text), proposals, runs, cases.measurements(1, reason=text))
    context = cases.circumstances(bench=text, notes={text: text}, head=(1, text))
    curve = (cases.reading("wavelength", (1.0, 2.0), text), cases.reading("sample", (1.0, 2.0), text))
    return assemble(changes, space, cases.OBJECTIVE, lambda _: curve, context)


def test_names_and_reasons_cannot_inject_anything() -> None:
    html = render_report(nasty())
    document, plain = parse(html), parse(render_report(replace(nasty(), spectra=())))
    assert document.count("img") == 0
    assert document.count("b") == sum(attributes.get("class") == "card" for _, attributes in document.tags)
    assert document.count("script") == plain.count("script") + 1
    assert all(url.startswith(("#", "data:")) for url in document.urls)
    assert "'bold'" in document.text
    assert "<script>window.broken" not in html
    assert not any(name.startswith("on") for _, attributes in document.tags for name in attributes)


def test_of_many_points_on_one_spot_the_latest_is_drawn_and_a_few_are_drawn_all() -> None:
    many = [(number % 10, 0.5, number) for number in range(1000)]
    assert [number for _, _, number in on_top(many, width=100, height=100)] == list(range(990, 1000))
    assert on_top(many[:20], width=100, height=100) == many[:20]
    assert len(on_top([(str(x), y, number) for x, y, number in many], width=100, height=100)) == 10, "names are spots of their own"


def test_the_page_says_how_many_points_are_not_drawn() -> None:
    figure = finish(go.Figure(), height=100, left_out=7)
    assert figure.layout.meta == "7 points lie within 4 pixels of a later one and are not drawn."
    assert finish(go.Figure(), height=100).layout.meta is None
