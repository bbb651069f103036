from collections.abc import Iterator
from multiprocessing import forkserver, resource_tracker
from pathlib import Path

import pytest

from tests.people.bench import PeopleBench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[PeopleBench]:
    made = PeopleBench(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="session", autouse=True)
def _fork_server() -> Iterator[None]:
    """End the fork server with the tests: it would else wait for this process to end."""
    yield
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]
