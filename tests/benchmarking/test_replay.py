from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from typing_extensions import override

from flows.studies.benchmark.replay import ReplayCourse, choose, generator_for, initial_candidates, replay_pool
from flows.studies.benchmark.rows import Results
from flows.studies.benchmark.running import Benchmark, BenchmarkChoice, prepare
from models.peers.baselines import BASELINES, NoModel
from models.tasks import Family, MetaLearner, Prior, ReportProgress, TaskData
from orchestrator.errors import BadInput
from tests.benchmarking.family import benchmark_file, small_suite, write_family

pytestmark = pytest.mark.slow


@dataclass
class Recording(MetaLearner):
    """Remembers what it was shown."""

    seen: list[tuple[str, ...]]

    @override
    def meta_train(
        self, tasks: Sequence[TaskData], family: Family, *, generator: torch.Generator, report: ReportProgress | None = None
    ) -> Prior:
        self.seen.append(tuple(task.name for task in tasks))
        return BASELINES["copy"]().meta_train(tasks, family, generator=generator)


def bench(folder: Path, choice: BenchmarkChoice, **changes: str) -> Benchmark:
    write_family(folder)
    return prepare(benchmark_file(folder, **changes), folder, choice)


def test_initial_rows_depend_on_task_and_seed_alone() -> None:
    assert initial_candidates("s1", 0, of=50, count=3) == initial_candidates("s1", 0, of=50, count=3)
    assert initial_candidates("s1", 0, of=50, count=3) != initial_candidates("s1", 1, of=50, count=3)
    assert initial_candidates("s1", 0, of=50, count=3) != initial_candidates("s2", 0, of=50, count=3)


@pytest.mark.parametrize("name", list(BASELINES))
@pytest.mark.parametrize("initial", [0, 3])
def test_every_baseline_replays_without_asking_twice_and_repeatably(name: str, initial: int, tmp_path: Path) -> None:
    suite = small_suite(tmp_path)
    sources = (suite.pools["three"].data,)

    def once() -> tuple[int, ...]:
        prior = BASELINES[name]().meta_train(sources, suite.family, generator=torch.Generator().manual_seed(0))
        return replay_pool(prior, suite.pools["one"], ReplayCourse(seed=1, initial=initial, budget=6)).chosen

    chosen = once()
    assert len(set(chosen)) == len(chosen) == 6
    assert chosen == once()


def test_without_initial_rows_a_surrogate_without_history_opens_with_three_random_ones(tmp_path: Path) -> None:
    pool = small_suite(tmp_path).pools["one"]
    prior = BASELINES["fresh-gp"]().meta_train((), small_suite(tmp_path).family, generator=torch.Generator())
    found = replay_pool(prior, pool, ReplayCourse(seed=4, initial=0, budget=5))
    assert list(found.chosen[:3]) == initial_candidates("one", 4, of=12, count=3)
    assert len(found.latencies) == 2


def test_random_choice_takes_only_what_is_left_and_uses_the_generator() -> None:
    X, values = torch.rand(10, 2, dtype=torch.float64), torch.zeros(10, dtype=torch.float64)
    picks = {choose(NoModel(), X, values, list(range(8)), count=1, generator=generator_for("t", seed, 8))[0] for seed in range(20)}
    assert picks == {8, 9}


def test_a_prior_is_trained_once_per_judged_task_and_never_sees_it_or_its_group(tmp_path: Path) -> None:
    write_family(tmp_path)
    learner = Recording([])
    base = bench(tmp_path, BenchmarkChoice(surrogates=("copy",), leave="group"))
    made = Benchmark(base.file, base.suite, BenchmarkChoice(surrogates=("recording",), leave="group"), {"recording": lambda: learner})
    list(made.run(Results(tmp_path / "out.json")))
    assert learner.seen == [("three",), ("three",)]


def test_rows_are_resumed_by_key_and_computed_again_only_when_asked(tmp_path: Path) -> None:
    made = bench(tmp_path, BenchmarkChoice(surrogates=("random",)))
    results = Results.open(tmp_path / "out.json")
    first = list(made.run(results))
    assert len(first) == 4
    assert first[0]["leave"] == "any"
    again = Results.open(tmp_path / "out.json")
    assert again.rows == first
    assert made.missing(again) == []
    fresh = bench(tmp_path, BenchmarkChoice(surrogates=("random",), fresh=True))
    assert len(fresh.missing(again)) == 4


def test_a_learners_row_of_other_code_is_kept_and_counts_as_missing(tmp_path: Path) -> None:
    made = bench(tmp_path, BenchmarkChoice(surrogates=("copy",), seeds=1))
    learner = Benchmark(made.file, made.suite, BenchmarkChoice(surrogates=("mine",), seeds=1), {"mine": BASELINES["copy"]}, code="new")
    results = Results.open(tmp_path / "out.json")
    old = Benchmark(made.file, made.suite, BenchmarkChoice(surrogates=("mine",), seeds=1), {"mine": BASELINES["copy"]}, code="old")
    list(old.run(results))
    assert len(learner.missing(results)) == 2
    list(learner.run(results))
    assert sorted(row["code"] for row in results.rows) == ["new", "new", "old", "old"]


def test_regret_falls_to_zero_when_the_best_candidate_is_found(tmp_path: Path) -> None:
    made = bench(tmp_path, BenchmarkChoice(surrogates=("fresh-gp",), seeds=1, tasks=("one",)))
    row = made.row(next(made.keys()))
    assert len(row["best_so_far"]) == row["budget"] == 8
    assert row["regret"] == sorted(row["regret"], reverse=True)
    assert row["regret_area"] == pytest.approx(sum(row["regret"][3:]) / 5, abs=1e-6)
    assert set(row["coverage"]) == {"5"}
    assert set(row["random_support"]["coverage"]) == {"5", "10"}


@pytest.mark.parametrize(
    ("choice", "line"),
    [
        (BenchmarkChoice(surrogates=("nobody",)), "surrogate 'nobody' is unknown; known: random"),
        (BenchmarkChoice(tasks=("three",)), "task 'three' is not judged"),
        (BenchmarkChoice(initial=8), "leaves nothing after 8 initial rows"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_computed(tmp_path: Path, choice: BenchmarkChoice, line: str) -> None:
    with pytest.raises(BadInput, match=line):
        bench(tmp_path, choice)


def test_a_file_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text('{"rows": [{"task": "s1"}]}')
    with pytest.raises(BadInput, match="holds no benchmark rows"):
        Results.open(tmp_path / "out.json")
