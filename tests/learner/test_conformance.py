from functools import cache

import pytest
import torch
from botorch.acquisition import LogExpectedImprovement
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.optim import optimize_acqf
from botorch.sampling.normal import SobolQMCNormalSampler

from models.base import Surrogate
from models.gaussian_processes.conditioning import Adapted, Conditioned
from models.reproducible import repeatable
from models.tasks import Prior
from tests.learner.cases import LEARNERS, family, generator, tasks


@cache
def trained(name: str) -> Prior:
    prior: Prior = LEARNERS[name][0].meta_train(tasks(), family(), generator=generator())
    return prior


@pytest.fixture(params=list(LEARNERS))
def prior(request: pytest.FixtureRequest) -> Prior:
    return trained(request.param)


def adapted(prior: Prior, n: int = 6) -> Surrogate:
    task = tasks()[0].rows(range(n))
    return prior.adapt(task, generator=generator())


def points(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, 2, generator=generator(), dtype=torch.float64)


@pytest.mark.parametrize("n", [0, 1, 6])
def test_any_number_of_points_gives_finite_float64_moments(prior: Prior, n: int) -> None:
    found = adapted(prior, n).posterior(points(7, 1))
    assert found.mean.dtype == torch.float64
    assert bool(found.mean.isfinite().all())
    assert bool((found.variance > 0).all())


def test_log_ei_is_finite_and_its_slope_is_that_of_finite_differences(prior: Prior) -> None:
    X = points(3, 1).requires_grad_()
    for _, model in adapted(prior).components():
        assert torch.autograd.gradcheck(LogExpectedImprovement(model, best_f=60.0), (X,), eps=1e-6, atol=1e-4, rtol=1e-3)


def test_noisy_improvement_of_four_points_with_pending_ones_can_be_optimised(prior: Prior) -> None:
    bounds = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    for _, model in adapted(prior).components():
        with repeatable(0):
            sampler = SobolQMCNormalSampler(torch.Size([16]), seed=0)
            acquisition = qLogNoisyExpectedImprovement(
                model, tasks()[0].X[:6], sampler=sampler, X_pending=points(2), prune_baseline=False, cache_root=False
            )
            chosen, value = optimize_acqf(acquisition, bounds, q=4, num_restarts=1, raw_samples=4, options={"maxiter": 5})
        assert chosen.shape == (4, 2)
        assert bool(value.isfinite())


def test_joint_samples_have_the_joint_covariance(prior: Prior) -> None:
    for _, model in adapted(prior).components():
        found = model.posterior(points(3))
        with repeatable(0):
            samples = found.rsample(torch.Size([20_000])).squeeze(-1)
        expected = found.distribution.covariance_matrix
        assert torch.allclose(torch.cov(samples.mT), expected, atol=0.05 * float(expected.diagonal().max()))


def test_the_weights_of_the_components_sum_to_one(prior: Prior) -> None:
    assert sum(weight for weight, _ in adapted(prior).components()) == pytest.approx(1.0, abs=1e-12)


def test_the_order_of_support_rows_changes_nothing(prior: Prior) -> None:
    task = tasks()[0].rows(range(8))
    back = task.rows(list(reversed(range(8))))
    one, other = (prior.adapt(t, generator=generator()).posterior(points(9, 1)) for t in (task, back))
    assert torch.allclose(one.mean, other.mean, atol=1e-6, rtol=0)
    assert torch.allclose(one.variance, other.variance, atol=1e-6, rtol=0)


def test_adaptation_is_deterministic_under_its_seed(prior: Prior) -> None:
    one, other = (adapted(prior).posterior(points(9, 1)) for _ in range(2))
    assert torch.equal(one.mean, other.mean)
    assert torch.equal(one.variance, other.variance)


def test_with_everything_fixed_more_data_never_raise_the_variance(prior: Prior) -> None:
    found = adapted(prior)
    assert isinstance(found, Adapted)
    task = tasks()[1]
    y = torch.zeros_like(task.Y)
    for _, model in found.parts:
        few, many = (
            Conditioned(model.process, task.X[:n], y[:n], torch.full((n,), 0.01, dtype=torch.float64), scale=model.scale) for n in (5, 12)
        )
        assert bool((many.moments(points(50))[1] <= few.moments(points(50))[1] + 1e-8).all())


@pytest.mark.parametrize("name", list(LEARNERS))
def test_a_restored_prior_predicts_the_same(name: str) -> None:
    """Equal to rounding; bit for bit between two that come from one file, as in a campaign and its replay."""
    prior, state = trained(name), trained(name).state()
    one, other = (adapted(LEARNERS[name][1](state, family())).posterior(points(5, 1)).mean for _ in range(2))
    assert torch.equal(one, other)
    assert torch.allclose(adapted(prior).posterior(points(5, 1)).mean, one, rtol=1e-12, atol=1e-12)
