"""A twin that has learned from a campaign: its constants, and the terms that it lacked, as a new revision; older ones stay."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from flows.plans.twins.bound import BoundTwin
from flows.plans.twins.files import Learned, LearnedConstant, write_revision
from flows.studies.twins.compared import Compared
from flows.studies.twins.explained import Explained
from models.twin.refitting import refitted
from models.twin.terms import Estimate
from orchestrator.errors import BadInput
from simulators.twins.declaration import Constant, Situation, Twin
from simulators.twins.terms import Term, with_terms


@dataclass(frozen=True)
class Recalibrated:
    """A twin with other constants, and perhaps terms."""

    bound: BoundTwin
    """The twin as it is now."""
    learned: tuple[tuple[Constant, Constant, bool], ...]
    """Each constant and strength, before and after, and whether these runs calibrate it."""
    terms: tuple[Term, ...]
    """Those that it has taken up."""
    before: Mapping[str, float]
    after: Mapping[str, float]
    """Root mean square of measured less predicted values by quantity, in its unit, of the same runs."""
    converged: bool


def recalibrated(found: Compared, all_of: Sequence[Explained]) -> Recalibrated:
    """Refit all constants and the terms taken up, on all quantities at once.

    Raises:
        BadInput: The twin has nothing to calibrate, and no term is taken up.
    """
    own = {name for one in all_of for name in one.taken_up}
    taken = tuple(one for one in found.terms if one.name in own)
    base = found.plain.twin
    extended = with_terms(base, taken)
    declared = {one.name: one for one in extended.constants}
    if not any(one.analysis.model.coefficients for one in all_of):
        raise BadInput(f"twin {base.label} has no constant that may be calibrated, and no term of the library is taken up")
    asked = _Asked(found, extended, declared, tuple(all_of))
    refit = refitted([one.analysis.model for one in all_of], asked)
    deviations = {one.name: one.mean for one in refit.estimates}
    changed = {one.name: _moved(declared[one.name], one) for one in refit.estimates}
    made = extended.with_constants(changed)
    before = {one.gap.measured: one.gap.error for one in all_of}
    after = {
        one.gap.measured: float((one.pairs.observed - mean).square().mean().sqrt())
        for one, mean in zip(all_of, asked([deviations])[0], strict=True)
    }
    learned = tuple((declared[one.name], changed[one.name], one.calibrated) for one in refit.estimates)
    return Recalibrated(replace(found.bound, twin=made), learned, taken, before, after, refit.converged)


def _moved(declared: Constant, estimate: Estimate) -> Constant:
    """Return a constant with what is known of it now."""
    return replace(declared, value=_value(declared, estimate.mean), sd=min(estimate.sd, declared.sd))


def _value(declared: Constant, deviation: float) -> float:
    return declared.moved(deviation / declared.sd)


@dataclass(frozen=True)
class _Asked:
    """Predicts the readings of each quantity from deviations of constants, many sets of them at once."""

    found: Compared
    twin: Twin
    declared: Mapping[str, Constant]
    all_of: tuple[Explained, ...]

    def __call__(self, many: Sequence[Mapping[str, float]]) -> list[list[Float[Tensor, " n"]]]:
        outcomes = self.twin.predict([one for deviations in many for one in self._situations(deviations)])
        rows = len(self.found.situations)
        blocks = [outcomes[start : start + rows] for start in range(0, len(outcomes), rows)]
        return [[self._of(one, block) for one in self.all_of] for block in blocks]

    def _situations(self, deviations: Mapping[str, float]) -> list[Situation]:
        moved = {name: _value(self.declared[name], one) for name, one in deviations.items()}
        constants = {**self.twin.values, **moved}
        return [
            Situation(one.controls, constants, {name: one.environment[name] for name in self.twin.reference})
            for one in self.found.situations
        ]

    def _of(self, one: Explained, outcomes: Sequence[Mapping[str, float] | str]) -> Float[Tensor, " n"]:
        measured = one.gap.measured
        factor, offset = self.found.bound.scale(measured)
        output = self.found.bound.outputs[measured]
        values = []
        for row in self.found.told(measured):
            outcome = outcomes[row]
            # a step into where nothing is made: the row stays as the twin had it, and the search turns by the others
            before = float(self.found.table.mean[row, self.found.table.measured.index(measured)])
            value = before if isinstance(outcome, str) else factor * outcome[output] + offset
            values += [value] * len(self.found.rows[row].values[measured])
        return torch.tensor(values, dtype=torch.float64)


def write(made: Recalibrated, folder: Path, *, base: str, learned: Learned) -> str:
    """Write it as a new revision beside the bench file; return how a bench file names it.

    What the bench file knows of other constants goes into it too: whoever goes by the revision leaves `[twin.constants]` out.
    """
    declared = {one.name: one for one in made.bound.found.twin.constants}
    known = (_known(one, declared.get(one.name, one)) for one in made.bound.twin.constants if one.calibratable or one != declared[one.name])
    return write_revision(folder, made.bound.twin.name, base=base, constants=tuple(known), terms=made.terms, learned=learned)


def _known(one: Constant, declared: Constant) -> LearnedConstant:
    """Return a constant for a file: value and deviation, and whatever else is not as its twin declares it."""
    return LearnedConstant(
        one.name,
        one.value,
        one.unit,
        one.sd,
        prior=None if one.prior == declared.prior else one.prior,
        low=None if one.low == declared.low else one.low,
        high=None if one.high == declared.high else one.high,
        calibratable=None if one.calibratable == declared.calibratable else one.calibratable,
    )
