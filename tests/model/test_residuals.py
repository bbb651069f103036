"""Residuals agree with predictions from all other rows; channels are named when they matter, and by chance as often as said."""

import math

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from models.base import Surrogate, TargetData
from models.explanations.residuals import ALPHA, PERMUTATIONS, Association, Channel, Residuals, associations, residuals
from models.gaussian_processes.conditioning import Adapted, Conditioned
from models.gaussian_processes.single_task import GaussianProcessLearner
from models.tasks import Scale
from orchestrator.errors import BadInput
from tests.metatraining.learner import NOISE, Bell

LEAST_P = 1 / (PERMUTATIONS + 1)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def measured(rows: int = 14, width: int = 2) -> tuple[Float[Tensor, "n d"], Float[Tensor, " n"]]:
    X = torch.rand(rows, width, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    X[1] = X[0]  # a replicate
    return X, 50 + 8 * torch.sin(5 * X[:, 0]) + 3 * X[:, 1] + normal(rows, seed=4)


def one_by_one(K: Float[Tensor, "n n"], noise: float, z: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Leave each row out and predict it from the others, by the formula of the posterior."""
    found = []
    for row in range(len(z)):
        rest = [index for index in range(len(z)) if index != row]
        gain = torch.linalg.solve(K[rest][:, rest] + noise * torch.eye(len(rest), dtype=K.dtype), K[rest, row])
        variance = K[row, row] - K[row, rest] @ gain + noise
        found.append((z[row] - gain @ z[rest]) / variance.sqrt())
    return torch.stack(found)


def test_residuals_of_a_gaussian_process_are_those_of_predictions_from_all_other_rows() -> None:
    X, Y = measured()
    data = [TargetData("y", X, Y), TargetData("z", X[:9], -Y[:9])]
    surrogate = GaussianProcessLearner().fit(data, seed=0)
    for found, model, target in zip(residuals(surrogate, data), surrogate.targets.values(), data, strict=True):
        with torch.no_grad():
            K = model.covar_module(target.X).to_dense()
            z = model.train_targets - model.mean_module.constant
        expected = one_by_one(K, float(model.likelihood.noise.detach()), z)
        torch.testing.assert_close(found.leave_one_out, expected, atol=1e-4, rtol=1e-4)


def test_residuals_of_an_adapted_prior_are_too_whatever_its_inner_order() -> None:
    X, Y = measured()
    scale, process = Scale(50.0, 6.0), Bell(0.4)
    z = scale.standard(Y)
    surrogate: Surrogate = Adapted("bell/1", ((1.0, Conditioned(process, X, z, torch.full_like(z, NOISE), scale=scale)),))
    expected = one_by_one(process.covariance(X, X), NOISE, z)
    (found,) = residuals(surrogate, [TargetData("y", X, Y)])
    torch.testing.assert_close(found.leave_one_out, expected, atol=1e-5, rtol=1e-5)
    # in units of y the covariance of the measurements is 36 (K + noise), and whitening undoes it
    C = 36 * (process.covariance(X, X) + NOISE * torch.eye(len(X), dtype=X.dtype))
    W = found.whitening
    # up to the jitter of the process, 1e-6 of the noise, of which a thousandth is left in some directions
    torch.testing.assert_close(W @ C @ W.T, torch.eye(len(X), dtype=X.dtype), atol=1e-3, rtol=0.0)
    torch.testing.assert_close(found.whitened, W @ (Y - 50), atol=1e-3, rtol=0.0)


def plain(values: Float[Tensor, " n"]) -> Residuals:
    return Residuals(values, values, torch.eye(len(values), dtype=values.dtype))


def by_name(found: tuple[Association, ...]) -> dict[str, Association]:
    return {one.channel: one for one in found}


def inert(rows: int, seed: int) -> dict[str, Channel]:
    noise = normal(rows, 2, seed=seed)
    lots = [f"lot {index * 5 // rows}" for index in range(rows)]
    return {
        "humidity": noise[:, 0].tolist(),
        "pressure": noise[:, 1].tolist(),
        "lot": lots,
        "day": [float(index // 4) for index in range(rows)],
    }


def test_a_channel_that_the_residuals_follow_is_named_first_and_alone() -> None:
    room = normal(60, seed=1)
    followed = (room + normal(60, seed=2)) / math.sqrt(2)
    found = associations(plain(followed), {**inert(60, 5), "room temperature": room.tolist()})
    assert [one.channel for one in found if one.named] == ["room temperature"]
    # no permutation explains as much; each of five channels has one order that it explains best
    assert found[0].p_value <= 5 * LEAST_P * (1 + 1e-9)
    assert found[0].trend is not None
    assert 0.5 < found[0].trend < 0.9


def test_a_trend_is_the_rank_correlation_and_carries_its_sign() -> None:
    values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.0]
    falling = [-math.exp(value) for value in values]
    (found,) = associations(plain(torch.tensor(falling, dtype=torch.float64)), {"T": values})
    assert found.trend == pytest.approx(-1.0)


def test_an_optimum_in_the_middle_of_a_channel_is_seen_without_a_trend() -> None:
    room = torch.linspace(-1, 1, 40, dtype=torch.float64)
    found = by_name(associations(plain(-room.square() + 0.2 * normal(40, seed=1)), {**inert(40, 3), "room": room.tolist()}))["room"]
    assert found.named
    assert found.trend is not None
    assert abs(found.trend) < 0.3
    assert found.explained > 0.5


def test_categories_explain_the_variance_of_their_means() -> None:
    # mean 2.5, total 5: the lots' means are 1.5 and 3.5, so that 4 of 5 lie between them
    (found,) = associations(plain(torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)), {"lot": ["A", "A", "B", "B"]})
    assert found.explained == pytest.approx(0.8)
    assert found.trend is None
    # 8 of the 24 orders put the two lowest together
    assert found.p_value == pytest.approx(8 / 24, abs=0.03)


def test_a_lot_that_differs_is_named() -> None:
    lots = [f"lot {index % 5}" for index in range(60)]
    shift = torch.tensor([float(lot == "lot 3") for lot in lots], dtype=torch.float64)
    found = by_name(associations(plain(3 * shift + normal(60, seed=2)), {**inert(60, 6), "lot": lots}))
    assert found["lot"].named
    assert not found["humidity"].named


def test_channels_that_say_the_same_in_other_units_get_the_same() -> None:
    room = normal(30, seed=1)
    found = by_name(associations(plain(room + normal(30, seed=2)), {"degC": room.tolist(), "degF": (32 + 1.8 * room).tolist()}))
    assert found["degC"].explained == pytest.approx(found["degF"].explained)
    assert found["degC"].p_value == found["degF"].p_value


def test_what_the_surrogate_could_have_explained_by_itself_does_not_count() -> None:
    # generalised least squares in full: the fit of a constant and the channel's columns against that of the constant alone
    X, Y = measured(30)
    process, scale = Bell(0.4), Scale(50.0, 6.0)
    z = scale.standard(Y)
    surrogate = Adapted("bell/1", ((1.0, Conditioned(process, X, z, torch.full_like(z, NOISE), scale=scale)),))
    (left,) = residuals(surrogate, [TargetData("y", X, Y)])
    lots = ["ABC"[index % 3] for index in range(30)]
    (found,) = associations(left, {"lot": lots})
    P = torch.linalg.inv(process.covariance(X, X) + NOISE * torch.eye(30, dtype=X.dtype))

    def misfit(columns: Float[Tensor, "n k"]) -> float:
        rest = z - columns @ torch.linalg.solve(columns.T @ P @ columns, columns.T @ P @ z)
        return float(rest @ P @ rest)

    by_lot = torch.tensor([[float(lot == kind) for kind in "ABC"] for lot in lots], dtype=torch.float64)
    assert found.explained == pytest.approx(1 - misfit(by_lot) / misfit(torch.ones(30, 1, dtype=torch.float64)), abs=1e-5)


def test_a_surrogate_that_misjudges_its_noise_still_has_residuals() -> None:
    X, Y = measured(20)
    scale = Scale(50.0, 6.0)
    z = scale.standard(Y)
    boastful = Conditioned(Bell(0.4), X, z, torch.full_like(z, 1.0), scale=scale, aleatoric=lambda mean: torch.full_like(mean, 1e-3))
    (left,) = residuals(Adapted("bell/1", ((1.0, boastful),)), [TargetData("y", X, Y)])
    (found,) = associations(left, {"T": normal(20, seed=9).tolist()})
    assert bool(left.leave_one_out.isfinite().all())
    assert 0.0 <= found.explained <= 1.0
    assert 0.0 < found.p_value <= 1.0


def test_what_says_nothing_is_never_named() -> None:
    # a constant channel explains nothing; a name of each run explains everything, in any order
    channels: dict[str, Channel] = {"constant": [20.0] * 12, "run": [f"run {index}" for index in range(12)], "one lot": ["A"] * 12}
    found = by_name(associations(plain(normal(12)), channels))
    assert {one.p_value for one in found.values()} == {1.0}
    assert found["constant"].explained == found["one lot"].explained == 0.0
    assert found["run"].explained == pytest.approx(1.0)
    (equal,) = associations(plain(torch.ones(12, dtype=torch.float64)), {"T": normal(12).tolist()})
    assert equal.p_value == 1.0


@pytest.mark.long
def test_without_an_effect_any_channel_is_named_as_seldom_as_alpha_says() -> None:
    named = sum(
        any(one.named for one in associations(plain(normal(40, seed=seed)), inert(40, 1000 + seed), seed=seed)) for seed in range(200)
    )
    # binomial: mean 5, standard deviation 2.2
    assert named <= ALPHA * 100 + 3 * 2.2


def test_the_more_channels_are_recorded_the_more_an_effect_must_say() -> None:
    room = normal(20, seed=1)
    left = plain(0.6 * room + normal(20, seed=2))
    (alone,) = associations(left, {"room": room.tolist()})
    among = by_name(
        associations(left, {"room": room.tolist(), **{f"c{index}": normal(20, seed=50 + index).tolist() for index in range(20)}})
    )
    assert among["room"].p_value > 2 * alone.p_value
    assert among["room"].explained == pytest.approx(alone.explained)


def test_the_same_seed_gives_the_same_p_values() -> None:
    left, channels = plain(normal(30)), inert(30, 1)
    assert associations(left, channels, seed=4) == associations(left, channels, seed=4)
    assert associations(left, {}) == ()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1.0, 2.0], "channel T has 2 values; expected one for each of 3 residuals"),
        ([1.0, math.nan, 2.0], "channel T has a missing or infinite value at row 1; expected numbers"),
        (["A", 2.0, "B"], "channel T has text and numbers, such as 2.0; expected one kind"),
    ],
)
def test_a_channel_that_cannot_be_tested_is_refused_by_name(values: Channel, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        associations(plain(normal(3)), {"T": values})
