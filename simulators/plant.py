"""A plant: simulated devices on real wires, chemistry behind them, in one process.

    python -m simulators.plant --plant FILE --folder DIR --bench-sha256 HEX --seed N --rate R

It runs until SIGTERM or SIGINT; DIR/endpoints.json appears when all wires answer and goes when the plant ends.
"""

import argparse
import asyncio
import fcntl
import json
import logging
import os
import signal
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.errors import AthanorError, BadInput
from simulators.chemistry.cdse import CdSeChemistry, CdSeConstants, draw_task
from simulators.clock import LabClock
from simulators.control import BackDoor, Clear, Inject, Operation, Ping, Repair, back_door_path
from simulators.eurotherm import EurothermLine
from simulators.faults import BODILY_KINDS, FaultBook
from simulators.flow_tube import Feed, Tube
from simulators.measurement import Analyser
from simulators.new_era import NewEraLine
from simulators.opcua_server import PlatformServer, ServerTraits
from simulators.oven import Oven, OvenBody
from simulators.plantfile import PlantFile, SerialLinkSection, check_fault, load_plant_file
from simulators.serial_line import LineProtocol
from simulators.serial_server import SerialBody, SerialServer, strike
from simulators.spectra import Dye, Spectrometer, SpectrometerTraits
from simulators.synthesis_platform import ResultShelf, SynthesisPlatform
from simulators.syringe_pump import SyringePump
from simulators.truth import GroundTruth

logger = logging.getLogger(__name__)

BAUD = 19_200
_HIGHEST_RATE = 10_000.0
"""Lab seconds per wall second; beyond it a lab second is shorter than the event loop's turn."""

IDEAL = SpectrometerTraits(gain_spread=0.0, dark_drift=0.0, wavelength_drift=0.0, absorbance_noise=0.0, conversion_noise=0.0, outliers=0.0)


@dataclass(frozen=True, slots=True)
class PlantRun:
    """How this plant was started."""

    plant: PlantFile
    folder: Path
    bench_sha256: str
    seed: int
    rate: float


class Plant:
    """All devices of a plant, their wires and their timers; lives inside one event loop."""

    def __init__(self, run: PlantRun, truth: GroundTruth) -> None:
        self._run = run
        self._clock = LabClock(time.monotonic(), run.rate)
        self._boot_id = uuid.uuid4().hex
        self._timer: asyncio.TimerHandle | None = None
        streams = np.random.SeedSequence(run.seed).spawn(3)
        self._faults = FaultBook(truth.record, lambda: self._clock.now().lab, np.random.default_rng(streams[0]))
        self._pumps = {name: SyringePump(name, truth.record) for name in run.plant.pumps}
        oven_name, section = run.plant.oven
        environment = run.plant.environment
        body = OvenBody(ambient=environment.ambient_degc, highest_setpoint=section.highest_degc)
        body = body if environment.noise else replace(body, noise=0.0)
        self._oven = Oven(oven_name, body, truth.record, np.random.default_rng(streams[1]))
        shelf = ResultShelf(run.folder / "results")
        name, platform = run.plant.platform
        self._platform = SynthesisPlatform(name, shelf, truth.record, self._clock.now())
        self._lines = {name: self._build_line(name, link) for name, link in run.plant.links.items() if isinstance(link, SerialLinkSection)}
        traits = ServerTraits(platform.serial_number, platform.longest_lock_s, platform.most_nodes)
        self._server = PlatformServer(self._platform, self._build_bench(truth), self._faults, self._clock, traits, touched=self.touch)
        self._door = BackDoor(back_door_path(run.folder), self._answer)

    def _build_bench(self, truth: GroundTruth) -> Analyser:
        plant, environment = self._run.plant, self._run.plant.environment
        feeds = tuple(Feed(self._pumps[name].flow, section.stock) for name, section in plant.pumps.items())
        tube = Tube(plant.tube.volume_ml, feeds, self._oven.trace, environment.oven_offset_degc, plant.tube.fouling_per_day)
        seed = plant.chemistry.constants_seed
        constants = CdSeConstants() if seed is None else draw_task(np.random.default_rng(seed))
        traits = replace(SpectrometerTraits(), outliers=environment.outliers) if environment.noise else IDEAL
        spectrometer = Spectrometer(self._run.seed, traits, Dye())
        return Analyser(tube, CdSeChemistry(constants, plant.tube.segmented), spectrometer, truth.record)

    def _build_line(self, name: str, link: SerialLinkSection) -> SerialServer:
        pumps = {pump.address: self._pumps[key] for key, pump in self._run.plant.pumps.items() if pump.link == name}
        section = self._run.plant.oven[1]
        bodies: dict[str, SerialBody] = {pump.name: pump for pump in pumps.values()}
        protocol: LineProtocol = NewEraLine(pumps)
        if section.link == name:
            protocol, bodies = EurothermLine(section.unit, self._oven), {self._oven.name: self._oven}
        baud = BAUD if link.byte_time else 0
        path = self._run.folder / f"{name}.tty"
        return SerialServer(path, protocol, bodies, self._faults, self._clock, touched=self.touch, baud=baud)

    async def start(self) -> None:
        """Open every wire, then announce them."""
        for line in self._lines.values():
            line.start()
        await self._server.start()
        await self._door.start()
        for fault in self._run.plant.faults:
            self._inject(Inject(op="inject", fault=fault))
        self._announce()
        self.touch()

    async def close(self) -> None:
        """Withdraw the announcement and close every wire."""
        (self._run.folder / "endpoints.json").unlink(missing_ok=True)
        if self._timer is not None:
            self._timer.cancel()
        await self._door.close()
        for line in self._lines.values():
            line.close()
        await self._server.close()

    def touch(self) -> None:
        """Bring all devices to the present and plan the next moment at which one changes by itself."""
        now = self._clock.now()
        before = self._platform.state, self._platform.lamp.is_on
        for pump in self._pumps.values():
            pump.advance(now)
        self._oven.advance(now)
        self._platform.advance(now)
        if (self._platform.state, self._platform.lamp.is_on) != before:
            self._server.device_changed()
        if self._timer is not None:
            self._timer.cancel()
        due = self._next_change()
        self._timer = None if due is None else asyncio.get_running_loop().call_at(due, self.touch)

    def _next_change(self) -> float | None:
        """Find the next wall time (monotonic s) at which a device changes by itself."""
        doses = (self._clock.wall_at(pump.ends_at) for pump in self._pumps.values() if pump.ends_at is not None)
        silences = (pump.times_out_at for pump in self._pumps.values())
        moments = [*doses, *silences, self._oven.fails_at, self._platform.lapses_at]
        return min((moment for moment in moments if moment is not None), default=None)

    def _announce(self) -> None:
        ports = {name: {"port": str(line.link.absolute())} for name, line in self._lines.items()}
        platform_link = self._run.plant.platform[1].link
        folder = self._run.folder.stat()
        announcement = {
            "boot_id": self._boot_id,
            "folder": str(self._run.folder.absolute()),
            "device": folder.st_dev,
            "inode": folder.st_ino,
            "pid": os.getpid(),
            "bench_sha256": self._run.bench_sha256,
            "seed": self._run.seed,
            "rate": self._run.rate,
            "t0_monotonic": self._clock.t0_monotonic,
            "control": str(self._door.path),
            "endpoints": {**ports, platform_link: {"url": self._server.url}},
        }
        draft = self._run.folder / "endpoints.json.tmp"
        draft.write_text(json.dumps(announcement, indent=2) + "\n")
        draft.replace(self._run.folder / "endpoints.json")

    def _answer(self, operation: Operation) -> dict[str, Any]:
        if isinstance(operation, Ping):
            return {"boot_id": self._boot_id, "pid": os.getpid(), "lab_s": self._clock.now().lab}
        if isinstance(operation, Inject):
            return self._inject(operation)
        if isinstance(operation, Clear):
            self._faults.clear(operation.device)
            return {}
        if isinstance(operation, Repair):
            self._repair(operation.device)
            return {}
        return self._states()

    def _inject(self, operation: Inject) -> dict[str, Any]:
        fault = operation.fault
        check_fault(self._run.plant, fault)
        if fault.now and fault.fault not in BODILY_KINDS:
            legal = ", ".join(sorted(BODILY_KINDS))
            raise ValueError(f"fault '{fault.fault}' needs a command to hit; only {legal} happen at once")
        self._faults.arm(fault)
        if fault.now and fault.device == self._platform.name:
            self._server.strike(fault.fault)
        elif fault.now:
            strike(self._body(fault.device), fault.fault, self._clock.now())
        self.touch()
        return {"pending": len(self._faults.pending())}

    def _repair(self, device: str) -> None:
        if device == self._platform.name:
            self._server.repair()
        else:
            self._body(device).repair(self._clock.now())

    def _body(self, device: str) -> SerialBody:
        bodies: dict[str, SerialBody] = {**self._pumps, self._oven.name: self._oven}
        if device not in bodies:
            raise ValueError(f"no serial device '{device}'; the plant has {', '.join(bodies)}")
        return bodies[device]

    def _states(self) -> dict[str, Any]:
        self.touch()
        return {
            "lab_s": self._clock.now().lab,
            **{name: pump.describe() for name, pump in self._pumps.items()},
            self._oven.name: self._oven.describe(),
            self._platform.name: self._platform.describe(),
            "faults": [fault.model_dump(mode="json") for fault in self._faults.pending()],
        }


def _own(folder: Path, stack: ExitStack) -> None:
    """Hold the folder's lock for as long as the stack.

    Raises:
        BadInput: another plant lives here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = stack.enter_context((folder / "plant.lock").open("a"))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BadInput(f"plant folder {folder}: another plant is running here; stop it first") from error


async def _live(run: PlantRun, truth: GroundTruth) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    plant = Plant(run, truth)
    try:
        await plant.start()
        await ended.wait()
    finally:
        await plant.close()


def _arguments(argv: Sequence[str] | None) -> PlantRun:
    parser = argparse.ArgumentParser(prog="simulators.plant", description="Run the simulated devices of a plant.")
    parser.add_argument("--plant", type=Path, required=True, metavar="FILE")
    parser.add_argument("--folder", type=Path, required=True, metavar="DIR")
    parser.add_argument("--bench-sha256", required=True, metavar="HEX")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--rate", type=float, default=1.0, metavar="R", help="lab seconds per wall second")
    given = parser.parse_args(argv)
    if not 0.0 < given.rate <= _HIGHEST_RATE:
        raise BadInput(f"--rate {given.rate}: expected more than 0 and at most {_HIGHEST_RATE:g}")
    if given.seed < 0:
        raise BadInput(f"--seed {given.seed}: expected 0 or more")
    return PlantRun(load_plant_file(given.plant), given.folder.resolve(), given.bench_sha256, given.seed, given.rate)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a plant until it is told to stop; give the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("asyncua").setLevel(logging.ERROR)  # it warns at every start that loopback is not encrypted
    # a request that is refused is its client's matter
    logging.getLogger("asyncua.server.uaprocessor").addFilter(lambda record: not record.msg.startswith("sending service fault"))
    try:
        with ExitStack() as stack:
            run = _arguments(argv)
            _own(run.folder, stack)
            os.chdir(run.folder)  # the lab may be moved while the plant runs: here its folder stays "."
            run = replace(run, folder=Path())
            truth = stack.enter_context(GroundTruth(run.folder / "ground-truth.jsonl"))
            asyncio.run(_live(run, truth))
    except (AthanorError, OSError) as error:
        sys.stderr.write(f"plant: {error}\n")
        return error.exit_code if isinstance(error, AthanorError) else AthanorError.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
