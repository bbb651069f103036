"""Why a configuration was proposed: what drives its prediction and its worth, and what else was nearly as good."""

import math
from collections.abc import Sequence
from typing import Final

import torch
from botorch.sampling.normal import SobolQMCNormalSampler
from jaxtyping import Float
from torch import Tensor

from models.explanations.attribution import BACKGROUND, ExplainedFunctions, players, predicted_moments, shapley
from models.inputs.encoding import Encoding
from models.inputs.proximity import distances
from models.reproducible import repeatable
from orchestrator.domain.values import Configuration
from orchestrator.suggestions import Explanation, Suggestion
from policies.acquisition import Acquisition, Question, build_acquisition
from policies.limits import Limits, all_kept, limits_at
from policies.optimise import score_all

_ALTERNATIVES: Final = 3
_UNLIKE: Final = 0.05
"""Least distance (mean over parameters, each over its range) between alternatives, and to the batch: others are the same idea."""
_LOOKED_AT: Final = 2048
"""Rows of a table among which alternatives are looked for."""
_SHARE_SAMPLES: Final = 512


def explain_one(
    encoding: Encoding,
    question: Question,
    everywhere: Float[Tensor, "n d"],
    options: Float[Tensor, "o d"],
    batch: Sequence[Configuration],
    index: int,
) -> Explanation:
    """Explain one configuration of a batch.

    Args:
        encoding: Of the space.
        question: What the acquisition function of this configuration was built from.
        everywhere: Feasible points all over the space, encoded.
        options: What the policy could have proposed in its place, encoded: all, or what its search began with.
        batch: The whole batch.
        index: Which of it.
    """
    seed = question.seed
    x = encoding.encode([batch[index]])
    with repeatable(seed), torch.no_grad():
        acquisition = build_acquisition(question)
        background = _drawn(everywhere, BACKGROUND, seed)
        value = _all_values(question, acquisition, encoding)
        found = shapley(value, x[0], background, players(encoding, batch[index]), seed=seed)
        alternatives = _alternatives(encoding, question, acquisition, _drawn(options, _LOOKED_AT, seed), encoding.encode(batch))
    names = question.score.objective.names
    labels = (*(f"mean {name}" for name in names), *(f"sd {name}" for name in names), "acquisition")
    factors = (*question.score.units, *question.score.units, 1.0)
    columns = [[factor * value for value in column] for factor, column in zip(factors, found.values.T.tolist(), strict=True)]
    return Explanation(
        players=found.names,
        effects={label: tuple(column) for label, column in zip(labels, columns, strict=True)},
        base={label: factor * value for label, factor, value in zip(labels, factors, found.base.tolist(), strict=True)},
        exploit=_exploit_share(question, x, seed),
        alternatives=alternatives,
    )


def _all_values(question: Question, acquisition: Acquisition, encoding: Encoding) -> ExplainedFunctions:
    predicted = predicted_moments(question.surrogate)

    def value(X: Float[Tensor, "n d"]) -> Float[Tensor, "n m"]:
        X = encoding.presence.settled(X)  # a mixture of two points may have values of what it does not have
        return torch.cat([predicted(X), score_all(acquisition, X).unsqueeze(-1)], dim=-1)

    return value


def _drawn(X: Float[Tensor, "n d"], count: int, seed: int) -> Float[Tensor, "k d"]:
    return X[torch.randperm(len(X), generator=torch.Generator().manual_seed(seed))[:count]]


def _exploit_share(question: Question, x: Float[Tensor, "1 d"], seed: int) -> float | None:
    """Return which part of the expected improvement a certain prediction would have; None where nothing is expected, or no score improved.

    A mixture is drawn from part by part: the Gaussian of its moments hopes for less, or more, than its parts do.
    """
    if question.score.objective.kind != "utility":
        return None
    with torch.no_grad():
        limits = limits_at(question.surrogate, question.score, question.measured, question.goalposts)
        goal = _to_beat(question, limits)
        gains, excesses = [], []
        for weight, model in question.surrogate.components():
            sampler = SobolQMCNormalSampler(torch.Size([_SHARE_SAMPLES]), seed=seed)
            samples = sampler(model.posterior(x)).squeeze(-2)
            excess = question.score(samples) - goal
            if limits is not None:
                excess = torch.where(all_kept(limits.each, samples), excess, 0.0)
            gains.append(weight * float(excess.clamp_min(0.0).mean()))
            excesses.append(weight * float(excess.mean()))
        gain, certain = math.fsum(gains), max(0.0, math.fsum(excesses))
    return min(1.0, certain / gain) if gain > 0 else None  # equal but for the order of summation where nothing is uncertain


def _to_beat(question: Question, limits: Limits | None) -> Float[Tensor, ""]:
    """Return the best score that is expected of what is to be improved on; the floor where nothing of it keeps the limits."""
    means = question.surrogate.posterior(question.goalposts.unsqueeze(-2)).mean.squeeze(-2)
    scores = question.score(means)
    return scores.max() if limits is None else torch.where(all_kept(limits.each, means), scores, limits.floor).max()


def _alternatives(
    encoding: Encoding, question: Question, acquisition: Acquisition, X: Float[Tensor, "n d"], batch: Float[Tensor, "b d"]
) -> tuple[Suggestion, ...]:
    """Return the best points among those looked at that are unlike the batch and each other."""
    values = score_all(acquisition, X)
    taken, chosen = [*batch], []
    for index in values.argsort(descending=True, stable=True).tolist():
        row = dict(encoding.decode(X[index]))
        is_legal = encoding.region.is_whole or encoding.region.complaint(row) is None
        if is_legal and float(distances(X[index], torch.stack(taken), encoding).min()) >= _UNLIKE:
            taken.append(X[index])
            predicted = question.predicted(X[index : index + 1])
            chosen.append(Suggestion(row, "alternative", acquisition=float(values[index]), predicted=predicted))
        if len(chosen) == _ALTERNATIVES:
            break
    return tuple(chosen)
