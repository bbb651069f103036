"""One Gaussian process per target, each on the rows where its target was measured.

BoTorch's SingleTaskGP as it comes: RBF kernel with one length scale per input and the dimension-scaled prior of
[Hvarfner2024], constant mean, outcomes standardised. Noise is inferred, with BoTorch's log-normal prior, and never below
what the measurements state: a stated uncertainty is the scatter of one run's readout, and runs scatter more than that
(taken as the whole noise it gave 90 % intervals that held 2 of 18 line widths of a simulated bench). Each fit starts from
scratch, so that a proposal can be computed again from its history alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from botorch import fit_gpytorch_mll
from botorch.models import ModelListGP, SingleTaskGP
from botorch.models.transforms.outcome import Standardize
from botorch.settings import validate_input_scaling
from gpytorch.constraints import GreaterThan
from gpytorch.likelihoods import GaussianLikelihood
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import LogNormalPrior
from torch import Tensor
from typing_extensions import override

from models.base import Learner, Model, OneModel, TargetData, spread_of
from models.gaussian_processes.doubt import doubtful
from models.gaussian_processes.stack import Ground, Member, Stack, gaussians, materns
from models.reproducible import repeatable
from orchestrator.errors import BadInput

NOISE_FLOOR: Final = 1e-4
"""Least inferred variance in standardised units, BoTorch's own: below it the Cholesky factors suffer."""
_NOISE_LOCATION: Final = -4.0
_NOISE_SCALE: Final = 1.0
"""BoTorch's log-normal prior of the noise variance in standardised units."""
GUESSED_SPREAD: Final = 0.1
"""Spread of a target of which one value is known, as a part of that value, where nobody states one."""
DOUBTS: Final = 8
"""Draws of the hyperparameters of each target."""
_FIT_ITERATIONS: Final = 100
"""L-BFGS steps for a handful of hyperparameters; the likelihood is flat beyond."""


@dataclass(frozen=True, slots=True)
class GaussianProcesses(OneModel):
    """Independent Gaussian processes, one per target."""

    targets: Mapping[str, Model]

    @override
    def functions(self) -> Stack:
        ground = Ground(lambda X: X, lambda X: X[..., :0], gaussians)
        members = [_member(model) for model in self.targets.values()]
        return Stack.of(ground, members, [(1.0, tuple(range(len(members))))])

    @override
    def doubtful(self, *, seed: int) -> Stack:
        generator = torch.Generator().manual_seed(seed)
        drawn = [doubtful(model, _member(model), DOUBTS, generator) for model in self.targets.values()]
        combinations = [(1.0 / DOUBTS, tuple(range(which, DOUBTS * len(drawn), DOUBTS))) for which in range(DOUBTS)]
        return Stack.of(Ground(lambda X: X, lambda X: X[..., :0], materns), [one for some in drawn for one in some], combinations)

    @override
    def description(self) -> Mapping[str, Any]:
        return {name: _describe(model) for name, model in self.targets.items()}


class Level(Standardize):  # type: ignore[misc]  # botorch is untyped here
    """Standardises with the data's own scale, however small its unit, and a stated one while all values are equal."""

    def __init__(self, spread: float | None) -> None:
        super().__init__(m=1)
        self._spread = spread

    @override
    def forward(self, Y: Tensor, Yvar: Tensor | None = None, X: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        if self.training:
            self.means = Y.mean(dim=-2, keepdim=True)
            self.stdvs = torch.full_like(self.means, self.scale(Y))
            self._stdvs_sq = self.stdvs.square()
            self._is_trained = torch.tensor(True)
        return (Y - self.means) / self.stdvs, None if Yvar is None else Yvar / self._stdvs_sq

    def scale(self, Y: Tensor) -> float:
        """Return what outcomes are divided by."""
        return spread_of(Y.flatten()) or self._spread or GUESSED_SPREAD * float(Y.abs().max()) or 1.0


@dataclass(frozen=True, slots=True)
class GaussianProcessLearner(Learner):
    """Fits one Gaussian process per target by maximum a posteriori."""

    @property
    @override
    def needs_measurements(self) -> bool:
        return True

    @property
    @override
    def identity(self) -> Mapping[str, Any]:
        return {}

    @override
    def fit(self, data: Sequence[TargetData], *, seed: int) -> GaussianProcesses:
        for target in data:
            if not len(target.Y):
                raise BadInput(f"target {target.name}: no measurement to learn from; expected at least one")
        with repeatable(seed):
            models = [_fit_one(target) for target in data]
        joint = models[0] if len(models) == 1 else ModelListGP(*models)
        return GaussianProcesses("gp/1", joint, {target.name: model for target, model in zip(data, models, strict=True)})


def _fit_one(data: TargetData) -> Model:
    level = Level(data.spread)
    # the check warns of one-row and constant targets, and of readbacks just outside the unit cube: all are legal here
    with validate_input_scaling(False):
        model = SingleTaskGP(data.X, data.Y.unsqueeze(-1), likelihood=_likelihood(data, level), outcome_transform=level)
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model), optimizer_kwargs={"options": {"maxiter": _FIT_ITERATIONS}})
    return model


def least_noise(data: TargetData, level: Level) -> float:
    """Return the least variance that may be inferred: the mean stated one, in standardised units."""
    stated = 0.0 if data.Yvar is None else float(data.Yvar.mean()) / level.scale(data.Y) ** 2
    return max(NOISE_FLOOR, stated)


def _likelihood(data: TargetData, level: Level) -> GaussianLikelihood:
    """Build a likelihood whose inferred noise stays above the mean stated variance, in standardised units."""
    floor = least_noise(data, level)
    prior = LogNormalPrior(loc=_NOISE_LOCATION, scale=_NOISE_SCALE)
    start = max(float(prior.mode), 2.0 * floor)
    return GaussianLikelihood(noise_prior=prior, noise_constraint=GreaterThan(floor, transform=None, initial_value=start))


def _member(model: Model) -> Member:
    """Return a fitted process as numbers: a Gaussian kernel of variance one, and a constant that is known."""
    X, Y = model.train_inputs[0].detach(), model.train_targets.detach()
    outcomes = model.outcome_transform
    return Member(
        factors=1.0 / model.covar_module.lengthscale.detach(),
        amplitudes=torch.ones(1, dtype=X.dtype),
        coefficients=model.mean_module.constant.detach().reshape(1),
        spreads=torch.zeros(1, 1, dtype=X.dtype),
        X=X,
        Y=Y,
        noise=model.likelihood.noise.detach().reshape(-1).expand(len(Y)),
        level=outcomes.means.item(),
        spread=outcomes.stdvs.item(),
    )


def _describe(model: Model) -> dict[str, Any]:
    """Return length scales per input, and mean, scale and noise in the data's unit, to four digits."""
    level, scale = model.outcome_transform.means.item(), model.outcome_transform.stdvs.item()
    noise = float(model.likelihood.noise.detach().mean().sqrt()) * scale
    return {
        "length_scales": [rounded(value) for value in model.covar_module.lengthscale.detach().flatten().tolist()],
        "mean": rounded(level + scale * model.mean_module.constant.detach().item()),
        "scale": rounded(scale),
        "noise_sd": rounded(noise),
        "points": len(model.train_targets),
    }


def rounded(value: float) -> float:
    """Return a number to four digits."""
    return float(f"{value:.4g}")
