"""What acts is named, what cannot be told from it is named with it, and nothing is named for nothing."""

from dataclasses import replace

import pytest
import torch

from models.twin.factors import ALPHA, PERMUTATIONS, find, orders_of
from models.twin.groups import Group, basis, blocks
from models.twin.model import Problem
from tests.discrepancy.making import normal, pairs


def named(**planted: float) -> list[tuple[str, ...]]:
    return [one.together for one in find(Problem.of(pairs(**planted), "additive")).named]  # type: ignore[arg-type]  # numbers of pairs


def test_what_acts_is_named_alone_where_the_data_tell_it_from_its_nuisance() -> None:
    assert named(effect=2.0) == [("humidity",)]


def test_two_that_always_went_together_are_named_together() -> None:
    (together,) = named(effect=2.0, alike=0.99)
    assert set(together) == {"humidity", "room"}


def test_nothing_is_named_more_often_than_declared_when_nothing_acts() -> None:
    count = sum(bool(named(effect=0.0, seed=seed)) for seed in range(40))
    assert count <= 5  # of a binomial of 40 and 0.05 more come once in 70 times


def test_a_constant_that_is_off_is_no_feature_of_the_environment() -> None:
    assert named(effect=0.0, rate=1.0) == []


def test_a_product_of_humidity_and_a_control_is_found_as_the_interaction() -> None:
    one = pairs(effect=1.0)
    z = (one.conditions.environment[:, 0] - 40) / 5
    found = find(Problem.of(replace(one, observed=one.observed + 3 * z * (one.conditions.controls[:, 1] - 0.5)), "additive"))
    assert found.model.groups[-1].name == "humidity x time"
    assert find(Problem.of(one, "additive")).model.groups[-1].name == "humidity"


def test_what_did_not_vary_is_no_factor() -> None:
    one = pairs()
    E = one.conditions.environment.clone()
    E[:, 2] = 0.1 + 0.2 - torch.arange(len(E)) % 2 * 5e-17  # but for float noise
    still = replace(one, conditions=replace(one.conditions, environment=E, lots=("L0",) * len(E)))
    assert set(find(Problem.of(still, "additive")).p_values) == {"controls", "humidity", "room"}


def test_orders_move_runs_in_blocks_and_readings_with_their_run() -> None:
    samples = pairs(readings=2).sample_codes
    orders = orders_of(samples, seed=1)
    assert orders.shape == (PERMUTATIONS + 1, len(samples))
    assert orders[0].tolist() == list(range(len(samples)))
    width, runs = blocks(48), samples[orders][:, ::2]
    assert (samples[orders][:, ::2] == samples[orders][:, 1::2]).all()
    assert (runs.sort(dim=1).values == torch.arange(48)).all()
    followed = ((runs[1:, 1:] - runs[1:, :-1]) % 48 == 1).double().mean()
    assert width == 4
    assert float(followed) > 0.7  # three of four steps stay within a block


def test_the_least_p_value_is_one_order_of_all() -> None:
    found = find(Problem.of(pairs(effect=3.0), "additive"))
    assert found.p_values["humidity"] == pytest.approx(1 / (PERMUTATIONS + 1))
    assert found.p_values["light"] > ALPHA


def test_a_basis_makes_up_its_kernel_about_the_mean() -> None:
    problem = Problem.of(pairs(), "additive")
    K = Group("humidity", channel=0).kernel(problem.coded, problem.coded)
    centring = torch.eye(len(K), dtype=K.dtype) - 1 / len(K)
    B = basis(K, share=0.0, most=len(K))
    torch.testing.assert_close(B @ B.mT, centring @ K @ centring, atol=1e-10, rtol=0.0)
    assert basis(K, share=0.01, most=12).shape[1] < 6
    assert basis(normal(20, 20) @ normal(20, 20).mT, share=0.0, most=3).shape[1] == 3
