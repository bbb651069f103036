"""The Bayesian policy over a prior: it proposes before anything is measured, reuses what it adapted, and says what it used."""

import math

import pytest
import torch

from models.base import Learner
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import DiscreteParameter
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.ports import Knowledge, Observation
from policies.registry import build_policy
from tests.surrogate.family import NARROW, YIELD, BumpPrior, learner

QUICK = {"mc_samples": 64, "restarts": 2, "raw_samples": 64}
GRID = tuple({"t": 0.2 + 0.1 * i, "T": 100.0 + 20 * j} for i in range(14) for j in range(11))
TABLE = SearchSpace(parameters=NARROW.parameters, candidates=GRID)
FEW = SearchSpace(
    parameters=(
        DiscreteParameter(name="t", unit="min", values=(0.3, 0.6, 0.9, 1.2)),
        DiscreteParameter(name="T", unit="degC", values=(100, 150, 200, 250, 300)),
    )
)


def truth(row: Configuration) -> float:
    away = (float(row["T"]) / 400 - 0.5) ** 2 + (float(row["t"]) * 0.6 - 0.4) ** 2
    return 50 + 40 * math.exp(-8 * away)


def from_bump(row: Configuration) -> float:
    return math.hypot(float(row["T"]) / 400 - 0.5, float(row["t"]) * 0.6 - 0.4)


@pytest.mark.parametrize("acquisition", ["log-nei", "log-ei"])
@pytest.mark.parametrize("space", [NARROW, TABLE, FEW], ids=["open", "table", "few"])
def test_the_first_experiment_is_already_a_proposal_near_the_familys_optimum(space: SearchSpace, acquisition: str) -> None:
    policy = build_policy("bayesian", space, YIELD, {"acquisition": acquisition, **QUICK}, learner(space))
    (one,) = policy.propose(Knowledge(), count=1, seed=3)
    assert one.policy == "bayesian/1"
    assert one.predicted["y"].mean > 60
    assert from_bump(one.configuration) < 0.25
    assert one.details["prior"] == {"name": "bump", "sha256": "ab" * 32, "origin": "simulated"}
    assert one.details["fit"]["y"]["trust"] == 0.5


def test_a_space_filling_design_is_made_where_it_is_asked_for() -> None:
    policy = build_policy("bayesian", NARROW, YIELD, {"initial": 2, **QUICK}, learner())
    assert [one.policy for one in policy.propose(Knowledge(), count=3, seed=0)] == ["sobol/1", "sobol/1", "bayesian/1"]


def test_without_a_prior_the_design_is_as_it_was() -> None:
    assert build_policy("bayesian", NARROW, YIELD, {}).settings["initial"] == 3
    assert build_policy("bayesian", NARROW, YIELD, {}, learner()).settings["initial"] == 0


def test_a_batch_without_a_measurement_spreads() -> None:
    batch = build_policy("bayesian", TABLE, YIELD, dict(QUICK), learner(TABLE)).propose(Knowledge(), count=3, seed=0)
    assert len({TABLE.key(one.configuration) for one in batch}) == 3


def campaign(policy_learner: Learner | None, experiments: int) -> list[float]:
    policy, known = build_policy("bayesian", TABLE, YIELD, {"acquisition": "log-ei", **QUICK}, policy_learner), Knowledge()
    for _ in range(experiments):
        (one,) = policy.propose(known, count=1, seed=1)
        measured = (*known.observations, Observation(one.configuration, {"y": truth(one.configuration)}))
        known = Knowledge(measured, excluded=(*known.excluded, one.configuration), as_of=len(measured))
    return [one.values["y"] for one in known.observations]


def test_a_prior_that_fits_finds_the_optimum_sooner_than_a_model_without_history() -> None:
    top = max(truth(row) for row in GRID)
    with_prior, without = campaign(learner(TABLE), 4), campaign(None, 4)
    assert max(with_prior) > 0.99 * top
    assert max(with_prior) > max(without)


def test_no_row_of_a_table_is_proposed_twice_and_a_table_ends() -> None:
    space = SearchSpace(parameters=NARROW.parameters, candidates=GRID[:5])
    policy = build_policy("bayesian", space, YIELD, {"acquisition": "log-ei"}, learner(space))
    assert len({space.key(one.configuration) for one in policy.propose(Knowledge(), count=9, seed=0)}) == 5


def test_what_was_adapted_when_results_came_is_what_a_proposal_uses() -> None:
    sizes: list[int] = []
    policy = build_policy("bayesian", TABLE, YIELD, dict(QUICK), learner(TABLE, {"y": BumpPrior(calls=(sizes,))}))
    known = Knowledge((Observation(GRID[40], {"y": 70.0}), Observation(GRID[90], {"y": 60.0})))
    learned = policy.adapt(known)
    (one,) = policy.propose(known, count=1, seed=5)
    assert sizes == [2]
    assert learned["fit"] == one.details["fit"]
    assert learned["measurements"] == {"y": 2}


def test_a_fresh_process_computes_the_same_proposal() -> None:
    known = Knowledge((Observation(GRID[40], {"y": 70.0}), Observation(GRID[90], {"y": 60.0})))
    first = build_policy("bayesian", NARROW, YIELD, dict(QUICK), learner())
    first.adapt(known)
    (one,) = first.propose(known, count=1, seed=5)
    (again,) = build_policy("bayesian", NARROW, YIELD, first.settings, learner()).propose(known, count=1, seed=5)
    assert one == again


@pytest.mark.parametrize("with_prior", [True, False], ids=["prior", "fresh"])
def test_what_is_expected_of_given_values_is_what_a_proposal_of_them_says(with_prior: bool) -> None:
    policy = build_policy("bayesian", TABLE, YIELD, {"initial": 0, **QUICK}, learner(TABLE) if with_prior else None)
    known = Knowledge((Observation(GRID[40], {"y": 70.0}), Observation(GRID[90], {"y": 60.0})))
    proposed = policy.propose(known, count=2, seed=5)
    expected = policy.predict(known, [GRID[3], *(one.configuration for one in proposed)])
    assert expected[1:] == tuple(one.predicted for one in proposed)
    assert expected[0] != expected[1]


def test_a_policy_without_a_model_expects_nothing() -> None:
    assert build_policy("bayesian", TABLE, YIELD, {}).predict(Knowledge(), [GRID[0]]) == ()
    assert build_policy("random", TABLE, YIELD, {}).predict(Knowledge(), [GRID[0]]) == ()
    (before,) = build_policy("bayesian", TABLE, YIELD, {}, learner(TABLE)).predict(Knowledge(), [GRID[0]])
    assert set(before) == {"y"}, "a prior expects something before anything is measured"


def test_a_policy_without_a_prior_has_nothing_to_adapt() -> None:
    known = Knowledge((Observation(GRID[40], {"y": 70.0}),))
    assert build_policy("bayesian", TABLE, YIELD, {}).adapt(known) == {}
    assert build_policy("random", TABLE, YIELD, {}).adapt(known) == {}


def test_two_targets_are_weighed_against_each_other_from_the_first_experiment() -> None:
    both = Objective(
        targets=(Target(name="y", unit="%", goal="match", value=60, tolerance=2), Target(name="z", goal="maximise", low=0, high=100))
    )
    priors = {"y": BumpPrior(), "z": BumpPrior(1.0)}
    (one,) = build_policy("bayesian", TABLE, both, dict(QUICK), learner(TABLE, priors)).propose(Knowledge(), count=1, seed=0)
    assert set(one.predicted) == {"y", "z"}
    assert math.isfinite(one.acquisition or math.nan)
    assert torch.get_num_threads() == 1
