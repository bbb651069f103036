"""Explanations of what adapted priors propose: mixtures under a guard, and a simulator's word for the mean."""

import math
from collections.abc import Callable
from statistics import NormalDist

import pytest
import torch

from models.explanations.mechanistic import MechanisticPrior, tabulated
from models.inputs.encoding import Encoding
from models.inputs.training_data import training_data
from models.source_basis.guarded import DefaultLearner
from models.tasks import Prior
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.values import Configuration
from orchestrator.ports import Knowledge, Observation
from orchestrator.suggestions import WITHOUT_PRIOR
from policies.bayesian import BayesianPolicy
from policies.settings import BayesianSettings
from tests.learner import cases
from tests.surrogate.family import NARROW, SCALE, YIELD, BumpPrior, learner

SETTINGS = BayesianSettings(mc_samples=64, restarts=2, raw_samples=64)
BOTH = Objective(targets=(Target(name="y", unit="%", goal="maximise", low=0, high=100), Target(name="z", goal="maximise", low=0, high=100)))


def wave(hot: torch.Tensor) -> torch.Tensor:
    """Stand in for a simulator: the temperature alone counts, from 0 at 0 degC to 1 at 400 degC."""
    return 50.0 + 20.0 * torch.sin(3.0 * hot)


def mechanistic() -> Prior:
    """Return a prior whose mean is a table of the wave, over the prior's own space: T, then t."""
    X = torch.rand(300, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return MechanisticPrior(tabulated("wave/1", X, wave(X[:, 0])), SCALE, 0.05)


def guarded() -> Prior:
    """Return the default learner's prior, with its guard, of a family over T and t."""
    return DefaultLearner().meta_train(cases.tasks(), cases.family(), generator=cases.generator())


def policy(prior: Prior, objective: Objective = YIELD) -> BayesianPolicy:
    return BayesianPolicy(NARROW, objective, SETTINGS, learner(priors=dict.fromkeys(objective.names, prior)))


def measured(count: int, objective: Objective = YIELD) -> Knowledge:
    rows: list[Configuration] = [{"t": 0.3 + 0.2 * number, "T": 110.0 + 35.0 * number} for number in range(count)]
    return Knowledge(
        tuple(Observation(row, {name: 50.0 + 12.0 * math.sin(float(row["T"]) / 130) for name in objective.names}) for row in rows)
    )


@pytest.mark.parametrize("count", [0, 5])
@pytest.mark.parametrize("make", [BumpPrior, mechanistic, guarded], ids=["mixture", "mechanistic", "guarded"])
@pytest.mark.parametrize("objective", [YIELD, BOTH], ids=["one", "two"])
def test_effects_sum_to_what_is_predicted_whatever_the_prior_is(make: Callable[[], Prior], count: int, objective: Objective) -> None:
    adapted, known = policy(make(), objective), measured(count, objective)
    batch = [one.configuration for one in adapted.propose(known, count=2, seed=3)]
    explained, expected = adapted.explain(known, batch, seed=3), adapted.predict(known, batch)
    data = training_data(Encoding(NARROW), objective, known.observations)
    surrogate = adapted.learner.fit(data, seed=0)
    deviations = surrogate.posterior(Encoding(NARROW).encode(batch).unsqueeze(-2)).variance.sqrt().squeeze(-2)
    for index, (one, prediction) in enumerate(zip(explained, expected, strict=True)):
        assert one.players == ("t", "T"), "as the campaign has them, not as the prior does"
        for place, name in enumerate(objective.names):
            assert one.base[f"mean {name}"] + sum(one.effects[f"mean {name}"]) == pytest.approx(prediction[name].mean, rel=1e-9)
            deviation = data[place].unit * float(deviations[index, place])
            assert one.base[f"sd {name}"] + sum(one.effects[f"sd {name}"]) == pytest.approx(deviation, rel=1e-9)
            assert deviation < prediction[name].sd, "what experiments would reduce, without the noise of a measurement"
        assert len(one.effects["acquisition"]) == 2
        assert math.isfinite(one.base["acquisition"])
        assert one.exploit is None or 0.0 <= one.exploit <= 1.0
        assert len(one.alternatives) == 3


def test_what_a_simulator_ignores_drives_nothing_and_what_it_knows_drives_by_its_own_amount() -> None:
    adapted, known = policy(mechanistic()), Knowledge()
    (explained,) = adapted.explain(known, [{"t": 1.0, "T": 120.0}], seed=1)
    effects = dict(zip(explained.players, explained.effects["mean y"], strict=True))
    assert abs(effects["t"]) < 0.01
    alone = float(wave(torch.tensor(120 / 400)) - wave(torch.linspace(0.25, 0.75, 1001)).mean())
    assert effects["T"] == pytest.approx(alone, abs=0.5), "64 background points stand for the mean over all"
    assert effects["T"] < -1.0


def test_explaining_changes_nothing_that_is_proposed_or_predicted_afterwards() -> None:
    for make in (BumpPrior, mechanistic):
        adapted, fresh, known = policy(make()), policy(make()), measured(5)
        batch = [one.configuration for one in adapted.propose(known, count=2, seed=3)]
        first = adapted.explain(known, batch, seed=3)
        assert adapted.explain(known, batch, seed=3) == first
        assert adapted.propose(known, count=2, seed=4) == fresh.propose(known, count=2, seed=4)
        assert fresh.explain(known, batch, seed=3) == first


def test_the_exploit_share_of_a_mixture_is_that_of_its_parts() -> None:
    known = Knowledge((Observation({"t": 0.2, "T": 105.0}, {"y": 52.0}), Observation({"t": 1.5, "T": 295.0}, {"y": 48.0})))
    adapted, x = policy(BumpPrior(4.0)), {"t": 0.7, "T": 195.0}  # parts far enough apart that one Gaussian is none of them
    encoding = Encoding(NARROW)
    surrogate = adapted.learner.fit(training_data(encoding, YIELD, known.observations), seed=0)
    (unit,) = [one.unit for one in training_data(encoding, YIELD, known.observations)]
    goal = unit * float(surrogate.posterior(encoding.encode([one.configuration for one in known.observations]).unsqueeze(-2)).mean.max())
    gain, mean = 0.0, 0.0
    for weight, model in surrogate.components():
        found = model.posterior(encoding.encode([x]))
        part = NormalDist(unit * float(found.mean), unit * float(found.variance.sqrt()))
        z = (part.mean - goal) / part.stdev
        gain += weight * part.stdev * (NormalDist().pdf(z) + z * NormalDist().cdf(z))
        mean += weight * part.mean
    assert len(surrogate.components()) == 2
    (explained,) = adapted.explain(known, [x], seed=3)
    assert 0.1 < (mean - goal) / gain < 0.95
    assert explained.exploit == pytest.approx((mean - goal) / gain, rel=0.01)


def test_the_guards_mixture_is_one_where_it_is_explained() -> None:
    data = training_data(Encoding(NARROW), YIELD, measured(2).observations)
    assert len(learner(priors={"y": guarded()}).fit(data, seed=0).components()) == 2


def test_a_proposal_notes_what_the_guard_expects_of_it_and_only_where_there_is_one() -> None:
    known = measured(5)
    (one,), (again,) = (policy(guarded()).propose(known, count=1, seed=3) for _ in range(2))
    assert one == again, "a replay finds it too"
    data = training_data(Encoding(NARROW), YIELD, known.observations)
    alone = learner(priors={"y": guarded()}).fit(data, seed=0).without_prior()
    assert alone is not None
    x = Encoding(NARROW).encode([one.configuration])
    assert one.details[WITHOUT_PRIOR]["y"]["mean"] == pytest.approx(data[0].unit * alone.posterior(x).mean.item())
    assert one.details[WITHOUT_PRIOR]["y"]["mean"] != pytest.approx(one.predicted["y"].mean, rel=1e-3)
    (unguarded,) = policy(BumpPrior()).propose(known, count=1, seed=3)
    assert WITHOUT_PRIOR not in unguarded.details
