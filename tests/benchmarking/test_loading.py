from pathlib import Path

import pytest
import torch

from flows.cli.study_commands import benchmark
from flows.studies.benchmark.loading import load_suite
from flows.studies.benchmark.spec import load_benchmark
from flows.studies.benchmark.split import sources_for
from orchestrator.errors import BadInput
from tests.benchmarking.family import benchmark_file, small_suite, write_family

EXAMPLES = Path(__file__).parents[2] / "examples" / "benchmarks"


def test_equal_configurations_are_one_candidate_and_are_judged_by_their_mean(tmp_path: Path) -> None:
    pool = small_suite(tmp_path).pools["one"]
    assert len(pool.candidates) == 12
    assert pool.replicates[0] == (0.0, 0.5)
    assert pool.scores[0] == 0.25
    assert len(pool.data.Y) == 13


def test_a_measurement_is_one_of_the_records_and_depends_on_the_seed_alone(tmp_path: Path) -> None:
    pool = small_suite(tmp_path).pools["one"]
    drawn = {float(pool.measured(seed)[0]) for seed in range(20)}
    assert drawn == {0.0, 0.5}
    assert torch.equal(pool.measured(3), pool.measured(3))


def test_a_task_whose_values_do_not_vary_is_named_and_cannot_be_judged(tmp_path: Path) -> None:
    assert small_suite(tmp_path).constant == ()
    path = tmp_path / "family.csv"
    for task in ("three", "two"):
        lines = path.read_text().splitlines()
        path.write_text("\n".join(f"{line[: line.rindex(',')]},7" if line.startswith(task) else line for line in lines))
        if task == "three":
            (line,) = load_suite(benchmark_file(tmp_path), tmp_path).constant
            assert line.startswith("task three: y is constant: 13 values of 7")
    with pytest.raises(BadInput, match="all candidates of task two are worth 7"):
        load_suite(benchmark_file(tmp_path), tmp_path)


def test_a_target_to_be_minimised_is_negated(tmp_path: Path) -> None:
    up, down = small_suite(tmp_path).pools["two"], small_suite(tmp_path, goal="minimise").pools["two"]
    assert up.scores == tuple(-score for score in down.scores)


def test_neither_the_judged_task_nor_its_group_is_among_the_sources(tmp_path: Path) -> None:
    pools = small_suite(tmp_path).pools
    assert [one.name for one in sources_for(pools, "one", leave="task", identical="keep")] == ["two", "three"]
    assert [one.name for one in sources_for(pools, "one", leave="group", identical="keep")] == ["three"]


def test_source_rows_that_equal_a_judged_candidate_are_dropped(tmp_path: Path) -> None:
    suite = small_suite(tmp_path)
    with pytest.raises(BadInput, match="no task is left to learn from"):
        sources_for(suite.pools, "one", leave="task", identical="drop")


def test_a_group_column_need_not_exist_but_leave_group_needs_it(tmp_path: Path) -> None:
    assert {pool.group for pool in small_suite(tmp_path, group="").pools.values()} == {None}
    with pytest.raises(BadInput, match="needs declared groups"):
        benchmark_file(tmp_path, group="", leave="group")
    with pytest.raises(BadInput, match="nobody declared that of one"):
        sources_for(small_suite(tmp_path, group="").pools, "one", leave="group", identical="keep")


def test_descriptors_of_categories_come_from_the_columns_beside_them(tmp_path: Path) -> None:
    suite = small_suite(tmp_path, descriptors='descriptors = ["weight"]')
    assert suite.family.features.descriptors == {"kind": {"a": (1.5,), "b": (2.5,)}}
    assert suite.family.features.width == 2


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('judge = ["one", "two"]', 'judge = ["four"]', "judged task 'four' is not in the data; there are one, two, three"),
        ('y = "response"', 'y = "answer"', "has no column 'answer'"),
        ("budget = 8", "budget = 40", "task one has 12 candidates; a budget of 40 is too much"),
        ("budget = 8", "budget = 3", "budget 3 leaves nothing after 3 initial rows"),
        ("max = 1", "max = 0.5", "x = 0.58333.* is outside 0 to 0.5"),
        ("seeds = 2", "sseeds = 2", "unknown key run.sseeds"),
        ('"family.csv"', '"nowhere.csv"', "nowhere.csv does not exist"),
        ('identical = "keep"', 'identical = "maybe"', "split.identical = 'maybe'"),
    ],
)
def test_a_bad_file_gives_one_clear_line(tmp_path: Path, old: str, new: str, line: str) -> None:
    write_family(tmp_path)
    text = benchmark_file(tmp_path).path.read_text()
    assert old in text
    (tmp_path / "bad.toml").write_text(text.replace(old, new))
    with pytest.raises(BadInput, match=line) as caught:
        load_suite(load_benchmark(tmp_path / "bad.toml"), tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_example_files_are_sound(path: Path) -> None:
    assert load_benchmark(path).spec.run.seeds >= 5


def test_the_command_keeps_rows_in_a_file_and_computes_none_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_family(tmp_path)
    file = benchmark_file(tmp_path).path
    for _ in range(2):
        benchmark(file, tmp_path / "out.json", tmp_path, seeds=1, surrogates="random", tasks="one")
    printed = capsys.readouterr().out
    assert "0 rows are there" in printed
    assert "1 rows are there, 0 of them of another version of the code; 0 to compute" in printed
    with pytest.raises(BadInput, match="--leave nothing is unknown"):
        benchmark(file, tmp_path / "out.json", tmp_path, leave="nothing")
