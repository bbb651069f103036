"""A guard with learned beliefs: its process is theirs, its evidence an integral, and old checkpoints keep the old guard."""

import math

import numpy as np
import pytest
import torch

from models.base import TargetData
from models.gaussian_processes.beliefs import Belief, Beliefs, Density, learned
from models.gaussian_processes.believed import BelievedLearner
from models.gaussian_processes.noise import NoiseModel
from models.inputs.encoding import Encoding
from models.inputs.features import Descriptors, Features
from models.source_basis.believing import BelievingFresh, believing_fresh
from models.source_basis.guarded import BelievingLearner, DefaultLearner, restore_default
from models.source_basis.process import Evidence, integrated, most_probable
from models.tasks import Scale, TaskData
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter
from orchestrator.domain.space import SearchSpace
from tests.learner.cases import family, generator, tasks

SPACE = SearchSpace(
    parameters=(
        ContinuousParameter(name="x", min=0, max=1),
        CategoricalParameter(name="base", categories=("a", "b", "c")),
        CompositionParameter(name="mix", components=("Ni", "Fe", "Co")),
    )
)
METALS = {"mix": {"Ni": (1.0, 0.2), "Fe": (0.0, 0.7), "Co": (0.4, 0.1)}}


def task(n: int = 12) -> TaskData:
    draws = np.random.default_rng(3)
    mix = draws.dirichlet(np.ones(3), size=n)
    rows = [
        {"x": x, "base": "abc"[i % 3], "mix.Ni": a, "mix.Fe": b, "mix.Co": c}
        for i, (x, (a, b, c)) in enumerate(zip(draws.uniform(size=n), mix, strict=True))
    ]
    Y = torch.tensor([math.sin(3 * row["x"]) + row["mix.Ni"] for row in rows], dtype=torch.float64)
    return TaskData("t", Encoding(SPACE).encode(rows), Y)


def fresh(task: TaskData, features: Features, beliefs: Beliefs | None = None) -> BelievingFresh:
    return BelievingFresh(features, beliefs or learned(), Scale(float(task.Y.mean()), float(task.Y.std())))


@pytest.mark.parametrize("descriptors", [{}, METALS])
def test_its_predictions_are_those_of_a_campaign_without_a_history_where_the_units_are_the_same(descriptors: Descriptors) -> None:
    data = task()
    model, _ = fresh(data, Features(Encoding(SPACE), descriptors)).conditioned(data)
    other = BelievedLearner.of(Encoding(SPACE)).fit([TargetData("y", data.X, data.Y, None)], seed=0)
    asked = task(30).X[12:].unsqueeze(-2)
    for noisy in (False, True):
        mine, theirs = (one.posterior(asked, observation_noise=noisy) for _, one in [(1.0, model), *other.components()])
        assert mine.mean.flatten() == pytest.approx(theirs.mean.flatten(), abs=1e-5)
        assert mine.variance.flatten() == pytest.approx(theirs.variance.flatten(), rel=1e-4)


def test_the_evidence_of_one_number_is_its_integral() -> None:
    data = task(8)
    tight = {name: Belief(one.location, 1e-3) for name, one in learned().numbers.items()}
    beliefs = Beliefs({**tight, "variance": Belief(0.7, 0.5)})
    model = fresh(data, Features(Encoding(SPACE)), beliefs)
    _, evidence = model.conditioned(data)
    density: Density = model._density(data.X, model.scale.standard(data.Y), torch.zeros_like(data.Y))
    logs = density.locations + np.eye(len(density.locations))[-2] * np.linspace(-3, 3, 301)[:, None]
    height = np.exp([-density.falling(one)[0] for one in logs]) / (0.5 * math.sqrt(2 * math.pi))
    exact = math.log(np.trapezoid(height, logs[:, -2])) - 0.5 * 8 * math.log(2 * math.pi)
    assert evidence == pytest.approx(exact, abs=0.03)


def test_the_informed_evidence_counts_what_its_logarithms_cost() -> None:
    sources = tasks()
    prior = BelievingLearner().meta_train(sources, family(), generator=generator()).informed
    y = prior.scale.standard(sources[0].Y[:8])
    found = Evidence.of(prior.skeleton, sources[0].X[:8], y, torch.full_like(y, 0.01))
    logs, likelihood = most_probable(found, prior.beliefs)
    draws = prior.beliefs.means + prior.beliefs.deviations * torch.randn(20_000, len(logs), generator=generator(), dtype=torch.float64)
    half = found.columns * prior.beliefs.coefficient_deviations.numpy()
    fixed, means = half @ half.T, prior.beliefs.coefficient_means.numpy()
    values = torch.tensor([-found.loss(means, one, fixed=fixed)[0] for one in draws.numpy()], dtype=torch.float64)
    exact = float(torch.logsumexp(values, dim=0)) - math.log(len(draws)) - 0.5 * 8 * math.log(2 * math.pi)
    approximate = integrated(found, prior.beliefs, logs)
    assert approximate == pytest.approx(exact, abs=0.4)
    assert approximate < likelihood


def test_a_checkpoint_says_which_guard_it_has() -> None:
    for learner, kind in ((DefaultLearner(), "default/1"), (BelievingLearner(), "default-beliefs/1")):
        prior = learner.meta_train(tasks(), family(), generator=generator())
        again = restore_default(prior.state(), family())
        assert again.adapt(tasks()[0].rows(range(5)), generator=generator()).name == kind
        assert type(again.fresh) is type(prior.fresh)
        assert ("name" in prior.state()) == (kind != "default/1")


def test_replicates_stand_for_what_is_believed_of_noise() -> None:
    told = NoiseModel("size", (0.05, 0.0), (), 0.0, 0.01, "replicates")
    guessed = NoiseModel("size", (0.05, 0.0), (), 0.0, 0.01, "residuals")
    features = Features(Encoding(SPACE))
    numbers = [
        believing_fresh(features, Scale(0, 1), one, learned(), variance_deviation=0.5, noise_deviation=1.5).beliefs.numbers["noise"]
        for one in (told, guessed)
    ]
    assert [(one.location, one.scale) for one in numbers] == [(pytest.approx(math.log(0.05**2)), 1.5), (-3.0, 1.0)]


def test_stated_uncertainties_are_no_less_than_the_noise() -> None:
    data = task()
    stated = TaskData(data.name, data.X, data.Y, torch.full_like(data.Y, 0.04))
    model, _ = fresh(data, Features(Encoding(SPACE))).conditioned(stated)
    assert float(model.support_noise.min()) * model.scale.spread**2 >= 0.04 - 1e-12
