"""The bound on the peers' fits; both packages call BoTorch's fit with its defaults and have no setting for it."""

from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Final
from unittest import mock

import botorch.fit

FIT_STEPS: Final = 50
"""Of L-BFGS, in each fit: about 3 s of a core over 300 rows; the objective gains little afterwards on most tasks."""
CAPPED: Final = partial(botorch.fit.fit_gpytorch_mll, optimizer_kwargs={"options": {"maxiter": FIT_STEPS}})
"""Stands in for `fit_gpytorch_mll`."""


def bounded(module: Any, *, sources: bool) -> AbstractContextManager[Any]:
    """Bound the fits that a module calls, where there are sources; without them nothing is changed."""
    return mock.patch.object(module, "fit_gpytorch_mll", CAPPED) if sources else nullcontext()
