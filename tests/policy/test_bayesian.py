"""Bayesian optimisation learns from what was measured, in batches, with gaps, towards any objective."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from statistics import mean
from typing import Any

import pytest

from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import CategoricalParameter, ContinuousParameter, DiscreteParameter
from orchestrator.domain.records import Prediction
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.ports import Infeasible, Knowledge, Observation
from policies.bayesian import BayesianPolicy
from policies.registry import build_policy

PLANE = SearchSpace(
    parameters=(
        ContinuousParameter(name="T", unit="degC", min=100, max=300),
        ContinuousParameter(name="t", unit="s", min=10, max=90),
    )
)
YIELD = Objective(targets=(Target(name="y", goal="maximise"),))
QUICK = {"mc_samples": 64, "restarts": 2, "raw_samples": 64}

_LIMIT = 220.0
"""degC above which a test's recipes give nothing."""

Truth = Callable[[Configuration], dict[str, float]]


def bump(configuration: Configuration) -> dict[str, float]:
    x, z = (float(configuration["T"]) - 230) / 200, (float(configuration["t"]) - 30) / 80
    return {"y": 100 * math.exp(-12 * (x * x + z * z))}


def campaign(kind: str, objective: Objective, truth: Truth, *, experiments: int, seed: int, space: SearchSpace = PLANE) -> Knowledge:
    settings = QUICK if kind == "bayesian" else {}
    policy, known = build_policy(kind, space, objective, settings), Knowledge()
    for _ in range(experiments):
        (one,) = policy.propose(known, count=1, seed=seed)
        measured = Observation(one.configuration, truth(one.configuration))
        known = replace(known, observations=(*known.observations, measured), excluded=(*known.excluded, one.configuration))
    return known


def best(known: Knowledge, objective: Objective) -> float:
    scores = [objective.score_measured(one.values) for one in known.observations]
    return max(score for score in scores if score is not None)


@pytest.mark.long
def test_it_beats_random_search_on_a_smooth_function() -> None:
    bayesian = [best(campaign("bayesian", YIELD, bump, experiments=12, seed=seed), YIELD) for seed in range(3)]
    random = [best(campaign("random", YIELD, bump, experiments=12, seed=seed), YIELD) for seed in range(12)]
    assert min(bayesian) > 97
    assert mean(bayesian) > mean(random) + 5


def test_it_finds_a_value_to_match() -> None:
    wanted = Objective(targets=(Target(name="wavelength", unit="nm", goal="match", value=540, tolerance=2),))

    def wavelength(configuration: Configuration) -> dict[str, float]:
        return {"wavelength": 450 + 0.6 * (float(configuration["T"]) - 100) + 20 * math.log(float(configuration["t"]) / 10)}

    known = campaign("bayesian", wanted, wavelength, experiments=10, seed=0)
    assert min(abs(one.values["wavelength"] - 540) for one in known.observations) < 1


@pytest.mark.long
def test_it_trades_targets_against_each_other() -> None:
    both = Objective(targets=(Target(name="y", goal="maximise", low=0, high=100), Target(name="cost", goal="minimise", low=0, high=300)))

    def truth(configuration: Configuration) -> dict[str, float]:
        return {**bump(configuration), "cost": float(configuration["T"])}

    known = campaign("bayesian", both, truth, experiments=14, seed=1)
    # the optimum lies below 230 degC, where yield alone peaks
    top = max(known.observations, key=lambda one: float(both.score_measured(one.values) or -1))
    assert best(known, both) > 0.62
    assert 190 < float(top.configuration["T"]) < 230


def test_the_first_experiments_fill_the_space_and_say_so() -> None:
    policy = build_policy("bayesian", PLANE, YIELD, {"initial": 4, **QUICK})
    suggestions = policy.propose(Knowledge(), count=6, seed=0)
    assert [one.policy for one in suggestions] == ["sobol/1"] * 6
    assert suggestions[0].details == {"why": "space-filling design"}


def test_a_batch_may_end_the_design_and_begin_to_learn() -> None:
    policy = build_policy("bayesian", PLANE, YIELD, {"initial": 4, **QUICK})
    known = campaign("sobol", YIELD, bump, experiments=3, seed=0)
    assert [one.policy for one in policy.propose(known, count=3, seed=0)] == ["sobol/1", "bayesian/1", "bayesian/1"]


def test_without_a_measurement_of_every_target_the_design_goes_on_and_says_why() -> None:
    both = Objective(targets=(Target(name="a", goal="maximise", low=0, high=1), Target(name="b", goal="maximise", low=0, high=1)))
    known = Knowledge(observations=(Observation({"T": 150.0, "t": 20.0}, {"a": 0.5}),))
    (one,) = build_policy("bayesian", PLANE, both, {"initial": 1}).propose(known, count=1, seed=0)
    assert (one.policy, one.details) == ("sobol/1", {"why": "no measurement of b yet"})


def test_a_target_that_is_missing_in_some_rows_is_learned_from_the_others() -> None:
    both = Objective(targets=(Target(name="a", goal="maximise", low=0, high=1), Target(name="b", goal="maximise", low=0, high=1)))
    rows = (
        Observation({"T": 150.0, "t": 20.0}, {"a": 0.5}),
        Observation({"T": 200.0, "t": 40.0}, {"b": 0.2}),
        Observation({"T": 250.0, "t": 60.0}, {"a": 0.7, "b": 0.1}),
    )
    (one,) = build_policy("bayesian", PLANE, both, {"initial": 0, **QUICK}).propose(Knowledge(rows), count=1, seed=0)
    assert set(one.predicted) == {"a", "b"}


def test_pending_experiments_are_not_asked_for_again() -> None:
    policy = build_policy("bayesian", PLANE, YIELD, {"initial": 0, **QUICK})
    known = campaign("sobol", YIELD, bump, experiments=6, seed=0)
    (first,) = policy.propose(known, count=1, seed=0)
    (second,) = policy.propose(replace(known, pending=(first.configuration,)), count=1, seed=0)
    assert _distance(first.configuration, second.configuration) > 0.05


def test_the_members_of_a_batch_differ() -> None:
    known = campaign("sobol", YIELD, bump, experiments=6, seed=0)
    batch = build_policy("bayesian", PLANE, YIELD, {"initial": 0, **QUICK}).propose(known, count=3, seed=0)
    for index, one in enumerate(batch):
        assert all(_distance(one.configuration, other.configuration) > 0.02 for other in batch[:index])


def test_the_surroundings_of_an_infeasible_configuration_are_left() -> None:
    policy = build_policy("bayesian", PLANE, YIELD, {"initial": 0, **QUICK})
    known = campaign("sobol", YIELD, bump, experiments=6, seed=0)
    (first,) = policy.propose(known, count=1, seed=0)
    (second,) = policy.propose(replace(known, infeasible=(Infeasible(first.configuration),)), count=1, seed=0)
    assert _distance(first.configuration, second.configuration) > 0.05


def test_learned_feasibility_keeps_proposals_on_the_side_that_works_and_says_how_sure_it_is() -> None:
    """The best of the bump lies where a third of the plane gives nothing; the rule of surroundings walks into it."""
    known = campaign("sobol", YIELD, bump, experiments=24, seed=0)
    works = [one for one in known.observations if float(one.configuration["T"]) < _LIMIT]
    gone = [Infeasible(one.configuration, "it boils") for one in known.observations if float(one.configuration["T"]) >= _LIMIT]
    tried = Knowledge(observations=tuple(works), infeasible=tuple(gone), excluded=known.excluded)
    (ruled,) = build_policy("bayesian", PLANE, YIELD, {"initial": 0, **QUICK}).propose(tried, count=1, seed=0)
    (learned,) = build_policy("bayesian", PLANE, YIELD, {"initial": 0, "feasibility": "learned", **QUICK}).propose(tried, count=1, seed=0)
    assert float(learned.configuration["T"]) < _LIMIT <= float(ruled.configuration["T"])
    found = learned.details["feasible"]
    assert list(found["spared"]) == ["it boils"]
    assert 0.3 < found["probability"] == found["spared"]["it boils"] < 1
    assert "feasible" not in ruled.details


def test_what_was_carried_out_counts_as_made_also_where_its_value_is_not_known_yet() -> None:
    known = campaign("sobol", YIELD, bump, experiments=24, seed=0)
    works = [one for one in known.observations if float(one.configuration["T"]) < _LIMIT]
    gone = [Infeasible(one.configuration, "it boils") for one in known.observations if float(one.configuration["T"]) >= _LIMIT]
    late = tuple(one.configuration for one in works[3:])
    policy = build_policy("bayesian", PLANE, YIELD, {"initial": 0, "feasibility": "learned", **QUICK})
    assert isinstance(policy, BayesianPolicy)
    chances = []
    for spared in ((), late):
        found = policy._learned(Knowledge(observations=tuple(works[:3]), infeasible=tuple(gone), spared=spared))
        assert found is not None
        chances.append(float(found.log_probability(policy._encoding.encode(late).unsqueeze(1)).mean()))
    everything = policy._learned(Knowledge(observations=tuple(works), infeasible=tuple(gone)))
    assert everything is not None
    assert chances[0] < chances[1] - 0.1
    assert chances[1] == pytest.approx(float(everything.log_probability(policy._encoding.encode(late).unsqueeze(1)).mean()), abs=1e-9)


def test_where_nothing_but_the_infeasible_is_left_it_is_asked_for_again() -> None:
    space = SearchSpace(parameters=(ContinuousParameter(name="x", min=0.0, max=1.0, resolution=0.4),))
    gone = tuple(Infeasible({"x": x}) for x in (0.0, 0.2, 0.8, 1.0))
    known = Knowledge(observations=(Observation({"x": 0.5}, {"yield": 1.0}),), infeasible=gone)
    objective = Objective(targets=(Target(name="yield", goal="maximise"),))
    for feasibility in ({}, {"feasibility": "learned"}):
        policy = build_policy("bayesian", space, objective, {"initial": 0, **feasibility, **QUICK})
        assert len(policy.propose(known, count=1, seed=0)) == 1


def test_learned_feasibility_changes_nothing_while_nothing_was_infeasible() -> None:
    known = campaign("sobol", YIELD, bump, experiments=6, seed=0)
    plain, learned = (
        build_policy("bayesian", PLANE, YIELD, {"initial": 0, **more, **QUICK}).propose(known, count=2, seed=0)
        for more in ({}, {"feasibility": "learned"})
    )
    assert plain == learned


def _distance(left: Configuration, right: Configuration) -> float:
    return math.hypot((float(left["T"]) - float(right["T"])) / 200, (float(left["t"]) - float(right["t"])) / 80)


def test_one_measurement_is_enough_to_go_on() -> None:
    known = Knowledge(observations=(Observation({"T": 150.0, "t": 20.0}, {"y": 55.0}),))
    (one,) = build_policy("bayesian", PLANE, YIELD, {"initial": 0, **QUICK}).propose(known, count=1, seed=0)
    assert one.policy == "bayesian/1"


def test_repeated_and_constant_measurements_are_taken() -> None:
    rows = tuple(Observation({"T": 150.0, "t": 20.0}, {"y": 0.0}) for _ in range(4))
    known = Knowledge(observations=(*rows, Observation({"T": 250.0, "t": 60.0}, {"y": 0.0})))
    (one,) = build_policy("bayesian", PLANE, YIELD, {"initial": 0, **QUICK}).propose(known, count=1, seed=0)
    assert PLANE.complaint(one.configuration) is None


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_the_unit_of_a_target_does_not_change_what_is_proposed(unit: float) -> None:
    plain = campaign("sobol", YIELD, bump, experiments=6, seed=0)
    scaled = tuple(replace(one, values={"y": unit * one.values["y"]}) for one in plain.observations)
    policy = build_policy("bayesian", PLANE, YIELD, {"initial": 0, **QUICK})
    (here,) = policy.propose(plain, count=1, seed=0)
    (there,) = policy.propose(replace(plain, observations=scaled), count=1, seed=0)
    assert _distance(here.configuration, there.configuration) < 0.01
    assert there.predicted["y"].sd == pytest.approx(unit * here.predicted["y"].sd, rel=0.05)


def test_a_prediction_is_of_a_new_measurement_noise_included() -> None:
    level = tuple(
        Observation({"T": 100.0 + 20 * index, "t": 10.0 + 8 * index}, {"y": 50.0 + (-1) ** index}, {"y": 3.0}) for index in range(8)
    )
    (one,) = build_policy("bayesian", PLANE, YIELD, {"initial": 0, **QUICK}).propose(Knowledge(level), count=1, seed=0)
    assert isinstance(one.predicted["y"], Prediction)
    assert one.predicted["y"].mean == pytest.approx(50, abs=3)
    assert one.predicted["y"].sd > 3.0


def test_the_details_are_json() -> None:
    known = campaign("sobol", YIELD, bump, experiments=4, seed=0)
    (one,) = build_policy("bayesian", PLANE, YIELD, {"initial": 0, **QUICK}).propose(known, count=1, seed=0)
    details: dict[str, Any] = json.loads(json.dumps(one.details))
    assert details["fit"]["y"]["points"] == 4
    assert details["surrogate"] == "gp/1"


def test_a_batch_holds_each_configuration_of_a_finite_space_once_and_is_smaller_where_there_are_no_more() -> None:
    space = SearchSpace(
        parameters=(DiscreteParameter(name="n", values=(1, 2)), CategoricalParameter(name="solvent", categories=("DMF", "THF")))
    )
    known = Knowledge(observations=(Observation({"n": 1.0, "solvent": "DMF"}, {"y": 1.0}),))
    batch = build_policy("bayesian", space, YIELD, {"initial": 0, **QUICK}).propose(known, count=6, seed=0)
    assert len({space.key(one.configuration) for one in batch}) == len(batch) == 4
    running = replace(known, pending=tuple(one.configuration for one in batch))
    assert build_policy("bayesian", space, YIELD, {"initial": 0, **QUICK}).propose(running, count=1, seed=0) == ()


def test_log_ei_also_copes_with_batches_and_pending_experiments() -> None:
    known = campaign("sobol", YIELD, bump, experiments=6, seed=0)
    policy = build_policy("bayesian", PLANE, YIELD, {"initial": 0, "acquisition": "log-ei", **QUICK})
    first, second = policy.propose(known, count=2, seed=0)
    assert _distance(first.configuration, second.configuration) > 0.02


def test_degrees_of_freedom_count_a_composition_without_its_last_share() -> None:
    space = SearchSpace.model_validate(
        {"parameters": [{"kind": "composition", "name": "a", "components": ["Ni", "Fe", "Co"]}, PLANE.parameters[0]]}
    )
    assert space.freedom == 3
