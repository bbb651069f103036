"""Meta-gradient of our inner loop on a linear model, as a case for another implementation: `python -m benchmarks.interop.ours FILE`."""

import json
import sys
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.func import grad
from typing_extensions import override

from models.networks.maml import inner_loop

STEPS: Final = 3
SIZE: Final = 0.1


class Linear(nn.Module):
    """A linear model without features of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(3, dtype=torch.float64))

    @override
    def forward(self, F: Tensor) -> tuple[Tensor, Tensor]:
        return F, F @ self.w


def case(seed: int) -> dict[str, list[float] | list[list[float]]]:
    """Draw support, query and start, and compute the gradient of the query loss by the start; small values: no clipping."""
    generator = torch.Generator().manual_seed(seed)
    F, Q = (torch.randn(8, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    z, t = (0.3 * torch.randn(8, generator=generator, dtype=torch.float64) for _ in range(2))
    start = 0.1 * torch.randn(3, generator=generator, dtype=torch.float64)

    def outer(w: Tensor) -> Tensor:
        moved = inner_loop(Linear(), {"w": w}, {"w": torch.tensor(SIZE, dtype=torch.float64)}, F, z, steps=STEPS)["w"]
        error: Tensor = 0.5 * (Q @ moved - t).square().mean()
        return error

    tensors = {"F": F, "z": z, "Q": Q, "t": t, "start": start, "gradient": grad(outer)(start)}
    return {name: value.tolist() for name, value in tensors.items()}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps({"steps": STEPS, "size": SIZE, "cases": [case(seed) for seed in range(20)]}))
