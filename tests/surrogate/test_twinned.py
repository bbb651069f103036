"""A twin as what a surrogate begins from: its prediction and sensitivities are columns, guarded, whatever the units."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from models.base import TargetData
from models.gaussian_processes.conditioning import Adapted
from models.inputs.encoding import Encoding
from models.inputs.features import Features
from models.meta_learning.adapted import AdaptedTargets
from models.meta_learning.twinned import TwinLearner
from models.source_basis.guarded import DefaultPrior
from models.source_basis.twinned import LEAST_PREDICTED, TRUST, Predictions, shaken, twin_prior
from models.tasks import TaskData
from orchestrator.domain.parameters import ContinuousParameter
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput

SPACE = SearchSpace(parameters=(ContinuousParameter(name="a", min=0, max=1), ContinuousParameter(name="b", min=0, max=1)))
ENCODING = Encoding(SPACE)
OFF = 1.5
"""Prior standard deviations by which the one constant is off."""


def plant(X: Tensor, off: float = OFF) -> Tensor:
    """Return 50 to 90: a ridge whose place the constant moves."""
    return 50 + 40 * torch.exp(-4 * (X[:, 0] - 0.3 - 0.1 * off) ** 2) * X[:, 1]


def rows(n: int, seed: int) -> Tensor:
    return torch.rand(n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def predictions(name: str = "y", n: int = 120) -> Predictions:
    X = rows(n, 1)
    return Predictions(name, X, plant(X, 0.0), (plant(X, 0.5) - plant(X, -0.5)).unsqueeze(-1), ("place",))


def prior(said: Predictions, *, guard: bool = True) -> DefaultPrior:
    return twin_prior(said, Features(ENCODING), guard=guard, generator=torch.Generator().manual_seed(0))


def adapted(said: Predictions, n: int, *, factor: float = 1.0, guard: bool = True) -> Adapted:
    X = rows(n, 2)
    return prior(said, guard=guard).adapt(TaskData("y", X, factor * plant(X)), generator=torch.Generator())


def error(found: Adapted, *, factor: float = 1.0) -> float:
    X = rows(60, 3)
    return float((found.posterior(X.unsqueeze(-2)).mean.flatten() / factor - plant(X)).square().mean().sqrt())


def inverted(said: Predictions) -> Predictions:
    return replace(said, mean=120 - said.mean, moved=-said.moved)


def test_before_anything_is_measured_the_prediction_is_expected() -> None:
    (_, informed), (_, fresh) = adapted(predictions(), 0).components()
    X = rows(60, 3)
    assert informed.posterior(X.unsqueeze(-2)).mean.flatten().tolist() == pytest.approx(plant(X, 0.0).tolist(), abs=0.5)
    assert float(fresh.posterior(X.unsqueeze(-2)).mean.std()) < 1e-9


def test_a_few_runs_tell_the_constant_by_its_column() -> None:
    with_column = error(adapted(predictions(), 5))
    nothing = predictions()
    without = error(adapted(replace(nothing, moved=torch.zeros_like(nothing.moved)), 5))
    assert with_column < 0.5 * without


def test_what_the_constant_moves_is_as_uncertain_as_its_prior_says() -> None:
    (informed, *_) = (model for _, model in adapted(predictions(), 0).components())
    X = rows(400, 4)
    moved = plant(X, 0.5) - plant(X, -0.5)
    process = informed.process
    columns, _ = process.skeleton.low_rank(X)
    sensitivity = columns[:, 2] * process.beliefs.coefficient_deviations[2] * informed.scale.spread
    assert sensitivity.tolist() == pytest.approx(moved.tolist(), abs=0.5)


def test_a_right_twin_keeps_its_weight_and_a_wrong_one_fades() -> None:
    right, wrong = adapted(predictions(), 8), adapted(inverted(predictions()), 8)
    assert right.description()["trust"] > 0.9
    assert wrong.description()["trust"] < 0.05
    assert wrong.without_prior() is not None


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_a_twin_that_is_off_by_any_factor_costs_the_guard_nothing(factor: float) -> None:
    assert error(adapted(predictions(), 20, factor=factor), factor=factor) < 4.0


def test_without_the_guard_the_twin_alone_is_there() -> None:
    assert len(adapted(inverted(predictions()), 8, guard=False).components()) == 1


def test_rows_without_a_prediction_are_left_out_and_too_few_are_refused() -> None:
    said = predictions()
    gone = torch.arange(len(said.mean)) % 3 == 0
    holed = replace(said, mean=said.mean.where(~gone, torch.nan), moved=said.moved.where(~gone.unsqueeze(-1), torch.nan))
    assert error(adapted(holed, 8)) < 1.5
    few = replace(said, mean=said.mean.where(torch.arange(len(said.mean)) < LEAST_PREDICTED - 1, torch.nan))
    with pytest.raises(BadInput, match=f"the twin predicts y in {LEAST_PREDICTED - 1} of 120 configurations; expected {LEAST_PREDICTED}"):
        prior(few)


def test_a_slope_that_is_unknown_somewhere_spoils_nothing() -> None:
    said = predictions()
    said.moved[:5] = torch.nan
    assert error(adapted(said, 8)) < 1.5


def test_runs_that_gave_nothing_speak_against_a_twin_that_predicted_something() -> None:
    said, made = predictions(), prior(predictions())
    trusts = [shaken(made, said, 3, rows(count, 5)).trust for count in range(4)]
    assert trusts[0] == TRUST
    assert TRUST > trusts[1] > trusts[2] > trusts[3]
    assert trusts[3] < 0.1
    silent_too = replace(said, mean=torch.full_like(said.mean, torch.nan))
    assert shaken(made, silent_too, 3, rows(3, 5)).trust == TRUST
    assert shaken(made, said, 60, rows(1, 5)).trust == TRUST, "one of many is what a right twin allows"


# ---------------------------------------------------------------------- all targets


def learner(said: Sequence[Predictions], targets: tuple[str, ...] = ("y",)) -> TwinLearner:
    asked = []

    def ask() -> dict[str, Predictions]:
        asked.append(1)
        assert len(asked) == 1, "the twin is asked once"
        return {one.target: one for one in said}

    known = tuple(one.target for one in said)
    return TwinLearner(ENCODING, targets, known, {"name": "twin film/1", "sha256": "ab" * 32, "origin": "simulated"}, ask)


def data(name: str, n: int, *, silent: Tensor | None = None) -> TargetData:
    X = rows(n, 2)
    return TargetData(name, X, plant(X) / 10, unit=10.0, silent=silent)


def test_the_functions_side_by_side_are_the_posterior_of_each_part() -> None:
    found = learner([predictions(), inverted(predictions("z"))], ("y", "z")).fit([data("y", 3), data("z", 3)], seed=0)
    X = rows(7, 9)
    functions = found.functions().pinned(rows(1, 8))
    means, along, left = functions.beside(X)
    models = [model for part in found.parts for _, model in part.components()]
    for index, model in enumerate(models):
        alone = model.posterior(X.unsqueeze(-2))
        assert (means[index] * 10).tolist() == pytest.approx(alone.mean.flatten().tolist(), rel=1e-6)
        variance = (left[index] ** 2 + along[index].square().sum(dim=-1)) * 100
        assert variance.tolist() == pytest.approx(alone.variance.flatten().tolist(), rel=1e-3)


def test_the_same_data_and_twin_give_the_same_surrogate_bit_for_bit() -> None:
    X = rows(5, 9)
    one, other = (learner([predictions()]).fit([data("y", 6)], seed=seed).posterior(X) for seed in (0, 1))
    assert torch.equal(one.mean, other.mean)
    assert torch.equal(one.variance, other.variance)


def test_a_target_that_the_twin_does_not_predict_needs_a_measurement_and_has_the_guard_alone() -> None:
    both = learner([predictions()], ("y", "z"))
    assert both.needs_measurements
    assert not learner([predictions()]).needs_measurements
    found = both.fit([data("y", 20), data("z", 20)], seed=0)
    assert isinstance(found, AdaptedTargets)
    assert len(found.parts[1].components()) == 1
    assert error_of(found, 1) < 4.0


def error_of(found: AdaptedTargets, place: int) -> float:
    X = rows(60, 3)
    return float((10 * found.posterior(X.unsqueeze(-2)).mean[..., place].flatten() - plant(X)).square().mean().sqrt())


def test_the_learner_hands_runs_without_a_value_on() -> None:
    whole, shorn = (
        learner([predictions()]).fit([data("y", 1, silent=silent)], seed=0).description()["y"]["weights"]["prior"]
        for silent in (None, rows(2, 5))
    )
    assert (whole, shorn < 0.2) == (TRUST, True)
