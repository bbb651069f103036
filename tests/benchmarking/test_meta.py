from typing import Any

import pytest

from benchmarks.meta import area, kin_tasks, pairs_of, report, to_top
from benchmarks.metrics import floored_ratio


def made(surrogate: str, task: str, seed: int, size: float, *, leave: str = "task", top: int | None = 2) -> dict[str, Any]:
    judged = {"coverage": {"5": 0.9}, "interval_score": {"5": 2.0}, "log_score": {"5": -1.0}, "width": {"5": 1.5}}
    return {
        "surrogate": surrogate, "task": task, "seed": seed, "leave": leave, "initial": 3, "budget": 25, "code": "1+a",
        "regret_area": size, "experiments_to_top_5": top, "latency_s": 0.1, "latency_worst_s": 0.2, "latency_cpu_s": 0.1,
        **judged, "random_support": judged,
    }  # fmt: skip


def rows() -> list[dict[str, Any]]:
    fresh = [made("fresh-gp", task, seed, 0.2, leave="any", top=8) for task in ("t", "u") for seed in range(3)]
    mine = [made("mine", task, seed, 0.1) for task in ("t", "u") for seed in range(2)]
    copied = [made("copy", "t", 0, 0.05), made("copy", "u", 0, 0.4)]
    return [*fresh, *mine, *copied]


def test_only_seeds_that_both_have_are_paired() -> None:
    assert pairs_of(rows(), "mine", area) == {"t": [(0.1, 0.2)] * 2, "u": [(0.1, 0.2)] * 2}


def test_tiny_areas_count_as_the_floor() -> None:
    assert floored_ratio([(0.0, 0.001)]) == 1.0
    assert floored_ratio([(0.01, 0.0)]) == pytest.approx(2.0)


def test_a_family_is_kin_where_copying_beats_the_fresh_gp() -> None:
    assert kin_tasks(rows()) == ["t"]


def test_a_replay_that_never_reached_the_top_counts_one_more_than_there_were() -> None:
    assert to_top(made("mine", "t", 0, 0.1, top=None)) == 23.0


def test_the_report_shows_ratios_calibration_and_kin_apart() -> None:
    text = report(rows())
    assert "| mine | 2 | 0.5 [0.5, 0.5] | 0.25 [0.25, 0.25] |" in text
    assert "| mine | 1 | - | - | +0 | - | - |" in text
    assert "kin: copying beats the fresh GP (t)" in text
    assert "| mine | 90 % | - | - | 90 % | - | - | 1 | - | - |" in text
