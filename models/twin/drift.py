"""When a twin began to be wrong: two-sided CUSUM on standardised residuals [Page1954].

    C+ = max(0, C+ + z - k),   C- = max(0, C- - z - k),   alarm when either exceeds h

The allowance k is half the shift that is looked for. The decision limit h is computed from the rate of false alarms that is
declared: run lengths of one side come from a Markov chain over its states [Brook1972], those of both from 1/L = 1/L+ + 1/L-,
which is exact for this scheme. Residuals must be independent and standard normal while nothing drifts: `innovations` of
new runs, not those of the runs that a model was fitted to.

[Page1954]: E. S. Page, Biometrika 41, 100 (1954), 10.1093/biomet/41.1-2.100.
[Brook1972]: D. Brook, D. A. Evans, Biometrika 59, 539 (1972), 10.1093/biomet/59.3.539.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import torch
from jaxtyping import Float
from scipy.optimize import brentq
from torch import Tensor

from orchestrator.errors import BadInput

FALSE_ALARM_EVERY: Final = 500.0
"""Runs between false alarms, on average."""
ALLOWANCE: Final = 0.5
"""Standard deviations; half of the shift of one that is looked for."""
STATES: Final = 200
"""Of the chain; with 200 run lengths are those of 400 to 0.1 %."""
WIDER: Final = 1.3
"""Factor by which a decision limit is raised until it is high enough; much higher ones have run lengths beyond float numbers."""
_INTERVAL: Final = 1e-6
"""To which a decision limit is found."""


@dataclass(frozen=True, slots=True)
class Drift:
    """What the charts say after each run."""

    up: Float[Tensor, " n"]
    down: Float[Tensor, " n"]
    """The two sums, in standard deviations; both begin again at zero after an alarm."""
    limit: float
    alarms: tuple[int, ...]
    """Rows at which either exceeded the limit."""
    began: tuple[int, ...]
    """Of each alarm the first row after its sum was last at zero: the usual estimate of when the shift began."""


def watched(z: Float[Tensor, " n"], *, every: float = FALSE_ALARM_EVERY, allowance: float = ALLOWANCE) -> Drift:
    """Watch standardised residuals of new runs, in the order of time.

    Args:
        z: Measured less predicted value of each run in its predictive standard deviation.
        every: Runs between false alarms, on average.
        allowance: Half of the shift that is looked for, in standard deviations.
    """
    if not bool(z.isfinite().all()):
        raise BadInput(f"residual {int((~z.isfinite()).nonzero()[0])} of a drift chart is missing or infinite; expected numbers")
    limit = threshold(every, allowance)
    up, down, alarms, began, since, sums = list[float](), list[float](), list[int](), list[int](), [0, 0], [0.0, 0.0]
    for row, value in enumerate(z.tolist()):
        for side, sign in enumerate((1.0, -1.0)):
            if sums[side] == 0.0:
                since[side] = row
            sums[side] = max(0.0, sums[side] + sign * value - allowance)
        up.append(sums[0])
        down.append(sums[1])
        if max(sums) > limit:
            alarms.append(row)
            began.append(since[sums.index(max(sums))])
            sums = [0.0, 0.0]
    return Drift(torch.tensor(up, dtype=torch.float64), torch.tensor(down, dtype=torch.float64), limit, tuple(alarms), tuple(began))


@lru_cache(maxsize=64)
def threshold(every: float, allowance: float = ALLOWANCE) -> float:
    """Return the decision limit at which both sides together alarm falsely once in so many runs on average."""
    if not (math.isfinite(every) and every >= 10.0 and allowance > 0):
        raise BadInput(
            f"one false alarm in {every:g} runs with an allowance of {allowance:g}; expected at least 10 runs and a positive one"
        )
    high = 1.0
    while run_length(high, allowance) < every:
        high *= WIDER
    return float(brentq(lambda limit: run_length(limit, allowance) - every, 0.01, high, xtol=_INTERVAL))


def run_length(limit: float, allowance: float = ALLOWANCE, shift: float = 0.0) -> float:
    """Return the average number of runs to an alarm of either side, with the mean shifted from the first run on."""
    rate = sum(1.0 / _one_sided(limit, allowance, toward) for toward in (shift, -shift))
    return 1.0 / rate


def _one_sided(limit: float, allowance: float, shift: float) -> float:
    """Return the average run length of one side, from zero: states are zero and equal steps up to the limit."""
    width = 2.0 * limit / (2.0 * STATES - 1.0)
    states = torch.arange(STATES, dtype=torch.float64)
    steps = (states - states.unsqueeze(1)) * width + allowance - shift
    upper, lower = torch.special.ndtr(steps + width / 2), torch.special.ndtr(steps - width / 2)
    P = upper - lower
    P[:, 0] = upper[:, 0]
    ones = torch.ones(STATES, 1, dtype=torch.float64)
    return float(torch.linalg.solve(torch.eye(STATES, dtype=torch.float64) - P, ones)[0, 0])
