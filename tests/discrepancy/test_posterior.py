"""Shapley values are those of all subsets; corrected predictions are right; a local line follows the model."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from models.explanations.attribution import Player, shapley
from models.twin.groups import Coded, Group, product
from models.twin.model import Model, Problem, model
from models.twin.posterior import attributed, corrected, local_line
from models.twin.terms import taken_up
from tests.discrepancy.making import NOISE, conditions, pairs

HUMIDITY, LIGHT, LOT = Group("humidity", channel=0), Group("light", channel=2), Group("lot")
CONTROLS, TIME = Group("controls"), Group("time", control=1)


def fitted(*groups: Group) -> Model:
    return model(Problem.of(pairs(effect=2.0), "additive"), groups, ())


@pytest.mark.parametrize("interaction", [product(HUMIDITY, LIGHT), Group("humidity x time", parts=(HUMIDITY, TIME))])
def test_shapley_values_are_those_of_all_subsets(interaction: Group) -> None:
    one = fitted(CONTROLS, HUMIDITY, LIGHT, LOT, interaction)
    problem = one.problem
    weights = torch.cholesky_solve(problem.residual.unsqueeze(1), one.fitted.factor()).squeeze(1)

    def value(rows: Tensor) -> Tensor:
        at = Coded(rows[:, :3], rows[:, 3:6], rows[:, 6].round().long())
        return sum(one.variance(group.name) * group.kernel(at, problem.coded) @ weights for group in one.groups).unsqueeze(1)  # type: ignore[union-attr]  # never of nothing

    coded = problem.coded
    rows = torch.cat([coded.controls, coded.channels, coded.lots.unsqueeze(1).double()], dim=1)
    players = [Player("controls", (0, 1, 2)), Player("humidity", (3,)), Player("room", (4,)), Player("light", (5,)), Player("lot", (6,))]
    found = attributed(one, problem.pairs.conditions)
    for row in (0, 7, 30):
        expected = shapley(value, rows[row], rows, players)
        for name, brute in zip(expected.names, expected.values[:, 0].tolist(), strict=True):
            mine = float(found.values[row, found.players.index(name)]) if name in found.players else 0.0
            assert mine == pytest.approx(brute, abs=1e-9), name
    assert all(float(found.values[:, number].abs().max()) > 1e-3 for number in range(3))


def test_predictions_with_the_missing_term_are_near_the_truth_and_their_intervals_hold() -> None:
    one = pairs(effect=2.0)
    best = taken_up(Problem.of(one, "additive"), (HUMIDITY,))
    assert best.coefficients == ("rate", "offset of the oven", "quench")
    fresh = conditions(200, seed=77)
    truth = fresh.mean + 0.3 * fresh.sensitivities[:, 0] + 2 * NOISE * (fresh.environment[:, 0] - 40) / 5
    found = corrected(best, fresh)
    assert float((found.median - truth).square().mean().sqrt()) < 0.3 * float((fresh.mean - truth).square().mean().sqrt())
    assert float(((truth > found.lower) & (truth < found.upper)).double().mean()) > 0.8
    assert bool((found.reading[0] < found.lower).all() and (found.reading[1] > found.upper).all())


def test_on_logarithms_what_is_predicted_is_a_factor() -> None:
    one = model(Problem.of(pairs(effect=2.0), "multiplicative"), (HUMIDITY,))
    found = corrected(one, one.problem.pairs.conditions)
    assert bool((found.lower > 0).all())
    ratio = found.upper / found.median
    torch.testing.assert_close(ratio, found.median / found.lower)


def test_a_run_of_an_unknown_lot_is_less_certain() -> None:
    one = model(Problem.of(pairs(effect=2.0), "additive"), (LOT,))
    known = conditions(8, seed=5)
    widths = []
    for lots in (("L0",) * 8, ("L9",) * 8):
        there = type(known)(known.columns, known.controls, known.environment, known.mean, known.sensitivities, known.terms, lots)
        found = corrected(one, there)
        widths.append(float((found.upper - found.lower).mean()))
    assert all(a < b for a, b in pairwise(widths))


def test_a_local_line_follows_what_acts_and_nothing_else() -> None:
    one = fitted(HUMIDITY)
    line = local_line(one, one.problem.pairs.conditions, 3)
    assert line.slopes["humidity"] == pytest.approx(2 * NOISE / 5, rel=0.3)
    assert max(abs(line.slopes[name]) for name in ("room", "light", "T")) < 0.02
    assert line.explained > 0.9
