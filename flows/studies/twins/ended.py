"""How a campaign's runs ended, beside what its twin says of each: a reason of its own, or that it works."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flows.plans.twins.bound import BoundTwin
from flows.plans.twins.table import outputs_of
from flows.studies.twins.surroundings import Units, lots_of, surroundings
from orchestrator.domain.lifecycle import MeasurementStatus, RunStatus
from orchestrator.domain.records import ExperimentRun
from orchestrator.domain.values import Configuration
from orchestrator.history import History

QUARANTINED: Final = "quarantined: "
FAILED: Final = "failed: "
_NUMBER: Final = re.compile(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?")
_ENDS: Final = (RunStatus.COMPLETED, RunStatus.INFEASIBLE, RunStatus.FAILED)


@dataclass(frozen=True)
class Ended:
    """One run."""

    run: ExperimentRun
    number: int
    """Of its proposal."""
    configuration: Configuration
    """As it was measured to be, or approved where it was not."""
    asked: Configuration
    """As approved."""
    environment: Mapping[str, float] | None
    """As of a row that is compared; None where nobody knows all of it."""
    lots: Mapping[str, str]
    reason: str
    """Why it came to nothing: the device's code, a rule's reason, or what failed or was doubted, its numbers left out. Empty where it gave
    something."""
    told: str
    """The same as the ledger has it."""
    said: str
    """Why nothing comes of it by the twin; empty where by the twin something does."""
    predicted: Mapping[str, float]
    """What the twin says of each quantity, in the campaign's units; empty where it says that nothing comes."""

    @property
    def completed(self) -> bool:
        """Whether it was carried out to the end: whatever is doubted of it, it was spared all other reasons."""
        return self.run.status is RunStatus.COMPLETED


Said = tuple[str, Mapping[str, float]]
"""What the twin says: a reason and nothing else, or no reason and a value of each quantity."""


def ended(
    history: History,
    bound: BoundTwin,
    around: Callable[[ExperimentRun], Mapping[str, float] | None],
    units: Units,
    said: Mapping[str, Said],
) -> tuple[Ended, ...]:
    """Return all runs that were carried out or failed, in the order of time.

    Args:
        history: Of the campaign.
        bound: Its twin.
        around: Returns the surroundings of a run; None where they are not all known.
        units: Of what was recorded.
        said: What the twin says of some runs, by run key: it is asked about the others alone.

    Raises:
        BadInput: What the twin gives is not what it declares.
    """
    runs = [one for one in history.attempts() if one.status in _ENDS and one.started_lab is not None]
    runs.sort(key=lambda one: (one.started_lab or 0.0, one.run_key))
    doubts = {key[0]: one.reason or "" for key, one in history.measurements.items() if one.status is MeasurementStatus.QUARANTINED}
    codes = {rule.reason: rule.code for rule in bound.bench.spec.infeasible.rules if rule.code is not None}
    beside = {one.run_key: around(one) for one in runs}
    others = [one for one in runs if one.run_key not in said]
    every = dict(said) | dict(_asked(history, bound, others, [surroundings(bound, beside[one.run_key] or {}, units) for one in others]))
    return tuple(
        Ended(
            one,
            history.proposals[one.approval].number,
            history.configuration_of(one),
            history.proposals[one.approval].configuration,
            beside[one.run_key],
            lots_of(one),
            *_reason(one, doubts.get(one.run_key), codes),
            *every[one.run_key],
        )
        for one in runs
    )


def _asked(
    history: History, bound: BoundTwin, runs: Sequence[ExperimentRun], beside: Sequence[Mapping[str, float]]
) -> Iterator[tuple[str, Said]]:
    """Ask the twin about some runs."""
    asked = [bound.situation(history.configuration_of(one), where) for one, where in zip(runs, beside, strict=True)]
    outcomes = bound.twin.predict(asked)
    for one, outcome, values in zip(runs, outcomes, outputs_of(bound, outcomes), strict=True):
        yield one.run_key, said_of(bound, outcome if isinstance(outcome, str) else "", values)


def said_of(bound: BoundTwin, reason: str, values: NDArray[np.float64]) -> Said:
    """Return what the twin says of a run: why nothing comes of it, or a value of each quantity."""
    return (reason, {}) if reason else ("", dict(zip(bound.outputs, map(float, values), strict=True)))


def _reason(run: ExperimentRun, doubt: str | None, codes: Mapping[str, str]) -> tuple[str, str]:
    """Return the reason as it is counted, and as the ledger has it."""
    told = run.reason or ""
    if run.status is RunStatus.INFEASIBLE:
        return codes.get(told, told) or "infeasible", told
    if run.status is RunStatus.FAILED:
        return FAILED + _NUMBER.sub("N", told), told
    return ("", "") if doubt is None else (QUARANTINED + _NUMBER.sub("N", doubt), doubt)
