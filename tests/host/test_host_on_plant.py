"""The host with the real drivers on the wires of the simulated CdSe bench; the plant's ground truth is the judge."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from instruments.bench.connect import connect
from instruments.bench.file import load_bench
from instruments.bench.procedure import Procedure
from instruments.lab_processes.state_files import read_state_file, write_state_file
from orchestrator.domain.campaign import load_campaign
from orchestrator.domain.records import Step
from orchestrator.errors import HostError
from tests.host.harness import Bench, request, until
from tests.simulator.plant_process import PlantProcess

pytestmark = pytest.mark.slow

CDSE = Path(__file__).parent.parent.parent / "examples" / "cdse"
CONFIGURATION = {"T": 240.0, "tau": 30.0, "c_se": 0.012, "ratio": 2.0}
PLANT_RATE = 60.0
POSITIONS = 'positions = "A1:H12"'
PARK = """
[[park.steps]]
do = "oven.set_temperature"
with = { temperature = "60 degC" }

[[park.steps]]
do = "pump_l.set_flow"
with = { flow = "0.05 mL/min" }
"""
PUMPS = ("pump_cd", "pump_se", "pump_l")


@dataclass(slots=True)
class PlantBench(Bench):
    """A lab over a running plant."""

    @override
    def write_files(self) -> None:
        text = (CDSE / "bench.toml").read_text().replace(POSITIONS, f"{POSITIONS}\n{self.park_after}\n")
        self.bench_file.write_text(f"{text}\n{self.park_steps}")
        document = read_state_file(self.folder / "plant" / "endpoints.json")
        write_state_file(self.folder / "endpoints.json", {**document, "bench_sha256": self.sha256})


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlantProcess]:
    folder = tmp_path_factory.mktemp("lab") / "plant"
    folder.mkdir()
    running = PlantProcess.start(folder, rate=PLANT_RATE)
    yield running
    running.stop()


@pytest.fixture
def cdse(plant: PlantProcess) -> Iterator[PlantBench]:
    made = PlantBench(plant.folder.parent, rate=PLANT_RATE, connect=connect)
    yield made
    made.close()


def _steps(bench: Bench, rule: Any) -> list[Step]:
    campaign = load_campaign(CDSE / "campaign.toml")
    expanded = Procedure(load_bench(bench.bench_file), campaign.space()).expand(CONFIGURATION)
    return [step.evolve(interrupted=rule) for step in expanded]


def _carried_out(plant: PlantProcess, run_key: str, since: float) -> dict[str, int]:
    doses = [line for line in plant.truth(event="dose") if line["t"] >= since and line["values"]["phase"] == "start"]
    counts = {pump: sum(line["device"] == pump for line in doses) for pump in PUMPS}
    return {**counts, "program": sum(line.get("run_key") == run_key for line in plant.truth("platform", "start"))}


def _now(plant: PlantProcess) -> float:
    return max((line["t"] for line in plant.truth()), default=0.0) + 1e-6


def test_a_cdse_run_is_carried_out_from_end_to_end(cdse: PlantBench, plant: PlantProcess) -> None:
    since = _now(plant)
    cdse.start()
    report = cdse.carry_out(_steps(cdse, "abort"), position="A1")
    assert report["status"] == "completed", report
    assert _carried_out(plant, report["run_key"], since) == {**dict.fromkeys(PUMPS, 1), "program": 1}
    readings = {f"{one['instrument']}.{one['channel']}": one for one in cdse.readings(report["run_key"])}
    assert readings["oven.temperature"]["value"] == pytest.approx(240.0, abs=1.5)
    assert len(readings["platform.Sample"]["array"]) == len(readings["platform.Wavelength"]["array"]) == 351
    (dose,) = [step for step in report["steps"] if step["do"] == "pump_cd.dose"]
    assert readings["pump_cd.dispensed"]["value"] == pytest.approx(dose["sent"]["volume"], rel=0.02)
    identities = cdse.ask("GET", "/status")["identities"]
    assert (identities["oven"]["model"], identities["platform"]["serial_number"]) == ("3216", "SP-0042")


@pytest.mark.long
@pytest.mark.parametrize(
    ("position", "at", "before"),
    [
        ("B1", 7, True),  # the oven was set, which is not known
        ("B2", 19, False),  # the intent of the first dose is committed, nothing was sent
        ("B3", 20, True),  # the first dose runs, which is not known
        ("B4", 29, True),  # three doses run, the wait is nearly over
        ("B5", 32, False),  # the intent of the program is committed, nothing was sent
        ("B6", 33, True),  # the program runs, which is not known
        ("B7", 34, False),  # the program runs
    ],
)
def test_a_host_killed_on_the_real_wires_carries_nothing_out_twice(
    cdse: PlantBench, plant: PlantProcess, position: str, at: int, *, before: bool
) -> None:
    since = _now(plant)
    wanted = request(cdse, _steps(cdse, "continue"), position=position)
    cdse.start(at=at, before=before)
    with suppress(HostError):
        cdse.submit(wanted)
    cdse.await_end(wanted["run_key"], survive=True)
    assert cdse.end() == -9
    cdse.start()
    cdse.submit(wanted)
    report = cdse.await_end(wanted["run_key"])
    late = str(report["reason"]).startswith("step 9 read: read only after the dose of ")
    assert report["status"] == ("failed" if late else "completed"), report
    assert not late or position in ("B2", "B3", "B4"), "the host was away while doses ran, or were about to"
    assert _carried_out(plant, wanted["run_key"], since) == {**dict.fromkeys(PUMPS, 1), "program": 0 if late else 1}


def _settings(plant: PlantProcess, since: float) -> list[tuple[str, float]]:
    """Return the targets of the oven and the flows of the third pump, as they physically were set."""
    values = {("oven", "target_degc"), ("pump_l", "rate_ml_per_min")}
    lines = [line for line in plant.truth(event="setpoint") if line["t"] >= since]
    return [
        (line["device"], line["values"][name])
        for line in lines
        for device, name in values
        if device == line["device"] and name in line["values"]
    ]


def test_parking_and_warming_up_happen_on_the_devices(plant: PlantProcess) -> None:
    cdse = PlantBench(plant.folder.parent, rate=PLANT_RATE, connect=connect, park_after='park_after = "2 min"', park_steps=PARK)
    hot = [step for step in _steps(cdse, "abort") if step.do in ("oven.set_temperature", "pump_l.set_flow")]
    first, second = ([step.evolve(index=n, until=None) for n, step in enumerate(hot)] for _ in range(2))
    second[0] = second[0].evolve(arguments={"temperature": 235.0})
    try:
        cdse.start()
        done = cdse.carry_out(first)
        assert done["status"] == "completed"
        until(lambda: any(note["lab"] > done["ended_lab"] for note in cdse.notes("parked")), "parked")
        since = done["started_lab"]
        ran, parked = _settings(plant, since)[:2], _settings(plant, since)[2:]
        assert ran[0] == ("oven", 240.0)
        assert parked == [("oven", 60.0), ("pump_l", 0.05)]
        report = cdse.carry_out(second)
        assert report["status"] == "completed"
        after = _settings(plant, since)[4:]
        assert after[:2] == ran
        assert after[2:] == [("oven", 235.0), ran[1]]
        (warmed,) = [line for line in plant.truth("oven", "setpoint") if line["t"] >= since and line["values"].get("target_degc") == 240.0][
            1:
        ]
        assert warmed["t"] <= report["started_lab"]
    finally:
        cdse.close()
