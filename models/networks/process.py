"""A Gaussian process over what a network has learned, and the density that it is trained on.

    f(x) = gain * m(x) + GP(0, a M(|phi(x) - phi(z)| / l) + b M(|(x - z) / w| / r) + c)

with learned features phi, a linear mean m on the same body, the Matern-5/2 correlation M and, per input, widths w. The
raw part catches what the features leave out, so that history which does not fit can be overruled.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from models.gaussian_processes.conditioning import Conditioned, GaussianProcess, canonical_order
from models.gaussian_processes.kernels import matern, squared_distances
from models.gaussian_processes.noise import NoiseModel
from models.networks.training import Batch, Sources
from models.tasks import Scale, TaskData

NAMES: Final = ("features", "raw", "constant", "length", "raw_length", "gain", "noise")
"""The seven numbers that a campaign may move: logarithms of variances and lengths, the mean's gain, the logarithm of the
factor on the noise variance."""
LEVEL_ROWS: Final = 2.0
"""Rows that the family's level counts for when a support's level is estimated."""
SPREAD_ROWS: Final = 8.0
"""Rows that the family's spread counts for when a support's spread is estimated."""
TRAINING_JITTER: Final = 1e-4
"""Added to the diagonal in float32, in standard units: far below any noise variance that training sees."""
HALF_LOG_TAU: Final = 0.5 * math.log(2 * math.pi)

Hyper = Mapping[str, Tensor]
"""The seven numbers (`NAMES`), and `widths`, logarithms per input."""


class Hyperparameters(nn.Module):
    """Meta-learned values of the numbers, for `members` networks at once."""

    def __init__(self, features: int, members: int = 1, *, gain: float = 0.0) -> None:
        super().__init__()
        start = {"features": -0.5, "raw": -1.5, "constant": -1.5, "length": 0.5, "raw_length": 0.0, "gain": gain, "noise": 0.0}
        self.values = nn.ParameterDict({name: nn.Parameter(torch.full((members, 1), start[name])) for name in NAMES})
        self.values["widths"] = nn.Parameter(torch.full((members, 1, features), 0.5 * math.log(2.0)))

    def read(self) -> Hyper:
        """Return all, with a dimension for episodes."""
        return dict(self.values.items())


def combine(hyper: Hyper, learned: Float[Tensor, "*b n m"], raw: Float[Tensor, "*b n m"]) -> Float[Tensor, "*b n m"]:
    """Return covariances at squared distances of features and of raw inputs."""
    a, b, c, length, raw_length = (hyper[name][..., None, None] for name in NAMES[:5])
    kernel: Tensor = a.exp() * matern(learned * (-2.0 * length).exp()) + b.exp() * matern(raw * (-2.0 * raw_length).exp()) + c.exp()
    return kernel


@dataclass(frozen=True, slots=True)
class Embedding:
    """What a network makes of some rows."""

    features: Float[Tensor, "*b n 8"]
    raw: Float[Tensor, "*b n f"]
    """Inputs divided by their widths."""
    mean: Float[Tensor, "*b n"]


@dataclass(frozen=True, slots=True)
class NetworkProcess(GaussianProcess):
    """The process of one network with given numbers, float64."""

    embed: Callable[[Tensor], Embedding]
    """From encoded configurations."""
    hyper: Hyper
    noise_model: NoiseModel
    """In the units of the process, the campaign's factor included."""

    @override
    def mean(self, X: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b n"]:
        return self.hyper["gain"] * self.embed(X).mean

    @override
    def covariance(self, X: Float[Tensor, "*b n d"], Z: Float[Tensor, "*b m d"]) -> Float[Tensor, "*b n m"]:
        A, B = self.embed(X), self.embed(Z)
        return combine(self.hyper, squared_distances(A.features, B.features), squared_distances(A.raw, B.raw))

    @override
    def variance(self, X: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b n"]:
        total: Tensor = sum((self.hyper[name].exp() for name in NAMES[:3]), torch.zeros((), dtype=X.dtype))
        return total.expand(X.shape[:-1])

    @override
    def noise(self, X: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b n"]:
        return self.noise_model.variance(self.mean(X))


def support_scale(y: Float[Tensor, "*b n"]) -> tuple[Float[Tensor, "*b 1"], Float[Tensor, "*b 1"]]:
    """Return a support's level and spread, shrunk towards the family's 0 and 1; raw, three points are worse than none."""
    n = y.shape[-1]
    level = y.sum(dim=-1, keepdim=True) / (n + LEVEL_ROWS)
    squares = (y - level).square().sum(dim=-1, keepdim=True)
    return level, ((squares + SPREAD_ROWS) / (n + SPREAD_ROWS)).sqrt()


def query_loss(found: Embedding, hyper: Hyper, batch: Batch, sources: Sources) -> Float[Tensor, ""]:
    """Return the mean negative log density of the query rows given the support, each row by itself.

    Shapes: embeddings are `*members b n ...`. The density is per standard unit of the family, so that episodes compare.
    """
    n = batch.support
    level, spread = support_scale(batch.y[:, :n])
    z = (batch.y - level) / spread
    residual = z - hyper["gain"].unsqueeze(-1) * found.mean
    learned, raw, typical = found.features, found.raw, hyper["noise"].exp() * sources.typical * (batch.gain / spread).squeeze(-1).square()
    mean, variance = residual[..., n:] * 0.0, sum(hyper[name].exp() for name in NAMES[:3]).unsqueeze(-1)  # type: ignore[union-attr]  # never empty
    if n:
        rows = slice(0, n)
        K = combine(hyper, squared_distances(learned[..., rows, :], learned), squared_distances(raw[..., rows, :], raw))
        noisy = K[..., :n] + (typical + TRAINING_JITTER)[..., None, None] * torch.eye(n)
        half = torch.linalg.solve_triangular(
            torch.linalg.cholesky(noisy), torch.cat([K[..., n:], residual[..., :n, None]], dim=-1), upper=False
        )
        cross, target = half[..., :-1], half[..., -1:]
        mean, variance = (cross * target).sum(dim=-2), variance - cross.square().sum(dim=-2)
    expected = (level + spread * (z[..., n:] - residual[..., n:] + mean) - batch.offset) / batch.gain
    noise = sources.noise.variance(expected.detach()) * (batch.gain / spread).square() * hyper["noise"].exp().unsqueeze(-1)
    total = variance.clamp_min(TRAINING_JITTER) + noise
    deviation = (residual[..., n:] - mean).square() / total
    return (0.5 * (deviation + total.log()) + HALF_LOG_TAU + spread.log()).mean()


@dataclass(frozen=True, slots=True)
class Support:
    """What a campaign has measured, in units of its own level and spread."""

    X: Float[Tensor, "n d"]
    z: Float[Tensor, " n"]
    known: Float[Tensor, " k"]
    """What is known about the task, scaled."""
    units: Scale
    """From the support's units to the target's."""
    noise: NoiseModel
    typical: float
    """Variance of a measurement before anything is predicted."""
    stated: Float[Tensor, " n"]
    """Known variances of the rows; the noise is never below."""

    @staticmethod
    def of(task: TaskData, sources: Sources) -> "Support":
        """Scale a task's rows, in an order that does not depend on the one they came in."""
        task, family = task.rows(canonical_order(task.X, task.Y)), sources.scale
        y = family.standard(task.Y)
        level, spread = (float(part) for part in support_scale(y))
        own, units = Scale(level, spread), Scale(family.level + family.spread * level, family.spread * spread)
        known, noise, typical = sources.inputs.known(task.descriptors), sources.noise.within(own), sources.typical / spread**2
        return Support(task.X, own.standard(y), known, units, noise, typical, units.stated(task))

    def condition(self, embed: Callable[[Tensor], Embedding], hyper: Hyper, factor: float) -> Conditioned:
        """Condition the process of a network, in two passes: how much a row scatters depends on what is predicted there.

        Args:
            embed: From encoded configurations.
            hyper: The numbers, of this campaign.
            factor: On every deviation of the noise.
        """
        process = NetworkProcess(embed, hyper, self.noise.times(factor))
        variance = process.noise_model.variance
        with torch.no_grad():
            flat = hyper["noise"].exp() * torch.full_like(self.z, self.typical)
            first = Conditioned(process, self.X, self.z, torch.maximum(flat, self.stated), scale=self.units)
            noise = variance(first.moments(self.X)[0]) if len(self.z) else flat
        return Conditioned(process, self.X, self.z, torch.maximum(noise, self.stated), scale=self.units, aleatoric=variance)
