"""`[twin]` of a bench file: which twin, in which names and units; whatever does not fit is one line."""

from pathlib import Path

import pytest

from flows.cli.init import Template, scaffold
from flows.plans.plan import load_plan, stored_plan
from flows.plans.twins.bound import BoundTwin
from flows.studies.cdse import cdse_conditions, cdse_configurations
from orchestrator.domain.records import BEGINS, CampaignRecord
from orchestrator.errors import BadInput
from simulators.twins.cdse import CDSE
from tests.plugins.writing import install

CDSE_TWIN = """
[twin]
chemistry = "cdse/1"
outputs = { wavelength = "emission" }

[twin.inputs]
temperature = "T"
residence_time = "tau"
selenium = "c_se"
ligand = "stocks.ligand.L * (1 - c_se / stocks.se.Se - ratio * c_se / stocks.cd.Cd)"
cd_se_ratio = "ratio"
"""
FILM = '''
import math

from athanor.twins import Constant, Surrounding, Twin, each


def predicted(asked):
    """A film that dry air thins."""
    if asked.controls["temperature"] > 85.0:
        return "boiled"
    order = math.exp(-(((asked.controls["temperature"] - asked.constants["best"]) / 18.0) ** 2))
    return {"conductivity": 4.8e4 * order, "thickness": 1e-7 * asked.environment["humidity"]}


TWIN = Twin(
    name="film",
    version="1",
    controls={"temperature": "degC", "speed": "rpm"},
    outputs={"conductivity": "S/m", "thickness": "m"},
    predict_many=each(predicted),
    constants=(Constant("best", "degC", 63.0, sd=2.0, prior="normal"),),
    environment=(Surrounding("humidity", "percent", 40.0),),
)


def made():
    return TWIN


def fails():
    raise ValueError("no licence")


NONE = 3
'''
BY_T = 'chemistry = "twin:TWIN"\ninputs = { temperature = "T" }\n'


def film(folder: Path, section: str, code: str = FILM) -> Path:
    """Write the function template with a twin; return the campaign file."""
    scaffold(folder, Template.FUNCTION)
    bench = folder / "bench.toml"
    bench.write_text(bench.read_text() + section)
    (folder / "twin.py").write_text(code)
    return folder / "campaign.toml"


def bound(file: Path) -> BoundTwin:
    found = load_plan(file, prior_later=True).twin
    assert found is not None
    return found


def test_a_bench_without_a_twin_has_none(tmp_path: Path) -> None:
    assert load_plan(film(tmp_path, "")).twin is None


def test_the_scaffolds_chemistry_is_bound_as_its_plant_mixes_it(tmp_path: Path) -> None:
    scaffold(tmp_path)
    bench = tmp_path / "bench.toml"
    bench.write_text(bench.read_text() + CDSE_TWIN)
    twin = bound(tmp_path / "campaign.toml")
    assert twin.outputs == {"wavelength": "emission", "fwhm": "fwhm", "quantum_yield": "quantum_yield"}
    for row in cdse_configurations(8, seed=1):
        controls, conditions = twin.situation(row).controls, cdse_conditions(row)
        assert controls == pytest.approx({name: getattr(conditions, name) for name in CDSE.controls})


@pytest.mark.parametrize("name", ["./twin.py:TWIN", "twin:TWIN", "twin:made", "./twin.py:made"])
def test_a_twin_may_be_a_thing_or_a_function_beside_the_bench_file(tmp_path: Path, name: str) -> None:
    twin = bound(film(tmp_path, f'[twin]\nchemistry = "{name}"\ninputs = {{ temperature = "T" }}\n'))
    asked = twin.situation({"T": 63.0, "speed": 1800.0}, {"humidity": 50.0})
    (predicted,) = twin.twin.predict([asked])
    assert isinstance(predicted, dict)
    assert twin.scale("conductivity") == pytest.approx((0.01, 0.0))
    assert predicted == pytest.approx({"conductivity": 4.8e4, "thickness": 5e-6})
    assert twin.situation({"T": 63.0, "speed": 1800.0}).environment == {"humidity": 40.0}


def test_a_twin_may_come_with_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(install(tmp_path / "site", "acme-films", FILM, {"athanor.twins": {"acme/1": "acme_films:TWIN"}})))
    plan = load_plan(film(tmp_path / "lab", '[twin]\nchemistry = "acme/1"\ninputs = { temperature = "T" }\n'))
    assert plan.twin is not None
    assert plan.snapshot["files"]["twin acme/1"].startswith("acme-films 1.2, sha256 ")


def test_a_twin_may_stand_in_a_module_that_python_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(install(tmp_path / "site", "brown-films", FILM, {})))
    plan = load_plan(film(tmp_path / "lab", '[twin]\nchemistry = "brown_films:TWIN"\ninputs = { temperature = "T" }\n'))
    assert "sha256" in plan.snapshot["files"]["twin brown_films:TWIN"]


def test_the_bench_file_may_know_constants_better(tmp_path: Path) -> None:
    section = (
        '[twin]\nchemistry = "twin:TWIN"\ninputs = { temperature = "T" }\nconstants.best = { value = "333.15 K", sd = 1.0, max = 70 }\n'
    )
    (best,) = bound(film(tmp_path, section)).twin.constants
    assert best.value == pytest.approx(60.0)
    assert (best.sd, best.high, best.prior, best.calibratable) == (1.0, 70.0, "normal", True)


@pytest.mark.parametrize(
    ("section", "told"),
    [
        (
            'chemistry = "cdse/9"',
            "twin 'cdse/9' is unknown; known: cdse-segmented/1, cdse/1, mos2/1",
        ),
        (
            'chemistry = "twin:TWIN"',
            "inputs.temperature is missing: twin film/1 needs it in degC, and nothing has its name; there are T, speed",
        ),
        (
            'chemistry = "twin:TWIN"\ninputs = { temperature = "speed" }',
            "inputs.temperature of twin film/1: 'speed' gives 1 / [time]",
        ),
        (
            'chemistry = "twin:TWIN"\ninputs = { temperature = "T", speed = "20 s" }',
            "inputs.speed: '20 s' has the wrong unit; expected one that converts to rpm",
        ),
        (
            'chemistry = "twin:TWIN"\ninputs = { temperature = "T", pressure = 1 }',
            "inputs: twin film/1 has no control 'pressure'; it has temperature, speed",
        ),
        (
            BY_T + 'outputs = { haze = "thickness" }',
            "outputs: the campaign measures no 'haze'; it has conductivity",
        ),
        (
            BY_T + 'outputs = { conductivity = "haze" }',
            "twin film/1 has no output 'haze'; it has conductivity, thickness",
        ),
        (
            BY_T + 'outputs = { conductivity = "thickness" }',
            "outputs.conductivity: twin film/1 gives thickness in m; expected a unit that converts to S/cm",
        ),
        (
            'chemistry = "mos2/1"',
            "inputs.temperature is missing: twin mos2/1 needs it in degC",
        ),
        (
            'chemistry = "mos2/1"\ninputs = { temperature = "T", flux = 0.01, sulfur = 50, time = "10 min" }',
            "predicts coverage, grain, bilayer, vacancies, quality, the campaign measures conductivity",
        ),
        (
            BY_T + "constants.worst = { value = 1 }",
            "twin film/1 has no constant 'worst'; it has best",
        ),
        (
            BY_T + 'constants.best = { value = "1 s" }',
            "constant best: '1 s' has the wrong unit; expected one that converts to degC",
        ),
        (
            BY_T + 'environment = { light = "lux" }',
            "twin film/1 knows no surrounding 'light'; it has humidity",
        ),
        (
            'chemistry = "twin:fails"',
            "cannot be made: ValueError: no licence",
        ),
        (
            'chemistry = "twin:NONE"',
            "is 3; expected an athanor.twins.Twin",
        ),
        (
            'chemistry = "twin:HERE"',
            "it has no 'HERE'",
        ),
        (
            'chemistry = "elsewhere:TWIN"',
            "ModuleNotFoundError",
        ),
        (
            'chemistry = "twin:TWIN"\nphysics = 1',
            "unknown key twin.physics; legal here: chemistry, inputs, outputs, environment, constants",
        ),
        (
            'chemistry = "twin:TWIN"\nconstants.best = { mean = 1 }',
            "unknown key twin.constants.best.mean; legal here: value, prior, sd, min, max, calibratable",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path: Path, section: str, told: str) -> None:
    with pytest.raises(BadInput) as refused:
        load_plan(film(tmp_path, f"\n[twin]\n{section}\n"))
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "bench.toml" in str(refused.value)


def test_a_changed_twin_is_a_changed_campaign(tmp_path: Path) -> None:
    file = film(tmp_path, "[twin]\n" + BY_T)
    plan = load_plan(file)
    assert plan.snapshot["files"]["./twin.py"] == FILM
    record = CampaignRecord.model_construct(name="films", snapshot={**plan.snapshot, **BEGINS})
    assert stored_plan(record).twin is not None
    (tmp_path / "twin.py").write_text(FILM.replace("4.8e4", "4.9e4"))
    with pytest.raises(BadInput, match=r"\./twin.py is not what the campaign was carried out with"):
        stored_plan(record)


ROOM = """
[instruments.room]
driver = "./room.py:Room"

[environment.{name}]
channel = "room.room"
reference = "22 degC"
"""
LOGGER = '''
from athanor.drivers import Driver, Identity, channel


class Room(Driver):
    """Reads how warm the room is."""

    LINKS = ()

    def identify(self) -> Identity:
        """Say what it is."""
        return self.expected(Identity("Acme", "1", None, None))

    @channel("degC")
    def room(self) -> float:
        """Temperature of the room."""
        return 22.0
'''


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("temperature", "[environment.temperature] has the name of a control of twin film/1; expected another one"),
        ("best", "[environment.best] has the name of a constant of twin film/1"),
        ("elapsed", "[environment.elapsed] has the name of the lab time since the first run"),
    ],
)
def test_what_is_recorded_has_a_name_of_its_own(tmp_path: Path, name: str, told: str) -> None:
    file = film(tmp_path, f"{ROOM.format(name=name)}\n[twin]\n{BY_T}")
    (tmp_path / "room.py").write_text(LOGGER)
    with pytest.raises(BadInput) as refused:
        load_plan(file)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [("false_alarm = 3", "false_alarm"), ("learn = 7", "learn"), ('then = "stop"', "then"), ("allowance = 1", "allowance")],
)
def test_a_drift_that_cannot_be_watched_is_one_line(tmp_path: Path, keys: str, complaint: str) -> None:
    file = film(tmp_path, f"[twin]\n{BY_T}\n[twin.drift]\n{keys}\n")
    with pytest.raises(BadInput, match=rf"bench\.toml: (unknown key )?twin\.drift\.{complaint}") as raised:
        load_plan(file, prior_later=True)
    assert "\n" not in str(raised.value)


def test_a_drift_is_watched_for_as_the_bench_file_says(tmp_path: Path) -> None:
    twin = bound(film(tmp_path, f'[twin]\n{BY_T}\n[twin.drift]\nlearn = 12\nthen = "pause"\n'))
    assert twin.drift is not None
    assert (twin.drift.false_alarm, twin.drift.learn, twin.drift.then) == (500.0, 12, "pause")
    assert bound(film(tmp_path / "without", f"[twin]\n{BY_T}")).drift is None
