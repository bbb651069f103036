"""From observations to what surrogates learn from."""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import pstdev

import torch

from models.base import TargetData
from models.inputs.encoding import Encoding
from orchestrator.domain.objective import Measured, Objective, varies
from orchestrator.domain.values import Configuration
from orchestrator.ports import Observation


def training_data(
    encoding: Encoding, objective: Objective, observations: Sequence[Observation], silent: Sequence[Configuration] = ()
) -> tuple[TargetData, ...]:
    """Collect the rows of each measured quantity, in the order of the observations; one without a value is left out of that only.

    Args:
        encoding: Of the campaign's space.
        objective: Its targets.
        observations: What was measured.
        silent: Configurations that gave nothing to measure.
    """
    nothing = encoding.encode(silent) if silent else None
    return tuple(replace(_target_data(encoding, one, observations), silent=nothing) for one in objective.measured)


def _target_data(encoding: Encoding, target: Measured, observations: Sequence[Observation]) -> TargetData:
    rows = [observation for observation in observations if target.name in observation.values]
    values = [row.values[target.name] for row in rows]
    expected = target.expected_spread
    unit = order_of_magnitude(values, expected)
    known = [row.uncertainties.get(target.name) for row in rows]
    variances = [(value / unit) ** 2 for value in known if value is not None]
    return TargetData(
        name=target.name,
        X=encoding.encode(row.configuration for row in rows),
        Y=torch.tensor([value / unit for value in values], dtype=torch.float64),
        Yvar=torch.tensor(variances, dtype=torch.float64) if rows and len(variances) == len(rows) else None,
        spread=None if expected is None else expected / unit,
        unit=unit,
    )


def order_of_magnitude(values: Sequence[float], expected: float | None) -> float:
    """Return the power of ten of the values' spread, else of the expected spread, else of their size."""
    spread = pstdev(values) if values and varies(min(values), max(values)) else 0.0
    chosen = spread or expected or max(map(abs, values), default=0.0) or 1.0
    return float(10.0 ** math.floor(math.log10(chosen)))
