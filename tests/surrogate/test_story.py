"""The report's section on the prior: what it predicted, what a model without history would have, how far it was trusted."""

from dataclasses import replace

from flows.report.adaptations import Adaptation
from flows.report.page import render_report
from flows.report.prior import MOST_COMPARED, PriorStory, figures_of, label, prior_story, without_prior
from models.inputs.encoding import Encoding
from orchestrator.ports import Observation
from tests.report import cases

IDENTITY = {"name": "cdse-12", "sha256": "cd" * 32, "origin": "simulated"}


def known_at(seq: int) -> tuple[Observation, ...]:
    return tuple(Observation(cases.configuration(number), cases.truth(cases.configuration(number))) for number in range(1, seq))


def story(**changes: object) -> PriorStory:
    data = cases.full_report()
    found = prior_story(IDENTITY, (), data.experiments, cases.SPACE, cases.OBJECTIVE, known_at)
    assert found is not None
    return replace(found, **changes)  # type: ignore[arg-type]  # fields by name


def test_a_campaign_without_a_prior_has_no_story_and_the_page_says_so() -> None:
    data = cases.full_report()
    assert prior_story(None, (), data.experiments, cases.SPACE, cases.OBJECTIVE, known_at) is None
    assert "No prior took part" in render_report(data)


def test_both_predictions_stand_beside_the_same_result_and_the_first_has_no_counterpart() -> None:
    pairs = story().pairs["wavelength"]
    assert all(pair.with_prior.measured == pair.without.measured for pair in pairs)
    assert all(pair.with_prior.index == pair.without.index for pair in pairs)
    assert pairs[0].with_prior.index == 2
    assert any(pair.with_prior.predicted != pair.without.predicted for pair in pairs)


def test_a_model_without_history_knows_only_what_had_been_measured() -> None:
    experiment = cases.full_report().experiments[9]
    encoding = Encoding(cases.SPACE)
    early, late = (without_prior(experiment, encoding, cases.OBJECTIVE, known_at(seq)) for seq in (3, 20))
    true = cases.truth(cases.configuration(10))["wavelength"]
    assert abs(late["wavelength"].mean - true) < abs(early["wavelength"].mean - true)
    assert without_prior(experiment, encoding, cases.OBJECTIVE, ()) == {}


def test_values_of_a_person_are_compared_with_what_was_known_when_they_were_predicted() -> None:
    data, asked = cases.full_report(), list[int]()

    def asked_for(seq: int) -> tuple[Observation, ...]:
        asked.append(seq)
        return known_at(seq)

    tenth = data.experiments[9]
    later = tenth.approved.provenance.evolve(predicted_as_of=1000)
    edited = replace(tenth, approved=tenth.approved.evolve(provenance=later))
    prior_story(IDENTITY, (), [tenth, edited], cases.SPACE, cases.OBJECTIVE, asked_for)
    assert asked == [tenth.approved.provenance.as_of, 1000]


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


def test_long_campaigns_are_compared_at_evenly_spread_experiments() -> None:
    data = cases.full_report()
    many = data.experiments * 3
    found = prior_story(IDENTITY, (), many, cases.SPACE, cases.OBJECTIVE, lambda _seq: ())
    assert found is not None
    assert found.left_out == len([one for one in many if one.predicted and one.results]) - MOST_COMPARED
