"""Families of simulated chemistries that tasks can be drawn from, by the names that benchmark and meta-training files use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from flows.studies.cdse import CDSE_UNITS, cdse_tasks, task_classes, task_group
from orchestrator.ports import Observation

TaskObservations = tuple[tuple[str, tuple[Observation, ...]], ...]
"""(task's name, its observations) of each task."""


@dataclass(frozen=True, slots=True)
class SimulatedFamily:
    """A family, and the units that its rows stand in."""

    draw: Callable[[int, int, int], TaskObservations]
    """Number of tasks, rows per task, seed -> the tasks: a function of these alone."""
    units: Mapping[str, str]
    """Of what is varied and of what is measured."""
    parameters: tuple[str, ...]
    """What is varied."""
    group: Callable[[str], str | None]
    """Task -> its kin's common name."""
    describe: Callable[[str], dict[str, float | str]]
    """Task -> what a chemist knows of it before the first experiment."""


def _cdse(draw: Callable[[int, int, int], TaskObservations]) -> SimulatedFamily:
    return SimulatedFamily(draw, CDSE_UNITS, ("T", "tau", "c_se", "ratio"), task_group, task_classes)


FAMILIES: Final[Mapping[str, SimulatedFamily]] = {
    "cdse": _cdse(cdse_tasks),
    "cdse-segmented": _cdse(partial(cdse_tasks, segmented=True)),
}
"""Name -> family."""
