"""Adapted priors in a campaign's terms: units, encodings, several targets, and what is kept."""

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError

from models.base import TargetData
from models.gaussian_processes.conditioning import Conditioned
from models.inputs.encoding import Encoding
from models.inputs.features import Features
from models.meta_learning.adapted import adapted_learner, fingerprint
from models.meta_learning.checkpoint import PriorFile
from models.source_basis.guarded import DefaultLearner
from models.tasks import Family, TaskData
from orchestrator.domain.objective import Target
from orchestrator.domain.surrogate_spec import SurrogateSpec
from orchestrator.errors import BadInput
from tests.surrogate.family import NARROW, WIDE, BumpPrior, encoding, learner

ROWS = ({"t": 0.5, "T": 210.0}, {"t": 1.2, "T": 120.0}, {"t": 0.8, "T": 290.0})


def data(name: str = "y", unit: float = 10.0, values: tuple[float, ...] = (81.0, 60.0, 52.0)) -> TargetData:
    X = encoding().encode(ROWS[: len(values)])
    return TargetData(name, X, torch.tensor(values, dtype=torch.float64) / unit, unit=unit)


def test_without_a_measurement_the_prior_speaks_in_its_own_unit() -> None:
    surrogate = learner().fit([data(values=(), unit=10.0)], seed=0)
    top, far = encoding().encode([{"t": 40 / 60, "T": 200.0}, {"t": 1.5, "T": 300.0}])
    mean = surrogate.posterior(top.view(1, -1)).mean.item() * 10
    assert mean == pytest.approx(50 + 0.5 * 20 * 2)
    assert surrogate.posterior(far.view(1, -1)).mean.item() * 10 < mean


@pytest.mark.parametrize("unit", [0.1, 1.0, 100.0])
def test_the_unit_of_the_data_changes_nothing_but_the_numbers(unit: float) -> None:
    x = encoding().encode([{"t": 0.9, "T": 180.0}])
    one, other = learner().fit([data(unit=1.0)], seed=0), learner().fit([data(unit=unit)], seed=0)
    torch.testing.assert_close(one.posterior(x).mean, other.posterior(x).mean * unit)
    for left, right in zip(one.variance_parts(x), other.variance_parts(x), strict=True):
        torch.testing.assert_close(left, right * unit**2)


def test_several_targets_are_joined_block_by_block() -> None:
    surrogate = learner(priors={"y": BumpPrior(), "z": BumpPrior(-1.0)}).fit([data(), data("z", 1.0, (49.0, 51.0))], seed=0)
    X = encoding().encode(ROWS)
    for _, model in surrogate.components():
        joint = model.posterior(X)
        assert joint.mean.shape == (3, 2)
        # not interleaved: all points of one target, then all of the next
        covariance = joint.distribution.covariance_matrix
        assert torch.equal(covariance[:3, 3:], torch.zeros(3, 3, dtype=X.dtype))
        assert float(covariance[:3, :3].diagonal().min()) > 0
    weights = [weight for weight, _ in surrogate.components()]
    assert math.fsum(weights) == pytest.approx(1)
    assert len(weights) <= 4


def test_a_product_of_components_weighs_what_its_factors_do() -> None:
    surrogate = learner(priors={"y": BumpPrior(), "z": BumpPrior(-1.0)}).fit([data(values=()), data("z", values=())], seed=0)
    assert [weight for weight, _ in surrogate.components()] == pytest.approx([0.25] * 4)


def test_components_that_weigh_nothing_are_left_out() -> None:
    # far from the bump's values: the likelihood leaves next to nothing of it
    surrogate = learner(priors={"y": BumpPrior(9.0)}).fit([data(values=(50.0, 50.0, 50.0))], seed=0)
    ((weight, model),) = surrogate.components()
    assert weight == 1.0
    assert isinstance(model.models[0], Conditioned)


def test_single_points_agree_with_joint_ones() -> None:
    surrogate = learner().fit([data()], seed=0)
    X = encoding().encode(ROWS)
    single, joint = surrogate.posterior(X.unsqueeze(-2)), surrogate.posterior(X)
    torch.testing.assert_close(single.mean.squeeze(-2), joint.mean)
    torch.testing.assert_close(single.variance.squeeze(-2), joint.variance, atol=1e-6, rtol=1e-6)


def test_the_same_data_are_adapted_to_once_whatever_their_order_and_seed() -> None:
    sizes: list[int] = []
    taught = learner(priors={"y": BumpPrior(calls=(sizes,))})
    one = data()
    first = taught.fit([one], seed=1)
    order = torch.tensor([2, 0, 1])
    second = taught.fit([TargetData("y", one.X[order], one.Y[order], unit=one.unit)], seed=2)
    assert second.parts[0] is first.parts[0]
    taught.fit([data(values=(81.0, 60.0))], seed=1)
    assert sizes == [3, 2]


def test_any_change_of_the_data_changes_their_fingerprint() -> None:
    one = data()
    variants = (
        TargetData("z", one.X, one.Y, unit=one.unit),
        TargetData("y", one.X + 1e-12, one.Y, unit=one.unit),
        TargetData("y", one.X, one.Y + 1e-12, unit=one.unit),
        TargetData("y", one.X, one.Y, torch.full_like(one.Y, 0.1), unit=one.unit),
    )
    assert len({fingerprint(other) for other in (one, *variants)}) == 5


def prior_file(*, unit: str = "%", column: bool = False) -> PriorFile:
    from models.meta_learning.checkpoint import TaskColumn

    def restore(_name: str, state: object, family: Family) -> BumpPrior:
        return BumpPrior()

    return PriorFile(
        name="bump",
        space=WIDE,
        targets=(Target(name="y", unit=unit, goal="maximise"),),
        tasks={"y": ()},
        trained={"default": {"y": {}}},
        task_columns=(TaskColumn("size", 1.0, 3.0),) if column else (),
        restore=restore,
    )


SPEC = SurrogateSpec(prior="x.pt")
TARGET = Target(name="y", unit="%", goal="maximise")


def test_a_target_in_another_unit_is_converted() -> None:
    taught = adapted_learner(prior_file(unit="dimensionless"), NARROW, (TARGET,), SPEC)
    x = encoding().encode([{"t": 0.9, "T": 180.0}])
    # the prior's level of 50 is 5,000 %
    assert taught.fit([data(values=(), unit=1.0)], seed=0).posterior(x).mean.item() > 5000


@pytest.mark.parametrize(
    ("unit", "task", "says"),
    [
        ("nm", {}, "target y is in nm there and in % here"),
        ("%", {"size": 2.0}, "no task descriptor 'size'"),
        ("%", {"solvent": "ODE"}, "no task descriptor 'solvent'"),
    ],
)
def test_a_prior_that_does_not_fit_is_refused_in_one_line(unit: str, task: dict[str, float | str], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        adapted_learner(prior_file(unit=unit), NARROW, (TARGET,), SurrogateSpec(prior="x.pt", task=task))


def test_what_is_known_about_the_task_reaches_the_prior_scaled() -> None:
    taught = adapted_learner(prior_file(column=True), NARROW, (TARGET,), SurrogateSpec(prior="x.pt", task={"size": 2.0}))
    assert taught.task.tolist() == [0.5]


def test_a_target_that_the_prior_does_not_know_is_named() -> None:
    with pytest.raises(BadInput, match="knows no target 'q'"):
        adapted_learner(prior_file(), NARROW, (Target(name="q", goal="maximise"),), SPEC)


def test_a_device_that_priors_do_not_use_is_refused_and_not_passed_over() -> None:
    with pytest.raises(ValidationError, match="'cpu' or 'auto'"):
        SurrogateSpec.model_validate({"prior": "x.pt", "device": "cuda"})


def test_the_guard_takes_part_unless_it_is_left_out() -> None:
    X = torch.rand(3, 12, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    tasks = [TaskData(str(number), rows, 50.0 + 10.0 * torch.sin(3.0 * rows[:, 0])) for number, rows in enumerate(X)]
    known = Family(Features(Encoding(WIDE)), "y", "%")
    prior = DefaultLearner().meta_train(tasks, known, generator=torch.Generator().manual_seed(0))

    def weights(*, guard: bool) -> Mapping[str, float]:
        file = replace(prior_file(), restore=lambda _name, _state, _family: prior)
        taught = adapted_learner(file, NARROW, (TARGET,), SurrogateSpec(prior="x.pt", guard=guard))
        found: Mapping[str, float] = taught.fit([data(values=(), unit=1.0)], seed=0).description()["y"]["weights"]
        return found

    assert list(weights(guard=True)) == ["prior", "fresh"]
    assert weights(guard=False) == {"prior": 1.0}
