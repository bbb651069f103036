import torch
from torch import Tensor, nn
from torch.func import grad
from typing_extensions import override

from models.networks.maml import inner_loop


class Linear(nn.Module):
    @override
    def forward(self, F: Tensor) -> tuple[Tensor, Tensor]:
        return F, F @ self.w

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(3, dtype=torch.float64))


def test_meta_gradients_of_three_second_order_steps_are_the_closed_form() -> None:
    generator = torch.Generator().manual_seed(0)
    F, Q = (torch.randn(8, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    z, t = (0.3 * torch.randn(8, generator=generator, dtype=torch.float64) for _ in range(2))
    w, size = 0.1 * torch.randn(3, generator=generator, dtype=torch.float64), torch.tensor(0.1, dtype=torch.float64)

    def outer(start: Tensor) -> Tensor:
        moved = inner_loop(Linear(), {"w": start}, {"w": size}, F, z, steps=3)["w"]
        error: Tensor = 0.5 * (Q @ moved - t).square().mean()
        return error

    shrink = torch.eye(3, dtype=torch.float64) - size * F.mT @ F / 8
    end = w
    for _ in range(3):
        end = shrink @ end + size * F.mT @ z / 8
    expected = torch.linalg.matrix_power(shrink, 3).mT @ (Q.mT @ (Q @ end - t) / 8)
    assert torch.allclose(grad(outer)(w), expected, rtol=1e-12, atol=1e-14)
