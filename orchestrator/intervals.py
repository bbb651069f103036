"""Interval arithmetic: bounds of an expression over a box, certain though not always tight.

An expression evaluated on intervals (`orchestrator.expressions` takes whatever carries arithmetic) gives an interval that
contains its value at every point of the box [Moore1966]. Where a quantity occurs more than once the bounds are too wide,
never too narrow, so that a limit they satisfy needs no check in a search.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """All numbers from `low` to `high`."""

    low: float
    high: float

    @staticmethod
    def _of(other: "Interval | float") -> "Interval":
        return other if isinstance(other, Interval) else Interval(float(other), float(other))

    def __add__(self, other: "Interval | float") -> "Interval":
        one = self._of(other)
        return Interval(self.low + one.low, self.high + one.high)

    def __neg__(self) -> "Interval":
        return Interval(-self.high, -self.low)

    def __pos__(self) -> "Interval":
        return self

    def __sub__(self, other: "Interval | float") -> "Interval":
        return self + -self._of(other)

    def __rsub__(self, other: float) -> "Interval":
        return self._of(other) - self

    def __mul__(self, other: "Interval | float") -> "Interval":
        one = self._of(other)
        corners = [left * right if left and right else 0.0 for left in (self.low, self.high) for right in (one.low, one.high)]
        return Interval(min(corners), max(corners))  # an infinite end is never reached: 0 times it is 0, as in IEEE 1788-2015

    def __truediv__(self, other: "Interval | float") -> "Interval":
        one = self._of(other)
        if one.low <= 0.0 <= one.high:
            return Interval(-math.inf, math.inf)
        corners = [left / right for left in (self.low, self.high) for right in (one.low, one.high)]
        return Interval(min(corners), max(corners))

    def __rtruediv__(self, other: float) -> "Interval":
        return self._of(other) / self

    def __pow__(self, exponent: float) -> "Interval":
        if exponent < 0:
            return 1.0 / self**-exponent
        if self.low < 0.0 and exponent != int(exponent):
            return Interval(-math.inf, math.inf)
        ends = [self.low**exponent, self.high**exponent]
        turns = self.low < 0.0 < self.high and exponent % 2 == 0
        return Interval(0.0 if turns else min(ends), max(ends))

    __radd__ = __add__
    __rmul__ = __mul__
