"""The report's section on the prior: what it predicted, what its guard did, how far it was trusted."""

from dataclasses import replace
from typing import Any

from flows.report.adaptations import Adaptation
from flows.report.experiments import Experiment
from flows.report.page import render_report
from flows.report.prior import PriorStory, figures_of, label, prior_story
from orchestrator.suggestions import WITHOUT_PRIOR
from tests.report import cases

IDENTITY = {"name": "cdse-12", "sha256": "cd" * 32, "origin": "simulated"}
GUARD = {"wavelength": {"mean": 560.0, "sd": 30.0}, "fwhm": {"mean": 40.0, "sd": 9.0}}


def noted(one: Experiment, details: dict[str, Any]) -> Experiment:
    return replace(one, approved=one.approved.evolve(provenance=one.approved.provenance.evolve(details=details)))


def story(**changes: object) -> PriorStory:
    experiments = [noted(one, {WITHOUT_PRIOR: GUARD}) for one in cases.full_report().experiments]
    found = prior_story(IDENTITY, (), experiments, cases.OBJECTIVE)
    assert found is not None
    return replace(found, **changes)  # type: ignore[arg-type]  # fields by name


def test_a_campaign_without_a_prior_has_no_story_and_the_page_says_so() -> None:
    data = cases.full_report()
    assert prior_story(None, (), data.experiments, cases.OBJECTIVE) is None
    assert "No prior took part" in render_report(data)


def test_both_predictions_stand_beside_the_same_result() -> None:
    found = story()
    pairs = found.pairs["wavelength"]
    assert all(pair.with_prior.measured == pair.without.measured for pair in pairs)
    assert all(pair.with_prior.index == pair.without.index for pair in pairs)
    assert all(pair.without.predicted.mean == GUARD["wavelength"]["mean"] != pair.with_prior.predicted.mean for pair in pairs)
    assert "quantum_yield" not in found.pairs
    assert found.alone == 0


def test_a_ledger_that_does_not_hold_what_the_guard_expected_is_not_compared_and_the_page_says_so() -> None:
    data = cases.full_report()
    found = prior_story(IDENTITY, (), data.experiments, cases.OBJECTIVE)
    assert found is not None
    assert not found.pairs
    assert found.alone == 21
    assert "21 predicted experiments are not compared" in render_report(replace(data, prior=found))


def test_the_figures_are_those_of_a_normal_distribution() -> None:
    pairs = story().pairs["fwhm"]
    found = figures_of([pair.with_prior for pair in pairs])
    assert found["error"] > 0
    assert 0 <= found["inside"] <= 1
    # a deviation of zero with sd 1 has density 1/sqrt(2 pi)
    one = pairs[0].with_prior
    exact = replace(one, predicted=one.predicted.evolve(mean=one.measured.value, sd=1.0))
    assert abs(figures_of([exact])["log_density"] + 0.9189385) < 1e-6


def test_the_page_shows_trust_switches_and_both_models() -> None:
    adapted = (
        Adaptation(1, "aa", {"wavelength": 0.8, "fwhm": 0.7}, {}, {}, 0.1),
        Adaptation(2, "bb", {"wavelength": 0.3, "fwhm": 0.7}, {}, {"wavelength": ("history", "fresh")}, 0.1),
    )
    page = render_report(replace(cases.full_report(), prior=story(adapted=adapted)))
    for text in ("cdse-12", "cd" * 32, "wavelength: fresh leads instead of history", "without", "plot-trust", "plot-prior"):
        assert text in page


def test_a_prior_from_simulated_tasks_never_passes_for_measured_in_a_laboratory() -> None:
    assert "SIMULATED" in label(IDENTITY, simulated_lab=False)
    assert "not measured in a laboratory" in label(IDENTITY, simulated_lab=False)
    assert "SIMULATED" not in label({**IDENTITY, "origin": "measured"}, simulated_lab=False)
