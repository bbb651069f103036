"""What a prior may see when a task is judged."""

from collections.abc import Mapping
from typing import Final

import torch

from flows.studies.benchmark.pools import ReplayPool
from flows.studies.benchmark.spec import Identical, Leave
from models.tasks import LEAST_ROWS, TaskData
from orchestrator.errors import BadInput

EQUAL: Final = 1e-9
"""Encoded inputs that differ by less are equal: they went through decimal text."""


def sources_for(pools: Mapping[str, ReplayPool], judged: str, *, leave: Leave, identical: Identical) -> tuple[TaskData, ...]:
    """Return the tasks on which a prior may be trained that is then scored on `judged`.

    Raises:
        BadInput: Groups are to be left out and a task has none, or nothing is left.
    """
    kept = [pool for name, pool in pools.items() if name != judged]
    if leave == "group":
        if unknown := [name for name, pool in pools.items() if pool.group is None]:
            raise BadInput(f'leave = "group" needs the group of each task; nobody declared that of {unknown[0]}')
        kept = [pool for pool in kept if pool.group != pools[judged].group]
    found = [pool.data for pool in kept]
    if identical == "drop":
        found = [without_rows_of(task, pools[judged]) for task in found]
    found = [task for task in found if len(task.Y) >= LEAST_ROWS]
    if not found:
        raise BadInput(f"no task is left to learn from when {judged} is judged with leave = {leave!r}")
    return tuple(found)


def without_rows_of(task: TaskData, judged: ReplayPool) -> TaskData:
    """Drop a source's rows that have the parameters of a judged candidate."""
    there = {tuple(row) for row in (judged.X / EQUAL).round().tolist()}
    rows = (task.X / EQUAL).round().tolist()
    return task.rows(torch.tensor([index for index, row in enumerate(rows) if tuple(row) not in there], dtype=torch.long))
