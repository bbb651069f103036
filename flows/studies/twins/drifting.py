"""Since when a campaign's twin is wrong: learned on the first runs, watched on all that come after."""

from dataclasses import dataclass

import numpy as np
import torch

from flows.studies.twins.compared import Compared
from models.twin.drift import Drift, watched
from models.twin.factors import find
from models.twin.model import Problem
from models.twin.pairs import LEAST_ROWS
from models.twin.sequential import innovations, predictions, recalibrated
from models.twin.terms import taken_up
from orchestrator.errors import BadInput


@dataclass(frozen=True)
class Watched:
    """The charts of one quantity."""

    measured: str
    learned: int
    """Runs on which the twin was corrected, by the constants, terms and factors that they show."""
    numbers: tuple[int, ...]
    """Proposals of the runs that were watched, in the order of time."""
    run_keys: tuple[str, ...]
    """Of the same."""
    residuals: tuple[float, ...]
    """What each brought beyond all before it, in standard deviations."""
    drift: Drift
    every: float
    """Runs between two false alarms, on average."""
    once: tuple[float, ...]
    """Measured values less what the twin says that was corrected once, by the runs learned from, in the quantity's unit."""
    rolling: tuple[float, ...]
    """The same of the twin that is recalibrated with each run, and has not seen the run itself."""

    @property
    def errors(self) -> tuple[float, float]:
        """Root mean squares of the two, in the quantity's unit."""
        once, rolling = (float(np.sqrt(np.square(one).mean())) for one in (self.once, self.rolling))
        return once, rolling

    @property
    def alarms(self) -> tuple[tuple[int, int], ...]:
        """Of each alarm the proposal whose run raised it, and the one from which the shift probably began."""
        return tuple((self.numbers[at], self.numbers[since]) for at, since in zip(self.drift.alarms, self.drift.began, strict=True))


def drift(found: Compared, measured: str, *, learn: int | None, every: float) -> Watched:
    """Watch one quantity.

    Args:
        found: The runs beside the twin.
        measured: The quantity.
        learn: Runs that are learned from; None for half of them.
        every: Runs between two false alarms, on average.

    Raises:
        BadInput: Too few runs to learn from, or none to watch.
    """
    timeless = found.without_time()
    which = timeless.told(measured)
    first = max(len(which) // 2, LEAST_ROWS) if learn is None else learn
    if first >= len(which):
        raise BadInput(f"{measured}: {len(which)} runs, {first} of them to learn from; expected some more to watch")
    problem = Problem.of(timeless.pairs(measured, first), "additive")
    corrected = taken_up(problem, find(problem).model.groups)
    rest = which[first:]
    values = torch.from_numpy(timeless.means(measured, rest))
    conditions = timeless.conditions(measured, rest)
    z = innovations(corrected, conditions, values)
    once, rolling = values - predictions(corrected, conditions), values - recalibrated(corrected, conditions, values)
    rows = [timeless.rows[row] for row in rest]
    return Watched(
        measured,
        first,
        tuple(row.number for row in rows),
        tuple(row.run.run_key for row in rows),
        tuple(z.tolist()),
        watched(z, every=every),
        every,
        tuple(once.tolist()),
        tuple(rolling.tolist()),
    )
