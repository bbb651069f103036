"""Learned beliefs: numpy's fit is gpytorch's process, and the surrogate is what was fitted."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from gpytorch.mlls import ExactMarginalLogLikelihood
from scipy.optimize import check_grad
from torch import Tensor

from flows.plans.policy import learner_of
from models.base import TargetData
from models.gaussian_processes.beliefs import KINDS, Array, Lengths, fit, learned, negative_log_likelihood
from models.gaussian_processes.believed import BelievedLearner, BelievedProcesses
from models.gaussian_processes.doubt import likely
from models.inputs.encoding import Encoding
from models.inputs.training_data import training_data
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.surrogate_spec import SurrogateSpec
from orchestrator.errors import BadInput
from orchestrator.ports import Knowledge, Observation
from orchestrator.suggestions import Suggestion
from policies.registry import build_policy

SPACE = SearchSpace(
    parameters=(
        ContinuousParameter(name="x", min=0, max=10),
        CategoricalParameter(name="base", categories=("a", "b", "c", "d")),
        CompositionParameter(name="mix", components=("Ni", "Fe")),
    )
)
ENCODING = Encoding(SPACE)
OBJECTIVE = Objective(targets=(Target(name="y", goal="maximise"),))


def rows() -> TargetData:
    """Return ten rows; nobody measured base d."""
    found = [
        Observation({"x": float(i), "base": "abc"[i % 3], "mix.Ni": i / 10, "mix.Fe": 1 - i / 10}, {"y": math.sin(i) + i % 3})
        for i in range(10)
    ]
    (data,) = training_data(ENCODING, OBJECTIVE, found)
    return data


def fitted(*data: TargetData) -> BelievedProcesses:
    return BelievedLearner.of(ENCODING).fit(data, seed=0)


def logs(surrogate: BelievedProcesses) -> Array:
    numbers, _ = surrogate.targets["y"]
    return np.concatenate([np.log(numbers.lengths), np.log([numbers.variance, numbers.noise])])


def test_every_input_has_a_length_scale_of_its_kind() -> None:
    lengths = Lengths.of(ENCODING)
    assert lengths.kinds == ("number", "category", "composition", "composition")
    assert lengths.blocks == (0, 1, 1, 1, 1, 2, 3)
    assert set(lengths.kinds) == set(KINDS)


def test_the_likelihood_is_that_of_gpytorch_at_the_same_numbers() -> None:
    surrogate, data = fitted(rows()), rows()
    model = surrogate.model
    model.train()
    each = ExactMarginalLogLikelihood(model.likelihood, model)(model(*model.train_inputs), model.train_targets)
    theirs = each.item() * len(data.Y)
    squared = Lengths.of(ENCODING).squared(data.X.numpy(), data.X.numpy())
    ours, _ = negative_log_likelihood(logs(surrogate), squared, model.train_targets.numpy())
    assert -ours - len(data.Y) / 2 * math.log(2 * math.pi) == pytest.approx(theirs, abs=1e-6)


def test_slopes_are_those_of_small_steps() -> None:
    data = rows()
    squared, y = Lengths.of(ENCODING).squared(data.X.numpy(), data.X.numpy()), (data.Y - data.Y.mean()).numpy()
    theta = np.array([-1.0, 0.2, -1.5, -0.4, 0.3, -2.0])
    off = check_grad(lambda at: negative_log_likelihood(at, squared, y)[0], lambda at: negative_log_likelihood(at, squared, y)[1], theta)
    assert off < 1e-5


def test_what_is_fitted_is_more_probable_than_its_surroundings() -> None:
    data = rows()
    lengths, beliefs = Lengths.of(ENCODING), learned()
    squared, y = lengths.squared(data.X.numpy(), data.X.numpy()), ((data.Y - data.Y.mean()) / data.Y.std()).numpy()
    found = fit(squared, y, lengths.kinds, beliefs)
    best = np.r_[np.log(found.lengths), math.log(found.variance), math.log(found.noise)]
    locations, scales = beliefs.over(lengths.kinds)

    def loss(theta: Array) -> float:
        return negative_log_likelihood(theta, squared, y)[0] + 0.5 * float((((theta - locations) / scales) ** 2).sum())

    assert all(loss(best + step * axis) > loss(best) for axis in np.eye(len(best)) for step in (-0.05, 0.05))


def test_predictions_are_the_closed_form() -> None:
    data, surrogate = rows(), fitted(rows())
    numbers, _ = surrogate.targets["y"]
    lengths, X = Lengths.of(ENCODING), data.X.numpy()
    asked = ENCODING.encode([{"x": 2.5, "base": "b", "mix.Ni": 0.3, "mix.Fe": 0.7}, {"x": 9.5, "base": "d", "mix.Ni": 1.0, "mix.Fe": 0.0}])
    level, spread = float(data.Y.mean()), float(data.Y.std())
    gain = np.linalg.solve(
        numbers.covariance(lengths.squared(X, X)) + numbers.noise * np.eye(len(X)), numbers.covariance(lengths.squared(X, asked.numpy()))
    )
    variance = numbers.variance + 1.0 - (gain * numbers.covariance(lengths.squared(X, asked.numpy()))).sum(axis=0)
    posterior = surrogate.posterior(asked.unsqueeze(-2))
    assert posterior.mean.detach().flatten().numpy() == pytest.approx(level + gain.T @ (data.Y.numpy() - level), abs=1e-6)
    assert posterior.variance.detach().flatten().numpy() == pytest.approx(spread**2 * variance, abs=1e-6)


def test_the_policy_climbs_the_same_functions() -> None:
    surrogate = fitted(rows())
    asked = ENCODING.encode([{"x": 2.5, "base": "b", "mix.Ni": 0.3, "mix.Fe": 0.7}, {"x": 7.0, "base": "d", "mix.Ni": 0.0, "mix.Fe": 1.0}])
    pinned = surrogate.functions().pinned(asked[:1])
    means, _, _ = pinned.beside(asked[1:])
    assert means.flatten().tolist() == pytest.approx(surrogate.posterior(asked[1:]).mean.detach().flatten().tolist(), abs=1e-6)


def test_a_stated_uncertainty_is_the_least_noise() -> None:
    data = rows()
    stated = TargetData("y", data.X, data.Y, torch.full_like(data.Y, 0.5))
    numbers, _ = fitted(stated).targets["y"]
    assert numbers.noise * float(data.Y.var()) >= 0.5 - 1e-9


def test_equal_values_and_a_single_row_are_fitted() -> None:
    data = rows()
    for some in (TargetData("y", data.X, torch.zeros_like(data.Y), spread=2.0), TargetData("y", data.X[:1], data.Y[:1])):
        assert torch.isfinite(fitted(some).posterior(data.X).mean).all()


def test_a_target_without_a_value_is_named() -> None:
    with pytest.raises(BadInput, match="target y: no measurement to learn from; expected at least one"):
        fitted(TargetData("y", torch.zeros(0, 7, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)))


def test_the_same_rows_give_the_same_surrogate_to_the_last_bit() -> None:
    one, other = fitted(rows()), BelievedLearner.of(ENCODING).fit([rows()], seed=5)
    assert logs(one).tolist() == logs(other).tolist()
    assert one.description() == other.description()


def test_learned_beliefs_are_chosen_by_a_key() -> None:
    spec = SurrogateSpec(kind="gp", beliefs="learned")
    learner = learner_of(SPACE, OBJECTIVE, spec, None)
    assert isinstance(learner, BelievedLearner)
    assert build_policy("bayesian", SPACE, OBJECTIVE, {}, learner).settings == build_policy("bayesian", SPACE, OBJECTIVE, {}).settings
    assert learner_of(SPACE, OBJECTIVE, SurrogateSpec(kind="gp"), None) is None


def test_a_campaign_without_the_key_is_written_as_before() -> None:
    assert "beliefs" not in SurrogateSpec(kind="gp").model_dump(mode="json")
    assert SurrogateSpec(kind="gp", beliefs="learned").model_dump(mode="json")["beliefs"] == "learned"


def test_a_prior_and_learned_beliefs_exclude_each_other() -> None:
    with pytest.raises(ValueError, match='beliefs = "learned" belongs to kind = "gp"'):
        SurrogateSpec(prior="x.pt", beliefs="learned")


def test_a_campaign_with_the_key_proposes_the_same_twice() -> None:
    found = [
        Observation({"x": float(i), "base": "abcd"[i % 4], "mix.Ni": i / 10, "mix.Fe": 1 - i / 10}, {"y": math.sin(i)}) for i in range(8)
    ]

    def proposed() -> tuple[Suggestion, ...]:
        learner = learner_of(SPACE, OBJECTIVE, SurrogateSpec(kind="gp", beliefs="learned"), None)
        policy = build_policy("bayesian", SPACE, OBJECTIVE, {"initial": 4, "restarts": 2, "raw_samples": 32}, learner)
        return policy.propose(Knowledge(observations=tuple(found)), count=1, seed=3)

    one, other = proposed(), proposed()
    assert one == other
    assert one[0].details["surrogate"] == "gp-beliefs/1"


def test_where_little_is_measured_length_scales_are_in_doubt_as_they_are_believed_to_be() -> None:
    whole = rows()
    surrogate = fitted(replace(whole, X=whole.X[:1], Y=whole.Y[:1], Yvar=None if whole.Yvar is None else whole.Yvar[:1]))
    density, mode = surrogate.densities["y"], logs(surrogate)
    curvature = density.curvature(mode)
    assert np.diag(curvature)[:-2] == pytest.approx(density.scales[:-2] ** -2.0, rel=1e-4)

    def densities(H: Tensor) -> Tensor:
        return torch.tensor([-density.falling(density.noisy(theta))[0] for theta in H.numpy()], dtype=H.dtype)

    generator = torch.Generator().manual_seed(0)
    drawn = likely(densities, torch.from_numpy(mode), torch.from_numpy(curvature), 4096, generator).numpy()[:, :-2]
    assert (drawn.mean(axis=0) - density.locations[:-2]) / density.scales[:-2] == pytest.approx(0.0, abs=0.25)
    assert drawn.std(axis=0) == pytest.approx(density.scales[:-2], rel=0.2)


def test_chances_that_people_are_told_are_of_processes_in_doubt() -> None:
    surrogate = fitted(rows())
    pinned = surrogate.doubtful(seed=3).pinned(ENCODING.encode([{"x": 4.5, "base": "d", "mix.Ni": 0.5, "mix.Fe": 0.5}]))
    assert pinned.weights == pytest.approx([1 / 8] * 8)
    assert len(set(pinned.means.flatten().tolist())) > 4
