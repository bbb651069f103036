"""A plant in a process of its own, its back door and its ground truth."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from instruments.transport.base import Transport
from instruments.transport.opening import open_link
from orchestrator.clock import PlantClock
from tests.commands import Command, type_command

PLANT = """
[tube]
volume_ml = 2.0
[chemistry]
family = "cdse"
[environment]
outliers = 0.0
[links.pumps]
kind = "serial"
[links.oven]
kind = "serial"
[links.platform]
kind = "opcua"
[devices.pump_cd]
model = "new-era"
link = "pumps"
address = 1
stock = { Cd = 0.12 }
[devices.pump_se]
model = "new-era"
link = "pumps"
address = 2
stock = { Se = 0.06 }
[devices.pump_l]
model = "new-era"
link = "pumps"
address = 3
stock = { L = 4.0 }
[devices.oven]
model = "eurotherm"
link = "oven"
unit = 1
highest_degc = 300.0
[devices.platform]
model = "lads-platform"
link = "platform"
serial_number = "SP-0042"
"""
_START_LIMIT = 60.0


@dataclass
class RunningPlant:
    folder: Path
    process: Command

    @property
    def announced(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / "endpoints.json").read_text())
        return document

    @property
    def clock(self) -> PlantClock:
        return PlantClock(self.announced["t0_monotonic"], self.announced["rate"])

    def open(self, link: str) -> Transport:
        endpoint = self.announced["endpoints"][link]
        kind = "opcua" if "url" in endpoint else "serial"
        return open_link(kind=kind, port=endpoint.get("port"), url=endpoint.get("url"))

    def ask(self, **operation: Any) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(10.0)
            door.connect(self.announced["control"])
            door.sendall(json.dumps(operation).encode() + b"\n")
            answer: dict[str, Any] = json.loads(door.makefile().readline())
        assert answer.pop("ok"), answer
        return answer

    def inject(self, device: str, fault: str, **more: Any) -> None:
        self.ask(op="inject", fault={"device": device, "fault": fault, **more})

    def clear(self) -> None:
        self.ask(op="clear")

    def truth(self, device: str, event: str) -> list[dict[str, Any]]:
        lines = (self.folder / "ground-truth.jsonl").read_text().splitlines()
        events = (json.loads(line) for line in lines if line.endswith("}"))
        return [one for one in events if one["device"] == device and one["event"] == event]


@contextmanager
def running_plant(folder: Path, *, rate: float, seed: int = 1, plant: str = PLANT) -> Iterator[RunningPlant]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plant.toml").write_text(plant)
    options = ["--plant", str(folder / "plant.toml"), "--folder", str(folder), "--bench-sha256", "00"]
    words = [*options, "--seed", str(seed), "--rate", str(rate)]
    with (folder / "plant.log").open("ab") as log:
        process = type_command(words, out=log, err=log, module="simulators.plant")
        try:
            yield RunningPlant(folder, _started(process, folder))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30.0)


def _started(process: Command, folder: Path) -> Command:
    until = time.monotonic() + _START_LIMIT
    while not (folder / "endpoints.json").exists() or json.loads((folder / "endpoints.json").read_text())["pid"] != process.pid:
        assert process.poll() is None, (folder / "plant.log").read_text()
        assert time.monotonic() < until, "the plant does not start"
        time.sleep(0.05)
    return process
