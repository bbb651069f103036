"""No policy proposes what people took out of the search, and a search that is whole is what it was."""

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from models.inputs.encoding import Encoding
from orchestrator.domain.distance import unlike
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import ContinuousParameter, Parameter
from orchestrator.domain.region import Region
from orchestrator.domain.restriction import Allowed, Restriction
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput
from orchestrator.ports import Knowledge, Observation
from policies.registry import build_policy
from policies.sampling import SobolPoints
from tests import strategies

SCORE = Objective(targets=(Target(name="y", goal="maximise"),))
QUICK = {"initial": 0, "mc_samples": 16, "restarts": 2, "raw_samples": 32}
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
PLANE = SearchSpace(parameters=(ContinuousParameter(name="a", min=0, max=10), ContinuousParameter(name="b", min=0, max=1)))


def fixed(parameter: Parameter, inside: Configuration) -> dict[str, Allowed]:
    """Hold a parameter where a configuration has it."""
    values = {column: inside[column] for column in parameter.columns}
    return {one: Allowed(names=(value,)) if isinstance(value, str) else Allowed(min=value, max=value) for one, value in values.items()}


@st.composite
def allowed(draw: st.DrawFn, parameter: Parameter, inside: Configuration) -> dict[str, Allowed]:
    """Fix a parameter, or narrow it so that a configuration stays within."""
    if draw(st.booleans()) or not parameter.units:
        return fixed(parameter, inside)
    column = draw(st.sampled_from(parameter.columns))
    low, high, value = parameter.intervals[column].low, parameter.intervals[column].high, float(inside[column])
    if len(parameter.columns) > 1:
        return {column: Allowed(max=min(high, value + 0.3))}
    room = (high - low) * draw(st.sampled_from((0.1, 0.5)))
    return {column: Allowed(min=max(low, value - room), max=min(high, value + room))}


@st.composite
def restrictions(draw: st.DrawFn, space: SearchSpace) -> tuple[Restriction, ...]:
    """One restriction of a parameter that leaves something, and maybe a point to stay away from."""
    inside = draw(strategies.configurations(space))
    parameter = draw(st.sampled_from(space.parameters))
    kept = Restriction(restriction_id="1", campaign="c", number=1, author="Ada", columns=draw(allowed(parameter, inside)))
    if not draw(st.booleans()):
        return (kept,)
    refused = draw(strategies.configurations(space))
    return (kept, Restriction(restriction_id="2", campaign="c", number=2, author="Ada", around=refused, radius=0.02))


@pytest.mark.parametrize("kind", ["sobol", "random", "bayesian"])
@given(data=st.data(), seed=st.integers(0, 2**31))
@settings(max_examples=25, deadline=None, suppress_health_check=SLOW)
@pytest.mark.long
def test_every_policy_keeps_to_restrictions(kind: str, data: st.DataObject, seed: int) -> None:
    space = data.draw(strategies.open_spaces(most=3))
    known = data.draw(restrictions(space))
    measured = data.draw(st.lists(strategies.observations(space, SCORE), min_size=1, max_size=3))
    policy = build_policy(kind, space, SCORE, dict(QUICK) if kind == "bayesian" else {})
    try:
        found = policy.propose(Knowledge(observations=tuple(measured), restrictions=known), count=2, seed=seed)
    except BadInput as refusal:
        assume("constraints" not in str(refusal) and "restrictions" not in str(refusal))
        raise
    region = Region(space, known)
    assert [region.complaint(one.configuration) for one in found] == [None] * len(found)
    rows = [one.configuration for one in found]
    assert rows
    assert all(unlike(space, row, rows[:index]) for index, row in enumerate(rows))


@pytest.mark.parametrize("kind", ["sobol", "random", "bayesian"])
def test_a_table_gives_only_rows_that_are_left(kind: str) -> None:
    rows = tuple({"a": float(index), "b": index / 10} for index in range(11))
    space = PLANE.evolve(candidates=rows)
    policy = build_policy(kind, space, SCORE, dict(QUICK) if kind == "bayesian" else {})
    kept = Restriction(restriction_id="1", campaign="c", number=1, author="Ada", columns={"a": Allowed(min=2, max=4)})
    measured = (Observation({"a": 3.0, "b": 0.3}, {"y": 1.0}),)
    found = policy.propose(Knowledge(observations=measured, restrictions=(kept,)), count=5, seed=1)
    assert sorted(float(one.configuration["a"]) for one in found) == [2.0, 4.0]


def test_the_search_finds_the_best_point_of_what_is_left() -> None:
    """The summit is at a = 8; with a at most 5 the best is at the edge; the summit's surroundings can be left out."""
    places = [(a, b) for a in (0.0, 2.5, 5.0, 7.5, 10.0) for b in (0.0, 0.5, 1.0)]
    measured = tuple(Observation({"a": a, "b": b}, {"y": -((a - 8) ** 2) / 10 - (b - 0.5) ** 2}) for a, b in places)
    policy = build_policy("bayesian", PLANE, SCORE, {"initial": 0})
    free, *_ = policy.propose(Knowledge(observations=measured), count=1, seed=1)
    assert float(free.configuration["a"]) == pytest.approx(8.0, abs=0.7)
    low = Restriction(restriction_id="1", campaign="c", number=1, author="Ada", columns={"a": Allowed(max=5)})
    edge, *_ = policy.propose(Knowledge(observations=measured, restrictions=(low,)), count=1, seed=1)
    assert float(edge.configuration["a"]) == pytest.approx(5.0, abs=0.05)
    around = Restriction(restriction_id="2", campaign="c", number=2, author="Ada", around={"a": 8.0, "b": 0.5}, radius=0.1)
    beside, *_ = policy.propose(Knowledge(observations=measured, restrictions=(around,)), count=1, seed=1)
    distance = abs(float(beside.configuration["a"]) - 8) / 20 + abs(float(beside.configuration["b"]) - 0.5) / 2
    assert distance >= 0.1


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
def test_rows_have_the_whole_spaces_scale_whatever_is_restricted(data: st.DataObject) -> None:
    space = data.draw(strategies.open_spaces())
    known = data.draw(restrictions(space))
    inside = data.draw(strategies.configurations(space))
    narrow, whole = Encoding(space, known), Encoding(space)
    assert narrow.encode([inside]).equal(whole.encode([inside]))
    X = narrow.drawn(SobolPoints(narrow.latent, seed=0).draw(32))
    for x in X:
        row = narrow.decode(x)
        assert all(parameter.complaint(row) is None for parameter in narrow.region.space.parameters)
        assert narrow.encode([row])[0].tolist() == pytest.approx(x.tolist(), abs=1e-6)
