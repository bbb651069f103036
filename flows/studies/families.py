"""Families of simulated chemistries that tasks can be drawn from, by the names that benchmark and meta-training files use."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from flows.studies.alloys import ALLOY_UNITS, PARAMETER, alloy_elements, alloy_tasks
from flows.studies.cdse import CDSE_UNITS, cdse_tasks, task_classes, task_group
from flows.studies.family import SimulatedFamily, TaskObservations

_Draw = Callable[[int, int, int], TaskObservations]


def _cdse(draw: _Draw) -> SimulatedFamily:
    return SimulatedFamily(draw, CDSE_UNITS, ("T", "tau", "c_se", "ratio"), task_group, task_classes)


def _alloys(draw: _Draw) -> SimulatedFamily:
    return SimulatedFamily(draw, ALLOY_UNITS, (PARAMETER,), alloy_elements, lambda _task: {})


FAMILIES: Final[Mapping[str, SimulatedFamily]] = {
    "cdse": _cdse(cdse_tasks),
    "cdse-segmented": _cdse(partial(cdse_tasks, segmented=True)),
    "alloys": _alloys(alloy_tasks),
    "alloys-kin": _alloys(partial(alloy_tasks, kin=True)),
}
"""Name -> family."""
