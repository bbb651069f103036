"""What may be set, and where in its range something stands."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

Value = int | float | str
MIDDLE: Final = 0.5
"""Where a setting is taken to stand that was not made yet, as a share of its range."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What may be set, or be said: the range of a number, or the texts that are legal."""

    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] = ()

    def share(self, value: Value) -> float:
        """Return where a value stands in the range, 0 to 1; without a range, its order of magnitude."""
        if isinstance(value, str):
            known = self.values.index(value) / max(1, len(self.values) - 1) if value in self.values else _uniform(value)
            return float(known)
        if self.low is None or self.high is None or self.low >= self.high or not math.isfinite(self.high - self.low):
            return math.copysign(math.log10(1.0 + abs(value)), value)
        return (value - self.low) / (self.high - self.low)

    def nearest(self, value: float) -> float:
        """Return the number in the range that lies nearest."""
        raised = value if self.low is None else max(value, self.low)
        return raised if self.high is None else min(raised, self.high)


def reach_of(column: Sequence[Value]) -> Setting:
    """Return how far values reach: the range of the numbers among them, or all texts."""
    numbers = [one for one in column if not isinstance(one, str)]
    return Setting(min(numbers), max(numbers)) if numbers else Setting(values=tuple(sorted(set(map(str, column)))))


def _uniform(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / float(1 << 48)
