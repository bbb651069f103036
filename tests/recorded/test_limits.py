"""Limits on what comes out where a recorded table answers, and where there is no bench at all."""

from pathlib import Path

import pytest

import athanor
from flows.plans.plan import load_plan
from orchestrator.errors import BadInput
from orchestrator.suggestions import KEPT
from tests.recorded.tables import data_dir

CAMPAIGN = """
[campaign]
name = "particles"
budget = 6
seed = 1
[recorded]
table = "lnp"
[[parameters]]
name = "drug_input"
kind = "discrete"
values = [6, 12, 24, 48]
[[parameters]]
name = "solid_lipid"
kind = "categorical"
categories = ["Compritol_888", "Glyceryl_monostearate", "Stearic_acid"]
[[parameters]]
name = "solid_lipid_input"
kind = "discrete"
values = [72, 96, 108, 120]
[[parameters]]
name = "liquid_lipid_input"
kind = "discrete"
values = [0, 12, 24, 48]
[[parameters]]
name = "surfractant_input"
kind = "discrete"
values = [0, 0.0025, 0.005, 0.01]
[[targets]]
name = "drug_loading"
goal = "maximise"
[[outcomes]]
name = "{0}"
max = 1.5
[policy]
initial = 3
"""
FREE = """
[campaign]
name = "two"
budget = 6
[[parameters]]
name = "x"
kind = "continuous"
min = 0
max = 1
[[targets]]
name = "up"
goal = "maximise"
[[outcomes]]
name = "heat"
unit = "K"
max = 0.5
[policy]
initial = 3
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "campaign.toml"
    file.write_text(text)
    return file


def test_a_recorded_table_gives_the_limited_quantity_too(tmp_path: Path) -> None:
    plan = load_plan(written(tmp_path, CAMPAIGN.format("particle_diameter")), data=data_dir())
    assert plan.policy.name == "bayesian/2"
    assert plan.objective.names == ("drug_loading", "particle_diameter")


def test_a_quantity_that_the_table_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="diameter_of_particles"):
        load_plan(written(tmp_path, CAMPAIGN.format("diameter_of_particles")), data=data_dir())


def test_an_optimizer_is_told_of_limited_quantities_and_its_best_keeps_the_limits(tmp_path: Path) -> None:
    optimizer = athanor.Optimizer.from_file(written(tmp_path, FREE))
    for x in (0.6, 0.8, 1.0):
        optimizer.tell({"x": x}, {"up": x, "heat": x})
    assert optimizer.best() is None
    (suggestion,) = optimizer.ask()
    assert suggestion.policy == "bayesian/2"
    assert suggestion.configuration["x"] < 0.6  # type: ignore[operator]  # a number
    assert 0.0 < suggestion.details[KEPT]["limits"]["heat"] <= 1.0
    optimizer.tell(suggestion, {"up": 0.4, "heat": "300 mK"})
    found = optimizer.best()
    assert found is not None
    assert found.objective == 0.4
    assert found.values["heat"] == pytest.approx(0.3)
    with pytest.raises(BadInput, match="heat"):
        optimizer.tell({"x": 0.1}, {"up": 0.1})


def test_a_saved_optimizer_knows_its_limits(tmp_path: Path) -> None:
    optimizer = athanor.Optimizer.from_file(written(tmp_path, FREE))
    for x in (0.1, 0.4, 0.9):
        optimizer.tell({"x": x}, {"up": x, "heat": x})
    optimizer.save(tmp_path / "saved.json")
    again = athanor.Optimizer.load(tmp_path / "saved.json")
    assert again.objective == optimizer.objective
    assert again.ask(1) == optimizer.ask(1)
