"""What separates runs that failed from others: thresholds that were planted are found, and nothing where nothing acts."""

import math

import pytest
import torch
from scipy.integrate import quad
from scipy.stats import beta, binom
from sklearn.tree import DecisionTreeClassifier

from models.twin.failures import LEAST_CASES, Separated, Side, Values, _mean, _Tried, separated
from orchestrator.errors import BadInput

RUNS = 40
THRESHOLD = 0.5
SEEDS = range(40)


def weather(generator: torch.Generator, rows: int = RUNS) -> list[float]:
    """Return an AR(1) process of 0.8 from run to run."""
    shocks = torch.randn(rows, generator=generator, dtype=torch.float64).tolist()
    found = shocks[:1]
    for shock in shocks[1:]:
        found.append(0.8 * found[-1] + 0.6 * shock)
    return [float(one) for one in found]


def world(seed: int, *, alike: float = 0.0) -> dict[str, Values]:
    generator = torch.Generator().manual_seed(seed)
    humidity, other = weather(generator), weather(generator)
    room = [alike * a + math.sqrt(1.0 - alike**2) * b for a, b in zip(humidity, other, strict=True)]
    found: dict[str, Values] = {"humidity": humidity, "room": room, "light": weather(generator)}
    found |= {name: torch.rand(RUNS, generator=generator, dtype=torch.float64).tolist() for name in ("T", "time")}
    return {**found, "lot": [f"L{row // 10}" for row in range(RUNS)], "elapsed": [float(row) for row in range(RUNS)]}


def above(values: Values, threshold: float = THRESHOLD) -> list[bool]:
    return [float(one) > threshold for one in values]


def names(found: Separated) -> list[tuple[str, ...]]:
    return [one.together for one in found.named]


def test_a_planted_threshold_is_found_with_its_sides_and_an_interval_that_holds_it() -> None:
    factors = world(3)
    failed = above(factors["humidity"])
    (one,) = separated(failed, factors).named
    assert (one.factor, one.together, one.above, one.within) == ("humidity", ("humidity",), True, ())
    assert (one.spared, one.failing) == (Side(0, RUNS - sum(failed)), Side(sum(failed), sum(failed)))
    assert one.interval is not None
    assert one.interval[0] <= THRESHOLD <= one.interval[1]
    assert one.p_value <= 0.05


def test_a_threshold_below_which_runs_fail_is_told_as_such() -> None:
    factors = world(3)
    (one,) = separated([not each for each in above(factors["humidity"])], factors).named
    assert (one.factor, one.above, one.spared.failed) == ("humidity", False, 0)


def test_where_nothing_acts_nothing_is_named_but_by_the_chance_that_is_declared() -> None:
    named = 0
    for seed in SEEDS:
        generator = torch.Generator().manual_seed(5_000 + seed)
        failed = (torch.rand(RUNS, generator=generator) < 0.25).tolist()
        many = {f"channel {place}": torch.randn(RUNS, generator=generator, dtype=torch.float64).tolist() for place in range(20)}
        named += bool(separated(failed, {**world(seed), **many}, seed=seed).named)
    assert named <= 5  # of 40 at 0.05, six or more come in one of a hundred


def test_failures_in_a_row_are_worth_less_than_as_many_apart() -> None:
    factors = world(1)
    p_values = []
    for failed in ([10 <= row < 14 for row in range(RUNS)], [row % 10 == 3 for row in range(RUNS)]):
        found = separated(failed, {"lamp": [1.0 if one else 0.0 for one in failed], **factors})
        p_values.append(found.p_values["lamp"])
    assert p_values[0] >= 4.0 * p_values[1]


def test_what_goes_together_is_named_together() -> None:
    factors = world(4, alike=0.98)
    (one,) = separated(above(factors["humidity"]), factors).named
    assert set(one.together) == {"humidity", "room"}


def test_a_bad_lot_is_told_from_all_others() -> None:
    factors = world(5)
    lots = [f"L{(row * 7 // 3) % 5}" for row in range(RUNS)]
    (one,) = separated([lot == "L2" and row % 4 != 0 for row, lot in enumerate(lots)], {**factors, "lot": lots}).named
    assert (one.factor, one.label, one.above, one.threshold, one.interval) == ("lot", "L2", True, None, None)
    assert one.spared.failed == 0


def test_what_takes_two_factors_names_both() -> None:
    factors = world(6)
    hot = above(factors["T"], 0.4)
    found = separated([wet and warm for wet, warm in zip(above(factors["humidity"], 0.0), hot, strict=True)], factors)
    assert {one.factor for one in found.named} == {"humidity", "T"}


def test_the_scale_of_a_factor_changes_nothing_but_the_threshold() -> None:
    factors = world(3)
    other = {**factors, "humidity": [math.exp(float(one)) for one in factors["humidity"]]}
    failed = above(factors["humidity"])
    (one,), (same,) = separated(failed, factors).named, separated(failed, other).named
    assert (one.p_value, one.spared, one.failing) == (same.p_value, same.spared, same.failing)
    assert one.gain == pytest.approx(same.gain)


def test_the_gain_is_that_of_integrals_over_the_rates() -> None:
    values = [0.0] * 7 + [1.0] * 13  # one gap
    failed = [row in (2, 9, 10, 12, 13, 15, 17, 18) for row in range(20)]

    def evidence(k: int, n: int) -> float:
        prior = beta(0.5, 0.5)
        # the substitution rate = sin^2 takes the poles of the prior away
        found, _ = quad(
            lambda u: binom.pmf(k, n, math.sin(u) ** 2) * prior.pdf(math.sin(u) ** 2) * math.sin(2 * u), 1e-12, math.pi / 2 - 1e-12
        )
        return math.log(found / math.comb(n, k))

    gain = evidence(1, 7) + evidence(7, 13) - evidence(8, 20)
    tried = _Tried.of("one", values)
    own = _mean(
        tried.gains(torch.tensor(failed, dtype=torch.float64), torch.ones(20, 1, dtype=torch.float64), torch.arange(20).unsqueeze(0))
    )
    assert float(own) == pytest.approx(gain, abs=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_the_split_is_that_of_a_decision_stump_of_scikit_learn(seed: int) -> None:
    factors = world(seed)
    z = [float(one) for one in factors["humidity"]]
    at = sorted(z)[26]
    failed = [one > at for one in z]
    found = separated(failed, {"humidity": z})
    stump = DecisionTreeClassifier(max_depth=1, criterion="log_loss").fit([[one] for one in z], failed)
    if found.named:
        assert found.named[0].threshold == pytest.approx(float(stump.tree_.threshold[0]))
    else:
        assert found.p_values["humidity"] > 0.05


def test_too_few_runs_and_factors_without_a_value_for_each_are_one_line() -> None:
    with pytest.raises(BadInput, match=f"3 of 40 runs failed; expected at least {LEAST_CASES} that did and {LEAST_CASES} that did not"):
        separated([row < 3 for row in range(RUNS)], world(0))
    with pytest.raises(BadInput, match="T has 2 values; expected one for each of 40 runs"):
        separated([row < 9 for row in range(RUNS)], {"T": [1.0, 2.0]})


def test_a_factor_that_never_varied_is_none() -> None:
    failed = [row % 4 == 0 for row in range(RUNS)]
    assert "T" not in separated(failed, {"T": [20.0] * RUNS, "z": [float(row) for row in range(RUNS)]}).p_values
    assert separated(failed, {"T": [20.0] * RUNS}).named == ()
