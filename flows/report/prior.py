"""What a prior brought: how far it was trusted, and its predictions beside those of a model without history.

Nothing is fitted here: the model without history is the guard that stood beside the prior when each proposal was made, and
what it expected is in the ledger with the proposal.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from flows.report.adaptations import Adaptation, adaptations
from flows.report.experiments import Comparison, Experiment
from orchestrator.domain.objective import Objective
from orchestrator.domain.records import Prediction
from orchestrator.ports import StoredEvent
from orchestrator.suggestions import WITHOUT_PRIOR


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
    """By target."""
    alone: int = 0
    """Experiments that were predicted with the prior, but of which no model without history was asked."""


def prior_story(
    identity: Mapping[str, str] | None, events: Iterable[StoredEvent], experiments: Sequence[Experiment], objective: Objective
) -> PriorStory | None:
    """Gather what a prior brought; None for a campaign without one.

    Args:
        identity: Name, hash and origin, as the campaign's snapshot has them.
        events: Of the campaign.
        experiments: Of the campaign.
        objective: Its targets combined.
    """
    if identity is None:
        return None
    informed = [one for one in experiments if one.predicted and one.results]
    found = {target: tuple(pair for one in informed if (pair := _pair(one, target)) is not None) for target in objective.names}
    return PriorStory(
        identity["name"],
        identity["sha256"],
        identity["origin"],
        adaptations(events),
        {target: pairs for target, pairs in found.items() if pairs},
        sum(WITHOUT_PRIOR not in one.approved.provenance.details for one in informed),
    )


def _pair(one: Experiment, target: str) -> Pair | None:
    noted = one.approved.provenance.details.get(WITHOUT_PRIOR, {})
    if not (target in noted and target in one.predicted and target in one.results):
        return None
    result = one.results[target]
    without = Prediction.model_validate(noted[target])
    return Pair(Comparison(one.index, one.predicted[target], result), Comparison(one.index, without, result))


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
