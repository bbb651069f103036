"""The Gaussian processes agree with the formula, and take data as they come."""

import logging
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float
from linear_operator.utils.warnings import NumericalWarning
from torch import Tensor

from models.base import TargetData, spread_of
from models.gaussian_processes.single_task import GaussianProcesses, GaussianProcessLearner
from models.inputs.encoding import Encoding
from models.inputs.training_data import training_data
from models.reproducible import repeatable
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import ContinuousParameter
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.ports import Observation
from tests import strategies

SPACE = SearchSpace(parameters=(ContinuousParameter(name="x", min=0, max=1),))
TWO = Objective(
    targets=(
        Target(name="a", goal="maximise", low=0, high=1),
        Target(name="b", goal="minimise", low=0, high=400),
    )
)


def column(*values: float) -> Float[Tensor, "n 1"]:
    return torch.tensor(values, dtype=torch.float64).unsqueeze(-1)


def row(*values: float) -> Float[Tensor, " n"]:
    return torch.tensor(values, dtype=torch.float64)


def measurements(*values: float) -> TargetData:
    objective = Objective(targets=(Target(name="y", goal="maximise"),))
    (data,) = training_data(Encoding(SPACE), objective, [Observation({"x": i / 10}, {"y": v}) for i, v in enumerate(values)])
    return data


def fit(*data: TargetData) -> GaussianProcesses:
    return GaussianProcessLearner().fit(data, seed=0)


def test_the_posterior_is_the_closed_form_at_the_fitted_hyperparameters() -> None:
    X, Y, Yvar, X_new = column(0.0, 0.3, 0.9), row(1.0, 3.0, 2.0), row(0.01, 0.04, 0.01), column(0.1, 0.5)
    surrogate = fit(TargetData("y", X, Y, Yvar))
    model = surrogate.model
    length, scale = model.covar_module.lengthscale.item(), Y.std()
    mean = Y.mean() + scale * model.mean_module.constant.detach()

    def kernel(left: Tensor, right: Tensor) -> Tensor:
        return scale**2 * torch.exp(-0.5 * ((left - right.T) / length) ** 2)

    noise = model.likelihood.noise.detach() * scale**2
    weights = kernel(X_new, X) @ torch.linalg.inv(kernel(X, X) + noise * torch.eye(3, dtype=torch.float64))
    covariance = kernel(X_new, X_new) - weights @ kernel(X, X_new)
    posterior = surrogate.posterior(X_new)
    torch.testing.assert_close(posterior.mean[:, 0], mean + weights @ (Y - mean), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(posterior.mvn.covariance_matrix, covariance, rtol=1e-5, atol=1e-6)


def test_each_target_learns_from_its_own_rows() -> None:
    observations = [
        Observation({"x": 0.1}, {"a": 0.2, "b": 100.0}),
        Observation({"x": 0.5}, {"a": 0.4}),
        Observation({"x": 0.9}, {"b": 300.0}),
    ]
    a, b = training_data(Encoding(SPACE), TWO, observations)
    assert (a.X.tolist(), a.unit) == ([[0.1], [0.5]], 0.1)
    assert a.Y.tolist() == pytest.approx([2.0, 4.0])
    assert (b.X.tolist(), b.unit) == ([[0.1], [0.9]], 100.0)
    assert b.Y.tolist() == [1.0, 3.0]
    posterior = fit(a, b).posterior(column(0.1, 0.2, 0.3))
    assert posterior.mean.shape == (3, 2)


def test_stated_uncertainties_count_only_where_every_row_of_a_target_has_one() -> None:
    observations = [
        Observation({"x": 0.1}, {"a": 0.2, "b": 1.0}, {"a": 0.1, "b": 2.0}),
        Observation({"x": 0.5}, {"a": 0.4, "b": 3.0}, {"a": 0.2}),
    ]
    a, b = training_data(Encoding(SPACE), TWO, observations)
    assert a.Yvar is not None
    assert a.Yvar.tolist() == pytest.approx([1.0, 4.0])
    assert b.Yvar is None


def test_stated_noise_is_the_noise_of_a_new_measurement() -> None:
    surrogate = fit(TargetData("y", column(0.0, 0.4, 1.0), row(1.0, 3.0, 2.0), row(0.04, 0.04, 0.04)))
    _, aleatoric = surrogate.variance_parts(column(0.2, 0.7))
    assert aleatoric.flatten().tolist() == pytest.approx([0.04, 0.04])


def test_more_data_remove_the_epistemic_part_but_not_the_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    X = torch.linspace(0, 1, 40, dtype=torch.float64).unsqueeze(-1)
    Y = torch.sin(6 * X[:, 0]) + 0.3 * torch.randn(40, dtype=torch.float64, generator=generator)
    epistemic, aleatoric = fit(TargetData("y", X, Y)).variance_parts(column(0.5))
    assert aleatoric.sqrt().item() == pytest.approx(0.3, rel=0.35)
    assert epistemic.item() < aleatoric.item()


def test_one_measurement_predicts_itself_with_the_stated_spread() -> None:
    posterior = fit(TargetData("b", column(0.5), row(520.0), spread=100.0)).posterior(column(0.5, 1000.0))
    assert posterior.mean.flatten().tolist() == pytest.approx([520.0, 520.0], abs=1.0)
    assert posterior.variance[1].sqrt().item() == pytest.approx(100.0, rel=0.05)


@pytest.mark.parametrize("value", [0.0, -3.5, 1e-9, 1e9])
def test_a_target_that_never_varied_is_learned_as_constant(value: float) -> None:
    data = measurements(value, value, value + 1e-17 * abs(value), value)
    assert fit(data).posterior(column(0.25)).mean.item() * data.unit == pytest.approx(value)


@pytest.mark.parametrize("factor", [1e-30, 1e-12, 1.0, 1e12])
def test_values_vary_or_are_constant_alike_in_any_unit(factor: float) -> None:
    assert spread_of(row(1.0, 2.0, 3.0) * factor) == pytest.approx(factor)
    assert spread_of(row(1e6, 1e6 + 1, 1e6 - 1) * factor) == pytest.approx(factor, rel=1e-6)
    assert spread_of(row(1.0, 1.0 + 1e-12) * factor) is None
    assert spread_of(row(1.0) * factor) is None


@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_a_target_is_learned_alike_in_any_unit(factor: float) -> None:
    plain, other = measurements(1.0, 4.0, 2.0, 3.0), measurements(factor, 4 * factor, 2 * factor, 3 * factor)
    assert other.unit == pytest.approx(factor * plain.unit)
    here, there = fit(plain).posterior(column(0.3)), fit(other).posterior(column(0.3))
    torch.testing.assert_close(here.mean, there.mean)
    torch.testing.assert_close(here.variance, there.variance)


def test_replicates_are_taken_as_separate_measurements() -> None:
    surrogate = fit(TargetData("y", column(0.2, 0.2, 0.2, 0.8, 0.8), row(1.0, 1.2, 0.8, 3.1, 2.9)))
    assert surrogate.posterior(column(0.2)).mean.item() == pytest.approx(1.0, abs=0.3)


def test_exact_measurements_are_allowed() -> None:
    surrogate = fit(TargetData("y", column(0.0, 0.5, 1.0), row(1.0, 3.0, 2.0), row(0.0, 0.0, 0.0)))
    assert surrogate.posterior(column(0.5)).mean.item() == pytest.approx(3.0, abs=0.01)


def test_a_target_without_a_value_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match="target b: no measurement"):
        fit(TargetData("b", torch.zeros(0, 1, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)))


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_any_measurements_give_finite_predictions(data: st.DataObject) -> None:
    space, objective = data.draw(strategies.open_spaces(most=3)), data.draw(strategies.objectives(most=2))
    measured = data.draw(st.lists(strategies.observations(space, objective), min_size=1, max_size=5))
    surrogate = fit(*training_data(Encoding(space), objective, measured))
    X = Encoding(space).encode([data.draw(strategies.configurations(space))])
    assert surrogate.posterior(X).mean.isfinite().all()
    assert all(part.isfinite().all() and (part >= 0).all() for part in surrogate.variance_parts(X))


def test_the_description_is_json_of_rounded_numbers() -> None:
    described = fit(TargetData("y", column(0.0, 0.5, 1.0), row(1.0, 3.0, 2.0))).description()["y"]
    assert described["points"] == 3
    assert described["scale"] == 1.0
    assert len(described["length_scales"]) == 1


def test_library_calls_leave_the_global_generator_alone_and_repeat() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    draws = []
    for _ in range(2):
        with repeatable(7):
            draws.append(torch.rand(3).tolist())
    assert draws[0] == draws[1]
    assert torch.equal(before, torch.random.get_rng_state())


def warn_of(*messages: Warning) -> None:
    with repeatable(0):
        for message in messages:
            warnings.warn(message, stacklevel=1)


def test_jitter_is_logged_and_other_warnings_pass(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="models.reproducible")
    with pytest.warns(RuntimeWarning, match="overflow"):
        warn_of(NumericalWarning("A not p.d., added jitter"), RuntimeWarning("overflow"))
    assert "added jitter" in caplog.text
