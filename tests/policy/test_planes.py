"""Linear equalities are met by what is drawn and what is optimised, with whatever they are mixed."""

from collections.abc import Mapping

import pytest
import torch

from models.inputs.encoding import Encoding
from orchestrator.domain.constraints import ExpressionConstraint, LinearConstraint
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter, DiscreteParameter, Parameter
from orchestrator.domain.region import Region
from orchestrator.domain.restriction import Allowed, Restriction
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.ports import Knowledge, Observation
from policies.optimise import Search
from policies.registry import build_policy

T = ContinuousParameter(name="T", unit="degC", min=200, max=280)
TAU = ContinuousParameter(name="tau", unit="s", min=20, max=180)
C = ContinuousParameter(name="c", min=0, max=1)
MANY, MORE = (DiscreteParameter(name=name, values=tuple(range(101))) for name in ("many", "more"))
A, B = (DiscreteParameter(name=name, values=tuple(range(11))) for name in ("a", "b"))
FREE = CompositionParameter(name="al", components=("Ni", "Fe", "Co", "Mn"))
YIELD = Objective(targets=(Target(name="y", goal="maximise"),))
NOWHERE = torch.zeros(0, 0, dtype=torch.float64)


def exactly(value: float, coefficients: Mapping[str, float], width: float = 0.0) -> LinearConstraint:
    return LinearConstraint(coefficients=dict(coefficients), min=value, max=value + width)


SUM = exactly(300, {"T": 1, "tau": 1})
CASES: dict[str, tuple[tuple[Parameter, ...], tuple[LinearConstraint | ExpressionConstraint, ...]]] = {
    "one": ((T, TAU), (SUM,)),
    "two": ((T, TAU, C), (SUM, exactly(200.5, {"T": 1, "c": -100}))),
    "with an inequality": ((T, TAU), (SUM, LinearConstraint(coefficients={"T": 1, "tau": -1}, min=150, max=170))),
    "with an expression": ((T, TAU), (SUM, ExpressionConstraint(expression="tau * tau", unit="s**2", max=3600))),
    "one column": ((T, TAU), (exactly(250, {"T": 1}),)),
    "twice the same": ((T, TAU, C), (SUM, exactly(600, {"T": 2, "tau": 2}))),
    "of very different sizes": (
        (T, ContinuousParameter(name="s", unit="mol/L", min=1e-6, max=2e-6)),
        (exactly(400, {"T": 1, "s": 1e8}),),
    ),
    "with tiny coefficients": ((T, TAU), (exactly(300e-9, {"T": 1e-9, "tau": 1e-9}),)),
    "within rounding": ((T, TAU), (exactly(300, {"T": 1, "tau": 1}, 1e-7),)),
    "with little room": ((T, TAU), (exactly(300, {"T": 1, "tau": 1}, 0.01),)),
    "about zero": ((C, ContinuousParameter(name="d", min=0, max=2)), (exactly(0, {"c": 1, "d": -1}),)),
    "a corner": ((C, ContinuousParameter(name="d", min=0, max=1), T), (LinearConstraint(coefficients={"c": 1, "d": 1}, min=2),)),
    "beside a category": ((T, CategoricalParameter(name="k", categories=("x", "y")), TAU), (SUM,)),
    "discrete alone": ((A, B), (exactly(10, {"a": 1, "b": 1}),)),
    "discrete beside continuous": ((A, B, T), (exactly(10, {"a": 1, "b": 1}),)),
    "discrete with continuous": ((A, T), (exactly(250, {"a": 5, "T": 1}),)),
    "in a composition": ((FREE,), (exactly(0, {"al.Ni": 1, "al.Fe": -1}),)),
    "two in a composition": ((FREE, T), (exactly(0.3, {"al.Ni": 1}), exactly(0.25, {"al.Fe": 1, "al.Co": 1}))),
    "a whole composition": ((FREE, T), tuple(exactly(0.25, {f"al.{name}": 1}) for name in FREE.components)),
    "a composition with another": ((FREE, T), (exactly(300, {"al.Ni": 100, "T": 1}),)),
    "few components": ((FREE.evolve(max_components=2), T), (exactly(0, {"al.Ni": 1, "al.Fe": -1}),)),
    "a lattice": ((FREE.evolve(step=0.05), T), (exactly(300, {"al.Ni": 100, "T": 1}),)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.long
def test_every_policy_proposes_on_the_planes(name: str) -> None:
    parameters, constraints = CASES[name]
    space = SearchSpace(parameters=parameters, constraints=constraints)
    design = build_policy("sobol", space, YIELD, {}).propose(Knowledge(), count=6, seed=1)
    rows = [one.configuration for one in (*design, *build_policy("random", space, YIELD, {}).propose(Knowledge(), count=6, seed=1))]
    measured = tuple(Observation(row, {"y": sum(float(row[column]) for column in space.numeric_columns)}) for row in rows[:4])
    policy = build_policy("bayesian", space, YIELD, {"initial": 0, "mc_samples": 16, "restarts": 2, "raw_samples": 16})
    rows += [one.configuration for one in policy.propose(Knowledge(observations=measured), count=2, seed=1)]
    assert len(rows) >= 9
    assert [space.complaint(row) for row in rows] == [None] * len(rows)


@pytest.mark.parametrize(("total", "points"), [(297, 1), (296, 3), (0, 1)])
def test_a_corner_of_many_values_is_found_though_chance_would_not_find_it(total: float, points: int) -> None:
    many = tuple(DiscreteParameter(name=name, values=tuple(range(100))) for name in ("a", "b", "c"))
    space = SearchSpace(parameters=(*many, T), constraints=(exactly(total, {"a": 1, "b": 1, "c": 1}), exactly(250, {"T": 1})))
    found = build_policy("sobol", space, YIELD, {}).propose(Knowledge(), count=4, seed=1)
    assert [space.complaint(one.configuration) for one in found] == [None] * points


def test_a_design_fills_a_line_between_its_ends() -> None:
    rows = build_policy("sobol", SearchSpace(parameters=(T, TAU), constraints=(SUM,)), YIELD, {}).propose(Knowledge(), count=32, seed=1)
    cells = {int((float(one.configuration["T"]) - 200) / 10) for one in rows}
    assert cells == set(range(8))


def test_a_design_fills_a_triangle_and_not_its_middle_alone() -> None:
    space = SearchSpace(
        parameters=tuple(ContinuousParameter(name=name, min=0, max=1) for name in ("x", "y", "z")),
        constraints=(exactly(1, {"x": 1, "y": 1, "z": 1}),),
    )
    rows = [one.configuration for one in build_policy("sobol", space, YIELD, {}).propose(Knowledge(), count=256, seed=1)]
    for name in ("x", "y", "z"):  # a flat Dirichlet over three
        values = torch.tensor([float(row[name]) for row in rows])
        assert float(values.mean()) == pytest.approx(1 / 3, abs=0.03)
        assert float(values.var()) == pytest.approx(1 / 18, rel=0.25)


@pytest.mark.parametrize(
    ("parameters", "constraints", "centre", "expected"),
    [
        ((T, TAU), (SUM,), (0.9, 0.1), {"T": 270.4, "tau": 29.6}),
        ((T, TAU), (SUM,), (-1.0, 0.5), {"T": 200.0, "tau": 100.0}),
        ((MANY, T), (exactly(300, {"many": 1, "T": 1}),), (0.37, 0.7875), {"many": 37.0, "T": 263.0}),
        ((MANY, MORE, C), (exactly(100, {"many": 1, "more": 1}),), (0.73, 0.27, 0.25), {"many": 73.0, "more": 27.0, "c": 0.25}),
        (
            (T, TAU, C),
            (SUM, LinearConstraint(coefficients={"T": 1, "c": 80}, max=280)),
            (0.88, 0.06, 0.9),
            {"T": 242.667, "tau": 57.333, "c": 0.4667},
        ),
        ((FREE,), (exactly(0, {"al.Ni": 1, "al.Fe": -1}),), (0.2, 0.2, 0.5, 0.1), {"al.Ni": 0.2, "al.Fe": 0.2, "al.Co": 0.5, "al.Mn": 0.1}),
    ],
)
@pytest.mark.long
def test_the_best_point_of_a_plane_is_found(
    parameters: tuple[Parameter, ...], constraints: tuple[LinearConstraint, ...], centre: tuple[float, ...], expected: dict[str, float]
) -> None:
    space = SearchSpace(parameters=parameters, constraints=constraints)
    search = Search(Encoding(space), restarts=1, raw_samples=8)
    best = search.best(lambda X: -(X.squeeze(-2) - torch.tensor(centre, dtype=X.dtype)).square().sum(dim=-1), NOWHERE, seed=0)
    assert best is not None
    assert best.row == pytest.approx(expected, abs=0.05)


def test_planes_hold_in_what_a_restriction_leaves() -> None:
    space = SearchSpace(parameters=(T, TAU, C), constraints=(SUM,))
    for kept in (Allowed(min=200, max=210), Allowed(min=205, max=205)):
        narrow = Restriction(restriction_id="1", campaign="c", number=1, author="Ada", columns={"T": kept})
        rows = build_policy("sobol", space, YIELD, {}).propose(Knowledge(restrictions=(narrow,)), count=8, seed=1)
        assert [Region(space, (narrow,)).complaint(one.configuration) for one in rows] == [None] * 8


@pytest.mark.parametrize(
    ("parameters", "constraints", "complaint"),
    [
        ((T, TAU), (SUM, exactly(310, {"T": 1, "tau": 1})), "1 T + 1 tau: exactly 300; 1 T + 1 tau: exactly 310: no point"),
        ((T, TAU), (exactly(500, {"T": 1, "tau": 1}),), "1 T + 1 tau: none of 65536 points"),
        ((A, B, T), (exactly(10.5, {"a": 1, "b": 1}),), "1 a + 1 b: exactly 10.5: no point"),
    ],
)
def test_planes_without_a_common_point_are_named(
    parameters: tuple[Parameter, ...], constraints: tuple[LinearConstraint, ...], complaint: str
) -> None:
    with pytest.raises(BadInput) as refusal:
        build_policy("sobol", SearchSpace(parameters=parameters, constraints=constraints), YIELD, {}).propose(Knowledge(), count=1, seed=0)
    assert str(refusal.value).startswith(f"infeasible constraints: {complaint}")
