"""Campaigns where a third gives nothing are counted as the page says, on tasks of which a third gives nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from typing_extensions import override

from benchmarks import feasibility
from benchmarks.feasibility import LEARNED, RULE, SHARE, SONOCHEMICAL, SimulatedTask, Task, area, campaign, late_share, pairs_of, table
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import ContinuousParameter
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.ports import Observation


@dataclass(frozen=True)
class Line(Task):
    """A line that rises up to where nothing is left to measure."""

    @property
    @override
    def name(self) -> str:
        return "line"

    @property
    @override
    def space(self) -> SearchSpace:
        rows = tuple({"x": float(place)} for place in range(30))
        return SearchSpace(parameters=(ContinuousParameter(name="x", min=0, max=29),), candidates=rows)

    @property
    @override
    def objective(self) -> Objective:
        return Objective(targets=(Target(name="y", goal="maximise"),))

    @override
    def reason(self, place: int) -> str | None:
        return "too much" if place >= 20 else None

    @override
    def observe(self, place: int, generator: np.random.Generator) -> Observation:
        return Observation({"x": float(place)}, self.truth(place))

    @override
    def truth(self, place: int) -> Mapping[str, float]:
        return {"y": float(place)}


def row(arm: str, task: str, seed: int, infeasible: list[int], regret: float) -> dict[str, object]:
    return {"arm": arm, "task": task, "seed": seed, "share": 0.36, "infeasible": infeasible, "regret": [1.0] * 5 + [regret] * 35}


def test_a_campaign_counts_what_gave_nothing_and_the_regret_of_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feasibility, "EXPERIMENTS", 12)
    for arm in (RULE, LEARNED):
        found = campaign(Line(), arm, 0)
        assert found["share"] == pytest.approx(1 / 3, abs=1e-4)
        assert len(found["regret"]) == 12
        assert found["regret"] == sorted(found["regret"], reverse=True)
        assert found["regret"][-1] < 0.1
        assert 0 < len(found["infeasible"]) < 12


def test_the_first_fifteen_do_not_count_and_pairs_are_of_one_task_and_seed() -> None:
    rows = [row(RULE, "cdse/0", 0, [3, 15, 16, 40], 0.2), row(LEARNED, "cdse/0", 0, [16], 0.1), row(RULE, "cdse/0", 1, [], 0.2)]
    assert late_share(rows[0]) == 2 / 25
    assert area(rows[1]) == pytest.approx(0.1)
    assert pairs_of(rows, "cdse/", late_share) == {"cdse/0": [(1 / 25, 2 / 25)]}
    assert "| CdSe, widened (1) | 1 | 36 % | 8 % | 4 % | 0.5 [0.5, 0.5] | 0.5 [0.5, 0.5] |" in table(rows)


def test_a_third_of_a_simulated_task_gives_nothing_for_more_than_one_reason() -> None:
    task = SimulatedTask(100)
    places = range(len(task.space.candidates or ()))
    reasons = [reason for place in places if (reason := task.reason(place))]
    assert len(reasons) / len(places) == pytest.approx(SHARE, abs=0.01)
    assert len(set(reasons)) > 1
    assert sum(score is None for score in task.scores) == len(reasons)


def test_another_table_than_the_named_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=SONOCHEMICAL):
        feasibility.sonochemical_table(tmp_path)
