"""Families of simulated tasks that a benchmark file may name."""

from collections.abc import Callable, Mapping

from flows.studies.benchmark.spec import DataSpec
from flows.studies.families import FAMILIES
from orchestrator.errors import BadInput
from orchestrator.ports import Observation

Tasks = tuple[tuple[str, tuple[Observation, ...]], ...]
"""(task's name, its observations) of each task."""


def simulated_tasks(spec: DataSpec, families: Mapping[str, Callable[..., Tasks]] = FAMILIES) -> Tasks:
    """Draw the tasks of a simulated family, functions of the number of tasks, rows of each and seed.

    Raises:
        BadInput: No such family.
    """
    assert spec.family is not None
    assert spec.tasks is not None
    assert spec.pool is not None
    if spec.family not in families:
        raise BadInput(f"data.family = {spec.family!r} is unknown; known: {', '.join(families)}")
    return families[spec.family](spec.tasks, spec.pool, spec.seed)
