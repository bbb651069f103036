"""What a simulated laboratory that is only a function keeps of itself: a line an experiment, by which it knows the day.

The weather is an AR(1) process over days with a correlation of 0.8 from one day to the next, as in all simulated chemistries here.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

MEMORY: Final = 0.8
"""Correlation of the weather from one day to the next; our own choice."""


@dataclass(frozen=True, slots=True)
class Diary:
    """One laboratory's lines of JSON: the truth, which no campaign reads."""

    path: Path
    seed: int
    runs_per_day: int = 6

    @property
    def number(self) -> int:
        """Experiments that were noted so far."""
        return len(self.path.read_text(encoding="utf-8").splitlines()) if self.path.exists() else 0

    @property
    def generator(self) -> np.random.Generator:
        """Noise of the experiment in hand: of seed and number alone."""
        return np.random.default_rng([self.seed, self.number])

    def weather(self, stream: int) -> float:
        """Return how the day is, in standard deviations from the mean: one process for each stream."""
        return day_by_day(self.number // self.runs_per_day, np.random.default_rng([self.seed, 1_000_003, stream]))

    @property
    def humidity(self) -> float:
        """Relative humidity of the room (%): median 45, over days a standard deviation of 0.3 of its logarithm; our own choice."""
        return min(45.0 * math.exp(0.3 * self.weather(0)), 95.0)

    @property
    def room(self) -> float:
        """Temperature of the room (degC): 22, over days a standard deviation of 1.5; our own choice."""
        return 22.0 + 1.5 * self.weather(1)

    @property
    def protein(self) -> float:
        """Protein in the medium of cells (g/L): median 6, over days, as lots change, 0.35 of its logarithm; our own choice."""
        return 6.0 * math.exp(0.35 * self.weather(2))

    def note(self, **values: float | str) -> None:
        """Write what really happened in the experiment in hand, which ends with it."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"number": self.number, **values}) + "\n")


def day_by_day(day: int, generator: np.random.Generator) -> float:
    """Return a stationary AR(1) process of variance 1 at a day, counted from 0."""
    shocks = generator.standard_normal(day + 1)
    state = float(shocks[0])
    for shock in shocks[1:]:
        state = MEMORY * state + (1.0 - MEMORY**2) ** 0.5 * float(shock)
    return state
