"""What further experiments may still bring, against closed forms, and against likelihoods that gpytorch computes."""

from dataclasses import dataclass
from statistics import NormalDist

import pytest
import torch
from botorch.models import SingleTaskGP
from gpytorch.kernels import MaternKernel, ScaleKernel
from torch import Tensor
from typing_extensions import override

from models.gaussian_processes.doubt import log_likelihood
from models.pinned import Functions, Pinned
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import ContinuousParameter
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.stop import Advice
from orchestrator.ports import Knowledge, Observation
from policies.bayesian import BayesianPolicy
from policies.initial import SobolPolicy
from policies.score import Score
from policies.settings import BayesianSettings
from policies.stopping import AllThereIs, Remaining, remaining
from tests.policy.test_drawn import ENCODING, OBJECTIVE, ROWS, data, guarded
from tests.policy.test_drawn import SPACE as PRIOR_SPACE

SCORE = Score(Objective(targets=(Target(name="y", goal="maximise"),)), (1.0,))
MEASURED = torch.tensor([[0.0]], dtype=torch.float64)
OTHER = AllThereIs(torch.tensor([[1.0]], dtype=torch.float64))
NORMAL = NormalDist()


@dataclass(frozen=True)
class Independent(Functions):
    """Zero, for certain, at 0; a normal distribution of its own at 1, one for each combination."""

    bells: tuple[tuple[float, float], ...]
    weights: tuple[float, ...] = (1.0,)

    @property
    @override
    def functions(self) -> tuple[tuple[int, ...], ...]:  # type: ignore[override]  # read only
        return tuple((which,) for which in range(len(self.bells)))

    @override
    def pinned(self, pins: Tensor) -> "Drawn":
        there = pins[:, 0] > 0.5
        means, sds = (torch.tensor(column, dtype=pins.dtype).unsqueeze(-1) * there for column in zip(*self.bells, strict=True))
        return Drawn(means, torch.diag_embed(sds), self.weights, self.functions)


@dataclass(frozen=True)
class Drawn(Pinned):
    """The same at some points."""

    means: Tensor
    roots: Tensor
    weights: tuple[float, ...]
    functions: tuple[tuple[int, ...], ...]

    @override
    def beside(self, X: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        raise NotImplementedError


def left(*bells: tuple[float, float], weights: tuple[float, ...] = (1.0,)) -> Remaining:
    return remaining(Independent(bells, weights), SCORE, MEASURED, OTHER, seed=3)


@pytest.mark.parametrize(("mean", "sd", "improvement"), [(0.0, 1.0, 0.5), (-0.1, 0.1, 0.01), (0.3, 0.2, 0.2)])
def test_chance_and_expectation_of_one_other_experiment_are_those_of_its_normal_distribution(
    mean: float, sd: float, improvement: float
) -> None:
    found = left((mean, sd))
    z = mean / sd
    assert found.chance(improvement) == pytest.approx(1 - NORMAL.cdf((improvement - mean) / sd), abs=0.06)
    assert found.expected == pytest.approx(mean * NORMAL.cdf(z) + sd * NORMAL.pdf(z), abs=0.05 * sd)  # [Jones1998]


def test_components_take_part_by_their_weights() -> None:
    found = left((1.0, 1e-6), (-1.0, 1e-6), weights=(0.25, 0.75))
    assert found.chance(0.5) == pytest.approx(0.25)
    assert found.expected == pytest.approx(0.25, abs=1e-3)
    assert found.shortest(0.7) == pytest.approx((0.0, 0.0), abs=1e-5)
    assert found.shortest(0.8) == pytest.approx((0.0, 1.0), abs=1e-3)


def test_the_interval_is_the_shortest_that_holds_its_part() -> None:
    values = torch.tensor([[0.0, 0.1, 0.2, 0.3, 0.4, 5.0, 6.0, 7.0, 8.0, 9.0]], dtype=torch.float64)
    found = Remaining(values, torch.ones(1, dtype=torch.float64))
    assert found.shortest(0.5) == pytest.approx((0.0, 0.4))
    assert found.shortest(1.0) == pytest.approx((0.0, 9.0))
    assert found.expected == pytest.approx(3.6)


def test_the_likelihood_of_hyperparameters_is_gpytorch_s() -> None:
    generator = torch.Generator().manual_seed(1)
    X = torch.rand(9, 2, dtype=torch.float64, generator=generator)
    Y = torch.sin(5 * X.sum(dim=-1))
    scales, noise, amplitude, level = torch.tensor([[0.3, 1.7]], dtype=torch.float64), 0.02, 1.4, 0.3
    ours = log_likelihood(X, Y, scales, *(torch.tensor([one], dtype=torch.float64) for one in (noise, amplitude, level)))
    kernel = ScaleKernel(MaternKernel(nu=2.5, ard_num_dims=2)).double()
    model = SingleTaskGP(X, Y.unsqueeze(-1), covar_module=kernel, outcome_transform=None)
    model.covar_module.base_kernel.lengthscale = scales
    model.covar_module.outputscale = amplitude
    model.likelihood.noise = noise
    model.mean_module.constant = level
    model.train()
    theirs = model.likelihood(model(X)).log_prob(Y)
    assert float(ours) == pytest.approx(theirs.item(), rel=1e-6)


def test_under_a_prior_it_is_what_botorch_draws_from_the_components_of_two_targets() -> None:
    more: list[dict[str, float | str]] = [{"x": 0.2 + 0.7 * index, "c": "bda"[index % 3]} for index in range(5)]
    rows = (*ROWS, *more)
    table = SearchSpace(parameters=PRIOR_SPACE.parameters, candidates=rows)
    advised = BayesianPolicy(table, OBJECTIVE, BayesianSettings(), guarded())
    known = Knowledge(observations=data(), excluded=ROWS)
    said = advised.advice(known, improvement=0.05, seed=2)
    assert said is not None
    surrogate, score = advised._fitted(known, seed=2)
    X, drawn = ENCODING.encode(rows), torch.Generator().manual_seed(1)
    expected = chance = 0.0
    for weight, model in surrogate.components():
        posterior = model.posterior(X)
        root = torch.linalg.cholesky(posterior.distribution.covariance_matrix + 1e-9 * torch.eye(2 * len(X), dtype=X.dtype))
        flat = torch.randn(20_000, 2 * len(X), dtype=X.dtype, generator=drawn) @ root.mT
        scores = score(posterior.mean + flat.reshape(-1, 2, len(X)).mT)
        left = scores.amax(dim=-1) - scores[:, : len(ROWS)].amax(dim=-1)
        expected += weight * left.mean().item()
        chance += weight * (left > 0.05).double().mean().item()
    assert said.expected == pytest.approx(expected, rel=0.1)
    assert said.chance == pytest.approx(chance, abs=0.05)


def policy(**settings: int) -> BayesianPolicy:
    space = SearchSpace(parameters=(ContinuousParameter(name="x", min=0.0, max=1.0),))
    return BayesianPolicy(space, SCORE.objective, BayesianSettings(raw_samples=32, restarts=1, **settings))


def known(*points: float) -> Knowledge:
    return Knowledge(observations=tuple(Observation({"x": x}, {"y": -((x - 0.3) ** 2)}) for x in points))


def advised(knowledge: Knowledge, improvement: float = 0.01) -> Advice:
    said = policy().advice(knowledge, improvement=improvement, seed=5)
    assert said is not None
    return said


def test_nothing_is_said_before_the_design_is_done_nor_by_a_policy_without_a_model() -> None:
    assert policy(initial=4).advice(known(0.1, 0.5, 0.9), improvement=0.01, seed=1) is None
    assert policy(initial=3).advice(known(0.1, 0.5, 0.9), improvement=0.01, seed=1) is not None
    assert SobolPolicy(policy().space).advice(known(0.1, 0.5, 0.9), improvement=0.01, seed=1) is None


def test_the_same_knowledge_and_seed_give_the_same_advice() -> None:
    assert advised(known(0.1, 0.5, 0.9)) == advised(known(0.1, 0.5, 0.9))


def test_measuring_all_over_a_curve_leaves_nothing_to_find() -> None:
    few, many = advised(known(0.9, 0.95, 1.0)), advised(known(*(number / 10 for number in range(11))))
    assert few.chance > 0.2
    assert many.chance < 0.05
    assert many.expected < few.expected
    assert 0.0 <= many.low <= many.high


def test_of_a_table_that_is_all_measured_nothing_is_left() -> None:
    rows = ({"x": 0.0}, {"x": 0.4}, {"x": 1.0})
    space = SearchSpace(parameters=policy().space.parameters, candidates=rows)
    whole = known(0.0, 0.4, 1.0)
    said = BayesianPolicy(space, SCORE.objective, BayesianSettings(initial=2)).advice(whole, improvement=0.01, seed=1)
    assert said is not None
    assert (said.chance, said.expected, said.high) == (0.0, 0.0, 0.0)
