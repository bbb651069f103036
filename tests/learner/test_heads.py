import pytest
import torch

from models.networks.heads import Head, Monotone, Positive, Simplex

HEADS: list[Head] = [Simplex(), Positive(), Monotone()]


@pytest.mark.parametrize("head", HEADS, ids=lambda head: type(head).__name__)
def test_ten_thousand_random_inputs_give_legal_outputs(head: Head) -> None:
    generator = torch.Generator().manual_seed(0)
    Z = torch.randn(10_000, 4, generator=generator, dtype=torch.float64) * torch.logspace(-2, 3, 10_000, dtype=torch.float64).unsqueeze(-1)
    Y = head(Z)
    assert bool(Y.isfinite().all())
    assert float(head.penalty(Y).max()) <= 1e-24


@pytest.mark.parametrize("head", HEADS, ids=lambda head: type(head).__name__)
def test_legal_outputs_come_back_from_their_free_numbers(head: Head) -> None:
    Z = torch.randn(100, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert torch.allclose(head(head.free(head(Z))), head(Z), atol=1e-6)
