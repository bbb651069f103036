"""Which twin a dry run goes by, and that the simulated tube runs it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.plans.twins.dry import DECLARED, DryTwin, dry_twin, twin_of_session
from flows.plans.twins.files import Learned, LearnedConstant, write_revision
from flows.plans.twins.finding import find_twin
from instruments.bench.file import load_bench
from instruments.lab_processes import plant_process
from orchestrator.domain.records import CampaignRecord
from orchestrator.errors import BadInput
from simulators import plant as plants
from simulators.chemistry.cdse import CdSeChemistry, CdSeConstants
from simulators.chemistry.family import Passage, Product
from simulators.responses import ResponseSection, Room
from simulators.twins.declaration import Situation
from simulators.twins.terms import Term
from simulators.twins.tube import RunningTwin

EXAMPLE = Path(__file__).parents[2] / "examples" / "twins" / "cdse" / "wires"
HUMID = Term("quantum_yield", "power", "humidity", "percent", 40.0)
AGED = Term("emission", "linear", "elapsed", "day", scale=1.0)
WARM = Term("temperature", "constant")
PASSAGE = Passage(245.0, 60.0, {"Cd": 0.02, "Se": 0.01, "L": 1.5}, left=43200.0, surroundings={"logger.humidity": 60.0})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXAMPLE, tmp_path / "wires", ignore=shutil.ignore_patterns(".*", "__pycache__", "twins")))


def taught(folder: Path, runs: int, terms: tuple[Term, ...] = (), *, base: str = "cdse/1", rate: float = 0.07) -> str:
    strengths = tuple(LearnedConstant(one.name, 0.4, "delta_degC" if one is WARM else "", 0.1) for one in terms)
    constants = (LearnedConstant("precursor_rate", rate, "1/s", 0.05), *strengths)
    return write_revision(folder, "cdse", base=base, constants=constants, learned=Learned(campaign="c", runs=runs), terms=terms)


def chosen(folder: Path, wanted: str | None = None, **changed: str) -> DryTwin:
    bench = folder / "bench.toml"
    for old, new in changed.items():
        assert old in bench.read_text()
        bench.write_text(bench.read_text().replace(old, new))
    return dry_twin(load_bench(bench), wanted)


def running(folder: Path, wanted: str | None = None) -> RunningTwin:
    found = chosen(folder, wanted).running
    assert found is not None
    return RunningTwin.model_validate(json.loads(found.model_dump_json()))


# ---------------------------------------------------------------------- which


def test_without_a_revision_the_plant_file_stays_and_nothing_is_said(folder: Path) -> None:
    assert chosen(folder) == DryTwin()
    assert chosen(folder).snapshot == {}


def test_the_newest_revision_is_gone_by_and_said(folder: Path) -> None:
    taught(folder, 3)
    newest = taught(folder, 4, (HUMID,))
    found = chosen(folder)
    assert found.lines == (f"the simulated tube runs twin {newest} (cdse/1-r2); humidity as logger.humidity says",)
    assert found.snapshot["dry_twin"]["name"] == newest


def test_a_revision_of_another_twin_is_passed_over_and_said(folder: Path) -> None:
    own = taught(folder, 3)
    other = taught(folder, 4, base="cdse-segmented/1")
    found = chosen(folder)
    assert found.running is not None
    assert found.running.name == own
    assert found.lines[0] == f"twin {other} is not gone by: it revises cdse-segmented/1, and the bench's is cdse/1"
    with pytest.raises(BadInput, match=r"cdse-r2.toml revises cdse-segmented/1; expected cdse/1"):
        chosen(folder, other)


def test_another_one_may_be_chosen_by_name(folder: Path) -> None:
    first = taught(folder, 3)
    second = taught(folder, 4, (HUMID,), base=first)
    taught(folder, 5)
    assert running(folder, first).terms == ()
    assert running(folder, second).terms == (HUMID,)
    assert running(folder, "cdse/1").constants == CDSE_VALUES
    assert running(folder, DECLARED).constants == CDSE_VALUES
    with pytest.raises(BadInput, match="twin mos2/1 is another one; expected cdse/1, which is the bench's, a revision of it, or declared"):
        chosen(folder, "mos2/1")


CDSE_VALUES = find_twin("cdse/1", Path()).twin.values


def test_what_the_bench_file_says_of_constants_counts_for_its_own_twin_alone(folder: Path) -> None:
    taught(folder, 3)
    bench = folder / "bench.toml"
    bench.write_text(bench.read_text().replace("solubility = {", 'solubility = { value = "0.002 mol/m^3",'))
    assert running(folder, DECLARED).constants["solubility"] == 0.002
    assert running(folder).constants["solubility"] == CDSE_VALUES["solubility"]


def test_terms_of_all_revisions_before_are_kept(folder: Path) -> None:
    first = taught(folder, 3, (HUMID,))
    taught(folder, 4, (WARM,), base=first)
    assert running(folder).terms == (HUMID, WARM)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (
            'family = "cdse"',
            'family = "cdse"\nconstants_seed = 11',
            r"the plant file gives its tube hidden constants \(.*seed = 11\)",
        ),
        ('family = "cdse"', 'family = "./humid.py:HUMID"', r"the plant file lets ./humid.py:HUMID flow through its tube"),
        ("volume_ml = 2.0", "volume_ml = 2.0\nsegmented = true", r"the plant file lets cdse-segmented/1 flow through its tube"),
    ],
)
def test_a_tube_in_which_another_chemistry_flows_runs_no_twin_and_that_is_said(folder: Path, old: str, new: str, why: str) -> None:
    name, plant = taught(folder, 3), folder / "plant.toml"
    plant.write_text(plant.read_text().replace(old, new))
    found = chosen(folder)
    assert found.running is None
    with pytest.raises(BadInput, match=f"^twin {name} is not what is simulated: {why}, which is not twin cdse/1$"):
        chosen(folder, name)
    assert len(found.lines) == 1


def test_what_no_stand_in_of_the_room_says_stands_at_its_reference(folder: Path) -> None:
    taught(folder, 3, (HUMID,))
    plant = folder / "plant.toml"
    plant.write_text(plant.read_text().replace('kind = "daily"', 'kind = "smooth"'))
    assert chosen(folder).lines[0].endswith("; humidity at its reference, 40 percent")
    assert running(folder).surroundings == {}


def test_a_bench_without_a_twin_goes_by_none(folder: Path) -> None:
    bench = folder / "bench.toml"
    bench.write_text(bench.read_text().partition("[twin]")[0])
    assert chosen(folder) == DryTwin()
    with pytest.raises(BadInput, match="has no twin; --twin declared needs one"):
        chosen(folder, DECLARED)


# ---------------------------------------------------------------------- a campaign that has begun


def test_a_campaign_that_has_begun_goes_on_by_what_it_began_with(folder: Path) -> None:
    first = taught(folder, 3)
    bench = load_bench(folder / "bench.toml")
    began = CampaignRecord(name="c", snapshot=twin_of_session(bench, "dry", None, None).snapshot)
    second = taught(folder, 4)
    kept = twin_of_session(bench, "dry", began, None)
    assert kept.running is not None
    assert kept.running.name == first
    assert kept.lines == (f"the simulated tube goes on as twin {first} (cdse/1-r1)",)
    assert twin_of_session(bench, "dry", began, first).running == kept.running
    with pytest.raises(BadInput, match=rf"campaign c began with {first} in the simulated tube; {second} needs a campaign in another lab"):
        twin_of_session(bench, "dry", began, second)


def test_what_the_ledger_kept_is_the_same_twin_in_whatever_order(folder: Path) -> None:
    taught(folder, 3, (HUMID,))
    found = running(folder)
    kept = RunningTwin.model_validate_json(json.dumps(found.model_dump(mode="json"), sort_keys=True))
    assert list(kept.constants) != list(found.constants)
    assert kept.digest == found.digest
    assert kept.model_copy(update={"label": "cdse/2"}).digest != found.digest


def test_a_campaign_that_began_with_the_plant_file_alone_goes_on_so(folder: Path) -> None:
    bench = load_bench(folder / "bench.toml")
    began = CampaignRecord(name="c", snapshot=twin_of_session(bench, "dry", None, None).snapshot)
    taught(folder, 3)
    assert twin_of_session(bench, "dry", began, None) == DryTwin()
    assert twin_of_session(bench, "live", None, None) == DryTwin()


def test_a_plant_that_runs_another_twin_is_not_taken(folder: Path) -> None:
    taught(folder, 3)
    document = chosen(folder).document
    assert document is not None
    running_note = {"bench_sha256": "1a", "seed": 0, "rate": 1.0}
    compare = plant_process._compare
    compare({**running_note, "twin": document["digest"]}, {**running_note, "twin": document["digest"]})
    compare(running_note, {**running_note, "twin": None})
    with pytest.raises(BadInput, match=r"plant runs with twin \(sha256\) none; this command wants [0-9a-f]{12}"):
        compare(running_note, {**running_note, "twin": document["digest"]})


# ---------------------------------------------------------------------- what flows


def made(folder: Path, passage: Passage = PASSAGE) -> Product:
    return running(folder).made(["logger.humidity"]).synthesise(passage)


def test_a_revision_that_changes_nothing_flows_as_the_plant_files_chemistry_does(folder: Path) -> None:
    taught(folder, 3, rate=CDSE_VALUES["precursor_rate"])
    found, plain = made(folder), CdSeChemistry(CdSeConstants()).synthesise(PASSAGE)
    for name in ("conversion", "emission_nm", "fwhm_nm", "quantum_yield", "absorbance"):
        assert getattr(found, name) == pytest.approx(getattr(plain, name), rel=1e-6)
    assert made(folder, replace(PASSAGE, concentrations={"Cd": 0.02})).reason == "no-particles"


def test_what_flows_is_what_the_revision_says_in_the_surroundings_of_its_time(folder: Path) -> None:
    name = taught(folder, 3, (HUMID, AGED, WARM))
    twin = find_twin(name, folder).twin
    controls = {"temperature": 245.0, "residence_time": 60.0, "selenium": 0.01, "ligand": 1.5, "cd_se_ratio": 2.0}
    (said,) = twin.predict([Situation(controls, twin.values, {"humidity": 60.0, "elapsed": 0.5})])
    assert not isinstance(said, str)
    found = made(folder)
    assert (found.emission_nm, found.quantum_yield) == pytest.approx((said["emission"], said["quantum_yield"]), rel=1e-9)
    damp = made(folder, replace(PASSAGE, surroundings={"logger.humidity": 80.0}))
    assert damp.quantum_yield == pytest.approx(found.quantum_yield * (60.0 / 80.0) ** 0.4, rel=1e-9)


def test_a_room_is_as_its_logger_says_without_the_loggers_noise() -> None:
    section = ResponseSection(kind="daily", mean=40.0, day_sd=10.0, day_s=3600.0, noise=0.0)
    room = Room(3, {}, declared={"logger.humidity": section}, surroundings={"logger.light": 100.0})
    hours = [3600.0 * hour for hour in range(50)]
    said = [room.answer("logger.humidity", "percent", hour) for hour in hours]
    assert said == [room.around(hour)["logger.humidity"] for hour in hours]
    assert max(said) - min(said) > 20.0
    slow = Room(3, {}, declared={"logger.humidity": section.model_copy(update={"day_s": 86400.0})})
    assert [slow.around(24.0 * hour)["logger.humidity"] for hour in hours] == pytest.approx(said)
    assert room.around(0.0)["logger.light"] != 100.0


def test_a_plant_refuses_a_twin_that_is_none_of_its_tube(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taught(folder, 3)
    document: dict[str, Any] = running(folder).model_dump(mode="json")
    file, plant = tmp_path / "twin.json", folder / "laboratory.toml"
    plant.write_text(plant.read_text().partition("[responses")[0])
    for changed, why in (({}, "the plant's tube runs a chemistry that no twin has"), ({"name": 3}, "cannot be read")):
        file.write_text(json.dumps({**document, **changed}))
        words = ["--plant", str(plant), "--folder", str(tmp_path / "plant"), "--bench-sha256", "1a", "--twin", str(file)]
        assert plants.main(words) == BadInput.exit_code
        assert why in capsys.readouterr().err
    with pytest.raises(BadInput, match="its base 'mos2/1' is none of a tube"):
        RunningTwin.model_validate({**document, "base": "mos2/1"}).made(())
    lacking = {**document, "constants": {name: value for name, value in document["constants"].items() if name != "solubility"}}
    with pytest.raises(BadInput, match="constant 'solubility' is missing or unknown"):
        RunningTwin.model_validate(lacking).made(())
    reading = {**document, "surroundings": {"humidity": {"channel": "logger.humidity", "unit": "percent"}}}
    with pytest.raises(BadInput, match=r"reads logger\.humidity, of which no stand-in"):
        RunningTwin.model_validate(reading).made(["logger.light"])
