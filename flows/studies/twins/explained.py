"""Why a campaign's runs differ from what its twin says, quantity by quantity."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from flows.studies.twins.compared import Compared
from models.twin.analysis import Analysis, Finding, analyse
from models.twin.pairs import Pairs
from orchestrator.errors import BadInput


@dataclass(frozen=True)
class Gap:
    """How far the twin is from what was measured of one quantity."""

    measured: str
    unit: str
    runs: int
    bias: float
    """Mean of measured less predicted, in the unit."""
    error: float
    """Root mean square of the same."""
    spread: float
    """Standard deviation of what was measured: a twin that says nothing has an error of this, its bias apart."""


def gap(found: Compared, measured: str) -> Gap:
    """Say how far the twin is from what was measured, run by run."""
    which = found.told(measured)
    values, place = found.means(measured, which), found.table.measured.index(measured)
    left = values - found.table.mean[which, place]
    sizes = (float(left.mean()), float(np.sqrt(np.square(left).mean())), float(values.std())) if which else (0.0, 0.0, 0.0)
    return Gap(measured, found.table.units[place], len(which), *sizes)


@dataclass(frozen=True)
class Explained:
    """What is known of why one quantity differs."""

    gap: Gap
    pairs: Pairs
    analysis: Analysis

    @cached_property
    def named(self) -> tuple[Finding, ...]:
        """The factors that made a difference."""
        return tuple(one for one in self.analysis.findings if one.named)

    @cached_property
    def taken_up(self) -> tuple[str, ...]:
        """The terms of the library that strong evidence is for."""
        known = self.analysis.model.problem.constants
        return tuple(one for one in self.analysis.model.coefficients if one not in known)


def explained(found: Compared, measured: str, *, seed: int = 0) -> Explained:
    """Analyse one quantity.

    Raises:
        BadInput: Too few runs have it.
    """
    pairs = found.pairs(measured)
    return Explained(gap(found, measured), pairs, analyse(pairs, seed=seed))


def quantities(found: Compared, wanted: Sequence[str] = ()) -> tuple[str, ...]:
    """Return what is compared: all that the twin predicts, or what is asked for.

    Raises:
        BadInput: The twin predicts no such thing.
    """
    for one in wanted:
        if one not in found.table.measured:
            raise BadInput(
                f"twin {found.plain.twin.label} predicts no {one!r} of this campaign; it predicts {', '.join(found.table.measured)}"
            )
    return tuple(wanted) or found.table.measured
