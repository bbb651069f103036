import json
from pathlib import Path

import pytest

from benchmarks import policies
from benchmarks.latency import DRAWN, Case, cdse_case, chart, measured, pool_case, quantile
from benchmarks.plain_botorch import PlainBotorch
from benchmarks.replay import initial_rows, replay, row_of
from benchmarks.tasks import RecordedTask, load_tasks
from orchestrator.errors import BadInput
from policies.random_search import RandomPolicy
from policies.settings import BATCHED
from tests.recorded.tables import data_dir


def barrel() -> RecordedTask:
    (task,) = load_tasks(data_dir(), ["crossed-barrel"])
    return task


def test_all_policies_start_from_the_same_rows_that_task_and_seed_fix() -> None:
    task = barrel()
    assert initial_rows(task, seed=3, count=5) == initial_rows(barrel(), seed=3, count=5)
    assert initial_rows(task, seed=3, count=5) != initial_rows(task, seed=4, count=5)


def test_a_replay_never_asks_for_a_candidate_twice_and_is_repeatable() -> None:
    task = barrel()
    policy = RandomPolicy(task.pool.space)
    first = replay(task, policy, seed=1, initial=5, budget=60)
    assert len(set(first.scores)) == 60
    assert replay(task, policy, seed=1, initial=5, budget=60).scores == first.scores


def test_a_whole_pool_ends_at_its_best() -> None:
    (task,) = load_tasks(data_dir(), ["cn-coupling-s1"])
    outcome = replay(task, RandomPolicy(task.pool.space), seed=1, initial=5, budget=240)
    row = row_of("random", task, 1, outcome, initial=5)
    assert sorted(outcome.scores) == sorted(task.scores)
    assert row["best_so_far"][-1] == max(task.scores)  # type: ignore[index]  # a list
    assert row["regret"][-1] == 0.0  # type: ignore[index]  # a list


def test_a_minimised_target_is_written_in_its_own_unit() -> None:
    (task,) = load_tasks(data_dir(), ["oer-plate-3496"])
    outcome = replay(task, RandomPolicy(task.pool.space), seed=1, initial=5, budget=8)
    best = row_of("random", task, 1, outcome, initial=5)["best_so_far"]
    assert isinstance(best, list)
    assert best == sorted(best, reverse=True)
    assert 0.34 < best[-1] < 0.75


def test_the_yardstick_proposes_rows_of_the_table_that_were_not_asked_for() -> None:
    task = barrel()
    outcome = replay(task, PlainBotorch(task.pool.space, task.file.objective), seed=1, initial=5, budget=7)
    assert len(set(outcome.scores)) == 7


def test_results_are_resumed_and_rows_of_another_setup_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "policies.json"
    common = ["--data", str(data_dir()), "--tasks", "crossed-barrel", "--policies", "random", "--json", str(out), "--resume"]
    assert policies.main([*common, "--seeds", "2"]) == 0
    first = json.loads(out.read_text())["rows"]
    assert policies.main([*common, "--seeds", "3", "--pictures", str(tmp_path)]) == 0
    assert json.loads(out.read_text())["rows"][:2] == first
    assert (tmp_path / "replay-crossed-barrel.svg").exists()
    document = json.loads(out.read_text())
    out.write_text(json.dumps({**document, "setup": {}}))
    capsys.readouterr()
    assert policies.main([*common, "--seeds", "3"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_an_unknown_task_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match="'barrel' is unknown; known: cn-coupling-s1, crossed-barrel, oer-plate-3496"):
        load_tasks(None, ["barrel"])


@pytest.mark.parametrize("case", [pool_case(), cdse_case()], ids=["pool", "cdse"])
def test_latency_cases_know_as_many_legal_measurements_as_they_say(case: Case) -> None:
    knowledge = measured(case, 20)
    assert len(knowledge.observations) == 20
    assert all(case.space.complaint(one.configuration) is None for one in knowledge.observations)
    assert all(set(one.values) == set(case.objective.names) for one in knowledge.observations)


def test_a_quantile_is_one_of_the_values() -> None:
    values = [float(n) for n in range(1, 11)]
    assert quantile(values, 0.9) == 9.0
    assert quantile([1.0], 0.9) == 1.0


def test_a_replay_that_never_reached_the_top_counts_one_more_than_it_had() -> None:
    def row(name: str, seed: int, area: float, reached: int | None) -> policies.Row:
        measured = {"regret_area": area, "experiments_to_top_5": reached, "latency_s": 0.5, "best_so_far": [1.0] * 30}
        return {"surrogate": name, "task": "t", "seed": seed, **measured}

    rows = [row("athanor", 0, 0.1, 4), row("athanor", 1, 0.2, None), row("plain-botorch", 0, 0.2, 10), row("plain-botorch", 1, 0.4, 20)]
    shown = policies.table(rows)
    assert "| t | athanor | 0.1500 | 15.0 | 1 | 0.5 | 2 |" in shown
    assert "- t: difference -0.15 [-0.2, -0.1], ratio 0.5 [0.5, 0.5]" in shown
    assert "- all tasks, geometric mean of the ratios: 0.5 [0.5, 0.5]" in shown


def test_the_latency_picture_has_one_line_per_case_of_todays_search() -> None:
    rows = [
        {"case": case, "policy": policy, "measurements": count, "median_s": count / size, "p90_s": count / 90}
        for case in (*DRAWN, "another")
        for policy, size in ((BATCHED, 100), ("bayesian/1", 10))
        for count in (10, 50)
    ]
    drawn = chart(rows, 1).lines
    assert [line.name for line in drawn] == list(DRAWN.values())
    assert all(line.y == (0.1, 0.5) for line in drawn)
