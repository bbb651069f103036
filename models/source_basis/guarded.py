"""The default learner: the source-basis process under guard, calibrated.

The guard is a fresh process on the same data that knows the family's level, spread and noise and nothing else; or, by
another learner, what campaigns without a history believe (`models.source_basis.believing`). Both are weighed by how well
they explain what was measured (log likelihoods, coefficients integrated out), starting from how often the prior helped its
own sources; proposals come from the mixture.

Trust is the weight of the prior's part times how sure it is that the task rises where the sources rise. The second factor
tells a prior that holds from one that only turned out useful: a family with its sign turned around keeps its weight, since
the process learns the turned sign within a few experiments, and so does one that says nothing, since it learns as well as
the fresh process; neither keeps its trust.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import torch
from typing_extensions import override

from models.base import fields_of
from models.gaussian_processes.beliefs import learned
from models.gaussian_processes.conditioning import Adapted, Conditioned
from models.gaussian_processes.kernels import Layout, neutral_kernel
from models.gaussian_processes.noise import LEAST_NOISE_SD, NoiseModel
from models.inputs.features import Features
from models.source_basis.basis import Basis
from models.source_basis.believing import BelievingFresh, believing_fresh, restore_believing
from models.source_basis.calibration import Inflation, learn_inflation
from models.source_basis.learner import SourceBasisLearner, SourceBasisPrior, left_out, restore_source_basis, variance_notes
from models.source_basis.process import REACHES, Beliefs, Skeleton, agreement
from models.tasks import Family, MetaLearner, Prior, ReportProgress, Scale, TaskData

_NAME: Final = "default/1"
_BELIEVING: Final = "default-beliefs/1"
FRESH_LEVEL_DEVIATION: Final = 1.0
"""Of the fresh process's level, in the family's standard units."""
FRESH_VARIANCES: Final = (-2.5, -0.7, -2.0, -2.0)
"""Means of the logarithms of its variances: short, middle and long reach, single parameters; it is smooth by default."""
FRESH_DEVIATION: Final = 0.5
"""Of those logarithms. Vaguer beliefs let a few flat values shrink all variances: such a process is sure of itself after
five measurements, wins the evidence while nothing happens, and needs its intervals doubled, which then lead proposals."""
FRESH_NOISE_DEVIATION: Final = 1.5
GUESSED_NOISE: Final = NoiseModel("size", (0.1, 0.0), (), 0.0, LEAST_NOISE_SD, "residuals")
"""Its noise where nothing was ever repeated: a tenth of the family's spread, to begin with."""
CLIP: Final = 3.0
"""Most that one measurement may add to or take from the evidence, on average: a few outliers do not decide."""
_LEAST_WEIGHT: Final = 0.02
"""A part that weighs less is left out: it changes no choice and costs an acquisition function."""
EXAMINED: Final = 10
"""Measurements at which the sources are asked whether the prior helped them."""
EXAMINATIONS: Final = 4
"""Supports of that size drawn from each source."""


class Fresh(Protocol):
    """What a guard can be."""

    def conditioned(self, task: TaskData) -> tuple[Conditioned, float]:
        """Return the adapted process and the log likelihood of the support in standard units."""
        ...

    def state(self) -> dict[str, Any]:
        """Return what it is restored from."""
        ...


@dataclass(frozen=True)
class DefaultPrior(Prior):
    """Two processes and what weighs them."""

    informed: SourceBasisPrior
    fresh: Fresh
    trust: float
    """Weight of the informed process before the first experiment."""
    informed_inflation: Inflation
    fresh_inflation: Inflation
    guard: bool = True
    name: str = _NAME

    @override
    def adapt(self, task: TaskData, *, generator: torch.Generator) -> Adapted:
        informed, evidence = self.informed.conditioned(task)
        informed.inflation = self.informed_inflation.at(len(task.Y))
        notes = {**variance_notes(informed), "inflation": round(informed.inflation, 4)}
        if not self.guard:
            return Adapted(self.name, ((1.0, informed),), {**notes, "trust": round(agreement(informed), 4), "weights": {"prior": 1.0}})
        fresh, against = self.fresh.conditioned(task)
        fresh.inflation = self.fresh_inflation.at(len(task.Y))
        weight = weighed(self.trust, evidence - against, len(task.Y))
        notes |= {"trust": round(weight * agreement(informed), 4), "weights": {"prior": round(weight, 4), "fresh": round(1 - weight, 4)}}
        notes["evidence"] = round(evidence - against, 3)
        return Adapted(self.name, _parts(weight, informed, fresh), notes, guard=fresh)

    @override
    def state(self) -> dict[str, Any]:
        which = {} if self.name == _NAME else {"name": self.name}
        return {
            **which,
            "informed": self.informed.state(),
            "fresh": self.fresh.state(),
            "trust": self.trust,
            "informed_inflation": fields_of(self.informed_inflation),
            "fresh_inflation": fields_of(self.fresh_inflation),
        }


def weighed(trust: float, evidence: float, n: int) -> float:
    """Return the posterior weight of the prior's part: odds times the likelihood ratio, clipped per measurement."""
    clipped = max(-CLIP * n, min(CLIP * n, evidence))
    return 1.0 / (1.0 + math.exp(-(math.log(trust / (1.0 - trust)) + clipped)))


def _parts(weight: float, informed: Conditioned, fresh: Conditioned) -> tuple[tuple[float, Conditioned], ...]:
    if weight < _LEAST_WEIGHT:
        return ((1.0, fresh),)
    if weight > 1.0 - _LEAST_WEIGHT:
        return ((1.0, informed),)
    return ((weight, informed), (1.0 - weight, fresh))


def fresh_prior(informed: SourceBasisPrior, family: Family) -> SourceBasisPrior:
    """Return the process of somebody who knows the family's level, spread and noise and nothing else."""
    return fresh_process(family.features, informed.scale, informed.noise)


def fresh_process(features: Features, scale: Scale, noise: NoiseModel) -> SourceBasisPrior:
    """Return the process of somebody who knows level and spread, noise where replicates have told it, and nothing else."""
    layout = Layout.of(features)
    skeleton = Skeleton(features, neutral_kernel(layout), Basis(features, (), ()))
    variances = FRESH_VARIANCES[: len(skeleton.names) - 1]
    assert len(variances) in (len(REACHES), len(REACHES) + 1)
    beliefs = Beliefs(
        torch.zeros(1, dtype=torch.float64),
        torch.full((1,), FRESH_LEVEL_DEVIATION, dtype=torch.float64),
        torch.tensor([*variances, 0.0], dtype=torch.float64),
        torch.tensor([FRESH_DEVIATION] * len(variances) + [FRESH_NOISE_DEVIATION], dtype=torch.float64),
    )
    # replicates say how well a bench repeats itself; residuals of sources would let a useless prior blind its own guard
    return SourceBasisPrior(skeleton, beliefs, scale, noise if noise.origin == "replicates" else GUESSED_NOISE, None)


def _believing(informed: SourceBasisPrior, family: Family) -> BelievingFresh:
    deviations = {"variance_deviation": FRESH_DEVIATION, "noise_deviation": FRESH_NOISE_DEVIATION}
    return believing_fresh(family.features, informed.scale, informed.noise, learned(), **deviations)


@dataclass(frozen=True, slots=True)
class DefaultLearner(MetaLearner):
    """Learns the default prior."""

    @override
    def meta_train(
        self, tasks: Sequence[TaskData], family: Family, *, generator: torch.Generator, report: ReportProgress | None = None
    ) -> DefaultPrior:
        informed = SourceBasisLearner().meta_train(tasks, family, generator=generator, report=report)
        return guarded(informed, fresh_prior(informed, family), tasks, generator)


@dataclass(frozen=True, slots=True)
class BelievingLearner(MetaLearner):
    """Learns the default prior with a guard that has the beliefs of campaigns without a history."""

    @override
    def meta_train(
        self, tasks: Sequence[TaskData], family: Family, *, generator: torch.Generator, report: ReportProgress | None = None
    ) -> DefaultPrior:
        informed = SourceBasisLearner().meta_train(tasks, family, generator=generator, report=report)
        # the two have other numbers, and more of them, so that neither may count what it fitted as known
        informed = replace(informed, integrated=True)
        return guarded(informed, _believing(informed, family), tasks, generator, name=_BELIEVING)


def guarded(
    informed: SourceBasisPrior, fresh: Fresh, tasks: Sequence[TaskData], generator: torch.Generator, *, name: str = _NAME
) -> DefaultPrior:
    """Weigh the two on the sources, each left out in turn, and learn how wide their intervals must be."""
    others = left_out(tasks)
    playing = [index for index, rest in enumerate(others) if rest]

    def strict(index: int, support: TaskData) -> tuple[Conditioned, float]:
        return informed.restricted(others[index]).conditioned(support)

    def plain(_index: int, support: TaskData) -> tuple[Conditioned, float]:
        return fresh.conditioned(support)

    return DefaultPrior(
        informed,
        fresh,
        _helped(tasks, playing, strict, plain, generator),
        learn_inflation(tasks, playing, lambda index, support: strict(index, support)[0], generator),
        learn_inflation(tasks, playing, lambda index, support: plain(index, support)[0], generator),
        name=name,
    )


_Play = Callable[[int, TaskData], tuple[Conditioned, float]]


def _helped(tasks: Sequence[TaskData], playing: Sequence[int], strict: _Play, plain: _Play, generator: torch.Generator) -> float:
    """Return how often the prior explained a source better than the fresh process did, shrunk towards a half."""
    wins, trials = 1.0, 2.0
    for index in playing:
        supports = [tasks[index].rows(torch.randperm(len(tasks[index].Y), generator=generator)[:EXAMINED]) for _ in range(EXAMINATIONS)]
        wins += sum(strict(index, one)[1] > plain(index, one)[1] for one in supports) / EXAMINATIONS
        trials += 1.0
    return wins / trials


def restore_default(state: Mapping[str, Any], family: Family) -> DefaultPrior:
    """Return the prior of a state, with the guard that it was trained with."""
    informed, name = restore_source_basis(state["informed"], family), str(state.get("name", _NAME))
    scale = Scale(informed.scale.level, informed.scale.spread)
    fresh: Fresh = replace(fresh_prior(informed, family), scale=scale)
    if name == _BELIEVING:
        informed, fresh = replace(informed, integrated=True), restore_believing(state["fresh"], family.features, scale)
    of_informed, of_fresh = (Inflation(tuple(state[f"{one}_inflation"]["factors"])) for one in ("informed", "fresh"))
    return DefaultPrior(informed, fresh, float(state["trust"]), of_informed, of_fresh, name=name)
