"""Campaigns end for a stated reason."""

from orchestrator.domain.objective import Objective, Target
from orchestrator.ports import Knowledge, Observation
from policies.stopping import BudgetSpent, GoalReached

OBJECTIVE = Objective(
    targets=(Target(name="a", goal="maximise", low=0, high=10), Target(name="b", goal="minimise", low=0, high=10)),
)


def test_the_budget_counts_measured_and_infeasible_experiments_but_not_pending_ones() -> None:
    measured, spoilt = Observation({"x": 1.0}, {"a": 1.0}), {"x": 2.0}
    assert BudgetSpent(3).reason(Knowledge(observations=(measured,), infeasible=(spoilt,), pending=(spoilt,))) is None
    reason = BudgetSpent(2).reason(Knowledge(observations=(measured,), infeasible=(spoilt,)))
    assert reason == "budget spent: 2 of 2 experiments"


def test_a_goal_is_reached_by_one_experiment_with_all_targets() -> None:
    rule = GoalReached(OBJECTIVE, score=0.8)
    partial, poor = Observation({"x": 1.0}, {"a": 10.0}), Observation({"x": 1.0}, {"a": 5.0, "b": 5.0})
    assert rule.reason(Knowledge()) is None
    assert rule.reason(Knowledge(observations=(partial, poor))) is None
    good = Observation({"x": 1.0}, {"a": 9.0, "b": 1.0})
    assert rule.reason(Knowledge(observations=(partial, poor, good))) == "goal reached: score 0.9, wanted 0.8"
