"""The source-basis Gaussian process: a new task is what the sources agree on, plus a mixture of them, plus news.

Each source has its own Gaussian process; its posterior mean is a function over the whole space. A new task is a process
whose columns are averages of these functions and whose random weights mix them (`models.source_basis.process`). All but a handful
of variances is fixed before the first experiment, conditioning is exact, weights of either sign are learned from a few
points, and history that does not fit fades. Nothing is standardised by three points: level and spread are the family's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from models.base import fields_of
from models.gaussian_processes.conditioning import Adapted, Conditioned, canonical_order
from models.gaussian_processes.kernels import FamilyKernel, Layout
from models.gaussian_processes.noise import NoiseModel, fit_noise, restore_noise
from models.source_basis.basis import Basis
from models.source_basis.kinship import Kinship, learn_kinship
from models.source_basis.process import (
    Beliefs,
    ComponentProcess,
    Evidence,
    Skeleton,
    first_beliefs,
    integrated,
    learn_beliefs,
    most_probable,
)
from models.source_basis.source_posterior import fit_source, restore_source, shared_kernel
from models.tasks import Family, MetaLearner, Prior, ReportProgress, Scale, TaskData, exemplary, family_scale

SUPPORT_SIZES: Final = (5, 10, 20, 40)
"""Sizes of the supports from which a source's numbers are learned."""
LEARNED_ROWS: Final = 300
"""Rows of a source that are looked at when it plays the new task."""
LEAST_SUPPORT: Final = 2
"""From so many measurements on the variances move."""


@dataclass(frozen=True)
class SourceBasisPrior(Prior):
    """What adapts to a new task."""

    skeleton: Skeleton
    beliefs: Beliefs
    scale: Scale
    noise: NoiseModel
    kinship: Kinship | None
    integrated: bool = False
    """Whether the log likelihood has the logarithms integrated out too; else it is that of the most probable ones."""

    @override
    def adapt(self, task: TaskData, *, generator: torch.Generator) -> Adapted:
        model, likelihood = self.conditioned(task)
        return Adapted("source-basis/1", ((1.0, model),), {**variance_notes(model), "log_likelihood": round(likelihood, 3)})

    def conditioned(self, task: TaskData) -> tuple[Conditioned, float]:
        """Return the adapted process and the log likelihood of the support in standard units."""
        skeleton = self.skeleton_for(task.descriptors)
        task = task.rows(canonical_order(task.X, task.Y))
        y, noise = self.scale.standard(task.Y), self._support_noise(skeleton, task)
        logs, likelihood = self.beliefs.means, 0.0
        if len(y) >= LEAST_SUPPORT:
            evidence = Evidence.of(skeleton, task.X, y, noise)
            logs, likelihood = most_probable(evidence, self.beliefs)
            likelihood = integrated(evidence, self.beliefs, logs) if self.integrated else likelihood
        process = ComponentProcess(skeleton, self.beliefs, logs)
        factor = float(logs[-1].exp())
        model = Conditioned(process, task.X, y, factor * noise, scale=self.scale, aleatoric=lambda mean: factor * self.noise.variance(mean))
        return model, likelihood

    def _support_noise(self, skeleton: Skeleton, task: TaskData) -> Float[Tensor, " n"]:
        """Return each row's noise variance: at the mean that a first look gives, and never below what the rows state."""
        y = self.scale.standard(task.Y)
        level = self.noise.variance(torch.zeros_like(y))
        if len(y):
            first = Conditioned(ComponentProcess(skeleton, self.beliefs, self.beliefs.means), task.X, y, level, scale=self.scale)
            with torch.no_grad():
                level = self.noise.variance(first.moments(first.X)[0])
        return torch.maximum(level, self.scale.stated(task))

    def skeleton_for(self, task: Float[Tensor, " k"]) -> Skeleton:
        """Return the skeleton with the kin of a task of which this is known."""
        basis = self.skeleton.basis
        if self.kinship is None:
            return self.skeleton
        known = len(task) == self.kinship.descriptors.shape[-1]
        chosen = range(len(basis.sources)) if basis.chosen is None else basis.chosen
        # a task of which nothing is known is nobody's relative: the plain average
        even = torch.zeros(len(basis.sources), dtype=torch.float64).index_fill_(0, torch.tensor(list(chosen)), 1.0 / len(chosen))
        weights = self.kinship.weights(task, chosen) if known else even
        return replace(self.skeleton, basis=basis.restricted(chosen, weights))

    def restricted(self, chosen: Sequence[int]) -> "SourceBasisPrior":
        """Return the prior as if it had only some of the sources; beliefs stay."""
        return replace(self, skeleton=replace(self.skeleton, basis=self.skeleton.basis.restricted(chosen, None)))

    @override
    def state(self) -> dict[str, Any]:
        basis, kernel = self.skeleton.basis, self.skeleton.kernel
        return {
            "sources": [source.state() for source in basis.sources],
            "fidelities": list(basis.fidelities),
            "log_lengths": kernel.log_lengths,
            "shares": kernel.shares,
            "beliefs": fields_of(self.beliefs),
            "level": self.scale.level,
            "spread": self.scale.spread,
            "noise": fields_of(self.noise),
            "kinship": None if self.kinship is None else fields_of(self.kinship),
        }


def restore_source_basis(state: Mapping[str, Any], family: Family) -> SourceBasisPrior:
    """Return the prior of a state."""
    layout = Layout.of(family.features)
    kernel = FamilyKernel(layout, state["log_lengths"], state["shares"])
    sources = tuple(restore_source(one, layout) for one in state["sources"])
    kinship = None if state["kinship"] is None else Kinship(**state["kinship"])
    basis = Basis(family.features, sources, tuple(state["fidelities"]))
    skeleton = Skeleton(family.features, kernel, _with_kinship(basis, kinship))
    scale = Scale(state["level"], state["spread"])
    return SourceBasisPrior(skeleton, Beliefs(**state["beliefs"]), scale, restore_noise(state["noise"]), kinship)


def _with_kinship(basis: Basis, kinship: Kinship | None) -> Basis:
    """Give the basis a column for relatives, so that its number of columns is the prior's."""
    if kinship is None:
        return basis
    even = torch.full((len(basis.sources),), 1.0 / len(basis.sources), dtype=torch.float64)
    return basis.restricted(range(len(basis.sources)), even)


class SourceBasisLearner(MetaLearner):
    """Learns a source-basis prior."""

    @override
    def meta_train(
        self, tasks: Sequence[TaskData], family: Family, *, generator: torch.Generator, report: ReportProgress | None = None
    ) -> SourceBasisPrior:
        scale, layout = family_scale(tasks), Layout.of(family.features)
        sources = tuple(fit_source(task, family.features(task.X), layout, generator) for task in tasks)
        basis = Basis(family.features, sources, tuple(task.fidelity for task in tasks))
        played = [_sample(task, generator) for task in tasks]
        others = left_out(tasks)
        kinship = _kinship(tasks, basis, played, others)
        likes = exemplary(tasks)
        kernel = shared_kernel([sources[index] for index in likes])
        skeleton = Skeleton(family.features, kernel, _with_kinship(basis, kinship))
        noise = fit_noise([tasks[index] for index in likes], scale)
        first = first_beliefs(skeleton.columns, len(skeleton.names), replicated=noise.origin == "replicates")
        prior = SourceBasisPrior(skeleton, first, scale, noise, kinship)
        return replace(prior, beliefs=learn_beliefs(_supports(prior, tasks, played, others, generator), first))


def _kinship(tasks: Sequence[TaskData], basis: Basis, played: Sequence[TaskData], others: Sequence[Sequence[int]]) -> Kinship | None:
    widths = {len(task.descriptors) for task in tasks}
    if widths == {0} or len(widths) > 1:
        return None
    values = [(task.Y - source.level) / source.spread for task, source in zip(played, basis.sources, strict=True)]
    return learn_kinship(torch.stack([task.descriptors for task in tasks]), [basis.functions(task.X) for task in played], values, others)


def left_out(tasks: Sequence[TaskData]) -> tuple[tuple[int, ...], ...]:
    """Return, per task, the tasks that are not its kin: others of no or of another declared group.

    Where several tasks were measured, only those play the new task: what a simulator is worth is learned from experiments.
    """
    playing = exemplary(tasks)
    return tuple(
        tuple(other for other in range(len(tasks)) if other != index and (task.group is None or tasks[other].group != task.group))
        if index in playing
        else ()
        for index, task in enumerate(tasks)
    )


def _sample(task: TaskData, generator: torch.Generator) -> TaskData:
    rows = torch.randperm(len(task.Y), generator=generator)[:LEARNED_ROWS].sort().values
    return task.rows(rows)


def _supports(
    prior: SourceBasisPrior,
    tasks: Sequence[TaskData],
    played: Sequence[TaskData],
    others: Sequence[Sequence[int]],
    generator: torch.Generator,
) -> list[list[Evidence]]:
    """Let each source play the new task, on supports of several sizes."""
    found = []
    for task, rows, rest in zip(tasks, played, others, strict=True):
        if not rest:
            continue
        skeleton = prior.restricted(rest).skeleton_for(task.descriptors)
        found.append([_support(prior, skeleton, rows, size, generator) for size in SUPPORT_SIZES])
    return found


def _support(prior: SourceBasisPrior, skeleton: Skeleton, task: TaskData, size: int, generator: torch.Generator) -> Evidence:
    some = task.rows(torch.randperm(len(task.Y), generator=generator)[: min(size, max(1, len(task.Y) // 2))])
    y = prior.scale.standard(some.Y)
    noise = prior.noise.variance(y)
    return Evidence.of(skeleton, some.X, y, noise)


def variance_notes(model: Conditioned) -> dict[str, Any]:
    """Return variances of the components, rounded, for people."""
    process = model.process
    assert isinstance(process, ComponentProcess)
    names = process.skeleton.names
    return {"variances": {name: float(f"{value:.3g}") for name, value in zip(names, process.logs.exp().tolist(), strict=True)}}
