"""The acquisition agrees with closed forms, whatever the objective and its units."""

import math

import pytest
import torch
from botorch import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.transforms.outcome import Standardize
from gpytorch.mlls import ExactMarginalLogLikelihood
from jaxtyping import Float
from torch import Tensor

from models.gaussian_processes.single_task import GaussianProcesses
from models.reproducible import repeatable
from orchestrator.domain.objective import Objective, Target
from policies.acquisition import LogImprovement, Question, build_acquisition
from policies.score import Score
from policies.settings import AcquisitionKind

X = torch.tensor([[0.0], [0.25], [0.5], [0.75], [1.0]], dtype=torch.float64)
Y = torch.tensor([1.0, 2.0, -1.0, 2.0, 0.5], dtype=torch.float64)
EXACT = torch.full((5,), 1e-5, dtype=torch.float64)
NEW = torch.linspace(0.02, 0.98, 13, dtype=torch.float64).reshape(-1, 1, 1)
LIKELY = -6.0
"""Log scores below it rest on a few samples, or on the smoothing of the maximum."""
NOTHING = torch.zeros(0, 1, dtype=torch.float64)
MAXIMISE = Objective(targets=(Target(name="y", goal="maximise"),))


def surrogate(values: Float[Tensor, " n"] = Y) -> GaussianProcesses:
    """Fit a process that knows its values to be exact: only then do closed forms hold."""
    with repeatable(0):
        model = SingleTaskGP(X, values.unsqueeze(-1), EXACT.unsqueeze(-1), outcome_transform=Standardize(1))
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    return GaussianProcesses("gp/1", model, {"y": model})


def acquisition(
    objective: Objective,
    kind: AcquisitionKind = "log-nei",
    *,
    values: Float[Tensor, " n"] = Y,
    unit: float = 1.0,
    pending: Float[Tensor, "p 1"] = NOTHING,
    infeasible: Float[Tensor, "f 1"] = NOTHING,
) -> LogImprovement:
    question = Question(surrogate(values), Score(objective, (unit,)), X, pending, infeasible, kind, samples=2048, seed=1)
    with repeatable(0):
        return build_acquisition(question)


def values_at(function: LogImprovement) -> list[float]:
    with torch.no_grad(), repeatable(0):
        values: list[float] = function(NEW).tolist()
    return values


def improvement(mean: float, sd: float, best: float) -> float:
    """Expected improvement of a Gaussian over `best`."""
    z = (mean - best) / sd
    return max(1e-300, sd * (z * 0.5 * (1 + math.erf(z / math.sqrt(2))) + math.exp(-z * z / 2) / math.sqrt(2 * math.pi)))


def agree(computed: list[float], expected: list[float], tolerance: float) -> bool:
    """Compare scores where improvement is likely enough to be sampled."""
    likely = [index for index, value in enumerate(expected) if value > LIKELY]
    assert len(likely) >= 3
    return [computed[index] for index in likely] == pytest.approx([expected[index] for index in likely], abs=tolerance)


def moments(values: Float[Tensor, " n"] = Y) -> list[tuple[float, float]]:
    posterior = surrogate(values).posterior(NEW)
    return list(zip(posterior.mean.flatten().tolist(), posterior.variance.sqrt().flatten().tolist(), strict=True))


@pytest.mark.parametrize(("kind", "tolerance"), [("log-ei", 1e-3), ("log-nei", 0.15)])
def test_maximising_one_exact_target_is_expected_improvement(kind: AcquisitionKind, tolerance: float) -> None:
    best = surrogate().posterior(X.unsqueeze(-2)).mean.detach().max().item()
    expected = [math.log(improvement(mean, sd, best)) for mean, sd in moments()]
    assert agree(values_at(acquisition(MAXIMISE, kind)), expected, tolerance)


@pytest.mark.parametrize(("kind", "tolerance"), [("log-ei", 1e-3), ("log-nei", 0.15)])
def test_minimising_is_maximising_the_negative(kind: AcquisitionKind, tolerance: float) -> None:
    minimise = Objective(targets=(Target(name="y", goal="minimise"),))
    best = surrogate().posterior(X.unsqueeze(-2)).mean.detach().min().item()
    expected = [math.log(improvement(-mean, sd, -best)) for mean, sd in moments()]
    assert agree(values_at(acquisition(minimise, kind)), expected, tolerance)


def test_a_match_is_scored_sample_by_sample() -> None:
    target = Target(name="y", goal="match", value=2.6, tolerance=0.2)
    grid = torch.linspace(-6, 6, 4001, dtype=torch.float64)
    weights = torch.exp(-0.5 * grid.square()) / torch.exp(-0.5 * grid.square()).sum()
    best = max(target.utility(value) for value in Y.tolist())
    gains = [float((weights * (target.utility(mean + sd * grid) - best).clamp_min(0)).sum()) for mean, sd in moments()]
    expected = [math.log(max(gain, 1e-300)) for gain in gains]
    assert agree(values_at(acquisition(Objective(targets=(target,)))), expected, 0.3)


def test_the_score_of_several_targets_is_the_weighted_mean_of_their_utilities() -> None:
    targets = (Target(name="a", goal="maximise", low=0, high=10, weight=3), Target(name="b", goal="minimise", low=0, high=4))
    score = Score(Objective(targets=targets), units=(10.0, 1.0))
    samples = torch.tensor([[[0.5, 1.0]], [[1.0, 4.0]]], dtype=torch.float64)
    assert score(samples).flatten().tolist() == pytest.approx([0.75 * 0.5 + 0.25 * 0.75, 0.75 * 1.0 + 0.25 * 0.0])


def test_the_unit_of_a_target_shifts_the_log_score_and_nothing_else() -> None:
    plain, large = values_at(acquisition(MAXIMISE)), values_at(acquisition(MAXIMISE, unit=1e6))
    assert [one - math.log(1e6) for one in large] == pytest.approx(plain, abs=1e-6)


@pytest.mark.parametrize("kind", ["log-nei", "log-ei"])
def test_a_pending_point_takes_away_what_it_will_tell(kind: AcquisitionKind) -> None:
    alone = values_at(acquisition(MAXIMISE, kind))
    index = max(range(len(alone)), key=alone.__getitem__)
    pending = values_at(acquisition(MAXIMISE, kind, pending=NEW[index]))
    assert pending[index] < alone[index] - 1
    assert pending[index - 6] == pytest.approx(alone[index - 6], abs=1.0)


def test_the_surroundings_of_an_infeasible_point_are_avoided() -> None:
    plain, warned = values_at(acquisition(MAXIMISE)), values_at(acquisition(MAXIMISE, infeasible=NEW[2]))
    assert warned[2] < plain[2] - 20
    assert warned[-1] == pytest.approx(plain[-1], abs=0.05)


def test_gradients_are_finite_even_at_measured_pending_and_infeasible_points() -> None:
    function = acquisition(MAXIMISE, pending=NEW[1], infeasible=NEW[2])
    points = torch.cat([X.unsqueeze(-2), NEW[1:3]]).requires_grad_()
    with repeatable(0):
        (gradient,) = torch.autograd.grad(function(points).sum(), points)
    assert gradient.isfinite().all()


def test_measurements_that_are_all_equal_still_give_a_finite_score() -> None:
    level = torch.zeros(5, dtype=torch.float64)
    assert all(math.isfinite(value) for value in values_at(acquisition(MAXIMISE, values=level)))
