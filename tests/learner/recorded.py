"""Families of recorded tables; a test that needs one is skipped where no folder is named."""

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache

import pytest
import torch

from models.inputs.encoding import Encoding
from models.inputs.features import Features
from models.tasks import Family, TaskData
from orchestrator.datasets import DATA_VARIABLE, RecordedRow, describe, load_table
from orchestrator.domain.parameters import CategoricalParameter, ContinuousParameter
from orchestrator.domain.space import SearchSpace


def need_data() -> None:
    if not os.environ.get(DATA_VARIABLE):
        pytest.skip(f"{DATA_VARIABLE} names no folder of recorded tables; their licences keep them out of this repository")


@cache
def couplings() -> tuple[Family, Mapping[str, TaskData]]:
    """C-N couplings: each aryl halide is a task, three of one scaffold are a group."""
    need_data()
    entry, rows = describe("cn-coupling"), load_table("cn-coupling").rows
    names = ("base_name", "ligand_name", "additive_id")
    categories = {name: tuple(dict.fromkeys(str(row.values[name]) for row in rows)) for name in names}
    space = SearchSpace(parameters=tuple(CategoricalParameter(name=name, categories=categories[name]) for name in names))
    group_of = {task: group for group, tasks in entry.groups.items() for task in tasks}
    found = _by_task(Encoding(space), rows, "substrate_id", names, "yield")
    return Family(Features(Encoding(space)), "yield", "percent"), {
        name: TaskData(name, X, Y, group=group_of[name]) for name, (X, Y) in found.items()
    }


@cache
def barrels() -> tuple[Family, Mapping[str, TaskData]]:
    """Crossed barrels: each number of struts is a task; each of its 150 designs was made and tested three times."""
    need_data()
    rows = load_table("crossed-barrel").rows
    names = ("theta", "r", "t")
    spans = {name: sorted(float(row.values[name]) for row in rows) for name in names}
    space = SearchSpace(parameters=tuple(ContinuousParameter(name=name, min=span[0], max=span[-1]) for name, span in spans.items()))
    found = _by_task(Encoding(space), rows, "n", names, "toughness")
    return Family(Features(Encoding(space)), "toughness", "J"), {name: TaskData(name, X, Y) for name, (X, Y) in found.items()}


def _by_task(
    encoding: Encoding, rows: Sequence[RecordedRow], column: str, names: Sequence[str], target: str
) -> Mapping[str, tuple[torch.Tensor, torch.Tensor]]:
    tasks: dict[str, list[RecordedRow]] = defaultdict(list)
    for row in rows:
        tasks[str(row.values[column])].append(row)
    return {
        task: (
            encoding.encode([{name: row.values[name] for name in names} for row in members]),
            torch.tensor([float(row.values[target]) for row in members], dtype=torch.float64),
        )
        for task, members in tasks.items()
    }
