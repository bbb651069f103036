"""How many threads compute: torch's, and those of the linear algebra under numpy and scipy."""

import scipy.linalg as _loaded  # noqa: F401  # only a library that is loaded can be limited
import torch
from threadpoolctl import threadpool_limits


def use_threads(count: int) -> None:
    """Compute with so many threads from now on; what is small is slower with more, and its last digits depend on their number."""
    torch.set_num_threads(count)
    threadpool_limits(limits=count)
