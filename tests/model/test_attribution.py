"""Shapley values agree with closed forms and with their axioms."""

import math
from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor

from models.base import TargetData
from models.explanations.attribution import (
    MOST_EXACT,
    ROWS_TOGETHER,
    ExplainedFunctions,
    Player,
    importance,
    players,
    predicted_moments,
    shapley,
)
from models.gaussian_processes.single_task import GaussianProcessLearner
from models.inputs.encoding import Encoding
from orchestrator.errors import BadInput
from tests.model.test_encoding import MIXED

EXACT = 1e-8


def points(count: int, width: int, seed: int = 0) -> Float[Tensor, "n d"]:
    return torch.rand(count, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def singles(width: int) -> tuple[Player, ...]:
    return tuple(Player(f"x{index}", (index,)) for index in range(width))


def waves(width: int, outputs: int = 1, seed: int = 7) -> ExplainedFunctions:
    """A smooth function in which every input meets every other."""
    directions = 4 * (points(width, outputs, seed) - 0.5)
    return lambda X: torch.sin(X @ directions + 0.3) * torch.exp(X @ directions.flip(0) / 4)


def close(found: Tensor, expected: Tensor, tolerance: float = EXACT) -> None:
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=0.0)


def test_a_linear_function_is_attributed_slope_times_distance_from_the_background() -> None:
    slopes, x, background = points(5, 2, 1), points(1, 5, 2)[0], points(64, 5, 3)
    found = shapley(lambda X: X @ slopes + 4.0, x, background, singles(5))
    close(found.values, (x - background.mean(dim=0)).unsqueeze(-1) * slopes)
    close(found.base, background.mean(dim=0) @ slopes + 4.0)
    assert found.errors is None


def test_a_product_is_shared_as_its_closed_form_says() -> None:
    # v({1}) = x1 mean(b2), v({2}) = mean(b1) x2, v({}) = mean(b1 b2), v({1, 2}) = x1 x2
    x, background = points(1, 3, 4)[0], points(64, 3, 5)
    found = shapley(lambda X: X[:, :1] * X[:, 1:2], x, background, singles(3))
    alone, other, nobody, both = (
        x[0] * background[:, 1].mean(),
        x[1] * background[:, 0].mean(),
        (background[:, 0] * background[:, 1]).mean(),
        x[0] * x[1],
    )
    expected = torch.stack([(alone - nobody + both - other) / 2, (other - nobody + both - alone) / 2, torch.zeros_like(both)])
    close(found.values[:, 0], expected)


def test_values_are_means_over_all_orders_of_joining() -> None:
    x, background, value = points(1, 4, 1)[0], points(5, 4, 2), waves(4)

    def worth(members: tuple[int, ...]) -> float:
        rows = background.clone()
        rows[:, list(members)] = x[list(members)]
        return float(value(rows).mean())

    orders = list(permutations(range(4)))
    expected = [math.fsum(worth(o[: o.index(i) + 1]) - worth(o[: o.index(i)]) for o in orders) / len(orders) for i in range(4)]
    close(shapley(value, x, background, singles(4)).values[:, 0], torch.tensor(expected, dtype=torch.float64))


@settings(deadline=None, max_examples=30)
@given(width=st.integers(1, 8), size=st.integers(1, 20), seed=st.integers(0, 2**31))
def test_values_sum_to_the_function_less_its_mean_over_the_background(width: int, size: int, seed: int) -> None:
    x, background, value = points(1, width, seed)[0], points(size, width, seed + 1), waves(width, 3, seed + 2)
    found = shapley(value, x, background, singles(width))
    close(found.values.sum(dim=0), value(x.unsqueeze(0))[0] - value(background).mean(dim=0))
    close(found.base, value(background).mean(dim=0))


@settings(deadline=None, max_examples=30)
@given(width=st.integers(2, 7), seed=st.integers(0, 2**31), data=st.data())
def test_inputs_that_enter_alike_get_the_same(width: int, seed: int, data: st.DataObject) -> None:
    one, other = data.draw(st.permutations(range(width)))[:2]
    x, background, value = points(1, width, seed)[0], points(16, width, seed + 1), waves(width, 1, seed + 2)
    x[other], background[:, other] = x[one], background[:, one]
    swapped = list(range(width))
    swapped[one], swapped[other] = other, one
    found = shapley(lambda X: value(X) + value(X[:, swapped]), x, background, singles(width))
    close(found.values[one], found.values[other])


@settings(deadline=None, max_examples=30)
@given(width=st.integers(2, 7), seed=st.integers(0, 2**31), data=st.data())
def test_an_input_that_the_function_ignores_gets_nothing(width: int, seed: int, data: st.DataObject) -> None:
    ignored = data.draw(st.integers(0, width - 1))
    keep = [index for index in range(width) if index != ignored]
    value = waves(width - 1, 1, seed)
    found = shapley(lambda X: value(X[:, keep]), points(1, width, seed)[0], points(16, width, seed + 1), singles(width))
    close(found.values[ignored], torch.zeros(1, dtype=torch.float64))


def test_an_ignored_input_gets_nothing_even_where_the_background_has_it_follow_another() -> None:
    background = points(64, 3, 1)
    background[:, 2] = background[:, 0]
    found = shapley(lambda X: 2 * X[:, :1], points(1, 3, 2)[0], background, singles(3))
    assert found.values[1:].abs().max() == 0.0


def test_a_group_of_inputs_is_one_player_and_joins_as_a_whole() -> None:
    # the product within the group is no matter between players: v is additive in (0, 2) and (1)
    x, background = points(1, 3, 6)[0], points(64, 3, 7)
    found = shapley(lambda X: X[:, :1] * X[:, 2:] + X[:, 1:2], x, background, (Player("alloy", (0, 2)), Player("T", (1,))))
    assert found.names == ("alloy", "T")
    product = background[:, 0] * background[:, 2]
    close(found.values[:, 0], torch.stack([x[0] * x[2] - product.mean(), x[1] - background[:, 1].mean()]))


def test_every_parameter_is_a_player_with_all_of_its_inputs() -> None:
    assert players(Encoding(MIXED)) == (
        Player("T", (0,)),
        Player("volume", (1,)),
        Player("solvent", (2, 3, 4)),
        Player("alloy", (5, 6)),
    )


def test_twelve_players_are_exact_and_asked_in_pieces() -> None:
    sizes: list[int] = []
    value, background = waves(MOST_EXACT), points(64, MOST_EXACT, 1)

    def watched(X: Float[Tensor, "n d"]) -> Float[Tensor, "n m"]:
        sizes.append(len(X))
        return value(X)

    x = points(1, MOST_EXACT, 2)[0]
    found = shapley(watched, x, background, singles(MOST_EXACT))
    assert found.errors is None
    assert sum(sizes) == 2**MOST_EXACT * 64
    assert max(sizes) <= ROWS_TOGETHER
    close(found.values.sum(dim=0), value(x.unsqueeze(0))[0] - value(background).mean(dim=0))


def test_beyond_twelve_players_functions_of_pairs_are_attributed_without_error() -> None:
    # along an order and its reverse a pair is split evenly, as in the exact values
    width = MOST_EXACT + 2
    x, background = points(1, width, 1)[0], points(8, width, 2)
    found = shapley(lambda X: X[:, :1] * X[:, 1:2] + 3 * X[:, 2:3], x, background, singles(width))
    exact = shapley(lambda X: X[:, :1] * X[:, 1:2] + 3 * X[:, 2:3], x[:3], background[:, :3], singles(3))
    assert found.errors is not None
    close(found.values[:3], exact.values)
    close(found.values[3:], torch.zeros(width - 3, 1, dtype=torch.float64))
    assert float(found.errors.max()) < EXACT


def test_sampled_values_agree_with_exact_ones_within_their_standard_error() -> None:
    # players 0 to 4 are those of a function of five inputs, the rest are ignored: the exact values are known
    width = MOST_EXACT + 1
    x, background, value = points(1, width, 3)[0], points(8, width, 4), waves(5)
    exact = shapley(value, x[:5], background[:, :5], singles(5)).values
    shifts = []
    for seed in range(20):
        found = shapley(lambda X: value(X[:, :5]), x, background, singles(width), seed=seed)
        assert found.errors is not None
        close(found.values.sum(dim=0), value(x[None, :5])[0] - value(background[:, :5]).mean(dim=0))
        shifts.append((found.values[:5] - exact) / found.errors[:5])
    z = torch.stack(shifts)
    assert float(z.abs().max()) < 5.0
    assert 0.7 < float(z.square().mean().sqrt()) < 1.3


def test_the_same_seed_draws_the_same_orders() -> None:
    width = MOST_EXACT + 1
    x, background, value = points(1, width, 3)[0], points(4, width, 4), waves(width)
    one, same, other = (shapley(value, x, background, singles(width), seed=seed).values for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_importance_is_the_mean_size_over_points() -> None:
    X, background = points(9, 3, 1), points(16, 3, 2)
    found = importance(lambda Z: Z[:, :1] - 2 * Z[:, 1:2], X, background, singles(3))
    expected = (X - background.mean(dim=0)).abs().mean(dim=0) * torch.tensor([1.0, 2.0, 0.0], dtype=torch.float64)
    close(found[:, 0], expected)


def test_a_surrogate_is_explained_in_mean_and_deviation_at_once() -> None:
    X = points(12, 2, 1)
    data = [TargetData(name, X, factor * X[:, 0] + X[:, 1] ** 2) for name, factor in (("a", 1.0), ("b", -3.0))]
    surrogate = GaussianProcessLearner().fit(data, seed=0)
    x = points(3, 2, 2)
    with torch.no_grad():
        posterior = surrogate.posterior(x)
        expected = torch.cat([posterior.mean, posterior.variance.sqrt()], dim=-1)
        close(predicted_moments(surrogate)(x), expected, 1e-6)
    found = shapley(predicted_moments(surrogate), x[0], points(64, 2, 3), singles(2))
    assert found.values.shape == (2, 4)
    close(found.values.sum(dim=0) + found.base, expected[0], 1e-6)
    assert not found.values.requires_grad


@pytest.mark.parametrize(
    ("group", "words"),
    [
        (singles(2), "input 2 belongs to no player; expected one owner for each of 3 inputs"),
        ((*singles(3), Player("again", (1,))), "input 1 belongs to x1 and again; expected one owner for each of 3 inputs"),
    ],
)
def test_players_that_do_not_share_out_the_inputs_are_refused(group: tuple[Player, ...], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        shapley(waves(3), points(1, 3)[0], points(4, 3), group)


def test_nothing_to_compare_with_is_refused() -> None:
    with pytest.raises(BadInput, match="background of points; got none"):
        shapley(waves(2), points(1, 2)[0], points(0, 2), singles(2))
    with pytest.raises(BadInput, match="importance over no points"):
        importance(waves(2), points(0, 2), points(4, 2), singles(2))
