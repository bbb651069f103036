"""Simulated families: batched physics, seeds, noise, randomisation, the mechanistic mean."""

from collections import Counter
from statistics import fmean

import numpy as np
import pytest
import torch

from flows.studies.alloys import NOISE, STANDARDS, alloy_elements, alloy_tasks
from flows.studies.cdse import cdse_conditions, cdse_configurations, cdse_space, cdse_tasks, task_descriptors, task_group
from flows.studies.emission_noise import EmissionNoise
from models.explanations.mechanistic import MechanisticLearner, tabulated
from models.inputs.encoding import Encoding
from models.inputs.features import Features
from models.meta_learning.randomisation import randomise
from models.tasks import Family, TaskData
from orchestrator.errors import BadInput
from simulators.chemistry.cdse import CdSeConstants, CdSeOutcome, draw_task, simulate_one
from simulators.chemistry.cdse_batch import simulate_many, simulate_pairs


@pytest.mark.long
def test_simulating_many_at_once_gives_what_one_by_one_gives() -> None:
    rows = cdse_configurations(100, seed=3)
    pairs = [(cdse_conditions(row), draw_task(np.random.default_rng([1, i]))) for i, row in enumerate(rows)]
    alone, batched = [simulate_one(*pair) for pair in pairs], simulate_pairs(pairs)
    apart = [abs(one.emission_nm - other.emission_nm) for one, other in zip(alone, batched, strict=True)]
    # most agree to rounding; the others amplify it, one by one as here (see growth_batch)
    assert np.quantile(apart, 0.6) < 1e-8
    assert max(apart) < 2.0


def test_a_synthesis_does_not_depend_on_those_beside_it() -> None:
    conditions = [cdse_conditions(row) for row in cdse_configurations(40, seed=5)]
    assert simulate_many(conditions, CdSeConstants())[10:15] == simulate_many(conditions[10:15], CdSeConstants())


def test_tasks_are_the_same_under_a_seed_and_others_under_another_start() -> None:
    both = cdse_tasks(2, 12, 8)
    assert both == cdse_tasks(2, 12, 8)
    assert cdse_tasks(1, 12, 8, start=1) == both[1:]
    assert not {str(row) for row in both[0][1]} & {str(row) for row in both[1][1]}


def test_a_tasks_name_says_its_class() -> None:
    assert task_group("selenourea/amine/3") == "selenourea/amine"
    assert task_descriptors("selenourea/amine/3") == (0.0, 0.0, 1.0, 0.0, 0.0, 1.0)


def test_noise_has_its_stated_size() -> None:
    outcome = CdSeOutcome("completed", 0.9, 580.0, 40.0, 0.3, 3.0)
    generator, noise = np.random.default_rng(0), EmissionNoise(bubbles=0.0)
    values = [noise.observe({}, outcome, generator).values for _ in range(2000)]
    assert np.std([one["wavelength"] for one in values]) == pytest.approx(0.041, rel=0.1)
    assert np.std([one["fwhm"] for one in values]) == pytest.approx(0.12, rel=0.1)


def task(fidelity: str = "simulated") -> TaskData:
    X = torch.rand(60, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return TaskData("t", X, 500.0 + 80.0 * X[:, 0], torch.full((60,), 0.01, dtype=torch.float64), fidelity=fidelity)  # type: ignore[arg-type]  # both legal


def test_randomisation_keeps_shapes_and_follows_its_seed() -> None:
    one, other = (randomise(task(), torch.Generator().manual_seed(4)) for _ in range(2))
    assert one.Y.shape == task().Y.shape
    assert torch.equal(one.Y, other.Y)
    assert not torch.equal(one.Y, task().Y)


def test_measured_tasks_are_not_randomised() -> None:
    with pytest.raises(BadInput, match="only simulated"):
        randomise(task("measured"), torch.Generator())


@pytest.mark.long
def test_a_mechanistic_mean_beats_a_constant_on_a_simulated_task() -> None:
    rows = cdse_configurations(150, seed=6)
    X = Encoding(cdse_space()).encode(rows)
    conditions = [cdse_conditions(row) for row in rows]
    base, judged = (
        torch.tensor([one.emission_nm or torch.nan for one in simulate_many(conditions, constants)], dtype=torch.float64)
        for constants in (CdSeConstants(), draw_task(np.random.default_rng([9, 1])))
    )
    known = torch.isfinite(judged) & torch.isfinite(base)
    X, Y = X[known], judged[known]
    source = TaskData("base", X, base[known])
    learner = MechanisticLearner(tabulated("base/1", X, base[known]))
    prior = learner.meta_train([source], Family(Features(Encoding(cdse_space())), "wavelength"), generator=torch.Generator())
    surrogate = prior.adapt(TaskData("judged", X[:6], Y[:6]), generator=torch.Generator())
    error = (surrogate.posterior(X[6:].unsqueeze(-2)).mean.flatten() - Y[6:]).square().mean().sqrt()
    assert float(error) < 0.5 * float((Y[6:] - Y[:6].mean()).square().mean().sqrt())


def test_alloys_have_other_elements_in_each_task_and_their_fractions_sum_to_one() -> None:
    tasks = alloy_tasks(12, 40, 5)
    assert tasks == alloy_tasks(12, 40, 5)
    assert len({alloy_elements(name) for name, _ in tasks}) == 12
    for name, rows in tasks:
        there = {column for row in rows for column, fraction in row.configuration.items() if fraction}
        assert there == {f"alloy.{element}" for element in alloy_elements(name).split("-")}
        assert all(sum(map(float, row.configuration.values())) == pytest.approx(1.0) for row in rows)


def test_pure_metals_are_measured_three_times_and_mixtures_once() -> None:
    for name, rows in alloy_tasks(6, 60, 5):
        counts = Counter(tuple(row.configuration.values()) for row in rows)
        repeated = [fractions for fractions, count in counts.items() if count == STANDARDS]
        assert sorted(map(max, repeated)) == [1.0] * len(alloy_elements(name).split("-"))
        assert set(counts.values()) == {1, STANDARDS}


def test_repeated_measurements_of_alloys_scatter_as_said() -> None:
    spreads = [
        np.var([row.values["property"] for row in rows if row.configuration == pure], ddof=1)
        for _, rows in alloy_tasks(60, 13, 5)
        for pure in [rows[0].configuration]
    ]
    assert np.sqrt(np.mean(spreads)) == pytest.approx(NOISE, rel=0.2)


def test_kin_alloys_are_about_one_property_and_others_are_not() -> None:
    def tungsten(kin: bool) -> list[float]:
        found = [rows for name, rows in alloy_tasks(12, 20, 5, kin=kin) if "W" in alloy_elements(name)]
        return [fmean(row.values["property"] for row in rows if row.configuration["alloy.W"] == 1.0) for rows in found]

    assert np.std(tungsten(True)) < 2 * NOISE < np.std(tungsten(False))


@pytest.mark.parametrize(("count", "rows"), [(0, 50), (2, 12), (2, 201)])
def test_alloys_that_cannot_be_drawn_are_refused(count: int, rows: int) -> None:
    with pytest.raises(BadInput, match=rf"family alloys: {count} tasks with {rows} rows; expected at least one, with 13 to 200 rows"):
        alloy_tasks(count, rows, 1)
