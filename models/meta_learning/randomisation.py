"""Domain randomisation: simulated tasks made as unlike each other and as unclean as benches are, from a seed.

A simulator knows no miscalibrated instrument and no bubble. A learner that is trained on clean simulations takes their
absolute levels and their smoothness for granted; these changes keep it from that.
"""

from dataclasses import dataclass, replace
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from models.tasks import TaskData
from orchestrator.errors import BadInput

MOST_OUTLIERS: Final = 0.5
"""With more of them nobody can tell which rows are the outliers."""


@dataclass(frozen=True, slots=True)
class Randomisation:
    """How far a task is changed, in its own standard deviation."""

    gain: float = 0.1
    """Standard deviation of the logarithm of the factor around the task's mean."""
    offset: float = 0.2
    """Standard deviation of what is added to all rows."""
    noise: float = 0.02
    """Median standard deviation of the noise of single rows."""
    noise_spread: float = 0.5
    """Standard deviation of the logarithm of that noise over tasks."""
    outliers: float = 0.02
    """Chance of a row to be moved by `outlier_size`."""
    outlier_size: float = 1.0
    """Standard deviation of an outlier's displacement."""

    def __post_init__(self) -> None:
        sizes = (self.gain, self.offset, self.noise, self.noise_spread, self.outliers, self.outlier_size)
        if min(sizes) < 0.0 or self.outliers > MOST_OUTLIERS:
            raise BadInput(f"randomisation {sizes}: expected no negative size and at most {MOST_OUTLIERS:g} outliers")


def randomise(task: TaskData, generator: torch.Generator, settings: Randomisation | None = None) -> TaskData:
    """Return a simulated task with another gain, offset and noise, and some outliers.

    Known variances grow with the gain and by the noise; that a row is an outlier they do not say, as in life.

    Raises:
        BadInput: The task was measured: nobody may change measurements.
    """
    chosen = settings or Randomisation()
    if task.fidelity != "simulated":
        raise BadInput(f"task {task.name} was measured; only simulated tasks are randomised")
    level = task.Y.mean()
    spread = task.Y.std(correction=0)
    gain, offset, noise = _shared(chosen, generator)
    sd = noise * spread
    errors = sd * _normal(len(task.Y), generator) + spread * _outliers(len(task.Y), chosen, generator)
    values = level + gain * (task.Y - level) + offset * spread + errors
    return replace(task, Y=values, Yvar=None if task.Yvar is None else gain**2 * task.Yvar + sd**2)


def _shared(chosen: Randomisation, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw what all rows of a task share: factor, offset and noise."""
    draws = _normal(3, generator)
    return (chosen.gain * draws[0]).exp(), chosen.offset * draws[1], chosen.noise * (chosen.noise_spread * draws[2]).exp()


def _outliers(count: int, chosen: Randomisation, generator: torch.Generator) -> Float[Tensor, " n"]:
    hit = torch.rand(count, dtype=torch.float64, generator=generator) < chosen.outliers
    return torch.where(hit, chosen.outlier_size * _normal(count, generator), 0.0)


def _normal(count: int, generator: torch.Generator) -> Float[Tensor, " n"]:
    return torch.randn(count, dtype=torch.float64, generator=generator)
