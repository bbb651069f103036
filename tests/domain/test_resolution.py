"""What a bench tells apart is a difference in a parameter's unit, stated in the campaign file or one part in a hundred."""

import re

import pytest
from pydantic import ValidationError

from orchestrator.domain.parameters import CompositionParameter, ContinuousParameter
from orchestrator.errors import BadInput
from orchestrator.units import parse_difference


@pytest.mark.parametrize(
    ("given", "unit", "expected"),
    [
        (0.5, "degC", 0.5),
        ("0.5", "degC", 0.5),
        ("0.5 degC", "degC", 0.5),
        ("0.5 K", "degC", 0.5),
        ("0.9 degF", "degC", 0.5),
        ("0.5 delta_degC", "degC", 0.5),
        ("0.5 degC", "K", 0.5),
        ("1 min", "s", 60.0),
        ("5 %", "", 0.05),
    ],
)
def test_a_difference_has_no_zero(given: object, unit: str, expected: float) -> None:
    assert parse_difference(given, unit, what="resolution") == pytest.approx(expected, rel=1e-9)


def test_without_a_word_one_part_in_a_hundred_of_the_range_is_told_apart() -> None:
    assert ContinuousParameter(name="T", unit="degC", min=200, max=280).resolved == pytest.approx(0.8)
    assert ContinuousParameter.model_validate({"name": "T", "unit": "degC", "min": 200, "max": 280, "resolution": "2 K"}).resolved == 2
    assert CompositionParameter(name="a", components=("Ni", "Fe")).resolved == 0.01
    assert CompositionParameter(name="a", components=("Ni", "Fe"), step=0.005).resolved == 0
    assert CompositionParameter(name="a", components=("Ni", "Fe"), step=0.005, resolution=0.02).resolved == 0.02


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("0 degC", "parameter T, resolution: '0 degC' is not above 0"),
        (-1, "parameter T, resolution: -1 is not above 0"),
        ("1 s", "parameter T, resolution: '1 s' has the wrong unit; expected one that converts to degC"),
        ("fine", "parameter T, resolution: 'fine' is not a quantity"),
        ("100 K", "parameter T, resolution: 100 degC is more than the range 200 to 280 degC"),
    ],
)
def test_a_resolution_that_is_none_is_refused_in_one_line(given: object, complaint: str) -> None:
    with pytest.raises((ValidationError, BadInput), match=re.escape(complaint)):
        ContinuousParameter.model_validate({"name": "T", "unit": "degC", "min": 200, "max": 280, "resolution": given})
