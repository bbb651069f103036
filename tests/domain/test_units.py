"""Units are read strictly, and nothing but a clear refusal comes of what is none."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import BadInput
from orchestrator.numerals import number, split
from orchestrator.units import convert, parse, quantity, same_dimension, unit
from tests.strategies import UNITS


@pytest.mark.parametrize(
    ("raw", "unit_text", "expected"),
    [
        ("10 mL/min", "mL/min", 10.0),
        ("0.6 L/h", "mL/min", 10.0),
        ("300 K", "degC", 26.85),
        ("1 delta_degC", "delta_degC", 1.0),
        ("1.5", "mL", 1.5),
        (" 2e-3 L ", "mL", 2.0),
        ("5 %", "", 0.05),
        ("5\u00a0µL/min", "mL/min", 0.005),
        ("5 μL·min⁻¹", "mL/min", 0.005),
        ("200°C", "degC", 200.0),
        ("5 Å^2", "nm**2", 0.05),
        (7, "s", 7.0),
    ],
)
def test_text_with_a_unit_is_converted_to_the_declared_one(raw: object, unit_text: str, expected: float) -> None:
    assert parse(raw, unit_text, what="x") == pytest.approx(expected)


@pytest.mark.parametrize(
    "raw", [True, None, [1], {"value": 1}, "", "fast", "1,5 mL", "nan", "inf mL", "3e400 mL", "10 s", "1 mL x", math.nan]
)
def test_what_is_no_quantity_of_the_unit_is_refused_with_its_name(raw: object) -> None:
    with pytest.raises(BadInput, match="pump P1, flow"):
        parse(raw, "mL/min", what="pump P1, flow")


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("0,0123", "comma"), ("1.234,5", "comma"), ("1,234.5 mL/min", "comma"), ("1e5,5", "comma"), (",5", "comma"),
        ("1 000,5", "comma"), ("1 234", "groups"), ("1 100 mL/min", "groups"), ("2_20", "groups"), ("1'000", "groups"),
        ("1.234.567", "more than one point"), ("١٢", "other digits"), ("1\u202f234", "groups"), ("0x10", "number"), ("1e5.5", "number"),
        ("1e", "number"), ("--5", "number"), ("−5", "number"), ("infinity", "not finite"), ("1e999", "not finite"), ("1e-999", "zero"),
        ("1e308 L/s", "not finite"), (10**400, "not finite"), ("5 m,L/min", "wrong unit"), ("x" * 300_000, "number"),
    ],
)  # fmt: skip
def test_a_number_that_may_be_read_in_two_ways_is_refused_and_the_line_says_why(raw: object, why: str) -> None:
    with pytest.raises(BadInput, match=why) as caught:
        parse(raw, "mL/min", what="pump P1, flow")
    assert str(caught.value).startswith("pump P1, flow: ")
    assert "expected" in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("raw", "parts"), [("10 1/s", ("10", "1/s")), ("5%", ("5", "%")), ("1.5e-3 eV", ("1.5e-3", "eV")), ("2", ("2", ""))]
)
def test_a_text_is_parted_into_number_and_unit(raw: str, parts: tuple[str, str]) -> None:
    assert split(raw) == parts


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_that_python_writes_is_read_back(value: float) -> None:
    assert number(repr(value), what="x") == value


def test_a_temperature_difference_is_no_temperature() -> None:
    with pytest.raises(BadInput, match="wrong unit"):
        parse("10 delta_degC", "degC", what="T")


@settings(deadline=None)
@given(text=st.text(max_size=12) | st.text(alphabet="mLs/*()^0123456789 .-", max_size=12))
def test_any_text_is_a_unit_or_is_refused(text: str) -> None:
    try:
        unit(text)
    except BadInput as refusal:
        assert "unknown unit" in str(refusal)  # noqa: PT017 - either outcome is legal


@pytest.mark.parametrize(
    "text", ["parsec per banana", "mL/0", "(((", "3 mL", "{}", "mL;", "mL:min", "mL # or L", "mL\u200b", "mL\0", "mL'"]
)
def test_an_unknown_unit_is_named_with_examples_of_known_ones(text: str) -> None:
    with pytest.raises(BadInput, match=r"unknown unit .*expected one like 'degC'"):
        unit(text)


@settings(deadline=None)
@given(value=st.floats(-1e6, 1e6), pair=st.sampled_from([("degC", "K"), ("mL/min", "L/s"), ("s", "hour"), ("bar", "Pa")]))
def test_a_conversion_there_and_back_changes_nothing(value: float, pair: tuple[str, str]) -> None:
    assert convert(convert(value, *pair), *reversed(pair)) == pytest.approx(value, rel=1e-9, abs=1e-9)


@given(value=st.floats(allow_nan=False, allow_infinity=False), text=st.sampled_from(UNITS))
def test_a_number_in_its_own_unit_is_kept_bit_for_bit(value: float, text: str) -> None:
    assert convert(value, text, text) == value
    assert parse(value, text, what="x") == value


def test_units_of_other_dimensions_do_not_convert() -> None:
    with pytest.raises(BadInput, match="5 mL cannot be expressed in s"):
        convert(5.0, "mL", "s")
    assert same_dimension("mL/min", "L/s")
    assert not same_dimension("mL", "s")


def test_offset_units_may_be_bound_to_values() -> None:
    assert quantity(25.0, "degC").to("K").magnitude == pytest.approx(298.15)
