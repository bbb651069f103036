import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typing_extensions import override

from benchmarks.cold.__main__ import replay as cold_replay
from benchmarks.cold.tasks import ColdTask
from benchmarks.metrics import best_so_far, regret_area
from benchmarks.peers.cases import case_of, cases_of, cold_case, drawn
from benchmarks.peers.replaying import Case, Draw, Entrant, Kept, Measured, replay
from flows.studies.benchmark.loading import load_suite
from flows.studies.benchmark.replay import Replay, ReplayCourse, initial_candidates
from flows.studies.benchmark.rows import Results, make_row
from models.gaussian_processes.kernels import Layout
from models.inputs.encoding import Encoding
from models.tasks import TaskData
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from tests.benchmarking.family import benchmark_file, write_family


class NextOne:
    """Takes the first candidate that is left."""

    def __init__(self, case: Case, _: Draw) -> None:
        self.left = list(range(len(case["scores"])))
        self.seen: list[tuple[int, float]] = []

    def propose(self, new: Measured) -> int:
        self.seen += new
        return min(set(self.left) - {index for index, _ in self.seen})


NEXT = Entrant("next", "next-1", NextOne)


def made(folder: Path, *, leave: str = "group", goal: str = "maximise") -> dict[str, Any]:
    write_family(folder)
    file = benchmark_file(folder, leave=leave, goal=goal)
    (case,) = cases_of(file, load_suite(file, folder), leave=file.spec.split.leave, tasks=["one"], seeds=2)
    found: dict[str, Any] = json.loads(json.dumps(case))
    return found


def test_a_case_holds_the_pool_and_only_the_sources_that_the_split_allows(tmp_path: Path) -> None:
    case = made(tmp_path)
    assert case["parameters"] == [{"name": "x", "categories": None}, {"name": "kind", "categories": ["a", "b"]}]
    assert case["candidates"]["kind"] == list("ab" * 6)
    assert case["candidates"]["x"][3] == pytest.approx(0.25)
    assert [one["task"] for one in case["seeds"][0]["sources"]] == ["three"]
    assert [one["task"] for one in made(tmp_path, leave="task")["seeds"][0]["sources"]] == ["two", "three"]


def test_a_case_has_the_first_experiments_and_measured_values_of_our_own_replays(tmp_path: Path) -> None:
    write_family(tmp_path)
    file = benchmark_file(tmp_path)
    pool = load_suite(file, tmp_path).pools["one"]
    for draw in made(tmp_path)["seeds"]:
        assert draw["initial"] == initial_candidates("one", draw["seed"], of=12, count=3)
        assert draw["measured"] == pool.measured(draw["seed"]).tolist()


def test_a_target_to_be_minimised_is_turned_into_a_score(tmp_path: Path) -> None:
    up, down = made(tmp_path), made(tmp_path, goal="minimise")
    assert down["scores"] == [-value for value in up["scores"]]
    assert (up["sign"], down["sign"]) == (1.0, -1.0)


def test_source_rows_are_drawn_evenly_and_what_small_sources_leave_goes_to_the_larger_ones() -> None:
    sizes = {"large": 50, "small": 3, "other": 40}
    sources = [TaskData(name, torch.zeros(size, 1), torch.arange(float(size))) for name, size in sizes.items()]
    found = drawn(sources, 21, random.Random(0))
    assert {one.name: len(one.Y) for one in found} == {"large": 9, "small": 3, "other": 9}
    assert all(len(set(one.Y.tolist())) == len(one.Y) for one in found)


@pytest.mark.parametrize("goal", ["maximise", "minimise"])
def test_a_peers_row_counts_what_our_rows_count(tmp_path: Path, goal: str) -> None:
    case = made(tmp_path, goal=goal)
    row = replay(NEXT, case, case["seeds"][1])
    file = benchmark_file(tmp_path, goal=goal)
    pool = load_suite(file, tmp_path).pools["one"]
    first = initial_candidates("one", 1, of=12, count=3)
    chosen = (*first, *(index for index in range(12) if index not in first))[:8]
    course, found = ReplayCourse(seed=1, initial=3, budget=8), Replay(chosen, (1.0,), (1.0,), {})
    ours = make_row(("next", "one", 1, "group", 3), pool, course, found, {}, sign=case["sign"], code="next-1")
    timed = {"latency_s", "latency_worst_s", "latency_cpu_s"}
    assert {name: value for name, value in ours.items() if name not in {*timed, "random_support"}} == {
        name: value for name, value in row.items() if name not in timed
    }


def test_rows_are_kept_one_by_one_and_known_again(tmp_path: Path) -> None:
    case, path = made(tmp_path), tmp_path / "peers.json"
    kept = Kept.open(path)
    kept.add(replay(NEXT, case, case["seeds"][0]))
    again = Kept.open(path)
    assert again.holds(NEXT, case, 0)
    assert not again.holds(NEXT, case, 1)
    assert not again.holds(Entrant("next", "next-2", NextOne), case, 0)
    assert Results.open(path).rows == kept.rows


def test_a_peer_that_asks_for_a_measured_candidate_is_refused(tmp_path: Path) -> None:
    class Stubborn(NextOne):
        @override
        def propose(self, new: Measured) -> int:
            return new[0][0]

    case = made(tmp_path)
    with pytest.raises(RuntimeError, match=r"stubborn: candidate .* of one was measured already"):
        replay(Entrant("stubborn", "1", Stubborn), case, case["seeds"][0])


def test_source_rows_differ_from_seed_to_seed_and_stay_the_same_of_one(tmp_path: Path) -> None:
    write_family(tmp_path, rows=400)
    file = benchmark_file(tmp_path)
    suite = load_suite(file, tmp_path)
    sources = [suite.pools["three"].data]
    one, again = (case_of(file, suite.pools["one"], sources, leave="group", seeds=2) for _ in range(2))
    assert one == again
    assert one["seeds"][0]["sources"] != one["seeds"][1]["sources"]
    assert len(one["seeds"][0]["sources"][0]["scores"]) == 300


def cold_task(*, space: bool = True) -> ColdTask:
    shares = [{"mix.a": a / 10, "mix.b": 1 - a / 10, "kind": kind} for a in range(10) for kind in ("p", "q")]
    mixture = CompositionParameter(name="mix", components=("a", "b"))
    known = SearchSpace(parameters=(mixture, CategoricalParameter(name="kind", categories=("p", "q"))), candidates=tuple(shares))
    replicates = tuple((place * 7.0 % 20, place * 7.0 % 20 + 0.5) for place in range(len(shares)))
    X = Encoding(known).encode(known.candidates or ())
    kinds = ("composition", "composition", "category")
    return ColdTask("t", "f", Layout((0, 1, 2, 2), (slice(0, 4),)), kinds, X, replicates, known if space else None)


def test_a_cold_case_has_no_sources_and_the_first_rows_and_records_of_the_cold_replays() -> None:
    task = cold_task()
    case: dict[str, Any] = json.loads(json.dumps(cold_case(task, (1000, 1001))))
    assert [one["name"] for one in case["parameters"]] == ["mix.a", "mix.b", "kind"]
    assert [one["categories"] for one in case["parameters"]] == [None, None, ["p", "q"]]
    assert case["candidates"]["mix.b"][2:4] == [0.9, 0.9]
    assert case["candidates"]["kind"][2:4] == ["p", "q"]
    assert (case["budget"], case["leave"], case["scores"]) == (10, "all", list(task.scores))
    for draw in case["seeds"]:
        assert draw["sources"] == []
        assert draw["measured"] == task.measured(draw["seed"]).tolist()
        assert draw["initial"] == cold_replay(task, lambda *_: np.zeros(20), draw["seed"])[:5]
    assert case["seeds"][0]["initial"] != case["seeds"][1]["initial"]


def test_a_peers_cold_regret_is_counted_as_that_of_the_cold_replays() -> None:
    task = cold_task()
    case = cold_case(task, (1000,))
    row = replay(NEXT, case, case["seeds"][0])
    chosen = cold_replay(task, lambda *_: -np.arange(20.0), 1000)
    running = best_so_far([task.scores[index] for index in chosen])
    assert row["regret_area"] == pytest.approx(regret_area(running, task.scores, initial=5))


def test_a_cold_task_without_configurations_is_refused() -> None:
    with pytest.raises(BadInput, match=r"cold task 't' has no configurations; expected a task of the catalogue"):
        cold_case(cold_task(space=False), (0,))
