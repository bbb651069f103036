"""Gaussian processes without a history, whose numbers are the most probable ones by the beliefs that come with the package.

The kernel and the beliefs are those of `models.gaussian_processes.beliefs`; what is fitted there is laid into BoTorch's
SingleTaskGP, one per target, on the rows where its target was measured.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from botorch.models import ModelListGP, SingleTaskGP
from botorch.settings import validate_input_scaling
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import ConstantKernel, MaternKernel, ScaleKernel
from gpytorch.likelihoods import GaussianLikelihood
from gpytorch.means import ZeroMean
from torch import Tensor
from typing_extensions import override

from models.base import Learner, Model, OneModel, TargetData
from models.gaussian_processes.beliefs import LEVEL_VARIANCE, Beliefs, Density, Lengths, Numbers, learned, most_probable
from models.gaussian_processes.doubt import likely
from models.gaussian_processes.single_task import DOUBTS, Level, least_noise, rounded
from models.gaussian_processes.stack import Ground, Member, Stack, materns
from models.inputs.encoding import Encoding
from orchestrator.errors import BadInput

_GROUND: Final = Ground(lambda X: X, lambda X: X[..., :0], materns)


@dataclass(frozen=True, slots=True)
class BelievedProcesses(OneModel):
    """Independent Gaussian processes, one per target."""

    targets: Mapping[str, tuple[Numbers, Model]]
    densities: Mapping[str, Density]
    """How likely other numbers are, by target."""
    blocks: tuple[int, ...]
    """Input -> length scale."""

    @override
    def functions(self) -> Stack:
        members = [_member(numbers, model) for numbers, model in self.targets.values()]
        return Stack.of(_GROUND, members, [(1.0, tuple(range(len(members))))])

    @override
    def doubtful(self, *, seed: int) -> Stack:
        generator = torch.Generator().manual_seed(seed)
        drawn = [one for name in self.targets for one in self._doubtful(name, generator)]
        combinations = [(1.0 / DOUBTS, tuple(range(which, len(drawn), DOUBTS))) for which in range(DOUBTS)]
        return Stack.of(_GROUND, drawn, combinations)

    def _doubtful(self, name: str, generator: torch.Generator) -> Iterator[Member]:
        """Yield a target's process with other numbers that beliefs and data allow."""
        (numbers, model), density = self.targets[name], self.densities[name]
        mode = np.log([*numbers.lengths, numbers.variance, numbers.noise])

        def densities(H: Tensor) -> Tensor:
            return torch.tensor([-density.falling(density.noisy(theta))[0] for theta in H.numpy()], dtype=H.dtype)

        member = _member(numbers, model)
        for theta in likely(densities, torch.from_numpy(mode), torch.from_numpy(density.curvature(mode)), DOUBTS, generator).numpy():
            one = density.numbers(density.noisy(theta))
            yield replace(
                member,
                factors=1.0 / torch.from_numpy(one.reach[list(self.blocks)]).unsqueeze(0),
                amplitudes=torch.full_like(member.amplitudes, one.variance),
                noise=torch.full_like(member.noise, one.noise),
            )

    @override
    def description(self) -> Mapping[str, Any]:
        return {name: _describe(numbers, model) for name, (numbers, model) in self.targets.items()}


@dataclass(frozen=True, slots=True)
class BelievedLearner(Learner):
    """Fits one Gaussian process per target to what is believed and measured."""

    lengths: Lengths
    beliefs: Beliefs

    @staticmethod
    def of(encoding: Encoding) -> "BelievedLearner":
        """Return the learner of a space, with the beliefs that come with the package."""
        return BelievedLearner(Lengths.of(encoding), learned())

    @property
    @override
    def needs_measurements(self) -> bool:
        return True

    @property
    @override
    def identity(self) -> Mapping[str, Any]:
        return {}

    @override
    def fit(self, data: Sequence[TargetData], *, seed: int) -> BelievedProcesses:
        """Fit all targets; nothing is drawn, so that the seed changes nothing."""
        for target in data:
            if not len(target.Y):
                raise BadInput(f"target {target.name}: no measurement to learn from; expected at least one")
        densities, found = dict[str, Density](), dict[str, tuple[Numbers, Model]]()
        for target in data:
            level = Level(target.spread)
            densities[target.name] = self._density(target, level)
            numbers = most_probable(densities[target.name])
            found[target.name] = numbers, self._model(target, level, numbers)
        models = [model for _, model in found.values()]
        whole = models[0] if len(models) == 1 else ModelListGP(*models)
        return BelievedProcesses("gp-beliefs/1", whole, found, densities, self.lengths.blocks)

    def _density(self, data: TargetData, level: Level) -> Density:
        y, _ = level(data.Y.unsqueeze(-1))
        X = data.X.numpy()
        believed = self.beliefs.over(self.lengths.kinds)
        return Density(self.lengths.squared(X, X), y.squeeze(-1).numpy(), *believed, least_noise(data, level))

    def _model(self, data: TargetData, level: Level, numbers: Numbers) -> Model:
        d = data.X.shape[-1]
        varying, flat = ScaleKernel(MaternKernel(nu=2.5, ard_num_dims=d)), ConstantKernel()
        likelihood = GaussianLikelihood(noise_constraint=GreaterThan(0.5 * numbers.noise))
        varying.base_kernel.lengthscale = torch.from_numpy(numbers.reach[list(self.lengths.blocks)])
        varying.outputscale, likelihood.noise = numbers.variance, numbers.noise
        flat.constant = torch.tensor(LEVEL_VARIANCE)
        # the check warns of one-row and constant targets, and of readbacks just outside the unit cube: all are legal here
        with validate_input_scaling(False):
            model = SingleTaskGP(
                data.X,
                data.Y.unsqueeze(-1),
                likelihood=likelihood,
                mean_module=ZeroMean(),
                covar_module=varying + flat,
                outcome_transform=level,
            )
        return model.eval().requires_grad_(False)


def _member(numbers: Numbers, model: Model) -> Member:
    """Return a fitted process as numbers: the level is the coefficient of one."""
    X, Y, outcomes = model.train_inputs[0], model.train_targets, model.outcome_transform
    return Member(
        factors=1.0 / model.covar_module.kernels[0].base_kernel.lengthscale.detach(),
        amplitudes=torch.tensor([numbers.variance], dtype=X.dtype),
        coefficients=torch.zeros(1, dtype=X.dtype),
        spreads=torch.full((1, 1), LEVEL_VARIANCE, dtype=X.dtype),
        X=X,
        Y=Y,
        noise=torch.full_like(Y, numbers.noise),
        level=outcomes.means.item(),
        spread=outcomes.stdvs.item(),
    )


def _describe(numbers: Numbers, model: Model) -> dict[str, Any]:
    """Return length scales, mean, scale and noise in the data's unit, to four digits."""
    level, spread = model.outcome_transform.means.item(), model.outcome_transform.stdvs.item()
    return {
        "length_scales": [rounded(value) for value in numbers.reach.tolist()],
        "mean": rounded(level),
        "scale": rounded(spread * numbers.variance**0.5),
        "noise_sd": rounded(spread * numbers.noise**0.5),
        "points": len(model.train_targets),
    }
