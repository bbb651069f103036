"""On a log scale models see logarithms: designs fill decades evenly, and what depends on decades is learned from few points."""

import pytest
import torch
from jaxtyping import Float
from scipy.stats import kstest
from torch import Tensor

from models.gaussian_processes.single_task import GaussianProcessLearner
from models.inputs.encoding import Encoding
from models.inputs.lift import lift
from models.inputs.training_data import training_data
from orchestrator.domain.constraints import LinearConstraint
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import ContinuousParameter, DiscreteParameter
from orchestrator.domain.parameters.number import AxisScale
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.ports import Knowledge, Observation
from policies.initial import SobolPolicy
from policies.optimise import Search
from policies.random_search import RandomPolicy

PEAK, WIDTH = -2.8, 0.4
"""Of the response, in decades."""
OBJECTIVE = Objective(targets=(Target(name="y", goal="maximise"),))


def concentration(scale: AxisScale, **more: float) -> ContinuousParameter:
    return ContinuousParameter(name="c", unit="mol/L", scale=scale, **{"min": 1e-4, "max": 1.0, **more})


def space(scale: AxisScale) -> SearchSpace:
    return SearchSpace(parameters=(concentration(scale),))


def response(decades: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    return torch.exp(-0.5 * ((decades - PEAK) / WIDTH).square())


def miss(scale: AxisScale, points: int) -> float:
    """Learn from a design; return how far its best is from the peak, in decades."""
    rows = [one.configuration for one in SobolPolicy(space(scale)).propose(Knowledge(), count=points, seed=2)]
    values = response(torch.tensor([float(row["c"]) for row in rows], dtype=torch.float64).log10())
    observations = [Observation(row, {"y": value}) for row, value in zip(rows, values.tolist(), strict=True)]
    surrogate = GaussianProcessLearner().fit(training_data(Encoding(space(scale)), OBJECTIVE, observations), seed=0)
    decades = torch.linspace(-4, 0, 401, dtype=torch.float64)
    inputs = Encoding(space(scale)).encode([{"c": 10.0**value} for value in decades.tolist()])
    mean = surrogate.posterior(inputs).mean[:, 0]
    return abs(float(decades[mean.argmax()]) - PEAK)


def test_a_peak_among_decades_is_found_with_a_quarter_of_the_points() -> None:
    assert miss("log", 8) < 0.1
    assert miss("linear", 32) > 0.3


@pytest.mark.parametrize("policy", [SobolPolicy, RandomPolicy])
def test_designs_are_uniform_among_decades(policy: type[SobolPolicy]) -> None:
    drawn = policy(SearchSpace(parameters=(concentration("log", resolution=1e-6),))).propose(Knowledge(), count=256, seed=3)
    decades = torch.tensor([float(one.configuration["c"]) for one in drawn], dtype=torch.float64).log10()
    assert kstest(((decades + 4) / 4).numpy(), "uniform").pvalue > 0.05


def test_numbers_come_back_in_their_unit_with_gradients() -> None:
    X = torch.tensor([[0.0], [0.5], [1.0]], dtype=torch.float64, requires_grad=True)
    values = Encoding(space("log")).numbers(X)["c"]
    assert values.tolist() == pytest.approx([1e-4, 1e-2, 1.0])
    (slope,) = torch.autograd.grad(values.sum(), X)
    assert slope[:, 0].tolist() == pytest.approx([value * 4 * 2.302585092994046 for value in (1e-4, 1e-2, 1.0)])


def test_the_optimiser_stops_where_a_sum_over_a_log_scale_ends() -> None:
    free = ContinuousParameter(name="x", min=0, max=1)
    bound = LinearConstraint(coefficients={"c": 2.0, "x": 1.0}, max=0.21)
    encoding = Encoding(SearchSpace(parameters=(concentration("log"), free), constraints=(bound,)))

    def score(X: Float[Tensor, "b 1 d"]) -> Float[Tensor, " b"]:
        return -(X - torch.tensor([1.0, 0.01], dtype=X.dtype)).square().sum(dim=-1)[..., 0]

    found = Search(encoding, restarts=2, raw_samples=32).best(score, encoding.encode([]), seed=0)
    assert found is not None
    assert encoding.space.complaint(found.row) is None
    assert found.row == pytest.approx({"c": 0.105, "x": 0.0}, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize(("own", "goal"), [("log", "log"), ("log", "linear"), ("linear", "log")])
def test_a_prior_with_another_scale_sees_the_same_number(own: AxisScale, goal: AxisScale) -> None:
    ours = SearchSpace(parameters=(concentration(own), DiscreteParameter(name="n", scale="log", values=(1, 2, 4))))
    theirs = SearchSpace(
        parameters=(
            ContinuousParameter(name="n", min=1, max=5),
            ContinuousParameter(name="c", unit="mmol/L", scale=goal, min=0.01, max=2000),
        )
    )
    rows = [{"c": value, "n": 2.0} for value in (1e-4, 3e-3, 1.0)]
    there = [{"c": 1e3 * float(row["c"]), "n": row["n"]} for row in rows]
    X = Encoding(ours).encode(rows).requires_grad_()
    lifted = lift(ours, theirs, what="prior p")(X)
    torch.testing.assert_close(lifted, Encoding(theirs).encode(there), rtol=1e-12, atol=1e-12)
    (slope,) = torch.autograd.grad(lifted.sum(), X)
    assert bool((slope > 0).all())


def test_a_linear_range_from_zero_has_no_place_on_a_priors_log_scale() -> None:
    with pytest.raises(BadInput, match="prior p: parameter c is on a log scale there and begins at 0 mol/L in the campaign"):
        lift(SearchSpace(parameters=(concentration("linear", min=0.0),)), space("log"), what="prior p")
