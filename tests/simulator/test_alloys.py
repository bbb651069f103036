"""The rule of mixtures that bows: its limits, and the table that it rests on."""

import numpy as np
import pytest

from models.inputs.elements import PROPERTIES, element_properties
from simulators.chemistry.alloys import BOWING, ELEMENTS, Alloy, draw_property


def drawn(seed: int = 3) -> Alloy:
    return draw_property(np.random.default_rng(seed)).of([0, 4, 7, 11])


def mixed(count: int = 20, components: int = 4) -> np.ndarray:
    return np.random.default_rng(1).dirichlet(np.ones(components), size=count)


def test_without_bowing_and_asymmetry_mixtures_are_linear() -> None:
    alloy = drawn()
    none = np.zeros_like(alloy.bowing)
    linear = Alloy(alloy.pure, none, none)
    one, other = mixed()[:2]
    assert linear(np.stack([0.3 * one + 0.7 * other])) == pytest.approx(0.3 * linear(one[None]) + 0.7 * linear(other[None]))
    assert alloy(np.stack([0.3 * one + 0.7 * other])) != pytest.approx(0.3 * alloy(one[None]) + 0.7 * alloy(other[None]))


def test_pure_components_have_their_own_value() -> None:
    assert drawn()(np.eye(4)) == pytest.approx(drawn().pure)


def test_halfway_between_two_components_the_value_bows_by_a_quarter() -> None:
    alloy, half = drawn(), np.array([[0.5, 0.5, 0.0, 0.0]])
    assert alloy(half) == pytest.approx(alloy.pure[:2].mean() - alloy.bowing[0, 1] / 4)


def test_asymmetry_leans_towards_one_component() -> None:
    alloy = drawn()
    there, back = alloy(np.array([[0.75, 0.25, 0.0, 0.0], [0.25, 0.75, 0.0, 0.0]]))
    assert there - back == pytest.approx(0.5 * (alloy.pure[0] - alloy.pure[1]) + 2 * 0.75 * 0.25 * 0.5 * alloy.asymmetry[0, 1])


@pytest.mark.parametrize("order", [[3, 2, 1, 0], [1, 2, 3, 0], [0, 2, 1, 3]])
def test_components_may_stand_in_any_order(order: list[int]) -> None:
    assert drawn().of(order)(mixed()[:, order]) == pytest.approx(drawn()(mixed()))


def test_a_component_that_is_absent_changes_nothing() -> None:
    three = mixed(components=3)
    assert drawn()(np.column_stack([three, np.zeros(len(three))])) == pytest.approx(drawn().of([0, 1, 2])(three))


def test_drawn_constants_have_the_symmetry_and_size_that_they_should() -> None:
    found = [draw_property(np.random.default_rng(seed)) for seed in range(100)]
    pairs = np.triu_indices(len(ELEMENTS), k=1)
    for one in found:
        assert (one.bowing == one.bowing.T).all()
        assert (one.asymmetry == -one.asymmetry.T).all()
    assert np.std([one.bowing[pairs] for one in found]) == pytest.approx(BOWING, rel=0.05)


def test_the_elements_are_those_of_pymatgen() -> None:
    columns = [PROPERTIES.index(name) for name in ("electronegativity", "atomic_radius", "melting_point")]
    known = element_properties(list(ELEMENTS))
    assert {name: tuple(found[column] for column in columns) for name, found in known.items()} == ELEMENTS
