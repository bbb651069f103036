"""How many threads compute: torch's, and those of the linear algebra under numpy and scipy."""

from collections.abc import Iterator
from contextlib import contextmanager

import scipy.linalg as _loaded  # noqa: F401  # only a library that is loaded can be limited
import torch
from threadpoolctl import threadpool_limits


def use_threads(count: int) -> None:
    """Compute with so many threads from now on; what is small is slower with more, and its last digits depend on their number."""
    torch.set_num_threads(count)
    threadpool_limits(limits=count)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with so many threads for a while, and then as before."""
    before = torch.get_num_threads()
    with threadpool_limits(limits=count):
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before)
