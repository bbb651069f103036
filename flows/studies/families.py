"""Families of simulated chemistries that tasks can be drawn from, by the names that benchmark and meta-training files use."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from flows.studies.cdse import CDSE_UNITS, cdse_tasks, task_classes, task_group
from flows.studies.family import SimulatedFamily, TaskObservations


def _cdse(draw: Callable[[int, int, int], TaskObservations]) -> SimulatedFamily:
    return SimulatedFamily(draw, CDSE_UNITS, ("T", "tau", "c_se", "ratio"), task_group, task_classes)


FAMILIES: Final[Mapping[str, SimulatedFamily]] = {
    "cdse": _cdse(cdse_tasks),
    "cdse-segmented": _cdse(partial(cdse_tasks, segmented=True)),
}
"""Name -> family."""
