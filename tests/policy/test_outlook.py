"""What is expected of the objective, and the chance to beat the best, against closed forms and against one other way."""

from dataclasses import dataclass
from statistics import NormalDist

import pytest
import torch
from torch import Tensor

from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import ContinuousParameter
from orchestrator.domain.space import SearchSpace
from orchestrator.ports import Knowledge, Observation
from policies.bayesian import BayesianPolicy
from policies.outlook import best_measured, outlook
from policies.score import Score
from policies.settings import BayesianSettings

X = torch.zeros(1, 1, dtype=torch.float64)
Z90 = NormalDist().inv_cdf(0.95)


@dataclass
class Moments:
    """Of independent targets, event shape `1 x m`."""

    mean: Tensor
    variance: Tensor


class Bell:
    """Expects the same everywhere, of independent targets."""

    def __init__(self, *means_and_sds: tuple[float, float]) -> None:
        self.means, self.sds = zip(*means_and_sds, strict=True)

    def posterior(self, X: Tensor) -> Moments:
        return Moments(torch.tensor([self.means], dtype=X.dtype), torch.tensor([self.sds], dtype=X.dtype).square())


@dataclass
class Flat:
    """A surrogate of such parts; every target's measurement scatters by `noise`."""

    parts: tuple[tuple[float, Bell], ...]
    noise: float = 0.0

    def components(self) -> tuple[tuple[float, Bell], ...]:
        return self.parts

    def variance_parts(self, X: Tensor) -> tuple[Tensor, Tensor]:
        return X.new_zeros(1, len(self.parts[0][1].means)), X.new_full((1, len(self.parts[0][1].means)), self.noise**2)


def score(*targets: Target, unit: float = 1.0) -> Score:
    return Score(Objective(targets=targets), (unit,) * len(targets))


@pytest.mark.parametrize(("goal", "sign"), [("maximise", 1.0), ("minimise", -1.0)])
def test_of_one_target_it_is_the_normal_distribution_of_a_new_measurement(goal: str, sign: float) -> None:
    found = outlook(Flat(((1.0, Bell((5.0, 3.0))),), noise=4.0), score(Target(name="y", goal=goal), unit=2.0), X, sign * 14.0)  # type: ignore[arg-type]
    normal = NormalDist(sign * 10.0, 10.0)  # in the target's unit: twice 5, and twice the root of 3^2 + 4^2
    assert found.mean == pytest.approx(normal.mean, abs=0.02)
    assert (found.low, found.high) == pytest.approx((normal.mean - Z90 * 10, normal.mean + Z90 * 10), abs=0.1)
    assert found.better == pytest.approx(1 - normal.cdf(sign * 14.0), abs=0.005)


def test_a_match_is_never_better_than_one_and_its_interval_is_not_symmetric() -> None:
    target = Target(name="y", goal="match", value=600, tolerance=5)
    found = outlook(Flat(((1.0, Bell((600.0, 10.0))),)), score(target), X, 0.5)  # type: ignore[arg-type]
    assert found.better == pytest.approx(2 * NormalDist().cdf(0.5) - 1, abs=0.005)  # within the tolerance
    assert found.high <= 1.0
    assert found.mean - found.low < found.high - found.mean


def test_a_mixture_is_drawn_from_part_by_part() -> None:
    far = Flat(((0.25, Bell((10.0, 0.01))), (0.75, Bell((0.0, 0.01)))))
    found = outlook(far, score(Target(name="y", goal="maximise")), X, 5.0)  # type: ignore[arg-type]
    assert found.better == pytest.approx(0.25)
    assert (found.low, found.high) == pytest.approx((0.0, 10.0), abs=0.1)
    assert found.mean == pytest.approx(2.5, abs=0.01)


def test_targets_are_drawn_together() -> None:
    both = (Target(name="a", goal="maximise", low=0, high=1), Target(name="b", goal="maximise", low=0, high=1))
    found = outlook(Flat(((1.0, Bell((0.0, 1.0), (0.0, 1.0))),)), score(*both), X, 1.0)  # type: ignore[arg-type]
    assert found.better == pytest.approx(1 - NormalDist(0, 0.5**0.5).cdf(1.0), abs=0.005)  # the mean of two


def observed(values: float, **more: float) -> Observation:
    return Observation(configuration={"x": values}, values={"y": 10 * values, **more})


def test_the_best_is_the_best_complete_measurement_and_nothing_before_there_is_one() -> None:
    objective = Objective(targets=(Target(name="y", goal="minimise"),))
    assert best_measured(objective, ()) is None
    assert best_measured(objective, (observed(0.5), observed(0.2))) == -2.0
    two = Objective(targets=tuple(Target(name=name, goal="maximise", low=0, high=1) for name in "yz"))
    assert best_measured(two, (observed(0.5),)) is None


def test_a_policy_says_it_of_its_own_posterior() -> None:
    space = SearchSpace(parameters=(ContinuousParameter(name="x", min=0, max=1),))
    policy = BayesianPolicy(space, Objective(targets=(Target(name="y", goal="maximise"),)), BayesianSettings(initial=3))
    assert policy.outlook(Knowledge(), [{"x": 0.5}]) == ()
    known = Knowledge(observations=tuple(observed(x / 10) for x in (0, 2, 5, 6)))
    (low, high), told = policy.outlook(known, [{"x": 0.1}, {"x": 0.9}]), policy.predict(known, [{"x": 0.1}, {"x": 0.9}])
    for found, one in zip((low, high), told, strict=True):
        expected = NormalDist(one["y"].mean, one["y"].sd)
        assert found.mean == pytest.approx(expected.mean, abs=0.01 * expected.stdev)
        assert found.better == pytest.approx(1 - expected.cdf(6.0), abs=0.005)
        assert (found.low, found.high) == pytest.approx((one["y"].low, one["y"].high), abs=0.02 * expected.stdev)
    assert low.better is not None
    assert high.better is not None
    assert low.better < 0.5 < high.better
