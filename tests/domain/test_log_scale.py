"""On a log scale equal ratios count as equal differences, in all that a parameter says of itself."""

import math

import pytest
from pydantic import ValidationError

from orchestrator.domain.constraints import LinearConstraint
from orchestrator.domain.distance import alike, distance
from orchestrator.domain.parameters import ContinuousParameter, DiscreteParameter
from orchestrator.domain.region import Region
from orchestrator.domain.restriction import Allowed, Restriction
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import canonical
from orchestrator.errors import BadInput

DILUTE = ContinuousParameter(name="c", unit="mol/L", scale="log", min=1e-4, max=1)
DOSES = DiscreteParameter(name="d", unit="mL", scale="log", values=(1, 10, 1000))
SPACE = SearchSpace(parameters=(DILUTE,))


@pytest.mark.parametrize("parameter", [{"kind": "continuous", "min": 0, "max": 1}, {"kind": "discrete", "values": [-1, 2]}])
def test_a_log_scale_of_what_has_no_logarithm_is_refused_in_one_line(parameter: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=r'parameter c: scale = "log" needs numbers above 0; the least is (0|-1) mol/L'):
        SearchSpace.model_validate({"parameters": [{"name": "c", "unit": "mol/L", "scale": "log", **parameter}]})


def test_a_scale_that_nobody_gave_is_not_written() -> None:
    plain = ContinuousParameter(name="T", unit="degC", min=100, max=300)
    written = '{"kind":"continuous","max":300.0,"min":100.0,"name":"T","resolution":null,"unit":"degC"}'
    assert canonical(plain.model_dump(mode="json")) == written, "what was hashed before stays as it was"
    assert ContinuousParameter.model_validate_json(written) == plain
    assert DILUTE.model_dump()["scale"] == "log"
    assert ContinuousParameter.model_validate_json(DILUTE.model_dump_json()) == DILUTE


def test_what_is_legal_says_the_scale() -> None:
    assert (DILUTE.legal, DOSES.legal) == ("log scale: 0.0001 to 1 mol/L", "log scale: one of 1, 10, 1000 mL")
    assert DILUTE.complaint({"c": 2.0}) == "c = 2.0 is outside 0.0001 to 1 mol/L"
    assert all(DILUTE.complaint({"c": value}) for value in (0.0, -1.0, math.nan, math.inf, 0.9999e-4))
    assert not any(DILUTE.complaint({"c": value}) for value in (1e-4 * (1 - 1e-12), 1e-4, 1.0, 1.0 + 1e-12))
    assert DOSES.complaint({"d": 1.01}) == "d = 1.01 is none of 1, 10, 1000 mL"


def test_decades_are_equally_far_apart() -> None:
    assert distance(SPACE, {"c": 1e-4}, {"c": 1e-3}) == pytest.approx(0.25)
    assert distance(SPACE, {"c": 1e-1}, {"c": 1.0}) == pytest.approx(0.25)
    assert [one["d"] for one in DOSES.neighbours({"d": 10.0})] == [1.0, 1000.0]
    assert (DOSES.nearest(30.0), DOSES.nearest(200.0)) == (10.0, 1000.0)


def test_a_readback_that_has_no_logarithm_stands_a_whole_range_below() -> None:
    assert distance(SPACE, {"c": 1e-4}, {"c": 0.0}) == pytest.approx(1.0)
    assert distance(SPACE, {"c": 1e-4}, {"c": -0.001}) == pytest.approx(1.0)


def test_a_resolution_is_a_part_of_the_value() -> None:
    twice = DILUTE.evolve(resolution="5 %")
    assert twice.told_apart == "5 %"
    for low in (1e-4, 1e-2, 0.5):
        assert alike(SearchSpace(parameters=(twice,)), {"c": low}, {"c": 1.049 * low})
        assert not alike(SearchSpace(parameters=(twice,)), {"c": low}, {"c": 1.051 * low})
    assert DILUTE.told_apart == "9.65 %", "a hundredth of four decades"
    with pytest.raises(BadInput, match="parameter c, resolution: '1 mol/L' has the wrong unit"):
        DILUTE.evolve(resolution="1 mol/L")
    with pytest.raises(ValidationError, match=r"resolution: 1e\+06 % is more than the range 0.0001 to 1 mol/L"):
        DILUTE.evolve(resolution=1e4)


def restricted(low: float | None, high: float | None) -> Region:
    return Region(
        SPACE, (Restriction(restriction_id="r", campaign="c", number=1, author="Ada", columns={"c": Allowed(min=low, max=high)}),)
    )


def test_what_is_left_of_it_keeps_the_scale() -> None:
    assert restricted(1e-3, 1e-2).space.parameters == (DILUTE.evolve(min=1e-3, max=1e-2),)
    assert restricted(1e-3, 1e-3).space.parameters == (DiscreteParameter(name="c", unit="mol/L", scale="log", values=(1e-3,)),)
    with pytest.raises(BadInput, match=r"c = 0\.\.0.1 mol/L: expected 0.0001 to 1 mol/L"):
        restricted(0.0, 0.1).space  # noqa: B018 - computing it is what refuses
    region = restricted(1e-3, 1e-2)
    assert [region.admits({"c": value}) for value in (0.9e-3, 0.95e-3, 1.05e-2, 1.2e-2)] == [False, True, True, False]


def test_a_sum_that_is_to_be_one_number_cannot_bind_it_and_a_range_can() -> None:
    free = ContinuousParameter(name="x", min=0, max=1)
    with pytest.raises(ValidationError, match=r"constraint '1 c [+] 1 x: exactly 0.5': c is on a log scale, where a sum cannot be held"):
        SearchSpace(parameters=(DILUTE, free), constraints=(LinearConstraint(coefficients={"c": 1, "x": 1}, min=0.5, max=0.5),))
    SearchSpace(parameters=(DILUTE, free), constraints=(LinearConstraint(coefficients={"c": 1, "x": 1}, max=0.5),))
