"""A component is absent or has its least share: in all that is drawn, moved and climbed; and each set of components is reached."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.inputs.encoding import Encoding
from orchestrator.domain.constraints import Constraint, ExpressionConstraint, LinearConstraint
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import CompositionParameter, ContinuousParameter
from orchestrator.domain.restriction import Allowed, Restriction
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.ports import Knowledge, Observation
from policies.batched import BatchedSearch
from policies.enumeration import enumerated
from policies.optimise import Found, Search
from policies.random_search import RandomPolicy
from policies.registry import build_policy
from policies.sampling import SobolPoints, drawn_width, feasible
from tests import strategies

ALLOY = CompositionParameter(name="alloy", components=("Ni", "Fe", "Co", "Mn"), min_present=0.2)
T = ContinuousParameter(name="T", unit="degC", min=0, max=100)
NOWHERE = torch.zeros(0, 0, dtype=torch.float64)
SEARCHES = (Search, BatchedSearch)

Face = frozenset[str]


def face(parameter: CompositionParameter, row: Configuration) -> Face:
    """Return which components are there."""
    return frozenset(name for name, column in zip(parameter.components, parameter.columns, strict=True) if float(row[column]) > 0)


def faces(parameter: CompositionParameter) -> set[Face]:
    return {frozenset(chosen) for size in range(1, parameter.most + 1) for chosen in combinations(parameter.components, size)}


def least_shares(step: bool | None = None) -> st.SearchStrategy[CompositionParameter]:
    """Compositions with a least share; with or without a step where that is said."""
    some = strategies.composition_parameters("alloy").filter(lambda one: one.min_present is not None)
    return some if step is None else some.filter(lambda one: (one.step is not None) == step)


def peak(*centre: float) -> Callable[[Tensor], Tensor]:
    return lambda X: -(X.squeeze(-2) - torch.tensor(centre, dtype=X.dtype)).square().sum(dim=-1)


# --------------------------------------------------------------------- what is legal


@settings(max_examples=40, deadline=None)
@given(parameter=least_shares(step=True))
def test_what_is_listed_is_what_is_legal_of_the_whole_lattice(parameter: CompositionParameter) -> None:
    whole = parameter.evolve(min_present=None, max_components=None)
    legal = {tuple(row.values()) for row in whole.choices() if parameter.complaint(row) is None}
    listed = [tuple(row.values()) for row in parameter.choices()]
    assert set(listed) == legal
    assert len(listed) == len(legal) == parameter.size


@settings(max_examples=60, deadline=None)
@given(parameter=least_shares(), data=st.data())
def test_any_amounts_stand_for_legal_fractions_and_legal_ones_for_themselves(parameter: CompositionParameter, data: st.DataObject) -> None:
    width = len(parameter.components)
    row = parameter.point(parameter.nearest(data.draw(st.lists(st.floats(-0.5, 1.5), min_size=width, max_size=width))))
    assert parameter.complaint(row) is None
    fractions = data.draw(strategies.fractions(parameter))
    assert parameter.nearest(fractions) == pytest.approx(fractions, abs=1e-12)


# --------------------------------------------------------------------- what is drawn


@settings(max_examples=30, deadline=None)
@given(parameter=least_shares(), seed=st.integers(0, 1000))
def test_what_is_drawn_is_legal_and_every_face_is_drawn(parameter: CompositionParameter, seed: int) -> None:
    space = SearchSpace(parameters=(parameter, T))
    encoding = Encoding(space)
    rows = [encoding.decode(x) for x in encoding.drawn(SobolPoints(encoding.latent, seed).draw(1024))]
    assert [space.complaint(row) for row in rows] == [None] * len(rows)
    drawn = Counter(face(parameter, row) for row in rows)
    assert set(drawn) == faces(parameter)
    assert min(drawn.values()) > 0.7 * len(rows) / len(drawn)  # as often, but for what a net of points leaves


def test_subsets_are_drawn_in_the_order_of_their_numbers() -> None:
    encoding = Encoding(SearchSpace(parameters=(ALLOY.evolve(max_components=3),)))
    U = torch.full((14, encoding.latent), 0.5, dtype=torch.float64)
    U[:, 0] = (torch.arange(14, dtype=torch.float64) + 0.5) / 14
    listed = [set(chosen) for size in (1, 2, 3) for chosen in combinations(range(4), size)]
    assert [set(x.nonzero().flatten().tolist()) for x in encoding.drawn(U)] == listed


def test_more_subsets_than_could_be_listed_are_drawn_from() -> None:
    wide = CompositionParameter(name="a", components=tuple(f"c{index}" for index in range(80)), min_present=0.0125)
    encoding = Encoding(SearchSpace(parameters=(wide,)))
    rows = [encoding.decode(x) for x in encoding.drawn(SobolPoints(encoding.latent, 0).draw(64))]
    assert all(wide.complaint(row) is None for row in rows)
    sizes = [len(face(wide, row)) for row in rows]
    assert sum(sizes) / len(sizes) == pytest.approx(40, abs=1)  # half of them are there, where any may be


@pytest.mark.parametrize("name", ["sobol", "random"])
def test_designs_are_spread_over_the_faces(name: str) -> None:
    space = SearchSpace(parameters=(ALLOY, T))
    policy = build_policy(name, space, Objective(targets=(Target(name="y", goal="maximise"),)), {})
    rows = [one.configuration for one in policy.propose(Knowledge(), count=120, seed=4)]
    assert all(space.complaint(row) is None for row in rows)
    assert {face(ALLOY, row) for row in rows} == faces(ALLOY)


def test_a_share_that_all_may_have_at_once_and_no_more_is_one_mixture() -> None:
    equal = CompositionParameter(name="alloy", components=("Ni", "Fe", "Co", "Mn"), min_present=0.25)
    space = SearchSpace(parameters=(equal,))
    rows = [one.configuration for one in RandomPolicy(space).propose(Knowledge(), count=60, seed=0)]
    assert {tuple(row.values()) for row in rows if len(face(equal, row)) == 4} == {(0.25,) * 4}


# --------------------------------------------------------------------- where one may go


@settings(max_examples=60, deadline=None)
@given(parameter=least_shares(), data=st.data())
def test_every_neighbour_is_legal_and_another(parameter: CompositionParameter, data: st.DataObject) -> None:
    row = parameter.point(data.draw(strategies.fractions(parameter)))
    for other in parameter.neighbours(row):
        assert parameter.complaint(other) is None
        assert any(abs(float(other[column]) - float(row[column])) > 1e-9 for column in row)


@settings(max_examples=25, deadline=None)
@given(parameter=least_shares(step=True).filter(lambda one: one.size <= 300))
def test_neighbours_lead_from_every_lattice_point_to_every_other(parameter: CompositionParameter) -> None:
    def key(row: Configuration) -> tuple[float, ...]:
        return tuple(round(float(value), 9) for value in row.values())

    rows = {key(row): row for row in parameter.choices()}
    seen, waiting = {next(iter(rows))}, [next(iter(rows))]
    while waiting:
        new = {key(other) for other in parameter.neighbours(rows[waiting.pop()])} - seen
        seen |= new
        waiting += new
    assert seen == set(rows)


def test_a_component_is_dropped_brought_in_and_moved_along_the_face() -> None:
    row = ALLOY.point((0.3, 0.3, 0.4, 0.0))
    near = [tuple(round(float(value), 9) for value in other.values()) for other in ALLOY.neighbours(row)]
    assert (0.0, 0.3, 0.7, 0.0) in near  # dropped, to one of the others
    assert (0.0, 0.4, 0.6, 0.0) in near  # dropped, to all of them
    assert (0.0, 0.3, 0.4, 0.3) in near  # exchanged
    assert (0.3, 0.3, 0.2, 0.2) in near  # brought in by one of the others
    assert (0.25, 0.25, 0.3, 0.2) in near  # brought in by all of them
    assert (0.2, 0.3, 0.5, 0.0) in near  # along the face, to its edge
    assert len(near) == len(set(near))


# --------------------------------------------------------------------- what is climbed


@settings(max_examples=40, deadline=None)
@given(parameter=least_shares(step=False), data=st.data())
def test_a_climb_ends_on_the_face_on_which_it_began(parameter: CompositionParameter, data: st.DataObject) -> None:
    space = SearchSpace(parameters=(parameter, T))
    rows = [data.draw(strategies.configurations(space)) for _ in range(3)]
    landscape = peak(*(data.draw(st.floats(-0.5, 1.5)) for _ in range(Encoding(space).width)))
    starts = [Found(row, float(landscape(Encoding(space).encode([row]).unsqueeze(-2)))) for row in rows]
    one_by_one = [Search(Encoding(space), 2, 64)._polish(landscape, start) for start in starts]
    together = BatchedSearch(Encoding(space), 2, 64)._polished(landscape, starts)
    for start, *ends in zip(starts, one_by_one, together, strict=True):
        for end in ends:
            assert space.complaint(end.row) is None
            assert face(parameter, end.row) == face(parameter, start.row)
            assert end.value >= start.value - 1e-12


def grid(parts: int) -> Iterator[tuple[float, ...]]:
    """Iterate over all mixtures of four in so many parts."""
    for cuts in combinations(range(parts + 3), 3):
        ends = (-1, *cuts, parts + 3)
        yield tuple((after - before - 1) / parts for before, after in pairwise(ends))


def brute_force(space: SearchSpace, landscape: Callable[[Tensor], Tensor], parts: int = 40) -> Found:
    """Look at every mixture in so many parts."""
    rows = [dict(zip(ALLOY.columns, mixture, strict=True)) for mixture in grid(parts)]
    legal = [row for row in rows if space.complaint(row) is None]
    values = landscape(Encoding(space).encode(legal).unsqueeze(-2))
    return Found(dict(legal[int(values.argmax())]), float(values.max()))


def found(space: SearchSpace, landscape: Callable[[Tensor], Tensor], kind: type[Search], seed: int) -> Found:
    best = kind(Encoding(space), restarts=4, raw_samples=256).best(landscape, NOWHERE, seed=seed)
    assert best is not None
    assert space.complaint(best.row) is None
    return best


LINEAR: dict[str, tuple[Constraint, ...]] = {
    "alone": (),
    "beside a bound": (LinearConstraint(coefficients={"alloy.Ni": 1, "alloy.Fe": 1}, max=0.5),),
    "beside an equality": (LinearConstraint(coefficients={"alloy.Ni": 1, "alloy.Co": -1}, min=0, max=0),),
    "beside an expression": (ExpressionConstraint(expression="alloy.Ni * alloy.Fe", max=0.05),),
}


@pytest.mark.parametrize("kind", SEARCHES)
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("beside", LINEAR)
def test_the_best_mixture_of_all_faces_is_found(beside: str, seed: int, kind: type[Search]) -> None:
    space = SearchSpace(parameters=(ALLOY,), constraints=LINEAR[beside])
    centre = torch.rand(4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    landscape = peak(*(centre / centre.sum()).tolist())
    assert found(space, landscape, kind, seed).value >= brute_force(space, landscape).value - 1e-6


@pytest.mark.parametrize("kind", SEARCHES)
@pytest.mark.parametrize(("centre", "where"), [((0.45, 0.45, 0.1, 0.0), {"Ni", "Fe"}), ((0.1, 0.02, 0.05, 0.83), {"Mn"})])
def test_a_maximum_that_lies_between_faces_is_found_on_one(centre: Sequence[float], where: set[str], kind: type[Search]) -> None:
    space = SearchSpace(parameters=(ALLOY.evolve(min_present=0.3),))
    best = found(space, peak(*centre), kind, 0)
    assert face(ALLOY, best.row) == where == face(ALLOY, brute_force(space, peak(*centre)).row)


@pytest.mark.parametrize("kind", SEARCHES)
def test_a_landscape_that_differs_from_face_to_face_is_looked_at_on_each(kind: type[Search]) -> None:
    space = SearchSpace(parameters=(ALLOY,))

    def rare(X: Tensor) -> Tensor:
        # what two of the four have in common pays, and nothing slopes towards it from elsewhere
        x = X.squeeze(-2)
        pair = ((x[:, 1] > 0) & (x[:, 3] > 0) & (x[:, 0] == 0) & (x[:, 2] == 0)).to(x.dtype)
        return pair * (2 - (x[:, 1] - 0.7).square()) - (x[:, 2] - 0.5).square()

    best = found(space, rare, kind, 0)
    assert best.row == pytest.approx({"alloy.Ni": 0.0, "alloy.Fe": 0.7, "alloy.Co": 0.0, "alloy.Mn": 0.3}, abs=1e-3)


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_the_lattice_is_listed_where_it_is_small(data: st.DataObject) -> None:
    parameter = data.draw(least_shares(step=True).filter(lambda one: (one.step or 0) > 0.1))
    rows = enumerated(Encoding(SearchSpace(parameters=(parameter,))))
    assert rows is not None
    assert len(rows) == parameter.size


# --------------------------------------------------------------------- beside what else there is


@pytest.mark.parametrize("beside", LINEAR)
def test_every_face_that_constraints_leave_is_drawn(beside: str) -> None:
    space = SearchSpace(parameters=(ALLOY,), constraints=LINEAR[beside])
    encoding = Encoding(space)
    drawn = {face(ALLOY, row) for row in feasible(encoding, SobolPoints(drawn_width(encoding), 0), most=2048)}
    left = {face(ALLOY, row) for mixture in grid(40) if space.complaint(row := dict(zip(ALLOY.columns, mixture, strict=True))) is None}
    assert drawn == left


def test_a_share_below_the_least_that_people_ask_for_is_none() -> None:
    space = SearchSpace(parameters=(ALLOY,))
    little = Restriction(restriction_id="r1", campaign="c", number=1, author="ada", columns={"alloy.Ni": Allowed(max=0.1)})
    rows = [one.configuration for one in RandomPolicy(space).propose(Knowledge(restrictions=(little,)), count=20, seed=0)]
    assert {row["alloy.Ni"] for row in rows} == {0.0}


@pytest.mark.parametrize("search", [{}, {"search": "together"}])
def test_a_campaign_without_rounding_proposes_what_is_legal(search: dict[str, str]) -> None:
    space = SearchSpace(parameters=(ALLOY, T), constraints=(LinearConstraint(coefficients={"alloy.Ni": 100, "T": 1}, max=110),))
    objective = Objective(targets=(Target(name="y", goal="maximise"),))

    def measured(row: Configuration) -> Observation:
        noise = {column: float(row[column]) + 0.004 * (-1) ** place for place, column in enumerate(ALLOY.columns)}  # as read back
        value = -((float(row["alloy.Ni"]) - 0.5) ** 2) - (float(row["alloy.Co"]) - 0.5) ** 2 + float(row["T"]) / 300
        return Observation({**row, **noise}, {"y": value})

    first = build_policy("sobol", space, objective, {}).propose(Knowledge(), count=10, seed=1)
    known = Knowledge(observations=tuple(measured(one.configuration) for one in first))
    settings_ = {"initial": 0, "mc_samples": 32, "restarts": 3, "raw_samples": 64, **search}
    for one in build_policy("bayesian", space, objective, settings_).propose(known, count=3, seed=1):
        assert space.complaint(one.configuration) is None
        shares = [float(one.configuration[column]) for column in ALLOY.columns]
        assert all(share == 0.0 or share >= 0.2 - 1e-12 for share in shares)
        assert math.fsum(shares) == pytest.approx(1, abs=1e-12)
