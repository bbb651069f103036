"""Benches whose devices nobody simulated, and a whole plant of their stand-ins in a thread of the test."""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows.plans.simulated import simulated
from instruments.bench.connect import connect
from instruments.bench.endpoints import at_plant, read_endpoints
from instruments.bench.file import BenchFile, parse_bench
from instruments.bench.lanes import lane_of
from instruments.drivers.protocol import Call, Driver, Outcome, Progress
from orchestrator.clock import LiveClock
from simulators.declarations import declared_in
from simulators.plant import Plant, PlantRun
from simulators.plantfile import LoadedPlant, PlantFile, load_plant_file
from simulators.stand_ins import with_stand_ins
from simulators.truth import GroundTruth

GENERAL = """
[bench]
name = "declared"
reduction = "identity/1"
"""
BATH = """
[links.bath]
kind = "serial"
port = "/dev/serial/by-id/usb-bath"
frame = "7E1"
baud = 4800

[instruments.bath]
driver = "julabo"
link = "bath"
limits.temperature = { min = "10 degC", max = "90 degC" }
safe_state = ["off"]
"""
SCALE = """
[links.scale]
kind = "serial"
port = "/dev/serial/by-id/usb-scale"

[instruments.scale]
driver = "mt-sics"
link = "scale"
serial_number = "B123456789"
"""
PUMP = """
[links.pump]
kind = "serial"
port = "/dev/serial/by-id/usb-pump"

[instruments.pump]
driver = "cavro-pump"
link = "pump"
address = 1
options = { step_volume = 0.0001 }
limits.volume = { min = "0.01 mL", max = "1 mL" }
safe_state = ["stop"]
"""
STEPS = """
[[procedure.steps]]
do = "bath.start"

[[procedure.steps]]
do = "bath.set_temperature"
with = { temperature = "T" }
until = { channel = "bath.temperature", within = "1 delta_degC", for = "10 s", timeout = "20 min" }

[[procedure.steps]]
do = "pump.dispense"
with = { volume = "V" }

[[procedure.steps]]
do = "read"
channels = ["scale.weight"]
"""


@dataclass
class Stage:
    """A plant that runs, and the bench that is aimed at it."""

    bench: BenchFile
    folder: Path
    plant: Plant
    drivers: dict[str, Driver] = field(default_factory=dict)

    def driver(self, name: str) -> Driver:
        """Open the link of an instrument, once."""
        if name not in self.drivers:
            self.drivers |= connect(self.bench, lane_of(self.bench.spec, name), LiveClock())
        return self.drivers[name]

    def truth(self, device: str, event: str) -> list[Mapping[str, Any]]:
        """Return what physically happened."""
        lines = (self.folder / "ground-truth.jsonl").read_text().splitlines()
        return [one for one in map(json.loads, lines) if one["device"] == device and one["event"] == event]

    def doses(self, device: str) -> Counter[str]:
        """Count the doses that began and ended."""
        return Counter(one["values"]["phase"] for one in self.truth(device, "dose"))

    def ended(self, driver: Driver, call: Call, before: Mapping[str, Any]) -> Outcome:
        """Await the end of a dose."""
        outcome = driver.outcome(call, before)
        eventually(lambda: driver.outcome(call, before).progress is not Progress.RUNNING)
        return driver.outcome(call, before) if outcome.progress is Progress.RUNNING else outcome


def eventually(what: Callable[[], bool]) -> None:
    """Await something."""
    until = time.monotonic() + 20.0
    while not what():
        assert time.monotonic() < until
        time.sleep(0.01)


def bench_of(folder: Path, *parts: str) -> BenchFile:
    """Write a bench file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.toml").write_text(GENERAL + "".join(parts))
    return parse_bench((folder / "bench.toml").read_text(), folder / "bench.toml")


@contextmanager
def staged(bench: BenchFile, *, rate: float = 1.0, seed: int = 0) -> Iterator[Stage]:
    """Run the plant of a bench's dry run."""
    made = simulated(bench)
    loaded = LoadedPlant(PlantFile(), {}) if made.plant is None else load_plant_file(made.plant)
    declared = declared_in(json.loads(json.dumps(made.declarations or {"links": {}})))
    loaded = with_stand_ins(loaded, declared, seed=seed, folder=bench.path.parent)
    folder = bench.path.parent / "plant"
    folder.mkdir(exist_ok=True)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        with GroundTruth(folder / "ground-truth.jsonl") as truth:
            plant = asyncio.run_coroutine_threadsafe(_made(PlantRun(loaded, folder, bench.sha256, seed, rate), truth), loop).result()
            stage = Stage(at_plant(bench, read_endpoints(folder / "endpoints.json")), folder, plant)
            try:
                yield stage
            finally:
                for driver in stage.drivers.values():
                    driver.close()
                asyncio.run_coroutine_threadsafe(plant.close(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _made(run: PlantRun, truth: GroundTruth) -> Plant:
    plant = Plant(run, truth)
    await plant.start()
    return plant
