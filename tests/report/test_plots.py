"""Pictures and rows that Prefect's pages can show."""

import json
from base64 import b64decode
from dataclasses import replace
from math import isfinite
from xml.etree import ElementTree

import pytest

from flows.report.experiments import CampaignProgress, Experiment
from flows.report.svg import best_so_far_svg, markdown_image, progress_markdown, proposal_rows, targets_svg, ticks
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.domain.objective import Objective, Target
from orchestrator.history import History
from orchestrator.ports import Changes
from tests.report import cases

SVG = "{http://www.w3.org/2000/svg}"
LIMIT = 100_000


def full() -> CampaignProgress:
    return cases.full_report()


def many(count: int, targets: int = 4) -> CampaignProgress:
    """A long campaign of several targets."""
    objective = Objective(targets=tuple(Target(name=f"t{n}", goal="maximise", low=0, high=1) for n in range(targets)))
    first = cases.full_report().experiments[0]
    failed = (first.run.evolve(status=RunStatus.FAILED),)
    result = first.results["fwhm"]
    experiments = [
        Experiment(
            index,
            failed if index % 3 == 0 else first.attempts,
            first.proposed,
            first.approved,
            first.columns,
            {name: replace(result, value=index / count) for name in objective.names},
            index / count,
        )
        for index in range(1, count + 1)
    ]
    return CampaignProgress(objective, tuple(experiments))


def texts(svg: str) -> list[str]:
    return [node.text or "" for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def circles(svg: str) -> list[tuple[float, float]]:
    return [(float(node.attrib["cx"]), float(node.attrib["cy"])) for node in ElementTree.fromstring(svg).iter(f"{SVG}circle")]


def test_the_best_so_far_has_a_point_per_result_and_marks_for_the_others() -> None:
    svg = best_so_far_svg(full())
    assert len(circles(svg)) == 21
    assert svg.count("l8 8m0 -8l-8 8") == 2, "one infeasible, one failed"
    assert "objective: best so far" in texts(svg)


def test_higher_values_are_drawn_higher() -> None:
    data = full()
    heights = [height for _, height in circles(best_so_far_svg(data))]
    scores = [one.score or 0.0 for one in data.scored]
    assert min(range(21), key=heights.__getitem__) == max(range(21), key=scores.__getitem__)


def test_each_target_has_a_panel_and_a_match_has_its_band() -> None:
    svg = targets_svg(full())
    assert {"wavelength (nm)", "fwhm (nm)", "quantum_yield"} <= set(texts(svg))
    assert svg.count("fill-opacity") == 1


def test_a_target_to_minimise_alone_is_drawn_as_itself() -> None:
    assert "overpotential (mV): best so far" in texts(best_so_far_svg(cases.alloys()))
    assert not any(text.startswith("-") for text in texts(best_so_far_svg(cases.alloys())))


def test_a_campaign_without_results_is_an_empty_frame_that_says_so() -> None:
    empty = CampaignProgress(cases.OBJECTIVE, ())
    for svg in (best_so_far_svg(empty), targets_svg(empty)):
        assert circles(svg) == []
        assert any(text.endswith("(none yet)") for text in texts(svg))


def test_equal_values_are_drawn() -> None:
    data = full()
    one = data.experiments[0]
    same = tuple(replace(one, index=index, score=0.5) for index in (1, 2, 3))
    assert len({height for _, height in circles(best_so_far_svg(CampaignProgress(data.objective, same)))}) == 1


@pytest.mark.parametrize("count", [1, 2, 24, 5000])
def test_pictures_stay_small_inside_their_frame_and_without_network(count: int) -> None:
    for svg in (best_so_far_svg(many(count)), targets_svg(many(count))):
        assert len(markdown_image(svg, alt="picture")) < LIMIT
        assert all(72 <= x <= 690 for x, _ in circles(svg))
        assert "href" not in svg
        assert "nan" not in svg
        assert "inf" not in svg


def test_a_thinned_picture_says_how_many_points_it_shows() -> None:
    assert any("of 5000 points" in text for text in texts(best_so_far_svg(many(5000))))


def test_ticks_are_round_and_within_the_range() -> None:
    assert ticks(0.0, 1.0, count=5) == pytest.approx((0.0, 0.2, 0.4, 0.6, 0.8, 1.0))
    assert ticks(-13.0, 28.0, count=4) == (0.0, 20.0)


def test_a_markdown_image_carries_the_svg_and_its_alt_text_cannot_break_out() -> None:
    text = markdown_image("<svg/>", alt="a](http://x) <b>")
    assert text.count("](") == 1
    assert b64decode(text.partition("base64,")[2].rstrip(")")) == b"<svg/>"


def test_the_artifact_has_both_pictures() -> None:
    page = progress_markdown(History.of(cases.campaign()), cases.OBJECTIVE)
    assert page.count("](data:image/svg+xml;base64,") == 2


def test_rows_are_rounded_and_hold_nothing_that_a_page_cannot_show() -> None:
    rows = proposal_rows(History.of(cases.campaign()), cases.OBJECTIVE, units=cases.SPACE.units)
    assert [row["proposal"] for row in rows][2:5] == ["3 rev. 1", "4 rev. 2", "5 rev. 1"]
    assert rows[0]["c_se (mol/L)"] == 0.01118
    assert all(isfinite(value) for row in rows for value in row.values() if isinstance(value, float))
    json.dumps(rows, allow_nan=False)


def test_a_proposal_without_predictions_has_empty_cells() -> None:
    plain = cases.proposal(1, provenance=cases.proposal(1).provenance.evolve(predicted={}))
    (row,) = proposal_rows(History.of(Changes(1, cases.record(), (plain,))), cases.OBJECTIVE)
    assert row["predicted fwhm (nm)"] is None
    assert row["90 % interval fwhm"] is None


def test_a_value_that_is_not_finite_becomes_an_empty_cell() -> None:
    broken = cases.proposal(1).model_copy(update={"configuration": {"T": float("inf"), "tau": float("nan")}})
    (row,) = proposal_rows(History.of(Changes(1, cases.record(), (broken,))), cases.OBJECTIVE)
    assert (row["T"], row["tau"]) == (None, None)
