"""Asking and telling where a parameter is there with some categories only."""

import pandas as pd
import pytest

import athanor

SPACE = athanor.SearchSpace(
    parameters=(
        athanor.CategoricalParameter(name="solvent", categories=("water", "DMF")),
        athanor.ContinuousParameter(name="base", unit="mL", min=1, max=3, when={"solvent": ("DMF",)}, otherwise=0),
    )
)
OBJECTIVE = athanor.Objective(targets=(athanor.Target(name="y", goal="maximise"),))


def test_what_is_absent_may_be_left_out_and_is_refused_with_another_value() -> None:
    optimizer = athanor.Optimizer(SPACE, OBJECTIVE, policy="sobol")
    optimizer.tell({"solvent": "water"}, {"y": 1.0})
    optimizer.tell({"solvent": "DMF", "base": "2 mL"}, {"y": 2.0})
    optimizer.tell_frame(pd.DataFrame({"solvent": ["water", "DMF"], "base": [float("nan"), 3.0], "y": [1.5, 2.5]}))
    told = optimizer.to_frame()
    assert told["solvent"].tolist() == ["water", "water", "DMF", "DMF"]
    assert told["base"].isna().tolist() == [True, True, False, False]
    assert told["base"].dropna().tolist() == [2.0, 3.0]
    refused: tuple[tuple[dict[str, float | str], str], ...] = (
        ({"solvent": "water", "base": 2.0}, "base = 2.0: base is there only where solvent is DMF; expected 0 mL"),
        ({"solvent": "DMF"}, "missing"),
    )
    for given, said in refused:
        with pytest.raises(athanor.AthanorError, match=said):
            optimizer.tell(given, {"y": 1.0})
