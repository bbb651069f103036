"""Shares of the prediction, a floor of the readout, and conditions told where the constants probably are."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from models.twin.analysis import on_scale, settled
from models.twin.factors import find
from models.twin.groups import Group
from models.twin.model import FLOOR, LEAST_SHARE, NOISE, UNEXPLAINED, Problem, Scale, model
from models.twin.pairs import Conditions, Pairs
from models.twin.posterior import coefficients, corrected
from models.twin.sequential import innovations
from models.twin.shares import split
from orchestrator.errors import BadInput
from tests.discrepancy.making import conditions, normal, pairs, repeats

HUMIDITY = Group("humidity", channel=0)
SCALES: tuple[Scale, ...] = ("additive", "proportional", "multiplicative")


def steep(effect: float, *, seed: int = 1) -> Pairs:
    """Predictions over three decades; humidity moves what there is by a share, and readings have a floor and a share of noise."""
    one = conditions(seed=seed)
    mean = torch.exp(6 * one.controls[:, 1] - 5)
    one = replace(one, mean=mean, sensitivities=one.sensitivities * 0.0, terms=one.terms * 0.0)
    truth = mean * (1 + effect * (one.environment[:, 0] - 40) / 5)
    noise = 0.05 * normal(len(mean), seed=seed + 50) + 0.03 * truth * normal(len(mean), seed=seed + 60)
    return Pairs(one, truth + noise, (), repeats(len(mean)))


def test_an_effect_in_proportion_is_found_under_a_floor_that_hides_small_values() -> None:
    one = steep(0.06)
    assert float(one.observed.min()) < 0.0, "no logarithms here"
    problem, gain = on_scale(one)
    assert problem.scale == "proportional"
    assert gain > 10
    assert [each.group.name for each in find(problem).named] == ["humidity"]


def test_floor_and_share_of_the_noise_are_told_apart() -> None:
    sizes = []
    for seed in range(8):
        one = model(Problem.of(steep(0.0, seed=100 + seed), "proportional"))
        sizes.append((one.problem.reference * one.variance(FLOOR) ** 0.5, one.variance(NOISE) ** 0.5))
    floor, share = torch.tensor(sizes).mean(dim=0).tolist()
    assert floor == pytest.approx(0.05, rel=0.15)
    assert share == pytest.approx(0.03, rel=0.35)


def test_a_small_prediction_is_compared_as_if_it_were_a_hundredth_of_the_usual_one() -> None:
    one = steep(0.0)
    tiny = replace(one, conditions=replace(one.conditions, mean=one.conditions.mean * torch.linspace(0, 1, 48, dtype=torch.float64)))
    problem = Problem.of(tiny, "proportional")
    assert float(problem.weights(tiny.conditions)[0]) == LEAST_SHARE * problem.reference
    assert float(problem.floor(tiny.conditions)[0]) == pytest.approx(LEAST_SHARE**-2)
    assert bool(problem.residual.isfinite().all())


def test_evidence_of_shares_is_of_the_values_in_their_unit() -> None:
    """Where all predictions are alike, shares are differences in another unit: densities differ by what the floor's prior costs."""
    one = pairs()
    flat = replace(one, conditions=replace(one.conditions, mean=torch.full((48,), 10.0, dtype=torch.float64)))
    plain, shares = (model(Problem.of(flat, scale), (HUMIDITY,)) for scale in ("additive", "proportional"))
    assert plain.log_evidence == pytest.approx(shares.log_evidence, abs=1.0)
    assert 10 * shares.noise**0.5 == pytest.approx(plain.noise**0.5, rel=0.1)


def test_shares_of_the_variance_are_in_the_unit_of_the_target() -> None:
    found = split(model(Problem.of(steep(0.06), "proportional"), (HUMIDITY,)))
    assert [one.name for one in found.parts] == [NOISE, "the twin's constants", "divergence"]
    truth = steep(0.06).conditions.mean * 0.06 * (steep(0.06).conditions.environment[:, 0] - 40) / 5
    residual = steep(0.06).observed - steep(0.06).conditions.mean
    assert found.parts[2].lower < float(truth.var() / residual.var()) < found.parts[2].upper
    assert [one.name for one in found.divergence] == ["humidity", UNEXPLAINED]


def test_a_reading_of_a_small_prediction_is_uncertain_by_the_floor() -> None:
    one = model(Problem.of(steep(0.0), "proportional"))
    found = corrected(one, one.problem.pairs.conditions)
    low = int(one.problem.pairs.conditions.mean.argmin())
    width = float(found.reading[1][low] - found.reading[0][low])
    assert width == pytest.approx(2 * 1.645 * 0.05, rel=0.3)
    fresh = replace(steep(0.0, seed=7).conditions)
    z = innovations(one, fresh, steep(0.0, seed=7).observed)
    assert float(z.std()) == pytest.approx(1.0, abs=0.25)


# ---------------------------------------------------------------------- conditions told elsewhere


def bending(at: Mapping[str, float], one: Conditions) -> Conditions:
    """A twin that depends on its first constant exponentially: 2 x exp(b)."""
    b = torch.tensor([at["rate"], at["offset of the oven"]], dtype=torch.float64)
    X = one.controls
    mean = 10 + 4 * X[:, 0] * torch.exp(2 * b[0]) + (X[:, 1] - 0.5) * b[1]
    slopes = torch.stack([8 * X[:, 0] * torch.exp(2 * b[0]), X[:, 1] - 0.5], dim=1)
    return replace(one, mean=mean, sensitivities=slopes, at=tuple(b.tolist()))


def bent(rate: float) -> Pairs:
    base = pairs(effect=0.0, rate=0.0, seed=3)
    nominal = replace(bending({"rate": 0.0, "offset of the oven": 0.0}, base.conditions), at=())
    there = bending({"rate": rate, "offset of the oven": 0.0}, base.conditions)
    return replace(base, conditions=nominal, observed=there.mean + 0.2 * (base.observed - base.conditions.mean))


def test_a_twin_that_bends_is_told_where_its_constants_are() -> None:
    one = bent(0.7)
    found = settled(one, lambda at: bending(at, one.conditions))
    before, after = (coefficients(model(Problem.of(each, "additive")))["rate"] for each in (one, found))
    assert abs(after[0] - 0.7) < 0.05 < abs(before[0] - 0.7)
    nominal, there = (model(Problem.of(each, "additive")).log_evidence for each in (one, found))
    assert there > nominal + 10


def test_where_a_linear_twin_is_told_changes_nothing() -> None:
    one = pairs()
    deviations = torch.tensor([0.4, -0.2], dtype=torch.float64)
    there = replace(
        one, conditions=replace(one.conditions, mean=one.conditions.mean + one.conditions.sensitivities @ deviations, at=(0.4, -0.2))
    )
    fitted = model(Problem.of(one, "additive"), (HUMIDITY,))
    torch.testing.assert_close(Problem.of(there, "additive").residual, fitted.problem.residual)
    torch.testing.assert_close(corrected(fitted, there.conditions).median, corrected(fitted, one.conditions).median)
    z: list[Tensor] = [innovations(fitted, each.conditions, one.observed) for each in (one, there)]
    torch.testing.assert_close(z[0], z[1])


def test_a_step_to_where_the_twin_says_nothing_is_halved() -> None:
    one, asked = bent(0.7), list[float]()

    def twin(at: Mapping[str, float]) -> Conditions | None:
        asked.append(at["rate"])
        return None if at["rate"] > 0.6 else bending(at, one.conditions)

    found = settled(one, twin)
    assert asked[0] > 0.6
    assert asked[1] == pytest.approx(asked[0] / 2)
    assert 0.0 < found.conditions.at[0] <= 0.6
    assert settled(one, lambda _: None) is one


def test_deviations_are_one_for_each_constant() -> None:
    with pytest.raises(BadInput, match="1 deviations of a twin's constants; expected one for each of 2, or none"):
        replace(conditions(), at=(0.1,))


@pytest.mark.parametrize("scale", SCALES)
def test_what_is_left_goes_back_to_the_target(scale: Scale) -> None:
    one = pairs()
    there = replace(one, conditions=replace(one.conditions, at=(0.4, -0.2)))
    problem = Problem.of(there, scale)
    torch.testing.assert_close(problem.target(there.conditions, problem.residual), one.observed)
