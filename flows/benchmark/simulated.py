"""Families of simulated tasks that a benchmark file may name."""

from collections.abc import Callable, Mapping
from typing import Final

from flows.benchmark.spec import DataSpec
from orchestrator.errors import BadInput
from orchestrator.ports import Observation

Tasks = tuple[tuple[str, tuple[Observation, ...]], ...]
"""(task's name, its observations) of each task."""

FAMILIES: Final[Mapping[str, Callable[[int, int, int], Tasks]]] = {}
"""Name -> function of the number of tasks, rows of each and seed."""


def simulated_tasks(spec: DataSpec, families: Mapping[str, Callable[[int, int, int], Tasks]] = FAMILIES) -> Tasks:
    """Draw the tasks of a simulated family.

    Raises:
        BadInput: No such family.
    """
    assert spec.family is not None
    assert spec.tasks is not None
    assert spec.pool is not None
    if spec.family not in families:
        raise BadInput(f"data.family = {spec.family!r} is unknown; known: {', '.join(families) or 'none'}")
    return families[spec.family](spec.tasks, spec.pool, spec.seed)
