"""How far each known prior is to be trusted for a campaign, before the first experiment and after some."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor

from flows.studies.metatraining.card import record
from models.base import known_variances
from models.inputs.encoding import Encoding
from models.meta_learning.audit import overlaps, refuse_if_seen
from models.meta_learning.checkpoint import PriorFile, Restore, load_prior
from models.tasks import TaskData, family_scale
from orchestrator.domain.campaign import CampaignFile
from orchestrator.domain.objective import Measured
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.ports import Observation
from orchestrator.units import convert

OUTSIDE: Final = 0.05
"""Part of a parameter's range by which a campaign may reach beyond its sources' before it is said."""
SEED: Final = 0
"""Seed of the adaptation that is looked at: the figures are for people, no proposal depends on them."""


@dataclass(frozen=True, slots=True)
class Case:
    """A campaign that looks for a prior."""

    file: CampaignFile
    space: SearchSpace
    observations: tuple[Observation, ...] = ()


@dataclass(frozen=True)
class PriorVerdict:
    """What is to be said of one prior for one campaign."""

    prior: str
    path: Path
    origin: str
    fits: bool
    reasons: tuple[str, ...]
    """Why, in the order in which they weigh."""
    trust: Mapping[str, float | None]
    """Measured -> 0 to 1, from what was measured; None where nothing was, or the learner says none."""
    measurements: int
    record: Mapping[str, Any]
    """Measured -> leave-one-out record of the default learner."""

    def document(self) -> dict[str, Any]:
        """Return a JSON document."""
        return {
            "prior": self.prior,
            "path": str(self.path),
            "origin": self.origin,
            "fits": self.fits,
            "trust": dict(self.trust),
            "measurements": self.measurements,
            "record": dict(self.record),
            "reasons": [*self.reasons],
        }

    @property
    def line(self) -> str:
        """The verdict for people."""
        known = [f"{name} {value:.2f}" for name, value in self.trust.items() if value is not None]
        trust = f"trust after {self.measurements} measurements: {', '.join(known)}; " if known else ""
        return f"{self.prior} ({self.origin}): {'fits' if self.fits else 'does not fit'}; {trust}{'; '.join(self.reasons)}"


def assess(path: Path, case: Case, restore: Restore) -> PriorVerdict:
    """Say how far a prior is to be trusted for a campaign, and why."""
    try:
        prior = load_prior(path, restore=restore)
    except BadInput as error:
        return PriorVerdict(path.stem, path, "unknown", False, (str(error),), {}, 0, {})
    targets = case.file.objective.measured
    try:
        lift = prior.lift(case.space)
        known = prior.task_vector(case.file.spec.surrogate.task)
        judged = {target.name: _judged(target, prior, case, lift, known) for target in targets}
    except BadInput as error:
        return PriorVerdict(prior.name, path, prior.origin, False, (str(error),), {}, 0, {})
    kept = {name: record(prior.card["targets"][name]["judged"], prior.learners[0]) for name in judged}
    trust = {name: _trust(prior, name, task) for name, task in judged.items()}
    reasons = (*_records(kept), *_coverage(prior, case, lift), *_seen(prior, case, judged))
    return PriorVerdict(prior.name, path, prior.origin, True, reasons, trust, max(len(task.Y) for task in judged.values()), kept)


def _judged(target: Measured, prior: PriorFile, case: Case, lift: Any, descriptors: Float[Tensor, " k"]) -> TaskData:
    """Return what the campaign has measured of a target, in the prior's encoding and unit."""
    unit = prior.family(target.name).unit
    rows = [row for row in case.observations if target.name in row.values]
    try:
        values = [convert(row.values[target.name], target.unit, unit) for row in rows]
        step = abs(convert(1.0, target.unit, unit) - convert(0.0, target.unit, unit))
    except BadInput as error:
        raise BadInput(f"prior {prior.name}: target {target.name} is in {unit or '1'} there and in {target.unit or '1'} here") from error
    known = [step * row.uncertainties[target.name] for row in rows if target.name in row.uncertainties]
    return TaskData(
        name=case.file.name,
        X=lift(Encoding(case.space).encode(row.configuration for row in rows)),
        Y=torch.tensor(values, dtype=torch.float64),
        Yvar=known_variances(known) if len(known) == len(rows) else None,
        descriptors=descriptors,
    )


def _trust(prior: PriorFile, target: str, task: TaskData) -> float | None:
    """Ask the adapted default how far it trusts the prior, by what was measured."""
    if not len(task.Y):
        return None
    generator = torch.Generator().manual_seed(SEED)
    adapted = prior.prior(target).adapt(task, generator=generator)
    value = adapted.description().get("trust")
    return None if value is None else float(value)


def _records(kept: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = []
    for target, one in kept.items():
        if one["error"] is None:
            lines.append(f"{target}: its learner was not judged on tasks left out")
        else:
            error = f"its error was {one['error']:.2g} x a fresh GP's (worst task {one['worst']:.2g})"
            lines.append(f"{target}: on {one['tasks']} tasks left out {error}")
    return lines


def _coverage(prior: PriorFile, case: Case, lift: Any) -> list[str]:
    """Say which of the campaign's parameters reach beyond what the sources covered."""
    X = torch.cat([task.X for tasks in prior.tasks.values() for task in tasks])
    low, high = X.amin(dim=0), X.amax(dim=0)
    width = lift.matrix.shape[0]
    ends = torch.stack([lift(torch.zeros(width, dtype=X.dtype)), lift(torch.ones(width, dtype=X.dtype))])
    found = []
    for parameter, where in zip(prior.space.parameters, prior.encoding.slices, strict=True):
        if not parameter.names:
            index = where.start
            span = float(ends[1, index] - ends[0, index])
            beyond = max(float(low[index] - ends[0, index]), float(ends[1, index] - high[index]), 0.0) / (span or 1.0)
            if beyond > OUTSIDE:
                found.append(f"{parameter.name}: {beyond:.0%} of the range is beyond what its sources covered")
    return [*found, *_unused(prior, case, high)] or ["its sources cover the campaign's space"]


def _unused(prior: PriorFile, case: Case, high: Float[Tensor, " d"]) -> list[str]:
    """Say which categories and components no source has."""
    own = {parameter.name: parameter for parameter in case.space.parameters}
    found = []
    for parameter, where in zip(prior.space.parameters, prior.encoding.slices, strict=True):
        if not parameter.names:
            continue
        here = {name.casefold() for name in own[parameter.name].names}
        absent = [name for name, most in zip(parameter.names, high[where].tolist(), strict=True) if most <= 0 and name.casefold() in here]
        if absent:
            found.append(f"{parameter.name}: no source has {', '.join(absent)}")
    return found


def _seen(prior: PriorFile, case: Case, judged: Mapping[str, TaskData]) -> list[str]:
    """Say whether the prior was trained on this very campaign."""
    for target, task in judged.items():
        try:
            refuse_if_seen(prior.marks[target], prior=prior.name, name=case.file.name, judged=task)
        except BadInput as error:
            return [f"{error}: its trust counts for nothing"]
        shared = [one for one in overlaps(task, prior.tasks[target], family_scale(prior.tasks[target])) if one.near]
        if shared:
            return [f"audit: {shared[0].near} of {shared[0].of} measurements stand in source {shared[0].source} as well"]
    return ["audit: it has not seen this campaign"]


def rank(verdicts: Sequence[PriorVerdict]) -> list[PriorVerdict]:
    """Order priors: those that fit first, by trust where there is one, then by their record."""

    def key(one: PriorVerdict) -> tuple[bool, float, float]:
        known = [value for value in one.trust.values() if value is not None]
        errors = [kept["error"] for kept in one.record.values() if kept["error"] is not None]
        return (not one.fits, -min(known) if known else 0.0, max(errors) if errors else float("inf"))

    return sorted(verdicts, key=key)
