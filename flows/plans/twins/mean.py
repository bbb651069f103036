"""A bench's twin as what a campaign's surrogate begins from: its table over the space, and the learner that adapts it.

The table has the rows of a candidate list, at most `ROWS` of them and far apart, or as many points that fill the space evenly; the
surroundings stand at their references. It depends on twin and space alone, so that a campaign that is taken up again finds the same.
"""

from functools import partial
from pathlib import Path
from typing import Final

import torch

from flows.plans.twins.bound import BoundTwin
from flows.plans.twins.table import TwinTable, twin_table
from models.inputs.encoding import Encoding
from models.meta_learning.twinned import TwinLearner
from models.source_basis.twinned import Predictions
from orchestrator.domain.objective import Objective
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.ports import Knowledge
from policies.initial import SobolPolicy

ROWS: Final = 256
"""Of a table, at most: the CdSe twin takes 17 s of processor time for them, and between them errs by a tenth of a wavelength's spread."""


def twin_learner(bound: BoundTwin, space: SearchSpace, objective: Objective, *, guard: bool, folder: Path | None) -> TwinLearner:
    """Return the learner of a campaign whose surrogate begins from the bench's twin; nothing is simulated before it is asked.

    Args:
        bound: The twin.
        space: Of the campaign.
        objective: Of the campaign.
        guard: Whether a model that knows nothing of the twin takes part.
        folder: Where tables are kept; None: nowhere.
    """
    targets = tuple(one.name for one in objective.measured)
    known = tuple(name for name in targets if name in bound.outputs)
    return TwinLearner(Encoding(space), targets, known, dict(bound.identity), partial(told, bound, space, known, folder), guard)


def design(space: SearchSpace) -> tuple[Configuration, ...]:
    """Return the configurations of a table: rows of the candidate list far apart, or points that fill the space."""
    count = ROWS if space.candidates is None else min(ROWS, len(space.candidates))
    return tuple(one.configuration for one in SobolPolicy(space.one_by_one).propose(Knowledge(), count=count, seed=0))


def told(bound: BoundTwin, space: SearchSpace, known: tuple[str, ...], folder: Path | None) -> dict[str, Predictions]:
    """Return what a twin says of some targets at the rows of its table; `folder` is where tables are kept."""
    rows = design(space)
    table, X = twin_table(bound, rows, folder=folder), Encoding(space).encode(rows)
    return {name: _predictions(table, name, X) for name in known}


def _predictions(table: TwinTable, name: str, X: torch.Tensor) -> Predictions:
    place = table.measured.index(name)
    moved = table.sensitivities[:, place, :] * table.prior_sds
    return Predictions(name, X, torch.from_numpy(table.mean[:, place].copy()), torch.from_numpy(moved), table.constants)
