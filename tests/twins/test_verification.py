"""Whether a revision holds: by what two twins said beforehand of runs that neither has seen."""

import math
from pathlib import Path

import numpy as np
import pytest

from flows.studies.twins.verification import Verified, deviations, said_around, telling, verified
from orchestrator.errors import BadInput
from tests.twins.films import plan_of
from tests.twins.test_bench import FILM

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


def test_what_differs_in_the_surroundings_of_the_runs_alone_is_told_apart() -> None:
    X = np.linspace(0.0, 1.0, 4)[:, None]
    old = np.zeros((2, 4, 1))
    new = old.copy()
    new[1, :, 0] = [0.0, 3.0, 4.0, np.nan]  # of humid days; on the others both say the same
    chosen = telling(old, new, X, [1.0], count=3)
    assert [place for place, _ in chosen] == [2, 1]
    assert [apart for _, apart in chosen] == pytest.approx([math.sqrt(8.0), math.sqrt(4.5)])


def test_a_twin_that_knows_surroundings_is_asked_in_each(tmp_path: Path) -> None:
    bound = plan_of(tmp_path, 'outputs = { conductivity = "thickness" }\n', FILM.replace('"thickness": "m"', '"thickness": "S/m"')).twin
    assert bound is not None
    said = said_around(bound, [{"T": 63.0, "speed": 1800.0}, {"T": 87.0, "speed": 1800.0}], [{"humidity": 30.0}, {"humidity": 60.0}])
    assert said[:, 0, 0] == pytest.approx([3e-8, 6e-8])
    assert np.isnan(said[:, 1, 0]).all()
