"""Runs of one batch share what nobody recorded: what had one value in each batch is named on the evidence of batches, not of runs."""

from dataclasses import replace

import pytest
import torch

from models.twin.analysis import analyse
from models.twin.factors import find, orders_of
from models.twin.groups import Group
from models.twin.model import BATCH, UNEXPLAINED, Problem, model
from models.twin.pairs import Channel, Columns, Conditions, Pairs
from models.twin.posterior import corrected
from orchestrator.errors import BadInput
from tests.discrepancy.making import normal, repeats
from tests.discrepancy.making import pairs as single

PLATES, WELLS = 12, 10


def plates(*, seed: int, apart: float = 1.0, effect: float = 0.0, labelled: bool = True, columns: int = 1) -> Pairs:
    """Wells on plates that lie `apart` noises from each other; one humidity a plate, which moves wells by `effect` noises a deviation."""
    rows = PLATES * WELLS
    plate = torch.arange(rows) // WELLS
    humidity = normal(PLATES, 1, seed=seed)
    humidity = (humidity - humidity.mean()) / humidity.std(correction=0)
    X = torch.rand(rows, columns, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    none = torch.zeros(rows, 0, dtype=torch.float64)
    heads = Columns(tuple(f"x{number}" for number in range(columns)), (Channel("humidity", "%"),))
    conditions = Conditions(heads, X, humidity[plate], 10 + X[:, 0], none, none)
    y = conditions.mean + apart * normal(PLATES, seed=1000 + seed)[plate] + effect * humidity[plate, 0] + normal(rows, seed=2000 + seed)
    return Pairs(conditions, y, batches=tuple(f"P{number}" for number in plate.tolist()) if labelled else ())


def humidity_named(**made: float) -> bool:
    return any("humidity" in one.together for one in find(Problem.of(plates(**made), "additive")).named)  # type: ignore[arg-type]  # numbers


def test_plates_that_differ_are_no_effect_of_their_humidity() -> None:
    wrongly = sum(humidity_named(seed=seed) for seed in range(30))
    blind = sum(humidity_named(seed=seed, labelled=False) for seed in range(30))
    assert wrongly <= 4  # of a binomial of 30 and 0.05 more come once in 60 times
    assert blind >= 8  # what batches are for


def test_an_effect_on_the_same_plates_is_named_and_what_would_settle_it_is_said() -> None:
    found = analyse(plates(seed=3, effect=2.0, apart=0.5))
    (one,) = (each for each in found.findings if each.factor == "humidity")
    assert one.named
    assert "vary humidity within a batch" in one.settle


def test_what_is_not_named_is_said_to_be_not_settled() -> None:
    (one,) = (each for each in analyse(plates(seed=0)).findings if each.factor == "humidity")
    assert not one.named
    assert "vary humidity within a batch" in one.settle


def test_what_varies_within_batches_has_nothing_to_be_settled() -> None:
    made = plates(seed=3, effect=2.0)
    E = made.conditions.environment + 0.1 * normal(PLATES * WELLS, 1, seed=9)
    found = analyse(replace(made, conditions=replace(made.conditions, environment=E)))
    assert next(each for each in found.findings if each.factor == "humidity").settle == ""


def test_orders_give_each_batch_the_runs_of_one_other() -> None:
    made = single()
    sizes = [3] * 8 + [6] * 4
    labels = tuple(f"B{number}" for number, size in enumerate(sizes) for _ in range(size))
    batched = replace(made, batches=labels)
    codes = batched.batch_codes
    orders = orders_of(batched.sample_codes, 1, codes)
    assert orders[0].tolist() == list(range(len(codes)))
    moved = codes[orders]
    for number in range(len(sizes)):
        own = moved[:, codes == number]
        assert (own == own[:, :1]).all()
    small = orders[1:][(moved[1:, :3] < 8).all(dim=1)][:, :3]
    assert (small.sort(dim=1).values.diff(dim=1) == 1).all()  # all three runs of a batch, turned
    assert len({tuple(one) for one in moved.tolist()}) > 50  # of the 72 ways to turn and to order four blocks of three batches


def test_a_batch_of_its_own_for_each_run_changes_nothing() -> None:
    made = single(effect=1.0)
    alone = replace(made, batches=tuple(map(str, range(len(made.observed)))))
    assert find(Problem.of(made, "additive")).p_values == find(Problem.of(alone, "additive")).p_values
    assert not alone.batched


def test_what_batches_share_is_a_variance_of_its_own_beside_that_of_repeats() -> None:
    fitted = model(Problem.of(plates(seed=5), "additive"))
    assert fitted.variance(BATCH) == pytest.approx(1.0, rel=0.8)
    assert fitted.noise == pytest.approx(1.0, rel=0.3)
    made = replace(single(), repeats=repeats(), batches=tuple(str(row // 8) for row in range(48)))
    assert {BATCH, UNEXPLAINED} < set(model(Problem.of(made, "additive")).fitted.components.names)


def test_intervals_for_a_new_batch_hold_what_batches_differ_by() -> None:
    made = plates(seed=5, apart=2.0)
    labelled, blind = (model(Problem.of(one, "additive")) for one in (made, replace(made, batches=())))
    first = [corrected(one, made.conditions) for one in (labelled, blind)]
    widths = [float((one.upper - one.lower).mean()) for one in first]
    assert widths[0] > 5 * widths[1]
    assert widths[0] == pytest.approx(2 * 1.645 * 2.0, rel=0.6)


def test_a_sample_of_two_batches_is_refused() -> None:
    made = single(readings=2)
    with pytest.raises(BadInput, match="a sample of a twin's pairs is of two batches; expected one"):
        replace(made, batches=tuple(map(str, range(len(made.observed)))))
    with pytest.raises(BadInput, match=r"3 batches of a twin's pairs; expected one for each of 96 rows"):
        replace(made, batches=("a", "b", "b"))


def test_a_named_channel_that_is_constant_on_batches_tells_its_share_beside_the_batches() -> None:
    found = analyse(plates(seed=3, effect=2.0))
    assert {"humidity", BATCH} <= {one.name for one in found.split.divergence}
    assert Group("humidity", channel=0) in found.factors.groups
