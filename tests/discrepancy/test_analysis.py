"""The whole answer: what acted, how the scale was chosen, and what would settle what is open."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.twin.analysis import analyse, on_scale, supposed
from models.twin.model import Problem
from models.twin.terms import taken_up
from tests.discrepancy.making import normal, pairs


def test_the_answer_names_what_acted_with_its_direction_and_share() -> None:
    found = analyse(pairs(effect=2.0))
    first, *others = found.findings
    assert (first.factor, first.together, first.direction, first.settle) == ("humidity", ("humidity",), "rises", "")
    assert first.share is not None
    assert first.share.lower > 0.4
    assert [one.factor for one in others if one.named] == []
    assert found.ranking[0].name == "quench"
    assert {one.name for one in found.estimates} == {"rate", "offset of the oven", "quench"}


def test_what_cannot_be_told_apart_comes_with_what_would_settle_it() -> None:
    found = [one for one in analyse(pairs(effect=2.0, alike=0.99)).findings if one.named]
    assert {one.factor for one in found} == {"humidity", "room"}
    assert found[0].together == found[1].together
    assert "stays as it is (over these runs" in found[0].settle
    assert "correlate by 0.9" in found[0].settle


def test_errors_in_proportion_are_compared_as_logarithms() -> None:
    one = pairs(effect=0.0)
    mean = torch.exp(3 * one.conditions.controls[:, 0])
    y = mean * torch.exp(0.3 * normal(len(mean), seed=9))
    problem, gain = on_scale(replace(one, conditions=replace(one.conditions, mean=mean), observed=y))
    assert problem.scale == "multiplicative"
    assert gain > 5
    added = replace(one, conditions=replace(one.conditions, mean=3 + mean), observed=3 + mean + 0.5 * normal(len(mean), seed=9))
    assert on_scale(added)[0].scale == "additive"
    below = replace(one, observed=one.observed - 20)
    assert (on_scale(below)[0].scale, on_scale(below)[1]) == ("additive", 0.0)


def test_the_same_pairs_give_the_same_answer() -> None:
    one, two = (analyse(pairs(), seed=3) for _ in range(2))
    assert (one.findings, one.ranking, one.estimates, one.split) == (two.findings, two.ranking, two.estimates, two.split)


def test_the_example_of_the_page_finds_what_it_plants(capsys: pytest.CaptureFixture[str]) -> None:
    page = Path("docs/explanation/why-a-twin-was-wrong.md").read_text(encoding="utf-8")
    exec(page.split("```python\n")[1].split("```")[0], {})
    assert capsys.readouterr().out == "[('humidity', 'falls')]\nhumidity quenches\n"


def test_predictions_hold_all_groups_and_the_terms_with_strong_evidence() -> None:
    problem = Problem.of(pairs(effect=2.0), "additive")
    found = supposed(problem)
    assert [one.name for one in found.groups] == ["controls", "humidity", "room", "light", "lot"]
    assert found.coefficients == taken_up(problem).coefficients
