"""Families of simulated chemistries of other people: tasks for priors and benchmarks, and what reacts in a plant's tube."""

from pathlib import Path

import pytest

from flows.studies.families import FAMILIES
from flows.studies.family import find_family
from orchestrator.errors import BadInput
from simulators.chemistry.family import Passage
from simulators.plantfile import load_plant_file

DYES = """
from athanor.chemistries import Observation, Passage, Product, SimulatedFamily


def draw(tasks, rows, seed):
    made = [Observation({"x": 0.1 * row}, {"y": 0.2 * row}) for row in range(rows)]
    return tuple((f"dye {seed}/{task}", tuple(made)) for task in range(tasks))


class Dye:
    species = frozenset({"L"})

    def __init__(self, seed):
        self.seed = seed

    def synthesise(self, recipe):
        return Product("completed", 1.0, 500.0 + self.seed, 20.0, 0.5, 0.1)


DYES = SimulatedFamily(draw, {"x": "", "y": ""}, ("x",), lambda task: None, lambda task: {}, chemistry=Dye)
CHIP = SimulatedFamily(draw, {"x": "", "y": ""}, ("x",), lambda task: None, lambda task: {}, chemistry=lambda seed: seed)
PAPER = SimulatedFamily(draw, {"x": "", "y": ""}, ("x",), lambda task: None, lambda task: {})
"""
PLANT = Path(__file__).parents[2] / "examples" / "cdse" / "plant.toml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "dyes.py").write_text(DYES)
    return tmp_path


def plant_with(folder: Path, family: str) -> Path:
    text = PLANT.read_text()
    assert 'family = "cdse"' in text
    (folder / "plant.toml").write_text(text.replace('family = "cdse"', f'family = "{family}"'))
    return folder / "plant.toml"


def test_a_family_beside_the_file_that_names_it_gives_tasks(folder: Path) -> None:
    found = find_family(FAMILIES, "./dyes.py:DYES", folder)
    assert [name for name, _ in found.draw(2, 3, 7)] == ["dye 7/0", "dye 7/1"]
    assert find_family(FAMILIES, "cdse", folder) is FAMILIES["cdse"]


def test_an_unknown_family_and_one_that_is_none_are_refused(folder: Path) -> None:
    with pytest.raises(BadInput, match="family 'dyes' is unknown; known: alloys, alloys-kin, cdse, cdse-segmented"):
        find_family(FAMILIES, "dyes", folder)
    with pytest.raises(BadInput, match=r"expected an athanor.chemistries.SimulatedFamily"):
        find_family(FAMILIES, "./dyes.py:Dye", folder)


def test_a_plants_tube_takes_a_chemistry_of_other_people(folder: Path) -> None:
    make = load_plant_file(plant_with(folder, "./dyes.py:DYES")).chemistry
    assert make is not None
    assert make(3).synthesise(Passage(25.0, 60.0, {})).emission_nm == 503.0
    assert load_plant_file(plant_with(folder, "cdse")).chemistry is None
    with pytest.raises(BadInput, match=r"plant.toml: family of chemistries ./dyes.py:PAPER .* offers no chemistry for a plant"):
        load_plant_file(plant_with(folder, "./dyes.py:PAPER"))
    with pytest.raises(BadInput, match=r"CHIP .* offers no chemistry for a tube, which platform samples: no `synthesise`"):
        load_plant_file(plant_with(folder, "./dyes.py:CHIP"))
    with pytest.raises(BadInput, match="unknown family 'dyes'; known: cdse"):
        load_plant_file(plant_with(folder, "dyes"))
