import pytest
import torch

from models.peers.rgpe import leave_one_out, ranking_loss, ranking_weights
from models.peers.source_gps import Pointwise, fitted, own_scale
from models.reproducible import repeatable
from models.tasks import Scale


def wave(shift: float, count: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    X = torch.linspace(0, 1, count, dtype=torch.float64).unsqueeze(-1)
    return X, torch.sin(6 * X[:, 0] + shift)


def test_ranking_loss_counts_the_pairs_in_the_wrong_order() -> None:
    Y = torch.tensor([1.0, 2.0, 3.0])
    right, wrong = Y[None], -Y[None]
    assert ranking_loss(right, right, Y).tolist() == [0.0]
    assert ranking_loss(wrong, wrong, Y).tolist() == [6.0]


def test_a_kin_source_takes_the_weight_and_its_mirror_image_none() -> None:
    X, Y = wave(0.0)
    with repeatable(0):
        kin, mirror = fitted(X, Y), fitted(X, -Y)
        target = fitted(X[::3], Y[::3])
        weights = ranking_weights([kin, mirror], target, X[::3], Y[::3], generator=torch.Generator().manual_seed(0))
    assert weights.sum().item() == pytest.approx(1.0)
    assert weights[0] > 0.5
    assert weights[1] == 0


def test_leave_one_out_equals_conditioning_without_the_row() -> None:
    X, Y = wave(0.3, 6)
    with repeatable(0):
        model = fitted(X, Y)
        mean, variance = leave_one_out(model, X, Y)
    kept = torch.arange(6) != 2
    noise = model.likelihood.noise.detach()
    K = model.covar_module(X).to_dense().detach()
    A = K[kept][:, kept] + noise * torch.eye(5, dtype=torch.float64)
    level = model.mean_module.constant.detach()
    expected = level + K[2, kept] @ torch.linalg.solve(A, Y[kept] - level)
    assert float(mean[2]) == pytest.approx(float(expected), rel=1e-6, abs=1e-8)
    assert float(variance[2]) == pytest.approx(float(K[2, 2] + noise - K[2, kept] @ torch.linalg.solve(A, K[kept, 2])), rel=1e-5)


def test_a_scale_falls_back_on_the_familys_while_values_do_not_vary() -> None:
    family = Scale(40.0, 20.0)
    assert own_scale(torch.zeros(0), family) == family
    assert own_scale(torch.zeros(3), family) == Scale(0.0, 20.0)
    assert own_scale(torch.tensor([1.0, 3.0]), family) == Scale(2.0, float(torch.tensor([1.0, 3.0]).std()))


def test_a_pointwise_model_names_what_is_missing() -> None:
    with pytest.raises(NotImplementedError):
        Pointwise(Scale(0.0, 1.0)).posterior(torch.zeros(2, 1, 1, dtype=torch.float64))
