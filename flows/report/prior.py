"""What a prior brought: how far it was trusted, and its predictions beside those of a model without history.

The model without history is computed here, for each proposal on exactly what was measured when it was made.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Final

import torch

from flows.report.adaptations import Adaptation, adaptations
from flows.report.experiments import Comparison, Experiment
from models.gaussian_processes.single_task import GaussianProcessLearner
from models.inputs.encoding import Encoding
from models.inputs.training_data import training_data
from orchestrator.domain.objective import Objective
from orchestrator.domain.records import Prediction
from orchestrator.domain.space import SearchSpace
from orchestrator.ports import Observation, StoredEvent

MOST_COMPARED: Final = 32
"""Experiments for which a model without history is fitted: each takes a part of a second, and a report is not waited for."""

KnownAt = Callable[[int], tuple[Observation, ...]]
"""Ledger sequence number -> what had been measured then."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One target of one experiment: predicted with the prior, and without it from the same measurements."""

    with_prior: Comparison
    without: Comparison


@dataclass(frozen=True, slots=True)
class PriorStory:
    """All that a report says of a prior."""

    name: str
    sha256: str
    origin: str
    """Whether its tasks were measured, simulated or mixed."""
    adapted: tuple[Adaptation, ...] = ()
    pairs: Mapping[str, tuple[Pair, ...]] = field(default_factory=dict)
    """By target; experiments before the first measurement have no counterpart."""
    left_out: int = 0
    """Experiments that were not compared because there were too many."""


def prior_story(
    identity: Mapping[str, str] | None,
    events: Iterable[StoredEvent],
    experiments: Sequence[Experiment],
    space: SearchSpace,
    objective: Objective,
    known_at: KnownAt,
) -> PriorStory | None:
    """Gather what a prior brought; None for a campaign without one.

    Args:
        identity: Name, hash and origin, as the campaign's snapshot has them.
        events: Of the campaign.
        experiments: Of the campaign.
        space: Its search space.
        objective: Its targets combined.
        known_at: Asked for what each compared proposal was made from.
    """
    if identity is None:
        return None
    informed = [one for one in experiments if one.predicted and one.results]
    chosen = _spread(informed, MOST_COMPARED)
    found: dict[str, list[Pair]] = {name: [] for name in objective.names}
    for one in chosen:
        provenance = one.approved.provenance
        known = known_at(provenance.as_of if provenance.predicted_as_of is None else provenance.predicted_as_of)
        for name, prediction in without_prior(one, Encoding(space), objective, known).items():
            if name in one.predicted and name in one.results:
                result = one.results[name]
                found[name].append(Pair(Comparison(one.index, one.predicted[name], result), Comparison(one.index, prediction, result)))
    pairs = {name: tuple(some) for name, some in found.items() if some}
    return PriorStory(identity["name"], identity["sha256"], identity["origin"], adaptations(events), pairs, len(informed) - len(chosen))


def _spread(experiments: Sequence[Experiment], most: int) -> list[Experiment]:
    """Take at most so many, evenly over the campaign."""
    if len(experiments) <= most:
        return list(experiments)
    return [experiments[round(place * (len(experiments) - 1) / (most - 1))] for place in range(most)]


def without_prior(
    experiment: Experiment, encoding: Encoding, objective: Objective, known: tuple[Observation, ...]
) -> dict[str, Prediction]:
    """Predict an approved configuration with a Gaussian process of what was measured, for targets that were."""
    data = [one for one in training_data(encoding, objective, known) if len(one.Y)]
    if not data:
        return {}
    surrogate = GaussianProcessLearner().fit(data, seed=0)
    x = encoding.encode([experiment.approved.configuration])
    with torch.no_grad():
        means = surrogate.posterior(x).mean[0].tolist()
        epistemic, aleatoric = surrogate.variance_parts(x)
    sds = (epistemic + aleatoric)[0].sqrt().tolist()
    return {one.name: Prediction(mean=one.unit * mean, sd=one.unit * sd) for one, mean, sd in zip(data, means, sds, strict=True)}


def figures_of(comparisons: Sequence[Comparison]) -> dict[str, float]:
    """Return mean absolute error, share within the 90 % interval and mean log density."""
    return {
        "error": fmean(abs(one.measured.value - one.predicted.mean) for one in comparisons),
        "inside": fmean(one.inside for one in comparisons),
        "log_density": fmean(_log_density(one) for one in comparisons),
    }


def _log_density(one: Comparison) -> float:
    z = (one.measured.value - one.predicted.mean) / one.predicted.sd
    return -0.5 * z * z - math.log(one.predicted.sd) - 0.5 * math.log(2 * math.pi)


def label(identity: Mapping[str, Any], *, simulated_lab: bool) -> str:
    """Name a prior in a line; one from simulated tasks in a laboratory never passes for measured."""
    origin = {"measured": "measured tasks", "mixed": "measured and SIMULATED tasks", "simulated": "SIMULATED tasks"}[identity["origin"]]
    warned = "" if simulated_lab or identity["origin"] == "measured" else "; what it says was not measured in a laboratory"
    return f"{identity['name']}, from {origin}{warned}"
