"""Distances between configurations, on plain values and on encoded ones, are the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.inputs.encoding import Encoding
from models.inputs.proximity import parameter_distances
from orchestrator.domain.distance import distance, nearest
from orchestrator.domain.space import SearchSpace
from tests.strategies import configurations, open_spaces


@given(st.data())
def test_plain_and_encoded_distances_agree(data: st.DataObject) -> None:
    space: SearchSpace = data.draw(open_spaces())
    one, other = data.draw(configurations(space)), data.draw(configurations(space))
    encoding = Encoding(space)
    X = encoding.encode([one, other])
    assert distance(space, one, other) == pytest.approx(float(parameter_distances(X[0], X[1:], encoding).mean()), abs=1e-9)
    assert distance(space, one, other) == distance(space, other, one)
    assert distance(space, one, one) == 0.0
    assert nearest(space, one, [other, one]) == 0.0
    assert nearest(space, one, []) is None
