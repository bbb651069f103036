"""Calls into BoTorch that are repeatable and keep quiet."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from botorch.exceptions.warnings import BotorchWarning
from linear_operator.utils.warnings import NumericalWarning

logger = logging.getLogger(__name__)

_SEED_LIMIT = 2**63
"""`torch.manual_seed` takes 64 bits, signed."""


@contextmanager
def repeatable(seed: int) -> Iterator[None]:
    """Run library code that draws from torch's global generator as if it had one of its own.

    The global state is put back afterwards. What the library warns of (jitter added to a singular matrix, a line search
    that ended early, a fit tried again) is logged: each caller checks its result instead, and users cannot act on it.
    """
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings(record=True) as caught:
        # "always": under "error" the library's own retries would be cut short; under "default" a repeat would be lost
        warnings.simplefilter("always", BotorchWarning)
        warnings.simplefilter("always", NumericalWarning)
        torch.manual_seed(seed % _SEED_LIMIT)
        yield
    for warning in caught:
        if issubclass(warning.category, BotorchWarning | NumericalWarning):
            logger.debug("numerics: %s", warning.message)
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def drawn_seed(generator: torch.Generator) -> int:
    """Draw a seed for library code that has its own generator."""
    return int(torch.randint(2**31, (1,), generator=generator))
