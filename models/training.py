"""From observations to what surrogates learn from."""

from collections.abc import Sequence

import torch

from models.base import TargetData
from models.encoding import Encoding
from orchestrator.domain.objective import Objective, Target
from orchestrator.ports import Observation


def training_data(encoding: Encoding, objective: Objective, observations: Sequence[Observation]) -> tuple[TargetData, ...]:
    """Collect each target's rows, in the order of the observations; one without a value is left out of that target only."""
    return tuple(_target_data(encoding, target, observations) for target in objective.targets)


def _target_data(encoding: Encoding, target: Target, observations: Sequence[Observation]) -> TargetData:
    rows = [observation for observation in observations if target.name in observation.values]
    known = [row.uncertainties.get(target.name) for row in rows]
    variances = [value**2 for value in known if value is not None]
    return TargetData(
        name=target.name,
        X=encoding.encode(row.configuration for row in rows),
        Y=torch.tensor([row.values[target.name] for row in rows], dtype=torch.float64),
        Yvar=torch.tensor(variances, dtype=torch.float64) if rows and len(variances) == len(rows) else None,
        spread=expected_spread(target),
    )


def expected_spread(target: Target) -> float | None:
    """Guess how far values spread from what the objective says: a quarter of its range, or a match's tolerance."""
    if target.low is not None and target.high is not None:
        return (target.high - target.low) / 4
    return target.tolerance
