"""Small tables to test with, and the folder of the recorded ones."""

import os
from pathlib import Path

import pytest

from orchestrator.catalogue import Column, Dataset
from orchestrator.datasets import DATA_VARIABLE, RecordedRow, Table
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import DiscreteParameter
from orchestrator.domain.space import SearchSpace

EXAMPLES = Path(__file__).parents[2] / "examples" / "recorded"


def data_dir() -> Path:
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        pytest.skip(f"{DATA_VARIABLE} names no folder of recorded tables; their licences keep them out of this repository")
    return Path(folder)


def small_table() -> Table:
    """Three settings; the first measured three times, the second twice, the third once."""
    columns = (Column("x", "parameter", "mm"), Column("y", "target", "percent", goal="maximise"))
    entry = Dataset("small", "small.csv", "owner/name", "small.csv", "MIT", "nobody", columns, rows=6, sha256="0" * 64)
    measured = [(1.0, 10.0), (1.0, 11.0), (2.0, 20.0), (1.0, 12.0), (2.0, 21.0), (3.0, 30.0)]
    return Table(entry, tuple(RecordedRow(number, {"x": x, "y": y}) for number, (x, y) in enumerate(measured, start=1)))


def small_space() -> SearchSpace:
    parameter = DiscreteParameter(name="x", unit="cm", values=(0.1, 0.2, 0.3))
    return SearchSpace(parameters=(parameter,), candidates=({"x": 0.1}, {"x": 0.2}, {"x": 0.3}))


def small_objective() -> Objective:
    return Objective(targets=(Target(name="y", unit="", goal="maximise"),))
