"""Deep-kernel Gaussian process, trained on the density of query rows.

On adaptation the network stays as it is, since its weights would overfit twenty points; seven numbers move, by maximum a
posteriori around their meta-learned values.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from models.base import Surrogate
from models.gaussian_processes.conditioning import Adapted
from models.gaussian_processes.fitting import minimise, negative_log_density
from models.gaussian_processes.kernels import squared_distances
from models.networks.process import NAMES, Embedding, Hyper, Hyperparameters, Support, combine, query_loss
from models.networks.training import (
    Batch,
    LearningCurve,
    Network,
    Sources,
    TrainingPlan,
    initial_network,
    prepare_sources,
    restore_sources,
    train_module,
    with_known,
)
from models.tasks import Family, MetaLearner, Prior, ReportProgress, TaskData

_NAME: Final = "deep-kernel/1"
LEAST_FITTED: Final = 4
"""Points from which the seven numbers move: fewer say nothing about them."""
FIT_STEPS: Final = 8
"""L-BFGS steps; the prior holds the numbers near their start, the optimum is flat beyond."""
FREEDOM: Final[Mapping[str, float]] = {
    "features": 0.7,
    "raw": 0.7,
    "constant": 0.7,
    "length": 0.3,
    "raw_length": 0.3,
    "gain": 0.3,
    "noise": 0.5,
}
"""Prior sd of each number around its meta-learned value; of amplitudes and noise as logarithms of variances."""
REPLICATED_FREEDOM: Final = 0.2
"""Prior sd of the noise factor where replicates have told the noise: misfit is not to pass for it."""


@dataclass(frozen=True, slots=True)
class DeepKernel(MetaLearner):
    """Trains one network with its kernel."""

    plan: TrainingPlan = field(default_factory=TrainingPlan)

    @override
    def meta_train(
        self, tasks: Sequence[TaskData], family: Family, *, generator: torch.Generator, report: ReportProgress | None = None
    ) -> "DeepKernelPrior":
        sources, rows = prepare_sources(tasks, family, generator)
        network = initial_network(sources.inputs.size, generator)
        hyper = Hyperparameters(len(sources.inputs.centre))

        def loss(batch: Batch) -> Tensor:
            values = hyper.read()
            features, mean = network(batch.inputs)
            raw = batch.F * (-values["widths"]).exp()
            return query_loss(Embedding(features, raw, mean), values, batch, sources)

        curve = train_module(nn.ModuleList([network, hyper]), loss, rows, self.plan, generator, report)
        numbers = {name: value.detach().double().flatten() for name, value in hyper.read().items()}
        numbers = {name: value if name == "widths" else value.squeeze(0) for name, value in numbers.items()}
        return DeepKernelPrior(sources, network.double().requires_grad_(False), numbers, curve)


@dataclass(frozen=True, slots=True)
class DeepKernelPrior(Prior):
    """A trained network with its kernel."""

    sources: Sources
    network: Network
    hyper: Hyper
    curve: LearningCurve

    @override
    def adapt(self, task: TaskData, *, generator: torch.Generator) -> Surrogate:
        support = Support.of(task, self.sources)

        def embed(X: Tensor) -> Embedding:
            F = self.sources.inputs.rows(X)
            features, mean = self.network(with_known(F, support.known))
            return Embedding(features, F * (-self.hyper["widths"]).exp(), mean)

        hyper = self.hyper
        if len(support.z) >= LEAST_FITTED:
            noise = torch.maximum(torch.full_like(support.z, support.typical), support.stated)
            hyper = self._fitted(embed(support.X), support.z, noise)
        model = support.condition(embed, hyper, math.exp(0.5 * float(hyper["noise"])))
        numbers = {name: round(float(hyper[name]), 4) for name in NAMES}
        return Adapted(_NAME, ((1.0, model),), notes={**numbers, "points": len(support.z)})

    def _fitted(self, found: Embedding, z: Float[Tensor, " n"], noise: Float[Tensor, " n"]) -> Hyper:
        """Return the numbers of greatest posterior density."""
        learned, raw = squared_distances(found.features, found.features), squared_distances(found.raw, found.raw)
        centre = torch.stack([self.hyper[name] for name in NAMES])
        freedom = torch.tensor([FREEDOM[name] for name in NAMES], dtype=z.dtype)
        if self.sources.noise.origin == "replicates":
            freedom[NAMES.index("noise")] = REPLICATED_FREEDOM

        def loss(moved: Tensor) -> Tensor:
            hyper = dict(zip(NAMES, (centre + freedom * moved).unbind(), strict=True))
            K = combine(hyper, learned, raw) + torch.diag(hyper["noise"].exp() * noise)
            return negative_log_density(K, z - hyper["gain"] * found.mean) + 0.5 * moved.square().sum()

        moved = minimise(loss, torch.zeros_like(centre), max_iter=FIT_STEPS, max_eval=2 * FIT_STEPS, tolerance_change=1e-4)
        return {**self.hyper, **dict(zip(NAMES, (centre + freedom * moved).unbind(), strict=True))}

    @override
    def state(self) -> dict[str, Any]:
        network, hyper, curve = dict(self.network.state_dict()), dict(self.hyper), self.curve
        return {"name": _NAME, **self.sources.state(), "network": network, "hyper": hyper, "curve": curve}


def restore_deep_kernel(state: Mapping[str, Any], family: Family) -> DeepKernelPrior:
    """Return the prior of a state."""
    sources = restore_sources(state, family)
    network = Network(sources.inputs.size).double().requires_grad_(False)
    network.load_state_dict(state["network"])
    return DeepKernelPrior(sources, network, state["hyper"], state["curve"])
