import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flows.studies.benchmark.judging import judge_mixture, quantile
from flows.studies.predicted import normal_mixture


def row(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_a_standard_normal_is_judged_by_hand() -> None:
    found = judge_mixture(normal_mixture(row(1.0), row(0.0, 0.0)[None], row(1.0, 1.0)[None]), row(0.0, 3.0))
    assert found.coverage == 0.5
    assert found.width == pytest.approx(2 * 1.6448536269514722)
    assert found.interval_score == pytest.approx(2 * 1.6448536269514722 + 0.5 * (3 - 1.6448536269514722) / 0.05)
    assert found.log_score == pytest.approx(-0.5 * math.log(2 * math.pi) - 0.25 * 9)


@given(st.floats(-5, 5), st.floats(0.1, 3), st.floats(0.02, 0.98), st.floats(0.05, 0.95))
def test_a_mixture_of_equals_is_the_component(mean: float, deviation: float, part: float, weight: float) -> None:
    one = quantile(normal_mixture(row(1.0), row(mean)[None], row(deviation)[None]), part)
    two = quantile(normal_mixture(row(weight, 1 - weight), row(mean, mean)[:, None], row(deviation, deviation)[:, None]), part)
    assert float(two) == pytest.approx(float(one), abs=1e-9)


def test_a_quantile_of_a_mixture_holds_its_part_of_the_mass() -> None:
    weights, means, deviations = row(0.3, 0.7), row(-4.0, 2.0)[:, None], row(0.5, 2.0)[:, None]
    found = quantile(normal_mixture(weights, means, deviations), 0.2)
    mass = (weights[:, None] * torch.special.ndtr((found - means) / deviations)).sum()
    assert float(mass) == pytest.approx(0.2, abs=1e-12)
