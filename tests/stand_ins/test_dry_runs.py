"""A bench without a simulated device: from its files to a finished dry run, killed in its doses, and named for what it is."""

import json
import random
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import flows.cli
from flows.cli.init import Template, scaffold
from flows.plans.description import described
from flows.plans.plan import load_plan
from flows.plans.simulated import simulated
from instruments.bench.endpoints import at_plant
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.errors import BadInput, StoreError
from simulators.declarations import declared_in
from simulators.plantfile import LoadedPlant, PlantFile, load_plant_file
from simulators.stand_ins import with_stand_ins
from tests.faults.laboratory import Laboratory, eventually
from tests.stand_ins.benches import BATH, PUMP, SCALE, STEPS, bench_of

TEMPLATE: Final = Path(flows.cli.__file__).parent / "templates" / "devices"
SAID: Final = "stand-in for julabo from its profile; nobody has held it against a real one"


def template(folder: Path) -> Path:
    """Copy the template of three devices into a folder; return the campaign file."""
    shutil.copytree(TEMPLATE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    return folder / "campaign.toml"


def test_check_names_the_stand_ins_of_the_template_and_says_that_they_are_no_witnesses(tmp_path: Path) -> None:
    plan = load_plan(template(tmp_path))
    told = described(plan)["stand_ins"]
    assert told["circulator"] == SAID
    assert set(told) == {"circulator", "pump", "balance"}


def test_a_bench_needs_no_plant_file_and_one_may_simulate_some_of_its_links(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, BATH, SCALE, PUMP, STEPS)
    made = simulated(bench)
    assert made.plant is None
    assert set(made.stand_ins.instruments) == {"bath", "scale", "pump"}
    (tmp_path / "plant.toml").write_text(
        '[links.pump]\nkind = "serial"\n[devices.sp]\nmodel = "new-era"\nlink = "pump"\naddress = 1\nstock = {}\n'
    )
    some = simulated(bench_of(tmp_path, '[simulation]\nplant = "plant.toml"\n', BATH, SCALE, PUMP, STEPS))
    assert set(some.stand_ins.instruments) == {"bath", "scale"}
    whole = with_stand_ins(load_plant_file(some.plant or tmp_path), declared_in(some.stand_ins.document), seed=0, folder=tmp_path)
    assert set(whole.file.links) == {"bath", "scale", "pump"}
    assert set(whole.file.devices) == {"bath", "scale", "sp"}


def test_a_link_that_nothing_answers_is_still_refused_and_one_that_nobody_uses_is_not(tmp_path: Path) -> None:
    spare = '[links.spare]\nkind = "serial"\nport = "/dev/none"\n'
    bench = bench_of(tmp_path, BATH, SCALE, PUMP, spare, STEPS)
    entries = {name: {"port": f"/tmp/{name}.tty"} for name in ("bath", "scale", "pump")}
    assert set(at_plant(bench, {"endpoints": entries}).spec.links) == {"bath", "scale", "pump"}
    with pytest.raises(BadInput, match="link pump has no entry in the plant's endpoints; they name: bath, scale"):
        at_plant(bench, {"endpoints": {name: entries[name] for name in ("bath", "scale")}})


@pytest.mark.parametrize(
    ("plant", "line"),
    [
        ("[stand_ins.oven]\nlag_s = 2", "stand_ins.oven: no such stand-in; they are bath, pump, scale"),
        ('[responses."oven.weight"]\nnoise = 1', "responses: 'oven.weight' names no stand-in; they are bath, pump, scale"),
        ('[responses."scale.colour"]\nnoise = 1', "responses: scale has no channel 'colour'; it has weight, stable_weight, serial_number"),
        (
            '[links.x]\nkind = "serial"\n[devices.bath]\nmodel = "eurotherm"\nlink = "x"\nunit = 1',
            "the plant has a device 'bath', and so has the bench on link bath",
        ),
    ],
)
def test_a_plant_file_that_speaks_of_stand_ins_that_there_are_not_is_refused(plant: str, line: str, tmp_path: Path) -> None:
    (tmp_path / "plant.toml").write_text(plant)
    made = simulated(bench_of(tmp_path, '[simulation]\nplant = "plant.toml"\n', BATH, SCALE, PUMP, STEPS))
    with pytest.raises(BadInput, match=re.escape(line)):
        with_stand_ins(load_plant_file(tmp_path / "plant.toml"), declared_in(made.stand_ins.document), seed=0, folder=tmp_path)


@pytest.mark.parametrize(
    ("plant", "line"),
    [
        ("links = 3", r"links = 3; expected tables \[links.NAME\]"),
        ("[stand_ins.bath]\nlag_s = -1", r"stand_ins.bath.lag_s: .*greater than 0"),
        ('[responses."scale.weight"]\nkind = "prior"', r"responses.scale.weight: .*needs prior and inputs"),
    ],
)
def test_what_is_wrong_in_the_tables_of_stand_ins_is_told_with_its_place(plant: str, line: str, tmp_path: Path) -> None:
    (tmp_path / "plant.toml").write_text(plant)
    bench = bench_of(tmp_path, '[simulation]\nplant = "plant.toml"\n', BATH, SCALE, PUMP, STEPS)
    with pytest.raises(BadInput, match=line):
        load_plant_file(simulated(bench).plant or tmp_path)


def test_what_the_bench_writes_is_what_the_plant_reads(tmp_path: Path) -> None:
    document = simulated(bench_of(tmp_path, BATH, SCALE, PUMP, STEPS)).stand_ins.document
    declared = declared_in(json.loads(json.dumps(document)))
    assert {name: one.wire for name, one in declared.instruments.items()} == {"bath": "line", "scale": "line", "pump": "line"}
    assert declared.instruments["bath"].commands["set_temperature"].arguments["temperature"].low == 10.0  # of the bench file
    assert declared.instruments["bath"].safe == {"off": {"running": 0}}
    assert [name for name, one in declared.instruments["scale"].channels.items() if one.measured] == ["weight"]
    with pytest.raises(BadInput, match=r"declarations: instruments.bath.wire: "):
        declared_in({"links": {}, "instruments": {"bath": {**document["instruments"]["bath"], "wire": "radio"}}})
    assert with_stand_ins(LoadedPlant(PlantFile(), {}), declared, seed=0, folder=tmp_path).bodies.keys() == {"bath", "scale", "pump"}


# ---------------------------------------------------------------------- whole, with its processes


@pytest.fixture
def laboratory(tmp_path: Path) -> Iterator[Laboratory]:
    file = template(tmp_path / "lab")
    text = file.read_text().replace("budget = 8", "budget = 3\nmax_failures = 100")
    file.write_text(text + '\n[policy]\nkind = "sobol"\n')
    bench = file.parent / "bench.toml"
    fill = '[[procedure.steps]]\ndo = "pump.fill"\nwith = { volume = "antisolvent" }\n\n'  # has no evidence: a kill in it ends unknown
    text = bench.read_text().replace(fill, "").replace('time = "5 min"', 'time = "10 s"')
    bench.write_text(re.sub(r"^do = .*", r'\g<0>\ninterrupted = "continue"', text, flags=re.MULTILINE))
    plant = file.parent / "plant.toml"
    plant.write_text(plant.read_text().replace("failures = 0.03", "dose_s = 20\nfailures = 0").replace("lag_s = 120", "lag_s = 5"))
    made = Laboratory(file, file.parent / ".athanor-dry", rate=20.0, campaign="crystals")
    yield made
    made.close()


def doses(laboratory: Laboratory) -> Counter[int]:
    """Return how often a dose was begun for each proposal."""
    asked = {one.number: float(one.configuration["antisolvent"]) for one in laboratory.changes().proposals}
    begun = [one["values"] for one in laboratory.truth("pump", "dose") if one["values"]["phase"] == "start"]
    return Counter(min(asked, key=lambda number: abs(asked[number] - one["volume_mL"])) for one in begun)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.long
def test_three_declared_devices_from_their_files_to_a_finished_dry_run_killed_in_doses_and_doing_each_once(laboratory: Laboratory) -> None:
    dice, command = random.Random(6), laboratory.dry_run()
    for number, victims in enumerate((("host",), ("campaign", "supervisor", "host")), start=1):
        eventually(lambda number=number: doses_begun(laboratory) >= number, "a dose")  # type: ignore[misc]
        time.sleep(dice.uniform(0.0, 0.4))
        laboratory.kill(*victims)
        if "campaign" in victims:
            command.wait(timeout=60)
            command = laboratory.dry_run()
    ended = laboratory.ended(command)
    assert ended.code == 0, ended.err
    runs, given = laboratory.runs(), doses(laboratory)
    assert set(given.values()) == {1}
    assert sum(run.status is RunStatus.COMPLETED for run in runs) >= 2, [run.reason for run in runs]
    assert SAID in ended.out
    assert f"circulator: {SAID}" in laboratory.type("status").out.replace("\n", "")
    assert SAID in laboratory.file.parent.joinpath(".athanor-dry/reports/crystals.html").read_text()


def doses_begun(laboratory: Laboratory) -> int:
    return sum(one["values"]["phase"] == "start" for one in laboratory.truth("pump", "dose"))


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.long
def test_a_plant_that_dies_in_a_dose_leaves_it_unknown_and_done_once_at_most(laboratory: Laboratory) -> None:
    command = laboratory.dry_run()
    eventually(lambda: doses_begun(laboratory) == 1, "a dose")
    laboratory.kill("plant")
    ended = laboratory.ended(command)
    assert ended.code == 3, ended.err
    assert [run.status for run in laboratory.runs()] == [RunStatus.UNKNOWN]
    again = laboratory.ended(laboratory.dry_run())
    assert again.code == 3
    assert "resolve" in again.err or "unknown" in again.err
    assert doses_begun(laboratory) == 1


LATE: Final = """
[[targets]]
name = "purity"
unit = "percent"
goal = "maximise"
low = 0
high = 100
from = "later"

[policy]
kind = "sobol"
"""
LOOK: Final = """
[instruments.script]
driver = "python"

[instruments.script.calls.look]
function = "script:look"
arguments = { water = "mL" }
returns = { shade = "1" }
pure = true

[instruments.script.calls.burn]
function = "script:burn"
returns = { ash = { unit = "mg", min = "1 mg", max = "2 mg" } }

[procedure]
"""


@pytest.fixture
def by_hand(tmp_path: Path) -> Iterator[Laboratory]:
    folder = tmp_path / "lab"
    scaffold(folder, Template.MANUAL)
    campaign, bench = folder / "campaign.toml", folder / "bench.toml"
    text = campaign.read_text().replace("budget = 16", "budget = 4").replace("batch = 4 ", "batch = 2 ")
    campaign.write_text(text + LATE)
    steps = '}, { do = "script.burn" }, { do = "script.look", with = { water = "water" } }]'
    bench.write_text('[simulation]\nplant = "plant.toml"\n' + bench.read_text().replace("[procedure]\n", LOOK).replace("}]", steps))
    (folder / "script.py").write_text(
        "from pathlib import Path\n\ndef look(water):\n    return 2 * water\n\n"
        "def burn():\n    Path(__file__).with_name('burnt').touch()\n    return 1.5\n"
    )
    (folder / "plant.toml").write_text("[stand_ins.chemist]\ndose_s = 300\n[responses.purity]\nafter_s = 600\n")
    made = Laboratory(campaign, folder / ".athanor-dry", rate=200.0, campaign="alum")
    yield made
    made.close()


def has_answers(laboratory: Laboratory) -> bool:
    try:
        return bool(laboratory.changes().work)
    except (BadInput, StoreError):  # there is no ledger yet
        return False


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.long
def test_a_bench_of_a_person_and_a_script_is_tried_to_its_end_by_stand_ins_each_answer_once_though_the_campaign_is_killed(
    by_hand: Laboratory,
) -> None:
    command = by_hand.dry_run()
    eventually(lambda: has_answers(by_hand), "an answer")
    by_hand.kill("campaign")
    command.wait(timeout=60)
    ended = by_hand.ended(by_hand.dry_run())
    assert ended.code == 0, ended.err
    found = by_hand.changes()
    assert [run.status for run in found.runs] == [RunStatus.COMPLETED] * 4
    assert Counter((one.run_key, one.status) for one in found.work) == {(run.run_key, "accepted"): 1 for run in found.runs}
    assert {one.person for one in found.work} == {"stand-in for chemist"}
    later = [one for one in found.measurements if one.target == "purity"]
    assert Counter(one.run_key for one in later) == {run.run_key: 1 for run in found.runs}
    assert {one.by for one in later} == {"stand-in for purity"}
    assert not by_hand.file.with_name("burnt").exists()  # what may act on the world was answered for
    report = by_hand.file.parent.joinpath(".athanor-dry/reports/alum.html").read_text()
    assert "stand-in for chemist: done" in report
    told = by_hand.type("status").out.replace("\n", " ")
    assert all(f"{name}: stand-in for" in told for name in ("chemist", "script", "purity"))
