"""A prior learns from what a twin imagines: its constants anew in each task, as far as their priors allow."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from flows.plans.twins.bound import BoundTwin, bound_twin
from flows.studies.families import FAMILIES
from flows.studies.metatraining.spec import load_meta_file
from flows.studies.metatraining.tasks import read_tasks
from flows.studies.twins.imagined import imagined
from instruments.bench.file import load_bench
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput

EXAMPLE = Path(__file__).parents[2] / "examples" / "twins" / "mos2"
FILE = """
[prior]
name = "mos2"

[[parameters]]
name = "temperature"
kind = "continuous"
unit = "K"
min = 950
max = 1050

[[parameters]]
name = "flux"
kind = "continuous"
unit = "1/s"
min = 0.002
max = 0.02

[[parameters]]
name = "sulfur"
kind = "continuous"
min = 10
max = 100

[[parameters]]
name = "time"
kind = "continuous"
unit = "min"
min = 2
max = 10

[[targets]]
name = "grain"
unit = "nm"
goal = "maximise"
"""
SOURCE = '[[sources]]\ntwin = "bench.toml"\ntasks = 4\nrows = 16\n'


def files(folder: Path, source: str = SOURCE) -> Path:
    """Write a prior's file beside a bench with a twin."""
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("truth.jsonl", ".*", "__pycache__"))
    path = folder / "prior.toml"
    path.write_text(FILE + source)
    return path


def bound(folder: Path) -> BoundTwin:
    file = load_meta_file(files(folder))
    found = bound_twin(load_bench(folder / "bench.toml"), file.space, file.spec.targets)
    assert found is not None
    return found


def test_a_source_is_what_the_twin_predicts_in_the_units_of_the_space(tmp_path: Path) -> None:
    tasks = read_tasks(load_meta_file(files(tmp_path)), FAMILIES)
    assert [one.name for one in tasks] == ["mos2/1/1", "mos2/1/2", "mos2/1/3", "mos2/1/4"]
    assert all(one.fidelity == "simulated" for one in tasks)
    grains = [row.values["grain"] for one in tasks for row in one.rows]
    assert 50.0 < float(np.median(grains)) < 5000.0  # nm, where the twin has um
    assert tasks[0].units["grain"] == "nm"


def test_constants_differ_from_task_to_task_as_far_as_their_priors_allow(tmp_path: Path) -> None:
    twin = bound(tmp_path)
    wide, again = (imagined(twin, tasks=6, rows=12, seed=3) for _ in range(2))
    assert wide == again
    assert imagined(twin, tasks=6, rows=12, seed=4) != wide

    def spread(found: BoundTwin) -> float:
        levels = [np.log(np.mean([row.values["grain"] for row in rows])) for _, rows in imagined(found, tasks=12, rows=24, seed=5)]
        return float(np.std(levels))

    learned = "".join(f"[constants.{one.name}]\nsd = {one.sd / 20}\n" for one in twin.twin.calibratable)
    (tmp_path / "narrow.toml").write_text(f'[twin]\nrevision = 1\nbase = "mos2/1"\n\n{learned}')
    bench = tmp_path / "bench.toml"
    bench.write_text(bench.read_text().replace('"mos2/1"', '"narrow.toml"'))
    file = load_meta_file(tmp_path / "prior.toml")
    narrow = bound_twin(load_bench(bench), file.space, file.spec.targets)
    assert narrow is not None
    assert spread(narrow) < 0.5 * spread(twin)


def test_rows_in_which_the_twin_makes_nothing_are_none(tmp_path: Path) -> None:
    twin = bound(tmp_path)
    for _, rows in imagined(twin, tasks=3, rows=32, seed=0):
        asked: list[Configuration] = [row.configuration for row in rows]
        assert len(asked) <= 32
        assert all(np.isfinite(row.values["grain"]) for row in rows)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ('[[sources]]\ntwin = "bench.toml"\n', "twin of bench.toml needs tasks and rows"),
        (SOURCE + 'fidelity = "measured"\n', "twin of bench.toml is simulated; it cannot count as measured"),
        (SOURCE + 'family = "cdse"\n', "a source has one of campaigns, family, twin, files; this one has family and twin"),
    ],
)
def test_a_source_that_is_none_is_refused(tmp_path: Path, source: str, line: str) -> None:
    with pytest.raises(BadInput, match=re.escape(line)):
        load_meta_file(files(tmp_path, source))


def test_a_bench_without_a_twin_is_no_source(tmp_path: Path) -> None:
    file = load_meta_file(files(tmp_path))
    bench = tmp_path / "bench.toml"
    bench.write_text(bench.read_text().partition("[twin]")[0])
    with pytest.raises(BadInput, match=r"source twin of bench\.toml: the bench file names no twin"):
        read_tasks(file, FAMILIES)
