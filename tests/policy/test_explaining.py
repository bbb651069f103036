"""Policies say what drives a proposal."""

from dataclasses import replace

import pytest
import torch

from models.inputs.encoding import Encoding
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import ContinuousParameter
from orchestrator.domain.space import SearchSpace
from orchestrator.ports import Knowledge, Observation
from policies.bayesian import BayesianPolicy
from policies.random_search import RandomPolicy
from policies.settings import BayesianSettings

SPACE = SearchSpace(parameters=tuple(ContinuousParameter(name=name, min=0, max=1) for name in ("x", "z", "idle")))
OBJECTIVE = Objective(targets=(Target(name="y", goal="maximise"),))
POLICY = BayesianPolicy(SPACE, OBJECTIVE, BayesianSettings(restarts=2, raw_samples=64))


def known(count: int = 20) -> Knowledge:
    points = torch.rand(count, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).tolist()
    rows = [dict(zip(("x", "z", "idle"), point, strict=True)) for point in points]
    return Knowledge(tuple(Observation(dict(row), {"y": 3.0 * row["x"] - (row["z"] - 0.4) ** 2}) for row in rows))


def test_effects_sum_to_what_is_predicted_and_name_the_parameter_that_matters() -> None:
    batch = [one.configuration for one in POLICY.propose(known(), count=2, seed=3)]
    explained = POLICY.explain(known(), batch, seed=3)
    assert len(explained) == 2
    for one, configuration in zip(explained, batch, strict=True):
        assert one.players == ("x", "z", "idle")
        assert set(one.effects) == {"mean y", "sd y", "acquisition"}
        means = dict(zip(one.players, one.effects["mean y"], strict=True))
        assert abs(means["x"]) > 5 * abs(means["idle"])
        expected = next(iter(POLICY.explain(known(), [configuration], seed=3)))
        total = expected.base["mean y"] + sum(expected.effects["mean y"])
        assert total == pytest.approx(3.0 * float(configuration["x"]) - (float(configuration["z"]) - 0.4) ** 2, abs=0.1)
        assert one.exploit is None or 0.0 <= one.exploit <= 1.0


def test_alternatives_are_feasible_and_unlike_the_batch_and_each_other() -> None:
    batch = [one.configuration for one in POLICY.propose(known(), count=1, seed=3)]
    (explained,) = POLICY.explain(known(), batch, seed=3)
    encoding = Encoding(SPACE)
    points = encoding.encode([*batch, *(one.configuration for one in explained.alternatives)])
    assert len(explained.alternatives) == 3
    apart = torch.cdist(points, points, p=1) / 3 + torch.eye(len(points))
    assert float(apart.min()) >= 0.05
    values = [one.acquisition for one in explained.alternatives if one.acquisition is not None]
    assert values == sorted(values, reverse=True)
    assert all(SPACE.complaint(one.configuration) is None for one in explained.alternatives)


def test_an_explanation_is_the_same_again() -> None:
    batch = [one.configuration for one in POLICY.propose(known(), count=1, seed=3)]
    assert POLICY.explain(known(), batch, seed=3) == POLICY.explain(known(), batch, seed=3)


def test_nothing_is_explained_where_there_is_no_model() -> None:
    batch = [{"x": 0.5, "z": 0.5, "idle": 0.5}]
    assert RandomPolicy(SPACE).explain(known(), batch, seed=1) == ()
    assert replace(POLICY).explain(Knowledge(), batch, seed=1) == ()
