"""The bound on the peers' fits; both packages call BoTorch's fit with its defaults and have no setting for it."""

from functools import partial
from typing import Final

import botorch.fit

FIT_STEPS: Final = 50
"""Of L-BFGS, in each fit: about 3 s of a core over 300 rows; the objective gains little afterwards on most tasks."""
CAPPED: Final = partial(botorch.fit.fit_gpytorch_mll, optimizer_kwargs={"options": {"maxiter": FIT_STEPS}})
"""Stands in for `fit_gpytorch_mll`."""
