"""Labs that leave no process behind, even where a test fails."""

from collections.abc import Callable, Iterator

import pytest

from tests.faults.laboratory import Laboratory

MakeLaboratory = Callable[..., Laboratory]


@pytest.fixture(scope="module")
def make_laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeLaboratory]:
    """Make labs that live as long as the tests of a file."""
    made: list[Laboratory] = []

    def make(*, budget: int, rate: float) -> Laboratory:
        made.append(Laboratory.new(tmp_path_factory.mktemp("lab") / "bench", budget=budget, rate=rate))
        return made[-1]

    yield make
    for one in made:
        one.close()
