"""Run lengths are those of published tables, and charts alarm as these say."""

import math

import pytest
import torch

from models.twin.drift import _one_sided, run_length, threshold, watched
from orchestrator.errors import BadInput
from tests.discrepancy.making import normal

LUCAS_CROSIER = {
    0.0: 168, 0.25: 74.2, 0.5: 26.6, 0.75: 13.3, 1.0: 8.38, 1.5: 4.75, 2.0: 3.34, 2.5: 2.62, 3.0: 2.19, 4.0: 1.71, 5.0: 1.31
}  # fmt: skip
"""shift -> run length of two sides, k = 0.5, h = 4: J. M. Lucas, R. B. Crosier, Technometrics 24, 199 (1982), table 1."""
ONE_SIDED = (
    (3.0, 0.5, -0.5, 1963.0), (3.0, 0.5, 0.0, 117.4), (3.0, 0.5, 0.5, 17.35),
    (8.0, 0.25, 2.5, 4.1500836225),
    (10.0, 0.0, -0.125, 400.28), (10.0, 0.0, 0.0, 124.66), (10.0, 0.0, 0.25, 36.71), (10.0, 0.0, 1.0, 10.75),
)  # fmt: skip
"""h, k, shift, run length of one side: K.-H. Waldmann, Technometrics 28, 61 (1986), tables 1, 3, 5; SAS/QC manual (1999); L. C. Vance,
J. Qual. Technol. 18, 189 (1986), table 1. These and Lucas and Crosier's as the manual of the R package spc quotes them (S. Knoth,
xcusum.arl)."""
SHIFTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
MONTGOMERY = {
    4.0: (168, 74.2, 26.6, 13.3, 8.38, 4.75, 3.34, 2.62, 2.19, 1.71),
    5.0: (465, 139, 38.0, 17.0, 10.4, 5.75, 4.01, 3.11, 2.57, 2.01),
}
"""Two-sided, k = 0.5: D. C. Montgomery, Introduction to Statistical Quality Control, 6th ed. (2009), table 9.3. No copy
was at hand for it, nor for the next one."""
HAWKINS = {0.25: 8.01, 0.5: 4.77, 0.75: 3.34, 1.0: 2.52, 1.25: 1.99, 1.5: 1.61}
"""k -> h of two sides with a run length of 370: D. M. Hawkins, J. Qual. Technol. 25, 248 (1993), as in Montgomery's table 9.4."""


@pytest.mark.parametrize("shift", LUCAS_CROSIER)
def test_run_lengths_of_two_sides_are_the_published_ones(shift: float) -> None:
    assert run_length(4.0, 0.5, shift) == pytest.approx(LUCAS_CROSIER[shift], rel=0.004)
    assert run_length(3.0, 0.6, -0.2) == pytest.approx(65.4, abs=0.1)  # Waldmann, table 6


@pytest.mark.parametrize(("limit", "allowance", "shift", "published"), ONE_SIDED)
def test_run_lengths_of_one_side_are_the_published_ones(limit: float, allowance: float, shift: float, published: float) -> None:
    assert _one_sided(limit, allowance, shift) == pytest.approx(published, rel=0.002)


@pytest.mark.parametrize("limit", MONTGOMERY)
def test_run_lengths_are_those_of_the_table(limit: float) -> None:
    for shift, published in zip(SHIFTS, MONTGOMERY[limit], strict=True):
        assert run_length(limit, 0.5, shift) == pytest.approx(published, rel=0.004), shift


@pytest.mark.parametrize("allowance", HAWKINS)
def test_limits_are_those_of_the_table(allowance: float) -> None:
    assert threshold(370.0, allowance) == pytest.approx(HAWKINS[allowance], abs=0.01)


@pytest.mark.parametrize("shift", [0.0, 0.25, 1.0, 1.5])
def test_run_lengths_are_near_siegmunds_approximation(shift: float) -> None:
    # D. Siegmund, Sequential Analysis (1985): (exp(-2 D b) + 2 D b - 1) / (2 D^2), D = shift - k, b = h + 1.166
    drift, height = shift - 0.5, 5.0 + 1.166
    known = (math.exp(-2 * drift * height) + 2 * drift * height - 1) / (2 * drift**2)
    assert _one_sided(5.0, 0.5, shift) == pytest.approx(known, rel=0.03)


def test_charts_alarm_falsely_as_often_as_declared() -> None:
    alarms = len(watched(normal(100_000, seed=1), every=50.0).alarms)
    assert alarms == pytest.approx(2000, abs=150)  # run lengths are about exponential: three standard deviations are 134


def test_a_step_is_found_and_dated() -> None:
    z = 0.2 * normal(60, seed=2)
    z[30:] -= 1.5
    found = watched(z)
    assert 33 <= found.alarms[0] <= 38
    assert found.began[0] in (29, 30, 31)
    assert found.limit == pytest.approx(threshold(500.0))
    assert found.up.max() < 1
    assert float(found.down[found.alarms[0] + 1]) < 2  # begins again


@pytest.mark.parametrize("every", [1.0, math.inf])
def test_a_rate_that_makes_no_sense_is_refused(every: float) -> None:
    with pytest.raises(BadInput, match="expected at least 10 runs"):
        threshold(every)


def test_a_missing_residual_is_refused() -> None:
    with pytest.raises(BadInput, match="residual 1 of a drift chart is missing"):
        watched(torch.tensor([0.0, math.nan]))
