"""Prototypes for outcomes of two classes: an experiment works or fails as its nearest class does, in learned features.

Each class's prototype is the mean of its support rows, shrunk towards one learned over the sources, and the odds are
shrunk towards the sources' base rate, so that no support, or support of one class alone, is legal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from models.networks.training import (
    FEATURES,
    Batch,
    Inputs,
    LearningCurve,
    Network,
    TrainingPlan,
    fit_inputs,
    hold_out,
    initial_network,
    train_module,
    with_known,
)
from models.tasks import Family, ReportProgress, Scale, TaskData
from orchestrator.errors import BadInput

_NAME: Final = "prototypes/1"
BASE_ROWS: Final = 2.0
"""Rows that the sources' base rate counts for before training."""


class Prototypes(nn.Module):
    """What is learned beside the network: prototypes of the sources, and how much each counts."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.zeros(2, FEATURES))
        self.strength = nn.Parameter(torch.zeros(1))
        self.base = nn.Parameter(torch.tensor(BASE_ROWS).log())
        self.sharpness = nn.Parameter(torch.zeros(1))
        self.level = nn.Parameter(torch.logit(torch.tensor(rate)))

    def logits(
        self, support: Float[Tensor, "*b n 8"], labels: Float[Tensor, "*b n"], query: Float[Tensor, "*b m 8"]
    ) -> Float[Tensor, "*b m"]:
        """Return log odds of class one at query features."""
        members = torch.stack([1.0 - labels, labels], dim=-2)
        counts, strength = members.sum(dim=-1), self.strength.exp()
        centres = (members @ support + strength * self.centres) / (counts + strength).unsqueeze(-1)
        distances = (query.unsqueeze(-2) - centres.unsqueeze(-3)).square().sum(dim=-1)
        rate, base = torch.sigmoid(self.level), self.base.exp()
        odds = (counts[..., 1] + base * rate).log() - (counts[..., 0] + base * (1.0 - rate)).log()
        logits: Tensor = self.sharpness.exp() * (distances[..., 0] - distances[..., 1]) + odds.unsqueeze(-1)
        return logits


@dataclass(frozen=True, slots=True)
class PrototypeLearner:
    """Learns features in which classes lie apart."""

    plan: TrainingPlan = field(default_factory=lambda: TrainingPlan(steps=300, more=100, augment=False))

    def meta_train(
        self, tasks: Sequence[TaskData], family: Family, *, generator: torch.Generator, report: ReportProgress | None = None
    ) -> "ClassPrior":
        """Train on source tasks whose `Y` are labels, 0 or 1.

        Raises:
            BadInput: No task, other labels, or one class alone.
        """
        labels = torch.cat([task.Y for task in tasks]) if tasks else torch.zeros(0)
        if not len(labels) or not bool(((labels == 0) | (labels == 1)).all()) or labels.min() == labels.max():
            raise BadInput("prototypes need source tasks with labels 0 and 1, some of each; expected Y of 0 or 1")
        inputs = fit_inputs(tasks, family)
        network, prototypes = initial_network(inputs.size, generator), Prototypes(float(labels.mean()))

        def loss(batch: Batch) -> Tensor:
            features, _ = network(batch.inputs)
            n = batch.support
            logits = prototypes.logits(features[:, :n], batch.y[:, :n], features[:, n:])
            return binary_cross_entropy_with_logits(logits, batch.y[:, n:])

        rows = hold_out(tasks, inputs, Scale(0.0, 1.0), generator)
        curve = train_module(nn.ModuleList([network, prototypes]), loss, rows, self.plan, generator, report)
        return ClassPrior(inputs, network.double().requires_grad_(False), prototypes.double().requires_grad_(False), curve)


@dataclass(frozen=True, slots=True)
class ClassPrior:
    """Trained features and prototypes."""

    inputs: Inputs
    network: Network
    prototypes: Prototypes
    curve: LearningCurve

    def adapt(self, X: Float[Tensor, "n d"], labels: Float[Tensor, " n"], task: Float[Tensor, " k"]) -> "Classes":
        """Return the chances of class one for a task with these labels; `n` = 0 is legal."""
        known = self.inputs.known(task)
        return Classes(self, known, self.features(X, known), labels.to(X.dtype))

    def features(self, X: Float[Tensor, "*b d"], known: Float[Tensor, " k"]) -> Float[Tensor, "*b 8"]:
        """Return learned features of encoded configurations."""
        found: Tensor = self.network(with_known(self.inputs.rows(X), known))[0]
        return found

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {
            "name": _NAME,
            "inputs": self.inputs.state(),
            "network": dict(self.network.state_dict()),
            "prototypes": dict(self.prototypes.state_dict()),
            "curve": self.curve,
        }


@dataclass(frozen=True, slots=True)
class Classes:
    """Chances of class one over a task's configurations."""

    prior: ClassPrior
    known: Float[Tensor, " k"]
    support: Float[Tensor, "n 8"]
    labels: Float[Tensor, " n"]

    def probability(self, X: Float[Tensor, "m d"]) -> Float[Tensor, " m"]:
        """Return the chance of class one, differentiably."""
        return torch.sigmoid(self.prior.prototypes.logits(self.support, self.labels, self.prior.features(X, self.known)))


def restore_prototypes(state: Mapping[str, Any], family: Family) -> ClassPrior:
    """Return the prior of a state."""
    inputs = Inputs(family, **state["inputs"])
    network, prototypes = Network(inputs.size).double().requires_grad_(False), Prototypes(0.5).double().requires_grad_(False)
    network.load_state_dict(state["network"])
    prototypes.load_state_dict(state["prototypes"])
    return ClassPrior(inputs, network, prototypes, state["curve"])
