"""The decision page of a campaign that has measured something: the objective, the chance to beat the best, units, time."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.plans.lab_time import lab_time
from flows.plans.plan import load_plan
from flows.plans.policy import policy_of
from flows.review.page import SCHEMA, PageMaker
from flows.review.rendering import html, markdown
from orchestrator.domain.environment import EnvironmentChannel, Sample, over_run
from orchestrator.domain.values import canonical
from orchestrator.history import best, knowledge
from orchestrator.suggestions import FEASIBLE, Suggestion
from tests.crash.campaigns import quick_campaign
from tests.reviewing.informed import LAB_SECONDS, Informed

pytestmark = pytest.mark.slow

MODEL = 'kind = "bayesian"\nrestarts = 1\nraw_samples = 32\nmc_samples = 32'
UNTIL = 'timeout = "60 min" }'


def informed(folder: Path, *, runs: int = 12, rate: str = "", single: bool = False) -> Informed:
    file = quick_campaign(folder, budget=40)
    text = file.read_text().replace('kind = "sobol"', MODEL).replace('mode = "never"', 'mode = "always"')
    if single:
        text = (
            text[: text.index("[[targets]]")]
            + '[[targets]]\nname = "fwhm"\nunit = "nm"\ngoal = "minimise"\n\n'
            + text[text.index("[policy]") :]
        )
    file.write_text(text)
    bench = folder / "bench.toml"
    bench.write_text(bench.read_text().replace(UNTIL, f'timeout = "60 min"{rate} }}'))
    return Informed(load_plan(file), runs)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Informed:
    return informed(tmp_path_factory.mktemp("informed") / "lab")


@pytest.fixture(scope="module")
def page(campaign: Informed) -> dict[str, Any]:
    return campaign.page(2)


def test_what_was_recorded_of_the_laboratory_stands_with_the_runs_since_the_last_batch(campaign: Informed) -> None:
    following = campaign.proposal(Suggestion(dict(campaign.plan.sample[0]), "sobol/1"), 13)
    rh = over_run(
        EnvironmentChannel(name="rh", channel="logger.rh", unit="%", reference=40.0, every=30.0),
        [Sample(lab=0.0, value=43.0), Sample(lab=30.0, value=45.0)],
        0.0,
        60.0,
    )
    history = campaign.history
    runs = {key: run.evolve(environment=(rh,)) if key == "r-02" else run for key, run in history.runs.items()}
    lines = PageMaker(campaign.plan, policy_of(campaign.plan), "dry")._since(replace(history, runs=runs), [following])
    told = "; rh 44.0 ± 1.4 %, goals hold at 40 %; 2 readings, 100 % covered, at most 30 s old"
    assert [line for line in lines if "rh" in line] == [lines[1]]
    assert lines[1].endswith(told), lines[1]


def test_the_objective_and_the_chance_to_beat_the_best_are_those_of_the_policys_posterior(campaign: Informed, page: dict[str, Any]) -> None:
    found = best(campaign.history, campaign.plan.objective)
    assert found is not None
    assert page["best"]["objective"] == pytest.approx(found[1], rel=1e-5)
    for one in page["proposals"]:
        (outlook,) = policy_of(campaign.plan).outlook(knowledge(campaign.history), [one["configuration"]])
        assert one["objective"] == pytest.approx(
            {"mean": outlook.mean, "low": outlook.low, "high": outlook.high, "better": outlook.better}, rel=1e-4
        )
        assert 0 < one["objective"]["better"] < 1
        for each in one["explanation"]["alternatives"]:
            assert set(each["objective"]) == {"mean", "low", "high", "better"}
    text = markdown(page)
    assert (
        "| proposal | expected wavelength | expected fwhm | expected quantum_yield | expected objective | chance to beat the best |" in text
    )
    assert re.search(r"objective 0\.\d+ \(0?\.?\d+ to \d.*Chance to beat the best so far: [<>]? ?\d+ %\.", text)
    assert "share of joint draws" in text


def test_of_a_front_the_page_tells_the_chance_to_join_it_and_no_objective(tmp_path: Path) -> None:
    campaign = informed(tmp_path / "lab", runs=6)
    file = campaign.plan.file.path
    file.write_text(file.read_text().replace("[policy]", '[objective]\nkind = "pareto"\n\n[policy]', 1))
    found = Informed(load_plan(file), 6).page(1)
    assert list(found["proposals"][0]["objective"]) == ["joins"]
    assert "| chance to join the front |" in markdown(found)
    assert "objective" not in markdown(found)


def test_a_target_that_is_the_objective_itself_is_told_once_with_the_chance(tmp_path: Path) -> None:
    found = informed(tmp_path / "lab", runs=6, single=True).page(1)
    assert list(found["proposals"][0]["objective"]) == ["better"]
    text = markdown(found)
    assert "Best so far: proposal" in text
    assert "objective" not in text.partition("## Proposal")[0].replace("whose objective is better", "")
    assert "| proposal | expected fwhm | chance to beat the best |" in text


def test_the_chance_to_give_something_to_measure_is_told_with_the_reasons_that_stand_against_it(
    campaign: Informed, page: dict[str, Any]
) -> None:
    here, learned = campaign.plan.sample[20], {"probability": 0.63, "spared": {"the tube clogged": 0.9, "too wide": 0.7}}
    made = campaign.proposal(Suggestion(dict(here), "bayesian/1", details={FEASIBLE: learned}), 13)
    found = campaign.page_of((made,))
    assert found["proposals"][0]["feasible"] == learned
    told = "Chance to give something to measure: 63 %. Chances of what was met before: too wide 30 %, the tube clogged 10 %."
    assert told in markdown(found)
    assert "to give something to measure" not in markdown(page)


def test_what_a_person_wrote_is_told_its_chance_too(campaign: Informed) -> None:
    here = campaign.plan.sample[20]
    (predicted,) = policy_of(campaign.plan).predict(knowledge(campaign.history), [here])
    made = campaign.proposal(Suggestion(dict(here), "person", predicted=predicted), 13, author="Ada")
    (entry,) = campaign.page_of((made,))["proposals"]
    assert entry["explanation"] is None
    assert 0 <= entry["objective"]["better"] <= 1


def test_every_number_has_its_unit_and_every_interval_is_one_of_90_percent(page: dict[str, Any]) -> None:
    text = markdown(page, pictures=False)
    assert "±" not in text
    for line in text.splitlines():
        for name, unit in (("wavelength", "nm"), ("fwhm", "nm")):
            for shown in re.findall(rf"\b{name} (\d[\d.]*(?: \([^)]*\))?)(.{{3}})", line):
                assert shown[1] == f" {unit}", line
    for head in ("T / degC", "tau / s", "c_se / mol/L", "wavelength / nm", "mean wavelength / nm", "sd fwhm / nm", "acquisition / log"):
        assert f"| {head} " in text
    assert re.search(r"\| T \| [\d.]+ degC \| 235 to 240 degC \|", text)


def test_time_counts_heating_as_an_estimate_and_says_from_what(campaign: Informed, page: dict[str, Any], tmp_path: Path) -> None:
    first = page["proposals"][0]
    assert first["more_seconds"] == pytest.approx(LAB_SECONDS)
    total = round(first["lab_seconds"] / 60) + round(LAB_SECONDS / 60)
    assert f"about {total} min of lab time (estimate: " in markdown(page)
    assert "the median of the last 10 runs" in markdown(page)

    declared = informed(tmp_path / "rate", rate=', rate = "2 delta_degC/min"')
    proposals = declared.page(2)["proposals"]
    heats = [declared.plan.sample[11]["T"], *(one["configuration"]["T"] for one in proposals)]
    for one, before, here in zip(proposals, heats, heats[1:], strict=False):
        assert one["more_seconds"] == pytest.approx(max(0.0, abs(float(here) - float(before)) - 1.0) / 2.0 * 60.0, abs=0.1)
        assert one["more_from"] == "heating, at the rates that the bench file declares"

    fresh = informed(tmp_path / "fresh", runs=0)
    made = fresh.proposal(Suggestion(dict(fresh.plan.sample[0]), "sobol/1"), 1)
    unknown = fresh.page_of((made,))
    assert unknown["proposals"][0]["more_seconds"] is None
    assert "heating is not counted: no run has been completed yet; it may take 60 min before it fails" in markdown(unknown)


def test_time_that_runs_waited_for_people_is_no_heating(campaign: Informed, page: dict[str, Any]) -> None:
    night = 30_000.0
    waited = {
        key: run.evolve(ended_lab=run.ended_lab + night, with_people=[(run.started_lab, run.started_lab + night)])
        for key, run in campaign.history.runs.items()
        if run.started_lab is not None and run.ended_lab is not None
    }
    steps = campaign.history.newest()[0].steps
    assert campaign.plan.procedure is not None
    found = lab_time(campaign.plan.procedure, replace(campaign.history, runs=waited), steps, steps)
    assert found["more_seconds"] == pytest.approx(page["proposals"][0]["more_seconds"])


def test_a_discrete_parameter_is_shown_with_its_values_and_not_as_a_range(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    file = quick_campaign(folder, budget=4)
    old = 'kind = "continuous"\nunit = "s"\nmin = 20\nmax = 60'
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, 'kind = "discrete"\nunit = "s"\nvalues = [20, 30.25, "1 min"]'))
    campaign = Informed(load_plan(file), 0)
    made = campaign.proposal(Suggestion(dict(campaign.plan.sample[0]), "sobol/1"), 1)
    (described,) = [one for one in campaign.page_of((made,))["proposals"][0]["parameters"] if one["name"] == "tau"]
    assert described == {"name": "tau", "unit": "s", "legal": "one of 20, 30.25, 60"}
    assert "| one of 20, 30.25, 60 s |" in markdown(campaign.page_of((made,)))


def test_a_page_of_an_earlier_release_still_renders(page: dict[str, Any]) -> None:
    """Its documents are stored by their hash and never written anew: what this release adds is absent there."""
    assert SCHEMA == 1
    old: dict[str, Any] = {key: value for key, value in page.items() if key not in ("targets", "alone")}
    old["proposals"] = [
        {key: value for key, value in one.items() if key not in ("objective", "more_seconds", "more_from")} for one in page["proposals"]
    ]
    for one in old["proposals"]:
        alternatives = [
            {**each, "expected": {name: {"mean": told["mean"], "sd": told["sd"]} for name, told in each["expected"].items()}}
            for each in one["explanation"]["alternatives"]
        ]
        one["explanation"] = {
            **one["explanation"],
            "alternatives": [{k: v for k, v in each.items() if k != "objective"} for each in alternatives],
        }
    text = markdown(old)
    assert "chance" not in text
    assert "min of lab time for waits and holds" in text
    assert "expected wavelength" in text
    assert html(old).startswith("<!doctype html>")
    assert text.count("±") == 0, "the interval of an alternative follows from its standard deviation"
    assert canonical(page) == canonical({**page})


def test_a_page_tells_the_chance_to_keep_each_limit_and_all_of_them(tmp_path: Path) -> None:
    plain = informed(tmp_path / "lab")
    file = plain.plan.file.path
    limits = '[[outcomes]]\nname = "fwhm"\nmax = "0.033 um"\n\n[[outcomes]]\nname = "wavelength"\nmin = 585\n\n[policy]'
    file.write_text(file.read_text().replace("[policy]", limits, 1))
    limited = Informed(load_plan(file), 12)
    page = limited.page(1)
    (one,) = page["proposals"]
    (outlook,) = policy_of(limited.plan).outlook(knowledge(limited.history), [one["configuration"]])
    assert outlook.kept is not None
    assert one["objective"]["kept"]["probability"] == pytest.approx(outlook.kept.probability, rel=1e-4)
    assert set(one["objective"]["kept"]["limits"]) == {"fwhm", "wavelength"}
    text = markdown(page)
    assert "Limits on what comes out: fwhm at most 33 nm; wavelength at least 585 nm." in text
    assert re.search(r"Chance to keep the limits: (<|>)? ?\d+ % \(fwhm (<|>)? ?\d+ %, wavelength (<|>)? ?\d+ %\)\.", text)
    assert "A measurement that does not keep the limits beats nothing." in text
    assert "limits_on_outcomes" not in plain.page(1)
