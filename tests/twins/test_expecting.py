"""What the decision page says of the twin: what it expects of a proposal, and how far it was off where something was measured."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flows.plans.plan import Plan
from flows.plans.policy import policy_of
from flows.plans.twins.expecting import Expecting
from flows.review.page import PageMaker
from flows.review.rendering import markdown
from orchestrator.domain.records import Prediction, Proposal, Provenance
from orchestrator.history import History
from orchestrator.review import Quantities
from simulators.twins.declaration import Outcome, Situation
from tests.twins.films import history_of_films, plan_of, recorded
from tests.twins.test_bench import FILM

RUNS = 6
MEASURED = [{"conductivity": 300.0 + 20.0 * place} for place in range(RUNS)]
OF_HUMIDITY = FILM.replace("4.8e4 * order", '4.8e4 * order * (1 - 0.01 * (asked.environment["humidity"] - 40.0))')


def by_hand(temperature: float, humidity: float = 40.0, best: float = 63.0) -> float:
    """What `FILM` and `OF_HUMIDITY` say of conductivity, in S/cm."""
    return 480.0 * float(np.exp(-(((temperature - best) / 18.0) ** 2))) * (1 - 0.01 * (humidity - 40.0))


def asked(plan: Plan, temperature: float, number: int = 99, expected: float | None = None) -> Proposal:
    predicted = {} if expected is None else {"conductivity": Prediction(mean=expected, sd=1.0)}
    return Proposal(
        proposal_id=f"p{number}",
        campaign="films",
        number=number,
        author="Ada",
        configuration={"T": temperature, "speed": 1500.0},
        steps=(),
        provenance=Provenance(policy="sobol/1", batch=2, as_of=0, seed=0, predicted=predicted),
    )


def history(plan: Plan, humidities: list[float]) -> History:
    return history_of_films(plan, MEASURED[: len(humidities)], [[recorded(one)] for one in humidities])


def expecting(plan: Plan) -> Expecting:
    assert plan.twin is not None
    return Expecting(plan.twin)


def test_it_is_asked_in_the_surroundings_of_the_last_day_and_says_how_far_it_was_off(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, code=OF_HUMIDITY)
    humidities = [30.0 + 2.0 * place for place in range(RUNS)]
    twin, (told,) = expecting(plan)(history(plan, humidities), [asked(plan, 60.0)])
    around = float(np.mean(humidities))
    assert twin["surroundings"] == [{"name": "humidity", "value": pytest.approx(around), "unit": "percent", "recorded": True}]
    gaps = np.array([one["conductivity"] - by_hand(40.0 + place, humidities[place]) for place, one in enumerate(MEASURED)])
    assert twin["off"] == {
        "conductivity": {"runs": RUNS, "mean": pytest.approx(gaps.mean()), "rms": pytest.approx(np.sqrt((gaps**2).mean()))}
    }
    one = told["expected"]["conductivity"]
    assert one["mean"] == pytest.approx(by_hand(60.0, around))
    slope = (by_hand(60.0, around, 64.0) - by_hand(60.0, around, 62.0)) / 2.0
    assert one["sd"] == pytest.approx(2.0 * abs(slope)), "two degrees is the deviation of the constant's prior"
    assert len(one["near"]) == 3
    assert set(np.round(one["near"], 6)) <= set(np.round(gaps, 6))


def test_the_nearest_run_comes_first(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    found = history(plan, [40.0] * RUNS)
    third = found.proposals["002", 1].configuration
    again = asked(plan, 60.0).evolve(configuration=dict(third))
    _, (told,) = expecting(plan)(found, [again])
    assert told["expected"]["conductivity"]["near"][0] == pytest.approx(MEASURED[2]["conductivity"] - by_hand(42.0))


def test_surroundings_of_days_before_the_last_do_not_count(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, code=OF_HUMIDITY)
    found = history(plan, [10.0, 10.0, 10.0, 50.0, 52.0, 54.0])
    runs = {
        key: run.evolve(started_lab=run.started_lab + 2 * 86400.0, ended_lab=run.ended_lab + 2 * 86400.0) if key > "002" else run
        for key, run in found.runs.items()
        if run.started_lab is not None and run.ended_lab is not None
    }
    twin, _ = expecting(plan)(replace(found, runs=runs), [asked(plan, 60.0)])
    assert twin["surroundings"][0]["value"] == pytest.approx(52.0)


def test_before_anything_was_measured_it_stands_at_its_reference(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    twin, (told,) = expecting(plan)(history(plan, []), [asked(plan, 60.0)])
    assert (twin["off"], twin["surroundings"][0]["recorded"], twin["surroundings"][0]["value"]) == ({}, False, 40.0)
    assert told["expected"]["conductivity"]["near"] == []


def test_where_nothing_can_be_measured_it_says_why(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    _, told = expecting(plan)(history(plan, [40.0]), [asked(plan, 88.0), asked(plan, 60.0, 100)])
    assert told[0] == {"reason": "boiled"}
    assert told[1].keys() == {"expected"}


def test_a_run_is_predicted_once_unless_something_of_it_changes(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    maker, count = expecting(plan), 0
    inner = maker.bound.twin.predict_many

    def counting(situations: Sequence[Situation]) -> Sequence[Outcome]:
        nonlocal count
        count += len(situations)
        return inner(situations)

    maker = Expecting(replace(maker.bound, twin=replace(maker.bound.twin, predict_many=counting)))
    found = history(plan, [40.0] * RUNS)
    of_a_proposal = 3  # and the two sides of its constant
    maker(found, [asked(plan, 60.0)])
    assert count == RUNS + of_a_proposal
    maker(found, [asked(plan, 61.0)])
    assert count == RUNS + 2 * of_a_proposal
    corrected = {**found.runs, "001": found.runs["001"].evolve(measured={"T": 44.4, "speed": 1500.0})}
    maker(replace(found, runs=corrected), [asked(plan, 61.0)])
    assert count == RUNS + 3 * of_a_proposal + 1


def page_of(plan: Plan, found: History, *proposals: Proposal) -> dict[str, object]:
    maker = PageMaker(plan, policy_of(plan), "dry")
    return dict(maker(found, proposals, {one.proposal_id: Quantities({"novelty": 0.1}) for one in proposals}))


def test_a_twin_that_fails_stops_no_decision(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, code=FILM.replace("    order =", '    raise OSError("no licence")\n    order ='))
    twin, told = expecting(plan)(history(plan, [40.0]), [asked(plan, 60.0)])
    assert told == [{}]
    assert "no licence" in twin["failed"]


def test_the_page_shows_it_and_says_where_model_and_twin_are_apart(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    found, expected = history(plan, [40.0] * RUNS), by_hand(60.0)
    page = page_of(
        plan, found, asked(plan, 60.0, expected=expected), asked(plan, 60.0, 100, expected=expected + 10.0), asked(plan, 88.0, 101)
    )
    near, apart, boiled = markdown(page).split("## Proposal ")[1:]
    head = markdown(page).split("## Proposal ")[0]
    assert "Twin film/1 at humidity 40 percent (over the last day)." in head
    assert "root mean square (6 runs)" in head
    row = next(line for line in near.splitlines() if line.startswith("| conductivity / S/cm | "))
    assert f"| {expected:.4g} |" in row
    assert "outside of the model's 90 % interval" not in near
    assert "Of conductivity the twin says something outside of the model's 90 % interval." in apart
    assert "**The twin expects nothing to measure**: boiled." in boiled
