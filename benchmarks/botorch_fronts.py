"""What BoTorch's own classes do with several targets: qLogNEHVI for two, qLogNParEGO for more, over SingleTaskGP.

Models are fitted by BoTorch's optimiser from its start to its end; only the loss is written out here, since gpytorch's layers around
it take three quarters of the time. It is the same number (`tests/benchmarking/test_pareto.py`).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from botorch import fit_gpytorch_mll
from botorch.acquisition.multi_objective import logei
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.parego import qLogNParEGO
from botorch.models import ModelListGP, SingleTaskGP
from botorch.models.transforms import Normalize, Standardize
from botorch.optim import optimize_acqf
from botorch.sampling.normal import SobolQMCNormalSampler
from gpytorch.mlls import ExactMarginalLogLikelihood
from typing_extensions import override

from benchmarks.plain_botorch import PlainBotorch
from orchestrator.domain.objective import Objective
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.ports import Knowledge, Policy
from orchestrator.suggestions import Suggestion

SAMPLES: Final = 128
"""BoTorch's tutorials take as many."""
RESTARTS, RAW = 10, 256


def without_compiler() -> None:
    """Keep BoTorch from compiling its C++ kernel: its Python gives the same values."""
    logei._load_attempted = True  # noqa: SLF001 - botorch offers no switch


def fit(model: SingleTaskGP) -> None:
    """Fit a model by its marginal likelihood and BoTorch's priors."""
    likelihood = ExactMarginalLogLikelihood(model.likelihood, model).train()
    fit_gpytorch_mll(likelihood, closure=loss_of(likelihood))


def loss_of(likelihood: ExactMarginalLogLikelihood) -> Callable[[], tuple[torch.Tensor, Sequence[torch.Tensor]]]:
    """Return what computes the negative log posterior of hyperparameters over the number of points, and its slopes."""
    model, varied = likelihood.model, [one for one in likelihood.parameters() if one.requires_grad]
    scales, level, noise = model.covar_module.raw_lengthscale, model.mean_module.raw_constant, model.likelihood.noise_covar.raw_noise
    priors = ((model.covar_module.lengthscale_prior, scales), (model.likelihood.noise_covar.noise_prior, noise))
    X, Y = model.transform_inputs(model.train_inputs[0]).detach(), model.train_targets
    squared, eye = (X.unsqueeze(1) - X).square(), torch.eye(len(X), dtype=X.dtype)

    def loss() -> tuple[torch.Tensor, Sequence[torch.Tensor]]:
        with torch.enable_grad():
            root = torch.linalg.cholesky(torch.exp(-0.5 * (squared / scales.square()).sum(dim=-1)) + noise * eye)
            left = torch.linalg.solve_triangular(root, (Y - level).unsqueeze(-1), upper=False)
            fits = -0.5 * left.square().sum() - root.diagonal().log().sum() - 0.5 * len(Y) * math.log(2.0 * math.pi)
            found = -(fits + sum(prior.log_prob(value).sum() for prior, value in priors)) / len(Y)
            return found.detach(), torch.autograd.grad(found, varied)

    return loss


@dataclass(frozen=True)
class BotorchFront(Policy):
    """SingleTaskGP of each target's utility, zero being the reference point."""

    space: SearchSpace
    objective: Objective

    @property
    @override
    def name(self) -> str:
        return "botorch-front/1"

    @property
    @override
    def settings(self) -> dict[str, Any]:
        return {}

    @override
    def propose(self, knowledge: Knowledge, *, count: int, seed: int) -> tuple[Suggestion, ...]:
        torch.manual_seed(seed)
        acquisition = self._acquisition(knowledge, seed)
        if self.space.candidates is None:
            row = self._climbed(acquisition)
        else:
            asked = {self.space.key(one) for one in knowledge.excluded}
            left = [one for one in self.space.candidates if self.space.key(one) not in asked]
            with torch.no_grad():
                row = dict(left[int(acquisition(self._inputs(left).unsqueeze(-2)).argmax())])
        return (Suggestion(row, self.name),)

    def _acquisition(self, knowledge: Knowledge, seed: int) -> Any:
        without_compiler()
        X = self._inputs([one.configuration for one in knowledge.observations])
        targets = self.objective.targets
        Y = torch.tensor([[one.utility(row.values[one.name]) for one in targets] for row in knowledge.observations], dtype=torch.float64)
        models = [
            SingleTaskGP(X, Y[:, [index]], input_transform=Normalize(X.shape[-1], bounds=self._bounds), outcome_transform=Standardize(1))
            for index in range(Y.shape[-1])
        ]
        for one in models:
            fit(one)
        model = ModelListGP(*models)
        sampler = SobolQMCNormalSampler(torch.Size([SAMPLES]), seed=seed)
        if len(targets) > 2:
            return qLogNParEGO(model, X, sampler=sampler, prune_baseline=True)
        return qLogNoisyExpectedHypervolumeImprovement(model, [0.0] * len(targets), X, sampler=sampler, prune_baseline=True)

    def _climbed(self, acquisition: Any) -> dict[str, float | str]:
        found, _ = optimize_acqf(acquisition, self._bounds, q=1, num_restarts=RESTARTS, raw_samples=RAW)
        return dict(zip((one.name for one in self.space.parameters), found[0].tolist(), strict=True))

    @property
    def _bounds(self) -> torch.Tensor:
        if self.space.candidates is not None:
            X = self._inputs(self.space.candidates)
            return torch.stack([X.amin(dim=0), X.amax(dim=0)])
        return torch.tensor([[0.0] * len(self.space.parameters), [1.0] * len(self.space.parameters)], dtype=torch.float64)

    def _inputs(self, rows: Sequence[Configuration]) -> torch.Tensor:
        return PlainBotorch(self.space, self.objective).inputs([dict(one) for one in rows])
