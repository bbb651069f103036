"""The missing term wins, constants are calibrated as far as the pairs allow, and a refit uses the twin itself."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from models.twin.groups import Group
from models.twin.model import Problem, model
from models.twin.refitting import refitted
from models.twin.terms import STRONG, estimates, ranking, taken_up
from orchestrator.errors import BadInput
from tests.discrepancy.making import NOISE, pairs

HUMIDITY = Group("humidity", channel=0)


def vector(moved: dict[str, float]) -> Tensor:
    return torch.tensor(list(moved.values()), dtype=torch.float64)


def test_the_missing_term_is_ranked_first_and_taken_up() -> None:
    problem = Problem.of(pairs(effect=1.0), "additive")
    first, *others = ranking(problem)
    assert first.name == "quench"
    assert first.log_bayes_factor > STRONG > max(one.log_bayes_factor for one in others)
    taken = taken_up(problem, (HUMIDITY,))
    assert taken.coefficients == (*problem.constants, "quench")
    assert taken.groups == ()  # the term says all that the factor did


def test_no_term_is_taken_up_for_nothing() -> None:
    assert taken_up(Problem.of(pairs(effect=0.0), "additive"), ()).coefficients == ("rate", "offset of the oven")


def test_a_constant_is_calibrated_when_its_doubt_is_halved() -> None:
    found = {one.name: one for one in estimates(model(Problem.of(pairs(effect=0.0, rate=0.6), "additive")))}
    assert found["rate"].mean == pytest.approx(0.6, abs=2 * found["rate"].sd)
    assert found["rate"].calibrated
    loud = pairs(effect=0.0, rate=0.6)
    loud = replace(loud, observed=loud.observed + 20 * (loud.observed - loud.conditions.mean))
    assert not any(one.calibrated for one in estimates(model(Problem.of(loud, "additive"))))


def test_a_discrepancy_that_looks_like_a_constant_keeps_it_from_being_called_calibrated() -> None:
    problem = Problem.of(pairs(effect=0.0, rate=0.6), "additive")
    alone = estimates(model(problem))[0].sd
    assert estimates(model(problem, (Group("controls"),)))[0].sd > alone


def test_a_refit_of_a_linear_twin_is_the_closed_form_without_a_level() -> None:
    problem = Problem.of(pairs(effect=1.0), "additive")
    one, conditions = taken_up(problem, ()), problem.pairs.conditions
    columns = torch.cat([conditions.sensitivities, conditions.terms[:, :1]], dim=1)
    found = refitted([one], lambda many: [[conditions.mean + columns @ vector(moved)] for moved in many])
    assert found.converged
    sds = torch.tensor([each.prior_sd for each in found.estimates], dtype=torch.float64)
    lines, V = columns * sds, torch.einsum("c,cij->ij", one.fitted.variances, one.fitted.components.shapes)
    precision = torch.eye(len(sds), dtype=torch.float64) + lines.mT @ torch.linalg.solve(V, lines)
    mean = torch.linalg.solve(precision, lines.mT @ torch.linalg.solve(V, problem.residual))
    sd = torch.linalg.inv(precision).diagonal().sqrt()
    assert [each.mean for each in found.estimates] == pytest.approx((mean * sds).tolist(), abs=1e-5)
    assert [each.sd for each in found.estimates] == pytest.approx((sd * sds).tolist(), rel=1e-4)


def test_a_refit_follows_a_twin_that_is_not_linear() -> None:
    base = pairs(effect=0.0, rate=0.0, seed=3)
    X = base.conditions.controls

    def twin(theta: Tensor) -> Tensor:
        return 10 + 2 * X[:, 0] * torch.exp(theta[0]) + (X[:, 1] - 0.5) * theta[1]

    noise = base.observed - base.conditions.mean
    measured = replace(base, observed=twin(torch.tensor([1.2, 0.0], dtype=torch.float64)) + 0.2 * noise)
    one = model(Problem.of(measured, "additive"))
    linear, found = estimates(one)[0], refitted([one], lambda many: [[twin(vector(moved))] for moved in many])
    assert abs(found.estimates[0].mean - 1.2) < 0.1 < abs(linear.mean - 1.2)
    assert float((twin(vector({one.name: one.mean for one in found.estimates})) - measured.observed).std()) < 0.3 * NOISE


def test_a_refit_says_what_is_wrong_with_a_twin() -> None:
    one = model(Problem.of(pairs(), "multiplicative"))
    with pytest.raises(BadInput, match=r"predicted \(1,\) values, finite or not; expected 48 finite ones"):
        refitted([one], lambda many: [[torch.ones(1, dtype=torch.float64)] for _ in many])
    with pytest.raises(BadInput, match="the twin's prediction in row 0 is -1; expected a positive one"):
        refitted([one], lambda many: [[-torch.ones(48, dtype=torch.float64)] for _ in many])
