"""Limits on what comes out: how they are written, what keeps them, and who is the best then."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.domain.campaign import CampaignFile, parse_campaign
from orchestrator.domain.objective import Objective, Outcome, Target
from orchestrator.errors import BadInput

YIELD = Target(name="yield", unit="percent", goal="maximise")
WIDTH = Outcome(name="fwhm", unit="nm", max=45)
LIMITED = Objective(targets=(YIELD,), outcomes=(WIDTH, Outcome(name="yield", unit="percent", min=10)))

FILE = """
[campaign]
name = "one"
budget = 4
[[parameters]]
name = "x"
kind = "continuous"
min = 0
max = 1
[[targets]]
name = "yield"
unit = "percent"
goal = "maximise"
[[outcomes]]
"""


def read(outcome: str, more: str = "") -> CampaignFile:
    file = parse_campaign(f"{FILE}{outcome}\n{more}", Path("campaign.toml"), free=True)
    file.refuse_unhonoured()
    return file


def test_limits_with_units_are_converted() -> None:
    assert Outcome(name="fwhm", unit="nm", max="0.045 um").max == pytest.approx(45)
    assert Outcome(name="T", unit="degC", min="300 K").min == pytest.approx(26.85)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "fwhm"}, "outcome fwhm: expected min, max or both"),
        ({"name": "fwhm", "min": 3, "max": 2}, "outcome fwhm: min 3 must be below max 2"),
        ({"name": "fwhm", "max": 2, "probability": 1.0}, "less than 1"),
        ({"name": "fwhm", "unit": "nm", "max": "2 s"}, "outcome fwhm, max"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises((ValidationError, BadInput), match=message):
        Outcome.model_validate(fields)


def test_a_limit_on_a_target_is_in_its_unit_and_comes_when_it_comes() -> None:
    (limit,) = read('name = "yield"\nmin = "20 percent"').objective.outcomes
    assert (limit.unit, limit.min) == ("percent", 20)
    with pytest.raises(BadInput, match="outcome yield is a target too; unit, from and due stand there"):
        _ = read('name = "yield"\nunit = "1"\nmin = 0.2').objective


def test_what_only_a_limit_is_on_is_measured_beside_the_targets() -> None:
    assert LIMITED.names == ("yield", "fwhm")
    assert LIMITED.units == {"yield": "percent", "fwhm": "nm"}
    assert [place for place, _ in LIMITED.limited] == [1, 0]


@pytest.mark.parametrize(
    ("values", "kept", "score"),
    [
        ({"yield": 20.0, "fwhm": 45.0}, True, 20.0),
        ({"yield": 20.0, "fwhm": 45.1}, False, None),
        ({"yield": 9.0, "fwhm": 30.0}, False, None),
        ({"yield": 20.0}, False, None),
        ({"fwhm": 30.0}, False, None),
    ],
)
def test_a_run_may_be_the_best_where_its_values_keep_all_limits(values: dict[str, float], kept: bool, score: float | None) -> None:
    assert LIMITED.keeps(values) is kept
    assert LIMITED.score_kept(values) == score


def test_without_limits_every_complete_run_may_be_the_best() -> None:
    free = Objective(targets=(YIELD,))
    assert free.keeps({"yield": 3.0}) is None
    assert free.score_kept({"yield": 3.0}) == free.score_measured({"yield": 3.0}) == 3.0


def test_an_objective_without_limits_is_stored_as_it_was_before_there_were_any() -> None:
    assert list(Objective(targets=(YIELD,)).model_dump(mode="json")) == ["targets"]
    whole = Objective.model_validate(LIMITED.model_dump(mode="json"))
    assert whole == LIMITED


def test_limits_are_said_in_words() -> None:
    assert WIDTH.shown == "at most 45 nm"
    assert Outcome(name="ph", min=6).shown == "at least 6"
    assert Outcome(name="T", unit="degC", min=20, max=30).shown == "20 to 30 degC"


def test_a_recorded_table_answers_at_once() -> None:
    with pytest.raises(BadInput, match='outcome fwhm: from = "later" belongs to a bench; a recorded table answers at once'):
        read('name = "fwhm"\nunit = "nm"\nmax = 45\nfrom = "later"', '[recorded]\ntable = "lnp"')


def test_a_rule_may_ask_for_the_uncertainty_of_a_limited_quantity() -> None:
    rules = '[review]\nmode = "rules"\n[[review.when]]\nname = "wide"\nquantity = "sd.{0}"\nabove = 3'
    read('name = "fwhm"\nunit = "nm"\nmax = 45', rules.format("fwhm"))
    with pytest.raises(BadInput, match=r"sd\.width names no target; legal: sd\.yield, sd\.fwhm"):
        read('name = "fwhm"\nunit = "nm"\nmax = 45', rules.format("width"))


@pytest.mark.parametrize("kind", ["pareto", "explore", "level"])
def test_limits_are_refused_where_nothing_would_keep_them(kind: str) -> None:
    targets = [YIELD.evolve(low=0, high=100), Target(name="purity", unit="percent", goal="maximise", low=0, high=100)]
    wanted = {"targets": targets[: 1 if kind == "level" else 2], "kind": kind, "reference": {"yield": 50} if kind == "level" else {}}
    assert Objective.model_validate(wanted).outcomes == ()
    with pytest.raises(ValidationError, match=f'outcomes belong to kind = "utility"; got "{kind}"'):
        Objective.model_validate({**wanted, "outcomes": [WIDTH]})
