"""Asking and telling in code: what is legal, what is refused, and what an optimizer says of itself."""

import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import athanor
from athanor.asked_and_told import history_of
from athanor.optimizer_file import read_optimizer
from flows.plans.plan import load_plan
from orchestrator.history import knowledge
from tests.strategies import open_spaces

SPACE = athanor.SearchSpace(
    parameters=(
        athanor.ContinuousParameter(name="T", unit="degC", min=200, max=280),
        athanor.CategoricalParameter(name="solvent", categories=("ODE", "DMF")),
    )
)
OBJECTIVE = athanor.Objective(
    targets=(
        athanor.Target(name="level", unit="V", goal="maximise", low=0, high=1),
        athanor.Target(name="warmth", unit="degC", goal="minimise", low=0, high=100, weight=0.1),
    )
)
ONE = athanor.Objective(targets=(athanor.Target(name="level", unit="V", goal="maximise"),))
QUICK = {"restarts": 1, "raw_samples": 32}
HERE: dict[str, float | str] = {"T": 240.0, "solvent": "ODE"}


def drawing(**changes: Any) -> athanor.Optimizer:
    return athanor.Optimizer(SPACE, OBJECTIVE, **{"policy": "sobol", **changes})


def level(configuration: Mapping[str, float | str]) -> float:
    return math.exp(-(((float(configuration["T"]) - 238) / 30) ** 2)) + 0.2 * (configuration["solvent"] == "DMF")


@pytest.fixture(scope="module")
def learned() -> athanor.Optimizer:
    """Return an optimizer that has asked for five experiments and was told of four."""
    optimizer = athanor.Optimizer(SPACE, ONE, seed=2, settings={"initial": 3, **QUICK})
    for _ in range(4):
        (suggestion,) = optimizer.ask()
        optimizer.tell(suggestion, {"level": level(suggestion.configuration)}, {"level": "10 mV"})
    optimizer.ask()
    return optimizer


# ---------------------------------------------------------------------- other kinds of objectives


def test_an_optimizer_of_a_front_returns_it_and_no_best() -> None:
    front = athanor.Objective(targets=OBJECTIVE.targets, kind="pareto", reference={"level": 0.2})
    optimizer = athanor.Optimizer(SPACE, front, seed=1, settings={"initial": 3, **QUICK})
    assert optimizer.front() == []
    for warmth in (80.0, 60.0, 90.0, 20.0):
        (suggestion,) = optimizer.ask()
        optimizer.tell(suggestion, {"level": 0.1 if warmth == 20.0 else warmth / 100, "warmth": warmth})
    assert [one.values["warmth"] for one in optimizer.front()] == [90.0, 80.0, 60.0]
    assert optimizer.ask()[0].policy == "bayesian/2"
    with pytest.raises(athanor.BadInput, match=r"no best measurement; ask front\(\)"):
        optimizer.best()


def test_an_optimizer_that_maps_a_response_is_saved_and_asked_again(tmp_path: Path) -> None:
    optimizer = athanor.Optimizer(SPACE, athanor.Objective(targets=ONE.targets, kind="explore"), settings={"initial": 2, **QUICK})
    for _ in range(2):
        (suggestion,) = optimizer.ask()
        optimizer.tell(suggestion, {"level": level(suggestion.configuration)})
    optimizer.save(tmp_path / "optimizer.json")
    again = athanor.Optimizer.load(tmp_path / "optimizer.json")
    assert [one.configuration for one in again.ask(2)] == [one.configuration for one in optimizer.ask(2)]
    with pytest.raises(athanor.BadInput, match="no best measurement"):
        optimizer.best()
    with pytest.raises(athanor.BadInput, match="no front"):
        optimizer.front()


# ---------------------------------------------------------------------- asking


def test_a_suggestion_says_number_values_and_expectations_with_units(learned: athanor.Optimizer) -> None:
    (suggestion,) = learned.pending
    assert suggestion.number == 5
    assert suggestion.policy == "bayesian/2"
    assert suggestion.acquisition is not None
    assert suggestion.predicted["level"].sd > 0
    assert str(suggestion).startswith(f"5: T {suggestion.configuration['T']:.6g} degC, solvent ")
    assert "; expected, with 90 % interval: level " in str(suggestion)
    assert str(suggestion).endswith(" V")


def test_what_was_asked_is_pending_until_it_is_told() -> None:
    optimizer = drawing()
    first, second = optimizer.ask(2)
    assert [one.number for one in optimizer.pending] == [1, 2]
    optimizer.tell(first, {"level": 0.4, "warmth": 20})
    assert optimizer.pending == [second]
    optimizer.tell(second, failed=True)
    assert not optimizer.pending


def test_what_runs_elsewhere_is_kept_apart_from(learned: athanor.Optimizer, tmp_path: Path) -> None:
    learned.save(tmp_path / "o.json")
    asked, elsewhere = (athanor.Optimizer.load(tmp_path / "o.json") for _ in range(2))
    (alone,) = asked.ask()
    (beside,) = elsewhere.ask(pending=[alone, *elsewhere.pending])
    assert beside.configuration != alone.configuration
    assert not any(one.configuration == alone.configuration for one in elsewhere.pending), "nobody asked for it here"


def test_an_experiment_that_nobody_asked_for_counts_as_one(tmp_path: Path) -> None:
    optimizer = drawing()
    optimizer.tell(HERE, {"level": "350 mV", "warmth": "300 K"})
    optimizer.tell({"T": "513.15 kelvin", "solvent": "ODE"}, {"level": 0.4, "warmth": 27})
    frame = optimizer.to_frame()
    assert frame["number"].tolist() == [1, 1], "the second is a replicate of the first"
    assert frame["level"].tolist() == pytest.approx([0.35, 0.4])
    assert frame["warmth"].tolist() == pytest.approx([26.85, 27])
    assert optimizer.ask()[0].number == 2


def test_a_configuration_that_was_asked_for_is_recognised() -> None:
    optimizer = drawing()
    (suggestion,) = optimizer.ask()
    celsius = f"{suggestion.configuration['T']!r} degC"
    optimizer.tell({**suggestion.configuration, "T": celsius}, {"level": 1, "warmth": 2})
    assert not optimizer.pending
    assert optimizer.to_frame()["policy"].tolist() == ["sobol/1"]


def test_a_suggestion_that_was_typed_with_fewer_digits_is_the_one_that_waits_and_another_experiment_is_not() -> None:
    optimizer = drawing()
    near, far = optimizer.ask(2)
    typed = {**near.configuration, "T": round(float(near.configuration["T"]), 1)}
    optimizer.tell(typed, {"level": 1, "warmth": 2})
    assert [one.number for one in optimizer.pending] == [far.number]
    assert optimizer.to_frame()["T"].tolist()[0] == typed["T"], "those digits were carried out"
    aside = float(far.configuration["T"])
    optimizer.tell({**far.configuration, "T": aside + 5 if aside < 270 else aside - 5}, {"level": 1, "warmth": 2})
    assert [one.number for one in optimizer.pending] == [far.number]


def test_the_model_learns_from_what_was_carried_out() -> None:
    optimizer = drawing()
    (suggestion,) = optimizer.ask()
    optimizer.tell(suggestion, {"level": 0.5, "warmth": 1}, measured={"T": "281.5 degC"})
    assert optimizer.to_frame()["T"].tolist() == [281.5], "a readback may lie beyond what may be asked for"
    best = optimizer.best()
    assert best is not None
    assert best.configuration["T"] == 281.5


def test_a_used_up_table_gives_fewer_suggestions_and_then_none() -> None:
    space = SPACE.evolve(candidates=({"T": 210, "solvent": "ODE"}, {"T": 220, "solvent": "DMF"}))
    optimizer = athanor.Optimizer(space, ONE, policy="random")
    assert len(optimizer.ask(5)) == 2
    assert optimizer.ask() == []


def test_a_frame_is_told_whole() -> None:
    optimizer = drawing()
    rows = pd.DataFrame({"T": [210, 220], "solvent": ["ODE", "DMF"], "level": [0.1, np.float32(0.25)], "warmth": ["21 degC", "22 degC"]})
    optimizer.tell_frame(rows.assign(**{"level uncertainty": [0.01, None]}))
    frame = optimizer.to_frame()
    assert frame["level"].tolist() == [0.1, 0.25]
    assert frame["level uncertainty"].tolist()[0] == 0.01
    assert frame["status"].tolist() == ["measured", "measured"]
    again = drawing()
    again.tell_frame(frame[["T", "solvent", "level", "warmth", "level uncertainty"]])
    assert again.to_frame().equals(frame)


# ---------------------------------------------------------------------- refusing

BOTH = {"level": 1.0, "warmth": 2.0}
EXPECTED = "expected level in V, warmth in degC"
ROW = {**HERE, **BOTH}
REFUSED: dict[str, tuple[Callable[[athanor.Optimizer], object], str]] = {
    "values missing": (lambda o: o.tell(HERE), f"values of no target; {EXPECTED}"),
    "values partial": (lambda o: o.tell(HERE, {"level": 1}), f"values of level; {EXPECTED}"),
    "a name": (lambda o: o.tell(HERE, {"level": 1, "heat": 2}), f"values of level, heat; {EXPECTED}"),
    "a unit": (lambda o: o.tell(HERE, {**BOTH, "level": "3 mL"}), "target level: '3 mL' has the wrong unit; expected one"),
    "an unknown unit": (lambda o: o.tell(HERE, {**BOTH, "level": "3 blorp"}), "target level: '3 blorp' has the wrong unit"),
    "no number": (lambda o: o.tell(HERE, {**BOTH, "level": math.nan}), "target level: 'nan' is not finite"),
    "an absent value": (lambda o: o.tell(HERE, {**BOTH, "level": None}), "target level: None is not a quantity"),  # type: ignore[dict-item]
    "a decimal comma": (lambda o: o.tell(HERE, {**BOTH, "level": "0,4"}), "target level: '0,4' is not a quantity"),
    "beyond a bound": (lambda o: o.tell({**HERE, "T": 281}, BOTH), "configuration: T = 281.0 is outside 200 to 280 degC"),
    "a missing column": (lambda o: o.tell({"T": 240}, BOTH), "missing ['solvent'], unknown []; expected T, solvent"),
    "an unknown column": (lambda o: o.tell({**HERE, "p": 1}, BOTH), "there is no parameter 'p'; there are T, solvent"),
    "an unknown name": (lambda o: o.tell({**HERE, "solvent": "THF"}, BOTH), "solvent = 'THF' is none of ODE, DMF"),
    "no configuration": (lambda o: o.tell(7, BOTH), "configuration 7: expected a suggestion"),  # type: ignore[arg-type]
    "an uncertainty of nothing": (lambda o: o.tell(HERE, BOTH, {"heat": 1}), "uncertainty of 'heat', which is no target"),
    "no uncertainty": (lambda o: o.tell(HERE, BOTH, {"level": 0}), "uncertainty of level: 0; expected above 0"),
    "values of a failure": (lambda o: o.tell(HERE, BOTH, failed=True), "an experiment that is failed has no values; got level, warmth"),
    "a bare value": (lambda o: o.tell(HERE, 7), "values 7: expected a value by target: level in V, warmth in degC"),  # type: ignore[arg-type]
    "a bare uncertainty": (lambda o: o.tell(HERE, BOTH, 7), "uncertainties 7: expected a value by target"),  # type: ignore[arg-type]
    "a series": (lambda o: o.tell(pd.Series(HERE), BOTH), "configuration T 240.0 solvent ODE"),
    "an array": (lambda o: o.tell(HERE, {**BOTH, "level": np.eye(9)}), "target level: array([[1., 0.,"),  # type: ignore[dict-item]
    "beyond any model": (lambda o: o.tell(HERE, {**BOTH, "level": "-1e200 V"}), "target level: -1e+200 is too large for a model"),
    "beyond any float": (lambda o: o.tell(HERE, {**BOTH, "level": 10**400}), "is not finite"),
    "a frame's column twice": (
        lambda o: o.tell_frame(pd.DataFrame([[1, 2]], columns=["level", "level"])),
        "column 'level' is there twice",
    ),
    "half an experiment": (lambda o: o.ask(1.5), "ask for 1.5 experiments; expected a whole number"),  # type: ignore[arg-type]
    "a text of experiments": (lambda o: o.ask("2"), "ask for '2' experiments"),  # type: ignore[arg-type]
    "one pending": (lambda o: o.ask(pending=o.ask()[0]), "expected a list of suggestions or configurations"),  # type: ignore[arg-type]
    "both": (lambda o: o.tell(HERE, failed=True, infeasible=True), "infeasible or failed, not both"),
    "no reason": (lambda o: o.tell(HERE, infeasible=""), "infeasible = '': expected True, or the reason in a few words"),
    "a stranger": (lambda o: o.tell(drawing(seed=9).ask(2)[1], BOTH), "suggestion 2 was not made by this optimizer"),
    "measured elsewhere": (lambda o: o.tell(HERE, BOTH, measured={"solvent": "THF"}), "measured: solvent = 'THF' is none"),
    "a frame's column": (
        lambda o: o.tell_frame(pd.DataFrame([{**ROW, "note": "x"}])),
        "row 0: column 'note' is no parameter, target or uncertainty; expected T",
    ),
    "a frame's second row": (
        lambda o: o.tell_frame(pd.DataFrame([ROW, {**ROW, "T": 290}])),
        "row 1: configuration: T = 290.0 is outside 200 to 280 degC",
    ),
    "none": (lambda o: o.ask(0), "ask for 0 experiments; expected a whole number, at least 1"),
    "pending beyond": (lambda o: o.ask(pending=[{**HERE, "T": 199}]), "pending: T = 199.0 is outside 200 to 280 degC"),
    "no model to predict": (lambda o: o.predict([HERE]), "policy sobol/1 has no model to predict with"),
    "a prediction beyond": (lambda o: o.predict([HERE, {**HERE, "T": 1}]), "configuration 1: T = 1.0 is outside 200 to 280 degC"),
    "nothing to explain": (lambda o: o.explain(o.ask()[0]), "was drawn without a model (sobol/1): there is nothing to explain"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_in_one_line_and_nothing_is_told(case: str) -> None:
    optimizer = drawing()
    optimizer.tell(HERE, {"level": 1, "warmth": 2})
    before = optimizer.to_frame()
    do, expected = REFUSED[case]
    with pytest.raises(athanor.BadInput) as caught:
        do(optimizer)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    after = optimizer.to_frame()
    assert after[after["status"] != "pending"].equals(before)


def test_an_unknown_uncertainty_may_be_written_in_any_way_of_pandas() -> None:
    rows = pd.DataFrame([ROW, {**ROW, "T": 250.0}])
    for unknown in (None, math.nan, np.float32("nan"), pd.NA, pd.NaT):
        optimizer = drawing()
        optimizer.tell_frame(rows.assign(**{"level uncertainty": pd.Series([0.5, unknown], dtype=object)}))
        assert optimizer.to_frame()["level uncertainty"].isna().tolist() == [False, True]


def test_a_frame_keeps_a_parameter_called_as_a_column_of_its_own() -> None:
    space = athanor.SearchSpace(parameters=(athanor.ContinuousParameter(name="status", min=0, max=1),))
    optimizer = athanor.Optimizer(space, ONE, policy="sobol")
    optimizer.tell({"status": 0.5}, {"level": 1})
    frame = optimizer.to_frame()
    assert frame[["number_", "status_", "status"]].values.tolist() == [[1, "measured", 0.5]]
    optimizer.tell_frame(frame[["status", "level"]])


def test_a_parameter_and_a_target_of_one_name_are_refused() -> None:
    target = athanor.Target(name="T", unit="degC", goal="maximise")
    with pytest.raises(athanor.BadInput, match="T is both a parameter and a target"):
        athanor.Optimizer(SPACE, athanor.Objective(targets=(target,)))


def test_optimizers_in_two_threads_suggest_as_each_alone() -> None:
    def suggest(_: int) -> list[athanor.Suggestion]:
        optimizer = athanor.Optimizer(SPACE, ONE, seed=2, settings={"initial": 2, **QUICK})
        for temperature in (210, 240, 270):
            optimizer.tell({"T": temperature, "solvent": "ODE"}, {"level": level({"T": temperature, "solvent": "ODE"})})
        return optimizer.ask(2)

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(suggest, range(4)))
    assert together == [suggest(0)] * 4


def test_wrong_settings_are_refused_in_one_line() -> None:
    for wrong, expected in (
        ({"policy": "greedy"}, "unknown policy 'greedy'; expected one of bayesian, random, sobol"),
        ({"policy": "bayesian", "settings": {"start": 3}}, "settings of policy 'bayesian': unknown key start"),
        ({"seed": -1}, "optimizer: general.seed = -1"),
        ({"task": {"solvent": "ODE"}}, 'prior and task belong to kind = "default"'),
        ({"guard": False}, "guard = False belongs to a prior"),
        ({"prior": "nowhere.pt"}, "there is no prior nowhere.pt; `athanor meta-train` makes one"),
    ):
        with pytest.raises(athanor.BadInput) as caught:
            drawing(**wrong)
        assert expected in str(caught.value)
        assert "\n" not in str(caught.value)


# ---------------------------------------------------------------------- expecting and explaining


def test_predictions_have_units_intervals_and_both_parts_of_their_spread(learned: athanor.Optimizer) -> None:
    frame = learned.predict([HERE, {"T": "473.15 kelvin", "solvent": "DMF"}])
    assert frame["configuration"].tolist() == [0, 1]
    assert set(frame["unit"]) == {"V"}
    assert frame["sd"].tolist() == pytest.approx(np.hypot(frame["epistemic"], frame["aleatoric"]).tolist())
    assert (frame["high"] - frame["low"]).tolist() == pytest.approx((2 * 1.6448536269514722 * frame["sd"]).tolist())
    assert learned.predict(pd.DataFrame([HERE])).iloc[0].equals(frame.iloc[0])


def test_a_suggestion_is_explained_by_what_was_known_when_it_was_made(learned: athanor.Optimizer, tmp_path: Path) -> None:
    learned.save(tmp_path / "o.json")
    optimizer = athanor.Optimizer.load(tmp_path / "o.json")
    (suggestion,) = learned.pending
    found = optimizer.explain(suggestion)
    assert found.players == ("T", "solvent")
    explained = found.base["mean level"] + sum(found.effects["mean level"])
    assert explained == pytest.approx(suggestion.predicted["level"].mean), "Shapley values add up to what was predicted"
    assert found.alternatives
    assert found.alternatives[0].units["T"] == "degC"
    optimizer.tell(suggestion, {"level": 7.0})
    assert optimizer.explain(suggestion) == found
    with pytest.raises(athanor.BadInput, match="suggestion 5 was not made by this optimizer"):
        drawing().explain(suggestion)


def test_why_a_recipe_cannot_work_is_told_and_kept(tmp_path: Path) -> None:
    optimizer = drawing()
    optimizer.tell(HERE, infeasible="it clogged")
    optimizer.tell({**HERE, "T": 260}, infeasible=True)
    optimizer.save(tmp_path / "optimizer.json")
    history = history_of(read_optimizer(tmp_path / "optimizer.json").events)
    assert [met.reason for met in knowledge(history).infeasible] == ["it clogged", ""]


def test_the_best_is_the_one_with_the_highest_objective() -> None:
    optimizer = drawing()
    assert optimizer.best() is None
    for celsius, value in ((210, 0.2), (220, 0.9), (230, 0.5)):
        optimizer.tell({"T": celsius, "solvent": "ODE"}, {"level": value, "warmth": 20})
    optimizer.tell(HERE, infeasible=True)
    best = optimizer.best()
    assert best is not None
    assert (best.number, best.configuration["T"], best.values) == (2, 220, {"level": 0.9, "warmth": 20})
    assert best.objective == OBJECTIVE.score_measured(best.values)
    assert repr(optimizer) == "<Optimizer of level, warmth: 4 experiments told, 0 pending, seed 0>"


# ---------------------------------------------------------------------- files


def test_a_file_without_bench_or_table_is_for_an_optimizer_alone(tmp_path: Path) -> None:
    file = tmp_path / "free.toml"
    file.write_text(
        '[campaign]\nname = "free"\nbudget = 9\nbatch = 3\nseed = 4\n\n[[parameters]]\nname = "x"\nkind = "continuous"\nmin = 0\nmax = 1\n'
        '[candidates]\nfile = "pool.csv"\n\n[[targets]]\nname = "y"\ngoal = "maximise"\n\n[policy]\nkind = "random"\n'
    )
    (tmp_path / "pool.csv").write_text("x\n0.125\n0.5\n0.75\n1\n")
    optimizer = athanor.Optimizer.from_file(file)
    assert {float(one.configuration["x"]) for one in [*optimizer.ask(), *optimizer.ask(1)]} == {0.125, 0.5, 0.75, 1}
    with pytest.raises(athanor.BadInput, match=r"a campaign has either a bench \(campaign.bench\) or a table"):
        load_plan(file)
    file.write_text(file.read_text().replace('"random"', '"greedy"'))
    with pytest.raises(athanor.BadInput, match="unknown policy 'greedy'"):
        athanor.Optimizer.from_file(str(file))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(space=open_spaces(), values=st.lists(st.floats(-1e6, 1e6), max_size=4), seed=st.integers(0, 2**31 - 1))
def test_whatever_was_told_is_the_same_after_saving(tmp_path: Path, space: athanor.SearchSpace, values: list[float], seed: int) -> None:
    optimizer = athanor.Optimizer(space, ONE, seed=seed, policy="random")
    optimizer.ask(2)
    for value in values:
        told = optimizer.pending or optimizer.ask()
        if told:
            optimizer.tell(told[0], {"level": value})
    optimizer.save(tmp_path / "o.json")
    loaded = athanor.Optimizer.load(tmp_path / "o.json")
    assert loaded.space == space
    assert loaded.to_frame().equals(optimizer.to_frame())
    assert loaded.pending == optimizer.pending
    assert loaded.ask(2) == optimizer.ask(2)
