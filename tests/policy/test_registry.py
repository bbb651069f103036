"""Policies are built by name, and what is not known is refused with what is."""

import pytest

from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import ContinuousParameter
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from policies.registry import build_policy
from policies.settings import of_now, policy_choice

SPACE = SearchSpace(parameters=(ContinuousParameter(name="x", min=0, max=1),))
ONE = Objective(targets=(Target(name="y", goal="maximise"),))


@pytest.mark.parametrize(("kind", "name"), [("bayesian", "bayesian/1"), ("random", "random/1"), ("sobol", "sobol/1")])
def test_each_kind_builds_its_policy(kind: str, name: str) -> None:
    assert build_policy(kind, SPACE, ONE, {}).name == name


def test_an_equal_policy_is_built_from_a_policys_settings() -> None:
    policy = build_policy("bayesian", SPACE, ONE, {"restarts": 3, "acquisition": "log-ei"})
    assert policy.settings == {
        "initial": 3,
        "acquisition": "log-ei",
        "mc_samples": 256,
        "restarts": 3,
        "raw_samples": 256,
    }
    assert build_policy("bayesian", SPACE, ONE, policy.settings).settings == policy.settings


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match="unknown policy 'magic'; expected one of bayesian, random, sobol"):
        build_policy("magic", SPACE, ONE, {})


def test_an_unknown_setting_is_refused_with_the_legal_ones() -> None:
    legal = "initial, acquisition, mc_samples, restarts, raw_samples"
    with pytest.raises(BadInput, match=f"settings of policy 'bayesian': unknown key restart; legal here: {legal}"):
        build_policy("bayesian", SPACE, ONE, {"restart": 3})


def test_a_policy_without_settings_says_so() -> None:
    with pytest.raises(BadInput, match="settings of policy 'sobol': unknown key initial; legal here: none"):
        build_policy("sobol", SPACE, ONE, {"initial": 3})


@pytest.mark.parametrize(("setting", "value"), [("initial", -1), ("acquisition", "ucb"), ("mc_samples", 3), ("restarts", 0)])
def test_a_setting_out_of_range_is_refused_by_name(setting: str, value: object) -> None:
    with pytest.raises(BadInput, match=f"settings of policy 'bayesian': {setting} = "):
        build_policy("bayesian", SPACE, ONE, {setting: value})


@pytest.mark.parametrize(
    "objective",
    [
        Objective(targets=(Target(name="y", goal="match", value=1, tolerance=0.1),)),
        Objective(
            targets=(Target(name="a", goal="maximise", low=0, high=1), Target(name="b", goal="maximise", low=0, high=1)),
        ),
    ],
)
def test_the_analytic_acquisition_is_refused_where_the_score_is_not_gaussian(objective: Objective) -> None:
    with pytest.raises(BadInput, match="acquisition 'log-ei' needs one target to maximise or minimise"):
        build_policy("bayesian", SPACE, objective, {"acquisition": "log-ei"})


def test_a_search_together_is_another_version_and_what_does_not_say_is_of_before() -> None:
    policy = build_policy("bayesian", SPACE, ONE, {"search": "together"})
    assert policy.name == policy_choice("bayesian", SPACE, ONE, {"search": "together"}).name == "bayesian/2"
    assert build_policy("bayesian", SPACE, ONE, policy.settings).name == "bayesian/2"
    assert build_policy("bayesian", SPACE, ONE, {"search": "apart"}).name == "bayesian/1"
    assert build_policy("bayesian", SPACE, ONE, {}).name == "bayesian/1"
    assert "search" not in build_policy("bayesian", SPACE, ONE, {}).settings


def test_a_campaign_that_begins_now_searches_together_unless_its_file_says_apart() -> None:
    assert policy_choice("bayesian", SPACE, ONE, of_now("bayesian", {"initial": 4})).name == "bayesian/2"
    assert policy_choice("bayesian", SPACE, ONE, of_now("bayesian", {"search": "apart"})).name == "bayesian/1"
    assert of_now("sobol", {}) == {}
