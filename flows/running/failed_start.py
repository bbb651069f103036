"""A start that fails leaves nothing running: what this command has started ends with it, what was there before stays."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from instruments.lab_processes.bench_process import run_in_hand, shutdown_bench
from instruments.lab_processes.plant_process import shutdown_plant
from instruments.lab_processes.processes import process_table
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.errors import AthanorError, NeedsPerson
from orchestrator.history import History

logger = logging.getLogger(__name__)

_NOT_BEGUN: Final = (RunStatus.QUEUED, RunStatus.DISPATCHED)


@dataclass(slots=True)
class Start:
    """What a start has come to."""

    has_begun: bool = False
    """Whether an experiment began: from then on the bench is left to finish what it has in hand."""


def has_begun(history: History, fence: int) -> bool:
    """Say whether the bench has begun a run that the command of this fencing number handed over."""
    return any(run.fence == fence and run.status not in _NOT_BEGUN for run in history.attempts())


@contextmanager
def failed_start_leaves_nothing(lab: Path) -> Iterator[Start]:
    """End the bench and the plant that were started within, where that fails before an experiment has begun.

    A start that waits for a person has not failed, and a run in hand is never ended.
    """
    before, start = process_table(lab), Start()
    try:
        yield start
    except NeedsPerson:
        raise
    except (AthanorError, OSError):
        if not start.has_begun and run_in_hand(lab) is None:
            _end([shut for name, shut in (("supervisor", shutdown_bench), ("plant", shutdown_plant)) if before[name] is None], lab)
        raise


def _end(shuts: list[Callable[[Path], None]], lab: Path) -> None:
    for shut in shuts:
        try:
            shut(lab)
        except (AthanorError, OSError) as error:  # what made the start fail is what a person needs to read
            logger.error("after a start that failed: %s", error)
