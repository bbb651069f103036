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

from models.base import Prior, Surrogate
from models.gaussian_processes.conditioning import Adapted, canonical_order
from models.gaussian_processes.noise import NoiseModel, restore_noise
from models.meta_learning.tasks import Family, Scale, TaskData
from models.networks.process import (
    NAMES,
    Embedding,
    Hyper,
    Hyperparameters,
    NetworkProcess,
    combine,
    conditioned,
    minimise,
    query_loss,
    squared_distances,
    support_units,
)
from models.networks.training import (
    Batch,
    Inputs,
    Network,
    Plan,
    Progress,
    Report,
    curve_of,
    curve_state,
    initial_network,
    prepare,
    restore_inputs,
    train,
)

NAME: Final = "deep-kernel/1"
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
class DeepKernel:
    """Trains one network with its kernel."""

    plan: Plan = field(default_factory=Plan)

    @property
    def name(self) -> str:
        """Name and version."""
        return NAME

    def meta_train(
        self, tasks: Sequence[TaskData], family: Family, *, generator: torch.Generator, report: Report | None = None
    ) -> "DeepKernelPrior":
        """Train on source tasks.

        Raises:
            BadInput: No task, or nothing that varies.
        """
        sources = prepare(tasks, family, generator)
        network = initial_network(sources.inputs.size, generator)
        hyper = Hyperparameters(len(sources.inputs.centre))

        def loss(batch: Batch) -> Tensor:
            values = hyper.read()
            features, mean = network(batch.inputs)
            raw = batch.F * (-values["widths"]).exp()
            return query_loss(Embedding(features, raw, mean), values, batch, sources)

        curve = train(nn.ModuleList([network, hyper]), loss, sources.split, self.plan, generator, report)
        numbers = {name: value.detach().double().flatten() for name, value in hyper.read().items()}
        numbers = {name: value if name == "widths" else value.squeeze(0) for name, value in numbers.items()}
        return DeepKernelPrior(
            sources.inputs, sources.scale, sources.noise, sources.typical, network.double().requires_grad_(False), numbers, tuple(curve)
        )


@dataclass(frozen=True, slots=True)
class DeepKernelPrior(Prior):
    """A trained network with its kernel."""

    inputs: Inputs
    scale: Scale
    noise: NoiseModel
    typical: float
    network: Network
    hyper: Hyper
    curve: tuple[Progress, ...]

    @property
    @override
    def name(self) -> str:
        return NAME

    @override
    def adapt(
        self,
        X: Float[Tensor, "n d"],
        Y: Float[Tensor, " n"],
        Yvar: Float[Tensor, " n"] | None,
        task: Float[Tensor, " k"],
        *,
        generator: torch.Generator,
    ) -> Surrogate:
        order = canonical_order(X, Y)
        X, Y = X[order], Y[order]
        y = self.scale.standard(Y)
        within, units = support_units(self.scale, y)
        z, noise, typical = within.standard(y), self.noise.within(within), self.typical / within.spread**2
        known = self.inputs.known(task)
        least = torch.zeros_like(Y) if Yvar is None else Yvar[order] / units.spread**2
        hyper = self.hyper
        if len(z) >= LEAST_FITTED:
            hyper = self._fitted(self._embed(X, known), z, torch.maximum(torch.full_like(z, typical), least))
        process = NetworkProcess(lambda points: self._embed(points, known), hyper, noise.times(math.exp(0.5 * float(hyper["noise"]))))
        model = conditioned(process, X, z, typical, least, units)
        numbers = {name: round(float(hyper[name]), 4) for name in NAMES}
        return Adapted(NAME, ((1.0, model),), notes={**numbers, "points": len(z)})

    def _embed(self, X: Float[Tensor, "*b n d"], known: Float[Tensor, " k"]) -> Embedding:
        F = self.inputs.rows(X)
        features, mean = self.network(torch.cat([F, known.expand(*F.shape[:-1], len(known))], dim=-1))
        return Embedding(features, F * (-self.hyper["widths"]).exp(), mean)

    def _fitted(self, found: Embedding, z: Float[Tensor, " n"], noise: Float[Tensor, " n"]) -> Hyper:
        """Return the numbers of greatest posterior density."""
        learned, raw = squared_distances(found.features, found.features), squared_distances(found.raw, found.raw)
        centre = torch.stack([self.hyper[name] for name in NAMES])
        freedom = torch.tensor([FREEDOM[name] for name in NAMES], dtype=z.dtype)
        if self.noise.origin == "replicates":
            freedom[NAMES.index("noise")] = REPLICATED_FREEDOM
        moved = torch.zeros(len(NAMES), dtype=z.dtype, requires_grad=True)

        def loss() -> Tensor:
            hyper = dict(zip(NAMES, (centre + freedom * moved).unbind(), strict=True))
            K = combine(hyper, learned, raw) + torch.diag(hyper["noise"].exp() * noise)
            factor = torch.linalg.cholesky(K)
            half = torch.linalg.solve_triangular(factor, (z - hyper["gain"] * found.mean).unsqueeze(-1), upper=False)
            density: Tensor = 0.5 * half.square().sum() + factor.diagonal().log().sum() + 0.5 * moved.square().sum()
            return density

        minimise(loss, moved, FIT_STEPS)
        values = (centre + freedom * moved.detach()).unbind()
        return {**self.hyper, **dict(zip(NAMES, values, strict=True))}

    @override
    def state(self) -> dict[str, Any]:
        return {
            "name": NAME,
            "inputs": self.inputs.state(),
            "scale": [self.scale.level, self.scale.spread],
            "noise": self.noise.state(),
            "typical": self.typical,
            "network": dict(self.network.state_dict()),
            "hyper": dict(self.hyper),
            "curve": curve_state(self.curve),
        }


def restore(state: Mapping[str, Any], family: Family) -> DeepKernelPrior:
    """Return the prior of a state."""
    inputs = restore_inputs(state["inputs"], family)
    network = Network(inputs.size).double().requires_grad_(False)
    network.load_state_dict(state["network"])
    noise = restore_noise(state["noise"])
    return DeepKernelPrior(
        inputs, Scale(*state["scale"]), noise, state["typical"], network, state["hyper"], tuple(curve_of(state["curve"]))
    )
