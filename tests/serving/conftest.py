"""Served labs that leave no process behind, even where a test fails."""

from collections.abc import Callable, Iterator

import pytest

from tests.faults.laboratory import Laboratory
from tests.serving.served import Served

Serve = Callable[..., Served]


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Serve labs that live as long as the tests of a file."""
    made: list[Served] = []

    def begin(*, rate: float, deaf: bool = False) -> Served:
        laboratory = Laboratory.new(tmp_path_factory.mktemp("lab") / "bench", budget=40, rate=rate)
        made.append(Served.start(laboratory, deaf=deaf))
        return made[-1]

    yield begin
    for one in made:
        one.close()
