"""Restrictions leave a part of a space; the scale stays the whole one's."""

import pytest

from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter, DiscreteParameter
from orchestrator.domain.region import Region
from orchestrator.domain.restriction import Allowed, Restriction
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput

SPACE = SearchSpace(
    parameters=(
        ContinuousParameter(name="T", unit="degC", min=100, max=300),
        DiscreteParameter(name="volume", unit="mL", values=(0.1, 0.3, 0.7)),
        CategoricalParameter(name="solvent", categories=("water", "DMF", "THF")),
        CompositionParameter(name="alloy", components=("Ni", "Fe")),
    )
)
INSIDE: Configuration = {"T": 200.0, "volume": 0.3, "solvent": "DMF", "alloy.Ni": 0.25, "alloy.Fe": 0.75}


def restricted(**columns: Allowed) -> Region:
    named = {name.replace("__", "."): allowed for name, allowed in columns.items()}
    return Region(SPACE, (Restriction(restriction_id="r1", campaign="c", number=1, author="Ada", columns=named),))


def only(value: float) -> Allowed:
    return Allowed(min=value, max=value)


@pytest.mark.parametrize(
    ("columns", "outside"),
    [
        ({"T": only(200)}, {"T": 201.0}),
        ({"T": Allowed(min=150)}, {"T": 149.0}),
        ({"T": Allowed(min=150, max=250)}, {"T": 251.0}),
        ({"volume": Allowed(max=0.5)}, {"volume": 0.7}),
        ({"solvent": Allowed(names=("DMF", "THF"))}, {"solvent": "water"}),
        ({"alloy__Ni": Allowed(max=0.3)}, {"alloy.Ni": 0.5, "alloy.Fe": 0.5}),
        ({"alloy__Ni": only(0.25), "alloy__Fe": only(0.75)}, {"alloy.Ni": 0.5, "alloy.Fe": 0.5}),
    ],
)
def test_what_is_left_is_legal_and_the_rest_is_not(columns: dict[str, Allowed], outside: dict[str, float | str]) -> None:
    region = restricted(**columns)
    assert region.complaint(INSIDE) is None
    assert region.complaint({**INSIDE, **outside}) is not None
    assert Region(SPACE).complaint({**INSIDE, **outside}) is None
    region.check_columns(INSIDE)
    with pytest.raises(BadInput, match=r"outside restriction 1 .* by Ada.*--lift 1"):
        region.check_columns({**INSIDE, **outside})


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"T": only(400)}, r"restriction 1: T = 400 degC: expected 100 to 300 degC"),
        ({"T": Allowed(names=("hot",))}, r"T = hot: expected 100 to 300"),
        ({"volume": only(0.2)}, r"volume = 0.2: expected some of 0.1, 0.3, 0.7"),
        ({"solvent": Allowed(names=("DMF", "beer"))}, r"solvent = beer: expected some of water, DMF, THF"),
        ({"alloy__Ni": only(0.25)}, r"alloy.Ni: expected a value for each of alloy.Ni, alloy.Fe, or ranges"),
        ({"alloy__Ni": only(0.25), "alloy__Fe": only(0.25)}, r"fractions sum to 0.5"),
        ({"pressure": only(1)}, r"there is no parameter 'pressure'; there are T, volume"),
    ],
)
def test_what_is_not_of_the_space_is_refused_in_one_line(columns: dict[str, Allowed], said: str) -> None:
    with pytest.raises(BadInput, match=said) as refused:
        restricted(**columns).space  # noqa: B018 - computing it is what refuses
    assert "\n" not in str(refused.value)


def test_surroundings_of_a_point_are_left_out_at_the_whole_spaces_scale() -> None:
    avoided = Restriction(restriction_id="r2", campaign="c", number=2, author="Ada", around=dict(INSIDE), radius=0.05)
    region = Region(SPACE, (avoided,))
    near, far = {**INSIDE, "T": 239.0}, {**INSIDE, "T": 241.0}  # 200 K of range, four parameters: 0.05 is 40 K
    assert "restriction 2 avoids" in (region.complaint(near) or "")
    assert region.complaint(far) is None
    narrowed = Region(SPACE, (avoided, *restricted(T=Allowed(min=190, max=245)).restrictions))
    assert narrowed.complaint(near) is not None
    assert narrowed.complaint(far) is None
    region.check_columns(near)


def test_a_restriction_binds_until_its_last_batch_or_until_it_is_lifted() -> None:
    one = Restriction(restriction_id="r", campaign="c", author="Ada", columns={"T": only(200)}, last_batch=4)
    assert [one.binds(batch) for batch in (3, 4, 5)] == [True, True, False]
    assert not one.evolve(status="lifted").binds(3)
    assert one.evolve(last_batch=None).binds(10_000)


@pytest.mark.parametrize(("values", "most", "left"), [((1e9, 1e9 + 1, 1e9 + 2), 1e9, (1e9,)), ((1e-9, 2e-9, 5e-9), 2e-9, (1e-9, 2e-9))])
def test_a_bound_parts_legal_values_however_close_they_are(values: tuple[float, ...], most: float, left: tuple[float, ...]) -> None:
    space = SearchSpace(parameters=(DiscreteParameter(name="d", values=values),))
    restriction = Restriction(restriction_id="r1", campaign="c", number=1, author="Ada", columns={"d": Allowed(max=most)})
    region = Region(space, (restriction,))
    assert region.space.parameters == (DiscreteParameter(name="d", values=left),)
    with pytest.raises(BadInput, match="outside restriction 1"):
        region.check_columns({"d": values[-1]})
