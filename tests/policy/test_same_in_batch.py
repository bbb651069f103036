"""What is the same in a batch is chosen by its first proposal; the others are the best beside it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.campaign import parse_campaign
from orchestrator.domain.constraints import ExpressionConstraint
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter, DiscreteParameter
from orchestrator.domain.restriction import Allowed, Restriction
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput
from orchestrator.ports import Knowledge, Observation
from policies.bayesian import BayesianPolicy
from policies.registry import build_policy
from policies.settings import BayesianSettings
from tests import strategies

YIELD = Objective(targets=(Target(name="y", goal="maximise"),))
OVEN = ContinuousParameter(name="T", unit="degC", min=100, max=300, same_in_batch=True)
TIME = ContinuousParameter(name="t", unit="s", min=10, max=90)
SPACES = {
    "a number": SearchSpace(parameters=(TIME, OVEN)),
    "a name": SearchSpace(
        parameters=(CategoricalParameter(name="gas", categories=("air", "argon"), same_in_batch=True), TIME.evolve(scale="log"))
    ),
    "one of a few numbers": SearchSpace(parameters=(DiscreteParameter(name="n", values=(1, 2, 3), same_in_batch=True), TIME)),
    "a mixture": SearchSpace(
        parameters=(
            CompositionParameter(name="mix", components=("a", "b", "c"), min_present=0.1, same_in_batch=True),
            CompositionParameter(name="ink", components=("x", "y"), step=0.1),
        )
    ),
    "all listed": SearchSpace(
        parameters=(
            DiscreteParameter(name="T", values=(100, 200, 300), same_in_batch=True),
            CategoricalParameter(name="gas", categories=("air", "argon", "steam", "none")),
        )
    ),
    "a table": SearchSpace(parameters=(OVEN, TIME), candidates=tuple({"T": 100.0 + 50 * (n % 5), "t": 10.0 + 3 * n} for n in range(25))),
}
POLICIES: dict[str, dict[str, Any]] = {
    "sobol": {},
    "random": {},
    "bayesian": {"initial": 0, "mc_samples": 32, "restarts": 2, "raw_samples": 64},
    "bayesian together": {"initial": 0, "mc_samples": 32, "restarts": 2, "raw_samples": 64, "search": "together"},
}


def shared(space: SearchSpace, row: Configuration) -> tuple[float | str, ...]:
    return tuple(row[column] for column in space.shared)


def known(space: SearchSpace) -> Knowledge:
    first = build_policy("random", space.one_by_one, YIELD, {}).propose(Knowledge(), count=6, seed=3)
    return Knowledge(observations=tuple(Observation(one.configuration, {"y": float(n % 4)}) for n, one in enumerate(first)))


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("kind", POLICIES)
def test_a_batch_has_one_value_and_experiments_that_differ(kind: str, name: str) -> None:
    space = SPACES[name]
    policy = build_policy(kind.partition(" ")[0], space, YIELD, POLICIES[kind])
    rows = [one.configuration for one in policy.propose(known(space), count=4, seed=5)]
    assert all(space.complaint(row) is None for row in rows)
    assert len({shared(space, row) for row in rows}) == 1
    assert len({space.key(row) for row in rows}) == len(rows) == 4


@pytest.mark.parametrize("kind", POLICIES)
def test_the_first_is_what_it_would_be_alone(kind: str) -> None:
    space = SPACES["a number"]
    first, alone = (
        build_policy(kind.partition(" ")[0], one, YIELD, POLICIES[kind]).propose(known(space), count=count, seed=5)[0].configuration
        for one, count in ((space, 3), (space.one_by_one, 1))
    )
    assert first == alone


@settings(max_examples=25, deadline=None)
@given(data=st.data(), seed=st.integers(0, 100))
def test_any_parameter_may_be_the_same_in_a_batch(data: st.DataObject, seed: int) -> None:
    open_ = data.draw(strategies.open_spaces(most=3))
    which = data.draw(st.integers(0, len(open_.parameters) - 1))
    space = SearchSpace(parameters=tuple(one.evolve(same_in_batch=index == which) for index, one in enumerate(open_.parameters)))
    rows = [one.configuration for one in build_policy("sobol", space, YIELD, {}).propose(Knowledge(), count=3, seed=seed)]
    assert rows
    assert all(space.complaint(row) is None for row in rows)
    assert len({shared(space, row) for row in rows}) == 1


def test_batches_differ_and_a_design_is_gone_on_with() -> None:
    space, seen = SPACES["a number"], Knowledge()
    values = set()
    for _ in range(4):
        rows = tuple(one.configuration for one in build_policy("sobol", space, YIELD, {}).propose(seen, count=3, seed=7))
        values |= {shared(space, row) for row in rows}
        seen = Knowledge(excluded=(*seen.excluded, *rows))
    assert len(values) == 4


def test_a_batch_that_begins_with_the_design_keeps_what_that_chose() -> None:
    space = SPACES["a number"]
    options = BayesianSettings(initial=8, mc_samples=32, restarts=2, raw_samples=64)
    batch = BayesianPolicy(space, YIELD, options).propose(known(space), count=4, seed=5)
    assert [one.policy for one in batch] == ["sobol/1", "sobol/1", "bayesian/1", "bayesian/1"]
    assert len({shared(space, one.configuration) for one in batch}) == 1


def test_what_people_restrict_holds_beside_it() -> None:
    hot = Restriction(restriction_id="r", campaign="c", number=1, author="ada", columns={"T": Allowed(min=250, max=260)})
    space = SPACES["a number"]
    rows = build_policy("bayesian", space, YIELD, POLICIES["bayesian"]).propose(
        Knowledge(observations=known(space).observations, restrictions=(hot,)), count=3, seed=5
    )
    (value,) = {one.configuration["T"] for one in rows}
    assert 250 <= float(value) <= 260


@pytest.mark.parametrize("kind", ["bayesian", "bayesian together"])
def test_where_the_first_leaves_nothing_else_the_batch_is_smaller(kind: str) -> None:
    heat, rest = (ContinuousParameter(name=name, min=0, max=1, same_in_batch=name == "heat") for name in ("heat", "rest"))
    space = SearchSpace(parameters=(heat, rest), constraints=(ExpressionConstraint(expression="heat + rest", max=1),))
    seen = [{"heat": 0.1 * n, "rest": 0.5 - 0.05 * n} for n in range(9)]
    policy = build_policy("bayesian", space, YIELD, POLICIES[kind])
    batch = policy.propose(Knowledge(observations=tuple(Observation(one, {"y": one["heat"]}) for one in seen)), count=3, seed=1)
    assert [one.configuration for one in batch] == [{"heat": 1.0, "rest": 0.0}]


@pytest.mark.parametrize("kind", ["bayesian", "bayesian together"])
def test_each_of_a_batch_is_explained_beside_what_was_free(kind: str) -> None:
    space = SPACES["a number"]
    policy = build_policy("bayesian", space, YIELD, POLICIES[kind])
    rows = [one.configuration for one in policy.propose(known(space), count=2, seed=5)]
    _, second = policy.explain(known(space), rows, seed=5)
    assert {one.configuration["T"] for one in second.alternatives} <= {rows[0]["T"]}


def test_a_key_that_is_not_there_is_not_written() -> None:
    assert "same_in_batch" not in TIME.model_dump(mode="json")
    assert OVEN.model_dump(mode="json")["same_in_batch"] is True
    assert OVEN.beside_others(OVEN.legal_values) == "the same in a batch, 100 to 300 degC"
    assert TIME.beside_others(TIME.legal_values) == TIME.legal_values


def test_a_file_in_which_nothing_may_differ_within_a_batch_is_refused() -> None:
    text = """
[campaign]
name = "c"
batch = {batch}
budget = 4
[[parameters]]
name = "T"
kind = "continuous"
min = 0
max = 1
same_in_batch = true
[[targets]]
name = "y"
goal = "maximise"
"""
    parse_campaign(text.format(batch=1), Path("c.toml"), free=True).refuse_unhonoured()
    with pytest.raises(BadInput, match="every parameter is same_in_batch, so that a batch of 2 would be one experiment"):
        parse_campaign(text.format(batch=2), Path("c.toml"), free=True).refuse_unhonoured()
