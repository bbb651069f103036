"""What a measurement teaches of a response, against what is left of the posterior once it is there."""

from functools import lru_cache

import pytest
import torch
from jaxtyping import Float
from scipy.stats import norm
from torch import Tensor

from models.base import Surrogate
from models.gaussian_processes.single_task import GaussianProcessLearner
from models.inputs.encoding import Encoding
from models.inputs.training_data import training_data
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import ContinuousParameter
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.ports import Knowledge, Observation
from orchestrator.suggestions import CERTAINTY
from policies.exploring import BORDER, IntegratedReduction, integrated_reduction
from policies.registry import build_policy
from policies.score import Score

SPACE = SearchSpace(parameters=(ContinuousParameter(name="x", min=0, max=1), ContinuousParameter(name="y", min=0, max=1)))
ENCODING = Encoding(SPACE)
HEIGHT, DEPTH = Target(name="height", unit="mm", goal="maximise"), Target(name="depth", unit="mm", goal="minimise")
EXPLORE = Objective(targets=(HEIGHT, DEPTH), kind="explore")
LEVEL = Objective(targets=(HEIGHT,), kind="level", reference={"height": 600.0})
ROWS = tuple({"x": 0.1 + 0.2 * index, "y": (0.37 * index) % 1} for index in range(6))
SETTINGS = {"raw_samples": 32, "restarts": 2}


def respond(row: dict[str, float]) -> dict[str, float]:
    return {"height": 1000 * (row["x"] - 0.3) ** 2 + 500 * row["y"], "depth": 0.1 * row["y"] + 0.05 * row["x"]}


def measured(objective: Objective) -> tuple[Observation, ...]:
    return tuple(Observation(row, {name: respond(row)[name] for name in objective.names}) for row in ROWS)


@lru_cache(maxsize=2)
def fitted(kind: str) -> tuple[Surrogate, Score]:
    objective = EXPLORE if kind == "explore" else LEVEL
    known = training_data(ENCODING, objective, measured(objective))
    return GaussianProcessLearner().fit(known, seed=0), Score(objective, tuple(one.unit for one in known))


def points(count: int, start: float = 0.23) -> Float[Tensor, "n d"]:
    return ENCODING.encode([{"x": (start + 0.31 * index) % 1, "y": (0.71 * index) % 1} for index in range(count)])


def function(kind: str, pending: Float[Tensor, "p d"]) -> IntegratedReduction:
    surrogate, score = fitted(kind)
    return integrated_reduction(surrogate, surrogate.functions(), score, points(20), pending)


def left(covariance: Float[Tensor, "n n"], places: list[int], noise: float) -> Float[Tensor, "n n"]:
    """Return a covariance once noisy values at some places are known, by dense arithmetic."""
    known = covariance[places][:, places] + noise * torch.eye(len(places), dtype=covariance.dtype)
    across: Tensor = covariance[:, places]
    less: Tensor = across @ torch.linalg.solve(known, across.T)
    return covariance - less


@pytest.mark.parametrize("kind", ["explore", "level"])
@pytest.mark.parametrize("waiting", [0, 2])
def test_a_measurement_removes_the_variance_that_dense_arithmetic_says(kind: str, waiting: int) -> None:
    surrogate, score = fitted(kind)
    pending, new, everywhere = points(waiting, 0.4), points(4, 0.11), points(20)
    ours = function(kind, pending)(new.unsqueeze(-2)).exp()
    with torch.no_grad():
        X = torch.cat([everywhere, pending, new])
        posterior = surrogate.posterior(X)
        mean, noise = posterior.mean, surrogate.variance_parts(everywhere)[1].mean(dim=0)
        whole = posterior.distribution.covariance_matrix
    for place in range(4):
        removed = 0.0
        for target in range(mean.shape[1]):
            block = whole[len(X) * target : len(X) * (target + 1), len(X) * target : len(X) * (target + 1)]
            spread = mean[:20, target].var(correction=0) + block.diagonal()[:20].mean()
            before = left(block, list(range(20, 20 + waiting)), float(noise[target]))
            after = left(block, [*range(20, 20 + waiting), 20 + waiting + place], float(noise[target]))
            fall = (before - after).diagonal()[:20]
            weights = torch.ones(20, dtype=fall.dtype)
            if kind == "level":
                wide = (before.diagonal()[:20] + BORDER**2 * spread).sqrt()
                level = 600.0 / score.units[0]
                weights = torch.from_numpy(norm.pdf(level, mean[:20, 0].numpy(), wide.numpy()))
                weights = weights / weights.max()
            removed += float((weights * fall).mean() / spread) / mean.shape[1]
        assert float(ours[place]) == pytest.approx(removed, rel=2e-3)


@pytest.mark.parametrize("kind", ["explore", "level"])
def test_slopes_are_those_of_differences(kind: str) -> None:
    worth = function(kind, points(1, 0.4))
    X = points(3, 0.11).unsqueeze(-2).requires_grad_()
    (slope,) = torch.autograd.grad(worth(X).sum(), X)
    step = torch.zeros_like(X)
    step[..., 0] = 1e-6
    with torch.no_grad():
        difference = (worth(X + step) - worth(X - step)) / 2e-6
    torch.testing.assert_close(slope[:, 0, 0], difference, rtol=1e-3, atol=1e-3)


def test_a_repeat_teaches_less_than_a_point_far_from_all_that_is_known() -> None:
    worth = function("explore", points(0))
    with torch.no_grad():
        repeat, far = worth(ENCODING.encode([ROWS[0], {"x": 1.0, "y": 1.0}]).unsqueeze(-2)).tolist()
    assert repeat < far


@pytest.mark.parametrize("objective", [EXPLORE, LEVEL])
def test_proposals_are_the_same_again_and_say_how_well_the_response_is_known(objective: Objective) -> None:
    policy = build_policy("bayesian", SPACE, objective, SETTINGS)
    known = Knowledge(observations=measured(objective))
    first, second = policy.propose(known, count=2, seed=1)
    assert [one.configuration for one in policy.propose(known, count=2, seed=1)] == [first.configuration, second.configuration]
    assert max(abs(float(second.configuration[name]) - float(first.configuration[name])) for name in "xy") > 0.05
    certainty = first.details[CERTAINTY]
    assert certainty["sd"].keys() == set(objective.names)
    assert certainty["sd"]["height"] > 1.0  # in mm, not in the surrogate's units
    assert ("uncertain" in certainty) is (objective is LEVEL)


def test_experiments_for_a_level_lie_nearer_to_its_border_than_those_for_the_whole() -> None:
    distance = {}
    for kind, objective in (("explore", Objective(targets=(HEIGHT,), kind="explore")), ("level", LEVEL)):
        policy, known = build_policy("bayesian", SPACE, objective, SETTINGS), list(measured(LEVEL))
        for number in range(4):
            (found,) = policy.propose(Knowledge(observations=tuple(known)), count=1, seed=number)
            row = {name: float(value) for name, value in found.configuration.items()}
            known.append(Observation(row, {"height": respond(row)["height"]}))
        distance[kind] = sum(abs(one.values["height"] - 600.0) for one in known[len(ROWS) :])
    assert distance["level"] < distance["explore"]


def test_in_a_table_each_row_is_measured_once() -> None:
    rows = tuple({"x": x / 4, "y": y / 2} for x in range(5) for y in range(3))
    space = SearchSpace(parameters=SPACE.parameters, candidates=rows)
    policy, asked = build_policy("bayesian", space, EXPLORE, {"initial": 3}), [dict(row) for row in rows[:3]]
    for _ in range(4):
        observations = tuple(Observation(row, respond(row)) for row in asked)
        (found,) = policy.propose(Knowledge(observations=observations, excluded=tuple(asked)), count=1, seed=1)
        asked.append({name: float(value) for name, value in found.configuration.items()})
    assert len({tuple(row.values()) for row in asked}) == 7


def test_a_level_that_seems_out_of_reach_is_looked_for_where_it_is_nearest() -> None:
    surrogate, _ = fitted("level")
    high = Score(Objective(targets=(HEIGHT,), kind="level", reference={"height": 1e5}), fitted("level")[1].units)
    worth = integrated_reduction(surrogate, surrogate.functions(), high, points(20), points(0))
    with torch.no_grad():
        values = worth(points(8, 0.11).unsqueeze(-2))
    assert len(set(values.tolist())) == 8


def test_where_nothing_is_best_there_is_no_outlook() -> None:
    policy = build_policy("bayesian", SPACE, EXPLORE, SETTINGS)
    assert policy.outlook(Knowledge(observations=measured(EXPLORE)), [ROWS[0]]) == ()
    with pytest.raises(BadInput, match="log-ei"):
        build_policy("bayesian", SPACE, LEVEL, {"acquisition": "log-ei"})
