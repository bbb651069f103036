"""The problems of the benchmark of trade-offs, and what it counts."""

import pytest
import torch
from botorch.models import SingleTaskGP
from botorch.models.transforms import Normalize, Standardize
from botorch.test_functions.multi_objective import ZDT1
from gpytorch.mlls import ExactMarginalLogLikelihood

from benchmarks.botorch_fronts import BotorchFront, loss_of
from benchmarks.pareto import POLICIES, PROPOSALS, race, table
from benchmarks.trade_offs import INPUTS, ZDT1_REFERENCE, TradeOff, hypervolume, trade_offs
from orchestrator.ports import Knowledge, Observation
from tests.recorded.tables import data_dir


@pytest.fixture(scope="module")
def problems() -> dict[str, TradeOff]:
    return trade_offs(data_dir())


def test_what_a_pool_has_to_offer_is_found_by_measuring_all_of_it(problems: dict[str, TradeOff]) -> None:
    for name in ("suzuki-i", "suzuki-iv"):
        rows = problems[name].space.candidates
        assert rows is not None
        missing = problems[name].missing(rows)
        assert missing[-1] == pytest.approx(0.0, abs=1e-9)
        assert missing == sorted(missing, reverse=True)


def test_the_attainable_hypervolume_of_a_function_is_that_of_its_front(problems: dict[str, TradeOff]) -> None:
    front = ZDT1(dim=INPUTS).gen_pareto_front(2000)
    U = 1 - front / torch.tensor(ZDT1_REFERENCE)
    assert hypervolume(U.to(torch.float64)) == pytest.approx(problems["zdt1"].attainable, rel=1e-3)
    assert 0 < problems["dtlz2"].attainable < 1


def test_policies_begin_alike_and_a_ratio_is_taken_of_the_same_seeds(problems: dict[str, TradeOff]) -> None:
    first = race(problems["suzuki-i"], "random", 3)
    assert len(first["missing"]) == PROPOSALS + 1
    rows = [{**first, "policy": policy} for policy in POLICIES]
    lines = table([*rows, {**first, "policy": "athanor", "seed": 4}])
    assert lines[1].startswith("suzuki-i 1 ")
    assert lines[-1].endswith("1 [1, 1]")


def test_the_yardstick_proposes_a_row_that_is_left(problems: dict[str, TradeOff]) -> None:
    problem = problems["suzuki-i"]
    assert problem.space.candidates is not None
    asked = problem.space.candidates[::12]
    known = Knowledge(observations=tuple(Observation(row, problem.answer(row)) for row in asked), excluded=asked)
    (found,) = BotorchFront(problem.space, problem.objective("pareto")).propose(known, count=1, seed=0)
    assert problem.space.key(found.configuration) not in {problem.space.key(row) for row in asked}


def test_the_yardstick_fits_by_gpytorchs_own_loss() -> None:
    generator = torch.Generator().manual_seed(1)
    X = torch.rand(9, 3, generator=generator, dtype=torch.float64)
    model = SingleTaskGP(X, X.sin().sum(dim=1, keepdim=True), input_transform=Normalize(3), outcome_transform=Standardize(1))
    likelihood = ExactMarginalLogLikelihood(model.likelihood, model).train()
    found, slopes = loss_of(likelihood)()
    theirs = -likelihood(model(*model.train_inputs), model.train_targets)
    torch.testing.assert_close(found, theirs.detach(), rtol=1e-9, atol=0.0)
    wanted = torch.autograd.grad(theirs, [one for one in likelihood.parameters() if one.requires_grad])
    for one, other in zip(slopes, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-10)
