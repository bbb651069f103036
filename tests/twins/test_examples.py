"""The plants of `examples/twins`: the physics of their twins with other constants and a hidden term, as anybody can run them."""

import csv
import importlib.util
import json
import math
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from lipid_mixing.twin import TWIN as LNP

from flows.plans.plan import load_plan
from orchestrator.domain.environment import RunEnvironment
from orchestrator.errors import BadInput
from simulators.diary import Diary, day_by_day
from simulators.twins.cdse import CDSE
from simulators.twins.declaration import Situation
from simulators.twins.mos2 import MOS2

EXAMPLES = Path(__file__).parents[2] / "examples"
CASES = ("cdse", "lnp", "mos2")


def copied(case: str, folder: Path, budget: int = 3) -> Path:
    """Copy an example; return its campaign file with a small budget."""
    shutil.copytree(
        EXAMPLES / "twins" / case, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("truth.jsonl", ".*", "__pycache__")
    )
    file = folder / "campaign.toml"
    file.write_text(file.read_text().replace("budget = 60", f"budget = {budget}"))
    return file


def plant_of(case: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import a plant that writes its diary into a folder."""
    monkeypatch.chdir(folder)
    spec = importlib.util.spec_from_file_location(f"plant_{case}", EXAMPLES / "twins" / case / "plant.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def lipids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let functions' own processes find the example package, as its page says."""
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES / "lnp"))


def truth(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines()]


# ---------------------------------------------------------------------- each plant is its twin and a hidden term


def test_cdse_is_its_twin_but_for_constants_and_what_humid_air_quenches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant = plant_of("cdse", tmp_path, monkeypatch)
    controls = {"temperature": 240.0, "residence_time": 60.0, "selenium": 0.01, "ligand": 1.0, "cd_se_ratio": 2.0}
    measured = plant.synthesise(**controls)
    (real,) = truth(tmp_path)
    (twin,) = CDSE.predict([Situation(controls, {name: getattr(plant.REALITY, name) for name in CDSE.values}, {})])
    assert not isinstance(twin, str)
    left = plant.left_bright(real["humidity"], Diary(tmp_path / "none", seed=11).room, 1.0)
    assert (twin["emission"], twin["fwhm"], left * twin["quantum_yield"]) == pytest.approx(
        (real["wavelength"], real["fwhm"], real["quantum_yield"])
    )
    assert 0.3 < left < 0.9
    assert abs(measured["wavelength"] - real["wavelength"]) < 5.0 * plant.NOISE["wavelength"]
    assert plant.left_bright(0.0, 22.0, 1.0) == 1.0, "dry air quenches nothing"
    assert plant.left_bright(60.0, 22.0, 3.0) > plant.left_bright(60.0, 22.0, 0.3), "ligand covers"


def test_water_boils_at_the_pressure_of_the_air(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant = plant_of("cdse", tmp_path, monkeypatch)
    assert plant.vapour_pressure(100.0, 20.0) == pytest.approx(2.339, rel=0.003)  # kPa, tables of steam
    assert plant.vapour_pressure(50.0, 30.0) == pytest.approx(0.5 * 4.247, rel=0.003)


def test_lipid_nanoparticles_are_their_twin_but_for_constants_and_the_corona(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant = plant_of("lnp", tmp_path, monkeypatch)
    row = {"flow": 6.0, "frr": 3.0, "np": 6.0, "peg": 1.5}
    plant.make(**row)
    (real,) = truth(tmp_path)
    constants = {name: asdict(plant.REALITY)[name] for name in LNP.values}
    asked = Situation({**row, "lipid": 12.5, "ph": 4.0, "hold": 1.0}, constants, {"room_temperature": real["room_temperature"]})
    (twin,) = LNP.predict([asked])
    assert not isinstance(twin, str)
    left = plant.taken_up(real["protein"], 1.5)
    assert (twin["size"], left * twin["potency"]) == pytest.approx((real["size"], real["uptake"]))
    assert 0.3 < left < 0.95
    assert plant.taken_up(0.0, 1.5) == 1.0, "no protein, no corona"
    assert plant.taken_up(1e9, 0.0) == pytest.approx(math.exp(-plant.HINDRANCE)), "all sites taken"


def test_mos2_is_its_twin_but_for_constants_and_oxidation_above_a_humidity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant = plant_of("mos2", tmp_path, monkeypatch)
    controls = {"temperature": 720.0, "flux": 0.01, "sulfur": 50.0, "time": 400.0}
    plant.grow(**controls)
    (real,) = truth(tmp_path)
    constants = {name: float(getattr(plant.REALITY, name)) for name in MOS2.values}
    (twin,) = MOS2.predict([Situation(controls, constants, {})])
    assert not isinstance(twin, str)
    lost = 2.0 * plant.retreat(real["humidity"], 993.15) * 400.0
    assert real["grain"] == pytest.approx(twin["grain"] - lost)
    assert real["coverage"] == pytest.approx(twin["coverage"] * (real["grain"] / twin["grain"]) ** 2)
    assert plant.wet(26.0) < 0.01 < 0.5 == plant.wet(52.0) < 0.99 < plant.wet(104.0)
    ratio = plant.retreat(60.0, 1100.0) / plant.retreat(60.0, 1000.0)
    assert math.log(ratio) == pytest.approx(1.0 / 8.617333e-5 * (1.0 / 1000.0 - 1.0 / 1100.0))


def test_a_film_that_oxidises_away_is_infeasible_by_the_reason_of_the_bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant = plant_of("mos2", tmp_path, monkeypatch)
    monkeypatch.setattr(plant, "RETREAT", (1.0, 1.0, 1000.0))
    with pytest.raises(Exception, match="nothing to measure") as refused:
        plant.grow(720.0, 0.01, 50.0, 400.0)
    assert type(refused.value).__name__ == "etched" == truth(tmp_path)[0]["reason"]


def test_the_weather_keeps_eight_tenths_of_the_day_before() -> None:
    days = np.array([[day_by_day(day, np.random.default_rng(seed)) for day in (3, 4, 5)] for seed in range(4000)])
    assert days.std(axis=0) == pytest.approx([1.0, 1.0, 1.0], abs=0.04)
    assert np.corrcoef(days.T)[0, 1:] == pytest.approx([0.8, 0.64], abs=0.04)


def test_a_day_lasts_some_experiments(tmp_path: Path) -> None:
    diary = Diary(tmp_path / "truth.jsonl", seed=1, runs_per_day=2)
    found = []
    for _ in range(4):
        found.append(diary.humidity)
        diary.note(humidity=diary.humidity)
    assert found[0] == found[1] != found[2] == found[3]
    assert [one["number"] for one in truth(tmp_path)] == [0, 1, 2, 3]


# ---------------------------------------------------------------------- their benches


@pytest.mark.usefixtures("lipids")
def test_what_the_twin_knows_of_the_surroundings_is_what_the_bench_records(tmp_path: Path) -> None:
    twin = load_plan(copied("lnp", tmp_path)).twin
    assert twin is not None
    assert {name: one.channel for name, one in twin.surroundings.items()} == {"room_temperature": "logger.room_temperature"}
    kept = {"channel": "logger.room_temperature", "reference": 22.0, "sd": None, "samples": 1, "coverage": 1.0, "lag": 0.1}
    recorded = RunEnvironment.model_validate({"name": "room_temperature", "unit": "degC", "mean": 19.5, **kept})
    unread = RunEnvironment.model_validate({"name": "room_temperature", "unit": "degC", "mean": None, **kept})
    assert twin.environment_of([recorded]) == {"room_temperature": 19.5}
    assert twin.environment_of([unread]) == twin.environment_of([]) == {}


@pytest.mark.usefixtures("lipids")
@pytest.mark.parametrize(
    ("section", "told"),
    [
        ('environment = { room_temperature = "cellar" }', "environment: the bench records no 'cellar'; it has protein, room_temperature"),
        ('environment = { room_temperature = "protein" }', "environment.room_temperature: logger.protein is in g/L; expected a unit that"),
    ],
)
def test_surroundings_that_do_not_fit_are_one_line(tmp_path: Path, section: str, told: str) -> None:
    file = copied("lnp", tmp_path)
    bench = tmp_path / "bench.toml"
    bench.write_text(bench.read_text() + section + "\n")
    with pytest.raises(BadInput) as refused:
        load_plan(file)
    assert told in str(refused.value)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.usefixtures("lipids")
@pytest.mark.parametrize("case", CASES)
def test_a_campaign_runs_and_records_what_its_plant_was_in(case: str, tmp_path: Path) -> None:
    file = copied(case, tmp_path)

    def typed(*words: str) -> str:
        command = [sys.executable, "-m", "flows.cli.main", *words]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    assert "knows of the surroundings" in typed("check", str(file))
    assert "3 of 3 experiments" in typed("run", str(file), "--no-view")
    typed("export", f"{case}-twin", "--out", "tables")
    rows = list(csv.DictReader((tmp_path / "tables" / "experiments.csv").read_text().splitlines()))
    real = truth(tmp_path)
    assert len(rows) == len(real) == 3
    name = "protein" if case == "lnp" else "humidity"
    (column,) = (key for key in rows[0] if key.startswith(f"environment.{name}.mean"))
    assert [float(row[column]) for row in rows] == pytest.approx([one[name] for one in real])
