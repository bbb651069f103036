"""MAML and ANIL: a few gradient steps adapt a network, whose features and mean then carry a Gaussian process.

The inner loop takes second-order steps with learned sizes, one per tensor, on the squared error of the support; all of it
runs vmapped over tasks and members (torch.func). MAML moves every tensor, ANIL the head alone. What the steps leave over
is left to exact conditioning: the outer loss is the density of query rows under the process of the adapted network, so
that kernel and noise learn how much a mean that has seen the support may be trusted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from typing_extensions import override

from models.base import Surrogate
from models.gaussian_processes.conditioning import Adapted, Conditioned
from models.networks.process import Embedding, Hyper, Hyperparameters, Support, query_loss, support_scale
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

Weights = Mapping[str, Tensor]
Moves = Literal["head", "all"]

INNER_STEPS: Final = 5
INNER_CLIP: Final = 2.0
"""Bound of each element of an inner gradient: a first point far off must not throw the network away."""
FIRST_SIZE: Final[Mapping[Moves, float]] = {"head": 0.05, "all": 0.02}
"""Inner step sizes before training."""
MEMBERS: Final = 5


class _OuterLoop(nn.Module):
    """What the outer loop learns: members' weights, step sizes and kernels."""

    def __init__(self, networks: Sequence[Network], features: int, moves: Moves) -> None:
        super().__init__()
        stacked, _ = stack_module_state(list(networks))
        self.names = tuple(stacked)
        self.moved = tuple(name for name in self.names if moves == "all" or name.startswith("head."))
        self.weights = nn.ParameterList(nn.Parameter(stacked[name].detach()) for name in self.names)
        start = torch.full((len(networks),), FIRST_SIZE[moves]).log()
        self.sizes = nn.ParameterList(nn.Parameter(start.clone()) for _ in self.moved)
        self.hyper = Hyperparameters(features, len(networks), gain=1.0)

    def read(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the members' weights and inner step sizes by name."""
        return dict(zip(self.names, self.weights, strict=True)), {n: size.exp() for n, size in zip(self.moved, self.sizes, strict=True)}


def inner_loop(
    network: nn.Module, weights: Weights, sizes: Weights, F: Float[Tensor, "n i"], z: Float[Tensor, " n"], steps: int = INNER_STEPS
) -> dict[str, Tensor]:
    """Return weights after gradient steps on half the mean squared error of a support, differentiably.

    Args:
        network: Gives (features, mean) of inputs.
        weights: All its weights.
        sizes: Step sizes of those that move.
        F: The support's inputs.
        z: Its values.
        steps: How many.
    """
    fixed = {name: value for name, value in weights.items() if name not in sizes}

    def loss(moved: dict[str, Tensor]) -> Tensor:
        _, mean = functional_call(network, {**fixed, **moved}, (F,))
        error: Tensor = 0.5 * (mean - z).square().mean()
        return error

    moved = {name: weights[name] for name in sizes}
    for _ in range(steps):
        slopes = grad(loss)(moved)
        moved = {name: value - sizes[name] * slopes[name].clamp(-INNER_CLIP, INNER_CLIP) for name, value in moved.items()}
    return {**fixed, **moved}


def adapted_embedding(
    network: Network, weights: Weights, sizes: Weights, inputs: Float[Tensor, "b n i"], z: Float[Tensor, "b s"]
) -> tuple[Float[Tensor, "m b n 8"], Float[Tensor, "m b n"]]:
    """Adapt every member to every episode's support (its first `s` rows) and return features and means of all rows."""
    support = z.shape[-1]

    def one(member: Weights, steps: Weights, F: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        adapted = inner_loop(network, member, steps, F[:support], target) if support else member
        found: tuple[Tensor, Tensor] = functional_call(network, dict(adapted), (F,))
        return found

    over_tasks = vmap(one, in_dims=(None, None, 0, 0))
    found: tuple[Tensor, Tensor] = vmap(over_tasks, in_dims=(0, 0, None, None))(weights, sizes, inputs, z)
    return found


@dataclass(frozen=True, slots=True)
class _GradientLearner(MetaLearner):
    """Shared by both learners."""

    plan: TrainingPlan
    members: int = MEMBERS
    moves: Moves = "head"

    @override
    def meta_train(
        self, tasks: Sequence[TaskData], family: Family, *, generator: torch.Generator, report: ReportProgress | None = None
    ) -> "GradientPrior":
        sources, rows = prepare_sources(tasks, family, generator)
        networks = [initial_network(sources.inputs.size, generator) for _ in range(self.members)]
        module = _OuterLoop(networks, len(sources.inputs.centre), self.moves)

        def loss(batch: Batch) -> Tensor:
            level, spread = support_scale(batch.y[:, : batch.support])
            z = (batch.y[:, : batch.support] - level) / spread
            weights, sizes = module.read()
            features, mean = adapted_embedding(networks[0], weights, sizes, batch.inputs, z)
            hyper = module.hyper.read()
            raw = batch.F * (-hyper["widths"].unsqueeze(-2)).exp()
            return query_loss(Embedding(features, raw, mean), hyper, batch, sources)

        curve = train_module(module, loss, rows, self.plan, generator, report)
        weights, sizes = ({name: value.detach().double() for name, value in part.items()} for part in module.read())
        hyper = {name: value.detach().double().squeeze(1) for name, value in module.hyper.read().items()}
        return GradientPrior(self.moves, sources, weights, sizes, hyper, curve)


_NAMES: Final[Mapping[Moves, str]] = {"head": "anil/1", "all": "maml/1"}


@dataclass(frozen=True, slots=True)
class Anil(_GradientLearner):
    """Adapts the head of each network; the body was trained for that."""

    plan: TrainingPlan = field(default_factory=lambda: TrainingPlan(steps=300, more=120, episodes=12))
    moves: Moves = "head"


@dataclass(frozen=True, slots=True)
class Maml(_GradientLearner):
    """Adapts every tensor of each network."""

    plan: TrainingPlan = field(default_factory=lambda: TrainingPlan(steps=250, more=80, episodes=8))
    moves: Moves = "all"


@dataclass(frozen=True, slots=True)
class GradientPrior(Prior):
    """Networks that adapt in a few gradient steps, each with its kernel."""

    moves: Moves
    sources: Sources
    weights: Weights
    """First dimension: members."""
    sizes: Weights
    hyper: Hyper
    curve: LearningCurve

    @override
    def adapt(self, task: TaskData, *, generator: torch.Generator) -> Surrogate:
        support, network = Support.of(task, self.sources), self._network()
        F = with_known(self.sources.inputs.rows(support.X), support.known)
        moved: Weights = self.weights
        if len(support.z):
            moved = vmap(lambda weights, sizes: inner_loop(network, weights, sizes, F, support.z))(dict(self.weights), dict(self.sizes))
        members = len(next(iter(moved.values())))
        models = [self._member(support, index, {name: value[index].detach() for name, value in moved.items()}) for index in range(members)]
        notes = {"members": members, "points": len(support.z)}
        return Adapted(_NAMES[self.moves], tuple((1.0 / members, model) for model in models), notes)

    def _network(self) -> Network:
        """Return a network without weights of its own: they are handed in."""
        return Network(self.sources.inputs.size).to(device="meta")

    def _member(self, support: Support, index: int, weights: Weights) -> Conditioned:
        network = self._network()
        hyper = {name: value[index].squeeze() if name != "widths" else value[index] for name, value in self.hyper.items()}

        def embed(X: Tensor) -> Embedding:
            F = self.sources.inputs.rows(X)
            features, mean = functional_call(network, dict(weights), (with_known(F, support.known),))
            return Embedding(features, F * (-hyper["widths"]).exp(), mean)

        return support.condition(embed, hyper, float((0.5 * hyper["noise"]).exp()))

    @override
    def state(self) -> dict[str, Any]:
        learned = {"weights": dict(self.weights), "sizes": dict(self.sizes), "hyper": dict(self.hyper), "curve": self.curve}
        return {"name": _NAMES[self.moves], "moves": self.moves, **self.sources.state(), **learned}


def restore_gradient_prior(state: Mapping[str, Any], family: Family) -> GradientPrior:
    """Return the prior of a state."""
    sources, curve = restore_sources(state, family), state["curve"]
    return GradientPrior(state["moves"], sources, state["weights"], state["sizes"], state["hyper"], curve)
