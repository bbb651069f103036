import math
from xml.etree import ElementTree

import pytest

from benchmarks.metrics import (
    best_so_far,
    difference,
    experiments_to_top,
    paired_bootstrap,
    ratio,
    regret_area,
    regrets,
    threshold,
)
from benchmarks.pictures import Chart, Line, draw, ticks

POOL = [float(score) for score in range(101)]  # 0 .. 100: six candidates of 101 are the best 5 %, from 95 on


def test_the_best_so_far_never_falls() -> None:
    assert best_so_far([3.0, 1.0, 5.0, 4.0]) == [3.0, 3.0, 5.0, 5.0]


def test_regret_is_zero_at_the_best_of_the_pool_and_one_at_the_worst() -> None:
    assert regrets([0.0, 25.0, 100.0], POOL) == [1.0, 0.75, 0.0]


def test_negative_scores_of_a_minimised_target_count_alike() -> None:
    assert regrets([-0.5, -0.4], [-0.6, -0.5, -0.4]) == pytest.approx([0.5, 0.0])


def test_the_regret_area_counts_only_the_experiments_after_the_initial_ones() -> None:
    assert regret_area([10.0, 20.0, 60.0, 80.0], POOL, initial=2) == pytest.approx((0.4 + 0.2) / 2)


def test_the_top_five_percent_is_rounded_up_and_never_empty() -> None:
    assert threshold(POOL) == 95.0
    assert threshold([1.0, 2.0, 3.0]) == 3.0


@pytest.mark.parametrize(
    ("running", "expected"),
    [([10.0, 20.0, 60.0, 95.0, 99.0], 2), ([96.0, 96.0, 96.0], 0), ([10.0, 20.0, 94.9], None), ([10.0, 20.0, 95.0], 1)],
)
def test_experiments_to_the_top_are_counted_after_the_initial_ones(running: list[float], expected: int | None) -> None:
    assert experiments_to_top(running, POOL, initial=2) == expected


def test_difference_and_ratio_are_of_the_means() -> None:
    pairs = [(1.0, 2.0), (3.0, 6.0)]
    assert difference(pairs) == -2.0
    assert ratio(pairs) == 0.5
    assert ratio([(0.0, 0.0)]) == 1.0
    assert ratio([(1.0, 0.0)]) == math.inf


def test_pairs_that_differ_by_a_constant_leave_no_doubt_about_the_difference() -> None:
    pairs = {"a": [(float(n), n + 1.0) for n in range(10)], "b": [(float(n), n + 3.0) for n in range(10)]}
    found = paired_bootstrap(pairs, difference)
    assert (found.value, found.low, found.high) == (-2.0, -2.0, -2.0)


def test_a_bootstrap_interval_has_the_width_of_the_normal_theory() -> None:
    values = [math.sin(12.9898 * n) for n in range(400)]
    found = paired_bootstrap({"a": [(value, 0.0) for value in values]}, difference)
    mean = sum(values) / len(values)
    error = math.sqrt(sum((value - mean) ** 2 for value in values)) / len(values)
    assert found.value == pytest.approx(mean)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.05)


def test_ratios_of_tasks_are_averaged_geometrically() -> None:
    pairs = {"a": [(1.0, 2.0)], "b": [(2.0, 1.0)]}
    assert paired_bootstrap(pairs, ratio, geometric=True).value == pytest.approx(1.0)


def test_ticks_are_round_and_cover_the_range() -> None:
    assert ticks(0.0, 30.0) == [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]
    assert ticks(0.342, 0.397)[0] <= 0.342
    assert ticks(0.342, 0.397)[-1] >= 0.397


def test_a_picture_is_well_formed_and_names_axes_units_and_lines() -> None:
    line = Line("athanor", (1.0, 2.0), (3.0, 4.0), (2.5, 3.5), (3.5, 4.5))
    svg = draw(Chart("barrel <1>", "experiments", "best toughness so far (J)", (line,), ("best in the table", 5.0)))
    texts = [element.text for element in ElementTree.fromstring(svg).iter() if element.text and element.text.strip()]
    assert {"barrel <1>", "experiments", "best toughness so far (J)", "athanor", "best in the table"} <= set(texts)
