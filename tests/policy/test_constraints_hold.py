"""No policy ever proposes what the space does not allow."""

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from orchestrator.domain.distance import unlike
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.ports import Infeasible, Knowledge
from orchestrator.suggestions import Suggestion
from policies.registry import build_policy
from tests import strategies

SCORE = Objective(targets=(Target(name="y", goal="maximise"),))
QUICK = {"initial": 0, "mc_samples": 16, "restarts": 2, "raw_samples": 16}
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def propose(kind: str, space: SearchSpace, knowledge: Knowledge, options: dict[str, object], seed: int) -> tuple[Suggestion, ...]:
    try:
        return build_policy(kind, space, SCORE, options).propose(knowledge, count=2, seed=seed)
    except BadInput as refusal:
        # a region that chance cannot find is refused, never left
        assume("constraints" not in str(refusal))
        raise


def assert_told_apart(space: SearchSpace, suggestions: tuple[Suggestion, ...], knowledge: Knowledge) -> None:
    """Nothing that the bench cannot tell from a running experiment or from another of the batch; something where nothing runs."""
    rows = [one.configuration for one in suggestions]
    assert rows or knowledge.pending
    assert all(unlike(space, row, (*knowledge.pending, *rows[:index])) for index, row in enumerate(rows))


@pytest.mark.parametrize("kind", ["sobol", "random"])
@given(data=st.data(), seed=st.integers(0, 2**63 - 1))
@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
def test_designs_stay_within_any_space(kind: str, data: st.DataObject, seed: int) -> None:
    space = data.draw(strategies.spaces())
    knowledge = Knowledge(pending=tuple(data.draw(st.lists(strategies.configurations(space), max_size=3))))
    suggestions = propose(kind, space, knowledge, {}, seed)
    assert [space.complaint(one.configuration) for one in suggestions] == [None] * len(suggestions)
    assert_told_apart(space, suggestions, knowledge)


@given(data=st.data(), seed=st.integers(0, 2**63 - 1))
@settings(max_examples=25, deadline=None, suppress_health_check=SLOW)
@pytest.mark.long
def test_bayesian_proposals_stay_within_any_space(data: st.DataObject, seed: int) -> None:
    space = data.draw(strategies.spaces(most=3))
    knowledge = Knowledge(
        observations=tuple(data.draw(st.lists(strategies.observations(space, SCORE), min_size=1, max_size=4))),
        infeasible=tuple(map(Infeasible, data.draw(st.lists(strategies.configurations(space), max_size=1)))),
    )
    suggestions = propose("bayesian", space, knowledge, dict(QUICK), seed)
    assert [space.complaint(one.configuration) for one in suggestions] == [None] * len(suggestions)
    assert_told_apart(space, suggestions, knowledge)


@pytest.mark.parametrize("kind", ["sobol", "random", "bayesian"])
@given(data=st.data(), seed=st.integers(0, 2**63 - 1))
@settings(max_examples=15, deadline=None, suppress_health_check=SLOW)
def test_a_table_gives_its_own_rows_once_each_until_none_is_left(kind: str, data: st.DataObject, seed: int) -> None:
    space = data.draw(strategies.tables())
    measured = data.draw(st.lists(strategies.observations(space, SCORE), max_size=2))
    policy = build_policy(kind, space, SCORE, dict(QUICK) if kind == "bayesian" else {})
    suggestions = policy.propose(Knowledge(observations=tuple(measured)), count=20, seed=seed)
    gone = {space.key(one.configuration) for one in measured}
    assert space.candidates is not None
    left = {space.key(row) for row in space.candidates} - gone
    assert sorted(map(str, (space.key(one.configuration) for one in suggestions))) == sorted(map(str, left))
    assert all(one.configuration in space.candidates for one in suggestions)
