"""Labs that leave no process behind, even where a test fails."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from instruments.lab_processes.plant_process import shutdown_plant
from instruments.lab_processes.process_identity import Process
from instruments.lab_processes.processes import process_table
from tests.crash.campaigns import quick_campaign


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[Callable[[int], tuple[Path, Path]]]:
    """Make (campaign file, lab folder) for a budget; whatever still runs at the end is killed."""
    labs: list[Path] = []

    def make(budget: int) -> tuple[Path, Path]:
        file = quick_campaign(tmp_path / f"lab{len(labs)}", budget=budget)
        labs.append(file.parent / ".athanor-dry")
        return file, labs[-1]

    yield make
    for lab in labs:
        _end(lab)


def _end(lab: Path) -> None:
    table = process_table(lab) if lab.exists() else {}
    for name in ("campaign", "supervisor", "host"):
        if (row := table.get(name)) is not None and (process := Process.of(int(row["pid"]))) is not None:
            process.kill()
    if lab.exists():
        shutdown_plant(lab)
