import math
from dataclasses import asdict

import pytest
import torch

from models.gaussian_processes.noise import fit_noise, restore_noise
from models.tasks import TaskData, family_scale


@pytest.mark.parametrize("repeats", [1, 2])
def test_the_scatter_of_a_simulator_is_learned_within_a_quarter(repeats: int) -> None:
    generator = torch.Generator().manual_seed(0)
    found = []
    for index in range(5):
        X = torch.rand(80, 2, generator=generator, dtype=torch.float64).repeat(repeats, 1)
        f = 3.0 * torch.sin(4.0 * X.sum(dim=-1) + index)
        found.append(TaskData(str(index), X, f + (0.3 + 0.2 * f.abs()) * torch.randn(len(X), generator=generator, dtype=torch.float64)))
    scale = family_scale(found)
    model = fit_noise(found, scale)
    values = torch.linspace(-3.0, 3.0, 13, dtype=torch.float64)
    ratio = model.deviation(scale.standard(values)) * scale.spread / (0.3 + 0.2 * values.abs())
    assert float(ratio.log().abs().max()) < math.log(1.25)
    assert torch.equal(restore_noise(asdict(model)).deviation(values), model.deviation(values))
