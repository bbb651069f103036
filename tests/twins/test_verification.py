"""Whether a revision holds: by what two twins said beforehand of runs that neither has seen."""

import math

import numpy as np
import pytest

from flows.studies.twins.verification import Verified, deviations, verified
from orchestrator.errors import BadInput

NOISE = (2.0, 0.1)


def judged(old_off: float, new_off: float, *, runs: int = 6, seed: int = 0) -> Verified:
    """Judge two twins that are off by so many deviations of a run."""
    truth = np.random.default_rng(seed).normal(size=(runs, 2)) * np.array(NOISE)
    zero = np.zeros_like(truth)
    return verified(truth, zero + old_off * np.array(NOISE), zero + new_off * np.array(NOISE), NOISE)


def test_a_revision_that_is_right_passes() -> None:
    found = judged(2.5, 0.0)
    assert found.verdict == "passed"
    assert (found.runs, found.values) == (6, 12)


def test_a_revision_that_is_worse_than_what_it_revises_fails() -> None:
    assert judged(0.0, 2.5).verdict == "failed"


def test_a_revision_that_is_better_and_still_far_off_fails() -> None:
    found = judged(6.0, 3.0)
    assert found.log_bayes_factor > 3.0
    assert found.verdict == "failed"


def test_twins_that_say_nearly_the_same_are_not_told_apart() -> None:
    assert judged(0.2, 0.0).verdict == "not enough evidence"
    assert verified(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros((0, 2)), NOISE).verdict == "not enough evidence"


def test_the_bayes_factor_is_that_of_two_normal_densities() -> None:
    measured, old, new = np.array([[1.0, np.nan]]), np.array([[3.0, 1.0]]), np.array([[0.0, 1.0]])
    found = verified(measured, old, new, NOISE)

    def density(off: float) -> float:
        return math.exp(-0.5 * (off / 2.0) ** 2) / (2.0 * math.sqrt(2.0 * math.pi))

    assert found.log_bayes_factor == pytest.approx(math.log(density(1.0) / density(2.0)))
    assert found.values == 1  # what was not measured does not count


def test_the_chance_is_that_of_chi_square() -> None:
    found = verified(np.array([[0.0]]), np.array([[9.0]]), np.array([[1.959963984540054]]), (1.0,))
    assert found.chance == pytest.approx(0.05)


def test_a_quantity_of_which_nobody_knows_how_far_a_run_may_be_off_says_nothing() -> None:
    left = np.array([[3.0, np.nan], [-3.0, np.nan]])
    noise = deviations(left, "film")
    assert noise == [3.0, math.inf]
    found = verified(np.array([[0.0, 0.0]]), np.array([[9.0, 9.0]]), np.array([[0.0, 5.0]]), noise)
    assert (found.values, found.new_error) == (1, 0.0)


def test_a_campaign_that_does_not_tell_how_far_a_run_may_be_off_judges_nothing() -> None:
    with pytest.raises(BadInput, match="no run before those that verify twin film tells how far"):
        deviations(np.full((2, 2), np.nan), "film")
    with pytest.raises(BadInput, match="twin film misses nothing before the runs that verify it"):
        deviations(np.zeros((4, 1)), "film")
