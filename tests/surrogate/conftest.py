"""One thread: what is computed here is small, and threads that wait for each other on a busy machine are slow."""

from collections.abc import Iterator

import pytest
import torch

from models.threads import use_threads


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    use_threads(1)
    yield
    use_threads(before)
