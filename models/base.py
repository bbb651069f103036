"""What a policy asks of a surrogate, whatever it was made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from models.pinned import Functions, JointFunctions
from orchestrator.domain.objective import varies

Model: TypeAlias = Any
"""A BoTorch model. botorch has no types, and is not loaded here: who only reads a campaign's files does not wait for it."""
Posterior: TypeAlias = Any
"""A BoTorch posterior."""


def fields_of(value: Any) -> dict[str, Any]:
    """Return a dataclass's fields by name, as they are (`asdict` copies tensors)."""
    return {one.name: getattr(value, one.name) for one in fields(value)}


def known_variances(uncertainties: Sequence[float | None]) -> Float[Tensor, " n"] | None:
    """Return the squares of standard uncertainties; None where one is missing, or where there are none."""
    known = [value**2 for value in uncertainties if value is not None]
    return torch.tensor(known, dtype=torch.float64) if known and len(known) == len(uncertainties) else None


def spread_of(Y: Float[Tensor, " n"], *, correction: int = 1) -> float | None:
    """Return the standard deviation of values that vary by more than float noise, however small their unit; None where none do."""
    if len(Y) < 2 or not varies(float(Y.min()), float(Y.max())):
        return None
    return float(Y.std(correction=correction))


@dataclass(frozen=True, slots=True)
class TargetData:
    """What is known of one target."""

    name: str
    X: Float[Tensor, "n d"]
    Y: Float[Tensor, " n"]
    """In multiples of `unit`, as are the variances and the spread."""
    Yvar: Float[Tensor, " n"] | None = None
    """Known variances; None where they are to be inferred."""
    spread: float | None = None
    """Scale to assume while all values are equal."""
    unit: float = 1.0
    """How much of the target's own unit one is: jitter and least variances of the libraries are absolute numbers, so that
    values must be of the order of one."""
    silent: Float[Tensor, "k d"] | None = None
    """What gave nothing to measure; None where all did."""


class Surrogate(Protocol):
    """A fitted probabilistic model of all targets, over encoded configurations, in the units of its data.

    Shapes: `d` encoded inputs, `m` targets in the objective's order, `q` joint points.
    """

    @property
    def name(self) -> str:
        """Name and version, for example `gp/1`."""
        ...

    def posterior(self, X: Float[Tensor, "*b q d"]) -> Posterior:
        """Return the joint posterior of the noise-free targets, event shape `*b q m`."""
        ...

    def variance_parts(self, X: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "n m"], Float[Tensor, "n m"]]:
        """Return what more experiments would remove (epistemic) and what they would not (aleatoric, of one measurement)."""
        ...

    def components(self) -> tuple[tuple[float, Model], ...]:
        """Return (weight, BoTorch model) pairs; a policy averages acquisition values over them, never moments."""
        ...

    def description(self) -> Mapping[str, Any]:
        """Return fitted hyperparameters for people, JSON-able and rounded."""
        ...

    def functions(self) -> Functions:
        """Return each distinct (target, component) once; as it stands here for surrogates of one target."""
        weights, models = zip(*self.components(), strict=True)
        return JointFunctions(models, [1.0] * len(models), weights, tuple((index,) for index in range(len(models))))

    def doubtful(self, *, seed: int) -> Functions:  # noqa: ARG002 - what is averaged over components, or whose deviations were calibrated, is
        """Return the functions with what is in doubt of their hyperparameters drawn, for chances that people are told."""
        return self.functions()

    def without_prior(self) -> "Surrogate | None":
        """Return the model of the same data that knows no history and guards a prior; None where none does."""
        return None


class Learner(Protocol):
    """Makes a surrogate from what was measured: a Gaussian process, or an adapted prior."""

    @property
    def needs_measurements(self) -> bool:
        """Whether every target needs a value before there is a surrogate."""
        ...

    @property
    def identity(self) -> Mapping[str, Any]:
        """Return what surrogates are made from beside the data, JSON-able; empty where that is nothing."""
        ...

    def fit(self, data: Sequence[TargetData], *, seed: int) -> Surrogate:
        """Fit all targets, from scratch; the same data, seed and number of threads give the same surrogate, bit for bit.

        Raises:
            BadInput: A target without any value, where the learner needs one.
        """
        ...


@dataclass(frozen=True, slots=True)
class OneModel(Surrogate):
    """A surrogate that is one BoTorch model."""

    name: str = field()  # explicit: else the protocol's property is taken for a default
    model: Model

    @override
    def posterior(self, X: Float[Tensor, "*b q d"]) -> Posterior:
        return self.model.posterior(X)

    @override
    def variance_parts(self, X: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "n m"], Float[Tensor, "n m"]]:
        points = X.unsqueeze(-2)  # one point per t-batch: only the variances are wanted, not the n x n covariance
        epistemic = self.model.posterior(points).variance.squeeze(-2)
        total = self.model.posterior(points, observation_noise=True).variance.squeeze(-2)
        return epistemic, (total - epistemic).clamp_min(0.0)

    @override
    def components(self) -> tuple[tuple[float, Model], ...]:
        return ((1.0, self.model),)

    @override
    def description(self) -> Mapping[str, Any]:
        return {}
