"""How long a proposal is expected to take, for the decision page: what is certain, what is estimated, and from what."""

from collections.abc import Iterator, Sequence
from itertools import islice
from math import fsum
from statistics import median
from typing import Any, Final

from instruments.bench.procedure import Procedure
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.domain.records import ExperimentRun, Step
from orchestrator.history import History

_LOOKED_AT: Final = 10
"""Last completed runs from which is learnt what comes on top of waits and holds."""


def lab_time(procedure: Procedure, history: History, steps: Sequence[Step], before: Sequence[Step]) -> dict[str, Any]:
    """Estimate the lab time of a run.

    Returns:
        `lab_seconds`, the waits and holds; `more_seconds`, an estimate of what comes on top, None where nothing is known of
        it; and `more_from`, which says of what it is an estimate and what it rests on.
    """
    found = procedure.duration(steps, before)
    untils = [step.until for step in steps if step.until is not None]
    surplus = list(islice(_surplus(procedure, history), _LOOKED_AT))
    more: float | None
    if found.reaching is not None and untils:
        more, source = found.reaching, "heating, at the rates that the bench file declares"
    elif surplus:
        more, source = median(surplus), f"heating and all else between the waits, the median of the last {_runs(len(surplus))}"
    elif untils:
        limit = sum(until.timeout for until in untils) / 60
        more, source = None, f"heating is not counted: no run has been completed yet; it may take {limit:.0f} min before it fails"
    else:
        more, source = None, ""
    return {"lab_seconds": found.least, "more_seconds": more, "more_from": source}


def _surplus(procedure: Procedure, history: History) -> Iterator[float]:
    """Yield how much longer than their waits and holds completed runs took, the latest first; waiting for people is none of it.

    A run that waited for a person shares the bench with others, for which it may have waited too: where they overlap, what it
    took alone is not known.
    """
    runs = history.attempts()
    for run in reversed(runs):
        if run.status is RunStatus.COMPLETED and run.active_lab and not any(_overlap(run, one) for one in runs if one is not run):
            steps = history.proposals[run.approval].steps
            yield max(0.0, fsum(end - begin for begin, end in run.active_lab) - procedure.lab_seconds(steps))


def _overlap(one: ExperimentRun, other: ExperimentRun) -> bool:
    return any(begin < until and start < end for begin, end in one.active_lab for start, until in other.active_lab)


def _runs(count: int) -> str:
    return "run" if count == 1 else f"{count} runs"
