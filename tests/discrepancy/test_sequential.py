"""New runs are predicted from all before them, with what is not known counted; a twin recalibrated with each run follows a drift."""

import pytest
import torch
from scipy.stats import kstest, norm, t
from torch import Tensor

from models.twin.drift import watched
from models.twin.groups import Group
from models.twin.model import Model, Problem, model
from models.twin.pairs import Columns, Conditions, Pairs
from models.twin.posterior import corrected
from models.twin.sequential import innovations, predictions, recalibrated
from tests.discrepancy.making import NOISE, conditions, normal, pairs

HUMIDITY, LOT = Group("humidity", channel=0), Group("lot")


def bare(rows: int) -> Conditions:
    """A twin that predicts zero, of controls that do nothing."""
    nothing, X = torch.zeros(rows, 0, dtype=torch.float64), torch.rand(rows, 1, generator=torch.Generator().manual_seed(rows)).double()
    return Conditions(Columns(("x",)), X, nothing, torch.zeros(rows, dtype=torch.float64), nothing, nothing)


def of_noise(rows: int, seed: int) -> Model:
    return model(Problem.of(Pairs(bare(rows), normal(rows, seed=seed)), "additive"))


def test_with_nothing_but_noise_of_an_unknown_variance_scores_are_nearly_those_of_students_t() -> None:
    one, y = of_noise(12, seed=3), torch.tensor([2.5], dtype=torch.float64)
    residual = one.problem.residual
    mean, deviation = float(residual.mean()), float(residual.std()) * (1 + 1 / 12) ** 0.5
    known = float(norm.ppf(t.cdf((2.5 - mean) / deviation, df=11)))
    plug_in = (2.5 - mean) / deviation
    found = float(innovations(one, bare(1), y))
    assert found == pytest.approx(known, abs=0.15)
    assert found < plug_in - 0.1


def test_scores_of_few_runs_are_standard_normal_where_the_variance_is_only_guessed() -> None:
    z = torch.cat([innovations(of_noise(10, seed=100 + seed), bare(5), normal(5, seed=5000 + seed)) for seed in range(200)])
    assert kstest(z.numpy(), "norm").pvalue > 0.01
    assert float(z.square().mean()) == pytest.approx(1.0, abs=0.12)  # three standard deviations of 1000 squares are 0.13


def test_charts_after_few_runs_alarm_as_seldom_as_declared() -> None:
    count = sum(
        bool(watched(innovations(of_noise(10, seed=100 + seed), bare(60), normal(60, seed=7000 + seed))).alarms) for seed in range(100)
    )
    assert count <= 16  # 8 are expected of 100, with a standard deviation of 2.7


def test_a_value_far_out_has_a_finite_score() -> None:
    z = innovations(of_noise(60, seed=1), bare(2), torch.tensor([1e6, -1e6], dtype=torch.float64))
    assert bool(z.isfinite().all())
    assert float(z[0]) > 8


def test_the_score_of_the_first_run_is_about_that_of_its_prediction() -> None:
    one = model(Problem.of(pairs(effect=2.0), "additive"), (HUMIDITY, LOT))
    fresh = conditions(12, seed=9)
    found = innovations(one, fresh, fresh.mean + 0.5)
    said = corrected(one, fresh)
    reach = float((said.reading[1] - said.reading[0])[0]) / (2 * 1.6449)
    assert float(found[0]) == pytest.approx(float((fresh.mean + 0.5 - said.median)[0]) / reach, rel=0.15)
    assert abs(float(found[-1])) < abs(float(found[0]))  # a shift is learned in part


def test_innovations_of_runs_like_the_pairs_are_standard_and_independent() -> None:
    whole = pairs(effect=2.0, rows=400, seed=4)
    before = Pairs(whole.conditions.rows(slice(0, 200)), whole.observed[:200], (), whole.repeats[:200])
    z = innovations(model(Problem.of(before, "additive"), (HUMIDITY,)), whole.conditions.rows(slice(200, 400)), whole.observed[200:])
    assert float(z.mean()) == pytest.approx(0.0, abs=0.25)
    assert float(z.std()) == pytest.approx(1.0, abs=0.15)
    assert abs(float((z[1:] * z[:-1]).mean())) < 0.2


def test_what_is_expected_from_the_pairs_alone_is_the_corrected_twin() -> None:
    one, fresh = model(Problem.of(pairs(effect=2.0), "additive"), (HUMIDITY, LOT)), conditions(12, seed=9)
    torch.testing.assert_close(predictions(one, fresh), corrected(one, fresh).median)


@pytest.mark.parametrize("scale", ["additive", "multiplicative"])
def test_a_twin_recalibrated_with_each_run_follows_a_drift_and_sees_no_run_before_it_comes(scale: str) -> None:
    one = model(Problem.of(pairs(effect=0.0), "additive" if scale == "additive" else "multiplicative"))
    fresh = conditions(60, seed=9)
    ramp = 6 * NOISE * torch.arange(1, 61, dtype=torch.float64) / 60
    truth = fresh.mean + 0.3 * fresh.sensitivities[:, 0] + ramp
    y = truth + NOISE * normal(60, seed=77)

    def error(said: Tensor) -> float:
        return float((said - truth).square().mean().sqrt())

    rolling = recalibrated(one, fresh, y)
    assert error(rolling) < 0.35 * error(predictions(one, fresh))
    changed = y.clone()
    changed[30:] += 5.0
    again = recalibrated(one, fresh, changed)
    torch.testing.assert_close(again[:31], rolling[:31])
    assert float((again - rolling)[31:].abs().min()) > 0.01
