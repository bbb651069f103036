"""Interval bounds contain every value and nothing is claimed where a divisor may vanish."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.expressions import Expression
from orchestrator.intervals import Interval

numbers = st.floats(-50, 50, allow_nan=False)


def between(low: float, high: float, share: float) -> float:
    return min(high, max(low, low + share * (high - low)))


@given(numbers, numbers, numbers, numbers, st.floats(0, 1), st.floats(0, 1), st.sampled_from(["+", "-", "*", "/"]))
def test_the_bounds_contain_every_value(a: float, b: float, c: float, d: float, s: float, t: float, sign: str) -> None:
    left, right = Interval(min(a, b), max(a, b)), Interval(min(c, d), max(c, d))
    x, y = between(left.low, left.high, s), between(right.low, right.high, t)
    if sign == "/" and y == 0:
        return
    bounds = {"+": left + right, "-": left - right, "*": left * right, "/": left / right}[sign]
    value = {"+": x + y, "-": x - y, "*": x * y, "/": x / y if y else 0.0}[sign]
    slack = 1e-9 * max(1.0, abs(value))
    assert bounds.low - slack <= value <= bounds.high + slack


def test_ends_at_infinity_and_tiny_divisors_give_bounds_and_not_nan() -> None:
    assert Interval(0.0, 0.0) / Interval(5e-324, 5e-324) == Interval(0.0, 0.0)
    assert Interval(0.0, 1.0) * (Interval(1.0, 1.0) / Interval(-1.0, 1.0)) == Interval(-math.inf, math.inf)
    assert Interval(0.0, 0.0) * Interval(-math.inf, math.inf) == Interval(0.0, 0.0)


@given(numbers, numbers, st.floats(0, 1), st.integers(-4, 4))
def test_powers_are_contained_too(a: float, b: float, s: float, exponent: int) -> None:
    base = Interval(min(a, b), max(a, b))
    x = between(base.low, base.high, s)
    if exponent < 0 and abs(x) < 1e-6:
        return
    value, bounds = x**exponent, base**exponent
    slack = 1e-9 * max(1.0, abs(value))
    assert bounds.low - slack <= value <= bounds.high + slack


def test_a_divisor_that_may_vanish_gives_no_bound() -> None:
    assert Interval(1, 2) / Interval(-1, 1) == Interval(-math.inf, math.inf)
    assert Interval(-1, 1) ** 0.5 == Interval(-math.inf, math.inf)


def test_an_expression_is_bounded_over_a_box_in_its_own_units() -> None:
    flow = Expression("V/tau * c / stock")
    units = {"V": "mL", "tau": "s", "c": "mmol/L", "stock": "mol/L"}
    box = {"V": Interval(2, 2), "tau": Interval(20, 60), "c": Interval(6, 12), "stock": Interval(0.06, 0.06)}
    found = flow.evaluate(box, units, "mL/min")
    assert (found.low, found.high) == pytest.approx((2 / 60 * 60 * 0.1, 2 / 20 * 60 * 0.2))


def test_offsets_of_temperatures_are_kept() -> None:
    found = Expression("T").evaluate({"T": Interval(20, 30)}, {"T": "degC"}, "kelvin")
    assert (found.low, found.high) == pytest.approx((293.15, 303.15))
