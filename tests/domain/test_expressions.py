"""Expressions compute what people wrote, on floats, arrays and tensors, and allow nothing else."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import BadInput
from orchestrator.expressions import Expression, from_base, to_base

FLOW = Expression("V/tau * c_se / stocks.se.Se")
UNITS = {"V": "mL", "tau": "s", "c_se": "mmol/L", "stocks.se.Se": "mol/L"}
VALUES = {"V": 2.0, "tau": 60.0, "c_se": 50.0, "stocks.se.Se": 0.2}


def test_a_flow_is_computed_in_the_unit_asked_for() -> None:
    FLOW.check(UNITS, "mL/min")
    assert FLOW.evaluate(VALUES, UNITS, "mL/min") == pytest.approx(0.5)


def test_dotted_names_are_single_names() -> None:
    assert FLOW.names == {"V", "tau", "c_se", "stocks.se.Se"}


def test_arrays_are_computed_elementwise() -> None:
    values = {**VALUES, "tau": np.array([30.0, 60.0, 120.0])}
    assert FLOW.evaluate(values, UNITS, "mL/min") == pytest.approx([1.0, 0.5, 0.25])


def test_tensors_carry_their_gradients_through() -> None:
    tau = torch.tensor([60.0], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(FLOW.evaluate({**VALUES, "tau": tau}, UNITS, "mL/min").sum(), tau)
    assert gradient.item() == pytest.approx(-0.5 / 60)


def test_temperatures_are_computed_from_absolute_zero() -> None:
    ratio = Expression("T / T0")
    units = {"T": "degC", "T0": "K"}
    ratio.check(units, "")
    assert ratio.evaluate({"T": 26.85, "T0": 150.0}, units, "") == pytest.approx(2.0)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "open('x')",
        "a.b()",
        "a[0]",
        "[a]",
        "a < b",
        "a if b else c",
        "lambda: 1",
        "a and b",
        "not a",
        "~a",
        "a % b",
        "a // b",
        "a @ b",
        "(a := 1)",
        "f'{a}'",
        "'text'",
        "True",
        "None",
        "1j",
        "(a + b).real",
        "a ** b",
        "a ** 99",
        "9 ** 9 ** 9",
        "a ** (1 + 1)",
    ],
)
def test_what_is_not_plain_arithmetic_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        _ = Expression(text).names


@pytest.mark.parametrize("text", ["", "a +", "1 2", "a b", "a;b", "\x00", "a\nb"])
def test_what_does_not_parse_is_refused_by_its_text(text: str) -> None:
    with pytest.raises(BadInput, match="is not an expression"):
        Expression(text)


@given(text=st.text(max_size=20) | st.text(alphabet="ab.+-*/()12 e", max_size=20))
def test_any_text_is_an_expression_or_is_refused(text: str) -> None:
    try:
        Expression(text)
    except BadInput as refusal:
        assert str(refusal)  # noqa: PT017 - either outcome is legal


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match=r"unknown name 'stocks.se.Se'; known: V, c_se"):
        FLOW.check({"V": "mL", "c_se": "mmol/L"}, "mL/min")


def test_dimensions_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BadInput, match="V \\+ tau"):
        Expression("V + tau").check(UNITS, "mL")
    with pytest.raises(BadInput, match="expected a quantity in mL"):
        FLOW.check(UNITS, "mL")


def test_division_by_zero_names_the_values() -> None:
    with pytest.raises(BadInput, match=r"has no value at tau = 0.0"):
        Expression("1 / tau").evaluate({"tau": 0.0}, {"tau": "s"}, "1/s")


def test_a_root_of_a_negative_number_has_no_value() -> None:
    with pytest.raises(BadInput, match=r"'x \*\* 0.5' has no value at x = -4.0"):
        Expression("x ** 0.5").evaluate({"x": -4.0}, {"x": ""}, "")


def test_too_large_a_power_has_no_value() -> None:
    with pytest.raises(BadInput, match="has no value"):
        Expression("x ** 8").evaluate({"x": 1e100}, {"x": ""}, "")


numbers = st.floats(-100, 100).filter(lambda value: abs(value) > 1e-3)


@given(a=numbers, b=numbers, c=numbers)
def test_precedence_and_signs_are_those_of_arithmetic(a: float, b: float, c: float) -> None:
    values, units = {"a": a, "b": b, "c": c}, {"a": "", "b": "", "c": ""}
    computed = Expression("-a + b * c / 2 - (a - b) ** 2").evaluate(values, units, "")
    assert computed == pytest.approx(-a + b * c / 2 - (a - b) ** 2)


@given(value=st.floats(-1e6, 1e6), text=st.sampled_from(["degC", "mL/min", "s", "mol/L", "", "nm"]))
def test_base_units_and_back_is_the_same_value(value: float, text: str) -> None:
    assert from_base(to_base(value, text), text) == pytest.approx(value, rel=1e-9, abs=1e-6)


def test_equal_texts_are_equal_expressions() -> None:
    assert Expression("a + b") == Expression("a + b")
    assert math.isclose(Expression("a + b").evaluate({"a": 1, "b": 2}, {"a": "", "b": ""}, ""), 3)
