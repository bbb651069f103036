"""Why a campaign's runs differ from what its twin says, quantity by quantity."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    """Say how far the twin is from what was measured, run by run.

    Raises:
        BadInput: No run measured it where the twin predicts it.
    """
    which = found.told(measured)
    if not which:
        raise BadInput(f"{measured}: no run measured it where twin {found.plain.twin.label} predicts it")
    values, place = found.means(measured, which), found.table.measured.index(measured)
    left = values - found.table.mean[which, place]
    sizes = (float(left.mean()), float(np.sqrt(np.square(left).mean())), float(values.std()))
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
    pairs, spec = found.pairs(measured), found.plain.bench.spec.twin
    return Explained(gap(found, measured), pairs, analyse(pairs, seed=seed, floor=spec is not None and spec.floor))


def quantities(found: Compared, wanted: Sequence[str] = ()) -> tuple[Compared, tuple[str, ...]]:
    """Return what is compared: what is asked for, or all that the twin predicts and enough runs have; why others are left out is said.

    Raises:
        BadInput: The twin predicts no such thing, or nothing is left.
    """
    for one in wanted:
        if one not in found.table.measured:
            raise BadInput(
                f"twin {found.plain.twin.label} predicts no {one!r} of this campaign; it predicts {', '.join(found.table.measured)}"
            )
    return (found, tuple(wanted)) if wanted else _with_enough(found)


def _with_enough(found: Compared) -> tuple[Compared, tuple[str, ...]]:
    told, why = list[str](), list[str]()
    for one in found.table.measured:
        try:
            found.pairs(one)
        except BadInput as error:
            why.append(str(error))
        else:
            told.append(one)
    if not told:
        raise BadInput(why[0])
    return replace(found, left_out=(*found.left_out, *why)), tuple(told)
