"""Laws of exact conditioning at fixed numbers, for any support."""

from functools import cache

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.gaussian_processes.conditioning import Conditioned
from models.source_basis.learner import SourceBasisLearner, SourceBasisPrior
from models.source_basis.process import ComponentProcess
from models.tasks import Scale
from tests.learner.cases import family, generator, tasks

MOST_ROWS = 12
unit = st.floats(min_value=0.0, max_value=1.0, allow_subnormal=False)
value = st.floats(min_value=-3.0, max_value=3.0, allow_subnormal=False)
supports = st.lists(st.tuples(unit, unit, value), min_size=1, max_size=MOST_ROWS)
orders = st.integers(min_value=0, max_value=2**31 - 1)
noises = st.floats(min_value=1e-4, max_value=1.0)


@cache
def prior() -> SourceBasisPrior:
    return SourceBasisLearner().meta_train(tasks(), family(), generator=generator())


def conditioned(rows: Tensor, noise: float) -> Conditioned:
    """Condition on rows of two inputs and a value; all numbers are the prior's own."""
    process = ComponentProcess(prior().skeleton, prior().beliefs, prior().beliefs.means)
    return Conditioned(process, rows[:, :2], rows[:, 2], torch.full((len(rows),), noise, dtype=torch.float64), scale=Scale(0.0, 1.0))


def asked() -> Tensor:
    return torch.rand(16, 2, generator=generator(), dtype=torch.float64)


@settings(max_examples=60, deadline=None)
@given(support=supports, order=orders, noise=noises)
def test_any_order_of_the_support_gives_the_same_moments(support: list[tuple[float, float, float]], order: int, noise: float) -> None:
    rows = torch.tensor(support, dtype=torch.float64)
    shuffled = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(order))]
    for one, other in zip(conditioned(rows, noise).moments(asked()), conditioned(shuffled, noise).moments(asked()), strict=True):
        assert torch.allclose(one, other, atol=1e-6, rtol=0.0)


@settings(max_examples=60, deadline=None)
@given(support=supports, more=supports, noise=noises)
def test_no_further_row_raises_any_variance(
    support: list[tuple[float, float, float]], more: list[tuple[float, float, float]], noise: float
) -> None:
    few, many = (conditioned(torch.tensor(rows, dtype=torch.float64), noise).moments(asked())[1] for rows in (support, support + more))
    assert bool((many <= few + 1e-8).all())
