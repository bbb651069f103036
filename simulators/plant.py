"""A plant: simulated devices on real wires, chemistry behind them, in one process.

    python -m simulators.plant [--plant FILE] [--stand-ins FILE] --folder DIR --bench-sha256 HEX --seed N --rate R [--security FILE]

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
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.errors import AthanorError, BadInput
from simulators.body import Surroundings, speech_of
from simulators.body_server import BodyServer
from simulators.chemistry.cdse import CdSeChemistry, CdSeConstants, draw_task
from simulators.chemistry.family import Chemistry
from simulators.clock import LabClock, Moment
from simulators.control import BackDoor, Clear, Inject, Operation, Ping, Repair, back_door_path
from simulators.declarations import read_declarations
from simulators.devices import BodyDevice, Device, OvenDevice, PumpDevice, UnitDevice
from simulators.faults import BODILY_KINDS, FaultBook
from simulators.flow_tube import Feed, Tube
from simulators.lads_body import Around, lads_unit
from simulators.measurement import Analyser
from simulators.new_era import NewEraLine
from simulators.opcua_access import PlatformAccess
from simulators.opcua_server import PlatformServer, ServerTraits
from simulators.oven import Oven, OvenBody
from simulators.plantfile import (
    LoadedPlant,
    OvenSection,
    PlantFile,
    PlatformSection,
    PluginSection,
    PumpSection,
    SerialLinkSection,
    check_fault,
    check_faults,
    load_plant_file,
)
from simulators.serial_server import SerialServer
from simulators.spectra import Dye, Spectrometer, SpectrometerTraits
from simulators.stand_ins import with_stand_ins
from simulators.synthesis_platform import ResultShelf, SynthesisPlatform
from simulators.syringe_pump import SyringePump
from simulators.truth import GroundTruth
from simulators.twins.tube import RunningTwin, read_running_twin

logger = logging.getLogger(__name__)

BAUD = 19_200
_HIGHEST_RATE = 10_000.0
"""Lab seconds per wall second; beyond it a lab second is shorter than the event loop's turn."""

IDEAL = SpectrometerTraits(gain_spread=0.0, dark_drift=0.0, wavelength_drift=0.0, absorbance_noise=0.0, conversion_noise=0.0, outliers=0.0)


@dataclass(frozen=True, slots=True)
class PlantRun:
    """How this plant was started."""

    loaded: LoadedPlant
    folder: Path
    bench_sha256: str
    seed: int
    rate: float
    access: Mapping[str, PlatformAccess] = field(default_factory=dict)
    """What each secured link asks of its clients."""
    twin: RunningTwin | None = None
    """The twin that its tube runs in the place of the plant file's constants."""

    @property
    def plant(self) -> PlantFile:
        """The plant file."""
        return self.loaded.file


class Plant:
    """All devices of a plant, their wires and their timers; lives inside one event loop."""

    def __init__(self, run: PlantRun, truth: GroundTruth) -> None:
        self._run = run
        self._clock = LabClock(time.monotonic(), run.rate)
        self._boot_id = uuid.uuid4().hex
        self._timer: asyncio.TimerHandle | None = None
        streams = np.random.SeedSequence(run.seed).spawn(3)
        self._faults = FaultBook(truth.record, lambda: self._clock.now().lab, np.random.default_rng(streams[0]))
        self._record = truth.record
        self._devices: dict[str, Device] = {}
        self._build_devices(np.random.default_rng(streams[1]), streams[2])
        self._lines = {name: self._build_line(name, link) for name, link in run.plant.links.items() if isinstance(link, SerialLinkSection)}
        self._door = BackDoor(back_door_path(run.folder), self._answer)

    # ----------------------------------------------------------------- what it is made of

    def _build_devices(self, rng: np.random.Generator, stream: np.random.SeedSequence) -> None:
        """Make each device of the plant file, the platform last, which rests on others."""
        plant = self._run.plant
        generators = map(np.random.default_rng, stream.spawn(len(plant.plugins)))
        for name, section in plant.devices.items():
            match section:
                case PumpSection():
                    self._devices[name] = PumpDevice(section.link, section.address, SyringePump(name, self._record))
                case OvenSection():
                    self._devices[name] = OvenDevice(section.link, section.unit, self._build_oven(name, section, rng))
                case PluginSection():
                    self._devices[name] = self._build_body(name, section, next(generators))
        self._lead_to_bodies()
        for name, section in plant.devices.items():
            if isinstance(section, PlatformSection):
                self._devices[name] = self._build_platform(name, section)

    def _build_oven(self, name: str, section: OvenSection, rng: np.random.Generator) -> Oven:
        environment = self._run.plant.environment
        body = OvenBody(ambient=environment.ambient_degc, highest_setpoint=section.highest_degc, decimals=section.decimals)
        return Oven(name, body if environment.noise else replace(body, noise=0.0), self._record, rng)

    def _build_body(self, name: str, section: PluginSection, rng: np.random.Generator) -> Device:
        body = self._run.loaded.bodies[name](name, section.options, self._record, rng)
        body.now = self._clock.now
        made, access = BodyDevice(section.link, body), self._run.access.get(section.link)
        if speech_of(type(body)) == "lads":
            around = Around(self._run.folder, self._faults, self._clock, self._record, self.touch)
            return UnitDevice(section.link, *lads_unit(body, around, access), within=made)
        if speech_of(type(body)) == "opcua":
            made.server = BodyServer(body, access)
        return made

    def _lead_to_bodies(self) -> None:
        """Tell each body what flows into it, what reacts in the plant and how the room is."""
        plant, make = self._run.plant, self._run.loaded.chemistry
        room = plant.environment
        surroundings = Surroundings(room.ambient_degc, room.noise, room.outliers, self._run.seed)
        chemistry = make(plant.chemistry.constants_seed) if make is not None and plant.chemistry is not None else None
        for name, section in plant.plugins.items():
            body = self._devices[name].body
            assert body is not None
            body.surroundings, body.chemistry = surroundings, chemistry
            body.feeds = {one: self._feed(one) for one in section.fed_by}
            body.bring_feeds = partial(self._bring, section.fed_by)

    def _feed(self, name: str) -> Feed:
        section = self._run.plant.devices[name]
        assert isinstance(section, PumpSection | PluginSection)
        return Feed(self._devices[name].flow, section.stock)

    def _bring(self, names: Sequence[str], now: Moment) -> None:
        for name in names:
            self._devices[name].live(now)

    def _build_platform(self, name: str, section: PlatformSection) -> Device:
        platform = SynthesisPlatform(name, ResultShelf(self._run.folder / "results"), self._record, self._clock.now())
        access = self._run.access.get(section.link)
        traits = ServerTraits(section.serial_number, section.longest_lock_s, section.most_nodes)
        analyser = self._build_analyser()
        served = PlatformServer(platform, analyser, self._faults, self._clock, traits, touched=self.touch, access=access)
        return UnitDevice(section.link, platform, served)

    def _build_analyser(self) -> Analyser:
        plant, environment = self._run.plant, self._run.plant.environment
        assert plant.tube is not None
        assert plant.chemistry is not None
        oven = next(one.oven for one in self._devices.values() if isinstance(one, OvenDevice))
        feeding = (*plant.pumps, *(name for name, section in plant.plugins.items() if section.stock))
        feeds = tuple(map(self._feed, feeding))
        tube = Tube(plant.tube.volume_ml, feeds, oven.trace, environment.oven_offset_degc, plant.tube.fouling_per_day)
        traits = replace(SpectrometerTraits(), outliers=environment.outliers) if environment.noise else IDEAL
        spectrometer = Spectrometer(self._run.seed, traits, Dye())
        make = self._run.loaded.chemistry or partial(_cdse, segmented=plant.tube.segmented)
        around = self._run.loaded.room.around
        chemistry = make(plant.chemistry.constants_seed) if self._run.twin is None else self._run.twin.made(around(0.0))
        return Analyser(tube, chemistry, spectrometer, self._record, around)

    def _build_line(self, name: str, link: SerialLinkSection) -> SerialServer:
        there = [one for one in self._devices.values() if one.link == name]
        protocol = there[0].line(there) if there else NewEraLine({})
        bodies = {one.name: one.case for one in there}
        baud = BAUD if link.byte_time else 0
        path = self._run.folder / f"{name}.tty"
        return SerialServer(path, protocol, bodies, self._faults, self._clock, touched=self.touch, baud=baud)

    # ----------------------------------------------------------------- its life

    async def start(self) -> None:
        """Open every wire, then announce them."""
        for line in self._lines.values():
            line.start()
        for server in self._servers.values():
            await server.start()
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
        for server in self._servers.values():
            await server.close()

    @property
    def _servers(self) -> dict[str, BodyServer | PlatformServer]:
        """Servers by their links."""
        return {one.link: one.server for one in self._devices.values() if one.server is not None}

    def touch(self) -> None:
        """Bring all devices to the present and plan the next moment at which one changes by itself."""
        now = self._clock.now()
        for device in self._devices.values():
            device.live(now)
        for device in self._devices.values():
            device.attend(now)
        if self._timer is not None:
            self._timer.cancel()
        due = self._next_change()
        self._timer = None if due is None else asyncio.get_running_loop().call_at(due, self.touch)

    def _next_change(self) -> float | None:
        """Find the next wall time (monotonic s) at which a device changes by itself."""
        moments = (moment for device in self._devices.values() for moment in device.changes(self._clock))
        return min((moment for moment in moments if moment is not None), default=None)

    def _endpoints(self) -> dict[str, dict[str, Any]]:
        ports: dict[str, dict[str, Any]] = {name: {"port": str(line.link.absolute())} for name, line in self._lines.items()}
        for one in self._devices.values():
            if isinstance(one, BodyDevice) and one.is_asked_by_calls:
                ports[one.link]["asked"] = "calls"
        urls = {link: server.url for link, server in self._servers.items()}
        secured = {name: {"security": one.table} for name, one in self._run.access.items()}
        return {**ports, **{name: {"url": url, **secured.get(name, {})} for name, url in urls.items()}}

    def _announce(self) -> None:
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
            "endpoints": self._endpoints(),
            **({} if self._run.twin is None else {"twin": self._run.twin.digest}),
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
        check_fault(self._run.plant, fault, self._run.loaded.bodies)
        if fault.now and fault.fault not in BODILY_KINDS:
            legal = ", ".join(sorted(BODILY_KINDS))
            raise ValueError(f"fault '{fault.fault}' needs a command to hit; only {legal} happen at once")
        self._faults.arm(fault)
        if fault.now:
            self._devices[fault.device].strike(fault.fault, self._clock.now())
        self.touch()
        return {"pending": len(self._faults.pending())}

    def _repair(self, device: str) -> None:
        if device not in self._devices:
            raise ValueError(f"no device '{device}'; the plant has {', '.join(self._devices)}")
        self._devices[device].repair(self._clock.now())

    def _states(self) -> dict[str, Any]:
        self.touch()
        return {
            "lab_s": self._clock.now().lab,
            **{name: device.describe() for name, device in self._devices.items()},
            "faults": [fault.model_dump(mode="json") for fault in self._faults.pending()],
        }


def _cdse(seed: int | None, *, segmented: bool) -> Chemistry:
    return CdSeChemistry(CdSeConstants() if seed is None else draw_task(np.random.default_rng(seed)), segmented)


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
    parser.add_argument("--plant", type=Path, metavar="FILE", help="what describes the devices; none: all of them are stand-ins")
    parser.add_argument(
        "--stand-ins", type=Path, metavar="FILE", help="instruments that nothing else simulates, as they are declared; JSON"
    )
    parser.add_argument("--folder", type=Path, required=True, metavar="DIR")
    parser.add_argument("--bench-sha256", required=True, metavar="HEX")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--rate", type=float, default=1.0, metavar="R", help="lab seconds per wall second")
    parser.add_argument("--security", type=Path, metavar="FILE", help="what secured links ask of their clients; JSON, without a secret")
    parser.add_argument("--twin", type=Path, metavar="FILE", help="the twin that the tube runs; JSON")
    given = parser.parse_args(argv)
    if not 0.0 < given.rate <= _HIGHEST_RATE:
        raise BadInput(f"--rate {given.rate}: expected more than 0 and at most {_HIGHEST_RATE:g}")
    if given.seed < 0:
        raise BadInput(f"--seed {given.seed}: expected 0 or more")
    access = PlatformAccess.load(given.security, Path()) if given.security else {}
    loaded, twin = _loaded(given.plant, given.stand_ins, given.seed), None if given.twin is None else read_running_twin(given.twin)
    if twin is not None and loaded.file.twin != twin.base:
        raise BadInput(f"twin {twin.label} revises {twin.base}; the plant's tube runs {loaded.file.twin or 'a chemistry that no twin has'}")
    return PlantRun(loaded, given.folder.resolve(), given.bench_sha256, given.seed, given.rate, access, twin)


def _loaded(plant: Path | None, stand_ins: Path | None, seed: int) -> LoadedPlant:
    """Load a plant file, and make the stand-ins of what it does not simulate."""
    loaded = LoadedPlant(PlantFile(), {}) if plant is None else load_plant_file(plant)
    try:
        if stand_ins is not None:
            folder = Path() if plant is None else plant.parent
            loaded = with_stand_ins(loaded, read_declarations(stand_ins), seed=seed, folder=folder)
        check_faults(loaded)
    except BadInput as error:
        raise BadInput(f"{'the simulated bench' if plant is None else f'plant file {plant}'}: {error}") from error
    return loaded


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
