"""How many threads compute: torch's, and those of the linear algebra under numpy and scipy."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import scipy.linalg as _loaded  # noqa: F401  # only a library that is loaded can be limited
import torch
from threadpoolctl import threadpool_limits

_TURN: Final = threading.RLock()


def use_threads(count: int) -> None:
    """Compute with so many threads from now on; what is small is slower with more, and its last digits depend on their number."""
    torch.set_num_threads(count)
    threadpool_limits(limits=count)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with so many threads for a while, and then as before.

    One caller at a time: the number of threads is the whole process's, as is the generator that BoTorch draws from.
    """
    with _TURN, threadpool_limits(limits=count):
        before = torch.get_num_threads()
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before)
