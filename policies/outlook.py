"""What is expected of the objective itself, and the chance to beat what was measured, from the surrogate's own posterior.

The objective is computed on joint draws of a new measurement of all targets, component by component: a match or a
weighted mean of targets is not Gaussian, nor is a mixture, so that no interval of the targets says what it will be.
"""

from collections.abc import Iterable
from typing import Final

import torch
from botorch.utils.sampling import draw_sobol_normal_samples
from jaxtyping import Float
from torch import Tensor

from models.base import Surrogate
from orchestrator.domain.objective import Objective
from orchestrator.ports import Observation
from orchestrator.suggestions import Outlook
from policies.limits import all_kept, kept_at, limits_of
from policies.score import Score

_DRAWS: Final = 2048
"""Quasi-random draws of each component: a chance is then known to about a tenth of a per cent of what it is."""
_TAIL: Final = 0.05
"""Of the draws, below the lower end of a 90 % interval and above the upper one."""


def best_measured(objective: Objective, observations: Iterable[Observation]) -> float | None:
    """Return the highest objective among complete measurements that keep all limits; None before the first."""
    scores = (objective.score_kept(one.values) for one in observations)
    return max((score for score in scores if score is not None), default=None)


def outlook(surrogate: Surrogate, score: Score, x: Float[Tensor, "1 d"], best: float | None) -> Outlook:
    """Return what is expected of the objective of one new measurement at a configuration.

    Args:
        surrogate: Of all that is measured.
        score: Makes the objective of them.
        x: The configuration, encoded.
        best: What is to be beaten; None where nothing was measured yet.
    """
    draws = draw_sobol_normal_samples(d=len(score.units), n=_DRAWS, seed=0, dtype=x.dtype, device=x.device)
    scores, weights, kept = [], [], []
    with torch.no_grad():
        noise = surrogate.variance_parts(x)[1]
        for weight, model in surrogate.components():
            posterior = model.posterior(x)
            samples = posterior.mean + (posterior.variance + noise).sqrt() * draws
            scores.append(score(samples))
            kept.append(all_kept(limits_of(score), samples))
            weights.append(torch.full_like(scores[-1], weight / _DRAWS))
    values, order = torch.cat(scores).sort()
    shares = torch.cat(weights)[order]
    below = shares.cumsum(0)
    low, high = (float(values[int((below < part).sum())]) for part in (_TAIL, 1.0 - _TAIL))
    better = None if best is None else float(shares[(values > best) & torch.cat(kept)[order]].sum())
    mean = float((shares * values).sum())
    return Outlook(mean=mean, low=low, high=high, better=better, kept=kept_at(surrogate, score, x))
