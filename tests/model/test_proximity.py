"""Distances to measured points, checked by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.inputs.encoding import Encoding
from models.inputs.proximity import nearest_measured, parameter_distances
from orchestrator.domain.values import Configuration
from tests import strategies
from tests.model.test_encoding import MIXED

POINT: Configuration = {"T": 150.0, "volume": 0.1, "solvent": "DMF", "alloy.Ni": 0.4, "alloy.Fe": 0.6}
MEASURED: tuple[Configuration, ...] = (
    {"T": 250.0, "volume": 0.1, "solvent": "DMF", "alloy.Ni": 0.4, "alloy.Fe": 0.6},
    {"T": 150.0, "volume": 0.7, "solvent": "water", "alloy.Ni": 1.0, "alloy.Fe": 0.0},
    {"T": 170.0, "volume": 0.1, "solvent": "DMF", "alloy.Ni": 0.5, "alloy.Fe": 0.5},
    {"T": 250.0, "volume": 0.1, "solvent": "DMF", "alloy.Ni": 0.4, "alloy.Fe": 0.6},
)


def test_a_distance_is_the_mean_of_parts_of_ranges_exchanged_categories_and_exchanged_fractions() -> None:
    encoding = Encoding(MIXED)
    found = nearest_measured(encoding.encode([POINT])[0], encoding.encode(MEASURED), encoding, count=4)
    assert found.indices == (2, 0, 3, 1)
    assert found.distances == pytest.approx(((0.1 + 0.1) / 4, 0.5 / 4, 0.5 / 4, (1.0 + 1.0 + 0.6) / 4))
    assert found.by_parameter[3] == pytest.approx((0.0, 1.0, 1.0, 0.6))


def test_no_more_neighbours_come_back_than_were_measured() -> None:
    encoding = Encoding(MIXED)
    x = encoding.encode([POINT])
    assert nearest_measured(x[0], x, encoding, count=3).indices == (0,)
    empty = nearest_measured(x[0], x[:0], encoding)
    assert (empty.indices, empty.distances, empty.by_parameter) == ((), (), ())


@settings(deadline=None)
@given(data=st.data())
def test_a_distance_is_zero_to_oneself_symmetric_and_at_most_one(data: st.DataObject) -> None:
    space = data.draw(strategies.open_spaces())
    encoding = Encoding(space)
    X = encoding.encode([data.draw(strategies.configurations(space)) for _ in range(2)])
    there, back = parameter_distances(X[0], X, encoding), parameter_distances(X[1], X, encoding)
    assert float(there[0].abs().max()) == 0.0
    torch.testing.assert_close(there[1], back[0])
    assert float(there.max()) <= 1 + 1e-9
