"""A twin is a declared thing: what it says of itself is checked, and what it predicts is held against that."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.errors import BadInput
from simulators.chemistry.cdse import CdSeConditions, CdSeConstants, draw_task, simulate_one
from simulators.chemistry.family import COMPLETED
from simulators.twins.built_in import BUILT_IN
from simulators.twins.cdse import CDSE
from simulators.twins.declaration import Constant, Outcome, Situation, Surrounding, Twin, each


def constant(**changes: object) -> Constant:
    return Constant(**{"name": "k", "unit": "1/s", "value": 2.0, "sd": 0.1, **changes})  # type: ignore[arg-type]  # faulty on purpose


def twin(outcome: Outcome | Sequence[Outcome], **changes: object) -> Twin:
    many = (lambda _: outcome) if isinstance(outcome, list) else each(lambda _: outcome)  # type: ignore[arg-type, return-value]
    declared = {"name": "film", "version": "1", "controls": {"T": "degC"}, "outputs": {"y": "nm"}, "predict_many": many, **changes}
    return Twin(**declared)  # type: ignore[arg-type]  # faulty on purpose


ASKED = Situation({"T": 20.0}, {}, {})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"unit": "furlongs/parsnip"}, "constant k: unknown unit 'furlongs/parsnip'"),
        ({"prior": "flat"}, "constant k: prior = 'flat'; expected lognormal or normal"),
        ({"low": 3.0}, "constant k: value 2 1/s; expected 3 to inf"),
        ({"value": math.nan}, "constant k: value nan"),
        ({"value": -1.0}, "of a log-normal prior; expected a number above 0"),
        ({"sd": 0.0}, "constant k: sd = 0; expected a number above 0"),
        ({"sd": math.inf}, "constant k: sd = inf"),
    ],
)
def test_a_constant_that_says_nothing_usable_is_refused(changes: dict[str, object], told: str) -> None:
    with pytest.raises(BadInput) as refused:
        constant(**changes)
    assert told in str(refused.value)


def test_a_constant_moves_on_the_scale_of_its_prior_and_within_its_bounds() -> None:
    assert constant(sd=0.5).moved(1.0) == pytest.approx(2.0 * math.exp(0.5))
    assert constant(sd=0.5, prior="normal").moved(-1.0) == pytest.approx(1.5)
    assert constant(sd=0.5, high=2.2).moved(1.0) == 2.2
    assert constant().coordinate(2.0) == pytest.approx(math.log(2.0))
    assert constant(prior="normal").coordinate(2.0) == 2.0


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        ({}, "output 'y' is missing"),
        ({"y": 1.0, "z": 1.0}, "output 'z' is not declared"),
        ({"y": math.nan}, "y = nan; expected a finite number in nm, or a reason (at T 20 degC)"),
        ({"y": None}, "y = None; expected a finite number in nm"),
        ({"y": "thick"}, "y = 'thick'; expected a finite number in nm"),
        (3.0, "gave 3.0; expected a value for each output, or a reason"),
        ("", "empty reason"),
        ([], "0 outcomes of 1 situations"),
    ],
)
def test_what_a_twin_gives_is_held_against_what_it_declares(outcome: Outcome, told: str) -> None:
    with pytest.raises(BadInput) as refused:
        twin(outcome).predict([ASKED])
    assert told in str(refused.value)
    assert "twin film/1" in str(refused.value)


def test_a_name_has_one_meaning_in_a_twin() -> None:
    with pytest.raises(BadInput, match="'T' is declared twice"):
        twin({"y": 1.0}, environment=(Surrounding("T", "degC", 20.0),))
    with pytest.raises(BadInput, match="unknown unit"):
        twin({"y": 1.0}, outputs={"y": "parsnip"})


def test_a_reason_takes_the_place_of_values() -> None:
    assert twin("broken").predict([ASKED, ASKED]) == ("broken", "broken")


def test_the_twin_of_cdse_is_what_the_plant_runs() -> None:
    conditions = CdSeConditions(temperature=240.0, residence_time=60.0, selenium=0.010, ligand=1.0, cd_se_ratio=2.0)
    controls = {"temperature": 240.0, "residence_time": 60.0, "selenium": 0.010, "ligand": 1.0, "cd_se_ratio": 2.0}
    cold = {**controls, "temperature": 120.0}
    found, failed = CDSE.predict([Situation(one, CDSE.values, {}) for one in (controls, cold)])
    made = simulate_one(conditions, CdSeConstants())
    assert not isinstance(found, str)
    assert made.reason == COMPLETED
    assert (found["emission"], found["fwhm"], found["quantum_yield"]) == pytest.approx((made.emission_nm, made.fwhm_nm, made.quantum_yield))
    assert isinstance(failed, str)


def test_the_priors_of_cdse_are_the_spread_of_its_family() -> None:
    drawn = [draw_task(np.random.default_rng([11, index])) for index in range(2000)]
    for one in CDSE.constants:
        spread = float(np.std([math.log(getattr(task, one.name)) for task in drawn]))
        assert one.sd == pytest.approx(spread, rel=0.12), one.name


def test_every_twin_that_comes_with_athanor_predicts_something_at_its_centre() -> None:
    middle = {
        "cdse": {"temperature": 240.0, "residence_time": 60.0, "selenium": 0.010, "ligand": 1.0, "cd_se_ratio": 2.0},
        "mos2": {"temperature": 740.0, "flux": 1e-2, "sulfur": 50.0, "time": 600.0},
    }
    for label, one in BUILT_IN.items():
        assert label == one.label
        assert one.calibratable
        (found,) = one.predict([Situation(middle[one.name.partition("-")[0]], one.values, one.reference)])
        assert isinstance(found, dict)
        assert one.predict([]) == ()


def test_the_pages_own_twin_is_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "twins.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(compile(code, "twins.md", "exec", dont_inherit=True), names)
    film = names["FILM"]
    assert isinstance(film, Twin)
    warm, hot = (Situation({"temperature": degc, "speed": 400.0}, film.values, film.reference) for degc in (60.0, 90.0))
    found, failed = film.predict([warm, hot])
    assert found == pytest.approx({"thickness": 210.0})
    assert failed == "boiled"


def test_a_twin_that_fails_is_one_line() -> None:
    def fails(situation: Situation) -> Outcome:
        return {"y": 1.0 / (situation.controls["T"] - ASKED.controls["T"])}

    with pytest.raises(BadInput, match="twin film/1 failed at 1 situations: ZeroDivisionError: "):
        twin({"y": 1.0}, predict_many=each(fails)).predict([ASKED])


def test_what_is_set_is_not_predicted() -> None:
    with pytest.raises(BadInput, match="'T' is a control and an output"):
        twin({"y": 1.0}, outputs={"T": "degC"})
