"""Labs that leave no process behind, even where a test fails."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.faults.laboratory import Laboratory

MakeLaboratory = Callable[..., Laboratory]


@pytest.fixture(scope="module")
def make_laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeLaboratory]:
    """Make labs that live as long as the tests of a file."""
    made: list[Laboratory] = []

    def make(*, rate: float, **campaign: Any) -> Laboratory:
        made.append(Laboratory.new(tmp_path_factory.mktemp("lab") / "bench", rate=rate, **campaign))
        return made[-1]

    yield make
    for one in made:
        one.close()
